"""The places of a table: everything that is divided as declared, with the level that divides it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from sa_partman.catalog import FoundTable, Parent
from sa_partman.compare.descend import descend, divides
from sa_partman.compare.lists import is_active
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


def places_of(declared: DeclaredTable, found: FoundTable, situation: Situation) -> Iterator[Place]:
    """The table, then what is below it; branches of another form, or of a tenant that is gone, are left out."""
    yield from _below(Place(declared.level, found, situation))


def _below(place: Place) -> Iterator[Place]:
    yield place
    level, parent, situation = place
    if level.below is None:
        return
    for partition in parent.partitions:
        if divides(level.below, partition) and is_active(level, partition.bound, situation):
            yield from _below(Place(level.below, partition, descend(level, partition.bound, situation)))
