"""What others do while rows are moved, and while the old partitions are kept: none of it is lost, none of it fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from sqlalchemy import BigInteger, Column, Connection, DateTime, Engine, MetaData, Table, Text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from sa_partman import LockPolicy, Maintainer, PartitionByList, PartitionByRange, Retention
from sa_partman.engine.conversion import Report
from sa_partman.engine.pace import Pace
from sa_partman.engine.progress import Progress
from sa_partman.errors import ConversionRefused, PartmanError, Refused
from sa_partman.finding import Finding, Severity
from sa_partman.maintenance.rewriter import Rewriter
from sa_partman.plan.steps import Step
from tests.support.catalog_snapshot import difference, snapshot
from tests.support.converting import WAITS, until
from tests.support.database import codes, holding, partitions, scalar, sql
from tests.support.rewriting import NOW, contents, events, history, left_behind, rewriter

ROWS = 2_000


@pytest.fixture(autouse=True)
def in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """However few rows there are."""
    monkeypatch.setattr("sa_partman.plan.rewrite.request.SMALL", -1)
    allow = Pace.allow

    def few(pace: Pace, connection: Connection) -> None:
        pace.pages = 8
        allow(pace, connection)

    monkeypatch.setattr(Pace, "allow", few)


def after(wanted: str, deed: Callable[[], object]) -> Report:
    """*deed* is done once, after the step *wanted*."""

    def report(step: Step, seconds: float) -> None:
        if step.id == wanted:
            deed()

    return report


def stop() -> None:
    raise PartmanError("stopped by the test")


COPIED = "copy:public.events_history"


def made(engine: Engine, columns: str, key: str = "id, created_at") -> MetaData:
    """``events`` of *columns*, with rows in its history."""
    metadata = MetaData()
    Table(
        "events",
        metadata,
        Column("id", BigInteger, primary_key=True, autoincrement=False),
        Column("created_at", DateTime(timezone=True), primary_key=True),
        PartitionByRange("created_at", interval="1 month", premake=1),
    )
    sql(
        engine,
        f"CREATE TABLE events ({columns}, PRIMARY KEY ({key})) PARTITION BY RANGE (created_at);"
        "CREATE TABLE events_history PARTITION OF events FOR VALUES FROM (MINVALUE) TO ('2025-06-01+00');"
        "COMMENT ON TABLE events_history IS 'sa_partman: created'".replace(": ", r"\: "),
    )
    Maintainer(engine, metadata, now=NOW).run()
    sql(
        engine,
        "INSERT INTO events (id, created_at) SELECT i, timestamptz '2025-05-30+00' - i * interval '3 hours' "
        f"FROM generate_series(1, {ROWS}) i; ANALYZE events",
    )
    return metadata


# -- the table itself


def test_vacuum_full_between_two_pieces(engine: Engine) -> None:
    """The rows lie in other pages then, and what was copied is copied anew."""
    metadata = history(engine, rows=6_000)
    sql(engine, "DELETE FROM events WHERE id % 2 = 0")
    before = contents(engine)
    done: list[Progress] = []

    def progress(seen: Progress) -> None:
        if seen.step.id == COPIED and not done:
            done.append(seen)
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.exec_driver_sql("VACUUM FULL events_history")

    rewriter(engine, metadata).split("events_history", into="1 month", progress=progress)

    assert done
    assert before == contents(engine)


def test_columns_may_have_any_name(engine: Engine) -> None:
    """Those of variables, too."""
    odd = "first, pages, following, said, found, file, copied, emptied, changed, written, source, k1, h, r, rows, name"
    columns = ", ".join(f"{each} int DEFAULT 1" for each in odd.split(", "))
    metadata = made(engine, f'id bigint, created_at timestamptz, {columns}, "a%b""c\'d" text DEFAULT \'100 %\'')
    work = rewriter(engine, metadata)

    def write() -> None:
        sql(engine, "UPDATE events SET changed = 2 WHERE id % 7 = 0; DELETE FROM events WHERE id % 11 = 0")

    work.split("events_history", into="1 month", report=after(COPIED, write))
    before = contents(engine)
    work.undo("events")

    assert ROWS - ROWS // 11 == len(before)
    assert before == contents(engine)


def test_a_key_of_a_domain_that_refuses_null(engine: Engine) -> None:
    """TRUNCATE is written to the log as well, and has no key."""
    sql(engine, "CREATE DOMAIN positive AS bigint NOT NULL CHECK (VALUE > 0); CREATE DOMAIN key AS positive")
    metadata = made(engine, "id key, created_at timestamptz")
    work = rewriter(engine, metadata)

    work.split("events_history", into="1 month", report=after(COPIED, lambda: sql(engine, "TRUNCATE events_history")))

    assert [] == contents(engine)


def test_a_key_that_changes_less_than_its_text_shows(engine: Engine) -> None:
    """``extra_float_digits`` is the application's."""
    metadata = made(engine, "id bigint, created_at timestamptz, weight float8 DEFAULT 1", key="id, created_at, weight")
    work = rewriter(engine, metadata)
    change = "SET extra_float_digits = -10; UPDATE events SET weight = weight + 1e-9 WHERE id % 7 = 0"

    work.split("events_history", into="1 month", report=after("verify", lambda: sql(engine, change)))

    assert ROWS == scalar(engine, "SELECT count(*) FROM events")
    assert ROWS // 7 == scalar(engine, "SELECT count(*) FROM events WHERE weight > 1")


