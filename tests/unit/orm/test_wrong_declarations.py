"""A wrong declaration fails when the class is mapped; the message names the columns and the remedy."""

from __future__ import annotations

import enum
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Computed,
    Date,
    DateTime,
    Enum,
    Identity,
    Index,
    Integer,
    MetaData,
    Numeric,
    SmallInteger,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    Uuid,
    select,
)
from sqlalchemy.dialects.postgresql import DOMAIN, JSONB, UUID
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from sa_partman import (
    ULID,
    Epoch,
    KeyExpression,
    PartitionByHash,
    PartitionByList,
    PartitionByRange,
    Retention,
    Snowflake,
    UUIDv7,
)
from sa_partman.bounds.bound import KeyValue
from sa_partman.errors import DeclarationError
from sa_partman.key import Family
from sa_partman.orm.registry import declared, declared_tables, spec_of


class Colour(enum.Enum):
    red = "R"
    green = "G"


def new_table(*items: Any, id_column: Column[Any] | None = None, **columns: Any) -> Table:
    """``events`` with a generated id, *columns* (a type, or a Column without a name) and *items*, all in the key."""
    made = [id_column if id_column is not None else Column("id", BigInteger, Identity(), primary_key=True)]
    for name, given in columns.items():
        column = given if isinstance(given, Column) else Column(given, primary_key=True)
        column.name = column.key = name
        made.append(column)
    return Table("events", MetaData(), *made, *items)


MOMENT = DateTime(timezone=True)
MONTHLY = PartitionByRange("at", interval="1 month")


def refused(*words: str, **arguments: Any) -> Any:
    """A DeclarationError whose message has all of *words*."""

    class Expected:
        def __enter__(self) -> None:
            self.raised: Any = pytest.raises(DeclarationError)
            self.info = self.raised.__enter__()

        def __exit__(self, *error: Any) -> bool:
            done = self.raised.__exit__(*error)
            missing = [word for word in words if word not in str(self.info.value)]
            assert not missing, f"{missing} not in {self.info.value}"
            return bool(done)

    return Expected()


# -- columns and constraints


def test_an_unknown_column() -> None:
    """The message lists the columns that there are."""
    with refused("events", "'created_on'", "no column", "id, at", "KeyExpression"):
        new_table(PartitionByRange("created_on", interval="1 month"), at=MOMENT)


def test_an_unknown_column_fails_when_the_class_is_mapped() -> None:
    """Not later, and not when a server is there."""

    class Base(DeclarativeBase):
        pass

    with refused("events", "'created_on'"):

        class Event(Base):
            __tablename__ = "events"
            __partition__ = PartitionByRange("created_on", interval="1 month")
            id: Mapped[int] = mapped_column(primary_key=True)


def test_a_key_outside_the_primary_key() -> None:
    """PostgreSQL would refuse the primary key."""
    with refused("events", "primary key (id)", "lacks", "'at'", "primary_key=True on 'at'"):
        new_table(MONTHLY, at=Column(MOMENT, nullable=False))


def test_two_key_columns_outside_the_primary_key() -> None:
    """All of them are named at once."""
    spec = PartitionByRange("at", "kind", interval="1 month")

    with refused("columns 'at', 'kind'", "primary_key=True on 'at', 'kind'"):
        new_table(spec, at=Column(MOMENT, nullable=False), kind=Column(Integer, nullable=False))


def test_a_sub_level_key_outside_the_primary_key() -> None:
    """The key of every level has to be in it."""
    spec = PartitionByRange("at", interval="1 month", subpartition=PartitionByHash("user_id", modulus=2))

    with refused("primary key (id, at)", "'user_id'", "primary_key=True"):
        new_table(spec, at=MOMENT, user_id=Column(BigInteger, nullable=False))


def test_a_key_outside_a_unique_constraint() -> None:
    """The constraint is named."""
    with refused("unique constraint events_number", "(number)", "'at'", "add 'at' to it", "plain index"):
        new_table(MONTHLY, UniqueConstraint("number", name="events_number"), at=MOMENT, number=Column(Integer))


def test_a_key_outside_a_unique_column() -> None:
    """``unique=True`` on a column is a constraint without a name."""
    with refused("unique constraint (number)", "'at'"):
        new_table(MONTHLY, at=MOMENT, number=Column(Integer, unique=True))


