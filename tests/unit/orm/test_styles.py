"""Every way to declare a model or a table: each ends in the same declaration."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, ClassVar

import pytest
from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    func,
)
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    MappedAsDataclass,
    clear_mappers,
    declarative_base,
    declared_attr,
    mapped_column,
    registry,
)
from sqlalchemy.schema import CreateTable

from sa_partman import PartitionByHash, PartitionByRange, Partitioned, partition_by
from sa_partman.errors import DeclarationError
from sa_partman.orm.registry import declared, declared_tables, spec_of

SPEC = PartitionByRange("created_at", interval="1 month")


@pytest.fixture(autouse=True)
def _no_mappers() -> Iterator[None]:
    yield
    clear_mappers()


def new_base() -> type[DeclarativeBase]:
    """A fresh declarative base."""

    class Base(DeclarativeBase):
        pass

    return Base


def columns() -> list[Column[Any]]:
    """Those of every table here, as Core has them."""
    return [
        Column("id", BigInteger, Identity(), primary_key=True),
        Column("created_at", DateTime(timezone=True), primary_key=True, server_default=func.now()),
    ]


def plain() -> Table:
    class Event(new_base()):  # type: ignore[misc]
        __tablename__ = "events"
        __partition__ = SPEC
        id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
        created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)

    return Event.__table__  # type: ignore[no-any-return]


def mixin_first() -> Table:
    class Event(Partitioned, new_base()):  # type: ignore[misc]
        __tablename__ = "events"
        __partition__ = SPEC
        id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
        created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)

    return Event.__table__  # type: ignore[no-any-return]


def mixin_last() -> Table:
    class Event(new_base(), Partitioned):  # type: ignore[misc]
        __tablename__ = "events"
        __partition__ = SPEC
        id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
        created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)

    return Event.__table__  # type: ignore[no-any-return]


def table_args_dict() -> Table:
    class Event(Partitioned, new_base()):  # type: ignore[misc]
        __tablename__ = "events"
        __table_args__: ClassVar[Any] = {"comment": "what happened"}
        __partition__ = SPEC
        id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
        created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)

    return Event.__table__  # type: ignore[no-any-return]


def in_table_args_tuple() -> Table:
    class Event(new_base()):  # type: ignore[misc]
        __tablename__ = "events"
        __table_args__ = (SPEC, {"comment": "what happened"})
        id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
        created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)

    return Event.__table__  # type: ignore[no-any-return]


def table_args_declared_attr() -> Table:
    class Event(Partitioned, new_base()):  # type: ignore[misc]
        __tablename__ = "events"
        __partition__ = SPEC
        id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
        created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)

        @declared_attr.directive
        def __table_args__(cls) -> Any:  # noqa: N805
            return {"comment": "what happened"}

    return Event.__table__  # type: ignore[no-any-return]


def abstract_base() -> Table:
    base = new_base()

    class Timed(base):  # type: ignore[misc,valid-type]
        __abstract__ = True
        __partition__ = SPEC
        id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
        created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)

    class Event(Timed):
        __tablename__ = "events"

    return Event.__table__  # type: ignore[no-any-return]


def declared_attr_mixin_after_base() -> Table:
    class Monthly:
        @declared_attr.directive
        def __partition__(cls) -> Any:  # noqa: N805
            return SPEC

    class Event(new_base(), Monthly):  # type: ignore[misc]
        __tablename__ = "events"
        id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
        created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)

    return Event.__table__  # type: ignore[no-any-return]


def dataclass_base() -> Table:
    class Base(MappedAsDataclass, DeclarativeBase):
        pass

    class Event(Partitioned, Base):
        __tablename__ = "events"
        __partition__ = SPEC
        id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True, init=False)
        created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)

    return Event.__table__  # type: ignore[return-value]


def registry_mapped() -> Table:
    @registry().mapped
    class Event:
        __tablename__ = "events"
        __partition__ = SPEC
        id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
        created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)

    return Event.__table__  # type: ignore[attr-defined,no-any-return]


def registry_mapped_as_dataclass() -> Table:
    @registry().mapped_as_dataclass
    class Event:
        __tablename__ = "events"
        __partition__: ClassVar[Any] = SPEC
        id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True, init=False)
        created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)

    return Event.__table__  # type: ignore[attr-defined,no-any-return]


def old_declarative_base() -> Table:
    class Event(declarative_base()):  # type: ignore[misc]
        __tablename__ = "events"
        __partition__ = SPEC
        id = Column(BigInteger, Identity(), primary_key=True)
        created_at = Column(DateTime(timezone=True), primary_key=True)

    return Event.__table__  # type: ignore[no-any-return]


def imperative() -> Table:
    class Event:
        __partition__ = SPEC

    table = Table("events", MetaData(), *columns())
    registry().map_imperatively(Event, table)
    return table


def hybrid() -> Table:
    class Event(Partitioned, new_base()):  # type: ignore[misc]
        __table__ = Table("events", MetaData(), *columns())
        __partition__ = SPEC

    return Event.__table__


def core_first() -> Table:
    return Table("events", MetaData(), SPEC, *columns())


def core_in_the_middle() -> Table:
    first, *rest = columns()
    return Table("events", MetaData(), first, SPEC, *rest)


def core_last() -> Table:
    return Table("events", MetaData(), *columns(), SPEC)


def function_on_table() -> Table:
    table: Table = partition_by(Table("events", MetaData(), *columns()), SPEC)
    return table


def function_on_class() -> Table:
    class Event(new_base()):  # type: ignore[misc]
        __tablename__ = "events"
        id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
        created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)

    return partition_by(Event, SPEC).__table__  # type: ignore[no-any-return]


def copied_to_metadata() -> Table:
    return core_last().to_metadata(MetaData())


def pickled() -> Table:
    return pickle.loads(pickle.dumps(core_last()))  # type: ignore[no-any-return]


STYLES: list[Callable[[], Table]] = [
    plain,
    mixin_first,
    mixin_last,
    table_args_dict,
    in_table_args_tuple,
    table_args_declared_attr,
    abstract_base,
    declared_attr_mixin_after_base,
    dataclass_base,
    registry_mapped,
    registry_mapped_as_dataclass,
    old_declarative_base,
    imperative,
    hybrid,
    core_first,
    core_in_the_middle,
    core_last,
    function_on_table,
    function_on_class,
    copied_to_metadata,
    pickled,
]


def ddl(table: Table) -> str:
    return str(CreateTable(table).compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.__name__)
def test_every_style_declares_the_same(style: Callable[[], Table]) -> None:
    """The declaration is found in the metadata, and CREATE TABLE says PARTITION BY, once."""
    table = style()

    assert SPEC == spec_of(table)
    assert [table] == [each for each, _ in declared_tables(table.metadata)]
    assert ddl(table).rstrip().endswith("PARTITION BY RANGE (created_at)")
    assert ddl(table).count("PARTITION BY") == 1


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.__name__)
@pytest.mark.parametrize("dialect", [sqlite, mysql], ids=["sqlite", "mysql"])
def test_elsewhere_a_declaration_does_nothing(style: Callable[[], Table], dialect: Any) -> None:
    """SQLite and MySQL see a plain table."""
    assert "PARTITION" not in str(CreateTable(style()).compile(dialect=dialect.dialect()))


def test_sqlmodel() -> None:
    """SQLModel's class keyword ``table=True`` makes a mapped class like any other."""
    sqlmodel = pytest.importorskip("sqlmodel")

    class Visit(sqlmodel.SQLModel, table=True):  # type: ignore[misc, name-defined, call-arg]
        __tablename__ = "sqlmodel_visits"
        __partition__: ClassVar[Any] = SPEC
        id: int = sqlmodel.Field(sa_column=Column(BigInteger, Identity(), primary_key=True))
        created_at: datetime = sqlmodel.Field(sa_column=Column(DateTime(timezone=True), primary_key=True))

    table = sqlmodel.SQLModel.metadata.tables["sqlmodel_visits"]
    sqlmodel.SQLModel.metadata.remove(table)

    assert SPEC == spec_of(table)