def test_a_check_that_is_not_valid_is_refused_by_name(engine: Engine) -> None:
    """A row that breaks it could not be copied; what the refusal says to do is enough."""
    metadata = history(engine, rows=ROWS)
    sql(engine, "ALTER TABLE events ADD CONSTRAINT few CHECK (hits < 2) NOT VALID")
    before = snapshot(engine)
    work = rewriter(engine, metadata)

    with pytest.raises(ConversionRefused, match=r"constraint few of public\.events is NOT VALID.*VALIDATE CONSTRAINT"):
        work.split("events_history", into="1 month")

    assert "" == difference(before, snapshot(engine))
    sql(engine, "UPDATE events SET hits = 0; ALTER TABLE events VALIDATE CONSTRAINT few")
    work.split("events_history", into="1 month")


def test_partitions_of_a_partition(engine: Engine) -> None:
    """The swap scans nothing there either; rows come from other tenants, and go to them, meanwhile."""
    metadata = MetaData()
    below = PartitionByRange("created_at", interval="1 month", premake=1)
    Table(
        "events",
        metadata,
        Column("id", BigInteger, primary_key=True, autoincrement=False),
        Column("created_at", DateTime(timezone=True), primary_key=True),
        Column("region", Text, primary_key=True),
        PartitionByList("region", values={"eu": ["de", "fr"], "us": ["us"]}, subpartition=below),
    )
    metadata.create_all(engine)
    Maintainer(engine, metadata, now=NOW).run()
    bound = "FOR VALUES FROM (MINVALUE) TO ('2025-06-01+00')"
    sql(
        engine,
        f"CREATE TABLE events_history PARTITION OF events_eu {bound};"
        f"CREATE TABLE others PARTITION OF events_us {bound};"
        "INSERT INTO events SELECT i, timestamptz '2025-05-30+00' - i * interval '3 hours', "
        f"CASE WHEN i % 2 = 0 THEN 'de' ELSE 'us' END FROM generate_series(1, {ROWS}) i; ANALYZE events",
    )
    work = rewriter(engine, metadata)
    moves = "UPDATE events SET region = CASE region WHEN 'us' THEN 'fr' ELSE 'us' END WHERE id % 5 = 0"

    work.split("events_history", into="1 month", report=after(COPIED, lambda: sql(engine, moves)))

    before = contents(engine)
    assert ROWS == len(before)
    assert "events_history" not in partitions(engine, "events_eu")
    work.undo("events")
    assert before == contents(engine)
    assert "events_history" in partitions(engine, "events_eu")
    assert [] == left_behind(engine)