def test_a_key_outside_a_unique_index() -> None:
    """A unique index is no less of a constraint."""
    with refused("unique index events_number", "'at'"):
        new_table(MONTHLY, Index("events_number", "number", unique=True), at=MOMENT, number=Column(Integer))


def test_a_plain_index_need_not_hold_the_key() -> None:
    """Only uniqueness needs it."""
    table = new_table(MONTHLY, Index("events_number", "number"), at=MOMENT, number=Column(Integer))

    assert MONTHLY == spec_of(table)


def test_a_constraint_that_comes_after_the_class() -> None:
    """The rules are checked again before they matter."""
    table = new_table(MONTHLY, at=MOMENT, number=Column(Integer))
    table.append_constraint(UniqueConstraint("number", name="late"))

    with refused("unique constraint late"):
        declared_tables(table.metadata)


def test_a_table_without_a_primary_key() -> None:
    """Core tables may have none."""
    table = Table("events", MetaData(), Column("at", MOMENT, nullable=False), MONTHLY)

    assert MONTHLY == spec_of(table)


def test_a_nullable_range_key() -> None:
    """No range takes NULL."""
    with refused("'at'", "may be NULL", "nullable=False", "Mapped[datetime]"):
        Table("events", MetaData(), Column("id", Integer), Column("at", MOMENT), MONTHLY)


def test_a_nullable_list_key() -> None:
    """Unless a label takes it, or a default partition does."""
    spec = PartitionByList("kind", values={"a": ["a"]})

    with refused("'kind'", "may be NULL", "None among the values", "default=True"):
        Table("events", MetaData(), Column("kind", Text), spec)


@pytest.mark.parametrize(
    "spec",
    [
        PartitionByList("kind", values={"a": ["a", None]}),
        PartitionByList("kind", values={"a": ["a"]}, default=True),
        PartitionByHash("kind", modulus=2),
    ],
    ids=repr,
)
def test_a_nullable_key_that_is_taken_care_of(spec: Any) -> None:
    """NULL has a place to go."""
    assert spec == spec_of(Table("events", MetaData(), Column("kind", Text), spec))


def test_a_generated_column() -> None:
    """PostgreSQL refuses it in a partition key."""
    with refused("'day'", "generated column"):
        new_table(
            PartitionByRange("day", interval="1 month"),
            at=MOMENT,
            day=Column(Date, Computed("at::date"), nullable=False),
        )


@pytest.mark.parametrize("spec", [PartitionByList("kind", values=["a"]), PartitionByHash("kind", modulus=2)], ids=repr)
def test_a_type_without_an_order(spec: Any) -> None:
    """json has no operator class; jsonb has."""
    with refused("'kind' (json)", "can't be a partition key", "another column"):
        Table("events", MetaData(), Column("kind", JSON, nullable=False), spec)


# -- id generation


@pytest.mark.parametrize("kind", [Integer, BigInteger, SmallInteger, BigInteger().with_variant(Integer, "sqlite")])
def test_lost_id_generation(kind: Any) -> None:
    """A composite key silently loses SERIAL, and every insert would fail."""
    with refused("'id'", "silently lose its id generation", "(id, at)", "Identity()", "autoincrement=True"):
        new_table(MONTHLY, at=MOMENT, id_column=Column("id", kind, primary_key=True))


def test_lost_id_generation_behind_a_type_decorator() -> None:
    """SQLAlchemy makes a SERIAL of a decorated integer as well."""

    class Id(TypeDecorator[int]):
        impl = Integer
        cache_ok = True

    with refused("'id'", "silently lose its id generation"):
        new_table(MONTHLY, at=MOMENT, id_column=Column("id", Id, primary_key=True))


@pytest.mark.parametrize(
    "column",
    [
        Column("id", BigInteger, Identity(), primary_key=True),
        Column("id", BigInteger, primary_key=True, autoincrement=True),
        Column("id", BigInteger, primary_key=True, autoincrement=False),
        Column("id", BigInteger, primary_key=True, default=lambda: 1),
        Column("id", BigInteger, primary_key=True, server_default="1"),
        Column("id", Text, primary_key=True),
        Column("id", Uuid, primary_key=True),
    ],
    ids=["identity", "serial", "own", "default", "server default", "text", "uuid"],
)
def test_id_generation_that_is_not_lost(column: Column[Any]) -> None:
    """The user said where the value comes from, or it never was generated."""
    assert MONTHLY == spec_of(new_table(MONTHLY, at=MOMENT, id_column=column))


