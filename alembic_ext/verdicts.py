"""
Alembic's own operations on partitioned tables and on partitions: what they would ruin is refused or carried along.

What PostgreSQL itself does right, or refuses in a sentence of its own, is left alone; so is plain SQL. In ``--sql``
mode nothing can be looked at: what has to be known is asked by the script itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from alembic.operations import Operations
from alembic.operations.batch import BatchOperationsImpl
from alembic.operations.ops import (
    AlterColumnOp,
    CreateIndexOp,
    CreateTableCommentOp,
    DropColumnOp,
    DropIndexOp,
    DropTableCommentOp,
    DropTableOp,
    RenameTableOp,
)
from alembic.util import CommandError
from sqlalchemy import Connection, MetaData, text

from alembic_ext.offline import is_made_in_script, is_partition_in_script, is_partitioned_in_script
from alembic_ext.session import glance, is_offline, on_postgresql, translated_name
from sa_partman.marks import PREFIX, mark_lines
from sa_partman.names import QualifiedName, do, text_literal
from sa_partman.orm.registry import spec_of

_FOUND = text("""
SELECT CAST(c.relkind AS text), CAST(CAST(i.inhparent AS regclass) AS text),
    (SELECT d.description FROM pg_catalog.pg_description d
     WHERE d.objoid = c.oid AND d.classoid = CAST('pg_catalog.pg_class' AS regclass) AND d.objsubid = 0)
FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_inherits i ON c.relispartition AND i.inhrelid = c.oid
WHERE c.oid = CAST(pg_catalog.to_regclass(:name) AS oid)
""")

# Keys of every level: a column of a sub-partition's key can't be changed either.
_KEY_OF = text("""
SELECT CAST(CAST(p.partrelid AS regclass) AS text) FROM pg_catalog.pg_partitioned_table p
JOIN pg_catalog.pg_partition_tree(CAST(pg_catalog.to_regclass(:name) AS regclass)) t ON t.relid = p.partrelid
JOIN pg_catalog.pg_attribute a ON a.attrelid = p.partrelid AND a.attname = :column
WHERE a.attnum = ANY (p.partattrs) ORDER BY t.level LIMIT 1
""")


@dataclass(frozen=True, slots=True)
class _Found:
    """
    Args:
        kind: ``pg_class.relkind``.
        parent: What it is a partition of, if anything.
    """

    kind: str
    parent: str | None
    comment: str | None


def register() -> None:
    _before(AlterColumnOp, _alter_column)
    _before(DropColumnOp, _drop_column)
    _before(CreateIndexOp, _create_index)
    _before(DropIndexOp, _drop_index)
    _before(DropTableOp, _drop_table)
    _after(RenameTableOp, _renamed)
    _instead(CreateTableCommentOp, _commented)
    _instead(DropTableCommentOp, _uncommented)
    flush = BatchOperationsImpl.flush

    def guarded(self: BatchOperationsImpl) -> None:
        comment = _made_anew(self) if self._should_recreate() else None
        flush(self)
        _comment_again(self, comment)

    setattr(BatchOperationsImpl, "flush", guarded)  # noqa: B010 -- there is no registry for it


# -- columns ---------------------------------------------------------------------------------------------------------


def _alter_column(operations: Operations, operation: AlterColumnOp) -> None:
    if operation.modify_type is not None:
        _refuse_key(operations, operation, "alter_column", "change the type of")


def _drop_column(operations: Operations, operation: DropColumnOp) -> None:
    _refuse_key(operations, operation, "drop_column", "drop")


def _refuse_key(operations: Operations, operation: AlterColumnOp | DropColumnOp, verb: str, what: str) -> None:
    table, column = operation.table_name, operation.column_name
    with glance(operations) as connection:
        if connection is None:
            return
        name = _named(connection, table, operation.schema)
        parent = connection.execute(_KEY_OF, {"name": name.quoted, "column": str(column)}).scalar()
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


def _drop_table(operations: Operations, operation: DropTableOp) -> None:
    """Online, `guard` looks; a script knows what it has made itself, and asks about everything else."""
    name = QualifiedName(operation.schema, operation.table_name)
    if is_partition_in_script(operations, name):
        raise CommandError(
            f"op.drop_table({name.name!r}): this script makes it a partition, and its rows would be lost; if it is "
            f"meant, write op.drop_partition({name.name!r}, ...)."
        )
    if is_offline(operations) and on_postgresql(operations) and not is_made_in_script(operations, name):
        impl = operations.migration_context.impl
        impl.static_output(_no_partition(name) + impl.command_terminator)


def _no_partition(name: QualifiedName) -> str:
    before = f"op.drop_table({name.name!r}): it is a partition of "
    instead = f"op.drop_partition({name.name!r}, ...)"
    after = f", and its rows would be lost; nothing was changed. If it is meant, write {instead}."
    return do(f"""
