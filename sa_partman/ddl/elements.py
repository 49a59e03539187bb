"""One element per statement. Identifiers go through the preparer, literals through one function."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from sqlalchemy import MetaData, Table
from sqlalchemy.exc import CompileError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import ExecutableDDLElement
from sqlalchemy.sql.compiler import DDLCompiler

from sa_partman.bounds.text import for_values
from sa_partman.marks import CREATED, adopted, marked
from sa_partman.names import QualifiedName, do, quote, text_literal
from sa_partman.plan.actions import (
    ArchiveTable,
    AttachPartition,
    CreatePartition,
    CreateTable,
    DeleteExpired,
    DeleteReferring,
    DetachPartition,
    DropDetached,
    DropInvalidIndex,
    DropPartition,
    DropTable,
    FinalizeDetach,
    MarkAdopted,
    MarkDetached,
    MoveRows,
    RequireEmpty,
    Stored,
    UnmarkDetached,
)
from sa_partman.plan.deleting import deleting_all
from sa_partman.plan.moving import moving


class PartitionDDL(ExecutableDDLElement):
    """A statement of PostgreSQL's that SQLAlchemy has no element for."""

    inherit_cache = False

    def __init__(self, action: Any) -> None:
        self.action = action


class CreateTableDDL(PartitionDDL): ...


class CreatePartitionDDL(PartitionDDL): ...


class DropTableDDL(PartitionDDL): ...


class AttachPartitionDDL(PartitionDDL): ...


class DetachPartitionDDL(PartitionDDL): ...


class FinalizeDetachDDL(PartitionDDL): ...


class DropInvalidIndexDDL(PartitionDDL): ...


class CommentDDL(PartitionDDL): ...


class MarkCreatedDDL(PartitionDDL): ...


class LockDDL(PartitionDDL): ...


class MoveRowsDDL(PartitionDDL): ...


class StoredDDL(PartitionDDL): ...


class DeleteReferringDDL(PartitionDDL): ...


class DeleteExpiredDDL(PartitionDDL): ...


class RequireEmptyDDL(PartitionDDL): ...


class ArchiveTableDDL(PartitionDDL): ...


class DropDetachedDDL(PartitionDDL): ...


@compiles(PartitionDDL)
def _elsewhere(element: PartitionDDL, compiler: DDLCompiler, **_: Any) -> str:
    raise CompileError(f"{type(element).__name__} exists on PostgreSQL only, not on {compiler.dialect.name}")


def relation(compiler: DDLCompiler, name: QualifiedName) -> str:
    """*name*, quoted where it must be; ``schema_translate_map`` applies, as it does to a Table."""
    return compiler.preparer.format_table(_table(name))


@lru_cache(1024)
def _table(name: QualifiedName) -> Table:
    # A Table takes longer to make than the whole statement to compile, and a plan names its parents again and again.
    return Table(name.name, MetaData(), schema=name.schema)


def raw(compiler: DDLCompiler, sql: str) -> str:
    """*sql* as a driver wants it: those that use % for parameters need it doubled."""
    return sql.replace("%", "%%") if getattr(compiler.preparer, "_double_percents", False) else sql


_Visit = Callable[[Any, DDLCompiler], str]


def _on_postgresql(element: type[PartitionDDL]) -> Callable[[_Visit], _Visit]:
    def register(visit: _Visit) -> _Visit:
        compiles(element, "postgresql")(lambda each, compiler, **_: visit(each.action, compiler))
        return visit

    return register


@_on_postgresql(CreateTableDDL)
def _create_table(action: CreateTable, compiler: DDLCompiler) -> str:
    # Indexes come with ATTACH; an identity column is the parent's alone, and PostgreSQL 17 refuses a second one.
    like = f"LIKE {relation(compiler, action.like)} INCLUDING ALL EXCLUDING IDENTITY EXCLUDING INDEXES"
    like += " EXCLUDING STATISTICS" if action.without_statistics else ""
    using = "" if action.access_method is None else f" USING {raw(compiler, quote(action.access_method))}"
    place = "" if action.tablespace is None else f" TABLESPACE {raw(compiler, quote(action.tablespace))}"
    by = _by(compiler, action.partition_by)
    return f"{_create(action.unlogged)} {relation(compiler, action.name)} ({like}){by}{using}{place}"


@_on_postgresql(CreatePartitionDDL)
def _create_partition(action: CreatePartition, compiler: DDLCompiler) -> str:
    name, parent = relation(compiler, action.name), relation(compiler, action.parent)
    bound = raw(compiler, for_values(action.bound, action.key.types))
    return f"{_create(action.unlogged)} {name} PARTITION OF {parent} {bound}{_by(compiler, action.partition_by)}"


def _create(unlogged: bool) -> str:
    return "CREATE UNLOGGED TABLE" if unlogged else "CREATE TABLE"


def _by(compiler: DDLCompiler, partition_by: str | None) -> str:
    return f" PARTITION BY {raw(compiler, partition_by)}" if partition_by else ""


@_on_postgresql(DropTableDDL)
def _drop_table(action: DropTable | DropPartition, compiler: DDLCompiler) -> str:
    foreign = "FOREIGN " if action.foreign else ""
    return f"DROP {foreign}TABLE {relation(compiler, action.name)}"


