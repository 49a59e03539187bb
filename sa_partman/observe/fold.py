"""Which partitions a reader is shown when there are too many for a screen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sa_partman.checks.status import PartitionStatus, State
from sa_partman.observe.totals import gap_between

MOST_ROWS = 60
"""Partitions that are shown without folding any."""
HEAD, TAIL, NOTABLE = 10, 30, 20
"""Of a first level that is longer: its first and last ones, and those between that a reader must not miss."""
ALL = "sa-partman status --all shows every partition"


@dataclass(frozen=True, slots=True)
class Folded:
    """
    Partitions that are left out here.

    Args:
        depth: Of the highest of them.
        states: How many there are of each state.
        gaps: Ranges without a partition among them.
    """

    depth: int
    states: tuple[tuple[State, int], ...]
    gaps: int

    def __str__(self) -> str:
        number = sum(number for _, number in self.states)
        parts = [f"{number:,} {state.value}" for state, number in self.states]
        parts += [f"{self.gaps:,} {'gap' if self.gaps == 1 else 'gaps'}"] if self.gaps else []
        return f"{'  ' * (self.depth - 1)}... {number:,} more: {', '.join(parts)}"


def shown(partitions: Sequence[PartitionStatus], *, everything: bool = False) -> tuple[int | Folded, ...]:
    """
    The places of the partitions to show: as many levels as fit, or the first and last of the first level; and of the
    rest what a reader must not miss: pending detaches, gaps, the current one, the default, the ends of the expired.

    Args:
        everything: Fold none.

    Returns:
        Places in order, and what is left out between them.
    """
    if everything or len(partitions) <= MOST_ROWS:
        return tuple(range(len(partitions)))
    tree = _Tree(partitions)
    visible = set(_first_look(partitions))
    most = len(visible) + NOTABLE
    for place in tree.notable():
        wanted = visible.union(tree.path(place))
        if len(wanted) <= most:
            visible = wanted
    return tuple(_folded(tree, visible))


def _first_look(partitions: Sequence[PartitionStatus]) -> Sequence[int]:
    places: Sequence[int] = ()
    for depth in range(max(each.depth for each in partitions), 0, -1):
        places = [place for place, each in enumerate(partitions) if each.depth <= depth]
        if len(places) <= HEAD + TAIL + NOTABLE:
            return places
    return [*places[:HEAD], *places[-TAIL:]]


class _Tree:
    """The partitions with their parents, and with the sibling before each."""

    def __init__(self, partitions: Sequence[PartitionStatus]) -> None:
        self.partitions = partitions
        self.parents: list[int | None] = []
        self.before: list[int | None] = []
        last: list[int] = []
        for place, each in enumerate(partitions):
            self.parents.append(last[each.depth - 2] if each.depth > 1 else None)
            self.before.append(last[each.depth - 1] if len(last) >= each.depth else None)
            last[each.depth - 1 :] = [place]

    def path(self, place: int) -> Iterator[int]:
        """It and all above it."""
        here: int | None = place
        while here is not None:
            yield here
            here = self.parents[here]

    def after_gap(self, place: int) -> bool:
        before, each = self.before[place], self.partitions[place]
        if before is None or each.lower is None or self.partitions[before].upper is None:
            return False
        return gap_between(self.partitions[before], each)

    def notable(self) -> Iterator[int]:
        """What must not be missed, the most urgent first."""
        ranked = sorted((rank, place) for place in range(len(self.partitions)) for rank, place in self._noted(place))
        yield from dict.fromkeys(place for _, place in ranked)

    def _noted(self, place: int) -> Iterator[tuple[int, int]]:
        each, before = self.partitions[place], self.before[place]
        if each.state is State.PENDING:
            yield 0, place
        if before is None:
            return
        if self.after_gap(place):
            yield from ((1, before), (1, place))
        elif self.partitions[before].state is not each.state:
            # On lower levels every branch turns from kept to current to ahead.
            expired = State.EXPIRED in (self.partitions[before].state, each.state)
            if each.depth == 1 or expired:
                rank = 1 + each.depth + (each.state not in (State.CURRENT, State.DEFAULT))
                yield from ((rank, before), (rank, place))


def _folded(tree: _Tree, visible: set[int]) -> Iterator[int | Folded]:
    hidden: list[int] = []
    for place in range(len(tree.partitions)):
        if place not in visible:
            hidden.append(place)
            continue
        if hidden:
            yield _fold(tree, hidden, place)
        hidden = []
        yield place
    if hidden:
        yield _fold(tree, hidden, None)


def _fold(tree: _Tree, hidden: Sequence[int], following: int | None) -> Folded:
    parts = [tree.partitions[place] for place in hidden]
    counted = Counter(each.state for each in parts)
    gaps = sum(map(tree.after_gap, hidden))
    if following is not None and tree.before[following] in hidden:
        gaps += tree.after_gap(following)
    return Folded(min(each.depth for each in parts), _in_order(counted.items()), gaps)


def _in_order(states: Iterable[tuple[State, int]]) -> tuple[tuple[State, int], ...]:
    order = list(State)
    return tuple(sorted(states, key=lambda pair: order.index(pair[0])))
