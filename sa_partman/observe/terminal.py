"""The status on a terminal, with rich: a map of the partitions over their key, and a table with bars."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from sa_partman.checks.status import TableStatus
from sa_partman.observe.map import ALL, GAP, Folded, MapCell, MapLine, bytes_below, lines_of, shown
from sa_partman.observe.text import (
    BETWEEN,
    BOUND,
    COLUMNS,
    EVERY,
    NAME,
    ROWS,
    SIZE,
    STATE,
    Layout,
    flowed,
    footer,
    header,
    layout_of,
    row,
)

LEAST_WIDTH, MOST_WIDTH = 3, 4
MOST_CELLS = 40
MARGIN = "  "

STYLES = {
    "expired": "red",
    "kept": "cyan",
    "current": "bold green",
    "ahead": "blue",
    GAP: "bold white on red",
    "detach pending": "magenta",
    "default": "yellow",
    "detached": "dim",
}
_MARKS = {"expired": "✗", "kept": "█", "current": "●", "ahead": "░", GAP: "!", "detach pending": "~"}
_ASCII = {"expired": "x", "kept": "#", "current": "@", "ahead": ".", GAP: "!", "detach pending": "~"}
_SIZES, _ASCII_SIZES = "▁▂▃▄▅▆▇█", "12345678"


def show(tables: Iterable[TableStatus], console: Console, *, everything: bool = False) -> None:
    """
    Print every table on *console*; in ASCII where its encoding is no UTF.

    Args:
        everything: Every partition, however many there are.
    """
    for place, table in enumerate(tables):
        if place:
            console.print()
        for line in _Drawing(console, everything).table(table):
            # What is longer than the terminal is wide is broken by the terminal, and is copied whole.
            console.print(line, soft_wrap=True)


class _Drawing:
    def __init__(self, console: Console, everything: bool) -> None:
        self.everything = everything
        self.unicode = (console.encoding or "").lower().startswith("utf")
        self.marks = _MARKS if self.unicode else _ASCII
        self.sizes = _SIZES if self.unicode else _ASCII_SIZES
        self.full = "█" if self.unicode else "#"
        self.width = console.width - 2
        self.most = max(4, min(MOST_CELLS, self.width // LEAST_WIDTH))

    def table(self, table: TableStatus) -> Iterator[Text]:
        name, *words = header(table)
        yield from self.flow([Text(name, "bold"), *map(Text, words)], "")
        if table.problem:
            yield Text.assemble("  ", ("ERROR: ", "bold red"), table.problem)
        if table.information:
            yield Text.assemble("  ", (table.information, "yellow"))
        lines = lines_of(table, self.most)
        for line in lines:
            yield from self.line(line)
        if lines:
            yield from self.flow(list(self.legend(lines)), MARGIN)
        yield from self.flow([Text(part) for part in footer(table)], MARGIN)
        if table.lingering:
            yield Text(f"{MARGIN}{table.lingering}")
        if table.partitions:
            yield from self.partitions(table)

    def flow(self, parts: Sequence[Text], margin: str) -> Iterator[Text]:
        """*parts* side by side, on as many lines as they need."""
        for places in flowed([part.cell_len for part in parts], self.width + len(MARGIN) - len(margin)):
            yield Text.assemble(margin, Text(" " * BETWEEN).join(parts[place] for place in places))

    def line(self, line: MapLine) -> Iterator[Text]:
        width = MOST_WIDTH if MOST_WIDTH * len(line.cells) <= self.width else LEAST_WIDTH
        if line.label:
            yield Text(f"  {line.label}", "dim")
        if any(cell.label for cell in line.cells):
            yield Text.assemble(
                "  ", *((cell.label.ljust(width), "bold" if cell.turn else "dim") for cell in line.cells)
            )
        biggest = max(cell.bytes for cell in line.cells)
        if biggest:
            yield self.drawn(line, [self.bar(cell, biggest) for cell in line.cells], width)
        yield self.drawn(line, [self.marks[cell.state] for cell in line.cells], width)

    def drawn(self, line: MapLine, characters: Sequence[str], width: int) -> Text:
        pairs = zip(line.cells, characters, strict=True)
        parts = ((character * (width - 1), STYLES[cell.state]) for cell, character in pairs)
        return Text.assemble("  ", *(piece for part in parts for piece in (part, " ")))

    def bar(self, cell: MapCell, biggest: int) -> str:
        return " " if cell.state == GAP else self.sizes[(len(self.sizes) - 1) * cell.bytes // biggest]

    def legend(self, lines: Sequence[MapLine]) -> Iterator[Text]:
        there = {cell.state for line in lines for cell in line.cells}
        for state in (each for each in self.marks if each in there):
            yield Text.assemble((f"{self.marks[state]} ", STYLES[state]), (state, "dim"))
        most = max(line.per_cell for line in lines)
        if most > 1:
            yield Text(f"up to {most} partitions a mark", "dim")

    def partitions(self, table: TableStatus) -> Iterator[Text]:
        places = shown(table.partitions, everything=self.everything)
        lines = {place: row(table, place) for place in places if not isinstance(place, Folded)}
        widths = _widths(lines.values())
        if layout_of(widths, self.width).columns != EVERY:
            # The header says the schema already.
            schema, dot, _ = table.table.partition(".")
            lines = {place: (_without(schema + dot, cells[NAME]), *cells[1:]) for place, cells in lines.items()}
            widths = _widths(lines.values())
        layout = layout_of(widths, self.width)
        sizes = {place: bytes_below(table.partitions, place) for place in lines}
        biggest = max(sizes.values()) or 1
        if layout.columns:
            yield Text.assemble(MARGIN, (_side_by_side(COLUMNS, widths, layout, " " * layout.bar), "dim"))
        for place in places:
            if isinstance(place, Folded):
                yield Text(f"{MARGIN}{place}", "dim")
            elif layout.columns:
                bar = (self.full * round(layout.bar * sizes[place] / biggest)).ljust(layout.bar)
                yield self.one_line(lines[place], widths, layout, bar)
            else:
                yield from self.several_lines(lines[place])
        if any(isinstance(place, Folded) for place in places):
            yield Text(f"{MARGIN}({ALL})", "dim")
        if layout.missing:
            yield Text(f"{MARGIN}(more columns: {layout.missing + len(MARGIN) * 2} wide)", "dim")

    def one_line(self, cells: Sequence[str], widths: Sequence[int], layout: Layout, bar: str) -> Text:
        text = Text(f"{MARGIN}{_side_by_side(cells, widths, layout, bar)}".rstrip())
        # The bar and the state are the last ones.
        text.stylize(STYLES[cells[STATE]], text.cell_len - len(cells[STATE]) - (len(bar) and len(bar) + BETWEEN))
        return text

    def several_lines(self, cells: Sequence[str]) -> Iterator[Text]:
        name = cells[NAME]
        yield Text(f"{MARGIN}{name}")
        margin = MARGIN * 2 + " " * (len(name) - len(name.lstrip()))
        parts = (cells[BOUND], f"{cells[ROWS]} rows", cells[SIZE])
        yield from self.flow(
            [*(Text(part) for part in parts if part), Text(cells[STATE], STYLES[cells[STATE]])], margin
        )


def _widths(lines: Iterable[Sequence[str]]) -> list[int]:
    return [max(map(cell_len, column)) for column in zip(COLUMNS, *lines, strict=True)]


def _without(schema: str, name: str) -> str:
    """*name* with its indentation, without *schema*."""
    bare = name.lstrip()
    return name[: len(name) - len(bare)] + bare.removeprefix(schema)


def _side_by_side(cells: Sequence[str], widths: Sequence[int], layout: Layout, bar: str) -> str:
    padded = []
    for place in layout.columns:
        space = " " * (widths[place] - cell_len(cells[place]))
        if place == STATE and bar:
            padded.append(bar)
        padded.append(space + cells[place] if place in (ROWS, SIZE) else cells[place] + space)
    return (" " * BETWEEN).join(padded)
