"""
Whatever happens in whatever order, by us, by others, by accident: after each successful run the promise holds.

A model of a few lines (rows, when they may go) lives beside a real table. Manual changes are part of it: partitions
renamed, detached, attached off the grid, their names taken; declarations changed; clocks that jump; maintainers killed.
"""

from __future__ import annotations

import itertools
import signal
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError

from sa_partman.errors import PartmanError
from tests.support.database import sql
from tests.support.faults import PROMISES, SINCE, START, Declaration, build, maintainer, observer, patiently, points
from tests.support.invariant import DAY, Partition, Promise, Row, detached, partitions, rows_of, violations
from tests.support.killing import at_point, others, process, until
from tests.support.servers import Address

TABLE = "dropped"
WIDTHS = {"1 day": DAY, "12 hours": DAY / 2, "6 hours": DAY / 4}
fraction = st.floats(0, 1, exclude_max=True)


class Machine(RuleBasedStateMachine):
    """
    Attributes:
        rows: What was committed and must be visible, or in a table that was detached with our mark.
        doomed: Rows of ranges that were expired when a run was cut off: they may be there, or gone.
        intruders: Tables of others that bear a name which a partition may want.
    """

    address: Address

    def __init__(self) -> None:
        super().__init__()
        self.database = self.address.new_database()
        self.engine = observer(self.database.__enter__())
        build(self.engine)
        self.now = START
        self.rows: set[Row] = set()
        self.doomed: set[Row] = set()
        self.intruders: set[str] = set()
        self.numbers = itertools.count(1)

    def teardown(self) -> None:
        self.engine.dispose()
        self.database.__exit__(None, None, None)

    @property
    def url(self) -> str:
        return self.engine.url.render_as_string(hide_password=False)

    # -- the declaration, and time

    @initialize(then=st.sampled_from(["drop", "detach"]))
    def declare(self, then: Any) -> None:
        self.declared: Declaration = ("1 day", 3, 4, then)
        self.run()

    @rule(
        interval=st.sampled_from(sorted(WIDTHS)),
        premake=st.integers(0, 5),
        keep=st.integers(2, 8),
        which=st.integers(0, 2),
    )
    def change_the_declaration(self, interval: str, premake: int, keep: int, which: int) -> None:
        old = self.declared
        changed = (interval, old[1], old[2]), (old[0], premake, old[2]), (old[0], old[1], keep)
        self.declared = (*changed[which], old[3])

    @rule(hours=st.integers(1, 100))
    def time_passes(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    # -- the application

    @rule(place=fraction)
    def write(self, place: float) -> None:
        pieces = self.pieces()
        if not pieces:
            return
        lower, upper = pieces[int(place * len(pieces))]
        row = next(self.numbers), lower + timedelta(minutes=int((upper - lower).total_seconds() // 60 * place))
        with self.engine.begin() as connection:
            connection.exec_driver_sql(f"INSERT INTO {TABLE} (id, created_at) VALUES (%s, %s)", row)
        self.rows.add(row)

    # -- others

    @rule(place=fraction)
    def rename_a_partition(self, place: float) -> None:
        found = self.pick(place)
        if found is not None:
            sql(self.engine, f"ALTER TABLE {found.name} RENAME TO theirs_{next(self.numbers)}")

    @rule(place=fraction, renamed=st.booleans())
    def detach_by_hand(self, place: float, renamed: bool) -> None:
        """Its rows are theirs now; and so is its name, unless they rename it."""
        found = self.pick(place)
        if found is None:
            return
        self.rows.difference_update(rows_of(self.engine, found.name))
        sql(self.engine, f"ALTER TABLE {TABLE} DETACH PARTITION {found.name}")
        if renamed:
            sql(self.engine, f"ALTER TABLE {found.name} RENAME TO other_{next(self.numbers)}")
        else:
            self.intruders.add(found.name)

    @rule(ahead=st.integers(1, 30), hours=st.integers(1, 60))
    def attach_off_the_grid(self, ahead: int, hours: int) -> None:
        """Beyond all others, of any width, with a gap before it."""
        last = max((upper for _, upper in self.pieces()), default=self.now)
        lower = last + timedelta(hours=ahead)
        sql(
            self.engine,
            f"CREATE TABLE theirs_{next(self.numbers)} PARTITION OF {TABLE} "
            f"FOR VALUES FROM ('{lower.isoformat()}') TO ('{(lower + timedelta(hours=hours)).isoformat()}')",
        )

    @rule(days=st.integers(0, 6))
    def take_a_name(self, days: int) -> None:
        """By the table of somebody else, with his rows in it."""
        name = f"{TABLE}_p{self.now + timedelta(days=days):%Y%m%d}"
        if sql(self.engine, "SELECT to_regclass(:name) IS NULL", name=name)[0][0]:
            sql(self.engine, f"CREATE TABLE {name} AS SELECT 1 AS theirs")
            self.intruders.add(name)

    # -- maintainers

    @rule(point=st.integers(1, 120))
    def kill(self, point: int) -> None:
        """Before a statement."""
        self.doom()
        child = process(self.url, self.now, point, only=self.declared)
        child.join(60)
        assert child.exitcode in (0, 1, -signal.SIGKILL)
        until(lambda: not others(self.engine))

    @rule(point=st.integers(1, 120))
    def lose_every_connection(self, point: int) -> None:
        self.doom()
        engine = create_engine(self.url)
        try:
            with at_point(engine, point, lambda _: self.terminate()):
                maintainer(engine, self.now, self.declared).run()
        except (PartmanError, DBAPIError):
            pass
        finally:
            engine.dispose()

    @rule()
    @precondition(lambda self: not self.intruders)
    def run(self) -> None:
        """It succeeds at once, and the promise holds."""
        expired = self.expired()
        result = patiently(lambda: maintainer(self.engine, self.now, self.declared))
        assert result.ok, str(result)
        self.check(expired)
        again = maintainer(self.engine, self.now, self.declared).run()
        assert "nothing to do" == str(again)

    @rule()
    @precondition(lambda self: self.intruders)
    def run_among_intruders(self) -> None:
        """What is not done is for a name that is taken; it is named, and never touched."""
        self.doom()
        result = patiently(lambda: maintainer(self.engine, self.now, self.declared))
        wrong = [*(each.error for each in result.steps if each.failed), *(each.message for each in result.findings)]
        assert all(any(name in message for name in self.intruders) for message in wrong), str(result)
        for name in self.intruders:
            sql(self.engine, f"ALTER TABLE {name} RENAME TO other_{next(self.numbers)}")
        self.intruders.clear()
        self.run()

    # -- the model

    def pieces(self) -> list[tuple[datetime, datetime]]:
        return sorted(each.bound for each in partitions(self.engine, TABLE) if each.bound and not each.pending)

    def pick(self, place: float) -> Partition | None:
        """One that a person may change without breaking a promise of ours by it."""
        found = [each for each in partitions(self.engine, TABLE) if not each.pending]
        return found[int(place * len(found))] if found else None

    def expired(self) -> set[Row]:
        """Rows in partitions that are expired now."""
        cutoff = self.now - timedelta(days=self.declared[2])
        gone = [piece for piece in self.pieces() if piece[1] <= cutoff]
        return {row for row in self.rows if any(lower <= row[1] < upper for lower, upper in gone)}

    def doom(self) -> None:
        self.doomed |= self.expired()

    def terminate(self) -> None:
        for pid in others(self.engine):
            sql(self.engine, "SELECT pg_terminate_backend(:pid)", pid=pid)
        until(lambda: not others(self.engine))

    def check(self, expired: set[Row]) -> None:
        interval, premake, keep, then = self.declared
        promise = Promise(TABLE, premake, timedelta(days=keep), then, WIDTHS[interval])
        rest = [each.table for each in PROMISES]
        wrong = violations(self.engine, [promise], None, self.now, SINCE, beside=rest)
        assert not wrong, wrong
        seen = Counter(rows_of(self.engine, TABLE))
        beside = Counter(row for name in detached(self.engine, TABLE) for row in rows_of(self.engine, name))
        assert 1 == max((seen + beside).values(), default=1)
        assert self.rows - expired - self.doomed <= seen.keys()
        assert not expired & seen.keys()
        assert seen.keys() | beside.keys() <= self.rows
        if then == "detach":
            assert self.rows == seen.keys() | beside.keys()
        else:
            self.rows = set(seen)
        self.doomed &= self.rows


@pytest.mark.timeout(1800)
def test_any_sequence_of_events(pg_server: Address) -> None:
    class Here(Machine):
        address = pg_server

    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=points(0.25),
            stateful_step_count=12,
            deadline=None,
            database=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
