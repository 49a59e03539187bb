"""
The anatomy of a table: everything that hangs on it and that a conversion must carry, as values.

Definitions are PostgreSQL's own (``pg_get_*def`` with an empty search path, so every name in them is qualified), with
the table's name replaced by `HERE`, so that they can be written for another table.
"""

from __future__ import annotations

from dataclasses import dataclass

from sa_partman.names import QualifiedName, quote

HERE = "\x01"
"""Stands for the quoted table in a definition. No catalog text holds this character."""

NAME = "\x02"
"""The same for its bare name."""


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
class Grant:
    """
    One privilege of somebody.

    Args:
        grantee: Quoted, or PUBLIC.
        column: None for the whole object.
        grantable: WITH GRANT OPTION.
    """

    grantee: str
    privilege: str
    column: str | None = None
    grantable: bool = False


@dataclass(frozen=True, slots=True)
class Privileges:
    """
    Who may do what with an object.

    Args:
        owner: Quoted.
        grants: All of them, the owner's own too.
        untouched: Nobody ever granted or revoked anything: the owner may do all, and nobody else anything.
        strangers: Quoted: to whom default privileges grant something on a new object of this kind.
    """

    owner: str = ""
    grants: tuple[Grant, ...] = ()
    untouched: bool = True
    strangers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OwnedSequence:
    """
    A sequence that belongs to a column: by identity, or by OWNED BY.

    Args:
        options: As CREATE SEQUENCE takes them.
        users: What else uses an identity's sequence, as PostgreSQL describes it.
    """

    name: QualifiedName
    column: str
    identity: bool
    options: str = ""
    comment: str | None = None
    privileges: Privileges = Privileges()
    users: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Index:
    """
    Args:
        columns: Key columns in order; an expression is None.
        included: The columns of INCLUDE.
        tail: What follows ``ON table`` in CREATE INDEX.
        options: Storage parameters, which no constraint's definition tells.
        targets: Statistics targets of its expressions: their number, from 1, and the target.
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
    included: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    targets: tuple[tuple[int, int], ...] = ()

    @property
    def searched(self) -> bool:
        """Whether every row can be looked up in it by one value of its columns."""
        return not self.partial and self.tail.startswith(("USING btree ", "USING hash "))


@dataclass(frozen=True, slots=True)
class Constraint:
    """
    Args:
        kind: "c" CHECK, "f" FOREIGN KEY, "n" NOT NULL (18), "p", "u", "x" EXCLUDE.
        definition: As ``pg_get_constraintdef`` writes it.
        columns: In the constraint's order.
        references: For a foreign key.
        to_partitioned: It refers to a partitioned table.
    """

    name: str
    kind: str
    definition: str
    columns: tuple[str, ...]
    validated: bool = True
    no_inherit: bool = False
    references: QualifiedName | None = None
    comment: str | None = None
    to_partitioned: bool = False


@dataclass(frozen=True, slots=True)
class InboundKey:
    """
    A foreign key of another table (or of the table itself) that refers to this one.

    Args:
        columns: Of that table, each for the one of *referenced* at its place.
        tail: What follows the referenced columns in its definition: MATCH, actions, DEFERRABLE.
        acts: Whether it has an ON DELETE action that changes rows.
        types: The columns of that table, with their types.
    """

    name: str
    table: QualifiedName
    columns: tuple[str, ...]
    referenced: tuple[str, ...]
    definition: str
    tail: str = ""
    acts: bool = False
    validated: bool = True
    comment: str | None = None
    types: tuple[tuple[str, str], ...] = ()


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
        identity: As PostgreSQL describes it: ``view public.v``, ``function f(public.events)``.
        restore: Statements that make it refer to whatever bears the table's name; empty when there is no such way.
        locks: Quoted tables that those statements lock ACCESS EXCLUSIVE.
    """

    identity: str
    restore: tuple[str, ...] = ()
    locks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """
    Args:
        definition: CREATE POLICY, with `HERE` and `NAME`.
        reads_itself: Its expressions read the table whose rows it guards.
    """

    name: str
    definition: str
    reads_itself: bool = False
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class ExtendedStatistics:
    """
    Args:
        tail: What follows the name in CREATE STATISTICS, with `HERE`.
        target: -1 is the default one.
    """

    name: QualifiedName
    tail: str
    target: int = -1
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Publication:
    """
    Args:
        tail: What follows the table in ALTER PUBLICATION ... ADD TABLE: columns and row filter.
        via_root: publish_via_partition_root.
    """

    name: str
    tail: str = ""
    via_root: bool = False


@dataclass(frozen=True, slots=True)
class Cover:
    """
    A publication that has the table without naming it, or that all tables but this one are in.

    Args:
        scope: As CREATE PUBLICATION says it: ``FOR ALL TABLES``, ``FOR TABLES IN SCHEMA public``.
        excepted: The table is in its EXCEPT clause; then *others* are quoted, the other tables in it.
        ours: The connected role may change the publication.
    """

    name: str
    scope: str
    via_root: bool = False
    excepted: bool = False
    others: tuple[str, ...] = ()
    ours: bool = True

    def excepting(self, *tables: QualifiedName) -> str:
        """The statement that leaves *tables* out of it, too."""
        listed = ", ".join(f"TABLE {each}" for each in (*(table.quoted for table in tables), *self.others))
        return f"ALTER PUBLICATION {quote(self.name)} SET ALL TABLES EXCEPT ({listed})"


@dataclass(frozen=True, slots=True)
class Anatomy:
    """
    One table, whole.

    Args:
        kind: ``pg_class.relkind``.
        server: The server's major version.
        persistence: "p" permanent, "u" unlogged, "t" temporary.
        comments: Of the table (None) and of columns, by name.
        replica_identity: "d", "n", "f", or "i" with *replica_index*.
        options: Storage parameters, those of the TOAST table as ``toast.name=value``.
        key_users: What depends on the primary key itself, because it groups by it.
        missing_rights: What the connected role lacks to convert it, in words.
        obstacles: Kinds of the table that can't be converted at all, in words.
    """

    name: QualifiedName
    oid: int
    server: int
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
    covers: tuple[Cover, ...] = ()
    privileges: Privileges = Privileges()
    policies: tuple[Policy, ...] = ()
    row_security: bool = False
    force_row_security: bool = False
    comments: tuple[tuple[str | None, str], ...] = ()
    statistics: tuple[ExtendedStatistics, ...] = ()
    replica_identity: str = "d"
    replica_index: str | None = None
    options: tuple[str, ...] = ()
    tablespace: str | None = None
    access_method: str = "heap"
    obstacles: tuple[str, ...] = ()
    key_users: tuple[str, ...] = ()
    missing_rights: tuple[str, ...] = ()

    @property
    def primary_key(self) -> Index | None:
        return next((index for index in self.indexes if index.kind == "p"), None)

    @property
    def foreign_keys(self) -> tuple[Constraint, ...]:
        """Those to other tables."""
        return tuple(each for each in self.constraints if each.kind == "f" and each.references != self.name)

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)

    def find(self, name: str) -> Column | None:
        return next((column for column in self.columns if column.name == name), None)
