"""Dropping a branch: the partition of one tenant or label, with all below it."""

from __future__ import annotations

from collections.abc import Iterator

from sa_partman.bounds.bound import KeyValue, ListBound, RangeBound
from sa_partman.catalog import FoundTable, Parent, Partition
from sa_partman.compare.context import Context, Path
from sa_partman.compare.expiry import has_foreign
from sa_partman.compare.shape import descend
from sa_partman.compare.window import is_listed, retention_of_branch
from sa_partman.errors import DeclarationError, Refused
from sa_partman.finding import Finding, Severity
from sa_partman.names import QualifiedName
from sa_partman.plan.prune import below_of, dropped, leaving
from sa_partman.plan.steps import Purpose, Step
from sa_partman.spec.declared import DeclaredTable, Level
from sa_partman.spec.range_spec import Retention


class NoBranch(DeclarationError):
    """A table has no partition for a tenant."""


def branch_steps(declared: DeclaredTable, found: FoundTable | None, path: Path) -> tuple[Step, ...]:
    """
    One step, or one per partition of a tenant that is the first column of a range key.

    Raises:
        DeclarationError: *path* leads nowhere, or to a partition that holds other values too.
    """
    if found is None:
        raise DeclarationError(f"{declared.name} does not exist; nothing was changed")
    level, parent, partitions = _follow(declared, found, path)
    return tuple(
        Step(Purpose.DROP, found.name, each.name, each.bound, dropped(found, level, parent, each), below=below_of(each))
        for each in partitions
    )


def still_declared(declared: DeclaredTable, found: FoundTable, path: Path, context: Context) -> Iterator[Finding]:
    """What is said of a branch that is dropped although somebody still wants it."""
    level, parent, partitions = _follow(declared, found, path)
    here = _inside(declared, found, path, context)
    if not here.gone and any(is_listed(level, parent, each.bound, here) for each in partitions):
        yield Finding(
            "still-declared",
            Severity.WARNING,
            str(found.name),
            f"{path[-1]!r} is still declared, so the next run makes its partition again, empty",
            "if the tenant left, take it out of the declaration, or out of what its select() or callable gives",
        )


def leaving_steps(
    declared: DeclaredTable, found: FoundTable, paths: tuple[Path, ...], context: Context
) -> Iterator[Step | Finding]:
    """
    The removal of each branch of *paths* that *found* has, the way that its retention says; without one it is dropped.

    Raises:
        Refused: A branch is still declared, or was not made by us.
        DeclarationError: It holds other values too.
    """
    asked, seen = frozenset(path[-1] for path in paths), set[QualifiedName]()
    for path in paths:
        try:
            level, parent, partitions = _follow(declared, found, path, asked)
        except NoBranch:
            continue
        here = _inside(declared, found, path, context)
        for each in partitions:
            if each.name in seen:
                continue
            seen.add(each.name)
            _require_unlisted(declared, level, parent, each, here, path)
            retention = retention_of_branch(level, each.bound) or _DROP
            if not retention.foreign_tables and each.has_foreign_tables:
                raise Refused(
                    f"{each.name} has foreign tables, and Retention(foreign_tables=True) is not declared; nothing was "
                    f"changed. Declare it, or detach them first."
                )
            if not retention.foreign and has_foreign(each):
                raise Refused(
                    f"{each.name} was not made by sa-partman; nothing was changed. Hand it over first: "
                    f"sa-partman run --adopt"
                )
            yield from leaving(found, level, parent, each, retention, here, asked=True)


def has_branch(declared: DeclaredTable, found: FoundTable, path: Path) -> bool:
    """Whether *found* has a partition for *path*, be it one that holds other values, too."""
    try:
        _follow(declared, found, path)
    except NoBranch:
        return False
    except DeclarationError:
        return True
    return True


_DROP = Retention(0, then="drop")
"""Where nothing is declared: whoever names a tenant wants him gone."""


def _inside(declared: DeclaredTable, found: FoundTable, path: Path, context: Context) -> Context:
    """*context* as seen from the parent of the branch."""
    level: Level | None = declared.level
    parent: Parent = found
    for value in path[:-1]:
        assert level is not None
        branch = next(each for each in parent.partitions if _holds(each, value))
        context = descend(level, branch.bound, context)
        level, parent = level.below, branch
    return context


def _require_unlisted(
    declared: DeclaredTable, level: Level, parent: Parent, branch: Partition, here: Context, path: Path
) -> None:
    """In a branch that nobody wants any more nobody wants what is below either."""
    if here.gone or not is_listed(level, parent, branch.bound, here):
        return
    raise Refused(
        f"{declared.name}: {path[-1]!r} is still declared, so {branch.name} would be made again at the next run; "
        f"nothing was changed. Take it out of the declaration, or out of what its select() or callable gives, first."
    )


def _follow(
    declared: DeclaredTable, found: FoundTable, path: Path, asked: frozenset[KeyValue] = frozenset()
) -> tuple[Level, Parent, tuple[Partition, ...]]:
    level: Level | None = declared.level
    parent: Parent = found
    for depth, value in enumerate(path):
        assert level is not None, "whoever asks counts the levels"
        here = tuple(each for each in parent.partitions if _belongs(each, value, str(declared.name), asked))
        if not here:
            raise NoBranch(f"{declared.name} has no partition for {path[: depth + 1]!r}; nothing was changed")
        if depth == len(path) - 1:
            return level, parent, here
        parent, level = here[0], level.below
    raise DeclarationError(
        f"{declared.name}: the branch has no values; nothing was changed. Give the tenant's value, or one per level"
    )


def _holds(partition: Partition, value: KeyValue) -> bool:
    bound = partition.bound
    if isinstance(bound, RangeBound):
        return len(bound.lower) > 1 and bound.lower[0] == value == bound.upper[0]
    return isinstance(bound, ListBound) and value in bound.values


def _belongs(partition: Partition, value: KeyValue, table: str, asked: frozenset[KeyValue]) -> bool:
    if not _holds(partition, value):
        return False
    values = partition.bound.values if isinstance(partition.bound, ListBound) else frozenset()
    others = sorted(repr(other) for other in values if other != value and other not in asked)
    if others:
        raise DeclarationError(
            f"{table}: {partition.name} holds {', '.join(others)} beside {value!r}; nothing was changed. "
            f"Give {value!r} a label of its own in the declaration, and migrate: alembic revision --autogenerate"
        )
    return True
