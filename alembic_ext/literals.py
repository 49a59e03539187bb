"""
Bounds and declarations as a migration file holds them, and back: structure only, literals only, names of the database.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from alembic.util import CommandError
from sqlalchemy import Table

from sa_partman.bounds.bound import DEFAULT, Bound, Extreme, FarTime, HashBound, KeyValue, ListBound, RangeBound
from sa_partman.bounds.text import in_order, literal, value_of
from sa_partman.catalog import Parent
from sa_partman.key import TIME_FAMILIES, Family, KeyType, PartitionKey
from sa_partman.names import QualifiedName, quote
from sa_partman.plan.repartition import WantedLabel
from sa_partman.spec.base import KeyExpression, PartitionSpec
from sa_partman.spec.declared import ListLevel
from sa_partman.spec.list_spec import ListSpec, plain_value
from sa_partman.spec.range_spec import RangeSpec

Given = dict[str, Any]
"""The keyword arguments of an operation that say a bound."""


def bound_from_arguments(
    *,
    values: Iterable[Any] | None = None,
    lower: Any = None,
    upper: Any = None,
    modulus: int | None = None,
    remainder: int | None = None,
    default: bool = False,
) -> Bound | None:
    """
    The bound that the arguments of an operation say, values as they were written; None when they say none.

    Raises:
        CommandError: They say half of one, or two.
    """
    said = [
        name
        for name, given in (
            ("values=", values is not None),
            ("lower= and upper=", lower is not None or upper is not None),
            ("modulus= and remainder=", modulus is not None or remainder is not None),
            ("default=True", default),
        )
        if given
    ]
    if len(said) > 1:
        raise CommandError(f"{' and '.join(said)} exclude each other: a partition has one bound")
    if values is not None:
        if isinstance(values, str):
            raise CommandError(f"values={values!r}: write a list of values")
        return ListBound(frozenset(map(_member, values)))
    if lower is not None or upper is not None:
        if lower is None or upper is None:
            raise CommandError("a range has lower= and upper=; an open end is alembic_ext.MINVALUE or MAXVALUE")
        ends = _row(lower), _row(upper)
        if len(ends[0]) != len(ends[1]):
            raise CommandError(f"lower={lower!r} and upper={upper!r}: write as many values in one as in the other")
        return RangeBound(*ends)
    if modulus is not None or remainder is not None:
        if modulus is None or remainder is None:
            raise CommandError("a hash partition has modulus= and remainder=")
        if not 0 <= remainder < modulus:
            raise CommandError(f"remainder={remainder}: with modulus={modulus} it is from 0 to {modulus - 1}")
        return HashBound(modulus, remainder)
    return DEFAULT if default else None


def _member(value: Any) -> Any:
    """An enum member by its label; infinities, which are members of an enum of ours, as they are."""
    return value if isinstance(value, Extreme) else plain_value(value)


def _row(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (value,)


def bound_arguments(bound: Bound) -> Given:
    """The keyword arguments that say *bound*, as plain literals."""
    match bound:
        case RangeBound():
            lower, upper = tuple(map(plain_literal, bound.lower)), tuple(map(plain_literal, bound.upper))
            return {"lower": lower[0], "upper": upper[0]} if len(lower) == 1 else {"lower": lower, "upper": upper}
        case ListBound():
            return {"values": [plain_literal(value) for value in in_order(bound.values)]}
        case HashBound():
            return {"modulus": bound.modulus, "remainder": bound.remainder}
    return {"default": True}


def plain_literal(value: KeyValue) -> Any:
    """*value* as a literal: numbers, text, True and None as they are, all else as PostgreSQL writes it."""
    match value:
        case datetime():
            moment = value if value.tzinfo is None else value.astimezone(UTC)
            return moment.isoformat(sep=" ")
        case date():
            return value.isoformat()
        case Decimal():
            return format(value, "f")
        case UUID():
            return str(value)
        case FarTime():
            return value.text
        case Extreme() if not value.unbounded:
            return {"INFINITY": "infinity", "NEGATIVE_INFINITY": "-infinity", "NAN": "NaN"}[value.name]
    return value


def typed_bound(bound: Bound, types: Sequence[KeyType]) -> Bound:
    """
    *bound* with values of the key's *types*.

    Raises:
        CommandError: A value is none of its column's type, or there are too many or too few.
    """
    if isinstance(bound, ListBound):
        return ListBound(frozenset(value_as(value, types[0]) for value in bound.values))
    if not isinstance(bound, RangeBound):
        return bound
    if len(bound.lower) != len(types) or len(bound.upper) != len(types):
        raise CommandError(f"the key has {len(types)} columns: lower= and upper= take a tuple of as many values")
    lower, upper = (tuple(map(value_as, end, types)) for end in (bound.lower, bound.upper))
    if lower == upper:
        raise CommandError(f"lower= and upper= are both {bound.lower}: the range is empty, as upper= is exclusive")
    return RangeBound(lower, upper)


def value_as(value: Any, kind: KeyType) -> KeyValue:
    """
    *value*, as a migration or a model has it, as the key value that the catalog would show.

    Raises:
        CommandError: It is no value of *kind*.
    """
    member = _member(value)
    if member is None or isinstance(member, Extreme | FarTime):
        return member
    try:
        found = _value_as(member, kind)
        literal(found, kind)  # what PostgreSQL could not be given either
        return found
    except (ValueError, ArithmeticError) as error:
        raise CommandError(f"{value!r} is no {kind.sql}: {error}") from error


_NUMERIC_WORDS = {"infinity": "Infinity", "-infinity": "-Infinity", "nan": "NaN"}


def _value_as(value: Any, kind: KeyType) -> KeyValue:
    family = kind.family
    if family in TIME_FAMILIES:
        return _time(value, kind)
    if family is Family.NUMERIC and isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    if family is Family.NUMERIC and isinstance(value, str):
        return value_of(_NUMERIC_WORDS.get(value.lower(), value), kind)
    if isinstance(value, str) or family in (Family.TEXT, Family.ENUM, Family.OTHER):
        return value_of(str(value), kind)
    known: KeyValue = value
    return known


def _time(value: Any, kind: KeyType) -> KeyValue:
    if isinstance(value, str):
        try:
            return value_of(value, kind)
        except ValueError:
            value = date.fromisoformat(value) if kind.family is Family.DATE else datetime.fromisoformat(value)
    if not isinstance(value, date):
        raise ValueError("write a date or a timestamp")
    if kind.family is Family.DATE:
        return value.date() if isinstance(value, datetime) else value
    return _moment(value if isinstance(value, datetime) else datetime(value.year, value.month, value.day), kind)


def _moment(moment: datetime, kind: KeyType) -> datetime:
    if kind.family is Family.TIMESTAMPTZ:
        if moment.tzinfo is None:
            raise ValueError("write it with its offset, such as '2026-01-01 00:00:00+00:00'")
        return moment.astimezone(UTC)
    if moment.tzinfo is not None:
        raise ValueError("the key has no time zone; write it without an offset")
    return moment


UNKNOWN = KeyType("unknown", Family.TEXT)
"""A text literal that PostgreSQL reads as whatever type the key has."""


def guessed_types(bound: Bound) -> tuple[KeyType, ...]:
    """For ``--sql``, where nothing tells the key's types: as the values themselves have it."""
    if isinstance(bound, ListBound):
        return (_guessed(tuple(bound.values)),)
    if isinstance(bound, RangeBound):
        return tuple(_guessed(pair) for pair in zip(bound.lower, bound.upper, strict=True))
    return ()