# -- intervals, units and types


@pytest.mark.parametrize("interval", ["1 fortnight", "month", "", "1", "-1 month", "1 month ago", "0 days", "1.5 days"])
def test_an_interval_that_is_none(interval: str) -> None:
    """PostgreSQL's words, a positive number; the message shows how, and the units that there are."""
    with refused(f"interval={interval!r}"):
        PartitionByRange("at", interval=interval)


def test_an_unknown_unit_is_answered_with_the_known_ones() -> None:
    """So that nobody has to look them up."""
    with refused("'1 fortnight' is not an interval", "second, minute, hour, day, week, month, quarter, year"):
        PartitionByRange("at", interval="1 fortnight")


@pytest.mark.parametrize("interval", ["1 month 1 day", "1 day 12 hours", timedelta(days=1, hours=1)])
def test_a_mixed_interval(interval: Any) -> None:
    """Months, days and hours have no common grid."""
    with refused("no common grid", "one unit"):
        PartitionByRange("at", interval=interval)


@pytest.mark.parametrize("interval", [0, -1, True])
def test_an_integer_interval_below_one(interval: Any) -> None:
    """True is no number here."""
    with refused(f"interval={interval!r}", "1 or more"):
        PartitionByRange("id", interval=interval)


@pytest.mark.parametrize("interval", ["1 hour", "36 hours", "15 minutes"])
def test_a_date_with_hours(interval: str) -> None:
    """A date can't hold them."""
    with refused("'at' (date)", f"interval='{interval.replace('36 hours', '36 hours')}'", "at least 1 day"):
        new_table(PartitionByRange("at", interval=interval), at=Date)


def test_a_day_given_in_hours_fits_a_date() -> None:
    """24 hours are a day."""
    table = new_table(PartitionByRange("at", interval="24 hours"), at=Date)

    assert PartitionByRange("at", interval="1 day") == spec_of(table)


