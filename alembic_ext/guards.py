"""
Alembic's own operations on partitioned tables and on partitions: what they would ruin is refused or carried along.

``op.drop_table`` refuses an attached partition: what autogenerate without our filters writes loses all rows. What
changes columns refuses a table with a pending detach, which PostgreSQL 18 then could not end any more.

What PostgreSQL itself does right, or refuses in a sentence of its own, is left alone; so is plain SQL. In ``--sql``
mode nothing can be looked at: what has to be known is asked by the script itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from alembic.operations import Operations
from alembic.operations.batch import BatchOperationsImpl
from alembic.operations.ops import (
    AddColumnOp,
    AddConstraintOp,
    AlterColumnOp,
    CreateCheckConstraintOp,
    CreateIndexOp,
    CreateTableCommentOp,
    CreateTableOp,
    DropColumnOp,
    DropIndexOp,
    DropTableCommentOp,
    DropTableOp,
    RenameTableOp,
)
from alembic.util import CommandError
from sqlalchemy import Connection, MetaData

from alembic_ext.offline import is_made_in_script, is_partition_in_script, is_partitioned_in_script
from alembic_ext.session import is_offline, on_postgresql, reading_connection, refuse_pending, translated_name
from sa_partman.ddl import blocks
from sa_partman.marks import mark_lines
from sa_partman.names import QualifiedName
from sa_partman.orm.registry import PARTITION_BY, spec_of
from sa_partman.postgres.migrations import MigratedTable, migrated_table, partitioned_by_column
from sa_partman.postgres.relations import oid_of
from sa_partman.postgres.session import execute_sql, features_of

Original = Callable[[Operations, Any], Any]
"""What Alembic does."""


def register() -> None:
    _before(AddColumnOp, _add_column)
    _before(AlterColumnOp, _alter_column)
    _before(DropColumnOp, _drop_column)
    _before(CreateCheckConstraintOp, _create_check, registered=AddConstraintOp)
    _before(CreateIndexOp, _create_index)
    _before(DropIndexOp, _drop_index)
    _before(DropTableOp, _drop_table)
    _instead(CreateTableOp, _create_table)
    _instead(RenameTableOp, _rename_table)
    _instead(CreateTableCommentOp, _create_comment)
    _instead(DropTableCommentOp, _drop_comment)
    flush = BatchOperationsImpl.flush

    def guarded(self: BatchOperationsImpl) -> None:
        comment = _before_recreation(self) if self._should_recreate() else None
        flush(self)
        _comment_again(self, comment)

    setattr(BatchOperationsImpl, "flush", guarded)  # noqa: B010 -- there is no registry for it


def _before(kind: type, look: Callable[[Operations, Any], None], *, registered: type | None = None) -> None:
    def both(operations: Operations, operation: Any, original: Original) -> Any:
        look(operations, operation)
        return original(operations, operation)

    _instead(kind, both, registered=registered)


def _instead(kind: type, act: Callable[[Operations, Any, Original], Any], *, registered: type | None = None) -> None:
    """
    Args:
        registered: Where Alembic has what it does, if not under *kind*.
    """
    # The registry is private; replace=True, which is public, came with 1.17.2.
    registry: dict[Any, Original] = Operations._to_impl._registry
    original = registry[(registered or kind, "default")]
    registry[(kind, "default")] = lambda operations, operation: act(operations, operation, original)


# -- columns and constraints -----------------------------------------------------------------------------------------


def _add_column(operations: Operations, operation: AddColumnOp) -> None:
    _refuse_pending(operations, operation, "add_column")


def _create_check(operations: Operations, operation: CreateCheckConstraintOp) -> None:
    _refuse_pending(operations, operation, "create_check_constraint")


def _alter_column(operations: Operations, operation: AlterColumnOp) -> None:
    if operation.modify_type is not None:
        _refuse_key(operations, operation, "alter_column", "change the type of")
    _refuse_pending(operations, operation, "alter_column")


def _drop_column(operations: Operations, operation: DropColumnOp) -> None:
    _refuse_key(operations, operation, "drop_column", "drop")


def _refuse_pending(operations: Operations, operation: Any, verb: str) -> None:
    with reading_connection(operations) as connection:
        if connection is None or not features_of(connection).compares_constraints_to_finalize:
            return
        oid = oid_of(connection, _named(connection, operation.table_name, operation.schema))
        if oid is not None:
            refuse_pending(connection, oid, f"op.{verb}(...) on {operation.table_name}")


def _refuse_key(operations: Operations, operation: AlterColumnOp | DropColumnOp, verb: str, what: str) -> None:
    table, column = operation.table_name, operation.column_name
    with reading_connection(operations) as connection:
        if connection is None:
            return
        parent = partitioned_by_column(connection, _named(connection, table, operation.schema), str(column))
    if parent is not None:
        raise CommandError(
            f"op.{verb}({table!r}, {str(column)!r}): the column is in the partition key of {parent}, and PostgreSQL "
            f"can't {what} such a column; nothing was changed. Make the table plain before (op.unpartition_table), and "
            f"partition it again afterwards (op.partition_table)."
        )


# -- indexes ---------------------------------------------------------------------------------------------------------


def _create_index(operations: Operations, operation: CreateIndexOp) -> None:
    if not operation.kw.get("postgresql_concurrently"):
        return
    found = _found(operations, str(operation.table_name), operation.schema)
    if found is not None and found.kind == "p":
        raise CommandError(
            f"op.create_index({operation.index_name!r}, ..., postgresql_concurrently=True): {operation.table_name} is "
            f"partitioned, and PostgreSQL can't do that; nothing was changed. op.create_partitioned_index() with the "
            f"same arguments, without that one, builds the index of each partition concurrently."
        )


def _drop_index(operations: Operations, operation: DropIndexOp) -> None:
    if not operation.kw.get("postgresql_concurrently"):
        return
    found = _found(operations, str(operation.index_name), operation.schema)
    if found is not None and found.kind == "I":
        raise CommandError(
            f"op.drop_index({operation.index_name!r}, ..., postgresql_concurrently=True): it is the index of a "
            f"partitioned table, and PostgreSQL can't do that; nothing was changed. op.drop_partitioned_index() locks "
            f"the table for an instant only, and gives up rather than queue."
        )


# -- tables ----------------------------------------------------------------------------------------------------------


def _create_table(operations: Operations, operation: CreateTableOp, original: Original) -> Any:
    """SQLAlchemy puts postgresql_partition_by into CREATE TABLE as it is, and some drivers take % for a parameter."""
    written = operation.kw.get(PARTITION_BY)
    preparer = operations.migration_context.dialect.identifier_preparer
    if not isinstance(written, str) or not getattr(preparer, "_double_percents", False):
        return original(operations, operation)
    columns = {str(getattr(column, "name", "")) for column in operation.columns}
    by_hand = "%" not in written.replace("%%", "") and not any("%%" in name for name in columns)
    doubled = written if by_hand else written.replace("%", "%%")
    operation.kw[PARTITION_BY] = doubled
    try:
        return original(operations, operation)
    finally:
        operation.kw[PARTITION_BY] = written


def _drop_table(operations: Operations, operation: DropTableOp) -> None:
    """A script knows what it has made itself, and asks about everything else."""
    name = QualifiedName(operation.schema, operation.table_name)
    if is_partition_in_script(operations, name):
        raise CommandError(
            f"op.drop_table({name.name!r}): this script makes it a partition, and its rows would be lost; if it is "
            f"meant, write op.drop_partition({name.name!r}, ...)."
        )
    if is_offline(operations) and on_postgresql(operations) and not is_made_in_script(operations, name):
        before = f"op.drop_table({name.name!r}): it is a partition of "
        instead = f"op.drop_partition({name.name!r}, ...)"
        after = f", and its rows would be lost; nothing was changed. If it is meant, write {instead}."
        _write(operations, blocks.refuse_partition(name, before, after))
    _refuse_partition(operations, name)


def _refuse_partition(operations: Operations, name: QualifiedName) -> None:
    """
    Raises:
        CommandError: *name* is a partition of a table.
    """
    found = _found(operations, name.name, name.schema)
    if found is not None and found.parent is not None:
        schema, parent, own = found.parent.schema, found.parent.name, found.schema
        named = f"{name.name!r}, {parent!r}"
        if name.schema is not None or schema != own:
            named += f", schema={schema!r}"
        if schema != own:
            named += f", partition_schema={own!r}"
        raise CommandError(
            f"op.drop_table({name.name!r}): it is a partition of {QualifiedName(schema, parent)}, and its rows would "
            f"be lost; nothing was changed. If autogenerate wrote this, take the line out and put 'import "
            f"alembic_ext.autogenerate' into env.py; if it is meant, write op.drop_partition({named})."
        )


def _rename_table(operations: Operations, operation: RenameTableOp, original: Original) -> Any:
    """What was detached from the table says so by its name, in our mark: that is carried."""
    done = original(operations, operation)
    names = (operation.table_name, operation.new_table_name)
    if is_offline(operations) and on_postgresql(operations):
        if any(_is_known(operations, QualifiedName(operation.schema, name)) for name in names):
            _write(operations, blocks.rename_in_marks(QualifiedName(operation.schema, names[1]), names[0]))
        return done
    with reading_connection(operations) as connection:
        if connection is not None:
            name = _named(connection, names[1], operation.schema)
            execute_sql(connection, blocks.rename_in_marks(name, names[0]))
    return done


def _create_comment(operations: Operations, operation: CreateTableCommentOp, original: Original) -> Any:
    mark = _mark(operations, operation.table_name, operation.schema)
    if mark is not None:
        said = f"{mark}\n{operation.comment}" if operation.comment else mark
        operation = CreateTableCommentOp(operation.table_name, said, schema=operation.schema)
    return original(operations, operation)


def _drop_comment(operations: Operations, operation: DropTableCommentOp, original: Original) -> Any:
    if _mark(operations, operation.table_name, operation.schema) is None:
        return original(operations, operation)
    return operations.invoke(CreateTableCommentOp(operation.table_name, None, schema=operation.schema))


def _mark(operations: Operations, table: str, schema: str | None) -> str | None:
    found = _found(operations, table, schema)
    return None if found is None else mark_lines(found.comment)


# -- batches ---------------------------------------------------------------------------------------------------------


def _before_recreation(batch: BatchOperationsImpl) -> str | None:
    """
    The comment of the table, if we have marked it: a copy would have none.

    Raises:
        CommandError: The table is partitioned, or a partition: its copy would be neither.
    """
    operations, name = batch.operations, QualifiedName(batch.schema, batch.table_name)
    if is_offline(operations) and on_postgresql(operations):
        refusal = _not_recreated(name, "partitioned, or a partition")
        if is_partitioned_in_script(operations, name) or is_partition_in_script(operations, name):
            raise CommandError(refusal)
        _write(operations, blocks.refuse_partitioned(name, refusal))
        return None
    found = _found(operations, batch.table_name, batch.schema)
    if found is None:
        return None
    if found.kind == "p" or found.parent is not None:
        what = "partitioned" if found.kind == "p" else f"a partition of {found.parent_shown}"
        raise CommandError(_not_recreated(name, what))
    return found.comment if mark_lines(found.comment) is not None else None


def _comment_again(batch: BatchOperationsImpl, comment: str | None) -> None:
    if comment is None:
        return
    with reading_connection(batch.operations) as connection:
        if connection is not None:
            name = _named(connection, batch.table_name, batch.schema)
            execute_sql(connection, blocks.set_comment(name, comment))


def _not_recreated(name: QualifiedName, what: str) -> str:
    return (
        f"op.batch_alter_table({name.name!r}): it is {what}, and would be made anew as a plain table, and dropped; "
        f"nothing was changed. Leave recreate='always' out: PostgreSQL alters the table in place."
    )


# -- what is there ---------------------------------------------------------------------------------------------------


def _found(operations: Operations, table: str, schema: str | None) -> MigratedTable | None:
    """None where nothing can be looked at, or nothing is there."""
    with reading_connection(operations) as connection:
        return None if connection is None else migrated_table(connection, _named(connection, table, schema))


def _named(connection: Connection, table: str, schema: str | None) -> QualifiedName:
    return translated_name(connection, QualifiedName(schema, str(table)))


def _is_known(operations: Operations, name: QualifiedName) -> bool:
    """Whether the script makes the table partitioned, or the models declare it so."""
    if is_partitioned_in_script(operations, name):
        return True
    metadata: Any = operations.migration_context.opts.get("target_metadata") or ()
    every: Iterable[MetaData] = (metadata,) if isinstance(metadata, MetaData) else metadata
    tables = (each.tables.get(str(name)) for each in every)
    return any(table is not None and spec_of(table) is not None for table in tables)


def _write(operations: Operations, statement: str) -> None:
    """Into the script."""
    impl = operations.migration_context.impl
    impl.static_output(statement + impl.command_terminator)
