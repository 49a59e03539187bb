"""
Where the table of a stored conversion is now: in place, under another name, or gone.

It goes by the table's oid; after a dump and restore, which gives other oids, by what the conversion made on it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from shlex import quote as in_shell

from sqlalchemy import Connection, text

from sa_partman.catalog import UnfinishedConversion
from sa_partman.ddl.render import quoted_sql
from sa_partman.errors import Refused
from sa_partman.names import QualifiedName, join_name
from sa_partman.plan.actions import Stored
from sa_partman.plan.conversion.fingerprint import FORM
from sa_partman.plan.conversion.request import key_index, new_table, proof
from sa_partman.plan.steps import Step
from sa_partman.postgres import journal
from sa_partman.postgres.journal import Conversion

# After its swap the oid is that of the history, so the table is what the history belongs to.
_CANDIDATES = text("""
SELECT n.nspname AS schema, c.relname AS name, c.relkind = 'p' AS divided,
    CAST(:oid AS oid) IN (c.oid, i.inhrelid) AS same,
    EXISTS (SELECT FROM pg_catalog.pg_constraint k
        WHERE k.conrelid = c.oid AND k.conname = :proof AND k.contype = 'c') AS proven,
    EXISTS (SELECT FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class k ON k.oid = x.indexrelid
        WHERE x.indrelid = c.oid AND k.relname = :key_index) AS keyed
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_inherits i ON i.inhparent = c.oid AND i.inhrelid = CAST(:oid AS oid)
WHERE c.relkind IN ('r', 'p') AND (
    n.nspname = :schema AND c.relname = :name OR CAST(:oid AS oid) IN (c.oid, i.inhrelid))
