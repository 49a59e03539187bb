"""
Our marks: table comments that say what we did with a table, so that nothing has to be remembered anywhere else.

A mark is the comment's first line; what the user had written there follows it. Whoever removes it keeps the table.
The mark of a detach or a restore stands before the one that says who made the partition, so that it comes off again.

Why a comment: PostgreSQL lets nobody but the owner write one, dumps and restores it with the table, shows it in psql,
and has it in the very row that the bulk query reads anyway. A bound can't tell who made a partition: partitions made by
hand may lie on the grid, and ours leave it when the interval changes.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile

from sa_partman.names import QualifiedName

PREFIX = "sa_partman: detached from "
RESTORED = "sa_partman: restored from "
CREATED = "sa_partman: created"
ADOPTED = "sa_partman: adopted"

_NAME = r'"((?:[^"]|"")+)"'
_LINE = re.compile(rf'{re.escape(PREFIX)}(?:{_NAME}\.)?{_NAME}(?: at (\S+)(?: had (".*"))?)?( not ours)?( on request)?')


@dataclass(frozen=True, slots=True)
class Mark:
    """
    What a mark says of a detached table.

    Args:
        parent: What it was detached from.
        at: When; aware. None: an old mark, or somebody else's detach.
        bound: The bound that it had, as SQL; empty when that is not known.
        foreign: We had not made it, and nobody had handed it over.
        asked: It is the branch of a tenant that somebody asked to remove: its grace counts, not what it held.
    """

    parent: QualifiedName
    at: datetime | None = None
    bound: str = ""
    foreign: bool = False
    asked: bool = False


def marked(
    parent: QualifiedName,
    comment: str | None,
    at: datetime | None = None,
    bound: str = "",
    *,
    foreign: bool = False,
    asked: bool = False,
) -> str:
    """
    The comment of a table that was detached from *parent* and had *comment*.

    Args:
        at: When; aware.
        bound: The bound that it had, as SQL; whatever it holds, the mark stays one line.
        foreign: See `Mark`.
        asked: See `Mark`.
    """
    line = PREFIX + parent.quoted.replace("\n", " ")
    if at is not None:
        line += f" at {at.isoformat()}"
        if bound:
            line += f" had {json.dumps(bound, ensure_ascii=False)}"
    if foreign:
        line += " not ours"
    if asked:
        line += " on request"
    return f"{line}\n{comment}" if comment else line


def is_marked(comment: str | None) -> bool:
    """Whether it says that we detached the table."""
    return comment is not None and comment.startswith(PREFIX)


def mark_lines(comment: str | None) -> str | None:
    """The lines of *comment* that are ours, whatever they say; None when there are none."""
    ours = list(takewhile(lambda line: line.startswith(_OURS), (comment or "").split("\n")))
    return "\n".join(ours) or None


def unmarked(comment: str | None) -> str | None:
    """What the comment was before the detach."""
    if comment is None or not is_marked(comment):
        return comment
    return comment.partition("\n")[2] or None


def mark_of(comment: str | None) -> Mark | None:
    """What *comment* says; None when it is no mark of ours, or somebody has edited it."""
    found = _LINE.fullmatch((comment or "").partition("\n")[0])
    if found is None:
        return None
    schema, name, at, bound, foreign, asked = found.groups()
    parent = QualifiedName(None if schema is None else _unquoted(schema), _unquoted(name))
    try:
        moment = None if at is None else datetime.fromisoformat(at)
        text = "" if bound is None else str(json.loads(bound))
    except ValueError:
        return None
    if moment is not None and moment.tzinfo is None:
        return None
    return Mark(parent, moment, text, foreign is not None, asked is not None)


def parent_of(comment: str) -> QualifiedName | None:
    """The parent that a mark names; None when *comment* is no mark of ours."""
    mark = mark_of(comment)
    return None if mark is None else mark.parent


def is_detached_from(comment: str | None, parent: QualifiedName) -> bool:
    """Whether we detached the table from *parent*; a mark that names no schema means the same one."""
    marked = parent_of(comment or "")
    return marked is not None and QualifiedName(marked.schema or parent.schema, marked.name) == parent


def _unquoted(name: str) -> str:
    return name.replace('""', '"')


def restored(source: str, at: datetime, comment: str | None = None) -> str:
    """The comment of a partition that was restored from the archive *source*: retention leaves it alone."""
    line = f"{RESTORED}{json.dumps(source, ensure_ascii=False)} at {at.isoformat()}"
    return f"{line}\n{comment}" if comment else line


def is_restored(comment: str | None) -> bool:
    """Whether it says that the partition came back from an archive."""
    return comment is not None and comment.startswith(RESTORED)


def created(comment: str | None) -> str:
    """The comment of a partition that we made of a table that had *comment*."""
    return f"{CREATED}\n{comment}" if comment else CREATED


def adopted(at: datetime, comment: str | None) -> str:
    """The comment of a partition that had *comment* and was handed over to us."""
    line = f"{ADOPTED} at {at.isoformat()}"
    return f"{line}\n{comment}" if comment else line


def is_foreign(comment: str | None) -> bool:
    """
    Whether nothing says that we made the partition, or that somebody handed it over: retention leaves it alone.

    What 0.1.0 made bears no mark; what it detached bears one, and that is enough.
    """
    if comment is None or not comment.startswith(_OURS):
        return True
    mark = mark_of(comment)
    return mark is not None and mark.foreign


_OURS = (CREATED, ADOPTED, RESTORED, PREFIX)
