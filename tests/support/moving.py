"""
An application at work on ``events`` while its rows are moved: six writers, each with a ledger of the rows that are its
own, and a reader that knows what is true at every moment.
"""

from __future__ import annotations

import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from sqlalchemy import Connection, Engine, create_engine, event

from sa_partman import LockPolicy
from sa_partman.engine.pace import Pace
from sa_partman.errors import MaintainerBusy, PartmanError
from sa_partman.maintenance.rewriter import Rewriter
from sa_partman.postgres.journal import Conversion
from tests.support.converting import at_point, die
from tests.support.database import sql
from tests.support.rewriting import BRISK, VERBS, rewriter

WRITERS = 6
STEADY = 99
"""The tenant whose rows are moved and updated only, so that their number and their sum are known."""
HOT = 1
"""The id of a row that is deleted and inserted again and again, each time with one hit more."""
PATIENCE = 5.0
"""Seconds that no statement may take: generous, for what is measured is in the benchmarks."""

FIRST, LAST = datetime(2024, 6, 10, tzinfo=UTC), datetime(2025, 7, 30, tzinfo=UTC)

FEW = 20
"""Rows of a writer with which it inserts only."""

Row = tuple[int, datetime, int, str, int]
COLUMNS = "id, created_at, tenant, note, hits"


@dataclass
class Writer:
    """
    Args:
        number: Of it; the rows whose id has this remainder are its own.
        rows: By id, what it was told is committed.
        gate: Held during each of its transactions.
    """

    number: int
    dice: random.Random
    rows: dict[int, Row] = field(default_factory=dict)
    gate: threading.Lock = field(default_factory=threading.Lock)
    done: int = 0

    def moment(self) -> datetime:
        return FIRST + (LAST - FIRST) * self.dice.random()

    def pick(self) -> Row:
        return self.rows[self.dice.choice(list(self.rows))]


@dataclass
class Application:
    """What it knows and what it saw."""

    writers: list[Writer]
    dice: random.Random
    errors: list[str] = field(default_factory=list)
    slowest: float = 0.0
    reads: int = 0
    swaps: int = 0
    over: threading.Event = field(default_factory=threading.Event)
    turns: threading.Condition = field(default_factory=threading.Condition)

    @property
    def rows(self) -> Counter[Row]:
        return Counter(row for writer in self.writers for row in writer.rows.values())

    def after(self, count: int) -> None:
        """Waits until every writer has done *count* more transactions."""
        wanted = [writer.done + count for writer in self.writers]

        def ready() -> bool:
            pairs = zip(self.writers, wanted, strict=True)
            return bool(self.errors) or all(writer.done >= done for writer, done in pairs)

        with self.turns:
            assert self.turns.wait_for(ready, 120), "the writers stand still"

    def verify(self, engine: Engine) -> None:
        """Each row is there once, as its writer left it, and there is no other one."""
        assert [] == self.errors, self.errors
        found = Counter(tuple(row) for row in sql(engine, f"SELECT {COLUMNS} FROM events WHERE id <> {HOT}"))
        assert Counter() == self.rows - found, f"lost rows: {(self.rows - found).most_common(5)}"
        assert Counter() == found - self.rows, f"rows that came back: {(found - self.rows).most_common(5)}"
        assert self.slowest < PATIENCE, f"a statement took {self.slowest} s"
        assert self.reads > 0


@contextmanager
def at_work(engine: Engine, seed: int, *, emptying: str = "") -> Iterator[Application]:
    """
    The application is at work during the block.

    Args:
        emptying: A partition that is emptied at times (the one that has this moment), or the whole table; then
            nothing is steady.
    """
    sql(
        engine,
        f"UPDATE events SET tenant = {STEADY}, hits = 1 WHERE id % 40 = 0; "
        f"DELETE FROM events WHERE id = {HOT}; "
        f"INSERT INTO events ({COLUMNS}) VALUES ({HOT}, '2024-12-24+00', 0, 'hot', 1)",
    )
    writers = [Writer(number, random.Random(seed * 100 + number)) for number in range(WRITERS)]
    for row in sql(engine, f"SELECT {COLUMNS} FROM events WHERE id <> {HOT}"):
        writers[row[0] % WRITERS].rows[row[0]] = tuple(row)
    application = Application(writers, random.Random(seed))
    uri = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    tasks: list[tuple[Callable[..., None], object]] = [(_write, writer) for writer in writers]
    tasks += [(_read, None)] * (not emptying) + [(_heat, None)] * (not emptying)
    tasks += [(_empty, emptying)] * bool(emptying)
    threads = [threading.Thread(target=_run, args=(uri, application, task, own)) for task, own in tasks]
    for thread in threads:
        thread.start()
    try:
        application.after(3)
        with _compared_at_swaps(engine, application):
            yield application
        application.after(3)
    finally:
        application.over.set()
        for thread in threads:
            thread.join(60)
    if emptying:
        application.reads += 1


