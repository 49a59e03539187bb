"""
Our mark: a table comment that says from which partitioned table it was detached.

The mark is the comment's first line; what the user had written there follows it.
"""

from __future__ import annotations

import re

from sa_partman.names import QualifiedName

PREFIX = "sa_partman: detached from "
_QUOTED = re.compile(r'"((?:[^"]|"")+)"')


def marked(parent: QualifiedName, comment: str | None) -> str:
    """The comment of a table that was detached from *parent* and had *comment*."""
    line = PREFIX + parent.quoted.replace("\n", " ")
    return f"{line}\n{comment}" if comment else line


def is_marked(comment: str | None) -> bool:
    return comment is not None and comment.startswith(PREFIX)


def unmarked(comment: str | None) -> str | None:
    """The user's own comment."""
    if comment is None or not is_marked(comment):
        return comment
    return comment.partition("\n")[2] or None


def parent_of(comment: str) -> QualifiedName | None:
    """The parent that a mark names; None when *comment* is no mark of ours."""
    if not is_marked(comment):
        return None
    parts = [part.replace('""', '"') for part in _QUOTED.findall(comment.partition("\n")[0][len(PREFIX) :])]
    if not 1 <= len(parts) <= 2:
        return None
    return QualifiedName(parts[0] if len(parts) == 2 else None, parts[-1])
