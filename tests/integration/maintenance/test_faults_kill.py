"""``kill -9`` of a maintainer, wherever it is: the next run reaches the promised state, and no row is lost."""

from __future__ import annotations

import os
import signal
import time
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from sa_partman import LockPolicy
from tests.support.database import holding, sql
from tests.support.faults import Estate, estate, points, writing
from tests.support.invariant import fingerprint, partitions
from tests.support.killing import (
    PACE,
    at_point,
    command,
    maintaining,
    nap,
    others,
    pending,
    resting,
    serve,
    until,
    waiting,
)
from tests.support.pgbouncer import pgbouncer

LATE = 2.5
"""Seconds after which a dead client's statement must be over, or never take effect: 1 s, and a busy machine."""

BLOCKERS = (
    "SELECT count(*) FROM {table}",
    "LOCK TABLE {table} IN SHARE UPDATE EXCLUSIVE MODE",
    "SELECT count(*) FROM {partition}",
    "LOCK TABLE {partition} IN ROW EXCLUSIVE MODE",
    "LOCK TABLE other_orgs IN ROW EXCLUSIVE MODE",
)


@pytest.mark.timeout(1800)
def test_killed_at_a_statement(database_url: str) -> None:
    """Before any statement or commit, by chance; the first point is certain to come."""
    with estate(database_url) as found:
        sent = _sent(found)
        for turn in range(points(0.4)):
            found.pass_days()
            point = found.dice.randint(1, sent) if turn else 1
            with writing(found):
                child = maintaining(found, point)
                child.join(60)

            # A longer jump of the clock means more statements: some points lie behind the end of a short one.
            survived = (0,) if turn else ()
            assert child.exitcode in (-signal.SIGKILL, *survived), f"turn {turn}, point {point}"
            found.heal(f"turn {turn}, point {point}")


@pytest.mark.timeout(1800)
def test_killed_at_a_moment(database_url: str) -> None:
    """At any time, inside a statement too; from the start of the process to its end."""
    with estate(database_url) as found:
        found.pass_days()
        began = time.monotonic()
        maintaining(found).join(60)
        lasts = time.monotonic() - began
        found.heal("undisturbed")
        for turn in range(points(0.25)):
            found.pass_days()
            wait = found.dice.random() * lasts
            with writing(found):
                child = maintaining(found)
                time.sleep(wait)
                child.kill()
                child.join(60)

            found.heal(f"turn {turn}, after {wait:.3f} s")


@pytest.mark.timeout(1800)
def test_killed_while_it_waits_for_somebody(database_url: str) -> None:
    """
    A reader or writer is in its way, for longer than it lives. Two seconds after its death at most its last statement
    is over or will never be done: when the blocker leaves, nothing changes any more.
    """
    with estate(database_url) as found:
        for turn in range(points(0.15)):
            found.pass_days()
            promise = found.dice.choice(found.promises)
            oldest = min(partitions(found.engine, promise.table), key=lambda each: each.text).name
            blocker = found.dice.choice(BLOCKERS).format(table=promise.table, partition=oldest)
            with holding(found.engine, blocker):
                child = maintaining(found)
                until(lambda: others(found.engine))
                time.sleep(0.2 + 1.5 * found.dice.random())
                then = _killed(found, child)

            _nothing_happens(found, then, f"turn {turn}, behind {blocker}")
            found.heal(f"turn {turn}, behind {blocker}")


PATIENT = LockPolicy(lock_timeout=9.0, budget=30.0, stall=20.0)


@pytest.mark.parametrize(
    ("verb", "before", "blocker"),
    [
        ("provision", 'LOCK TABLE ONLY "public"."dropped"', "LOCK TABLE dropped IN SHARE UPDATE EXCLUSIVE MODE"),
        ("prune", 'LOCK TABLE ONLY "public"."dropped"', "SELECT count(*) FROM dropped"),
    ],
)
def test_killed_in_the_queue_it_frees_it(database_url: str, verb: str, before: str, blocker: str) -> None:
    """It would wait for nine seconds, and whoever comes behind it: let through as soon as the server sees its death."""
    with estate(database_url, "dropped", "slid") as found:
        found.pass_days()
        sql(found.engine, f"ALTER DATABASE {found.engine.url.database} SET deadlock_timeout = '30s'")
        # It has looked who is there, and is about to ask for its locks.
        child = maintaining(found, 1, nap, before, verb=verb, lock=PATIENT)
        assert until(lambda: resting(found.engine))
        with holding(found.engine, blocker):
            assert until(lambda: waiting(found.engine))
            then = _killed(found, child)
            began = time.monotonic()
            sql(found.engine, "INSERT INTO dropped (id, created_at) VALUES (0, :now)", now=found.before)
            took = time.monotonic() - began

        assert took < 1
        _nothing_happens(found, then, verb)
        sql(found.engine, "DELETE FROM dropped WHERE id = 0")
        found.heal(verb)