class Coarse:
    """A user's own codec that counts in steps."""

    def __init__(self, resolution: timedelta) -> None:
        self.resolution = resolution

    families = frozenset({Family.INTEGER})

    def encode(self, instant: datetime, family: Family) -> KeyValue:
        return int(instant.timestamp() // self.resolution.total_seconds())

    def decode(self, value: KeyValue) -> datetime:
        raise NotImplementedError

    def misplaced(self, column: str, family: Family) -> str | None:
        return None

    def __repr__(self) -> str:
        return f"Coarse({self.resolution!r})"


def test_an_interval_below_the_resolution_of_a_codec() -> None:
    """Two bounds would have the same value."""
    spec = PartitionByRange("ref", interval="1 minute", codec=Coarse(timedelta(hours=1)))

    with refused("'ref' (bigint)", "interval='1 minute'", "below", "at least 3600 seconds"):
        new_table(spec, ref=BigInteger)


def test_an_interval_that_is_no_multiple_of_the_resolution() -> None:
    """A bound would lie between two values."""
    spec = PartitionByRange("ref", interval="90 minutes", codec=Coarse(timedelta(hours=1)))

    with refused("'ref' (bigint)", "does not match", "multiple of 3600 seconds"):
        new_table(spec, ref=BigInteger)


@pytest.mark.parametrize("kind", [String(26), Text, Text().with_variant(String(3), "sqlite")])
def test_text_without_a_codec(kind: Any) -> None:
    """Text is not cut by time unless something says how."""
    with refused("'ref'", "is text", "codec=ULID()"):
        new_table(PartitionByRange("ref", interval="1 month"), ref=kind)


@pytest.mark.parametrize("kind", [Integer, BigInteger, Numeric(20, 0)])
def test_a_number_with_a_time_interval(kind: Any) -> None:
    """Is it a number or a time? Both remedies are named."""
    with refused("'ref'", "is a number", "integer interval", "Epoch('s')", "Snowflake"):
        new_table(PartitionByRange("ref", interval="1 month"), ref=kind)


@pytest.mark.parametrize("kind", [MOMENT, Date, Text, Uuid])
def test_a_time_with_an_integer_interval(kind: Any) -> None:
    """The other way round."""
    with refused("'ref'", "interval=100 needs an integer key", "'1 month'"):
        new_table(PartitionByRange("ref", interval=100), ref=kind)


@pytest.mark.parametrize("kind", [JSONB, Enum(Colour, name="colour")])
def test_a_type_that_no_interval_cuts(kind: Any) -> None:
    """RANGE by interval needs a time, a number or a codec."""
    with refused("'ref'", "date, timestamp, integer, or a codec"):
        new_table(PartitionByRange("ref", interval="1 month"), ref=kind)


def test_an_interval_that_the_integer_can_not_hold() -> None:
    """A smallint ends at 32767."""
    with refused("'ref' (smallint)", "interval=100000"):
        new_table(PartitionByRange("ref", interval=100_000), ref=SmallInteger)


@pytest.mark.parametrize(
    ("codec", "kind", "needed"),
    [(UUIDv7(), Text, "uuid"), (ULID(), BigInteger, "text or uuid"), (Epoch("s"), Uuid, "integer or numeric")],
)
def test_a_codec_that_can_not_live_in_the_type(codec: Any, kind: Any, needed: str) -> None:
    """The message says in which it can."""
    with refused("'ref'", repr(codec), needed):
        new_table(PartitionByRange("ref", interval="1 month", codec=codec), ref=kind)


def test_a_codec_on_a_time() -> None:
    """There is nothing hidden in a timestamp."""
    with refused("'at' (timestamp with time zone)", "leave codec= out"):
        new_table(PartitionByRange("at", interval="1 month", codec=Epoch("s")), at=MOMENT)


def test_a_codec_with_an_integer_interval() -> None:
    """Time or numbers, not both."""
    with refused("'ref' (bigint)", "has a codec", "'1 month'"):
        new_table(PartitionByRange("ref", interval=5, codec=Epoch("s")), ref=BigInteger)


@pytest.mark.parametrize("zone", ["Europe/Pari", "CEST", "+02:00", ""])
def test_a_bad_zone(zone: str) -> None:
    """IANA names only."""
    with refused(f"timezone={zone!r}", "IANA name", "Europe/Paris"):
        PartitionByRange("at", interval="1 day", timezone=zone)


# -- start, premake, retention


def test_a_number_as_the_start_of_time() -> None:
    """A year is not written as a number."""
    with refused("start=2024", "key holds time", "'2024-01-01'"):
        new_table(PartitionByRange("at", interval="1 month", start=2024), at=MOMENT)


@pytest.mark.parametrize("start", ["2024-01-01", date(2024, 1, 1)])
def test_a_time_as_the_start_of_numbers(start: Any) -> None:
    """And a number is not written as a date."""
    with refused("start='2024-01-01'", "number", "start=0"):
        new_table(PartitionByRange("id", interval=100, start=start))


@pytest.mark.parametrize("start", ["soon", "01/02/2024", "2024-13-01"])
def test_a_start_that_is_no_time(start: str) -> None:
    """ISO only: anything else reads two ways."""
    with refused(f"start={start!r}", "ISO"):
        PartitionByRange("at", interval="1 month", start=start)


@pytest.mark.parametrize("start", [1.5, True, b"2024-01-01"])
def test_a_start_of_the_wrong_type(start: Any) -> None:
    """Neither a time nor a whole number."""
    with refused("start="):
        PartitionByRange("at", interval="1 month", start=start)


@pytest.mark.parametrize("premake", [-1, 1.5, "4", True, None])
def test_a_bad_premake(premake: Any) -> None:
    """A number of partitions."""
    with refused(f"premake={premake!r}", "0 or more"):
        PartitionByRange("at", interval="1 month", premake=premake)


@pytest.mark.parametrize("keep", ["", "forever", "0 days", timedelta(0), timedelta(days=-1), -1, True, "3", 1.5, None])
def test_a_bad_retention(keep: Any) -> None:
    """A positive length, or a number of intervals."""
    with refused("Retention(keep="):
        Retention(keep)


def test_a_bad_end_of_retention() -> None:
    """Two words there are."""
    with refused("then='delete'", "'detach'", "'drop'"):
        Retention("1 month", then="delete")  # type: ignore[arg-type]


def test_bare_text_as_retention() -> None:
    """What happens afterwards has to be said."""
    with refused("retention='1 year'", "Retention('1 year', then='detach')"):
        PartitionByRange("at", interval="1 month", retention="1 year")  # type: ignore[arg-type]


@pytest.mark.parametrize("rule", [Retention("30 days"), {"a": Retention("30 days")}])
def test_a_retention_in_time_for_numbers(rule: Any) -> None:
    """Numbers have no age."""
    with refused("Retention('30 days'", "interval=100 a number", "Retention(10)"):
        new_table(PartitionByRange("id", interval=100, retention=rule))


@pytest.mark.parametrize(
    "rule", [Retention("1 year", concurrently=True), {"a": Retention("1 year", concurrently=True)}]
)
def test_a_default_partition_and_concurrent_detach(rule: Any) -> None:
    """The message explains the trade-off and both ways out."""
    with refused("exclude each other", "PostgreSQL refuses", "Leave the default partition out", "ACCESS EXCLUSIVE"):
        PartitionByRange("at", interval="1 month", default=True, retention=rule)


# -- lists, hashes, expressions, tenants


def test_a_value_in_two_labels() -> None:
    """A row can't be in two partitions; both labels are named."""
    with refused("'de'", "'eu'", "'dach'"):
        PartitionByList("kind", values={"eu": ["de", "fr"], "dach": ["de", "ch"]})


def test_a_value_twice() -> None:
    """Also without labels."""
    with refused("'de'"):
        PartitionByList("kind", values=["de", "fr", "de"])


@pytest.mark.parametrize("values", ["de", {"eu": "de"}, {"eu": []}, {"eu": 5}, 5])
def test_values_of_the_wrong_form(values: Any) -> None:
    """A list, or labels with lists."""
    with refused("value"):
        PartitionByList("kind", values=values)


@pytest.mark.parametrize(
    ("kind", "value"),
    [(Text, 5), (Integer, "5"), (MOMENT, datetime(2024, 1, 1)), (Date, "2024-01-01"), (Uuid, "018cc251"), (Text, "\0")],
)
def test_a_value_that_is_none_of_its_column(kind: Any, value: Any) -> None:
    """It would fail when the partition is made."""
    with refused("'kind'", "label 'odd'", repr(value)):
        new_table(PartitionByList("kind", values={"odd": [value]}), kind=kind)


def test_a_value_that_is_no_label_of_the_enum() -> None:
    """The labels that there are, are named."""
    with refused("'kind'", "'blue'", "'red', 'green'"):
        new_table(PartitionByList("kind", values=["red", "blue"]), kind=Enum(Colour, name="colour"))


def test_members_of_a_python_enum() -> None:
    """SQLAlchemy stores their names, and so does the declaration."""
    by_member = PartitionByList("kind", values={"warm": [Colour.red], "cold": [Colour.green]})
    table = new_table(by_member, kind=Enum(Colour, name="colour"))

    assert PartitionByList("kind", values={"warm": ["red"], "cold": ["green"]}) == spec_of(table)


def test_a_label_that_is_called_default() -> None:
    """The default partition has that name."""
    with refused("'default'", "another"):
        PartitionByList("kind", values={"default": ["x"]}, default=True)


def test_labels_that_read_alike() -> None:
    """One would silently replace the other."""
    with refused("two labels are the same text"):
        PartitionByList("kind", values={1: ["a"], "1": ["b"]})


def test_a_list_of_two_columns() -> None:
    """PostgreSQL's LIST takes one; levels nest."""
    with refused("LIST has exactly one key column", "nest levels"):
        PartitionByList("a", "b", values=["x"])


def test_a_list_below_a_list_of_the_same_column() -> None:
    """It would divide nothing."""
    spec = PartitionByList("kind", values=["a"], subpartition=PartitionByList("kind", values=["a"]))

    with refused("two levels", "'kind'"):
        new_table(spec, kind=Text)


@pytest.mark.parametrize("modulus", [0, -2, 10_001, 2.0, True, "8", None])
def test_a_bad_modulus(modulus: Any) -> None:
    """A number of partitions."""
    with refused(f"modulus={modulus!r}", "between 1 and 10,000"):
        PartitionByHash("id", modulus=modulus)


def test_no_key_at_all() -> None:
    """There is nothing to partition by."""
    with refused("PartitionByHash()", "name at least one column"):
        PartitionByHash(modulus=2)


def test_a_column_object_as_key() -> None:
    """Names only: a declaration is plain literals."""
    with refused("a column's name or a KeyExpression"):
        PartitionByHash(Column("id", Integer), modulus=2)  # type: ignore[arg-type]


def test_a_table_as_subpartition() -> None:
    """A level is a declaration."""
    with refused("subpartition='hash'", "PartitionByHash"):
        PartitionByRange("at", interval="1 day", subpartition="hash")  # type: ignore[arg-type]


EXPRESSION = PartitionByRange(KeyExpression("date_trunc('day', at)", "timestamp"), interval="1 month")


def test_an_expression_with_a_primary_key() -> None:
    """PostgreSQL allows none at all."""
    with refused("expression", "no primary key", "plain column", "remove the primary key"):
        new_table(EXPRESSION, at=DateTime)


def test_an_expression_with_a_unique_constraint() -> None:
    """Nor any other."""
    with refused("expression", "no unique constraint u"):
        Table(
            "events", MetaData(), Column("at", DateTime, nullable=False), EXPRESSION, UniqueConstraint("at", name="u")
        )


def test_an_expression_at_a_lower_level_with_a_primary_key() -> None:
    """The rule holds for every level."""
    with refused("expression", "no primary key"):
        new_table(PartitionByHash("id", modulus=2, subpartition=EXPRESSION), at=DateTime)


def test_tenants_without_a_column_for_them() -> None:
    """They are the values of the first key column, so there must be two."""
    with refused("tenants=", "first key column"):
        PartitionByRange("at", interval="1 month", tenants=["a"])


def test_tenants_of_the_wrong_type() -> None:
    """As the values of a list."""
    with refused("'tenant' (text)", "5"):
        new_table(
            PartitionByRange("tenant", "at", interval="1 month", tenants=[5]),
            tenant=Column(Text, primary_key=True),
            at=MOMENT,
        )


# -- names


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        (PartitionByRange("at", interval="1 month", name="{table}_{month}"), "lower"),
        (PartitionByRange("at", interval="1 month", name="{table}_{lower:%Y"), "lower"),
        (PartitionByRange("at", interval="1 month", name="{table}_{}"), "lower"),
        (PartitionByRange("id", interval=100, name="{table}_{lower:%Y}"), "lower"),
        (PartitionByHash("id", modulus=2, name="{table}_{label}"), "remainder"),
        (PartitionByRange("at", interval="1 month", name=""), "name"),
        (PartitionByRange("at", interval="1 month", name="a\0{suffix}"), "name"),
    ],
    ids=repr,
)
def test_a_name_that_can_not_be_filled_in(spec: Any, word: str) -> None:
    """The message shows the template and what it may use."""
    with refused("events", f"name={spec.name!r}", word):
        new_table(spec, at=MOMENT)