# -- foreign keys


def referring(engine: Engine) -> MetaData:
    sql(engine, "CREATE TABLE orgs (id int PRIMARY KEY); INSERT INTO orgs SELECT generate_series(0, 9)")
    metadata = history(engine, rows=ROWS)
    sql(engine, "ALTER TABLE events ADD CONSTRAINT events_org FOREIGN KEY (tenant) REFERENCES orgs")
    return metadata


def leave(engine: Engine, org: int) -> None:
    """As an application does it whose customer leaves."""
    sql(engine, f"DELETE FROM events WHERE tenant = {org}")
    sql(engine, f"DELETE FROM orgs WHERE id = {org}")


@pytest.mark.parametrize("step", [COPIED, "settle", "verify"])
def test_what_nothing_refers_to_any_more_can_be_deleted(step: str, engine: Engine) -> None:
    """Although the copies still have the rows."""
    metadata = referring(engine)

    rewriter(engine, metadata).split("events_history", into="1 month", report=after(step, lambda: leave(engine, 7)))

    assert 0 == scalar(engine, "SELECT count(*) FROM events WHERE tenant = 7")


def test_what_the_copies_still_refer_to_stays_until_the_swap(engine: Engine) -> None:
    """As the plan says: they lag behind, also when both are deleted in one transaction."""
    metadata, refused = referring(engine), []
    work = rewriter(engine, metadata)

    def leave_at_once() -> None:
        with engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM events WHERE tenant = 7")
            connection.exec_driver_sql("DELETE FROM orgs WHERE id = 7")

    def report(step: Step, seconds: float) -> None:
        if step.id == "foreign_keys_validated":
            with pytest.raises(IntegrityError, match="violates foreign key constraint") as error:
                leave_at_once()
            refused.append(error)

    assert any("(23503)" in note for note in work.plan_split("events_history", into="1 month").notes)
    work.split("events_history", into="1 month", report=report)

    assert refused
    leave_at_once()
    assert 0 == scalar(engine, "SELECT count(*) FROM events WHERE tenant = 7")


@pytest.mark.parametrize("action", ["CASCADE", "SET NULL"])
def test_what_the_copies_follow_goes(action: str, engine: Engine) -> None:
    metadata = referring(engine)
    sql(engine, "ALTER TABLE events ALTER tenant DROP NOT NULL; ALTER TABLE events DROP CONSTRAINT events_org")
    key = f"FOREIGN KEY (tenant) REFERENCES orgs ON DELETE {action}"
    sql(engine, f"ALTER TABLE events ADD CONSTRAINT events_org {key}")
    work = rewriter(engine, metadata)

    def delete() -> None:
        sql(engine, "DELETE FROM orgs WHERE id = 7")

    work.split("events_history", into="1 month", report=after("foreign_keys_validated", delete))

    assert 0 == scalar(engine, "SELECT count(*) FROM events WHERE tenant = 7")
    kept = 0 if action == "CASCADE" else ROWS // 10
    assert kept == scalar(engine, "SELECT count(*) FROM events WHERE tenant IS NULL")
    before = contents(engine)
    work.undo("events")
    assert before == contents(engine)


def test_old_partitions_keep_nothing_alive(engine: Engine) -> None:
    """Their rows still refer to it, for as long as they are kept; they get their foreign keys back with their place."""
    metadata = referring(engine)
    before = snapshot(engine)
    work = rewriter(engine, metadata)
    work.split("events_history", into="1 month")
    leave(engine, 7)
    rows = contents(engine)

    work.undo("events")

    assert rows == contents(engine)
    assert "" == difference(before, snapshot(engine))
    leave(engine, 8)


# -- locks


