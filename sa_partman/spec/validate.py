"""
The rules that a declaration must keep, checked when its class is mapped.

Source of the key rules: PostgreSQL, Table Partitioning, Limitations ("must include all the partition key columns").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from sa_partman.bounds.interval import Interval
from sa_partman.bounds.text import literal
from sa_partman.errors import DeclarationError
from sa_partman.key import TIME_FAMILIES, Family, KeyType
from sa_partman.spec.base import KeyExpression, KeyItem, PartitionSpec
from sa_partman.spec.declared import with_default_codec
from sa_partman.spec.list_spec import ListSpec, TenantSource
from sa_partman.spec.range_spec import RangeSpec, Retention


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """
    What the rules need to know of a column.

    Args:
        type: Its SQL type.
        nullable: May it be NULL.
        loses_generation: An integer column that generates its value alone and not within a composite primary key: no
            identity, no default, no foreign key, ``autoincrement="auto"``.
        generated: ``GENERATED ALWAYS AS (...)``.
        labels: Of an enum, in order; None for any other type.
    """

    type: KeyType
    nullable: bool
    loses_generation: bool = False
    generated: bool = False
    labels: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """
    Args:
        name: For messages.
        columns: By key.
        primary_key: Column keys, in order; empty when there is none.
        uniques: Each unique constraint or unique index: what it is called in messages, and its column keys.
    """

    name: str
    columns: Mapping[str, ColumnFacts]
    primary_key: tuple[str, ...]
    uniques: tuple[tuple[str, tuple[str, ...]], ...] = ()


def validate(spec: PartitionSpec, table: ModelFacts) -> None:
    """
    Raises:
        DeclarationError: The first rule that is broken, naming the columns and the remedy.
    """
    seen: list[KeyItem] = []
    for level in spec.levels():
        for item in level.key:
            if isinstance(item, str):
                _column_exists(item, table)
                _column_can_be_a_key(item, table)
        _no_repeated_level(level, seen, table)
        seen.extend(level.key)
        _RULES[level.strategy](level, table)
    _unique_constraints_hold_the_key(spec, table)
    _id_generation_survives(spec, table)


def _fail(table: ModelFacts, message: str) -> DeclarationError:
    return DeclarationError(f"{table.name}: {message}")


def _column_exists(item: str, table: ModelFacts) -> None:
    if item not in table.columns:
        raise _fail(
            table,
            f"the partition key names {item!r}, which is no column; the columns are {', '.join(table.columns)}. "
            f"For an expression write KeyExpression({item!r}, type=...).",
        )


# Source: PostgreSQL, pg_opclass: types without a default operator class, neither btree nor hash.
_UNCOMPARABLE = frozenset({"json", "xml", "point", "line", "lseg", "box", "path", "polygon", "circle"})


def _column_can_be_a_key(item: str, table: ModelFacts) -> None:
    column = table.columns[item]
    if column.generated:
        raise _fail(
            table,
            f"{item!r} is a generated column, which PostgreSQL takes in no partition key; make it an ordinary column",
        )
    if column.type.sql in _UNCOMPARABLE:
        raise _fail(
            table,
            f"{item!r} ({column.type.sql}) can't be a partition key, because PostgreSQL can't compare its values; "
            f"partition by another column",
        )


def _no_repeated_level(level: PartitionSpec, seen: list[KeyItem], table: ModelFacts) -> None:
    if isinstance(level, ListSpec) and level.key[0] in seen:
        raise _fail(table, f"two levels partition by {level.key[0]!r}; a LIST below adds nothing, remove one")


def _range_rules(level: PartitionSpec, table: ModelFacts) -> None:
    assert isinstance(level, RangeSpec)
    for item in level.columns:
        if table.columns[item].nullable:
            raise _fail(
                table,
                f"{item!r} is a range partition key and may be NULL, and no range takes a NULL; "
                f"declare it nullable=False (Mapped[datetime], not Mapped[datetime | None])",
            )
    ranged = level.ranged
    kind = KeyType.of(ranged.type) if isinstance(ranged, KeyExpression) else table.columns[ranged].type
    label = ranged.sql if isinstance(ranged, KeyExpression) else ranged
    _interval_fits(level, label, kind, table)
    _retention_fits(level, table)
    first = level.key[0]
    if level.tenants is not None and isinstance(first, str):
        _values_fit(first, level.tenants, table, null=False)


def _interval_fits(level: RangeSpec, label: str, kind: KeyType, table: ModelFacts) -> None:
    codec = with_default_codec(level, kind.family).codec
    where = f"{label!r} ({kind.sql})"
    if isinstance(level.interval, int):
        if kind.family not in (Family.INTEGER, Family.NUMERIC):
            raise _fail(table, f"interval={level.interval} needs an integer key, and {where} is none: write '1 month'")
        if level.codec is not None:
            raise _fail(table, f"{where} has a codec, so it holds time: write interval='1 month', not an integer")
        if not isinstance(level.start, int | None):
            raise _fail(table, f"start={level.start!r} is a time and {where} a number; write start=0")
        largest = _LARGEST.get(kind.sql)
        if largest is not None and level.interval > largest:
            raise _fail(table, f"interval={level.interval} is more than {where} can hold; use a smaller one")
        return
    if kind.family in TIME_FAMILIES:
        if level.codec is not None:
            raise _fail(table, f"{where} holds time itself; leave codec= out")
    elif codec is None:
        raise _fail(table, _needs_codec(where, kind.family, level.interval))
    elif kind.family not in codec.families:
        raise _fail(
            table, f"{codec!r} does not fit {where}; it needs a column of type {' or '.join(sorted(codec.families))}"
        )
    resolution = timedelta(days=1) if kind.family is Family.DATE else codec.resolution if codec else _MICROSECOND
    _resolution_fits(level.interval, resolution, where, table)
    _start_fits(level, table)


_MICROSECOND = timedelta(microseconds=1)
_LARGEST = {"smallint": 2**15 - 1, "integer": 2**31 - 1, "bigint": 2**63 - 1}


def _needs_codec(where: str, family: Family, interval: Interval) -> str:
    if family in (Family.INTEGER, Family.NUMERIC):
        return (
            f"{where} is a number and interval='{interval}' a time: write an integer interval, "
            f"or codec=Epoch('s'), Snowflake(...) if it holds time"
        )
    if family is Family.TEXT:
        return f"{where} is text and interval='{interval}' a time: write codec=ULID() if it holds ULIDs"
    return f"{where} can't be cut by interval='{interval}'; RANGE needs a date, timestamp, integer, or a codec"


def _resolution_fits(interval: Interval, resolution: timedelta, where: str, table: ModelFacts) -> None:
    if interval.shortest < resolution or (interval.seconds and resolution >= timedelta(days=1)):
        raise _fail(table, f"interval='{interval}' is below what {where} can hold; use at least {_words(resolution)}")

    step = timedelta(seconds=interval.seconds) or timedelta(days=1)
    if step % resolution:
        raise _fail(
            table, f"interval='{interval}' does not match what {where} can hold; use a multiple of {_words(resolution)}"
        )


def _words(resolution: timedelta) -> str:
    return "1 day" if resolution >= timedelta(days=1) else f"{resolution.total_seconds():g} seconds"


def _start_fits(level: RangeSpec, table: ModelFacts) -> None:
    if isinstance(level.start, int):
        raise _fail(table, f"start={level.start} is a number and the key holds time; write start='2024-01-01'")


def _retention_fits(level: RangeSpec, table: ModelFacts) -> None:
    rules = level.retention.values() if isinstance(level.retention, Mapping) else (level.retention,)
    for rule in rules:
        if isinstance(rule, Retention) and isinstance(level.interval, int) and not isinstance(rule.keep, int):
            raise _fail(
                table,
                f"{rule!r} is a time and interval={level.interval} a number: write the number of intervals to keep, "
                f"such as Retention(10)",
            )


def _values_fit(item: str, source: TenantSource, table: ModelFacts, *, null: bool) -> None:
    """Written values are values of their column's type."""
    column = table.columns[item]
    for label, values in source.labelled:
        for value in values:
            try:
                literal(value, column.type)
            except ValueError as error:
                raise _fail(table, f"{item!r} ({column.type.sql}), label {label!r}: {error}") from error
            if value is None and not null:
                raise _fail(table, f"{item!r}: None can't be a tenant, because no range takes a NULL; leave it out")
            if column.labels is not None and value is not None and value not in column.labels:
                raise _fail(
                    table,
                    f"{item!r} has no label {value!r}; the enum's labels are {', '.join(map(repr, column.labels))}",
                )