_PARTITIONS = """
SELECT inhrelid FROM pg_inherits WHERE inhparent = CAST('public.events' AS regclass)
UNION ALL SELECT oid FROM pg_class WHERE oid = CAST('public.events' AS regclass) AND relkind = 'r'
"""
"""What has the rows: a plain table itself."""


@contextmanager
def _compared_at_swaps(engine: Engine, application: Application) -> Iterator[None]:
    """
    What leaves the table in a swap has the same rows as what takes its place: looked at in the transaction of the swap,
    while nobody can write into either.
    """

    def found(connection: Connection) -> set[int]:
        return {row[0] for row in connection.exec_driver_sql(_PARTITIONS)}

    def rows_of(connection: Connection, partitions: set[int]) -> str:
        names = [connection.exec_driver_sql(f"SELECT CAST({oid} AS regclass)").scalar() for oid in sorted(partitions)]
        return " UNION ALL ".join(f"SELECT {COLUMNS} FROM ONLY {name}" for name in names)

    with engine.connect() as connection:
        last = found(connection)

    def commit(connection: Connection) -> None:
        nonlocal last
        here = found(connection)
        if gone := last - here:
            old, new = rows_of(connection, gone), rows_of(connection, here - last)
            for left, right in ((old, new), (new, old)):
                row = connection.exec_driver_sql(f"({left}) EXCEPT ALL ({right}) LIMIT 1").first()
                if row is not None:
                    application.errors.append(f"at the swap only one side has {tuple(row)}")
            application.swaps += 1
        last = here

    event.listen(engine, "commit", commit)
    try:
        yield
    finally:
        event.remove(engine, "commit", commit)


def _run(uri: str, application: Application, task: Callable[..., None], own: object) -> None:
    try:
        with psycopg.connect(uri, autocommit=True, options="-c timezone=UTC") as connection:
            connection.prepare_threshold = random.choice((0, 5, None))
            task(connection, application, own)
    except Exception as error:
        application.errors.append(f"{task.__name__}: {type(error).__name__}: {error}")
    finally:
        with application.turns:
            application.turns.notify_all()


def _timed(application: Application, began: float) -> None:
    application.slowest = max(application.slowest, time.monotonic() - began)


# -- writers


def _write(connection: psycopg.Connection, application: Application, writer: Writer) -> None:
    deeds = (_insert, _update, _update, _move, _move, _rename, _delete, _again, _bulk, _several, _rolled_back, _steady)
    while not application.over.wait(0.01):
        began = time.monotonic()
        with writer.gate:
            deed = writer.dice.choice(deeds) if len(writer.rows) > FEW else _insert
            deed(connection, writer)
        _timed(application, began)
        with application.turns:
            writer.done += 1
            application.turns.notify_all()


def _put(connection: psycopg.Connection, writer: Writer, row: Row) -> None:
    connection.execute(f"INSERT INTO events ({COLUMNS}) VALUES (%s, %s, %s, %s, %s)", row)
    writer.rows[row[0]] = row


def _one(cursor: psycopg.Cursor, what: str) -> None:
    if cursor.rowcount != 1:
        raise AssertionError(f"{what} changed {cursor.rowcount} rows")


def _insert(connection: psycopg.Connection, writer: Writer) -> None:
    key = 1_200_000 + writer.number + WRITERS * writer.dice.randrange(10**6)
    if key not in writer.rows:
        _put(connection, writer, (key, writer.moment(), key % 10, "new", 0))


def _update(connection: psycopg.Connection, writer: Writer) -> None:
    key, at, tenant, note, hits = writer.pick()
    note = f"{note[:20]}!"
    _one(connection.execute("UPDATE events SET note = %s WHERE id = %s AND created_at = %s", (note, key, at)), "UPDATE")
    writer.rows[key] = key, at, tenant, note, hits


def _move(connection: psycopg.Connection, writer: Writer) -> None:
    """Into another partition, as likely as not."""
    key, _, tenant, note, hits = writer.pick()
    at = writer.moment()
    _one(connection.execute("UPDATE events SET created_at = %s WHERE id = %s", (at, key)), "moving")
    writer.rows[key] = key, at, tenant, note, hits