def test_nobody_writes_into_an_old_partition_by_its_name(engine: Engine) -> None:
    """What was prepared before finds no table: an error now, instead of a row that is lost in the end."""
    metadata = history(engine, rows=ROWS)
    with engine.connect() as connection:
        values = "(0, timestamptz '2024-12-12' + random() * interval '1 day', 77)"
        write = f"INSERT INTO events_history (id, created_at, tenant) VALUES {values}"
        for _ in range(7):
            connection.exec_driver_sql(write)
        connection.commit()
        rewriter(engine, metadata).split("events_history", into="1 month")

        with pytest.raises(ProgrammingError, match='"events_history" does not exist'):
            connection.exec_driver_sql(write)


def test_the_log_is_not_begun_behind_a_long_writer(engine: Engine) -> None:
    """The other writers would queue behind us."""
    metadata = history(engine, rows=ROWS)
    work = Rewriter(engine, metadata, now=NOW, lock=LockPolicy(lock_timeout=0.4))
    reached, over, waited = threading.Event(), threading.Event(), []

    def writes() -> None:
        while not over.is_set():
            began = time.monotonic()
            sql(engine, "UPDATE events SET hits = hits + 1 WHERE id = 5")
            waited.append(time.monotonic() - began)

    def report(step: Step, seconds: float) -> None:
        if step.id == "targets":
            reached.set()

    mover = threading.Thread(target=lambda: work.split("events_history", into="1 month", report=report))
    writer = threading.Thread(target=writes)
    with holding(engine, "UPDATE events SET hits = 0 WHERE id = 1"):
        mover.start()
        assert reached.wait(30)
        writer.start()
        time.sleep(4)
        over.set()
        writer.join()
    mover.join()

    assert 1 >= len([each for each in waited if each > 0.3]), sorted(waited)[-5:]
    assert "events_history" not in partitions(engine)


@pytest.mark.parametrize(
    "wrong",
    [
        "DELETE FROM events_rewrite WHERE id = 7",
        "UPDATE events_rewrite SET tenant = tenant + 1 WHERE id = 7",
        "INSERT INTO events_rewrite (id, created_at, tenant) VALUES (-1, '2025-05-05+00', 1)",
    ],
    ids=["lost", "changed", "added"],
)
def test_a_copy_that_differs_is_not_taken(wrong: str, engine: Engine) -> None:
    """Whatever the log knows of other rows, which are not compared."""
    metadata = history(engine, rows=ROWS)
    meant = "UPDATE events SET tenant = tenant + 1 WHERE id = 8; DELETE FROM events WHERE id = 9"
    spoil = after("catch_up", lambda: sql(engine, f"{meant}; {wrong}"))
    with pytest.raises(PartmanError, match=r"the copy differs from public\.events_history"):
        rewriter(engine, metadata).split("events_history", into="1 month", report=spoil)

    assert "events_history" in partitions(engine)
    rewriter(engine, metadata).abort("events")
    assert ROWS - 1 == len(contents(engine))


def test_rows_that_the_log_knows_are_not_compared(engine: Engine) -> None:
    """Those that were changed more than once, too; the swap writes them."""
    metadata = history(engine, rows=ROWS)
    change = "UPDATE events SET tenant = tenant + 1 WHERE id IN (7, 8)"
    meanwhile = f"{change}; {change}; DELETE FROM events WHERE id = 9"
    rewriter(engine, metadata).split(
        "events_history", into="1 month", report=after("catch_up", lambda: sql(engine, meanwhile))
    )

    assert "events_history" not in partitions(engine)
    assert ROWS - 1 == len(contents(engine))
    assert [9, 10] == [scalar(engine, f"SELECT tenant FROM events WHERE id = {id}") for id in (7, 8)]


def test_emptied_while_it_is_compared(engine: Engine) -> None:
    """The log tells of it behind the first look into it; what is emptied reads as empty in whatever snapshot."""
    metadata = history(engine, rows=ROWS)
    work = Rewriter(engine, metadata, now=NOW, lock=LockPolicy(lock_timeout=20.0, stall=30.0))
    held, waits = threading.Event(), WAITS.format(table="events_history", mode="AccessShareLock")

    def empty() -> None:
        with engine.begin() as connection:
            connection.exec_driver_sql("TRUNCATE events_history")
            held.set()
            until(engine, waits)

    other = threading.Thread(target=empty)

    def begin() -> None:
        other.start()
        assert held.wait(30)

    work.split("events_history", into="1 month", report=after("catch_up", begin))
    other.join()

    assert [] == contents(engine)


