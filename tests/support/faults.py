"""
An estate of partitioned tables that is maintained day after day while everything goes wrong, and an application that
keeps books on it.

Time only goes forward: after each fault the next run must reach the promised state, and the next fault hits what that
left behind.
"""

from __future__ import annotations

import os
import random
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import psycopg
from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Engine,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    create_engine,
    make_url,
)
from sqlalchemy.pool import NullPool

from sa_partman import Archive, LockPolicy, Maintainer, PartitionByHash, PartitionByRange, Retention
from sa_partman.errors import MaintainerBusy
from sa_partman.maintenance.results import RunResult
from tests.support.database import ddl_log, sql
from tests.support.invariant import DAY, Ledger, Promise, detached, rows_of, violations

POINTS = "SA_PARTMAN_FAULTS"
"""How many faults a campaign is made of; 200 is the full one."""
SEED = "SA_PARTMAN_FAULT_SEED"
SHORT = 20

START = datetime(2030, 6, 15, 12, tzinfo=UTC)
SINCE = START.replace(day=11, hour=0)
"""The ``start=`` of every table."""
KEEP = timedelta(days=4)
PREMAKE = 3
OBSERVER = "observer"
"""The ``application_name`` of the tests' own connections, to tell them from those of a maintainer."""

BRISK = LockPolicy(lock_timeout=0.2, budget=20.0, pause=0.02, longest_pause=0.1, stall=10.0)

PROMISES = (
    Promise("dropped", PREMAKE, KEEP),
    Promise("parted", PREMAKE, KEEP, "detach"),
    Promise("slid", PREMAKE, KEEP, "detach"),
    Promise("nested", PREMAKE, KEEP),
    Promise("spilled", PREMAKE, KEEP, default=True),
    Promise("waits", PREMAKE, KEEP, "grace", grace=timedelta(days=2)),
    Promise("written", PREMAKE, KEEP, "archive"),
)


Declaration = tuple[str, int, int, Literal["drop", "detach"]]


def points(share: float = 1.0, least: int = 3) -> int:
    """
    How many faults a test is to make.

    Args:
        share: Of the whole campaign.
    """
    return max(least, round(int(os.environ.get(POINTS) or SHORT) * share))


def some(every: Sequence[int], random: random.Random) -> list[int]:
    """All of *every*; or by chance as many fewer, as `POINTS` says less than `SHORT`."""
    share = min(1.0, points() / SHORT)
    return sorted(random.sample(every, max(min(3, len(every)), round(len(every) * share))))


def chance() -> random.Random:
    """Chance that can be had again: the seed is printed, and taken from the environment."""
    seed = int(os.environ.get(SEED) or 0) or random.SystemRandom().randrange(1, 10**6)
    print(f"{SEED}={seed}")
    return random.Random(seed)


def metadata(database: str, tables: tuple[str, ...] = ()) -> MetaData:
    """
    One table for each way to remove, one with levels, one with a default partition whose rows move.

    Args:
        tables: These only; none: all.
    """
    found = MetaData()
    Table("other_orgs", found, Column("id", Integer, primary_key=True))
    for name, changes in _changes(database).items():
        if not tables or name in tables:
            _table(found, name, **changes)
    return found


def _changes(database: str) -> dict[str, dict[str, Any]]:
    drop = Retention("4 days", then="drop")
    return {
        "dropped": {"retention": drop},
        "parted": {"retention": Retention("4 days", then="detach")},
        "slid": {"retention": Retention("4 days", then="detach", concurrently=True)},
        "nested": {"retention": drop, "subpartition": PartitionByHash("id", modulus=2)},
        "spilled": {"retention": drop, "default": True},
        "waits": {"retention": Retention("4 days", then="drop", grace="2 days")},
        "written": {"retention": Retention("4 days", then=Archive(archive_of(database)))},
    }


def archive_of(database: str) -> Path:
    """Where the rows of ``written`` end, in this database's estate."""
    return Path(tempfile.gettempdir()) / f"{database}_archive"


def single(interval: str, premake: int, keep: int, then: Literal["drop", "detach"]) -> MetaData:
    """One table, ``dropped``, however it is declared; *keep* in days."""
    found = MetaData()
    _table(
        found,
        "dropped",
        interval=interval,
        premake=premake,
        retention=Retention(f"{keep} days", then=then, foreign=True),
    )
    return found


