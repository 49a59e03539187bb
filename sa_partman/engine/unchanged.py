"""
Is what a step removes, or marks as ours, still what the plan saw? Asked under the locks, so that the answer stays true.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from sa_partman.bounds.bound import Bound
from sa_partman.bounds.read import parse_bound
from sa_partman.bounds.text import describe
from sa_partman.ddl.render import lock_tables
from sa_partman.errors import ExecutionError, LockNotAcquired
from sa_partman.key import PartitionKey
from sa_partman.marks import mark_of
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import (
    Action,
    AttachPartition,
    CreatePartition,
    CreateTable,
    DetachPartition,
    DropPartition,
    FinalizeDetach,
    MarkAdopted,
    MarkDetached,
    UnmarkDetached,
)
from sa_partman.plan.table_actions import MemberAction
from sa_partman.postgres.residues import running_detaches
from sa_partman.postgres.sqlstate import INSUFFICIENT_PRIVILEGE, UNDEFINED_TABLE, first_line, sqlstate

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
    A partition is known by its parent and its bound: one that merely bears the name is not the one to remove, or to
    mark as ours to remove later. A table that is to be a partition again has to be the one that was detached. And
    nobody's table gets privileges or policies because it bears the name of a partition that lacked them.

    Raises:
        Overtaken: A partition that *actions* change is gone, or another one has its name.
    """
    done = tuple(actions)
    removed, mended = _removed(done), _mended(done)
    marks = [
        action for action in done if isinstance(action, MarkDetached | MarkAdopted) and action.table not in removed
    ]
    if marks:
        hold(connection, (action.table for action in marks), "SHARE UPDATE EXCLUSIVE")
    if mended:
        hold(connection, mended, "ACCESS SHARE")
    seen = _seen(connection, (*removed, *(action.table for action in marks), *mended))
    for name in mended:
        if name not in seen:
            raise Overtaken(f"{name} is not a partition any more; nothing was changed")
    for name, action in removed.items():
        _require_same(name, action.parent, action.bound, action.key, seen)
    for mark in marks:
        if mark.table in seen and mark.bound is not None and mark.key is not None:
            _require_same(mark.table, mark.parent, mark.bound, mark.key, seen)
        else:
            require_detached(connection, mark.table, mark.parent)
    for name, parent in _attached_again(done).items():
        require_detached(connection, name, parent)


def require_partition(
    connection: Connection, name: QualifiedName, parent: QualifiedName, bound: Bound, key: PartitionKey
) -> None:
    """
    Raises:
        Overtaken: *name* is not the partition of *parent* with that *bound* any more.
    """
    _require_same(name, parent, bound, key, _seen(connection, (name,)))


_Seen = dict[QualifiedName, tuple[str, QualifiedName]]
"""Partitions, each with its bound as the server prints it, and its parent."""


def _seen(connection: Connection, names: tuple[QualifiedName, ...]) -> _Seen:
    if not names:
        return {}
    parameters = {"schemas": [name.schema for name in names], "names": [name.name for name in names]}
    rows = connection.execute(_ATTACHED, parameters)
    # The server prints no bound of a partition that is gone, although the query's snapshot still has it.
    there = (row for row in rows if row[2] is not None)
    return {QualifiedName(row[0], row[1]): (row[2], QualifiedName(row[3], row[4])) for row in there}


def _require_same(name: QualifiedName, parent: QualifiedName, bound: Bound, key: PartitionKey, seen: _Seen) -> None:
    text_of, of = seen.get(name, (None, None))
    if of != parent:
        raise Overtaken(f"{name} is not a partition of {parent} any more; nothing was changed")
    found = parse_bound(text_of or "", key.types)
    if found != bound:
        raise Overtaken(
            f"{name} is another partition now: {describe(found)} and not {describe(bound)}; nothing was changed"
        )


def hold(connection: Connection, names: Iterable[QualifiedName], mode: str) -> None:
    """
    Takes a lock on each of *names* by itself, so that nobody gives it another name before the transaction ends; where
    the role may not lock them, nothing.

    Raises:
        Overtaken: One has gone.
        DBAPIError: The lock was not granted.
    """
    statement = lock_tables((f"ONLY {name.quoted}" for name in names), mode).replace(":", r"\:")
    try:
        with connection.begin_nested():
            connection.execute(text(statement))
    except DBAPIError as error:
        if sqlstate(error) == UNDEFINED_TABLE:
            raise Overtaken(f"{first_line(error)}; nothing was changed") from error
        if sqlstate(error) != INSUFFICIENT_PRIVILEGE:
            raise


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


def require_ended(connection: Connection, actions: Iterable[Action]) -> None:
    """
    Raises:
        LockNotAcquired: A concurrent detach that is to be finalized is still run by somebody; nothing was changed.
    """
    wanted = {action.partition: action.parent for action in actions if isinstance(action, FinalizeDetach)}
    for partition, pid in running_detaches(connection, wanted).items():
        raise LockNotAcquired(
            str(wanted[partition]),
            lock_timeout=0.0,
            attempts=1,
            blockers=(f"pid {pid}",),
            reason=f"the concurrent detach of {partition} still runs",
            advice=f"Wait for its end; or SELECT pg_cancel_backend({pid}), then: sa-partman run --repair",
        )


def _mended(actions: tuple[Action, ...]) -> tuple[QualifiedName, ...]:
    """The partitions that were there before, and get what their table has."""
    made = {action.name for action in actions if isinstance(action, CreateTable | CreatePartition)}
    members = (action.table for action in actions if isinstance(action, MemberAction))
    return tuple(dict.fromkeys(name for name in members if name not in made))


def _attached_again(actions: tuple[Action, ...]) -> dict[QualifiedName, QualifiedName]:
    """Tables with our mark that become partitions again, each with the parent that the mark has to name."""
    made = {action.name for action in actions if isinstance(action, CreateTable)}
    unmarked = {action.table for action in actions if isinstance(action, UnmarkDetached)} - made
    attached = (action for action in actions if isinstance(action, AttachPartition))
    return {action.partition: action.parent for action in attached if action.partition in unmarked}


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
