"""A detached table whose name somebody gave to another one while it was archived or dropped."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine

from sa_partman import Archive, StepEvent
from sa_partman.marks import marked
from sa_partman.names import QualifiedName
from tests.support.archives import MARCH, OLD, is_there, january, monthly
from tests.support.builders import at
from tests.support.database import sql, upkeep


def _instead(engine: Engine) -> list[str]:
    """Statements after which another table has the name, detached later from the same parent, of another bound."""
    march = "FOR VALUES FROM ('2026-03-01 00:00:00+00') TO ('2026-04-01 00:00:00+00')"
    mark = marked(QualifiedName("public", "events"), None, at("2026-04-01"), march).replace("'", "''")
    return [
        f"ALTER TABLE {OLD} RENAME TO put_aside",
        f"CREATE TABLE {OLD} AS SELECT 1 AS precious",
        f"COMMENT ON TABLE {OLD} IS '{mark}'".replace(":", r"\:"),
    ]


@pytest.mark.parametrize("archived", [False, True])
def test_the_end_of_a_detached_table_is_that_of_its_bound(engine: Engine, tmp_path: Path, archived: bool) -> None:
    """Its mark says what it held: another one that was detached from the same table, and has its name now, stays."""
    table = monthly(Archive(str(tmp_path)) if archived else "drop", grace="10 days")
    january(engine, table)
    upkeep(engine, table, MARCH).run()
    left = _instead(engine)

    def swap(event: StepEvent) -> None:
        while event.purpose in ("archive", "drop") and left:
            sql(engine, left.pop(0))

    upkeep(engine, table, "2026-04-02", hooks=[swap]).prune()

    assert is_there(engine)
