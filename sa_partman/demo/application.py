"""An application that writes while the rows of its table are moved, and knows what it wrote."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg

INSERT = """
INSERT INTO flights (time_hour, origin, carrier, flight, dest, distance)
VALUES (timestamptz '2013-01-01 12:00Z' + %s * interval '1 day', 'JFK', 'ZZ', 1, 'BOS', 187) RETURNING id"""

UPDATE = "UPDATE flights SET arr_delay = coalesce(arr_delay, 0) + 1 WHERE id = %s"

DELETE = "DELETE FROM flights WHERE id = %s"


@dataclass
class Writer:
    """
    Args:
        uri: Of the database.
        statements: Each a transaction of its own.
        slowest: Seconds of the slowest one.
        there: The ids of its rows.
        error: Why it ended.
    """

    uri: str
    statements: int = 0
    slowest: float = 0.0
    there: list[int] = field(default_factory=list)
    error: BaseException | None = None

    def write(self, over: threading.Event) -> None:
        """New flights of any day, some of them deleted again, and changes of old ones."""
        dice = random.Random(2013)
        try:
            with psycopg.connect(self.uri, autocommit=True) as connection:
                while not over.wait(0.002):
                    began = time.monotonic()
                    self._turn(connection, dice)
                    self.slowest = max(self.slowest, time.monotonic() - began)
                    self.statements += 1
        except psycopg.Error as error:
            self.error = error

    def _turn(self, connection: psycopg.Connection, dice: random.Random) -> None:
        kind = self.statements % 8
        if kind < 2:
            self.there += (row[0] for row in connection.execute(INSERT, [dice.randrange(365)]))
        elif kind == 2:
            gone = self.there.pop(dice.randrange(len(self.there)))
            connection.execute(DELETE, [gone])
        else:
            connection.execute(UPDATE, [dice.randrange(1, 336_777)])


@contextmanager
def writing(uri: str) -> Iterator[Writer]:
    """One that writes as long as the block goes on."""
    writer, over = Writer(uri), threading.Event()
    thread = threading.Thread(target=writer.write, args=(over,))
    thread.start()
    try:
        yield writer
    finally:
        over.set()
        thread.join()
