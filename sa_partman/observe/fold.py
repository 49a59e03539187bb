"""Which partitions a reader is shown when there are too many for a screen."""

from __future__ import annotations

from collections.abc import Sequence

from sa_partman.checks.status import PartitionStatus

MOST_ROWS = 60
HEAD = 10


def shown(partitions: Sequence[PartitionStatus], most: int = MOST_ROWS) -> tuple[int | None, ...]:
    """
    The places of the partitions to show: as many levels as fit, and of the first level the first and the last ones.

    Returns:
        Places in order; None stands for those left out there.
    """
    deepest = max((each.depth for each in partitions), default=1)
    places = [0]
    for depth in range(deepest, 0, -1):
        places = [place for place, each in enumerate(partitions) if each.depth <= depth]
        if len(places) <= most:
            return tuple(places)
    return (*places[:HEAD], None, *places[HEAD - most :])