""")

_GONE = text("SELECT NOT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = :schema)")

_OF = text("""
SELECT c.oid, ARRAY(SELECT CAST(i.inhrelid AS bigint) FROM pg_catalog.pg_inherits i WHERE i.inhparent = c.oid)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = :schema AND c.relname = :name AND c.relkind IN ('r', 'p')
""")

# By its name first: after a restore the oid may be that of any other partition.
_HISTORY = text("""
SELECT p.oid, c.oid, n.nspname, c.relname FROM pg_catalog.pg_class p
JOIN pg_catalog.pg_namespace s ON s.oid = p.relnamespace
JOIN pg_catalog.pg_inherits i ON i.inhparent = p.oid
JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE s.nspname = :schema AND p.relname = :name AND (c.relname = :history OR c.oid = CAST(:oid AS oid))
ORDER BY c.relname = :history DESC LIMIT 1
""")


@dataclass(frozen=True, slots=True)
class History:
    """
    Args:
        parent: The oid of the partitioned table.
        oid: Of the partition.
    """

    parent: int
    oid: int
    name: QualifiedName


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """
    Args:
        now: What the table is called; None when it is gone.
        taken: Another table bears the name that it had.
        moved: It is its schema that is called otherwise, so what was built beside it is there, too.
    """

    conversion: Conversion
    now: QualifiedName | None
    taken: bool
    moved: bool = False

    @property
    def in_place(self) -> bool:
        return self.now == self.conversion.table

    @property
    def elsewhere(self) -> str:
        """Why there is nothing to go on with under the old name, and what to do."""
        return f"{self._fact}; nothing was changed. {self._way[0].upper()}{self._way[1:]}"

    @property
    def unfinished(self) -> UnfinishedConversion:
        """What others must know of it while it is not over."""
        told = None if self.in_place else (self._fact, self._way)
        return replace(self.conversion.unfinished, now=self.now, elsewhere=told)

    @property
    def _fact(self) -> str:
        before = self.conversion.table
        what = "an undo" if self.conversion.kind == "undo" else "a conversion"
        what = f"the {self.conversion.kind}" if self.conversion.rewrites else what
        if self.now is not None:
            return f"{what} of {before} is in progress, and that table is called {self.now} now"
        other = f", and another table is called {before} now" if self.taken else ""
        return f"{what} of {before} is in progress, and that table was dropped{other}"

    @property
    def _way(self) -> str:
        verb = self.conversion.verb
        before = f"sa-partman {verb} {in_shell(str(self.conversion.table))}"
        if self.now is None:
            return f"end it: {before} --abort"
        back = f"take it back: sa-partman {verb} {in_shell(str(self.now))} --abort"
        ways = [] if self.taken else [f"give it its name back (ALTER TABLE), then: {before} --resume"]
        ways += [] if self.conversion.cut_over else [back]
        return ", or ".join(ways) or "give it its name back first"


def whereabouts(connection: Connection, conversion: Conversion) -> Whereabouts:
    """Where the table of *conversion* is, which is not over."""
    table = conversion.table
    values = {"schema": table.schema, "name": table.name, "oid": conversion.oid}
    found = connection.execute(_CANDIDATES, {**values, "proof": proof(table), "key_index": key_index(table)}).all()
    by_name = [row for row in found if (row.schema, row.name) == (table.schema, table.name)]
    divided = conversion.divided
    made = [step.id for step in conversion.steps[: conversion.done]]
    marks = {"proven": "check" in made, "keyed": "unique_index" in made} if conversion.kind == "convert" else {}
    expected = [name for name, there in marks.items() if there and not conversion.cut_over]

    for row in by_name:
        bears = not expected or any(getattr(row, name) for name in expected)
        if row.divided == divided and (row.same or bears):
            return Whereabouts(conversion, table, taken=False)
    for row in found:
        bears = not expected or any(getattr(row, name) for name in expected)
        if row not in by_name and row.divided == divided and bears:
            moved = bool(connection.execute(_GONE, {"schema": table.schema}).scalar())
            return Whereabouts(conversion, QualifiedName(row.schema, row.name), bool(by_name), moved)
    return Whereabouts(conversion, None, bool(by_name))


def unfinished(connection: Connection, running: Iterable[Conversion]) -> list[UnfinishedConversion]:
    """What is told of the conversions and undos in progress: each with what its table is called now."""
    return [whereabouts(connection, journal.measured(connection, each)).unfinished for each in running]


def unfinished_of(connection: Connection, table: QualifiedName) -> Conversion | None:
    """The conversion or undo in progress of what is called *table* now, or was when it began."""
    running = journal.running(connection)
    row = connection.execute(_OF, {"schema": table.schema, "name": table.name}).one_or_none()
    oids = () if row is None else (row[0], *row[1])
    same = [each for each in running if each.oid in oids and whereabouts(connection, each).now == table]
    named = [each for each in running if each.table == table]
    return next(iter((*same, *named)), None)


def history_of(connection: Connection, stored: Conversion, table: QualifiedName) -> History | None:
    """The partition that was *table* before *stored*, a finished conversion; None when it is none any more."""
    name = stored.table.sibling(join_name(stored.table.name, "history"))
    values = {"oid": stored.oid, "schema": table.schema, "name": table.name, "history": name.name}
    row = connection.execute(_HISTORY, values).first()
    return None if row is None else History(row[0], row[1], QualifiedName(row[2], row[3]))


def finished_of(
    connection: Connection,
    table: QualifiedName,
    statuses: tuple[str, ...] = ("running", "done"),
    kind: str | None = None,
) -> Conversion | None:
    """The youngest conversion or undo of what is called *table* now; see `journal.last`."""
    found = journal.last(connection, table, statuses=statuses, kind=kind)
    if found is not None:
        return found
    row = connection.execute(_OF, {"schema": table.schema, "name": table.name}).one_or_none()
    parts = () if row is None else row[1]
    stored = [each for each in journal.all_of(connection, "convert", "done") if each.oid in parts]
    return called(stored[-1], table) if stored else None


def require_in_place(connection: Connection, conversion: Conversion) -> None:
    """
    Raises:
        Refused: The table of *conversion* is elsewhere, or what is stored can't be compared with what is there.
    """
    place = whereabouts(connection, conversion)
    if not place.in_place:
        raise Refused(place.elsewhere)
    if not conversion.rewrites and not conversion.cut_over and not conversion.fingerprint.startswith(FORM):
        raise Refused(
            f"{conversion.table}: version {conversion.version} began this, and what it stored of the table can't be "
            f"compared with the table by this version; nothing was changed. Take it back and begin again: "
            f"sa-partman convert {in_shell(str(conversion.table))} --abort"
        )


def taken_back(place: Whereabouts) -> Conversion:
    """The conversion at *place*, its way back written for what its table is called now, or for its having gone."""
    stored, now = place.conversion, place.now
    if now == stored.table:
        return stored
    return called(stored, now, place.moved) if now is not None else _without_table(stored)


def called(stored: Conversion, now: QualifiedName, moved: bool = False) -> Conversion:
    """
    *stored*, its way back written for a table that is called *now*.

    Args:
        moved: What was built beside it is in the schema of *now*, too.
    """
    return replace(stored, table=now, steps=tuple(_moved(step, stored, now, moved) for step in stored.steps))


def _without_table(stored: Conversion) -> Conversion:
    """Only what was built beside the table is left to take back; what bears its name is somebody else's."""
    made = ("targets", "capture", "capture_back") if stored.rewrites else ("parent",)
    steps = (
        replace(step, locked=())
        if step.id in made and not stored.cut_over
        else replace(step, actions=(), undo=(), locked=(), builds=None)
        for step in stored.steps
    )
    return replace(stored, steps=tuple(steps))


