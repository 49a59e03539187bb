"""UUID version 7: 48 bits of milliseconds, then version, variant and chance."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sa_partman.bounds.bound import KeyValue
from sa_partman.codecs.codec import MILLISECOND, instant_at, milliseconds_in_48_bits
from sa_partman.key import Family

_FAMILIES = frozenset({Family.UUID})
_VERSION_AND_VARIANT = 0x7000_8000_0000_0000_0000


@dataclass(frozen=True, slots=True)
class UUIDv7:
    """
    Time-ordered UUIDs in a ``uuid`` column, as ``uuidv7()`` of PostgreSQL 18 and most libraries make them.

    Source: RFC 9562, section 5.7.
    """

    @property
    def families(self) -> frozenset[Family]:
        return _FAMILIES

    @property
    def resolution(self) -> timedelta:
        return MILLISECOND

    def encode(self, instant: datetime, family: Family = Family.UUID) -> UUID:
        """
        The smallest UUIDv7 of *instant*: ``xxxxxxxx-xxxx-7000-8000-000000000000``.

        Raises:
            ValueError: *instant* is naive, or before 1970.
        """
        return UUID(int=milliseconds_in_48_bits(instant, "UUIDv7") << 80 | _VERSION_AND_VARIANT)

    def decode(self, value: KeyValue) -> datetime:
        """
        The instant in UTC at which *value* was made.

        A version of 0 is taken too: other tools write bounds of milliseconds and nothing but zeros.

        Raises:
            ValueError: *value* is no UUID, one of another version, or of a year after 9999.
        """
        if not isinstance(value, UUID):
            raise ValueError(f"{value!r} is not a UUID")
        version = value.int >> 76 & 0xF
        if version not in (0, 7):
            raise ValueError(f"{value} is a UUID of version {version}, which tells no time; UUIDv7() needs version 7")
        return instant_at((value.int >> 80) * 1000, value)

    def misplaced(self, column: str, family: Family = Family.UUID) -> str | None:
        """SQL that is true for a UUID of another version: it lies in a partition of no meaning."""
        return f"pg_catalog.substr(({column})::pg_catalog.text, 15, 1) <> '7'"
