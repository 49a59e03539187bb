"""The partition key: columns or expressions, each with the type that its bounds are written in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sa_partman.names import quote


class Family(StrEnum):
    """How values of a type are read, compared and written."""

    DATE = "date"
    TIMESTAMP = "timestamp"
    TIMESTAMPTZ = "timestamptz"
    INTEGER = "integer"
    NUMERIC = "numeric"
    UUID = "uuid"
    TEXT = "text"
    BOOLEAN = "boolean"
    ENUM = "enum"
    OTHER = "other"


TIME_FAMILIES = frozenset({Family.DATE, Family.TIMESTAMP, Family.TIMESTAMPTZ})

_FAMILY_BY_BASE = {
    "date": Family.DATE,
    "timestamp": Family.TIMESTAMP,
    "timestamp without time zone": Family.TIMESTAMP,
    "timestamptz": Family.TIMESTAMPTZ,
    "timestamp with time zone": Family.TIMESTAMPTZ,
    "smallint": Family.INTEGER,
    "integer": Family.INTEGER,
    "bigint": Family.INTEGER,
    "numeric": Family.NUMERIC,
    "uuid": Family.UUID,
    "text": Family.TEXT,
    "character varying": Family.TEXT,
    "character": Family.TEXT,
    "bpchar": Family.TEXT,
    "varchar": Family.TEXT,
    "char": Family.TEXT,
    "citext": Family.TEXT,
    "name": Family.TEXT,
    "boolean": Family.BOOLEAN,
}
_BUILTIN = (frozenset(_FAMILY_BY_BASE) - {"citext"}) | {
    "bit",
    "bit varying",
    "bytea",
    "cidr",
    "double precision",
    "inet",
    "interval",
    "macaddr",
    "macaddr8",
    "money",
    "oid",
    "real",
    "time with time zone",
    "time without time zone",
}


@dataclass(frozen=True, slots=True)
class KeyType:
    """
    The SQL type of a key column.

    Args:
        sql: As PostgreSQL's ``format_type`` writes it; it is put behind ``::`` in literals.
        family: How its values are read and compared.
    """

    sql: str
    family: Family

    @classmethod
    def of(cls, sql: str, *, is_enum: bool = False) -> KeyType:
        """The type that ``format_type`` calls *sql*; unknown types are compared as text."""
        if is_enum:
            return cls(sql, Family.ENUM)
        return cls(sql, _FAMILY_BY_BASE.get(_without_modifier(sql), Family.OTHER))

    @property
    def resolvable(self) -> bool:
        """Whether every search path finds it: one of PostgreSQL's own, or written with its schema."""
        return "." in self.sql or _without_modifier(self.sql).removesuffix("[]") in _BUILTIN

    @property
    def unmodified(self) -> str:
        """
        The type without length or precision, for literals: ``'abcdef'::varchar(3)`` is cut off without a word, while
        a plain ``varchar`` that is assigned to such a column is refused.
        """
        base = _without_modifier(self.sql)
        if base not in _FAMILY_BY_BASE:
            return self.sql
        # Without a length these mean character(1).
        return "bpchar" if base in ("character", "char") else base


def _without_modifier(sql: str) -> str:
    """``timestamp(6) with time zone`` -> ``timestamp with time zone``."""
    head, opened, rest = sql.lower().partition("(")
    return (head + rest.partition(")")[2]).strip() if opened else head.strip()


@dataclass(frozen=True, slots=True)
class KeyPart:
    """One column (*column* is its name in the database) or one *expression* of a partition key."""

    column: str | None
    expression: str | None
    type: KeyType

    @property
    def label(self) -> str:
        return self.column if self.column is not None else f"({self.expression})"

    @property
    def sql(self) -> str:
        """As it stands in a condition."""
        return quote(self.column) if self.column is not None else f"({self.expression})"


@dataclass(frozen=True, slots=True)
class PartitionKey:
    """All parts of one level's key, in key order; at least one."""

    parts: tuple[KeyPart, ...]

    @property
    def types(self) -> tuple[KeyType, ...]:
        return tuple(part.type for part in self.parts)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the plain columns, in key order."""
        return tuple(part.column for part in self.parts if part.column is not None)

    @property
    def has_expression(self) -> bool:
        return any(part.expression is not None for part in self.parts)

    def __str__(self) -> str:
        return ", ".join(part.label for part in self.parts)
