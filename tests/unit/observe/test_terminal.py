"""The status on terminals of all widths: what is dropped, and what stays whole."""

import io
import re
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from sa_partman.checks.status import PartitionStatus, State, TableStatus
from sa_partman.observe.map import ALL
from sa_partman.observe.terminal import show
from sa_partman.observe.text import flowed
from tests.unit.observe.test_status_views import days, divided, table

NAMES = {
    "short": "public.events_p20300601",
    "long": f"analytics.{'measurement_' * 4}_p20300601_12",
    "wide": "public.訪問記録訪問記録_p20300601",
}


class Ascii(io.StringIO):
    encoding = "ascii"


class Unicode(io.StringIO):
    encoding = "utf-8"


def printed(status: TableStatus, width: int, file: io.StringIO | None = None) -> list[str]:
    console = Console(file=Unicode() if file is None else file, width=width, force_terminal=True, no_color=True)
    show([status], console)
    assert isinstance(console.file, io.StringIO)
    return re.sub("\x1b\\[[0-9;]*m", "", console.file.getvalue()).splitlines()


def named(name: str) -> TableStatus:
    """Four months, as `status` has them."""
    parts = [
        replace(each, name=f"{name}{number}", shown="[2030-06-01, 2030-07-01)", rows=336_776, bytes=13_900_000)
        for number, each in enumerate([*days(2), *days(1, State.CURRENT, 2), *days(1, State.PENDING, 3)])
    ]
    return table(*parts)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("width", [80, 120, 240])
@pytest.mark.parametrize("file", [Unicode, Ascii])
def test_everything_is_whole_from_80_columns_on(width: int, name: str, file: type[io.StringIO]) -> None:
    lines = printed(named(name), width, file())
    text = "\n".join(lines)

    assert all(cell_len(line) <= width for line in lines)
    for number, state in enumerate(("kept", "kept", "current", "detach pending")):
        after = text.split(f"{name.partition('.')[2]}{number}")[1]
        for whole in ("[2030-06-01, 2030-07-01)", "~336,776", "13.9 MB", state):
            assert whole in after


@pytest.mark.parametrize(("width", "bar"), [(80, False), (120, True), (240, True)])
def test_the_bar_goes_first(width: int, bar: bool) -> None:
    """Then the schema, which the header says already."""
    lines = printed(named("public.events_p2030060"), width, Ascii())

    assert bar is any("########" in line and "current" in line for line in lines)
    assert any(line.split() == ["partition", "bound", "rows", "size", "state"] for line in lines)
    assert bar is any(line.startswith("  public.events_p") for line in lines)


def test_a_narrow_terminal_keeps_the_name_and_the_state() -> None:
    lines = printed(named("public.events_p2030060"), 40)

    assert all(cell_len(line) <= 40 for line in lines)
    for cells in (["events_p20300600", "kept"], ["events_p20300602", "current"]):
        assert cells in [line.split() for line in lines]
    assert any("more columns: " in line for line in lines)


@pytest.mark.parametrize("width", [20, 40])
@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_name_is_never_cut(width: int, name: str) -> None:
    """The terminal breaks what is longer than it is wide."""
    text = "\n".join(printed(named(name), width))

    for number, state in enumerate(("kept", "kept", "current", "detach pending")):
        assert state in text.split(f"{name.partition('.')[2]}{number}")[1]


def test_what_is_left_out_is_said() -> None:
    lines = printed(table(*days(4000)), 80)

    assert any("... 3,960 more: 3,960 kept" in line for line in lines)
    assert ALL in lines[-1]


def test_sub_partitions_are_indented_on_several_lines_too() -> None:
    lines = printed(table(*divided("eu", *(replace(each, shown="x" * 90) for each in days(1, depth=2)))), 80)

    assert "    events_2030-01-01T00:00:00+00:00" in lines
    assert f"      {'x' * 90}" in lines


@pytest.mark.parametrize(
    ("lengths", "lines"),
    [((), []), ((9, 9), [(0, 1)]), ((9, 10), [(0,), (1,)]), ((30, 5, 5), [(0,), (1, 2)]), ((5, 5, 30), [(0, 1), (2,)])],
)
def test_pieces_flow(lengths: tuple[int, ...], lines: list[tuple[int, ...]]) -> None:
    assert lines == [tuple(each) for each in flowed(lengths, 20)]


def test_a_partition_without_a_bound_has_no_empty_place() -> None:
    gone = PartitionStatus("public.events_old" * 4, "", None, None, State.DETACHED, 1, None, 8192)

    assert "    ? rows  8.2 kB  detached" in printed(table(gone), 80)
