"""What is refused by name before anything is touched, and what a pasted script looks at."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Engine

from sa_partman.ddl.render import quoted_sql
from sa_partman.errors import ConversionRefused
from sa_partman.maintenance.rewriter import Rewriter
from sa_partman.plan.rewrite.actions import RequirePartition
from sa_partman.postgres.session import execute_sql
from tests.support.catalog_snapshot import difference, snapshot
from tests.support.database import as_role, role, sql
from tests.support.rewriting import VERBS, rewriter

HIDING = "GRANT USAGE ON SCHEMA public TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}"


@pytest.mark.parametrize(("verb", "partition"), [("split", "events_history"), ("drain", "events_default")])
@pytest.mark.parametrize("way", ["plan", "act"])
def test_rows_that_the_role_does_not_see(way: str, verb: str, partition: str, engine: Engine) -> None:
    """Where the rows have to be asked how far they reach, the server would refuse to look."""
    metadata = VERBS[verb].prepare(engine, 100)
    acts: dict[str, Callable[[Rewriter], object]] = {"split": lambda work: work.split(partition, into="1 month")}
    acts["drain"] = lambda work: work.drain("events")
    plans: dict[str, Callable[[Rewriter], object]] = {
        "split": lambda work: work.plan_split(partition, into="1 month").refusals,
        "drain": lambda work: work.plan_drain("events").refusals,
    }
    said = rf"row level security hides rows of public\.{partition} from this role.*BYPASSRLS"
    with role(engine, HIDING) as name:
        sql(engine, f"ALTER TABLE {partition} ENABLE ROW LEVEL SECURITY")
        before, other = snapshot(engine), as_role(engine, name)
        try:
            if way == "plan":
                refusals = plans[verb](rewriter(other, metadata))
                assert isinstance(refusals, tuple)
                (found,) = refusals
                assert f"row level security hides rows of public.{partition}" in str(found)
            else:
                with pytest.raises(ConversionRefused, match=said):
                    acts[verb](rewriter(other, metadata))
        finally:
            other.dispose()
        assert "" == difference(before, snapshot(engine))


def test_a_bound_is_the_same_in_every_time_zone(engine: Engine) -> None:
    """In a session of the user's own, where a script was pasted, it is printed otherwise; and the session stays so."""
    metadata = VERBS["split"].prepare(engine, 100)
    (check, *_), *_ = (step.actions for step in rewriter(engine, metadata).plan_split("events_history").steps)
    assert isinstance(check, RequirePartition)

    with engine.begin() as connection:
        connection.exec_driver_sql("SET LOCAL TimeZone = 'America/New_York'; SET LOCAL DateStyle = 'German'")
        execute_sql(connection, quoted_sql((check,))[0])
        shown = connection.exec_driver_sql("SELECT current_setting('TimeZone'), current_setting('DateStyle')").one()

    assert ("America/New_York", "German, DMY") == tuple(shown)
