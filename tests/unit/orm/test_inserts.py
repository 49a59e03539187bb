"""A mapped class is warned once when its key ends batched inserts, and the remedy is the line to write."""

from __future__ import annotations

import uuid
import warnings
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import BigInteger, Column, DateTime, Identity, Integer, MetaData, Sequence, Table, Uuid, func, text
from sqlalchemy.orm import DeclarativeBase, mapped_column

from sa_partman import PartitionByRange, UnbatchedInserts, partition_by
from sa_partman.orm.inserts import is_mapped, unbatched

SERVER = {"server_default": func.now()}
CLIENT = {"default": lambda: datetime.now(UTC)}


def table(*key: Column[Any]) -> Table:
    return Table("events", MetaData(), *key)


def at(**arguments: Any) -> Column[Any]:
    return Column("at", DateTime(timezone=True), primary_key=True, **arguments)


def number(*items: Any, **arguments: Any) -> Column[Any]:
    return Column("id", BigInteger, *items, primary_key=True, **arguments)


def identifier(**arguments: Any) -> Column[Any]:
    return Column("id", Uuid, primary_key=True, **arguments)


NUMBERED = "add autoincrement=True to 'id', beside what generates it; the DDL stays the same"
MARKED = "add insert_sentinel=True to 'id', whose values are unique and made by the application"


@pytest.mark.parametrize(
    ("key", "advice"),
    [
        ((number(Identity()), at(**SERVER)), NUMBERED),
        ((number(Identity()), at(**CLIENT)), NUMBERED),
        ((number(Sequence("numbers")), at(**SERVER)), NUMBERED),
        ((number(Identity(), autoincrement=True), at(**SERVER)), ""),
        ((number(Identity()),), ""),
        ((identifier(default=uuid.uuid4), at(**SERVER)), MARKED),
        ((identifier(default=uuid.uuid4, insert_sentinel=True), at(**SERVER)), ""),
        ((identifier(default=uuid.uuid4), at(**CLIENT)), ""),
        ((identifier(default=uuid.uuid4), at()), ""),
        (
            (identifier(server_default=text("gen_random_uuid()")), at(**SERVER)),
            "give 'id', 'at' a client-side default= instead of a server_default",
        ),
    ],
)
def test_advice_is_given_where_returned_rows_can_t_be_told_apart(key: tuple[Column[Any], ...], advice: str) -> None:
    assert advice == unbatched(table(*key))


class Base(DeclarativeBase):
    pass


def test_a_class_is_warned_once_with_the_line_to_write() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")

        class Event(Base):
            __tablename__ = "events"
            __partition__ = PartitionByRange("at", interval="1 month")
            id = mapped_column(BigInteger, Identity(), primary_key=True)
            at = mapped_column(DateTime(timezone=True), primary_key=True, server_default=func.now())

    assert [UnbatchedInserts] == [each.category for each in caught]
    assert (
        "Event: the ORM will send one INSERT for each new object, because no column of the primary key (id, at) tells "
        f"returned rows apart; {NUMBERED}"
    ) == str(caught[0].message)


def test_a_class_that_is_declared_later_is_warned_too() -> None:
    class Late(Base):
        __tablename__ = "late"
        id = mapped_column(BigInteger, Identity(), primary_key=True)
        at = mapped_column(DateTime(timezone=True), primary_key=True, server_default=func.now())

    with pytest.warns(UnbatchedInserts, match="Late: .*autoincrement=True to 'id'"):
        partition_by(Late, PartitionByRange("at", interval="1 month"))


def test_a_table_without_a_class_and_one_with_a_right_key_are_not_warned() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain = Table("plain", MetaData(), number(Identity()), at(**SERVER), PartitionByRange("at", interval="1 month"))

        class Right(Base):
            __tablename__ = "right_key"
            __table_args__ = (PartitionByRange("at", interval="1 month"),)
            id = mapped_column(Integer, Identity(), primary_key=True, autoincrement=True)
            at = mapped_column(DateTime(timezone=True), primary_key=True, server_default=func.now())

    assert (False, True) == (is_mapped(plain), is_mapped(Right.__table__))  # type: ignore[arg-type]