def test_killed_inside_a_concurrent_detach(database_url: str) -> None:
    """Between its two transactions, where it waits for a reader: pending, and the next run ends it."""
    with estate(database_url, "slid", "nested") as found:
        found.pass_days()
        child = maintaining(found, 1, nap, "CONCURRENTLY")
        assert until(lambda: resting(found.engine, "CONCURRENTLY"), 20)
        with holding(found.engine, "SELECT count(*) FROM slid"):
            assert until(lambda: pending(found), 20)
            then = _killed(found, child)
            freed = not others(found.engine)

        assert freed
        _nothing_happens(found, then, "DETACH CONCURRENTLY")
        assert pending(found)
        found.heal("DETACH CONCURRENTLY")


@pytest.mark.timeout(1800)
def test_the_command_killed(database_url: str, tmp_path: Path) -> None:
    """``sa-partman run --yes``, as cron starts it."""
    with estate(database_url) as found:
        for turn in range(points(0.05)):
            found.pass_days()
            with command(found, tmp_path, "run", "--yes") as child:
                until(lambda: others(found.engine) or child.poll() is not None, 30)
                time.sleep(0.7 * found.dice.random())
                child.kill()
                child.wait()

            found.heal(f"turn {turn}")


@pytest.mark.timeout(1800)
def test_a_service_killed(database_url: str) -> None:
    """It runs again and again, and its clock goes fast."""
    with estate(database_url) as found:
        for turn in range(points(0.15)):
            found.write()
            found.before = found.now
            began = time.monotonic()
            with writing(found):
                child = maintaining(found, target=serve)
                until(lambda: others(found.engine), 30)
                time.sleep(2.5 * found.dice.random())
                child.kill()
                child.join(60)

            found.now += PACE * (time.monotonic() - began)
            found.heal(f"turn {turn}")


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("size", [1, 3])
def test_killed_behind_a_pooler(database_url: str, size: int) -> None:
    """Its server connections live on, and other clients get them."""
    with estate(database_url) as found, pgbouncer(database_url, size=size) as through:
        sent = _sent(found)
        for turn in range(points(0.05)):
            found.pass_days()
            point = found.dice.randint(1, sent)
            child = maintaining(found, point, url=through)
            child.join(60)

            assert child.exitcode in (-signal.SIGKILL, 0), f"turn {turn}, point {point}"
            found.heal(f"turn {turn}, point {point}")


def test_frozen_inside_a_step_the_server_ends_it(database_url: str) -> None:
    """A stopped process that holds ACCESS EXCLUSIVE: for ten seconds at most."""
    with estate(database_url, "dropped") as found:
        found.pass_days()
        child = maintaining(found, 1, nap, "DROP TABLE")
        assert until(lambda: resting(found.engine), 30)
        assert child.pid is not None
        os.kill(child.pid, signal.SIGSTOP)
        began = time.monotonic()
        sql(found.engine, "SELECT count(*) FROM dropped")
        waited = time.monotonic() - began
        child.kill()
        child.join(60)

        assert waited < 13
        found.heal("frozen")


def _sent(found: Estate) -> int:
    """How many statements and commits an undisturbed run has."""
    found.pass_days()
    with at_point(found.engine, 0, nap) as sent:
        found.maintainer().run()
    found.heal("undisturbed")
    return len(sent)


def _killed(found: Estate, child: BaseProcess) -> tuple[Any, ...]:
    """How everything is when the server has had time to notice that *child* is dead."""
    child.kill()
    child.join(60)
    until(lambda: not others(found.engine), LATE)
    return fingerprint(found.engine)


def _nothing_happens(found: Estate, then: tuple[Any, ...], label: str) -> None:
    """When whoever stood in the way has gone, the dead maintainer's statement must not be done any more."""
    assert until(lambda: not others(found.engine), 30), f"{label}: a backend of the dead is still there"
    assert then == fingerprint(found.engine), f"{label}: changed after its death"
