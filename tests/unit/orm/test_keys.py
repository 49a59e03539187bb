"""The order of a primary key, and who said so."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import (
    Column,
    DateTime,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from sa_partman.orm.registry import lost_by, primary_key_of

NAMED = PrimaryKeyConstraint(name="pk")


class Base(DeclarativeBase):
    pass


class Stamped:
    """Its column comes first in every class that has it."""

    at: Mapped[Any] = mapped_column(DateTime(timezone=True), primary_key=True)


class Numbered(Base):
    __abstract__ = True
    id: Mapped[int] = mapped_column(primary_key=True)


class Accidental(Stamped, Numbered):
    __tablename__ = "accidental"


class Called(Stamped, Numbered):
    __tablename__ = "called"
    __table_args__ = (PrimaryKeyConstraint(name="pk_called"),)


class Written(Stamped, Numbered):
    __tablename__ = "written"
    __table_args__ = (PrimaryKeyConstraint("at", "id"),)


def test_columns_of_a_mixin_say_nothing_of_the_key() -> None:
    table = Accidental.__table__
    assert isinstance(table, Table)

    assert ["at", "id"] == [column.name for column in table.primary_key.columns]
    assert ("id", "at") == primary_key_of(table, ("id",))
    assert ("at", "id") == primary_key_of(table, ())


def test_a_constraint_without_columns_only_names_the_key() -> None:
    table = Called.__table__
    assert isinstance(table, Table)

    assert ("id", "at") == primary_key_of(table, ("id",))


def test_an_order_that_is_written_down_is_kept() -> None:
    table = Written.__table__
    assert isinstance(table, Table)

    assert ("at", "id") == primary_key_of(table, ("id",))


@pytest.mark.parametrize(
    ("item", "lost"),
    [
        (None, ["t_pkey"]),
        (Index("by_id", "id"), []),
        (Index("by_id_at", "id", "at"), []),
        (Index("by_at_id", "at", "id"), ["t_pkey"]),
        (Index("some", "id", postgresql_where=Column("id", Integer) > 0), ["t_pkey"]),
        (Index("brin", "id", postgresql_using="brin"), ["t_pkey"]),
        (UniqueConstraint("id", "at"), []),
    ],
)
def test_an_index_of_the_model_serves_as_well(item: Any, lost: list[str]) -> None:
    table = Table(
        "t",
        MetaData(),
        Column("id", Integer),
        Column("at", DateTime),
        PrimaryKeyConstraint("at", "id"),
        *(() if item is None else (item,)),
    )

    assert lost == [each.name for each in lost_by(table, ("id",), [("t_pkey", ("id",))])]


def test_a_unique_index_that_the_model_has_is_not_lost() -> None:
    """What is partial, or over an expression, is known by its name."""
    table = Table(
        "t",
        MetaData(),
        Column("id", Integer, primary_key=True),
        Column("mail", String),
        Index("mails", "mail", unique=True, postgresql_where=Column("id", Integer) > 0),
    )
    found = [("t_pkey", ("id",)), ("mails", ("mail",)), ("other", ("mail",))]

    assert ["other"] == [each.name for each in lost_by(table, ("id",), found)]
