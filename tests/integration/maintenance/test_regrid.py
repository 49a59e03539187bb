"""A changed interval: what is ahead and empty gives way to partitions of the new one, and no insert ever fails."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import pytest
from sqlalchemy import BigInteger, Column, Engine, create_engine

from sa_partman import PartitionByHash, PartitionByRange
from sa_partman.bounds.read import parse_bound
from sa_partman.key import KeyType
from sa_partman.maintenance.results import Outcome
from tests.support.builders import at
from tests.support.database import HASTY, codes, holding, new_table, outcomes, partitions, put, scalar, sql, upkeep
from tests.support.faults import chance, some
from tests.support.killing import at_point, die, others, process, until

NOW = "2030-06-15 12:00"
MONTHLY = PartitionByRange("created_at", interval="1 month", premake=2)
DAILY = PartitionByRange("created_at", interval="1 day", premake=2)
REST = PartitionByRange("created_at", interval="1 week", premake=3)


def begun(engine: Engine, spec: PartitionByRange) -> None:
    """The table, as a run of *spec* left it."""
    table = new_table(spec)
    table.create(engine)
    for name in partitions(engine):
        sql(engine, f"DROP TABLE {name}")
    upkeep(engine, table, NOW).run()


def ends(engine: Engine) -> list[str]:
    """The partitions as ``0601-0701``, ascending."""
    kind = [KeyType.of("timestamp with time zone")]
    found = [parse_bound(bound, kind) for bound in partitions(engine).values()]
    return sorted(f"{each.lower[0]:%m%d}-{each.upper[0]:%m%d}" for each in found)  # type: ignore[union-attr]


def months(first: int, last: int) -> list[str]:
    return [f"{month:02}01-{month + 1:02}01" for month in range(first, last + 1)]


def test_monthly_to_daily(engine: Engine) -> None:
    """The days begin in July instead of September; nothing that had a partition is without one."""
    begun(engine, MONTHLY)
    maintainer = upkeep(engine, new_table(DAILY), NOW)
    (told,) = (each for each in maintainer.check() if each.code == "other-interval")
    result = maintainer.run(regrid=True)

    assert "interval='1 day' begins at 2030-09-01: 2 partitions before that" in told.message
    assert ["regrid", "regrid"] == [each.step.purpose for each in result.steps]
    assert result.ok
    assert 1 + 31 + 31 == len(partitions(engine))
    assert "0601-0701" == ends(engine)[0]
    assert "0701-0702" == ends(engine)[1]
    assert "0831-0901" == ends(engine)[-1]
    assert () == maintainer.run(regrid=True).steps
    later = (
        "public.events: interval='1 day' begins at 2030-07-01: public.events_p20300601, the partition of now, has "
        "another width, and is used until then"
    )
    assert [later] == [each.message for each in result.findings]
    assert [later] == [each.message for each in maintainer.check() if each.code == "other-interval"]
    assert "other-interval" not in codes(upkeep(engine, new_table(DAILY), "2030-07-05").check())
    assert "sa_partman: created" == scalar(engine, "SELECT obj_description('events_p20300701'::regclass)")


def test_daily_to_monthly(engine: Engine) -> None:
    """What is left of this month is one partition, then come whole ones."""
    begun(engine, DAILY.with_(premake=20))
    maintainer = upkeep(engine, new_table(MONTHLY), NOW)
    result = maintainer.run(regrid=True)

    assert result.ok
    assert ["0615-0616", "0616-0701", *months(7, 8)] == ends(engine)
    assert not maintainer.plan(regrid=True)


def test_weeks_instead_of_months(engine: Engine) -> None:
    """Weeks that reach from month to month: one exchange of both."""
    begun(engine, MONTHLY)
    maintainer = upkeep(engine, new_table(REST), NOW)

    assert ["regrid"] == [each.step.purpose for each in maintainer.run(regrid=True).steps]
    assert ["0601-0701", "0701-0708", "0708-0715"] == ends(engine)[:3]
    assert not maintainer.plan(regrid=True)


def test_numbers(engine: Engine) -> None:
    """The highest value is the clock."""
    columns = Column("id", BigInteger, primary_key=True)
    new_table(PartitionByRange("id", interval=1000, premake=2), columns).metadata.create_all(engine)
    sql(engine, "INSERT INTO events (id, created_at) VALUES (500, now())")
    table = new_table(PartitionByRange("id", interval=500, premake=2), Column("id", BigInteger, primary_key=True))
    upkeep(engine, table).run(regrid=True)

    assert {f"events_p{low}" for low in (0, 1000, 1500, 2000, 2500)} == set(partitions(engine))


def test_what_holds_a_row_stays(engine: Engine) -> None:
    """And what else is ahead does not wait for it."""
    begun(engine, MONTHLY)
    put(engine, new_table(DAILY), "2030-07-20")
    result = upkeep(engine, new_table(DAILY), NOW).run(regrid=True)

    assert ["regrid-kept"] == codes(result.findings)
    assert ["0601-0701", "0701-0801", "0801-0802"] == ends(engine)[:3]
    assert 1 == scalar(engine, "SELECT count(*) FROM events_p20300701")


@pytest.mark.parametrize("comment", ["NULL", "'mine'"])
def test_what_is_not_ours_stays(engine: Engine, comment: str) -> None:
    """Until somebody hands it over."""
    begun(engine, MONTHLY)
    sql(engine, f"COMMENT ON TABLE events_p20300701 IS {comment}")
    upkeep(engine, new_table(DAILY), NOW).run(regrid=True)

    assert ["0601-0701", "0701-0801", "0801-0802"] == ends(engine)[:3]


def test_a_row_that_comes_between_the_look_and_the_lock(engine: Engine) -> None:
    """It is asked under the lock: the step fails, and the row is where it was."""
    begun(engine, MONTHLY)
    table = new_table(DAILY)

    def late(_: object) -> None:
        if not scalar(engine, "SELECT count(*) FROM events"):
            put(engine, table, "2030-07-20")

    result = upkeep(engine, table, NOW, hooks=[late]).run(regrid=True)

    assert ["failed", "done"] == outcomes(result)
    assert "holds rows by now" in result.steps[0].error
    assert 1 == scalar(engine, "SELECT count(*) FROM events_p20300701")
    assert ["0701-0801", "0801-0802"] == ends(engine)[1:3]


def test_a_row_that_is_not_committed_yet(engine: Engine) -> None:
    """Nobody sees it, and it keeps its partition: the lock waits for its transaction."""
    begun(engine, MONTHLY)
    with holding(engine, "INSERT INTO events (id, created_at) VALUES (1, '2030-07-20')"):
        result = upkeep(engine, new_table(DAILY), NOW, lock=HASTY).run(regrid=True)

    assert "deferred" in outcomes(result)
    assert "0701-0801" in ends(engine)


def test_rows_that_row_security_hides(engine: Engine) -> None:
    """A policy that shows nothing, forced on the owner: who can't see a row does not call a partition empty."""
    begun(engine, MONTHLY)
    put(engine, new_table(DAILY), "2030-07-20")
    sql(
        engine,
        "CREATE ROLE keeper LOGIN NOSUPERUSER; GRANT ALL ON SCHEMA public TO keeper;"
        "ALTER TABLE events OWNER TO keeper;"
        "ALTER TABLE events_p20300601 OWNER TO keeper; ALTER TABLE events_p20300701 OWNER TO keeper;"
        "ALTER TABLE events_p20300801 OWNER TO keeper; ALTER TABLE events_p20300701 ENABLE ROW LEVEL SECURITY;"
        "ALTER TABLE events_p20300701 FORCE ROW LEVEL SECURITY",
    )
    limited = create_engine(engine.url.set(username="keeper"))
    try:
        result = upkeep(limited, new_table(DAILY), NOW).run(regrid=True)
    finally:
        limited.dispose()
        sql(engine, "REASSIGN OWNED BY keeper TO CURRENT_USER; DROP OWNED BY keeper; DROP ROLE keeper")

    assert ["regrid-kept"] == codes(result.findings)
    assert 1 == scalar(engine, "SELECT count(*) FROM events_p20300701")


