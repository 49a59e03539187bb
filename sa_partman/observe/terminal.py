"""The status on a terminal, with rich: a map of the partitions over their key, and a table with bars."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from sa_partman.checks.status import TableStatus
from sa_partman.observe.cells import GAP, Cell, Line, lines_of
from sa_partman.observe.fold import shown
from sa_partman.observe.plain import COLUMNS, footer, header, rows
from sa_partman.observe.totals import bytes_below

LEAST_WIDTH, MOST_WIDTH = 3, 4
MOST_CELLS = 40
BAR = 16

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


def show(tables: Iterable[TableStatus], console: Console) -> None:
    """Print every table on *console*; in ASCII where its encoding is no UTF."""
    for place, table in enumerate(tables):
        if place:
            console.print()
        for part in _Drawing(console).table(table):
            console.print(part, soft_wrap=isinstance(part, Text))


class _Drawing:
    def __init__(self, console: Console) -> None:
        self.unicode = (console.encoding or "").lower().startswith("utf")
        self.marks = _MARKS if self.unicode else _ASCII
        self.sizes = _SIZES if self.unicode else _ASCII_SIZES
        self.width = console.width - 2
        self.most = max(4, min(MOST_CELLS, self.width // LEAST_WIDTH))

    def table(self, table: TableStatus) -> Iterator[RenderableType]:
        name, words = header(table)
        yield Text.assemble((name, "bold"), "  ", words)
        if table.problem:
            yield Text.assemble("  ", ("ERROR: ", "bold red"), table.problem)
        lines = lines_of(table, self.most)
        for line in lines:
            yield from self.line(line)
        if lines:
            yield self.legend(lines)
        yield Text(f"  {footer(table)}")
        if table.partitions:
            yield self.partitions(table)

    def line(self, line: Line) -> Iterator[Text]:
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

    def drawn(self, line: Line, characters: Sequence[str], width: int) -> Text:
        pairs = zip(line.cells, characters, strict=True)
        parts = ((character * (width - 1), STYLES[cell.state]) for cell, character in pairs)
        return Text.assemble("  ", *(piece for part in parts for piece in (part, " ")))

    def bar(self, cell: Cell, biggest: int) -> str:
        return " " if cell.state == GAP else self.sizes[(len(self.sizes) - 1) * cell.bytes // biggest]

    def legend(self, lines: Sequence[Line]) -> Text:
        there = {cell.state for line in lines for cell in line.cells}
        text = Text("  ")
        for state in (each for each in self.marks if each in there):
            text.append(f"{self.marks[state]} ", STYLES[state]).append(f"{state}   ", "dim")
        most = max(line.per_cell for line in lines)
        return text.append(f"up to {most} partitions a mark", "dim") if most > 1 else text

    def partitions(self, table: TableStatus) -> Table:
        drawn = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1), show_edge=False)
        for name in ("  " + COLUMNS[0], *COLUMNS[1:4], "", COLUMNS[4]):
            drawn.add_column(name, justify="right" if name in ("rows", "size") else "left", no_wrap=True)
        sizes = [bytes_below(table.partitions, place) for place in range(len(table.partitions))]
        texts = list(rows(table))
        for place in shown(table.partitions):
            if place is None:
                drawn.add_row(Text("  ... (all of them: sa-partman status --json)", "dim"))
            else:
                drawn.add_row(*self.row(texts[place], sizes[place] / (max(sizes) or 1)))
        return drawn

    def row(self, cells: tuple[str, ...], share: float) -> Iterator[Text]:
        style = STYLES[cells[-1]]
        yield Text(f"  {cells[0]}")
        yield from (Text(cell) for cell in cells[1:-1])
        yield Text(("█" if self.unicode else "#") * round(BAR * share), style)
        yield Text(cells[-1], style)
