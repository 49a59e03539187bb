"""
What the three strategies share: a declaration is an immutable value, and its ``repr()`` is the Python that makes it
again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from sa_partman.errors import DeclarationError
from sa_partman.names import quote


def _refuse(*_: Any, **__: Any) -> Any:
    raise TypeError("a declaration is immutable; make a new one: declaration.with_(...)")


class FrozenMapping(dict[Any, Any]):
    """Prints as a plain dict, compares as one, and can't be changed."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    # copy and pickle would fill an empty one item by item.
    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self),)

    __setitem__ = __delitem__ = update = pop = popitem = clear = setdefault = __ior__ = _refuse


@dataclass(frozen=True, slots=True)
class Arguments:
    """Positional and keyword arguments; keywords that have their default are left out."""

    positional: tuple[Any, ...]
    keywords: tuple[tuple[str, Any], ...]

    def call(self, name: str) -> str:
        parts = [readable(value) for value in self.positional]
        parts += [f"{key}={readable(value)}" for key, value in self.keywords]
        return f"{name}({', '.join(parts)})"


_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def readable(value: object) -> str:
    """``repr(value)``; where that is no Python: the SQL of a ``select()``, the name of a callable, else the class."""
    said = repr(value)
    if not _ADDRESS.search(said):
        return said
    speaks = type(value).__str__ is not object.__str__
    return f"<{' '.join(str(value).split())}>" if speaks else _ADDRESS.sub("", said)


def is_whole(value: object) -> bool:
    """A number without a fraction; ``True`` is none."""
    return isinstance(value, int) and not isinstance(value, bool)


def given(defaults: dict[str, Any], values: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Those of *values*, in order, that differ from *defaults*."""
    return tuple((key, value) for key, value in values.items() if value != defaults[key])


Strategy = Literal["RANGE", "LIST", "HASH"]


@dataclass(frozen=True, slots=True)
class KeyExpression:
    """
    An expression as a part of a partition key. A table partitioned by one can have neither a primary key nor a unique
    constraint.

    Args:
        sql: As it stands in PARTITION BY, without the outer parentheses.
        type: The SQL type of its values, such as ``"timestamp"``.

    Source: PostgreSQL, Table Partitioning, Limitations.
    """

    sql: str
    type: str


KeyItem = str | KeyExpression


@dataclass(frozen=True, init=False, repr=False)
class PartitionSpec:
    """One level of a declaration, and through *subpartition* all below it. Immutable and comparable."""

    key: tuple[KeyItem, ...]
    default: bool
    name: str | None
    unlogged: bool
    subpartition: PartitionSpec | None

    strategy: ClassVar[Strategy]

    def _init_base(
        self, key: tuple[KeyItem, ...], default: bool, name: str | None, unlogged: bool, subpartition: Any
    ) -> None:
        if not key:
            raise DeclarationError(f"{type(self).__name__}() needs the partition key: name at least one column")
        for item in key:
            if not isinstance(item, str | KeyExpression):
                raise DeclarationError(
                    f"{type(self).__name__}({item!r}): a partition key is a column's name or a KeyExpression"
                )
        if subpartition is not None and not isinstance(subpartition, PartitionSpec):
            raise DeclarationError(
                f"subpartition={subpartition!r} is no declaration; write one, such as PartitionByHash(...)"
            )
        self._set(key=key, default=bool(default), name=name, unlogged=bool(unlogged), subpartition=subpartition)

    def _set(self, **values: Any) -> None:
        for field, value in values.items():
            object.__setattr__(self, field, value)

    def arguments(self) -> Arguments:
        raise NotImplementedError

    def structural(self) -> Self:
        """
        The part that a migration may hold: literals only, without retention, tenants and callables.
        """
        raise NotImplementedError

    def with_(self, **changes: Any) -> Self:
        """The same declaration with other keyword arguments."""
        arguments = self.arguments()
        return type(self)(*arguments.positional, **{**dict(arguments.keywords), **changes})

    def levels(self) -> Iterator[PartitionSpec]:
        """This level, then each one below it."""
        level: PartitionSpec | None = self
        while level is not None:
            yield level
            level = level.subpartition

    @property
    def columns(self) -> tuple[str, ...]:
        """The key's column names as the user wrote them; expressions are left out."""
        return tuple(item for item in self.key if isinstance(item, str))

    @property
    def has_expression(self) -> bool:
        return any(isinstance(item, KeyExpression) for item in self.key)

    def partition_by(self, names: dict[str, str] | None = None) -> str:
        """
        What stands after PARTITION BY, such as ``RANGE (created_at)``.

        Args:
            names: The columns' names in the database, where they differ from the key's.
        """
        parts = [
            f"({item.sql})" if isinstance(item, KeyExpression) else quote_if_needed((names or {}).get(item, item))
            for item in self.key
        ]
        return f"{self.strategy} ({', '.join(parts)})"

    def __repr__(self) -> str:
        return self.arguments().call(type(self).__name__)


def quote_if_needed(identifier: str) -> str:
    """Quoted unless it is a plain lower-case word that no keyword of PostgreSQL equals."""
    plain = identifier.isascii() and identifier.islower() and identifier.replace("_", "a").isalnum()
    return identifier if plain and not identifier[0].isdigit() and identifier not in _RESERVED else quote(identifier)


# Source: PostgreSQL 18, Appendix C: reserved words, and those that can't be a column name.
_WORDS = """
all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean both case cast char
character check coalesce collate collation column concurrently constraint create cross current_catalog current_date
current_role current_schema current_time current_timestamp current_user dec decimal default deferrable desc distinct do
else end except exists extract false fetch float for foreign freeze from full grant greatest group grouping having ilike
in initially inner inout int integer intersect interval into is isnull join json json_array json_arrayagg json_exists
json_object json_objectagg json_query json_scalar json_serialize json_table json_value lateral leading least left like
limit localtime localtimestamp merge_action national natural nchar none normalize not notnull null nullif numeric offset
on only or order out outer overlaps overlay placing position precision primary real references returning right row
select session_user setof similar smallint some substring symmetric system_user table tablesample then time timestamp to
trailing treat trim true union unique user using values varchar variadic verbose when where window with xmlattributes
xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable
"""
_RESERVED = frozenset(_WORDS.split())