def test_a_table_that_others_refer_to_with_partitions_below(engine: Engine) -> None:
    """Detached, then dropped; and each new branch is whole."""
    below = PartitionByHash("id", modulus=2)
    monthly, weekly = MONTHLY.with_(subpartition=below), REST.with_(subpartition=below)
    begun(engine, monthly)
    sql(
        engine,
        "ALTER TABLE events ADD PRIMARY KEY (id, created_at); CREATE TABLE clicks (id bigint, at timestamptz, "
        "FOREIGN KEY (id, at) REFERENCES events (id, created_at))",
    )
    maintainer = upkeep(engine, new_table(weekly), NOW)
    result = maintainer.run(regrid=True)

    assert result.ok
    assert 2 == len(partitions(engine, "events_p20300708"))
    assert not maintainer.plan(regrid=True)


def test_no_insert_fails_meanwhile(engine: Engine) -> None:
    """Somebody writes into the very ranges all the while; each row is there afterwards."""
    begun(engine, MONTHLY.with_(premake=6))
    table = new_table(DAILY)
    with writing(engine, "2030-12-24") as (written, errors):
        result = upkeep(engine, table, NOW).run(regrid=True)

    assert [] == errors
    assert set(outcomes(result)) <= {Outcome.DONE, Outcome.FAILED, Outcome.DEFERRED}
    assert written[0] == scalar(engine, "SELECT count(*) FROM events") > 0
    assert "0701-0702" in ends(engine)


