"""
The modes of a table's lock, and which of them exclude each other.

Source: PostgreSQL, Explicit Locking, table 13.2.
"""

from __future__ import annotations

from enum import IntEnum


class LockMode(IntEnum):
    """The modes of a table's lock, the weakest first."""

    ACCESS_SHARE = 1
    ROW_SHARE = 2
    ROW_EXCLUSIVE = 3
    SHARE_UPDATE_EXCLUSIVE = 4
    SHARE = 5
    SHARE_ROW_EXCLUSIVE = 6
    EXCLUSIVE = 7
    ACCESS_EXCLUSIVE = 8

    @property
    def sql(self) -> str:
        """As ``LOCK TABLE ... IN ... MODE`` has it."""
        return self.name.replace("_", " ")

    @property
    def gentle(self) -> bool:
        """Whether it stops no reader and no writer, so that asking for it makes none of them wait."""
        return self <= LockMode.SHARE_UPDATE_EXCLUSIVE

    def conflicts(self, other: LockMode) -> bool:
        """Whether one transaction waits for it while another one holds *other*."""
        return other in _CONFLICTS[self]

    @property
    def catalog(self) -> str:
        """As ``pg_locks.mode`` has it, such as "AccessShareLock"."""
        return self.name.title().replace("_", "") + "Lock"

    @classmethod
    def of_catalog(cls, name: str) -> LockMode | None:
        """The mode that ``pg_locks.mode`` calls *name*; None when it is no mode of a table's lock."""
        return _BY_CATALOG.get(name)


_CONFLICTS = {
    LockMode.ACCESS_SHARE: {LockMode.ACCESS_EXCLUSIVE},
    LockMode.ROW_SHARE: set(LockMode) - set(list(LockMode)[:6]),
    LockMode.ROW_EXCLUSIVE: set(LockMode) - set(list(LockMode)[:4]),
    LockMode.SHARE_UPDATE_EXCLUSIVE: set(LockMode) - set(list(LockMode)[:3]),
    LockMode.SHARE: set(LockMode) - {LockMode.ACCESS_SHARE, LockMode.ROW_SHARE, LockMode.SHARE},
    LockMode.SHARE_ROW_EXCLUSIVE: set(LockMode) - set(list(LockMode)[:2]),
    LockMode.EXCLUSIVE: set(LockMode) - {LockMode.ACCESS_SHARE},
    LockMode.ACCESS_EXCLUSIVE: set(LockMode),
}
_BY_CATALOG = {mode.catalog: mode for mode in LockMode}
