"""How many statements a flush of many objects takes, for each kind of key that the pages teach."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import BigInteger, DateTime, Engine, Identity, Uuid, event, func
from sqlalchemy.orm import DeclarativeBase, Session, mapped_column

from sa_partman import Maintainer, PartitionByRange

MANY = 1_500
IN_BATCHES = 2
"""Rows go in batches of a thousand."""


def _client() -> datetime:
    return datetime.now(UTC)


KEYS: dict[str, tuple[Callable[[], Any], Callable[[], Any], int]] = {
    "Identity() with autoincrement=True": (
        lambda: mapped_column(BigInteger, Identity(), primary_key=True, autoincrement=True),
        lambda: mapped_column(DateTime(timezone=True), primary_key=True, server_default=func.now()),
        IN_BATCHES,
    ),
    "Identity() alone": (
        lambda: mapped_column(BigInteger, Identity(), primary_key=True),
        lambda: mapped_column(DateTime(timezone=True), primary_key=True, server_default=func.now()),
        MANY,
    ),
    "a UUID of the application, marked": (
        lambda: mapped_column(Uuid, primary_key=True, default=uuid.uuid4, insert_sentinel=True),
        lambda: mapped_column(DateTime(timezone=True), primary_key=True, server_default=func.now()),
        IN_BATCHES,
    ),
    "a UUID of the application beside a time of the application": (
        lambda: mapped_column(Uuid, primary_key=True, default=uuid.uuid4),
        lambda: mapped_column(DateTime(timezone=True), primary_key=True, default=_client),
        IN_BATCHES,
    ),
    "a UUID of the server": (
        lambda: mapped_column(Uuid, primary_key=True, server_default=func.gen_random_uuid()),
        lambda: mapped_column(DateTime(timezone=True), primary_key=True, server_default=func.now()),
        MANY,
    ),
}


@pytest.mark.parametrize("kind", KEYS)
def test_a_flush_takes_as_many_statements_as_its_key_says(engine: Engine, kind: str) -> None:
    first, second, expected = KEYS[kind]

    class Base(DeclarativeBase):
        pass

    class Event(Base):
        __tablename__ = "events"
        __partition__ = PartitionByRange("at", interval="1 month")
        id = first()
        at = second()

    Base.metadata.create_all(engine)
    sent: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda _c, _u, statement, *_: sent.append(statement))
    with Session(engine) as session:
        session.add_all(Event() for _ in range(MANY))
        session.commit()
    inserts = [each for each in sent if each.startswith("INSERT")]

    assert expected == len(inserts)
    said = [each.code for each in Maintainer(engine, Base.metadata).check() if each.code == "unbatched-inserts"]
    assert (["unbatched-inserts"] if expected == MANY else []) == said
