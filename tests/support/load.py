"""An application of many workers, in a process of its own: each keeps a ledger of what it was told is committed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe

import psycopg

from tests.support.converting import NOW
from tests.support.processes import pipe, started

FUNCTION = """
CREATE FUNCTION add_event(org int, what text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE made bigint;
BEGIN
    INSERT INTO events (org_id, note, created_at) VALUES (org, what, '2030-06-15') RETURNING id INTO made;
    UPDATE events SET note = what || '!' WHERE id = made;
    RETURN made;
END $$
"""
STYLES = ("plain", "prepared", "plpgsql", "transaction")
WORKERS = 12
PAUSE = 0.02
"""Seconds between two transactions: workers that fight for the processor would only measure the machine."""


@dataclass
class Ledger:
    """
    Args:
        alive: Ids of rows that were inserted and not deleted.
        dead: Ids of rows that were deleted.
        errors: What went wrong, in words.
        slowest: Seconds of the slowest statement.
        done: Transactions.
    """

    alive: set[int] = field(default_factory=set)
    dead: set[int] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)
    slowest: float = 0.0
    done: int = 0
    repeated: list[int] = field(default_factory=list)

    def add(self, key: int) -> None:
        if key in self.alive or key in self.dead:
            self.repeated.append(key)
        self.alive.add(key)

    def drop(self, key: int) -> None:
        self.alive.discard(key)
        self.dead.add(key)

    def join(self, other: Ledger) -> None:
        self.repeated += other.repeated + sorted((self.alive | self.dead) & (other.alive | other.dead))
        self.alive |= other.alive
        self.dead |= other.dead
        self.errors += other.errors
        self.slowest = max(self.slowest, other.slowest)
        self.done += other.done


@contextmanager
def under_load(uri: str) -> Iterator[Ledger]:
    """Twelve workers write and read during the block; the ledger is filled at its end."""
    ours, theirs = pipe()
    process = started(_serve, uri, theirs)
    ledger = Ledger()
    assert ours.recv() == "working"
    try:
        yield ledger
        time.sleep(0.2)
    finally:
        ours.send("stop")
        if ours.poll(30):
            ledger.join(ours.recv())
        process.join(30)


def _serve(uri: str, pipe: Pipe) -> None:
    over = threading.Event()
    ledgers = [Ledger() for _ in range(WORKERS)]
    threads = [
        threading.Thread(target=_work, args=(uri, STYLES[number % len(STYLES)], ledger, over))
        for number, ledger in enumerate(ledgers)
    ]
    for thread in threads:
        thread.start()
    while not all(ledger.done or ledger.errors for ledger in ledgers):
        time.sleep(0.01)
    pipe.send("working")
    pipe.recv()
    over.set()
    total = Ledger()
    for thread, ledger in zip(threads, ledgers, strict=True):
        thread.join(20)
        total.join(ledger)
    pipe.send(total)


def _work(uri: str, style: str, ledger: Ledger, over: threading.Event) -> None:
    try:
        with psycopg.connect(uri, autocommit=style != "transaction") as connection:
            connection.prepare_threshold = 0 if style == "prepared" else None
            turn = 0
            while not over.is_set():
                turn += 1
                began = time.monotonic()
                (_in_transaction if style == "transaction" else _alone)(connection, style, ledger, turn)
                ledger.slowest = max(ledger.slowest, time.monotonic() - began)
                ledger.done += 1
                over.wait(PAUSE)
    except Exception as error:
        ledger.errors.append(f"{style}: {type(error).__name__}: {error}")


INSERT = "INSERT INTO events (org_id, note, created_at) VALUES (%s, %s, %s) RETURNING id"


def _alone(connection: psycopg.Connection, style: str, ledger: Ledger, turn: int) -> None:
    org = 1 + turn % 10
    if style == "plpgsql":
        row = connection.execute("SELECT add_event(%s, %s)", (org, "load")).fetchone()
    else:
        row = connection.execute(INSERT, (org, "load", NOW)).fetchone()
    assert row
    ledger.add(row[0])
    changed = connection.execute("UPDATE events SET note = 'seen' WHERE id = %s", (row[0],)).rowcount
    read = connection.execute("SELECT note FROM events WHERE id = %s", (row[0],)).fetchall()
    if changed != 1 or read != [("seen",)]:
        ledger.errors.append(f"{style}: row {row[0]} was updated {changed} times and reads {read}")
    if turn % 3 == 0:
        gone = connection.execute("DELETE FROM events WHERE id = %s", (row[0],)).rowcount
        ledger.drop(row[0])
        if gone != 1:
            ledger.errors.append(f"{style}: row {row[0]} was deleted {gone} times")


def _in_transaction(connection: psycopg.Connection, style: str, ledger: Ledger, turn: int) -> None:
    """Several statements, the referenced table among them; every third transaction is rolled back."""
    if turn % 10 == 0:
        connection.execute("SELECT count(*) FROM event_count").fetchone()
    connection.execute("SELECT name FROM orgs WHERE id = %s FOR KEY SHARE", (1 + turn % 10,))
    made = [connection.execute(INSERT, (1 + turn % 10, "load", NOW)).fetchone() for _ in range(3)]
    keys = [row[0] for row in made if row]
    found = connection.execute("SELECT count(*) FROM events WHERE id = ANY(%s)", (keys,)).fetchone()
    if found != (3,):
        ledger.errors.append(f"{style}: of 3 own rows {found} were seen")
    if turn % 3 == 0:
        connection.rollback()
        for key in keys:
            ledger.drop(key)
        return
    connection.commit()
    for key in keys:
        ledger.add(key)
