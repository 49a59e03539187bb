"""Statements that make another table what one is: everything of its anatomy but its rows."""

from __future__ import annotations

from collections.abc import Iterator

from sa_partman.anatomy import HERE, Anatomy, Column, Index, Trigger
from sa_partman.names import QualifiedName, join_name, quote
from sa_partman.spec.base import quote_if_needed

_ENABLE = {"D": "DISABLE TRIGGER", "A": "ENABLE ALWAYS TRIGGER", "R": "ENABLE REPLICA TRIGGER"}
_REPLICA = {"f": "FULL", "n": "NOTHING"}


def at(definition: str, table: QualifiedName) -> str:
    """*definition* written for *table*."""
    return definition.replace(HERE, table.quoted)


def temporary(name: str) -> str:
    """What an index, constraint or sequence is called until the original lets go of its name."""
    return join_name(name, "pnew")


def create_like(anatomy: Anatomy, new: QualifiedName, partition_by: str | None, *, without: str = "") -> Iterator[str]:
    """
    The bare table: columns, defaults, generated columns, NOT NULL, storage, CHECK constraints and their comments.

    Args:
        partition_by: None makes a plain table.
        without: A CHECK constraint that is not to be carried.
    """
    unlogged = "UNLOGGED " if anatomy.persistence == "u" and partition_by is None else ""
    space = f" TABLESPACE {quote(anatomy.tablespace)}" if anatomy.tablespace else ""
    by = f" PARTITION BY {partition_by}" if partition_by else ""
    options = f" WITH ({', '.join(anatomy.options)})" if anatomy.options and partition_by is None else ""
    like = (
        f"LIKE {anatomy.name.quoted} INCLUDING ALL EXCLUDING IDENTITY EXCLUDING INDEXES EXCLUDING STATISTICS "
        f"EXCLUDING CONSTRAINTS EXCLUDING COMMENTS"
    )
    yield f"CREATE {unlogged}TABLE {new.quoted} ({like}){by}{options}{space}"
    yield f"ALTER TABLE {new.quoted} OWNER TO {quote(anatomy.owner)}"
    for check in anatomy.constraints:
        if check.kind == "c" and check.name != without:
            yield f"ALTER TABLE {new.quoted} ADD CONSTRAINT {quote(check.name)} {check.definition}"
            yield from _commented(f"CONSTRAINT {quote(check.name)} ON {new.quoted}", check.comment)


def keys(anatomy: Anatomy, new: QualifiedName, primary_key: tuple[str, ...], local: frozenset[str]) -> Iterator[str]:
    """
    The primary key, unique constraints and indexes, under temporary names.

    Args:
        primary_key: The columns wanted; none for no primary key.
        local: Names that stay behind.
    """
    if primary_key:
        name = temporary(primary_key_name(anatomy))
        yield f"ALTER TABLE {new.quoted} ADD CONSTRAINT {quote(name)} PRIMARY KEY ({columns(primary_key)})"
    for index in anatomy.indexes:
        if index.kind == "p" or index.name in local:
            continue
        name = quote(temporary(index.name))
        if index.constraint is not None:
            definition = next(each.definition for each in anatomy.constraints if each.name == index.constraint)
            yield f"ALTER TABLE {new.quoted} ADD CONSTRAINT {name} {definition}"
        else:
            yield f"CREATE {'UNIQUE ' * index.unique}INDEX {name} ON {new.quoted} {index.tail}"
        yield from _commented(f"INDEX {quote(anatomy.name.schema or '')}.{name}", index.comment)


def primary_key_name(anatomy: Anatomy) -> str:
    present = anatomy.primary_key
    return present.name if present is not None else join_name(anatomy.name.name, "pkey")


def columns(names: tuple[str, ...]) -> str:
    return ", ".join(map(quote, names))


def identities(anatomy: Anatomy, new: QualifiedName) -> Iterator[str]:
    """Identity columns, each with a sequence of the same options under a temporary name."""
    for sequence in anatomy.sequences:
        if sequence.identity:
            column = anatomy.column(sequence.column)
            name = sequence.name.sibling(temporary(sequence.name.name))
            yield add_identity(new, column, name, sequence.options)


def add_identity(table: QualifiedName, column: Column, sequence: QualifiedName, options: str) -> str:
    when = "ALWAYS" if column.identity == "a" else "BY DEFAULT"
    return (
        f"ALTER TABLE {table.quoted} ALTER COLUMN {quote(column.name)} "
        f"ADD GENERATED {when} AS IDENTITY (SEQUENCE NAME {sequence.quoted} {options})"
    )