DECLARE
    parent pg_catalog.regclass;
BEGIN
    SELECT i.inhparent INTO parent FROM pg_catalog.pg_class c JOIN pg_catalog.pg_inherits i ON i.inhrelid = c.oid
    WHERE c.oid = pg_catalog.to_regclass({text_literal(name.quoted)}) AND c.relispartition;
    IF FOUND THEN
        RAISE EXCEPTION USING MESSAGE = {text_literal(before)} || parent || {text_literal(after)};
    END IF;
END""")


def _renamed(operations: Operations, operation: RenameTableOp) -> None:
    """What was detached from the table says so by its name, in our mark: that is carried."""
    names = (operation.table_name, operation.new_table_name)
    if not on_postgresql(operations):
        return
    if is_offline(operations):
        if any(_is_known(operations, QualifiedName(operation.schema, name)) for name in names):
            moved = _marks_moved(QualifiedName(operation.schema, names[1]), names[0])
            impl = operations.migration_context.impl
            impl.static_output(moved + impl.command_terminator)
        return
    with glance(operations) as connection:
        if connection is not None:
            name = _named(connection, names[1], operation.schema)
            connection.exec_driver_sql(_marks_moved(name, names[0]).replace("%", "%%"))


def _marks_moved(table: QualifiedName, before: str) -> str:
    """The marks of tables that were detached from *table*, which was called *before*; nothing for a plain one."""
    old = text_literal(QualifiedName(None, before).quoted.replace("\n", " "))
    new = text_literal(QualifiedName(None, table.name).quoted.replace("\n", " "))
    return do(f"""
DECLARE
    parent pg_catalog.pg_class;
    places text[];
    detached record;
BEGIN
    SELECT * INTO parent FROM pg_catalog.pg_class
    WHERE oid = {text_literal(table.quoted)}::pg_catalog.regclass AND relkind = 'p';
    -- A mark without a schema means that of its own table.
    SELECT ARRAY['"' || replace(nspname, '"', '""') || '".', ''] INTO places FROM pg_catalog.pg_namespace
    WHERE oid = parent.relnamespace;
    FOR detached IN SELECT c.oid, c.relkind, {text_literal(PREFIX)} || place AS head, d.description AS said
        FROM pg_catalog.pg_description d
        JOIN pg_catalog.pg_class c ON c.oid = d.objoid AND c.relkind IN ('r', 'p', 'f') AND NOT c.relispartition
        JOIN unnest(places) AS place ON place <> '' OR c.relnamespace = parent.relnamespace
        WHERE d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objsubid = 0
            AND starts_with(d.description, {text_literal(PREFIX)} || place || {old})
            AND substr(d.description || ' ', length({text_literal(PREFIX)} || place || {old}) + 1, 1) IN (' ', chr(10))
    LOOP
        EXECUTE format('COMMENT ON %s %s IS %L',
            CASE detached.relkind WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END, detached.oid::pg_catalog.regclass,
            detached.head || {new} || substr(detached.said, length(detached.head || {old}) + 1));
    END LOOP;
