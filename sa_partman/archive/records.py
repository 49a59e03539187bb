"""Rows as COPY prints them: taken apart, put together, counted and summed up."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

_FIELD = re.compile(rb'(?:"([^"]*(?:""[^"]*)*)")?[,\n]')
_MODULUS = 1 << 128


class Splitter:
    """Cuts a stream into records, wherever its pieces end. A line ends a record where no quote is open."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._seen = 0
        self._open = False

    def feed(self, data: bytes) -> list[bytes]:
        """The records that are complete by now."""
        held = self._held
        held += data
        found: list[bytes] = []
        start = 0
        while (end := held.find(b"\n", self._seen)) >= 0:
            self._open ^= held.count(b'"', self._seen, end) % 2 == 1
            self._seen = end + 1
            if not self._open:
                found.append(bytes(held[start : end + 1]))
                start = end + 1
        if start:
            del held[:start]
            self._seen -= start
        return found

    @property
    def rest(self) -> bytes:
        """What no record was made of; nothing at the end of a whole stream."""
        return bytes(self._held)


def fields(record: bytes) -> list[str | None]:
    """
    The values of one record, in which every value is quoted; what is not is NULL.

    Raises:
        UnicodeDecodeError: A value is no UTF-8, which only a database without an encoding can hold.
    """
    found = (match[1] for match in _FIELD.finditer(record))
    return [None if value is None else value.replace(b'""', b'"').decode() for value in found]


def record(values: Sequence[str | None]) -> bytes:
    """The opposite of `fields`."""
    return (",".join("" if value is None else _quoted(value) for value in values) + "\n").encode()


def _quoted(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'


@dataclass(slots=True)
class Tally:
    """
    What went by.

    Args:
        rows: Records.
        size: Bytes.
        sum: Of all records, whatever their order: 128 bits.
    """

    rows: int = 0
    size: int = 0
    sum: int = 0
    _hash: hashlib._Hash = field(default_factory=hashlib.sha256)

    def add(self, records: Iterable[bytes]) -> None:
        for each in records:
            self.rows += 1
            self.size += len(each)
            self._hash.update(each)
            digest = hashlib.blake2b(each, digest_size=16).digest()
            self.sum = (self.sum + int.from_bytes(digest)) % _MODULUS

    @property
    def sha256(self) -> str:
        """Of all bytes, in their order; in hexadecimal digits."""
        return self._hash.hexdigest()

    @property
    def checksum(self) -> str:
        """`sum` in hexadecimal digits."""
        return f"{self.sum:032x}"
