"""What the server keeps in the options of a column for itself, as 15.20 does, is no setting of the table's."""

import pytest
from sqlalchemy import Engine

from sa_partman.ddl.render import quoted_sql
from sa_partman.maintenance.converter import Converter
from sa_partman.names import QualifiedName
from sa_partman.plan.conversion.fingerprint import fingerprint
from sa_partman.postgres.table_reader import read_table
from tests.support.carrying import EVENTS, NOW, Case, declared, rows, run
from tests.support.stamps import stamped

pytestmark = pytest.mark.everywhere
OPTIONS = """
SELECT attname FROM pg_attribute, unnest(attoptions) o
WHERE attrelid = CAST('{table}' AS regclass) AND o LIKE 'n_distinct%' ORDER BY 1
"""


def test_a_plan_sets_what_somebody_set(engine: Engine) -> None:
    """And nothing else: no statement for the stamps of each column of each partition."""
    run(engine, EVENTS + "ALTER TABLE events ALTER kind SET (n_distinct = 5)")
    stamped(engine, "events")
    steps = Converter(engine, declared(), now=NOW).plan("events").steps
    sent = [sql for step in steps for sql in quoted_sql(step.actions)]

    setting = [statement for statement in sent if "ALTER COLUMN" in statement and " SET (" in statement]
    assert ['"kind" SET (n_distinct=5)'] * len(setting) == [each.rpartition("COLUMN ")[2] for each in setting]
    assert 2 == len(setting)


def test_a_stamped_table_is_converted_and_taken_back(engine: Engine) -> None:
    """With what somebody set, on the table and on each partition."""
    run(engine, EVENTS + "ALTER TABLE events ALTER kind SET (n_distinct = 5, n_distinct_inherited = -0.5)")
    stamped(engine, "events")
    case = Case(engine, "")

    assert [] == case.lost
    for table in ("events", "events_history", "events_p20240701"):
        assert [("kind",), ("kind",)] == rows(engine, OPTIONS.format(table=table)), table
    assert "" == case.back()


def test_a_fingerprint_does_not_see_stamps(engine: Engine) -> None:
    """A column that the server stamps anew is the column that it was; one whose option somebody sets is not."""

    def taken() -> str:
        with engine.begin() as connection:
            found = read_table(connection, QualifiedName("public", "events"))
        assert found is not None
        return fingerprint(found)

    run(engine, EVENTS)
    before = taken()
    run(engine, "ALTER TABLE events ALTER kind SET (n_distinct = 5)")
    changed = taken()
    stamped(engine, "events")

    assert before != changed == taken()
