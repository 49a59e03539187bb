"""Rows that are in the wrong place."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote as in_shell

from sa_partman.checks.coverage import RUN
from sa_partman.checks.data import Blocked, DataFacts, DefaultRows, Fate
from sa_partman.compare.moved import MOVED_AT_MOST
from sa_partman.compare.strangers import HAND_OVER
from sa_partman.finding import Finding, Severity
from sa_partman.names import QualifiedName


def row_findings(table: QualifiedName, facts: DataFacts) -> Iterator[Finding]:
    for default in facts.default_rows:
        yield from _default_findings(table, default)
    for misplaced in facts.misplaced:
        seen = "at least " if misplaced.sampled else ""
        yield Finding(
            "misplaced-rows",
            Severity.WARNING,
            str(table),
            f"{seen}{misplaced.rows} rows in {misplaced.partition} have a key that the codec can't place in time",
            "find out what writes them; retention goes by the partition that they are in",
        )


def _default_findings(table: QualifiedName, default: DefaultRows) -> Iterator[Finding]:
    """One for each fate of rows, so that none promises what happens to others only."""
    about = "about " if default.sampled else ""
    sits = f"{about}{default.rows} rows sit in the default partition {default.partition}"
    if not default.blocked:
        yield Finding("default-rows", Severity.WARNING, str(table), sits, "look what they are: no run moves them")
        return
    for fate in Fate:
        some = [each for each in default.blocked if each.fate is fate]
        if some and fate is not Fate.KEPT:
            yield _of_fate(table, default, f"{sits}; of these", fate, some)


def _of_fate(table: QualifiedName, default: DefaultRows, sits: str, fate: Fate, some: list[Blocked]) -> Finding:
    listed = ", ".join(f"{each.what} ({each.rows} rows)" for each in some)
    most = max(each.rows for each in some)
    severity = Severity.INFO if fate in (Fate.LATER, Fate.DELETED, Fate.GRACE) else Severity.WARNING
    if fate is Fate.NEXT and default.held:
        message = f"{sits}, {listed} belong into partitions that are missing, and no run moves them: {default.held}"
        remedy = "sa-partman run, which fails there, prints what to do"
    elif fate is Fate.NEXT and most > MOVED_AT_MOST:
        message = f"{sits}, more than {MOVED_AT_MOST} belong into one partition that is missing: {listed}"
        remedy = (
            f"in a maintenance window, because nobody reads or writes them meanwhile: sa-partman run --max-rows {most}"
        )
    elif fate is Fate.NEXT:
        message, remedy = f"{sits}, the next run moves {listed} into partitions that it makes", RUN
    elif fate is Fate.LATER:
        message, remedy = f"{sits}, {listed} lie ahead; the run that makes their partitions moves them", ""
    elif fate is Fate.DELETED:
        message, remedy = f"{sits}, {listed} are expired, and the next run deletes them", RUN
    elif fate is Fate.GRACE:
        message, remedy = f"{sits}, {listed} are expired; the run after their grace= deletes them", ""
    elif fate is Fate.FOREIGN:
        message = f"{sits}, {listed} are expired, and kept, because sa-partman did not make the default partition"
        remedy = HAND_OVER
    elif fate is Fate.TIMELESS:
        message = f"{sits}, {listed} are expired, and kept: grace= is a time, and the key has none"
        remedy = _deleting(default, some)
    elif fate is Fate.STAYING:
        message = (
            f"{sits}, {listed} are expired, and kept: rows of a default partition can't be detached, and retention "
            f"deletes none that it does not drop"
        )
        made = _provisions(table, some)
        remedy = (
            f"make partitions, which the next run removes like others: {made}" if made else _deleting(default, some)
        )
    elif some[0].at:
        message = f"{sits}, no run makes a partition for {listed}"
        remedy = f"make one, which moves them: {_provisions(table, some)}"
    else:
        message = f"{sits}, no run makes a partition for {listed}"
        remedy = "declare what they belong to, make a partition in a migration, or delete them"
    return Finding("default-rows", severity, str(table), message, remedy)


def _provisions(table: QualifiedName, some: list[Blocked]) -> str:
    """
    What makes their partitions and moves them there; empty where the key has no time. In this table only: the others
    would get partitions of that time, too, and every run would fill what lies between.
    """
    command = f"sa-partman provision --table {in_shell(table.name)} --at"
    return "; ".join(f"{command} {each.at}{_enough(each.rows)}" for each in some if each.at)


def _enough(rows: int) -> str:
    return f" --max-rows {rows}" if rows > MOVED_AT_MOST else ""


def _deleting(default: DefaultRows, some: list[Blocked]) -> str:
    rows = " OR ".join(f"({each.where})" for each in some)
    return f"delete them: DELETE FROM {default.partition.quoted} WHERE {rows}"


def unread_rows(table: QualifiedName, reason: str, remedy: str) -> Finding:
    """The rows of *table* can't be read."""
    return Finding(
        "rows-unread",
        Severity.WARNING,
        str(table),
        f"the rows of {table} can't be read: {reason}",
        remedy,
    )
