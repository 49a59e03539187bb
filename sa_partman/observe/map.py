"""
The partition map as values: siblings on one line, in key order, with the gaps; sums; and which are shown when there
are too many.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from math import ceil, log10

from sa_partman.bounds.interval import Position
from sa_partman.checks.status import PartitionStatus, State, TableStatus

UNITS = ("B", "kB", "MB", "GB", "TB")


def leaves(partitions: Sequence[PartitionStatus]) -> tuple[PartitionStatus, ...]:
    """Those without sub-partitions: the next one in order is not deeper."""
    following = [each.depth for each in partitions[1:]] + [0]
    return tuple(each for each, depth in zip(partitions, following, strict=False) if depth <= each.depth)


def bytes_below(partitions: Sequence[PartitionStatus], index: int) -> int:
    """Of the partition at *index* and all its sub-partitions, as far as anybody knows."""
    return sum(each.bytes or 0 for each in _branch(partitions, index))


def rows_below(partitions: Sequence[PartitionStatus], index: int) -> int | None:
    """Estimated, of all leaves of the partition at *index*; None when none of them was analyzed."""
    return total_rows(_branch(partitions, index))


def total_rows(partitions: Sequence[PartitionStatus]) -> int | None:
    """Estimated; None when no leaf was ever analyzed."""
    known = [each.rows for each in leaves(partitions) if each.rows is not None]
    return sum(known) if known else None


def _branch(partitions: Sequence[PartitionStatus], index: int) -> Sequence[PartitionStatus]:
    end = index + 1
    while end < len(partitions) and partitions[end].depth > partitions[index].depth:
        end += 1
    return partitions[index:end]


def gap_between(earlier: PartitionStatus, later: PartitionStatus) -> bool:
    """Whether a range lacks between two siblings; one instant may be written in two ways, as other tools do."""
    if earlier.upper == later.lower or earlier.tenant != later.tenant:
        return False
    return earlier.ends is None or earlier.ends != later.begins


def size(number: float) -> str:
    """``13.9 MB``: decimal units, as PostgreSQL's users read them in most tools."""
    if number < 1000:
        return f"{number:.0f} B"
    place = min(int(log10(number)) // 3, len(UNITS) - 1)
    return f"{number / 1000**place:.1f} {UNITS[place]}"


def size_of(partitions: Sequence[PartitionStatus]) -> str:
    """Of all of them whose size is known; ``?`` where it is of none."""
    known = [each.bytes for each in leaves(partitions) if each.bytes is not None]
    return size(sum(known)) if known or not partitions else "?"


def size_below(partitions: Sequence[PartitionStatus], index: int) -> str:
    """`size_of` the partition at *index* with all its sub-partitions."""
    return size_of(_branch(partitions, index))


def about(rows: int | None) -> str:
    """``~336,776``: the planner's estimate; ``?`` before the first ANALYZE."""
    return "?" if rows is None else f"~{rows:,}"


GAP = "gap"
FIRST_SEEN = (GAP, State.CURRENT, State.PENDING, State.EXPIRED, State.AHEAD, State.KEPT)
"""Which state a cell of several partitions shows: what a reader must not miss comes first."""


@dataclass(frozen=True, slots=True)
class MapCell:
    """
    One column of the map.

    Args:
        label: At most three characters; empty when the key is no time.
        state: A `State`, or `GAP`.
        bytes: Of all its partitions.
        turn: Whether a longer unit begins here: a year, a month, a day.
    """

    label: str
    state: str
    bytes: int
    turn: bool = False


@dataclass(frozen=True, slots=True)
class MapLine:
    """
    Siblings.

    Args:
        label: The partition that they divide, or the tenant whose they are; empty for the table's own.
        cells: In key order.
        per_cell: How many partitions a cell stands for, at most.
    """

    label: str
    cells: tuple[MapCell, ...]
    per_cell: int


@dataclass(frozen=True, slots=True)
class _Piece:
    begins: Position | None
    state: str
    bytes: int


def lines_of(table: TableStatus, most: int) -> tuple[MapLine, ...]:
    """
    A line for each group of siblings with ranges, and for each tenant, the table's own first.

    Args:
        most: Cells on a line; more partitions than that share cells.
    """
    groups: dict[str, list[_Piece]] = {}
    last: dict[str, PartitionStatus] = {}
    path: list[str] = [""]
    for index, each in enumerate(table.partitions):
        del path[each.depth :]
        parent = path[-1] if not each.tenant else f"{path[-1]} {each.tenant}".strip()
        path.append(each.name)
        if each.lower is None or each.upper is None:
            continue
        pieces = groups.setdefault(parent, [])
        if parent in last and gap_between(last[parent], each):
            pieces.append(_Piece(last[parent].ends, GAP, 0))
        pieces.append(_Piece(each.begins, each.state.value, bytes_below(table.partitions, index)))
        last[parent] = each
    return tuple(_line(parent, pieces, most) for parent, pieces in groups.items())


def _line(label: str, pieces: Sequence[_Piece], most: int) -> MapLine:
    per_cell = ceil(len(pieces) / most)
    buckets = [pieces[start : start + per_cell] for start in range(0, len(pieces), per_cell)]
    starts = [_time(bucket[0].begins) for bucket in buckets]
    labels = _labels(starts)
    cells = (_cell(bucket, *label) for bucket, label in zip(buckets, labels, strict=True))
    return MapLine(label, tuple(cells), per_cell)


def _cell(bucket: Sequence[_Piece], label: str, turn: bool) -> MapCell:
    states = {piece.state for piece in bucket}
    state = next((str(each) for each in FIRST_SEEN if each in states), bucket[0].state)
    return MapCell(label, state, sum(piece.bytes for piece in bucket), turn)


def _labels(starts: Sequence[datetime | None]) -> list[tuple[str, bool]]:
    known = [start for start in starts if start is not None]
    steps = sorted((later - earlier).total_seconds() for earlier, later in pairwise(known))
    days = steps[len(steps) // 2] / 86_400 if steps else 31
    labels = []
    before: datetime | None = None
    for start in starts:
        labels.append(("", False) if start is None else _label(start, before, days))
        before = start or before
    return labels


def _label(start: datetime, before: datetime | None, days: float) -> tuple[str, bool]:
    """What of *start* differs from the cell *before*: its year, month, day or hour."""
    if days >= 300 or before is None or before.year != start.year:
        return f"'{start:%y}", True
    if days >= 27:
        return f"{start:%b}", False
    if before.month != start.month:
        return f"{start:%b}", True
    if days >= 0.99 or before.date() != start.date():
        return f"{start:%d}", days < 0.99
    return f"{start:%H}", False


def _time(position: Position | None) -> datetime | None:
    """In UTC, if it is a time."""
    if not isinstance(position, datetime):
        return None
    return position.astimezone(UTC) if position.tzinfo else position


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
