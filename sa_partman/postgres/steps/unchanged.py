"""Is what a step removes still what the plan saw? Asked under the locks, so that the answer stays true."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, text

from sa_partman.bounds.text import describe, parse_bound
from sa_partman.errors import ExecutionError
from sa_partman.marks import mark_of
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import Action, AttachPartition, CreatePartition, DetachPartition, DropPartition

_ATTACHED = text("""
SELECT n.nspname, c.relname, pg_catalog.pg_get_expr(c.relpartbound, c.oid), pn.nspname, p.relname
FROM unnest(CAST(:schemas AS text[]), CAST(:names AS text[])) AS u(schema, name)
JOIN pg_catalog.pg_namespace n ON n.nspname = u.schema
JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = u.name AND c.relispartition
JOIN pg_catalog.pg_inherits i ON i.inhrelid = c.oid
JOIN pg_catalog.pg_class p ON p.oid = i.inhparent
JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
""")

_COMMENT = text("""
SELECT pg_catalog.obj_description(c.oid, 'pg_class')
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = :schema AND c.relname = :name AND NOT c.relispartition
""")

_BELOW = text("""
SELECT n.nspname, c.relname
FROM pg_catalog.pg_partition_tree(CAST(pg_catalog.to_regclass(CAST(:branch AS text)) AS regclass)) t
JOIN pg_catalog.pg_class c ON c.oid = t.relid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
""")


class Overtaken(ExecutionError):
    """Somebody else changed the catalog since it was read; nothing was changed by us. Plan again."""


def require_unchanged(connection: Connection, actions: Iterable[Action]) -> None:
    """
    A partition is known by its parent and its bound: one that merely bears the name is not the one to remove.

    Raises:
        Overtaken: A partition that *actions* detach or drop is gone, or another one has its name.
    """
    removed = _removed(actions)
    if not removed:
        return
    parameters = {"schemas": [name.schema for name in removed], "names": [name.name for name in removed]}
    seen = {
        QualifiedName(row[0], row[1]): (row[2], QualifiedName(row[3], row[4]))
        for row in connection.execute(_ATTACHED, parameters)
    }
    for name, action in removed.items():
        text_of, parent = seen.get(name, (None, None))
        if parent != action.parent:
            raise Overtaken(f"{name} is not a partition of {action.parent} any more; nothing was changed")
        bound = parse_bound(text_of or "", action.key.types)
        if bound != action.bound:
            raise Overtaken(
                f"{name} is another partition now: {describe(bound)} and not {describe(action.bound)}; "
                f"nothing was changed"
            )


def require_detached(connection: Connection, name: QualifiedName, parent: QualifiedName) -> None:
    """
    Raises:
        Overtaken: *name* is not a table any more that stands alone and bears our mark of having been of *parent*.
    """
    mark = mark_of(connection.execute(_COMMENT, {"schema": name.schema, "name": name.name}).scalar())
    if mark is None or mark.parent != parent:
        raise Overtaken(f"{name} is not the table any more that was detached from {parent}; it was left as it is")


def require_below(connection: Connection, branch: QualifiedName, names: Iterable[QualifiedName]) -> None:
    """
    Raises:
        Overtaken: One of *names* is no partition of *branch*, of whatever level, any more.
    """
    below = {QualifiedName(*row) for row in connection.execute(_BELOW, {"branch": branch.quoted})}
    for name in names:
        if name not in below:
            raise Overtaken(f"{name} is not a partition below {branch} any more; it was left as it is")


def _removed(actions: Iterable[Action]) -> dict[QualifiedName, DetachPartition | DropPartition]:
    """What is removed and was there before."""
    found: dict[QualifiedName, DetachPartition | DropPartition] = {}
    made: set[QualifiedName] = set()
    for action in actions:
        if isinstance(action, CreatePartition):
            made.add(action.name)
        elif isinstance(action, AttachPartition):
            made.add(action.partition)
        elif isinstance(action, DetachPartition | DropPartition):
            name = action.partition if isinstance(action, DetachPartition) else action.name
            if name not in made:
                found[name] = action
    return found