def _table(found: MetaData, name: str, *, interval: str = "1 day", premake: int = PREMAKE, **changes: Any) -> None:
    Table(
        name,
        found,
        Column("id", BigInteger, primary_key=True, autoincrement=False),
        Column("created_at", DateTime(timezone=True), primary_key=True),
        Column("org", Integer, *([ForeignKey("other_orgs.id")] if name == "parted" else [])),
        Column("note", Text, server_default=""),
        Index(f"ix_{name}_note", "note"),
        PartitionByRange("created_at", interval=interval, premake=premake, start=SINCE.isoformat(), **changes),
    )


@dataclass
class Estate:
    """
    Args:
        engine: The tests' own connections.
        now: Of the run to come.
        before: Of the run before it.
        since: When the tables were made.
        dice: Where chance comes from.
    """

    engine: Engine
    dice: random.Random
    now: datetime = START
    before: datetime = START
    since: datetime = SINCE
    ledger: Ledger = field(default_factory=Ledger)
    promises: tuple[Promise, ...] = PROMISES

    @property
    def url(self) -> str:
        return self.engine.url.render_as_string(hide_password=False)

    def maintainer(self, engine: Engine | None = None, **options: Any) -> Maintainer:
        return maintainer(engine or self.engine, self.now, tables=self.tables, **options)

    @property
    def tables(self) -> tuple[str, ...]:
        return tuple(each.table for each in self.promises)

    def moment(self, *, spill: bool = False) -> datetime:
        """A moment that a partition takes now; or, to *spill*, one that only a default partition takes yet."""
        day = Promise("", PREMAKE)
        first, last = max(self.since, day.floor(self.now - KEEP)), day.horizon(self.now)
        if spill:
            first, last = last, last + 3 * DAY
        return first + (last - first) * self.dice.random()

    def write(self, count: int = 3) -> None:
        """Rows through every parent; in the default partition too, where one is."""
        for promise in self.promises:
            rows = [(self.ledger.number(), self.moment()) for _ in range(count)]
            if promise.default:
                rows.append((self.ledger.number(), self.moment(spill=True)))
            with self.engine.begin() as connection:
                for row in rows:
                    connection.exec_driver_sql(f"INSERT INTO {promise.table} (id, created_at) VALUES (%s, %s)", row)
            for row in rows:
                self.ledger.add(promise.table, row)

    def pass_days(self) -> None:
        """The clock moves on, and there is something to make and something to remove."""
        self.write()
        self.before = self.now
        self.now += timedelta(days=self.dice.randint(1, 3), hours=self.dice.randint(-6, 6))

    def heal(self, label: object = "", seconds: float = 30.0) -> RunResult:
        """
        The next run, which must succeed at once; again only while the server still believes that the last maintainer
        lives. Then the promise is looked at, and that one more run does nothing.
        """
        result = patiently(self.maintainer, seconds)
        assert result.ok, f"{label}: {result}"
        self.check(label)
        return result

    def check(self, label: object = "") -> None:
        """The invariant, now; afterwards the tables that were detached are taken away."""
        archive = archive_of(str(self.engine.url.database))
        known = [each.table for each in PROMISES]
        wrong = violations(self.engine, self.promises, self.ledger, self.now, self.since, beside=known, archive=archive)
        assert not wrong, "\n".join((f"{label} at {self.now}", *wrong))
        with ddl_log(self.engine) as ddl:
            again = self.maintainer().run()
        assert ("nothing to do", []) == (str(again), ddl), f"{label}: a second run did {ddl}: {again}"
        self._clear_away()

    def _clear_away(self) -> None:
        """What was detached for good, and the books on all that has gone for good."""
        for promise in self.promises:
            gone = {row for row in self.ledger.rows.get(promise.table, ()) if promise.expired(row[1], self.now)}
            for name in detached(self.engine, promise.table):
                if promise.then == "grace":
                    gone -= set(rows_of(self.engine, name))
                else:
                    sql(self.engine, f"DROP TABLE {name}")
            self.ledger.forget(promise.table, gone)
        empty(archive_of(str(self.engine.url.database)))