def test_an_abstract_base_gives_each_child_its_own() -> None:
    """Two tables, one declaration."""
    base = new_base()

    class Timed(base):  # type: ignore[misc,valid-type]
        __abstract__ = True
        __partition__ = SPEC
        id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
        created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)

    class Event(Timed):
        __tablename__ = "events"

    class Visit(Timed):
        __tablename__ = "visits"

    assert ["events", "visits"] == [each.name for each, _ in declared_tables(base.metadata)]
    assert Event.__table__ is not Visit.__table__


def single_table() -> Any:
    base = new_base()

    class Event(base):  # type: ignore[misc,valid-type]
        __tablename__ = "events"
        __partition__ = SPEC
        __mapper_args__: ClassVar[Any] = {"polymorphic_on": "kind", "polymorphic_identity": "event"}
        id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
        created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
        kind: Mapped[str]

    return Event


def test_single_table_inheritance() -> None:
    """A child shares the table of its base class, and its declaration."""
    event = single_table()

    class Click(event):  # type: ignore[misc, valid-type]
        __mapper_args__: ClassVar[Any] = {"polymorphic_identity": "click"}

    assert SPEC == spec_of(Click.__table__)
    assert len(declared_tables(event.metadata)) == 1


def test_single_table_inheritance_with_a_declaration_of_its_own() -> None:
    """One table can't be partitioned in two ways; the message names the class, the table and the remedy."""
    event = single_table()

    with pytest.raises(DeclarationError, match=r"Click shares the table events.*set __partition__ on the base class"):

        class Click(event):  # type: ignore[misc, valid-type]
            __partition__ = PartitionByHash("id", modulus=2)
            __mapper_args__: ClassVar[Any] = {"polymorphic_identity": "click"}


