"""Which hash partitions are missing, also where partitions of several moduli stand side by side."""

from __future__ import annotations

from collections.abc import Iterator
from math import lcm

from sa_partman.bounds.bound import HashBound
from sa_partman.catalog import Parent
from sa_partman.finding import Finding, Severity
from sa_partman.spec.declared import HashLevel


def hash_bounds(parent: Parent) -> tuple[HashBound, ...]:
    return tuple(each.bound for each in parent.partitions if isinstance(each.bound, HashBound))


def missing_remainders(level: HashLevel, parent: Parent) -> Iterator[HashBound]:
    """The wanted bounds that overlap none that is there, by remainder."""
    spec = level.spec
    found = hash_bounds(parent)
    for remainder in range(spec.modulus):
        bound = HashBound(spec.modulus, remainder)
        if not any(bound.overlaps(other) for other in found):
            yield bound


def uncovered_remainders(found: tuple[HashBound, ...]) -> tuple[HashBound, ...]:
    """What no partition of *found* takes, as remainders of their least common modulus; empty when all is covered."""
    if not found:
        return ()
    whole = lcm(*(bound.modulus for bound in found))
    taken = {value for bound in found for value in range(bound.remainder, whole, bound.modulus)}
    return tuple(HashBound(whole, value) for value in range(whole) if value not in taken)


def modulus_findings(table: str, level: HashLevel, parent: Parent) -> Iterator[Finding]:
    """Another modulus than the declared one."""
    spec = level.spec
    moduli = sorted({bound.modulus for bound in hash_bounds(parent)})
    if moduli and moduli != [spec.modulus]:
        yield Finding(
            "modulus",
            Severity.WARNING,
            table,
            f"{parent.name} has hash partitions of modulus {', '.join(map(str, moduli))}, declared is {spec.modulus}",
            f"rows have to move: op.repartition_table({parent.name.name!r}, ...); "
            f"until then declare modulus={moduli[-1]}",
        )