def empty(folder: Path) -> None:
    """A folder with nothing in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()


def maintainer(
    engine: Engine,
    now: datetime | Callable[[], datetime],
    only: Declaration | None = None,
    tables: tuple[str, ...] = (),
    **options: Any,
) -> Maintainer:
    """
    Args:
        only: The estate is one table, declared so; see `single`.
        tables: See `metadata`.
    """
    options.setdefault("lock", BRISK)
    return Maintainer(
        engine, metadata(str(engine.url.database), tables) if only is None else single(*only), now=now, **options
    )


def patiently(make: Any, seconds: float = 30.0) -> RunResult:
    """A run, as soon as no other maintainer is at work any more."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            result: RunResult = make().run()
            return result
        except MaintainerBusy:
            assert time.monotonic() < deadline, "the exclusion of a dead maintainer is still held"
            time.sleep(0.05)


def observer(url: str) -> Engine:
    """An engine whose connections are known to be ours."""
    return create_engine(url, connect_args={"application_name": OBSERVER}, poolclass=NullPool)


@contextmanager
def estate(url: str, *tables: str) -> Iterator[Estate]:
    """
    The tables, made and provisioned at START.

    Args:
        tables: These only; none: all in the full campaign, and four by chance in a shorter one.
    """
    engine = observer(_own_database(url))
    try:
        found = Estate(engine, chance())
        wanted = tables or found.dice.sample([each.table for each in PROMISES], len(PROMISES) if points() > 99 else 4)
        found.promises = tuple(each for each in PROMISES if each.table in wanted)
        build(engine)
        empty(archive_of(str(engine.url.database)))
        found.heal("the first run")
        yield found
    finally:
        shutil.rmtree(archive_of(str(engine.url.database)), ignore_errors=True)
        engine.dispose()


def _own_database(url: str) -> str:
    """On a server that a test has for itself, a database of a name that no other test has."""
    if make_url(url).database != "postgres":
        return url
    name = f"estate_{secrets.token_hex(6)}"
    engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    return make_url(url).set(database=name).render_as_string(hide_password=False)


def build(engine: Engine) -> None:
    """The empty parents, as an application's first migration makes them."""
    with engine.begin() as connection:
        for statement in _SCHEMA.split(";"):
            connection.exec_driver_sql(statement)


_COLUMNS = "id bigint, created_at timestamptz, org int{}, note text DEFAULT '', PRIMARY KEY (id, created_at)"
_SCHEMA = "CREATE TABLE other_orgs (id int PRIMARY KEY); INSERT INTO other_orgs SELECT generate_series(1, 9)" + "".join(
    f"; CREATE TABLE {each.table} ({_COLUMNS.format(' REFERENCES other_orgs' * (each.table == 'parted'))}) "
    f"PARTITION BY RANGE (created_at); CREATE INDEX ix_{each.table}_note ON {each.table} (note)"
    for each in PROMISES
)


@contextmanager
def writing(found: Estate, pause: float = 0.01) -> Iterator[Ledger]:
    """An application that writes into every table and reads its own rows during the block; no error is deserved."""
    over = threading.Event()
    thread = threading.Thread(target=_write, args=(found, over, pause, found.before))
    thread.start()
    try:
        yield found.ledger
    finally:
        over.set()
        thread.join(30)


def _write(found: Estate, over: threading.Event, pause: float, now: datetime) -> None:
    uri = make_url(found.url).set(drivername="postgresql").render_as_string(hide_password=False)
    dice = random.Random(found.ledger.last)
    ledger = found.ledger
    try:
        with psycopg.connect(uri, autocommit=True, application_name=OBSERVER) as connection:
            while not over.wait(pause):
                promise = dice.choice(found.promises)
                # Its day exists already and stays, however far the clock jumps.
                row = ledger.number(), now - timedelta(hours=dice.random() * 12)
                began = time.monotonic()
                values = (*row, dice.randint(1, 9))
                connection.execute(f"INSERT INTO {promise.table} (id, created_at, org) VALUES (%s, %s, %s)", values)
                ledger.slowest = max(ledger.slowest, time.monotonic() - began)
                ledger.add(promise.table, row)
                seen = connection.execute(f"SELECT id FROM {promise.table} WHERE id = %s", row[:1]).fetchall()
                if seen != [row[:1]]:
                    ledger.errors.append(f"{promise.table}: row {row} was written and reads {seen}")
    except psycopg.Error as error:
        ledger.errors.append(f"the application got {type(error).__name__}: {error}")