def _moved(step: Step, stored: Conversion, now: QualifiedName, moved: bool) -> Step:
    if step.id == "parent" and not moved:
        return step
    beside = [stored.table.sibling(key_index(stored.table)), *([new_table(stored.table)] if moved else [])]
    pairs = [(stored.table.quoted, now.quoted), *((each.quoted, now.sibling(each.name).quoted) for each in beside)]

    def written(sql: str) -> str:
        for before, after in pairs:
            sql = after.join(re.split(rf"{re.escape(before)}(?![\w$])", sql))
        return sql

    builds = None if step.builds is None else written(step.builds)
    undo = tuple(Stored(written(sql), step.in_transaction) for sql in quoted_sql(step.undo))
    return replace(step, undo=undo, locked=tuple(map(written, step.locked)), builds=builds)


_PARTITIONED = text("""
SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = :schema AND c.relname = :name AND c.relkind = 'p')
""")


def nothing_in_progress(connection: Connection, table: QualifiedName, what: str = "conversion in progress") -> Refused:
    """Why there is nothing to go on with, or to take back, as far as the database tells."""
    forgotten = journal.lost(connection, table)
    if forgotten is not None:
        return Refused(f"{forgotten.message}; nothing was changed: {forgotten.remedy}")
    said = f"{table}: there is no {what}; nothing was changed"
    last = journal.last(connection, table)
    if last is not None:
        kind = last.kind if last.rewrites else "conversion" if last.kind == "convert" else "undo"
        return Refused(f"{said}. The last {kind} of it is {last.status}.")
    if not connection.execute(_PARTITIONED, {"schema": table.schema, "name": table.name}).scalar():
        return Refused(f"{said}. Begin with: sa-partman convert {in_shell(str(table))}")
    return Refused(
        f"{said}. It is partitioned, and there is no record of its conversion: it was created so, a migration "
        f"converted it, or the table sa_partman.conversion was dropped. To make it plain, take the declaration off the "
        f"model; alembic revision --autogenerate writes op.unpartition_table(...) then."
    )


def no_rewrite(connection: Connection, table: QualifiedName) -> Refused:
    """Why there is no rewrite to go on with, or to take back."""
    last = journal.last(connection, table)
    known = f" The last {last.kind} of it is {last.status}." if last is not None and last.rewrites else ""
    return Refused(f"{table}: there is no rewrite in progress; nothing was changed.{known} See: sa-partman status")