@pytest.mark.parametrize(
    "spec",
    [
        PartitionByRange("at", interval="1 month", name="{table}"),
        PartitionByRange("at", interval="1 month", name="{table}_part"),
        PartitionByRange("at", interval="1 month", name="{table}_{lower:%Y}"),
        PartitionByRange("at", interval="1 month", name="{table}_{lower:%m}"),
        PartitionByRange("at", interval="1 day", name="{table}_{lower:%Y%m}"),
        PartitionByRange("at", interval="1 day", name="{table}_{lower:%m%d}"),
        PartitionByRange("at", interval="1 hour", name="{table}_{lower:%Y%m%d_%I}"),
        PartitionByRange("at", interval="15 minutes", name="{table}_{lower:%Y%m%d_%H}"),
        PartitionByRange("at", interval="1 week", name="{table}_{lower:%Y_%V}"),
        PartitionByRange("id", interval=100, name="{table}_{modulus}"),
        PartitionByHash("id", modulus=2, name="{table}_of_{modulus}"),
        PartitionByHash("id", modulus=2, name="{table}_x", subpartition=PartitionByHash("id", modulus=2)),
        PartitionByHash("id", modulus=1, subpartition=PartitionByHash("id", modulus=2, name="part_{remainder}")),
        PartitionByRange("id", "at", interval="1 month", tenants=[1, 2], name="{table}_{lower:%Y%m}"),
    ],
    ids=repr,
)
def test_a_name_that_comes_twice(spec: Any) -> None:
    """Two partitions can't bear one name: the year is missing, or the label, or the parent."""
    with refused("events", "name="):
        new_table(spec, at=MOMENT)


