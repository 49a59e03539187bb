"""
What other comparators wrote, in a last pass, whoever came last.

What others would take from tables that autogenerate does not see stays: a partition has triggers, policies and grants
from its table; they are the maintainer's business. And labels of enums, whoever adds them, come before partitions.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Container, Iterable, Iterator, Mapping, Set

from alembic.autogenerate.api import AutogenContext
from alembic.operations.ops import (
    CreateForeignKeyOp,
    CreateTableCommentOp,
    DowngradeOps,
    DropConstraintOp,
    DropIndexOp,
    DropTableCommentOp,
    MigrateOperation,
    OpContainer,
    UpgradeOps,
)
from sqlalchemy import Connection

from alembic_ext.compare.catalog import Key, NameFilter
from alembic_ext.compare.enums import add_labels
from sa_partman.marks import mark_lines
from sa_partman.postgres.migrations import granted, inherited_by, partitions_and_detached

log = logging.getLogger(__name__)

_TAKES_AWAY = re.compile("^(Drop|Remove|Revoke)")
_WRITTEN, _NAMED = ("on_entity", "on"), ("table_name", "table", "source_table")
"""What operations, and the things in them, call the table that they are about: as SQL, or by its bare name."""


def after_all_comparators(context: AutogenContext, upgrade_ops: UpgradeOps, names: NameFilter) -> None:
    """Alembic reverses the operations when all comparators are done: whoever registers after us is behind us there."""
    reverse_into = upgrade_ops.reverse_into

    def reverse(downgrade_ops: DowngradeOps) -> DowngradeOps:
        assert context.connection is not None
        remove_on_hidden(context.connection, upgrade_ops, names)
        remove_inherited(context.connection, upgrade_ops, names)
        remove_granted(context.connection, upgrade_ops, names)
        add_labels(context.connection, context.sorted_tables, upgrade_ops)
        return reverse_into(downgrade_ops)

    upgrade_ops.reverse_into = reverse  # type: ignore[method-assign]


def remove_on_hidden(connection: Connection, container: OpContainer, names: NameFilter) -> None:
    """Removes, of what others emitted, what takes something from a table that *names* hides, or from a partition."""
    about = [(operation, key) for operation in _all(container) if (key := _taken_from(operation)) is not None]
    hidden = _hidden(connection, {key for _, key in about}, names)
    _leave_out(container, [operation for operation, key in about if key in hidden])


def remove_inherited(connection: Connection, container: OpContainer, names: NameFilter) -> None:
    """The same of partitions that the user has mapped: what they have for themselves is compared."""
    partitions = names.catalog.mapped_partitions
    if partitions:
        _leave_out(container, list(inherited_operations(connection, partitions, _all(container))))


def remove_granted(connection: Connection, container: OpContainer, names: NameFilter) -> None:
    """The same of grants on partitioned tables that are given already."""
    _leave_out(container, list(already_granted(connection, names.catalog.partitioned, _all(container))))


def _leave_out(container: OpContainer, removed: list[MigrateOperation]) -> None:
    for operation in removed:
        # Not as a diff tuple: operations of others may have none.
        log.info("left out, because partitions have it from their table: %s", type(operation).__name__)
    if removed:
        _remove(container, removed)


def _all(container: OpContainer) -> Iterator[MigrateOperation]:
    for operation in container.ops:
        if isinstance(operation, OpContainer):
            yield from _all(operation)
        else:
            yield operation


def _remove(container: OpContainer, removed: list[MigrateOperation]) -> None:
    kept = [each for each in container.ops if not any(each is other for other in removed)]
    for each in kept:
        if isinstance(each, OpContainer):
            _remove(each, removed)
    container.ops[:] = [each for each in kept if not (isinstance(each, OpContainer) and each.is_empty())]


def _taken_from(operation: MigrateOperation) -> Key | None:
    """The table that *operation* takes something from; None when it takes nothing, is ours, or does not say."""
    kind = type(operation)
    if not _TAKES_AWAY.match(kind.__name__) or kind.__module__.startswith("alembic_ext."):
        return None
    for thing in (operation, *vars(operation).values()):
        written, named = _said(thing, _WRITTEN) or only_target(thing), _said(thing, _NAMED)
        if written is not None:
            return key_of(written)
        if named is not None:
            return (_said(thing, ("schema",)), named)
    return None


def _said(thing: object, attributes: tuple[str, ...]) -> str | None:
    found = (getattr(thing, each, None) for each in attributes)
    return next((str(each) for each in found if isinstance(each, str) and each), None)


def _hidden(connection: Connection, keys: Set[Key], names: NameFilter) -> set[Key]:
    default = connection.dialect.default_schema_name
    asked = [key for key in keys if ((None if key[0] == default else key[0]), key[1]) not in names.mapped]
    if not asked:
        return set()
    places = partitions_and_detached(connection, asked)
    return {key for place, key in enumerate(asked) if place in places or names.is_ours(key)}


_NAME = re.compile(r'\s*(?:"((?:[^"]|"")+)"|([^\s".]+))\s*(\.|$)')


def key_of(written: str) -> Key | None:
    """A name as SQL writes it: folded unless it is quoted."""
    parts, place = [], 0
    while match := _NAME.match(written, place):
        quoted, plain, dot = match.groups()
        parts.append(quoted.replace('""', '"') if quoted else plain.lower())
        place = match.end()
        if not dot:
            return ((None, *parts)[-2], parts[-1])
    return None


def only_target(thing: object) -> str | None:
    """The table of a grant, as SQL writes it; None when there is no grant, or one on several."""
    targets = getattr(thing, "targets", None)
    return str(targets[0]) if isinstance(targets, (tuple, list)) and len(targets) == 1 else None


def already_granted(
    connection: Connection, partitioned: Container[Key], operations: Iterable[MigrateOperation]
) -> Iterator[MigrateOperation]:
    """
    Those of *operations* that grant on one of the *partitioned* tables what it has granted already.

    sqlalchemy-declarative-extensions looks at the grants of ordinary tables only, so it writes all others every time.
    """
    for operation in operations:
        statement = getattr(operation, "grant", None)
        grant, target = getattr(statement, "grant", None), only_target(statement)
        key = None if target is None else key_of(target)
        if key is None or key not in partitioned or not type(operation).__name__.startswith("Grant"):
            continue
        wanted = {str(getattr(each, "value", each)).upper() for each in getattr(grant, "grants", ())}
        role, grantable = str(getattr(grant, "target_role", "")), bool(getattr(grant, "grant_option", False))
        if wanted and wanted <= granted(connection, *key, role, grantable=grantable):
            yield operation


_Thing = tuple[int, str, tuple[str, ...]]
"""The partition's oid, what kind of thing it has, and what tells it from others of the kind."""


