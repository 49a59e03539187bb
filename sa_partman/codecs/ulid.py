"""ULID: 48 bits of milliseconds, then 80 of chance; as text or as a uuid."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sa_partman.bounds.bound import KeyValue
from sa_partman.codecs.codec import MILLISECOND, instant_at, milliseconds_in_48_bits
from sa_partman.key import Family

_FAMILIES = frozenset({Family.TEXT, Family.UUID})
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CLASS = "[0-9A-HJKMNP-TV-Z]"
_TIME_LENGTH, _CHANCE_LENGTH = 10, 16
# Ten characters are the time alone, which other tools write as a bound.
_ULID = re.compile(rf"[0-7]{_CLASS}{{9}}(?:{_CLASS}{{16}})?")


@dataclass(frozen=True, slots=True)
class ULID:
    """
    ULIDs in a text column (26 characters of Crockford's base 32, upper case) or in a ``uuid`` column.

    As text they sort by time in every collation that sorts digits before letters, such as ``"C"``.

    Source: https://github.com/ulid/spec
    """

    @property
    def families(self) -> frozenset[Family]:
        return _FAMILIES

    @property
    def resolution(self) -> timedelta:
        return MILLISECOND

    def encode(self, instant: datetime, family: Family = Family.TEXT) -> str | UUID:
        """
        The smallest ULID of *instant*: its time, then zeros.

        Raises:
            ValueError: *instant* is naive, or before 1970.
        """
        millis = milliseconds_in_48_bits(instant, "ULID")
        if family is Family.UUID:
            return UUID(int=millis << 80)
        digits = (_ALPHABET[millis >> 5 * place & 31] for place in reversed(range(_TIME_LENGTH)))
        return "".join(digits) + "0" * _CHANCE_LENGTH

    def decode(self, value: KeyValue) -> datetime:
        """
        The instant in UTC at which *value* was made. A text of the ten characters of time is taken too.

        Raises:
            ValueError: *value* is no ULID (in lower case it would sort elsewhere), or of a year after 9999.
        """
        if isinstance(value, UUID):
            return instant_at((value.int >> 80) * 1000, value)
        if not isinstance(value, str) or not _ULID.fullmatch(value):
            raise ValueError(f"{value!r} is not a ULID: 26 characters of Crockford's base 32 in upper case")
        millis = 0
        for character in value[:_TIME_LENGTH]:
            millis = millis << 5 | _ALPHABET.index(character)
        return instant_at(millis * 1000, value)

    def misplaced(self, column: str, family: Family = Family.TEXT) -> str | None:
        """SQL that is true for a text that is no ULID; None for a uuid, any of which could be one."""
        if family is Family.UUID:
            return None
        return f"({column})::pg_catalog.text !~ '^[0-7]{_CLASS}{{25}}$'"
