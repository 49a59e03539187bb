"""What must agree between a table and its partitions, and how one that was left behind is brought up to date."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sa_partman.names import QualifiedName, quote
from sa_partman.table.definition import Column


@dataclass(frozen=True, slots=True)
class Structure:
    """
    What must agree between a parent and its partition.

    Args:
        columns: In their order.
        checks: Definitions of CHECK constraints, by name.
    """

    columns: tuple[Column, ...]
    checks: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class StructureChange:
    """
    What was changed on the parent since a detach is pending.

    Args:
        what: As people say it.
        undo: The statement that takes it back.
        redo: The statement that makes it again afterwards.
        loses: Whether *undo* loses what the partitions have in that column.
    """

    what: str
    undo: str
    redo: str
    loses: bool = False


def changes_of(name: QualifiedName, parent: Structure, partition: Structure) -> Iterator[StructureChange]:
    """
    What of *parent*, called *name*, the pending partition lacks: PostgreSQL 18 can't finalize the detach then.

    Source: PostgreSQL 18, ``ALTER TABLE ... DETACH PARTITION ... FINALIZE`` copies constraints of the parent.
    """
    table = f"ALTER TABLE {name.quoted}"
    for column, twin in _twins(parent, partition)[0]:
        quoted = quote(column.name)
        if twin is None:
            words = (column.type, column.filled, "NOT NULL" if column.not_null else "")
            add = f"{table} ADD COLUMN {quoted} {' '.join(word for word in words if word)}"
            yield StructureChange(
                f"the column {column.name} was added", f"{table} DROP COLUMN {quoted}", add, loses=True
            )
            continue
        if twin.name != column.name:
            old = quote(twin.name)
            yield StructureChange(
                f"the column {twin.name} was renamed to {column.name}",
                f"{table} RENAME COLUMN {quoted} TO {old}",
                f"{table} RENAME COLUMN {old} TO {quoted}",
            )
        alter = f"{table} ALTER COLUMN {quoted}"
        if twin.type != column.type:
            yield StructureChange(
                f"the type of {column.name} was changed from {twin.type} to {column.type}",
                f"{alter} TYPE {twin.type}",
                f"{alter} TYPE {column.type}",
            )
        if column.not_null and not twin.not_null:
            yield StructureChange(f"{column.name} was made NOT NULL", f"{alter} DROP NOT NULL", f"{alter} SET NOT NULL")
    known = dict(partition.checks)
    for check, definition in parent.checks:
        if check not in known:
            yield StructureChange(
                f"the constraint {check} was added",
                f"{table} DROP CONSTRAINT {quote(check)}",
                f"{table} ADD CONSTRAINT {quote(check)} {definition}",
            )


def _twins(parent: Structure, partition: Structure) -> tuple[list[tuple[Column, Column | None]], list[Column]]:
    """Each column of *parent* with that of *partition*, under this name or an older one; and what *partition* keeps."""
    theirs = {column.name: column for column in partition.columns}
    ours = {column.name for column in parent.columns}
    gone = [column for column in partition.columns if column.name not in ours]
    pairs = []
    for column in parent.columns:
        twin = theirs.get(column.name)
        if twin is None:
            twin = next((each for each in gone if each.type == column.type), None)
            gone = [each for each in gone if each is not twin]
        pairs.append((column, twin))
    return pairs, gone


def outdated(
    parent: QualifiedName,
    table: QualifiedName,
    new: Structure,
    old: Structure,
    first: tuple[str, ...] = (),
    last: tuple[str, ...] = (),
) -> str:
    """
    Why *table*, which was a partition of *parent* once, can't be attached as it is, and the statements that bring it
    up to date; empty when it can.

    Args:
        new: Of *parent*.
        old: Of *table*.
        first: Statements that come before these.
        last: Statements that come behind them.

    Source: PostgreSQL, ``ALTER TABLE ... ATTACH PARTITION``: the same columns, and every CHECK constraint.
    """
    alter, (pairs, gone) = f"ALTER TABLE {table.quoted}", _twins(new, old)
    words, statements = [], []
    for column, twin in pairs:
        quoted = quote(column.name)
        for change in changes_of(table, Structure((column,)), Structure(() if twin is None else (twin,))):
            words.append(change.what)
            if twin is None and column.not_null and not column.filled:
                fill = f"UPDATE {table.quoted} SET {quoted} = ..."
                statements += [
                    f"{alter} ADD COLUMN {quoted} {column.type}",
                    fill,
                    f"{alter} ALTER COLUMN {quoted} SET NOT NULL",
                ]
            elif " TYPE " in change.redo:
                statements.append(f"{change.redo} USING CAST({quoted} AS {column.type})")
            else:
                statements.append(change.redo)
    for column in gone:
        words.append(f"the column {column.name} was dropped")
        statements.append(f"{alter} DROP COLUMN {quote(column.name)}")
    known = dict(old.checks)
    for check, definition in new.checks:
        if known.get(check) != definition:
            words.append(f"the constraint {check} was {'changed' if check in known else 'added'}")
            statements += [f"{alter} DROP CONSTRAINT {quote(check)}"] * (check in known)
            statements.append(f"{alter} ADD CONSTRAINT {quote(check)} {definition}")
    if not statements:
        return ""
    return (
        f"{table} can't be attached as it is: {'; '.join(words)} on {parent} since it was detached; nothing was "
        f"changed. Bring it up to date: {'; '.join((*first, *statements, *last))}"
    )


def explained(parent: QualifiedName, partition: QualifiedName, changes: tuple[StructureChange, ...]) -> str:
    """Why FINALIZE fails on PostgreSQL 18, and the statements that heal it, in order; empty without *changes*."""
    if not changes:
        return ""
    finalize = f"ALTER TABLE {parent.quoted} DETACH PARTITION {partition.quoted} FINALIZE"
    # What was done last is taken back first: a constraint may need the column that was added before it.
    statements = [*(each.undo for each in reversed(changes)), finalize, *(each.redo for each in changes)]
    lost = " (what is in the dropped column is lost; save it first)" if any(each.loses for each in changes) else ""
    return (
        f"{'; '.join(each.what for each in changes)} on {parent} while the detach of {partition} was pending, and "
        f"PostgreSQL 18 can't end it then. Take that back, end the detach and do it again{lost}: "
        f"{'; '.join(statements)}. Or, when its rows are not needed: DROP TABLE {partition.quoted}"
    )
