"""Names: schema-qualified relations, and names for partitions that fit 63 bytes and differ."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from itertools import count

MAX_BYTES = 63
"""Source: PostgreSQL, ``NAMEDATALEN - 1``."""

_HASH_LENGTH = 8
_PLAIN_LABEL = re.compile(r"[a-z0-9_]{1,32}")
_NOT_PLAIN = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True, order=True)
class QualifiedName:
    """
    A relation's name, unquoted.

    Args:
        schema: None means the session's default schema.
        name: The bare name.
    """

    schema: str | None
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema is not None else self.name

    def sibling(self, name: str) -> QualifiedName:
        """Another relation of the same schema."""
        return QualifiedName(self.schema, name)

    @property
    def quoted(self) -> str:
        """Both parts quoted, whether they need it or not: safe in SQL, and for ``::regclass``."""
        return ".".join(quote(part) for part in (self.schema, self.name) if part is not None)


def quote(identifier: str) -> str:
    """
    *identifier* between double quotes.

    Raises:
        ValueError: It is empty or holds a NUL, which no PostgreSQL name can.
    """
    if not identifier or "\0" in identifier:
        raise ValueError(f"{identifier!r} can't be the name of anything in PostgreSQL")
    return '"' + identifier.replace('"', '""') + '"'


def text_literal(value: str) -> str:
    """*value* between quotes, whatever ``standard_conforming_strings`` says."""
    escaped = value.replace("'", "''")
    return "E'" + escaped.replace("\\", "\\\\") + "'" if "\\" in escaped else f"'{escaped}'"


def do(body: str) -> str:
    """A DO block around *body*, which may hold any name or value."""
    tag = next(each for number in count() if (each := f"$sa_partman{number or ''}$") not in body)
    return f"DO {tag}{body} {tag}"


def fits(name: str) -> bool:
    return len(name.encode()) <= MAX_BYTES


def join_name(table: str, suffix: str) -> str:
    """
    ``{table}_{suffix}``; when that is over 63 bytes, *table* is cut and a hash of the whole keeps the name apart.

    The suffix, by which people tell partitions apart, is kept whole as long as it is no longer than 40 bytes.
    """
    whole = f"{table}_{suffix}"
    return whole if fits(whole) else _shortened(whole, table, suffix)


def fit_name(whole: str) -> str:
    """*whole* as it is, or cut and hashed when it is over 63 bytes."""
    return whole if fits(whole) else _shortened(whole, whole, "")


def _shortened(whole: str, head: str, suffix: str) -> str:
    mark = hashlib.sha256(whole.encode()).hexdigest()[:_HASH_LENGTH]
    suffix_bytes = _cut(suffix, 40)
    tail = f"_{mark}_{suffix_bytes}" if suffix_bytes else f"_{mark}"
    return _cut(head, MAX_BYTES - len(tail.encode())) + tail


def _cut(text: str, size: int) -> str:
    """At most *size* bytes of *text*, whole characters only."""
    return text.encode()[:size].decode(errors="ignore")


def label_of(value: object) -> str:
    """
    A label for a list value: the value itself when it is a plain word, else its letters and a hash.

    ``abc`` and ``ABC`` give different labels, because names that differ in case only read alike.
    """
    text = "null" if value is None else str(value)
    if value is not None and _PLAIN_LABEL.fullmatch(text) and text not in ("null", "default"):
        return text
    if value is None:
        return "null"
    slug = _NOT_PLAIN.sub("_", text.lower()).strip("_")[:24].strip("_")
    mark = hashlib.sha256(text.encode()).hexdigest()[:_HASH_LENGTH]
    return f"{slug}_{mark}" if slug else mark
