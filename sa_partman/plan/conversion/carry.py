"""Statements that make another table what one is: its columns, keys, sequences and triggers."""

from __future__ import annotations

from collections.abc import Iterator

from sa_partman.names import QualifiedName, join_name, quote
from sa_partman.plan.conversion.settings import commented, granted
from sa_partman.table.definition import HERE, Column, Index, OwnedSequence, TableDefinition, Trigger

_ENABLE = {"D": "DISABLE TRIGGER", "A": "ENABLE ALWAYS TRIGGER", "R": "ENABLE REPLICA TRIGGER"}


def at(definition: str, table: QualifiedName) -> str:
    """*definition* written for *table*."""
    return definition.replace(HERE, table.quoted)


def temporary(name: str) -> str:
    """What an index, constraint or sequence is called until the original lets go of its name."""
    return join_name(name, "pnew")


def create_like(
    anatomy: TableDefinition, new: QualifiedName, partition_by: str | None, *, without: str = ""
) -> Iterator[str]:
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
    for each in anatomy.constraints:
        if each.kind == "c" and each.name != without:
            yield f"ALTER TABLE {new.quoted} ADD CONSTRAINT {quote(each.name)} {each.definition}"
        if each.kind in ("c", "n") and each.name != without:
            yield from commented(f"CONSTRAINT {quote(each.name)} ON {new.quoted}", each.comment)


def keys(
    anatomy: TableDefinition, new: QualifiedName, primary_key: tuple[str, ...], local: frozenset[str]
) -> Iterator[str]:
    """
    The primary key, unique constraints and indexes, under temporary names.

    Args:
        primary_key: The columns wanted; none for no primary key.
        local: Names that stay behind.
    """
    if primary_key:
        present = anatomy.primary_key
        name = temporary(primary_key_name(anatomy))
        wanted = f"PRIMARY KEY {key_columns(anatomy, primary_key)}{'' if present is None else _with(present)}"
        yield f"ALTER TABLE {new.quoted} ADD CONSTRAINT {quote(name)} {wanted}"
        if present is not None:
            yield from _index_settings(anatomy, present, new, name)
    for index in carried(anatomy, local):
        name = temporary(index.name)
        if index.constraint is not None:
            definition = next(each.definition for each in anatomy.constraints if each.name == index.constraint)
            yield f"ALTER TABLE {new.quoted} ADD CONSTRAINT {quote(name)} {definition}{_with(index)}"
        else:
            yield f"CREATE {'UNIQUE ' * index.unique}INDEX {quote(name)} ON {new.quoted} {index.tail}"
        yield from _index_settings(anatomy, index, new, name)


def key_columns(anatomy: TableDefinition, primary_key: tuple[str, ...]) -> str:
    """The columns of a primary key, with those that the present one includes beside its own."""
    present = anatomy.primary_key
    included = tuple(each for each in present.included if each not in primary_key) if present is not None else ()
    return f"({columns(primary_key)})" + (f" INCLUDE ({columns(included)})" if included else "")


def build_key_index(
    anatomy: TableDefinition, table: QualifiedName, name: str, primary_key: tuple[str, ...], *, concurrently: bool
) -> str:
    """CREATE UNIQUE INDEX *name* for a primary key to come, stored as the one of *anatomy* is."""
    present = anatomy.primary_key
    stored = "" if present is None else _with(present)
    if present is not None and present.tablespace is not None:
        stored += f" TABLESPACE {quote(present.tablespace)}"
    create = f"CREATE UNIQUE INDEX {'CONCURRENTLY ' * concurrently}{quote(name)}"
    return f"{create} ON {table.quoted} {key_columns(anatomy, primary_key)}{stored}"


def _with(index: Index) -> str:
    return f" WITH ({', '.join(index.options)})" if index.options else ""


def _index_settings(anatomy: TableDefinition, index: Index, new: QualifiedName, name: str) -> Iterator[str]:
    place = new.sibling(name).quoted
    if index.tablespace is not None:
        yield f"ALTER INDEX {place} SET TABLESPACE {quote(index.tablespace)}"
    yield from commented(f"INDEX {place}", index.comment)
    for each in anatomy.constraints:
        if each.name == index.constraint:
            yield from commented(f"CONSTRAINT {quote(name)} ON {new.quoted}", each.comment)


def index_targets(anatomy: TableDefinition, new: QualifiedName, local: frozenset[str]) -> Iterator[str]:
    """The statistics targets of expressions in the indexes of `keys`, and in the parts that partitions have by now."""
    for index in carried(anatomy, local):
        for number, target in index.targets:
            place = new.sibling(temporary(index.name)).quoted
            yield f"ALTER INDEX {place} ALTER COLUMN {number} SET STATISTICS {target}"


def primary_key_name(anatomy: TableDefinition) -> str:
    present = anatomy.primary_key
    return present.name if present is not None else join_name(anatomy.name.name, "pkey")


def columns(names: tuple[str, ...]) -> str:
    return ", ".join(map(quote, names))


def identities(anatomy: TableDefinition, new: QualifiedName) -> Iterator[str]:
    """Identity columns, each with a sequence like the present one under a temporary name."""
    for sequence in anatomy.sequences:
        if sequence.identity:
            name = sequence.name.sibling(temporary(sequence.name.name))
            yield from add_identity(new, anatomy.column(sequence.column), sequence, name)


def add_identity(table: QualifiedName, column: Column, like: OwnedSequence, name: QualifiedName) -> Iterator[str]:
    """Makes *column* an identity column, with a sequence *name* that is *like* another one."""
    when = "ALWAYS" if column.identity == "a" else "BY DEFAULT"
    yield (
        f"ALTER TABLE {table.quoted} ALTER COLUMN {quote(column.name)} "
        f"ADD GENERATED {when} AS IDENTITY (SEQUENCE NAME {name.quoted} {like.options})"
    )
    yield from granted(like.privileges, f"SEQUENCE {name.quoted}")
    yield from commented(f"SEQUENCE {name.quoted}", like.comment)


def continued(new: QualifiedName, old: QualifiedName) -> str:
    """The sequence *new* goes on where *old* stands."""
    literal = new.quoted.replace("'", "''")
    return f"SELECT setval('{literal}', last_value, is_called) FROM {old.quoted}"


def triggers(anatomy: TableDefinition, new: QualifiedName) -> Iterator[str]:
    for trigger in anatomy.triggers:
        yield at(trigger.definition, new)
        yield from _enabled(trigger, new)
        yield from commented(f"TRIGGER {quote(trigger.name)} ON {new.quoted}", trigger.comment)


def _enabled(trigger: Trigger, table: QualifiedName) -> Iterator[str]:
    if trigger.enabled in _ENABLE:
        yield f"ALTER TABLE {table.quoted} {_ENABLE[trigger.enabled]} {quote(trigger.name)}"


def rename_index(schema: str | None, index: str, name: str) -> str:
    return f"ALTER INDEX {QualifiedName(schema, index).quoted} RENAME TO {quote(name)}"


def carried(anatomy: TableDefinition, local: frozenset[str]) -> tuple[Index, ...]:
    """The indexes that the partitioned table gets, the primary key left out."""
    return tuple(index for index in anatomy.indexes if index.kind != "p" and index.name not in local)