def inherited_operations(
    connection: Connection, partitions: Mapping[Key, int], operations: Iterable[MigrateOperation]
) -> Iterator[MigrateOperation]:
    """
    Those of *operations* that would take from a partition what it has from its table, or give it that once more.

    Args:
        partitions: The mapped ones, with their oids.
    """
    about = [(operation, thing) for operation in operations if (thing := _about(operation, partitions)) is not None]
    if not about:
        return
    known = inherited_by(connection, [oid for _, (oid, _, _) in about])
    yield from (operation for operation, thing in about if thing in known or thing[1] == "mark")


def _about(operation: MigrateOperation, partitions: Mapping[Key, int]) -> _Thing | None:
    match operation:
        case DropIndexOp(index_name=str(name), table_name=str(table), schema=schema) if (schema, table) in partitions:
            return (partitions[schema, table], "index", (name,))
        case DropConstraintOp(constraint_name=str(name), table_name=table, schema=schema) if (
            schema,
            table,
        ) in partitions:
            return (partitions[schema, table], "constraint", (name,))
        case CreateForeignKeyOp(referent_table=table, source_table=source, local_cols=columns):
            key = (operation.kw.get("referent_schema"), table)
            return (partitions[key], "reference", (source, *columns)) if key in partitions else None
        case CreateTableCommentOp() | DropTableCommentOp():
            key = (operation.schema, operation.table_name)
            return (
                (partitions[key], "mark", ()) if key in partitions and mark_lines(operation.existing_comment) else None
            )
    return None
