"""The cut-over reads nothing: no file changes, and the server says that it proved instead of looking."""

from typing import Any

from sqlalchemy import Engine, event

from sa_partman.ddl.render import quoted_sql
from sa_partman.maintenance.converter import Converter
from tests.support.carrying import EVENTS, NOW, declared, rows, run

SETUP = (
    EVENTS
    + """
    CREATE TABLE kinds (kind text PRIMARY KEY); INSERT INTO kinds SELECT DISTINCT kind FROM events;
    ALTER TABLE events ADD FOREIGN KEY (kind) REFERENCES kinds;
    ALTER TABLE events ALTER created_at DROP NOT NULL;
    CREATE INDEX i ON events (kind) INCLUDE (amount); CREATE INDEX j ON events USING brin (created_at);
    CREATE UNIQUE INDEX u ON events (kind, amount, created_at);
    ALTER TABLE events ADD CONSTRAINT v UNIQUE (created_at, id);
"""
)
FILES = """
    SELECT c.relfilenode FROM pg_class c WHERE c.oid = '{0}'::regclass OR c.oid IN (
        SELECT indexrelid FROM pg_index WHERE indrelid = '{0}'::regclass) ORDER BY 1
"""


class Notices:
    """What the server says at DEBUG1 while the steps run, with the function that says it."""

    def __init__(self, engine: Engine) -> None:
        self.said: list[tuple[str, str]] = []
        event.listen(engine, "checkout", self._listen)

    def _listen(self, connection: Any, *_: Any) -> None:
        connection.add_notice_handler(lambda d: self.said.append((d.source_function or "", d.message_primary or "")))

    def of(self, function: str) -> list[str]:
        return [message for source, message in self.said if source == function]


def test_the_swap_writes_no_file_and_reads_no_table(engine: Engine) -> None:
    """Heap and indexes are the same files, but for the primary key, whose index was built before."""
    run(engine, SETUP)
    before = rows(engine, FILES.format("events"))
    converter = Converter(engine, declared(), now=NOW)
    notices = Notices(converter.engine)
    converter.convert("events")
    after = rows(engine, FILES.format("events_history"))

    assert 5 == len({*before} & {*after})
    assert 1 == len({*after} - {*before})
    assert any(
        "is implied by existing constraints" in said for said in notices.of("QueuePartitionConstraintValidation")
    )
    assert [] == [said for said in notices.of("ATRewriteTable") if "events_history" in said]
    assert [] == notices.of("ATRewriteTables")
    assert [] == [said for said in notices.of("index_build") if "events_history" in said]
    assert [] == notices.of("validateForeignKeyConstraint")


def test_the_undo_gives_the_same_files_back(engine: Engine) -> None:
    """The heap and the indexes of the history become those of the table, but for its primary key."""
    run(engine, SETUP)
    before = rows(engine, FILES.format("events"))
    converter = Converter(engine, declared(), now=NOW)
    converter.convert("events")
    converter.undo("events")

    assert 5 == len({*before} & {*rows(engine, FILES.format("events"))})


def test_without_the_proof_the_guard_would_stop_the_swap(engine: Engine) -> None:
    """The check of this test: a constraint that proves nothing is noticed, and all of the swap is rolled back."""
    run(engine, SETUP)
    converter = Converter(engine, declared(), now=NOW)
    steps = {step.id: step for step in converter.plan("events").steps}
    notices = Notices(engine)
    with engine.connect() as connection:
        connection.exec_driver_sql("SET client_min_messages = debug1")
        for statement in quoted_sql(steps["parent"].actions):
            connection.exec_driver_sql(statement.replace("%", "%%"))
        swap = next(each for each in quoted_sql(steps["cutover"].actions) if "ATTACH PARTITION" in each)
        connection.exec_driver_sql(
            "ALTER TABLE events RENAME TO events_history; ALTER TABLE events_pnew DROP CONSTRAINT events_pkey_pnew;"
            "ALTER TABLE events_pnew RENAME TO events; ALTER TABLE events_history ALTER created_at SET NOT NULL;"
            "ALTER TABLE events_history ALTER id DROP IDENTITY"
        )
        connection.exec_driver_sql(swap)
        connection.rollback()

    assert any("events_history" in said for said in notices.of("ATRewriteTable"))
