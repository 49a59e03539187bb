"""
Every remedy in every message is typed here: the state that provokes the message, what it says, and the state after.

A message without a row fails the first test. A new one gets a row in the table of its subject, in ``rows``.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.remedies.collect import Product
from tests.remedies.row import Box, Row, Way
from tests.remedies.rows import ROWS


def _stories(*, server: bool) -> list[object]:
    return [
        pytest.param(row, way, id=f"{row.name}-{number}", marks=() if row.by_server(way) else pytest.mark.once)
        for row in ROWS
        if row.server is server
        for number, way in enumerate(row.ways or (None,))
    ]


@pytest.mark.once
def test_every_message_has_a_row() -> None:
    without = [each for each in Product().templates() if not any(each.says(row.says) for row in ROWS)]
    said = [f"{each.where}: {each.line}" for each in without]

    assert [] == said, "write a row for each in tests/remedies/rows: what provokes it, and what its reader types"


@pytest.mark.once
def test_no_message_has_two_rows() -> None:
    says = [row.says for row in ROWS]

    assert [] == [each for each in says if says.count(each) > 1]


@pytest.mark.once
@pytest.mark.parametrize(("row", "way"), _stories(server=False))
def test_what_it_says_is_typed_and_works_without_a_server(row: Row, way: Way | None, tmp_path: Path) -> None:
    box = Box("postgresql+psycopg://nobody@127.0.0.1:1/nothing", tmp_path)
    try:
        row.play(box, way)
    finally:
        box.close()


@pytest.mark.parametrize(("row", "way"), _stories(server=True))
def test_what_it_says_is_typed_and_works(
    row: Row, way: Way | None, engine: Engine, server_major: int, tmp_path: Path
) -> None:
    if not row.since <= server_major <= row.until:
        pytest.skip(f"only {row.versions} can be in this state: run with --pg")
    box = Box(engine.url.render_as_string(hide_password=False), tmp_path)
    try:
        row.play(box, way)
    finally:
        box.close()