_TYPES: dict[type, str] = {
    bool: "boolean",
    int: "bigint",
    Decimal: "numeric",
    UUID: "uuid",
    date: "date",
}


def _guessed(values: tuple[Any, ...]) -> KeyType:
    known = [value for value in values if value is not None and not isinstance(value, Extreme)]
    for value in known[:1]:
        if isinstance(value, datetime):
            return KeyType.of("timestamp" if value.tzinfo is None else "timestamptz")
        if type(value) in _TYPES:
            return KeyType.of(_TYPES[type(value)])
    return UNKNOWN


def in_file(spec: PartitionSpec, table: Table) -> PartitionSpec:
    """The structural part of *spec*, with the columns' names in the database instead of their keys."""
    return _renamed(spec.structural(), {column.key: column.name for column in table.columns})


def _renamed(spec: PartitionSpec, names: Mapping[str, str]) -> PartitionSpec:
    arguments = spec.arguments()
    key = tuple(item if isinstance(item, KeyExpression) else str(names.get(item, item)) for item in spec.key)
    keywords: dict[str, Any] = dict(arguments.keywords)
    if spec.subpartition is not None:
        keywords["subpartition"] = _renamed(spec.subpartition, names)
    return type(spec)(*key, **keywords)


def makes_nothing(spec: PartitionSpec) -> bool:
    """Whether no partition is known before the application runs: tenants come at run time."""
    structural = spec.structural()
    if structural.default:
        return False
    if isinstance(structural, ListSpec):
        return structural.values.at_run_time
    return isinstance(structural, RangeSpec) and structural.tenants is not None and structural.tenants.at_run_time


def partition_by(strategy: str, key: PartitionKey) -> str:
    """What stands behind PARTITION BY."""
    parts = (quote(part.column) if part.column is not None else f"({part.expression})" for part in key.parts)
    return f"{strategy} ({', '.join(parts)})"


def schema_argument(relation: QualifiedName, table: QualifiedName, written: str | None) -> str | None:
    """
    What ``schema=`` says for *relation*: as the model writes it where that is the same schema.

    Args:
        table: The declared table, with the schema that it was found in.
        written: Its schema in the model.
    """
    return written if relation.schema == table.schema else relation.schema


def wanted_lists(level: ListLevel, parent: Parent) -> tuple[WantedLabel, ...]:
    """
    Raises:
        CommandError: A value is none of the key's type.
    """
    kind = (parent.key or level.key).types[0]
    return tuple(
        WantedLabel(label, ListBound(frozenset(value_as(value, kind) for value in values)))
        for label, values in level.spec.values.labelled
    )