@pytest.mark.parametrize(
    "spec",
    [
        PartitionByRange("at", interval="1 month", name="{table}_{lower:%Y_%m}"),
        PartitionByRange("at", interval="1 week", name="{table}_{lower:%G_%V}"),
        PartitionByRange("at", interval="1 day", name="{lower:%Y%m%d}_{table}"),
        PartitionByRange("at", interval="1 quarter", name="{table}_{lower.year}_{lower.month}"),
        PartitionByRange("at", interval="10 years", name="{table}_{lower:%Y}_to_{upper:%Y}"),
        PartitionByRange("at", interval="1 hour", name="{table}_{suffix}", timezone="Europe/Paris"),
        PartitionByRange("id", interval=100, name="{table}_from_{lower}"),
        PartitionByList("id", values=[1, 2], name="{table}__{label}"),
        PartitionByHash("id", modulus=2, name="{table}_part{remainder}"),
        PartitionByRange("id", "at", interval="1 month", tenants=[1, 2], name="{table}_{tenant}_{lower:%Y%m}"),
        PartitionByHash("id", modulus=2, subpartition=PartitionByHash("at", modulus=2, name="{table}_{remainder}")),
    ],
    ids=repr,
)
def test_a_good_name(spec: Any) -> None:
    """What differs, is accepted."""
    assert spec == spec_of(new_table(spec, at=MOMENT))