def continued(new: QualifiedName, old: QualifiedName) -> str:
    """The sequence *new* goes on where *old* stands."""
    literal = new.quoted.replace("'", "''")
    return f"SELECT setval('{literal}', last_value, is_called) FROM {old.quoted}"


def settings(anatomy: Anatomy, new: QualifiedName) -> Iterator[str]:
    """Comments, statistics targets, grants, row security and policies."""
    for comment in anatomy.comments:
        yield at(comment, new)
    yield from column_settings(anatomy, new)
    for grant in anatomy.grants:
        yield at(grant, new)
    for _, policy in anatomy.policies:
        yield at(policy, new)
    if anatomy.row_security:
        yield f"ALTER TABLE {new.quoted} ENABLE ROW LEVEL SECURITY"
    if anatomy.force_row_security:
        yield f"ALTER TABLE {new.quoted} FORCE ROW LEVEL SECURITY"


def column_settings(anatomy: Anatomy, new: QualifiedName) -> Iterator[str]:
    for column in anatomy.columns:
        alter = f"ALTER TABLE {new.quoted} ALTER COLUMN {quote(column.name)}"
        if column.statistics >= 0:
            yield f"{alter} SET STATISTICS {column.statistics}"
        if column.options:
            yield f"{alter} SET ({', '.join(column.options)})"


def extended_statistics(anatomy: Anatomy, new: QualifiedName) -> Iterator[str]:
    """CREATE STATISTICS under temporary names."""
    for name, definition in anatomy.statistics:
        head, _, tail = at(definition, new).partition(_statistics_name(anatomy, name))
        yield f"{head}{quote(anatomy.name.schema or '')}.{quote(temporary(name))}{tail}"


def _statistics_name(anatomy: Anatomy, name: str) -> str:
    """As PostgreSQL prints it: quoted only where it must be."""
    return f"{quote_if_needed(anatomy.name.schema or '')}.{quote_if_needed(name)}"


def triggers(anatomy: Anatomy, new: QualifiedName) -> Iterator[str]:
    for trigger in anatomy.triggers:
        yield at(trigger.definition, new)
        yield from _enabled(trigger, new)
        yield from _commented(f"TRIGGER {quote(trigger.name)} ON {new.quoted}", trigger.comment)


def _enabled(trigger: Trigger, table: QualifiedName) -> Iterator[str]:
    if trigger.enabled in _ENABLE:
        yield f"ALTER TABLE {table.quoted} {_ENABLE[trigger.enabled]} {quote(trigger.name)}"


def replica_identity(anatomy: Anatomy, table: QualifiedName) -> Iterator[str]:
    """REPLICA IDENTITY, where it is not that of an index: those are per partition."""
    if anatomy.replica_identity in _REPLICA:
        yield f"ALTER TABLE {table.quoted} REPLICA IDENTITY {_REPLICA[anatomy.replica_identity]}"


def leaf_settings(anatomy: Anatomy, leaf: QualifiedName) -> Iterator[str]:
    """What a partition does not take over from its partitioned table by itself."""
    yield f"ALTER TABLE {leaf.quoted} OWNER TO {quote(anatomy.owner)}"
    if anatomy.options:
        yield f"ALTER TABLE {leaf.quoted} SET ({', '.join(anatomy.options)})"
    yield from column_settings(anatomy, leaf)
    yield from replica_identity(anatomy, leaf)
    for grant in anatomy.grants:
        yield at(grant, leaf)
    if anatomy.row_security:
        yield f"ALTER TABLE {leaf.quoted} ENABLE ROW LEVEL SECURITY"
    if anatomy.force_row_security:
        yield f"ALTER TABLE {leaf.quoted} FORCE ROW LEVEL SECURITY"
    for _, policy in anatomy.policies:
        yield at(policy, leaf)


def rename_index(schema: str | None, index: str, name: str) -> str:
    return f"ALTER INDEX {QualifiedName(schema, index).quoted} RENAME TO {quote(name)}"


def carried(anatomy: Anatomy, local: frozenset[str]) -> tuple[Index, ...]:
    """The indexes that the partitioned table gets, the primary key left out."""
    return tuple(index for index in anatomy.indexes if index.kind != "p" and index.name not in local)


def _commented(target: str, comment: str | None) -> Iterator[str]:
    if comment is not None:
        escaped = comment.replace("'", "''")
        literal = f"E'{escaped}'".replace("\\", "\\\\") if "\\" in escaped else f"'{escaped}'"
        yield f"COMMENT ON {target} IS {literal}"
