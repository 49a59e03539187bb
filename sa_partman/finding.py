"""A finding: something that a check or a planner saw, how bad it is, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sa_partman.passwords import without_passwords


class Severity(StrEnum):
    """ERROR: rows fail or will fail soon. WARNING: wrong, and nothing fails yet. INFO: worth knowing."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Finding:
    """
    Args:
        code: Stable name for programs, such as ``gap`` or ``default-rows``.
        severity: How bad it is.
        table: The partitioned table, as text.
        message: What is so, in one sentence.
        remedy: What to do, in one sentence; empty when nothing needs doing.
    """

    code: str
    severity: Severity
    table: str
    message: str
    remedy: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", without_passwords(self.message))

    @property
    def is_problem(self) -> bool:
        """Whether ``check`` should fail because of it."""
        return self.severity is not Severity.INFO

    def to_dict(self) -> dict[str, str]:
        return {
            "code": self.code,
            "severity": self.severity.value,
            "table": self.table,
            "message": self.message,
            "remedy": self.remedy,
        }
