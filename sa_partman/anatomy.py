"""
The anatomy of a table: everything that hangs on it and that a conversion must carry, as values.

Definitions are PostgreSQL's own (``pg_get_*def`` with an empty search path, so every name in them is qualified), with
the table's name replaced by `HERE`, so that they can be written for another table.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sa_partman.names import QualifiedName

HERE = "\x01"
"""Stands for the quoted table in a definition. No catalog text holds this character."""


@dataclass(frozen=True, slots=True)
class Column:
    """
    Args:
        type: As ``format_type`` writes it.
        identity: "a" ALWAYS, "d" BY DEFAULT, or empty.
        generated: "s" STORED, "v" VIRTUAL, or empty.
        statistics: The statistics target; -1 is the default one.
        options: Such as ``n_distinct=0.1``.
    """

    name: str
    type: str
    not_null: bool
    identity: str = ""
    generated: str = ""
    statistics: int = -1
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OwnedSequence:
    """
    A sequence that belongs to a column: by identity, or by OWNED BY.

    Args:
        options: As CREATE SEQUENCE takes them.
    """

    name: QualifiedName
    column: str
    identity: bool
    options: str = ""


@dataclass(frozen=True, slots=True)
class Index:
    """
    Args:
        columns: Key columns in order; an expression is None.
        tail: What follows ``ON table`` in CREATE INDEX.
        constraint: The constraint that it serves, if any.
        kind: "p", "u" or "x" for that constraint, else empty.
        valid: False after an interrupted concurrent build.
        tablespace: None is the database's default.
    """

    name: str
    columns: tuple[str | None, ...]
    tail: str
    unique: bool
    valid: bool
    constraint: str | None = None
    kind: str = ""
    partial: bool = False
    immediate: bool = True
    comment: str | None = None
    bytes: int = 0
    tablespace: str | None = None


@dataclass(frozen=True, slots=True)
class Constraint:
    """
    Args:
        kind: "c" CHECK, "f" FOREIGN KEY, "p", "u", "x" EXCLUDE, "t" constraint trigger.
        definition: As ``pg_get_constraintdef`` writes it.
        columns: In the constraint's order.
        references: For a foreign key.
    """

    name: str
    kind: str
    definition: str
    columns: tuple[str, ...]
    validated: bool = True
    no_inherit: bool = False
    references: QualifiedName | None = None
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class InboundKey:
    """A foreign key of another table (or of the table itself) that refers to this one."""

    name: str
    table: QualifiedName
    columns: tuple[str, ...]
    referenced: tuple[str, ...]
    definition: str
    table_columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Trigger:
    """
    Args:
        definition: With `HERE` for the table.
        enabled: "O" origin, "D" disabled, "R" replica, "A" always.
        before_insert: A row trigger that runs before an insert, which is after routing on a partitioned table.
    """

    name: str
    definition: str
    enabled: str
    row: bool
    transition_tables: bool
    before_insert: bool
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Dependent:
    """
    What refers to the table by its oid, and so would stay with the old one.

    Args:
        kind: "view", "materialized view", "rule", "policy", "function", "column" (of the table's row type).
        identity: As PostgreSQL describes it.
        restore: Statements that make it refer to whatever bears the table's name; empty when there is no such way.
    """

    kind: str
    identity: str
    restore: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Publication:
    """
    Args:
        tail: What follows the table in ALTER PUBLICATION ... ADD TABLE: columns and row filter.
    """

    name: str
    tail: str = ""


@dataclass(frozen=True, slots=True)
class Anatomy:
    """
    One table, whole.

    Args:
        kind: ``pg_class.relkind``.
        persistence: "p" permanent, "u" unlogged, "t" temporary.
        grants: GRANT statements, with `HERE`.
        policies: CREATE POLICY statements, with `HERE`, by name.
        comments: COMMENT statements of the table and its columns, with `HERE`.
        statistics: Extended statistics: name and definition, with `HERE`.
        replica_identity: "d", "n", "f", or "i" with *replica_index*.
        obstacles: Kinds of the table that can't be converted at all, in words.
    """

    name: QualifiedName
    oid: int
    kind: str
    persistence: str
    owner: str
    rows: float
    bytes: int
    index_bytes: int
    columns: tuple[Column, ...]
    sequences: tuple[OwnedSequence, ...] = ()
    indexes: tuple[Index, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    inbound: tuple[InboundKey, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    dependents: tuple[Dependent, ...] = ()
    publications: tuple[Publication, ...] = ()
    grants: tuple[str, ...] = ()
    policies: tuple[tuple[str, str], ...] = ()
    row_security: bool = False
    force_row_security: bool = False
    comments: tuple[str, ...] = ()
    statistics: tuple[tuple[str, str], ...] = ()
    replica_identity: str = "d"
    replica_index: str | None = None
    options: tuple[str, ...] = ()
    tablespace: str | None = None
    access_method: str = "heap"
    obstacles: tuple[str, ...] = field(default=())

    @property
    def primary_key(self) -> Index | None:
        return next((index for index in self.indexes if index.kind == "p"), None)

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)