def test_joined_inheritance() -> None:
    """The child's table is another one: it does not inherit the declaration, and may have its own."""
    base = new_base()

    class Event(Partitioned, base):  # type: ignore[misc,valid-type]
        __tablename__ = "events"
        __partition__ = PartitionByHash("id", modulus=4)
        __mapper_args__: ClassVar[Any] = {"polymorphic_on": "kind", "polymorphic_identity": "event"}
        id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
        kind: Mapped[str]

    class Click(Event):
        __tablename__ = "clicks"
        __mapper_args__: ClassVar[Any] = {"polymorphic_identity": "click"}
        id: Mapped[int] = mapped_column(ForeignKey("events.id"), primary_key=True)

    class Visit(Event):
        __tablename__ = "visits"
        __partition__ = PartitionByHash("id", modulus=8)
        __mapper_args__: ClassVar[Any] = {"polymorphic_identity": "visit"}
        id: Mapped[int] = mapped_column(ForeignKey("events.id"), primary_key=True)

    assert spec_of(Click.__table__) is None
    assert PartitionByHash("id", modulus=8) == spec_of(Visit.__table__)


def test_partitioned_without_saying_how() -> None:
    """The mixin without ``__partition__`` is a slip, and the message says what is missing."""
    with pytest.raises(DeclarationError, match="Event is Partitioned and has no __partition__; set it"):

        class Event(Partitioned, new_base()):  # type: ignore[misc]
            __tablename__ = "events"
            id: Mapped[int] = mapped_column(primary_key=True)


def test_partitioned_without_saying_how_over_a_table_that_does() -> None:
    """A ``__table__`` or ``__table_args__`` may bring the declaration."""

    class Event(Partitioned, new_base()):  # type: ignore[misc]
        __table__ = core_last()

    class Visit(Partitioned, new_base()):  # type: ignore[misc]
        __tablename__ = "visits"
        __table_args__ = (SPEC,)
        id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
        created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)

    assert SPEC == spec_of(Event.__table__)
    assert SPEC == spec_of(Visit.__table__)


def test_partition_none_switches_an_inherited_declaration_off() -> None:
    """A child of an abstract base may stay plain."""
    base = new_base()

    class Timed(base):  # type: ignore[misc,valid-type]
        __abstract__ = True
        __partition__: ClassVar[Any] = SPEC

    class Event(Timed):
        __tablename__ = "events"
        __partition__ = None
        id: Mapped[int] = mapped_column(primary_key=True)

    assert spec_of(Event.__table__) is None


def test_something_else_as_partition() -> None:
    """A string is no declaration."""
    with pytest.raises(DeclarationError, match=r"Event.__partition__ is 'month'; write PartitionByRange"):

        class Event(new_base()):  # type: ignore[misc]
            __tablename__ = "events"
            __partition__ = "month"
            id: Mapped[int] = mapped_column(primary_key=True)


def test_declared_twice() -> None:
    """Two declarations that differ contradict each other; twice the same is harmless."""
    table = core_last()
    partition_by(table, PartitionByRange("created_at", interval="1 month"))

    with pytest.raises(DeclarationError, match=r"events: declared twice.*remove one"):
        partition_by(table, PartitionByRange("created_at", interval="1 day"))


def test_partition_by_of_something_else() -> None:
    """It takes tables and mapped classes."""
    with pytest.raises(DeclarationError, match="takes a Table or a mapped class, not 'events'"):
        partition_by("events", SPEC)


def test_a_declaration_belongs_to_a_table() -> None:
    """Inside a Column it would be lost."""
    with pytest.raises(TypeError, match="belongs to a Table"):
        Column("id", Integer, SPEC)


def test_postgresql_partition_by_of_the_user_that_contradicts() -> None:
    """Two truths about one table: the message shows both."""
    with pytest.raises(DeclarationError, match=r"events: postgresql_partition_by='LIST \(kind\)' contradicts.*remove"):
        Table("events", MetaData(), *columns(), SPEC, postgresql_partition_by="LIST (kind)")


def test_postgresql_partition_by_of_the_user_that_says_the_same() -> None:
    """A model that had it before gets its declaration added line by line."""
    table = Table("events", MetaData(), *columns(), SPEC, postgresql_partition_by="range(created_at)")

    assert "RANGE (created_at)" == table.dialect_kwargs["postgresql_partition_by"]