def _list_rules(level: PartitionSpec, table: ModelFacts) -> None:
    assert isinstance(level, ListSpec)
    item = level.key[0]
    if not isinstance(item, str) or not level.values.literal or not level.values.labelled:
        return
    _values_fit(item, level.values, table, null=True)
    takes_null = level.default or any(None in values for _, values in level.values.labelled)
    if table.columns[item].nullable and not takes_null:
        raise _fail(
            table,
            f"{item!r} is a list partition key and may be NULL, and no label takes NULL; "
            f"declare it nullable=False, put None among the values of a label, or set default=True",
        )


def _hash_rules(level: PartitionSpec, table: ModelFacts) -> None:
    """Hash takes every value, NULL too."""


_RULES: dict[str, Callable[[PartitionSpec, ModelFacts], None]] = {
    "RANGE": _range_rules,
    "LIST": _list_rules,
    "HASH": _hash_rules,
}


def _unique_constraints_hold_the_key(spec: PartitionSpec, table: ModelFacts) -> None:
    wanted = [item for level in spec.levels() for item in level.columns]
    for what, columns in _uniques(table):
        if any(level.has_expression for level in spec.levels()):
            raise _fail(
                table,
                f"the partition key is an expression, and PostgreSQL then allows no {what}; partition by a plain "
                f"column (interval= already cuts it), or remove the {what} (on a mapped class: "
                f"__mapper_args__ = {{'primary_key': [...]}} on a Table without one)",
            )
        missing = [item for item in dict.fromkeys(wanted) if item not in columns]
        if missing:
            names = ", ".join(map(repr, missing))
            raise _fail(
                table,
                f"the {what} ({', '.join(columns)}) lacks the partition key column{'s' * (len(missing) > 1)} {names}, "
                f"and PostgreSQL refuses that; {_remedy(what, missing)}",
            )


def _uniques(table: ModelFacts) -> Iterator[tuple[str, tuple[str, ...]]]:
    if table.primary_key:
        yield "primary key", table.primary_key
    yield from table.uniques


def _remedy(what: str, missing: list[str]) -> str:
    if what == "primary key":
        return f"set primary_key=True on {', '.join(map(repr, missing))} too"
    return f"add {', '.join(map(repr, missing))} to it, or make it a plain index"


def _id_generation_survives(spec: PartitionSpec, table: ModelFacts) -> None:
    """A composite primary key gets no SERIAL: SQLAlchemy's ``autoincrement="auto"`` covers single columns only."""
    key = {item for level in spec.levels() for item in level.columns}
    others = [column for column in table.primary_key if column not in key]
    if len(others) == 1 and len(table.primary_key) > 1 and table.columns[others[0]].loses_generation:
        raise _fail(
            table,
            f"{others[0]!r} would silently lose its id generation, because the primary key "
            f"({', '.join(table.primary_key)}) has more than one column; add Identity() and autoincrement=True to the "
            f"column, or autoincrement=True alone for a SERIAL (autoincrement=False: the application sets it)",
        )