# -- maintenance


def keeping(length: str) -> MetaData:
    metadata, _ = events(PartitionByRange("created_at", interval="1 month", premake=1, retention=Retention(length)))
    return metadata


def test_maintenance_goes_on_and_leaves_the_sources_alone(engine: Engine) -> None:
    """Also when they are expired; `check` and `status` tell of what is unfinished."""
    history(engine, rows=ROWS)
    metadata = keeping("1 month")
    work = rewriter(engine, metadata)
    work.split("events_history", into="1 month")
    work.finalize("events")
    names = ["events_p20240801", "events_p20240901", "events_p20241001"]
    with pytest.raises(PartmanError, match="stopped"):
        work.merge(*names, report=after("verify", stop))
    sql(engine, "DROP TABLE events_p20250701")

    result = Maintainer(engine, metadata, now=NOW).run()
    found = partitions(engine)

    assert "events_p20250701" in found
    assert {*names} <= found.keys()
    assert "rewrite-in-progress" in codes(Maintainer(engine, metadata, now=NOW).check())
    assert result
    work.resume("events")
    work.finalize("events")
    Maintainer(engine, metadata, now=NOW).run()
    assert "events_p20240801" not in partitions(engine)


def test_the_log_of_what_is_kept_grows_in_sight(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    metadata = history(engine, rows=ROWS)
    work = rewriter(engine, metadata)
    work.split("events_history", into="1 month")

    def told() -> Finding:
        (found,) = (each for each in Maintainer(engine, metadata, now=NOW).check() if each.code == "rewrite-kept")
        return found

    assert "the log of" not in told().message
    for _ in range(10):
        sql(engine, "UPDATE events SET hits = hits + 1")

    state = work.state("events")
    assert state is not None
    assert state.logged > 1 << 20
    assert "; the log of what was written since has 1 MB, and grows" in told().message
    assert told().message == state.unfinished.message
    assert Severity.INFO is told().severity
    monkeypatch.setattr("sa_partman.compare.shape.LARGE_LOG", 1 << 20)
    assert Severity.WARNING is told().severity
    work.finalize("events")
    assert "rewrite-kept" not in codes(Maintainer(engine, metadata, now=NOW).check())


def test_what_retention_removed_does_not_come_back(engine: Engine) -> None:
    """The old partition has its rows; so there is no way back any more, and that is said before anything is done."""
    history(engine, rows=ROWS)
    metadata = keeping("3 months")
    work = rewriter(engine, metadata)
    work.split("events_history", into="1 month")
    Maintainer(engine, metadata, now=NOW).run()
    assert "events_p20240801" not in partitions(engine)
    before = contents(engine)

    with pytest.raises(Refused, match=r"is not a partition of public\.events any more.*--finalize"):
        work.undo("events")

    assert before == contents(engine)
    work.finalize("events")
    assert before == contents(engine)
    assert [] == left_behind(engine)


@pytest.mark.parametrize("step", ["present", "catch_up", "proof", "catch_up_again", "foreign_keys_validated"])
def test_an_undo_that_is_taken_back_can_be_begun_again(step: str, engine: Engine) -> None:
    metadata = referring(engine)
    work = rewriter(engine, metadata)
    bounds = partitions(engine)
    work.split("events_history", into="1 month")
    split = snapshot(engine)
    with pytest.raises(PartmanError, match="stopped"):
        work.undo("events", report=after(step, stop))

    aborted = work.abort("events")

    assert ("split", True) == (aborted.kind, aborted.unfinished.kept)
    assert "" == difference(split, snapshot(engine))
    sql(engine, "DELETE FROM events WHERE id % 7 = 0")
    before = contents(engine)
    work.undo("events")
    assert before == contents(engine)
    assert bounds == partitions(engine)
    assert [] == left_behind(engine)
