"""A maintainer that is stopped loses its right within the lease, and does nothing more when it wakes up."""

from __future__ import annotations

import os
import signal
import time

import pytest
from sqlalchemy import Engine, MetaData, Table

from sa_partman import LockPolicy, PartitionByRange, Retention
from sa_partman.engine.exclusion import LOCK_KEY, only_converter, only_maintainer
from sa_partman.errors import MaintainerBusy
from sa_partman.events import StepEvent
from sa_partman.names import QualifiedName
from sa_partman.ports import before
from tests.support.builders import at
from tests.support.database import codes, holding, new_table, partitions, scalar, sql, upkeep
from tests.support.faces import FACES, opened
from tests.support.killing import process, stopping, until

NOW = "2031-03-15"
HOLDER = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1"
PATIENT = LockPolicy(turn=60)


def _tables(engine: Engine) -> tuple[Table, Table]:
    """``events`` with a partition that is expired and none for now; and another table without any partition."""
    metadata = MetaData()
    retention = Retention("1 month", then="detach", concurrently=True, foreign=True)
    spec = PartitionByRange("created_at", interval="1 month", premake=0, retention=retention)
    tables = new_table(spec, metadata=metadata), new_table(spec, metadata=metadata, name="others")
    columns = "(id bigint NOT NULL, created_at timestamptz NOT NULL) PARTITION BY RANGE (created_at)"
    for table in tables:
        sql(engine, f"CREATE TABLE {table.name} {columns}")
    sql(engine, "CREATE TABLE old PARTITION OF events FOR VALUES FROM ('2030-01-01Z') TO ('2030-02-01Z')")
    return tables


@pytest.mark.parametrize(
    "statement", ["hook", "CREATE TABLE", "COMMIT", "CONCURRENTLY"], ids=["between", "inside", "at-its-end", "alone"]
)
def test_others_go_on_and_it_does_nothing_when_it_wakes_up(statement: str, engine: Engine) -> None:
    """Wherever it was stopped: its next step fails, and the one that it was in was rolled back."""
    events, others = _tables(engine)
    if statement == "CONCURRENTLY":
        upkeep(engine, events, NOW).provision()
    there = partitions(engine)
    child = process(engine.url.render_as_string(hide_password=False), at(NOW), statement, target=stopping)
    try:
        assert until(lambda: scalar(engine, HOLDER))
        result = upkeep(engine, others.metadata, NOW, lock=PATIENT).run([others.name])

        assert result.ok, str(result)
        assert {"others_p20310301"} == set(partitions(engine, "others"))
        os.kill(child.pid or 0, signal.SIGCONT)
        child.join(60)
        assert 1 == child.exitcode
        assert there == partitions(engine)
    finally:
        child.kill()
        child.join(10)


@pytest.mark.parametrize("name", FACES)
def test_who_works_for_long_keeps_it(name: str, engine: Engine) -> None:
    """A hook takes twice as long as the lease: signs of life are given all the while."""
    events, _ = _tables(engine)
    lease, asked = 4.0, []

    @before()
    def slowly(event: StepEvent) -> None:
        asked.append(event)
        if len(asked) == 1:
            time.sleep(2 * lease)

    with opened(name, engine.url.render_as_string(hide_password=False)) as face:
        maintainer = face.maintainer(events, NOW, lock=LockPolicy(lease=lease), hooks=[slowly])
        result = maintainer.provision(["events"])

    assert result.ok, str(result)
    assert asked


def test_a_long_conversion_keeps_its_right(engine: Engine) -> None:
    """The same signs of life; and without them the server would end its connection, too."""
    name, lease = QualifiedName("public", "events"), 3.0
    with only_converter(engine, name, lease):
        shown = "SELECT state_change FROM pg_stat_activity JOIN pg_locks USING (pid) WHERE locktype = 'advisory'"
        first = scalar(engine, shown)
        time.sleep(2 * lease)

        assert first < scalar(engine, shown)
        with pytest.raises(MaintainerBusy), only_converter(engine, name, lease):
            pass


def test_check_names_who_is_silent(engine: Engine) -> None:
    """With the pid: also one of an older release, which the server does not end."""
    events, _ = _tables(engine)
    take = f"SELECT pg_try_advisory_xact_lock({LOCK_KEY})"
    with holding(engine, take, "SET LOCAL application_name = 'sa_partman:older'") as pid:
        maintainer = upkeep(engine, events, NOW, lock=LockPolicy(lease=1))
        assert until(lambda: "maintainer-silent" in codes(maintainer.check()))
        (found,) = (each for each in maintainer.check() if each.code == "maintainer-silent")

        assert f"pid {pid} (sa_partman:older)" in found.message
        assert f"pg_terminate_backend({pid})" in found.remedy
        with pytest.raises(MaintainerBusy, match=f"pid {pid}"):
            maintainer.run()


def test_check_says_nothing_of_one_at_work(engine: Engine) -> None:
    events, _ = _tables(engine)
    with only_maintainer(engine, LockPolicy(lease=2)):
        time.sleep(3)

        assert "maintainer-silent" not in codes(upkeep(engine, events, NOW, lock=LockPolicy(lease=20)).check())


def test_a_lease_of_no_length() -> None:
    with pytest.raises(ValueError, match=r"lease=0\.5 must be at least 1 second"):
        LockPolicy(lease=0.5)