@contextmanager
def writing(engine: Engine, moment: str) -> Iterator[tuple[list[int], list[str]]]:
    over, written = threading.Event(), [0]
    errors: list[str] = []

    def write() -> None:
        while not over.is_set():
            try:
                sql(engine, f"INSERT INTO events (id, created_at) VALUES ({written[0]}, '{moment}')")
            except Exception as error:
                errors.append(str(error))
            else:
                written[0] += 1

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield written, errors
    finally:
        over.set()
        thread.join()


def regrid(url: str, now: datetime, point: int) -> None:
    """In a process of its own, killed before the *point*-th thing that it sends."""
    engine = create_engine(url)
    with at_point(engine, point, die):
        upkeep(engine, new_table(DAILY), now).run(regrid=True)


@pytest.mark.campaign
def test_killed_anywhere(database_url: str) -> None:
    """The months are there, or the days; there is a partition for each row, and the next run comes to the same end."""
    engine = create_engine(database_url)
    begun(engine, MONTHLY)
    with at_point(engine, 0, die) as sent:
        upkeep(engine, new_table(DAILY), NOW).run(regrid=True)
    wanted, cut = ends(engine), 0
    for point in some(range(1, len(sent) + 1, max(1, len(sent) // 12)), chance()):
        sql(engine, "DROP TABLE events")
        begun(engine, MONTHLY)
        child = process(database_url, at(NOW), point, target=regrid)
        child.join(60)

        assert -signal.SIGKILL == child.exitcode
        until(lambda: not others(engine))
        cut += ends(engine) != months(6, 8)
        for moment in ("2030-07-01", "2030-07-31 23:59", "2030-08-31 23:59"):
            put(engine, new_table(DAILY), moment)
        sql(engine, "DELETE FROM events")
        assert upkeep(engine, new_table(DAILY), NOW).run(regrid=True).ok
        assert wanted == ends(engine), f"point {point} of {len(sent)}"
    engine.dispose()

    assert 0 < cut