def test_a_declaration_shared_by_two_tables() -> None:
    """It is immutable, so that one object may serve several tables."""
    metadata = MetaData()
    Table("events", metadata, *columns(), SPEC)
    Table("visits", metadata, *columns(), SPEC)

    assert ["events", "visits"] == [each.name for each, _ in declared_tables(metadata)]


def test_a_column_with_another_key() -> None:
    """A declaration uses the attribute's key; the database sees the column's name."""
    table = Table(
        "events",
        MetaData(),
        Column("id", BigInteger, Identity(), primary_key=True),
        Column("TS key", DateTime(timezone=True), key="created_at", primary_key=True),
        SPEC,
    )

    assert 'PARTITION BY RANGE ("TS key")' in ddl(table)
    assert ("TS key",) == declared(table).level.key.columns


def test_an_attribute_over_another_column() -> None:
    """A class whose attribute and column differ: the declaration may use the attribute's name."""

    class Event(Partitioned, new_base()):  # type: ignore[misc]
        __tablename__ = "events"
        __partition__ = PartitionByRange("happened", interval="1 day")
        id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
        happened: Mapped[datetime] = mapped_column("created", DateTime(timezone=True), key="happened", primary_key=True)

    assert "PARTITION BY RANGE (created)" in ddl(Event.__table__)


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("order", '"order"'),
        ("createdAt", '"createdAt"'),
        ("created at", '"created at"'),
        ('say "when"', '"say ""when"""'),
        ("été", '"été"'),
        ("1st", '"1st"'),
        ("c" * 63, "c" * 63),
        ("created$", '"created$"'),
    ],
)
def test_hostile_column_names(name: str, written: str) -> None:
    """Quoted where PostgreSQL needs it, and nowhere else."""
    table = Table(
        "events",
        MetaData(),
        Column("id", BigInteger, Identity(), primary_key=True),
        Column(name, DateTime(timezone=True), primary_key=True),
        PartitionByRange(name, interval="1 day"),
    )

    assert f"RANGE ({written})" == table.dialect_kwargs["postgresql_partition_by"]


@pytest.mark.parametrize("name", ["table's name", "order", "Events", "e" * 63, 'the "events"', "événements"])
def test_hostile_table_names(name: str) -> None:
    """They don't change the declaration."""
    table = Table(name, MetaData(), *columns(), SPEC)

    assert name == declared(table).name.name


def test_the_table_of_a_schema() -> None:
    """The declared name carries the schema."""
    table = Table("events", MetaData(schema="audit"), *columns(), SPEC)

    assert "audit.events" == str(declared(table).name)


def test_string_lengths_are_no_part_of_a_key_type() -> None:
    """``varchar(20)`` is text to a list."""
    from sa_partman import PartitionByList

    table = Table(
        "events",
        MetaData(),
        Column("region", String(20), primary_key=True),
        PartitionByList("region", values=["de", "fr"]),
    )

    assert "text" == declared(table).level.key.types[0].family


@pytest.mark.parametrize("info", ["text", None, {"sa_partman": "ours is another one"}])
def test_info_belongs_to_its_user(info: Any) -> None:
    table = Table("anything", MetaData(), Column("id", Integer))
    table.info = info

    assert spec_of(table) is None


def test_a_declaration_needs_info_that_can_hold_it() -> None:
    table = Table("events", MetaData(), *columns())
    info: Any = "text"
    table.info = info

    with pytest.raises(DeclarationError, match=r"events: its info is 'text'.*make it a dictionary"):
        partition_by(table, SPEC)


@pytest.mark.parametrize("dialect", ["sqlite", ("mysql", "mariadb")])
def test_what_never_exists_on_postgresql_is_not_held_against_it(dialect: Any) -> None:
    """``ddl_if()`` of another dialect: a unique constraint, or index, without the key."""
    unique = UniqueConstraint("id").ddl_if(dialect=dialect)
    index = Index("by_id", "id", unique=True).ddl_if(dialect=dialect)
    table = Table("events", MetaData(), *columns(), unique, index, SPEC)

    assert SPEC == spec_of(table)


def test_what_a_callable_decides_is_not_held_against_it() -> None:
    """It is asked when the DDL runs; PostgreSQL refuses what it lets through."""

    def asked(*_: Any, **__: Any) -> bool:
        raise AssertionError("it is not asked before")

    unique = UniqueConstraint("id").ddl_if(callable_=asked)
    index = Index("by_id", "id", unique=True).ddl_if(dialect="postgresql", callable_=asked)
    table = Table("events", MetaData(), *columns(), unique, index, SPEC)

    assert SPEC == spec_of(table)


def test_what_exists_on_postgresql_too_is() -> None:
    both: Any = ("sqlite", "postgresql")
    unique = UniqueConstraint("id").ddl_if(dialect=both)

    with pytest.raises(DeclarationError, match="unique constraint"):
        Table("events", MetaData(), *columns(), unique, SPEC)