@_on_postgresql(AttachPartitionDDL)
def _attach(action: AttachPartition, compiler: DDLCompiler) -> str:
    parent, partition = relation(compiler, action.parent), relation(compiler, action.partition)
    bound = raw(compiler, for_values(action.bound, action.key.types))
    return f"ALTER TABLE {parent} ATTACH PARTITION {partition} {bound}"


@_on_postgresql(DetachPartitionDDL)
def _detach(action: DetachPartition, compiler: DDLCompiler) -> str:
    parent, partition = relation(compiler, action.parent), relation(compiler, action.partition)
    return f"ALTER TABLE {parent} DETACH PARTITION {partition}{' CONCURRENTLY' * action.concurrently}"


@_on_postgresql(DropInvalidIndexDDL)
def _drop_index(action: DropInvalidIndex, compiler: DDLCompiler) -> str:
    return f"DROP INDEX {relation(compiler, action.index)}"


@_on_postgresql(FinalizeDetachDDL)
def _finalize(action: FinalizeDetach, compiler: DDLCompiler) -> str:
    return (
        f"ALTER TABLE {relation(compiler, action.parent)} "
        f"DETACH PARTITION {relation(compiler, action.partition)} FINALIZE"
    )


@_on_postgresql(CommentDDL)
def _comment(action: MarkDetached | UnmarkDetached | MarkAdopted, compiler: DDLCompiler) -> str:
    comment = action.comment if isinstance(action, UnmarkDetached) else _mark(action)
    written = "NULL" if comment is None else raw(compiler, text_literal(comment))
    return f"COMMENT ON TABLE {relation(compiler, action.table)} IS {written}"


def _mark(action: MarkDetached | MarkAdopted) -> str:
    if isinstance(action, MarkAdopted):
        return adopted(action.at, action.comment)
    bound = "" if action.bound is None or action.key is None else for_values(action.bound, action.key.types)
    return marked(action.parent, action.comment, action.at, bound, foreign=action.foreign, asked=action.asked)


@_on_postgresql(MarkCreatedDDL)
def _mark_created(action: CreateTable | CreatePartition, compiler: DDLCompiler) -> str:
    return f"COMMENT ON TABLE {relation(compiler, action.name)} IS {text_literal(CREATED)}"


@_on_postgresql(DeleteReferringDDL)
def _delete_referring(action: DeleteReferring, compiler: DDLCompiler) -> str:
    table, partition = relation(compiler, action.table), relation(compiler, action.partition)
    pairs = zip(action.columns, action.referred, strict=True)
    same = raw(compiler, " AND ".join(f"p.{quote(theirs)} = s.{quote(ours)}" for ours, theirs in pairs))
    only = f" AND ({raw(compiler, action.where)})" if action.where else ""
    refers = f"EXISTS (SELECT FROM {partition} p WHERE {same}{only})"
    rows = f"SELECT s.ctid FROM {table} s WHERE {refers} LIMIT {action.batch}"
    # Asked twice: of a row that somebody changes meanwhile, older minor releases do not ask again whether it has that
    # ctid still, and would delete one that refers to another partition now.
    return f"DELETE FROM {table} s WHERE s.ctid = ANY (ARRAY({rows})) AND {refers}"


@_on_postgresql(DeleteExpiredDDL)
def _delete_expired(action: DeleteExpired, compiler: DDLCompiler) -> str:
    return raw(compiler, deleting_all(action))


@_on_postgresql(RequireEmptyDDL)
def _require_empty(action: RequireEmpty, compiler: DDLCompiler) -> str:
    table, parent = relation(compiler, action.table), relation(compiler, action.parent)
    said = text_literal(
        f"{action.table} holds rows by now, so it stays until it is over; nothing was changed, and nothing has to be "
        f"done: the next run --regrid leaves it out"
    )
    # Row security must not hide a row from the question: the server refuses it then.
    body = f"""
BEGIN
    PERFORM pg_catalog.set_config('row_security', 'off', true);
    LOCK TABLE ONLY {parent} IN ACCESS EXCLUSIVE MODE;
    LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE;
    IF EXISTS (SELECT FROM {table}) THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state', MESSAGE = {raw(compiler, said)};
    END IF;
END"""
    return do(body)


@_on_postgresql(ArchiveTableDDL)
def _archive_table(action: ArchiveTable, compiler: DDLCompiler) -> str:
    where = raw(compiler, str(action.archive).replace("*/", "* /"))
    return f"COPY (TABLE {relation(compiler, action.table)}) TO STDOUT WITH (FORMAT csv, FORCE_QUOTE *) /* {where} */"


@_on_postgresql(DropDetachedDDL)
def _drop_detached(action: DropDetached, compiler: DDLCompiler) -> str:
    return f"DROP TABLE {relation(compiler, action.table)}"


@_on_postgresql(LockDDL)
def _lock(action: MoveRows, compiler: DDLCompiler) -> str:
    source = relation(compiler, action.source)
    tables = source if action.attached is None else f"ONLY {relation(compiler, action.attached)}, {source}"
    return f"LOCK TABLE {tables} IN SHARE ROW EXCLUSIVE MODE"


@_on_postgresql(MoveRowsDDL)
def _move_rows(action: MoveRows, compiler: DDLCompiler) -> str:
    return raw(compiler, moving(action))


@_on_postgresql(StoredDDL)
def _stored(action: Stored, compiler: DDLCompiler) -> str:
    return raw(compiler, action.sql)