def _rename(connection: psycopg.Connection, writer: Writer) -> None:
    old, at, tenant, note, hits = writer.pick()
    key = 12_000_000 + writer.number + WRITERS * writer.dice.randrange(10**6)
    if key in writer.rows:
        return
    _one(connection.execute("UPDATE events SET id = %s WHERE id = %s AND created_at = %s", (key, old, at)), "renaming")
    del writer.rows[old]
    writer.rows[key] = key, at, tenant, note, hits


def _delete(connection: psycopg.Connection, writer: Writer) -> None:
    row = writer.pick()
    if row[2] != STEADY:
        _one(connection.execute("DELETE FROM events WHERE id = %s AND created_at = %s", row[:2]), "DELETE")
        del writer.rows[row[0]]


def _again(connection: psycopg.Connection, writer: Writer) -> None:
    """Deleted, and inserted with the same key: at once, or at the same moment a transaction later."""
    row = writer.pick()
    if row[2] == STEADY:
        return
    fresh: Row = (row[0], row[1], row[2], "again", row[4] + 1)
    if writer.dice.random() < 0.5:
        with connection.transaction():
            _one(connection.execute("DELETE FROM events WHERE id = %s AND created_at = %s", row[:2]), "DELETE")
            _put(connection, writer, fresh)
    else:
        _delete_row = "DELETE FROM events WHERE id = %s"
        _one(connection.execute(_delete_row, row[:1]), "DELETE")
        del writer.rows[row[0]]
        _put(connection, writer, fresh)


def _bulk(connection: psycopg.Connection, writer: Writer) -> None:
    """Some hundred rows in one statement."""
    rest = writer.dice.randrange(40)
    chosen = [row for row in writer.rows.values() if row[0] % 40 == rest and row[2] != STEADY]
    cursor = connection.execute(
        "UPDATE events SET hits = hits + 1 WHERE id %% 40 = %s AND id %% %s = %s AND tenant <> %s AND id > 1",
        (rest, WRITERS, writer.number, STEADY),
    )
    if cursor.rowcount != len(chosen):
        raise AssertionError(f"of {len(chosen)} rows {cursor.rowcount} were updated")
    for key, at, tenant, note, hits in chosen:
        writer.rows[key] = key, at, tenant, note, hits + 1


def _several(connection: psycopg.Connection, writer: Writer) -> None:
    """Statements of one transaction; the table is read between them."""
    with connection.transaction():
        _insert(connection, writer)
        _move(connection, writer)
        row = writer.pick()
        seen = connection.execute(f"SELECT {COLUMNS} FROM events WHERE id = %s", row[:1]).fetchall()
        if seen != [row]:
            raise AssertionError(f"{row} reads {seen}")
        _update(connection, writer)


def _rolled_back(connection: psycopg.Connection, writer: Writer) -> None:
    """A whole transaction, or what is behind a savepoint; the ledger stays as it is."""
    kept = dict(writer.rows)
    with connection.transaction(force_rollback=True):
        for deed in (_insert, _move, _delete):
            deed(connection, writer)
    writer.rows = kept
    with connection.transaction():
        _update(connection, writer)
        kept = dict(writer.rows)
        with connection.transaction(force_rollback=True):
            _delete(connection, writer)
            _rename(connection, writer)
        writer.rows = kept


def _steady(connection: psycopg.Connection, writer: Writer) -> None:
    """A hit goes from one of the steady rows to another: the sum stays."""
    mine = [row for row in writer.rows.values() if row[2] == STEADY]
    if len(mine) < 2:
        return
    one, other = writer.dice.sample(mine, 2)
    with connection.transaction():
        for row, more in sorted(((one, -1), (other, 1))):
            at = writer.moment()
            _one(
                connection.execute(
                    "UPDATE events SET hits = hits + %s, created_at = %s WHERE id = %s", (more, at, row[0])
                ),
                "moving",
            )
            writer.rows[row[0]] = row[0], at, row[2], row[3], row[4] + more


# -- others


def _heat(connection: psycopg.Connection, application: Application, _: object) -> None:
    """The hot row: gone and back in each transaction, in another month."""
    hits, month = 1, 0
    while not application.over.wait(0.01):
        hits, month = hits + 1, (month + 5) % 14
        at = FIRST + timedelta(days=29 * month)
        began = time.monotonic()
        with connection.transaction():
            _one(connection.execute(f"DELETE FROM events WHERE id = {HOT}"), "DELETE of the hot row")
            connection.execute(f"INSERT INTO events ({COLUMNS}) VALUES ({HOT}, %s, 0, 'hot', %s)", (at, hits))
        _timed(application, began)


