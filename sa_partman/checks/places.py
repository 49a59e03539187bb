"""The places of a table: everything that is divided as declared, with the level that divides it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from sa_partman.catalog import FoundTable, Parent
from sa_partman.compare.descend import descend, divides
from sa_partman.compare.situation import Situation
from sa_partman.spec.declared import DeclaredTable, Level


class Place(NamedTuple):
    """
    Args:
        level: What the declaration says of the partitions here.
        parent: Whose partitions they are.
        situation: As seen from here.
    """

    level: Level
    parent: Parent
    situation: Situation


def places_of(
    declared: DeclaredTable, found: FoundTable, situation: Situation, *, gone: bool = False
) -> Iterator[Place]:
    """
    The table, then what is below it; branches of another form are left out.

    Args:
        gone: Give the branches of tenants that left, too: things expire there, and nothing is made.
    """
    yield from _below(Place(declared.level, found, situation), gone)


def _below(place: Place, gone: bool) -> Iterator[Place]:
    yield place
    level, parent, situation = place
    if level.below is None:
        return
    for partition in parent.partitions:
        if divides(level.below, partition):
            inside = descend(level, partition.bound, situation)
            if gone or not inside.gone:
                yield from _below(Place(level.below, partition, inside), gone)