# -- types that come in disguise


class Moment(TypeDecorator[datetime]):
    """A project's own type over timestamptz."""

    impl = DateTime(timezone=True)
    cache_ok = True


@pytest.mark.parametrize(
    ("kind", "family"),
    [
        (Moment, Family.TIMESTAMPTZ),
        (DateTime(timezone=True).with_variant(String(30), "sqlite"), Family.TIMESTAMPTZ),
        (String(30).with_variant(DateTime(timezone=True), "postgresql"), Family.TIMESTAMPTZ),
        (DateTime, Family.TIMESTAMP),
        (Date, Family.DATE),
        (DOMAIN("moment", DateTime(timezone=True)), Family.TIMESTAMPTZ),
    ],
    ids=["TypeDecorator", "with_variant elsewhere", "with_variant here", "naive", "date", "domain"],
)
def test_a_type_in_disguise(kind: Any, family: Family) -> None:
    """What PostgreSQL makes of it is what counts."""
    table = new_table(MONTHLY, at=kind)

    assert family == declared(table).level.key.types[0].family


@pytest.mark.parametrize("kind", [Uuid, UUID(as_uuid=False), Uuid(native_uuid=True)])
def test_a_uuid_column_has_a_codec_by_default(kind: Any) -> None:
    """Time-ordered UUIDs are meant."""
    table = new_table(PartitionByRange("ref", interval="1 month"), ref=kind)

    assert UUIDv7() == declared(table).level.spec.codec  # type: ignore[attr-defined]


def test_snowflakes_in_a_numeric() -> None:
    """Any number column will do."""
    spec = PartitionByRange("ref", interval="1 day", codec=Snowflake("2015-01-01"))

    assert spec == spec_of(new_table(spec, ref=Numeric(20, 0)))


@pytest.mark.parametrize("values", [select(Column("x", Integer)), lambda: ["a"]])
def test_values_that_are_asked_for_are_not_checked_now(values: Any) -> None:
    """They come with each run."""
    spec = PartitionByList("kind", values=values)

    assert spec == spec_of(new_table(spec, kind=Text))