def _read(connection: psycopg.Connection, application: Application, _: object) -> None:
    whole = f"SELECT count(*), sum(hits) FROM events WHERE tenant = {STEADY}"
    true = connection.execute(whole).fetchone()
    last = 0
    while not application.over.wait(0.002):
        began = time.monotonic()
        seen = connection.execute(whole).fetchone()
        hot = connection.execute(f"SELECT hits FROM events WHERE id = {HOT}").fetchall()
        _timed(application, began)
        application.reads += 1
        if seen != true:
            raise AssertionError(f"a reader saw {seen} instead of {true}")
        if len(hot) != 1 or hot[0][0] < last:
            raise AssertionError(f"the hot row reads {hot} after {last}")
        last = hot[0][0]


def _empty(connection: psycopg.Connection, application: Application, moment: str) -> None:
    """Empties the partition that has *moment*, and the table one time in four, while no writer is in a transaction."""
    count = 0
    while not application.over.wait(0.5) or count < 1:
        with ExitStack() as stack:
            for writer in application.writers:
                stack.enter_context(writer.gate)
            stack.enter_context(connection.transaction())
            count += 1
            # A lock that is made stronger may wait for us while we wait for it; so a plain table is emptied as a whole.
            if application.dice.random() < 0.25 or _is_plain(connection):
                connection.execute("TRUNCATE events")
                for writer in application.writers:
                    writer.rows.clear()
                continue
            # What has the moment can't be replaced by another then.
            connection.execute("LOCK TABLE events IN ACCESS SHARE MODE")
            name = _partition_of(connection, moment)
            connection.execute(f"LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE".encode())
            gone = connection.execute(f"SELECT id FROM ONLY {name}".encode()).fetchall()
            connection.execute(f"TRUNCATE {name}".encode())
            for (key,) in gone:
                application.writers[key % WRITERS].rows.pop(key, None)


def _is_plain(connection: psycopg.Connection) -> bool:
    """As the catalog has it, with no lock on the table."""
    row = connection.execute("SELECT relkind FROM pg_class WHERE oid = to_regclass('events')").fetchone()
    return row == ("r",)


def _partition_of(connection: psycopg.Connection, moment: str) -> str:
    """A row there says which it is; its lock, which could not be made stronger without waiting, is given back."""
    insert = f"INSERT INTO events ({COLUMNS}) VALUES (0, %s, 0, '', 0) RETURNING CAST(tableoid AS regclass)::text"
    with connection.transaction(force_rollback=True):
        row = connection.execute(insert, (moment,)).fetchone()
    assert row
    return str(row[0])


# -- processes that are killed


def in_pieces(monkeypatch: pytest.MonkeyPatch | None = None) -> None:
    """
    However few rows there are, they are copied in pieces of a few pages.

    Args:
        monkeypatch: None: for as long as the process lives.
    """
    patch = monkeypatch or pytest.MonkeyPatch()
    allow = Pace.allow

    def few(self: Pace, connection: Connection) -> None:
        self.pages = 8
        allow(self, connection)

    patch.setattr(Pace, "allow", few)
    patch.setattr("sa_partman.plan.rewrite.request.SMALL", -1)


def work(
    url: str,
    what: str,
    point: int = 0,
    deed: Callable[[], None] = die,
    statement: str = "",
    lock: LockPolicy = BRISK,
) -> None:
    """In a process of its own: `begin`; *deed* happens at *point*, see `at_point`."""
    in_pieces()
    engine = create_engine(url)
    try:
        with at_point(engine, point, deed, statement):
            begin(engine, what, lock)
    except PartmanError as error:
        sys.exit(f"{type(error).__name__}: {error}")


def worker(engine: Engine, what: str, lock: LockPolicy = BRISK) -> Rewriter:
    return rewriter(engine, VERBS[what.rpartition(" ")[2]].metadata, lock=lock)


def begin(engine: Engine, what: str, lock: LockPolicy = BRISK) -> Conversion:
    """*what* is a key of `VERBS`, or "undo" or "finalize" of one."""
    action, _, verb = what.rpartition(" ")
    work = worker(engine, what, lock)
    return getattr(work, action)("events") if action else VERBS[verb].move(work)


def go_on(engine: Engine, what: str) -> Conversion:
    """What a user does after a failure: resume; or begin anew when nothing was stored."""
    deadline = time.monotonic() + 30
    while True:
        try:
            found = worker(engine, what).state("events")
            if found is None or found.status == "aborted":
                return begin(engine, what)
            kept = found.unfinished.kept and not found.kind.startswith("undo")
            if kept and " " in what:
                return begin(engine, what)
            return found if kept or found.status == "done" else worker(engine, what).resume("events")
        except MaintainerBusy:  # the server has not noticed yet that the other process is dead
            assert time.monotonic() < deadline
            time.sleep(0.02)
