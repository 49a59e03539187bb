"""
The last pass, after every other comparator, whoever came last.

What others would take from tables that autogenerate does not see stays: a partition has triggers, policies and grants
from its table; they are the maintainer's business. And labels of enums, whoever adds them, come before partitions.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Set
from typing import Any

from alembic.autogenerate.api import AutogenContext
from alembic.operations.ops import DowngradeOps, MigrateOperation, OpContainer, UpgradeOps
from sqlalchemy import Connection, text

from alembic_ext.compare.catalog import Key
from alembic_ext.compare.enums import add_labels
from alembic_ext.compare.grants import given, key_of, only_target
from alembic_ext.compare.mapped import inherited
from alembic_ext.filters import NameFilter

log = logging.getLogger(__name__)

_TAKES_AWAY = re.compile("^(Drop|Remove|Revoke)")
_WRITTEN, _NAMED = ("on_entity", "on"), ("table_name", "table", "source_table")
"""What operations, and the things in them, call the table that they are about: as SQL, or by its bare name."""

_HIDDEN = text("""
SELECT u.place - 1
FROM unnest(CAST(:schemas AS text[]), CAST(:names AS text[])) WITH ORDINALITY AS u(schema, name, place)
JOIN pg_catalog.pg_class c ON c.relname = u.name JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE CASE WHEN u.schema IS NULL THEN pg_catalog.pg_table_is_visible(c.oid) ELSE n.nspname = u.schema END
    AND (c.relispartition OR EXISTS (
        SELECT FROM pg_catalog.pg_description d
        WHERE d.objoid = c.oid AND d.classoid = CAST('pg_catalog.pg_class' AS regclass) AND d.objsubid = 0
            AND d.description LIKE 'sa_partman: detached from %'))
""")


def pass_last(context: AutogenContext, upgrade_ops: UpgradeOps, names: NameFilter) -> None:
    """Alembic reverses the operations when all comparators are done: whoever registers after us is behind us there."""
    reverse_into = upgrade_ops.reverse_into

    def reverse(downgrade_ops: DowngradeOps) -> DowngradeOps:
        assert context.connection is not None
        leave_alone(context.connection, upgrade_ops, names)
        leave_inherited(context.connection, upgrade_ops, names)
        leave_given(context.connection, upgrade_ops, names)
        add_labels(context.connection, context.sorted_tables, upgrade_ops)
        return reverse_into(downgrade_ops)

    upgrade_ops.reverse_into = reverse  # type: ignore[method-assign]


def leave_alone(connection: Connection, container: OpContainer, names: NameFilter) -> None:
    """Removes, of what others emitted, what takes something from a table that *names* hides, or from a partition."""
    about = [(operation, key) for operation in _all(container) if (key := _taken_from(operation)) is not None]
    hidden = _hidden(connection, {key for _, key in about}, names)
    _leave_out(container, [operation for operation, key in about if key in hidden])


def leave_inherited(connection: Connection, container: OpContainer, names: NameFilter) -> None:
    """The same of partitions that the user has mapped: what they have for themselves is compared."""
    partitions = names.catalog.mapped_partitions
    if partitions:
        _leave_out(container, list(inherited(connection, partitions, _all(container))))


def leave_given(connection: Connection, container: OpContainer, names: NameFilter) -> None:
    """The same of grants on partitioned tables that are given already."""
    _leave_out(container, list(given(connection, names.catalog.partitioned, _all(container))))


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
    parameters: dict[str, Any] = {"schemas": [schema for schema, _ in asked], "names": [name for _, name in asked]}
    places = {row[0] for row in connection.execute(_HIDDEN, parameters)}
    return {key for place, key in enumerate(asked) if place in places or names.is_ours(key)}
