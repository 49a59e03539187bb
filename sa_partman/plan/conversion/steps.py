"""The steps of a conversion, as values that are stored, shown, executed and taken back."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ConversionStep:
    """
    One resume point.

    Args:
        id: Stable, unique within its plan.
        title: What it does, for people.
        statements: In order.
        undo: Statements that take it back, in order.
        transaction: Run all of it in one transaction; else each statement by itself (CONCURRENTLY).
        lock: The strongest lock that it takes, on which table, for how long.
        scans: What it reads, or empty: the work that grows with the table.
        locked: Quoted tables that are locked ACCESS EXCLUSIVE before anything else.
        builds: The quoted name of an index that it builds concurrently, to look at when it was interrupted.
        guarded: Nothing in it may scan a table; checked while it runs.
    """

    id: str
    title: str
    statements: tuple[str, ...]
    undo: tuple[str, ...] = ()
    transaction: bool = True
    lock: str = ""
    scans: str = ""
    locked: tuple[str, ...] = ()
    builds: str | None = None
    guarded: bool = False

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def script(self, lock_timeout: float, patience: float) -> tuple[str, ...]:
        """
        Its statements as they can be pasted, each with the locks and the timeout that a conversion gives it.

        Args:
            lock_timeout: Seconds that a transaction waits for a lock.
            patience: Seconds that a concurrent build waits, behind which nobody queues.
        """
        body = tuple(f"{statement};" for statement in self.statements)
        if not self.transaction:
            return (f"SET lock_timeout = '{round(patience * 1000)}ms';", *body, "RESET lock_timeout;")
        locks = (f"LOCK TABLE {', '.join(self.locked)} IN ACCESS EXCLUSIVE MODE;",) if self.locked else ()
        return ("BEGIN;", f"SET LOCAL lock_timeout = '{round(lock_timeout * 1000)}ms';", *locks, *body, "COMMIT;")

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> ConversionStep:
        lists = {key: tuple(stored[key]) for key in ("statements", "undo", "locked")}
        return cls(**{**stored, **lists})


@dataclass(frozen=True, slots=True)
class Refusal:
    """
    Why a conversion is refused before anything is touched.

    Args:
        what: What can't be carried, by name.
        choices: What the user can do about it.
    """

    what: str
    choices: str

    def __str__(self) -> str:
        return f"{self.what}; {self.choices}"


@dataclass(frozen=True, slots=True)
class ConversionPlan:
    """
    Args:
        steps: In order; empty when it is refused, or when there is nothing to do.
        refusals: All of them, so that one look is enough.
        notes: What changes for the application, and is worth knowing.
    """

    steps: tuple[ConversionStep, ...]
    refusals: tuple[Refusal, ...] = ()
    notes: tuple[str, ...] = ()