END""")


def _commented(operations: Operations, operation: CreateTableCommentOp, original: Callable[..., Any]) -> Any:
    found = _found(operations, operation.table_name, operation.schema)
    mark = None if found is None else mark_lines(found.comment)
    if mark is not None:
        said = f"{mark}\n{operation.comment}" if operation.comment else mark
        operation = CreateTableCommentOp(operation.table_name, said, schema=operation.schema)
    return original(operations, operation)


def _uncommented(operations: Operations, operation: DropTableCommentOp, original: Callable[..., Any]) -> Any:
    found = _found(operations, operation.table_name, operation.schema)
    mark = None if found is None else mark_lines(found.comment)
    if mark is None:
        return original(operations, operation)
    return operations.invoke(CreateTableCommentOp(operation.table_name, None, schema=operation.schema))


def _made_anew(batch: BatchOperationsImpl) -> str | None:
    """
    The comment of the table, if we have marked it: a copy would have none.

    Raises:
        CommandError: The table is partitioned, or a partition: its copy would be neither.
    """
    operations, name = batch.operations, QualifiedName(batch.schema, batch.table_name)
    if is_offline(operations) and on_postgresql(operations):
        if _is_known(operations, name, script_only=True) or is_partition_in_script(operations, name):
            raise CommandError(_anew(name, "partitioned, or a partition"))
        impl = operations.migration_context.impl
        impl.static_output(_asked_in_script(name) + impl.command_terminator)
        return None
    found = _found(operations, batch.table_name, batch.schema)
    if found is None:
        return None
    if found.kind == "p" or found.parent is not None:
        raise CommandError(_anew(name, "partitioned" if found.kind == "p" else f"a partition of {found.parent}"))
    return found.comment if mark_lines(found.comment) is not None else None


def _comment_again(batch: BatchOperationsImpl, comment: str | None) -> None:
    if comment is None:
        return
    with glance(batch.operations) as connection:
        if connection is not None:
            name = _named(connection, batch.table_name, batch.schema)
            connection.exec_driver_sql(f"COMMENT ON TABLE {name.quoted} IS {text_literal(comment)}".replace("%", "%%"))


def _anew(name: QualifiedName, what: str) -> str:
    return (
        f"op.batch_alter_table({name.name!r}): it is {what}, and would be made anew as a plain table, and dropped; "
        f"nothing was changed. Leave recreate='always' out: PostgreSQL alters the table in place."
    )


def _asked_in_script(name: QualifiedName) -> str:
    return do(f"""
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = pg_catalog.to_regclass({text_literal(name.quoted)})
               AND (relkind = 'p' OR relispartition)) THEN
        RAISE EXCEPTION USING MESSAGE = {text_literal(_anew(name, "partitioned, or a partition"))};
    END IF;
END""")


# -- looking ---------------------------------------------------------------------------------------------------------


def _found(operations: Operations, table: str, schema: str | None) -> _Found | None:
    """None where nothing can be looked at, or nothing is there."""
    with glance(operations) as connection:
        return None if connection is None else _look(connection, _named(connection, table, schema))


def _look(connection: Connection, name: QualifiedName) -> _Found | None:
    row = connection.execute(_FOUND, {"name": name.quoted}).one_or_none()
    return None if row is None else _Found(*row)


def _named(connection: Connection, table: str, schema: str | None) -> QualifiedName:
    return translated_name(connection, QualifiedName(schema, str(table)))


def _is_known(operations: Operations, name: QualifiedName, *, script_only: bool = False) -> bool:
    """Whether the script makes the table partitioned, or the models declare it so."""
    if is_partitioned_in_script(operations, name):
        return True
    if script_only:
        return False
    metadata: Any = operations.migration_context.opts.get("target_metadata") or ()
    every: Iterable[MetaData] = (metadata,) if isinstance(metadata, MetaData) else metadata
    tables = (each.tables.get(str(name)) for each in every)
    return any(table is not None and spec_of(table) is not None for table in tables)


# -- registering -----------------------------------------------------------------------------------------------------


def _registry() -> dict[Any, Callable[[Operations, Any], Any]]:
    # Private; replace=True, which is public, came with 1.17.2.
    registry: dict[Any, Callable[[Operations, Any], Any]] = Operations._to_impl._registry
    return registry


def _before(kind: type, look: Callable[[Operations, Any], None]) -> None:
    def both(operations: Operations, operation: Any, original: Callable[..., Any]) -> Any:
        look(operations, operation)
        return original(operations, operation)

    _instead(kind, both)


def _after(kind: type, act: Callable[[Operations, Any], None]) -> None:
    def both(operations: Operations, operation: Any, original: Callable[..., Any]) -> Any:
        done = original(operations, operation)
        act(operations, operation)
        return done

    _instead(kind, both)


def _instead(kind: type, act: Callable[[Operations, Any, Callable[..., Any]], Any]) -> None:
    registry = _registry()
    original = registry[(kind, "default")]
    registry[(kind, "default")] = lambda operations, operation: act(operations, operation, original)
