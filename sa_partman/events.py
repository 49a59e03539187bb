"""
What happens during a run, as values: a step is tried, or a wait begins; hooks, the log, the audit and the metrics are
told.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sa_partman.bounds.bound import Bound
from sa_partman.names import QualifiedName


class When(StrEnum):
    """Before a step, or after it."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True, slots=True)
class StepEvent:
    """
    What a hook is told of one step, of a maintainer or of a conversion: before it is done, or after it was.

    Args:
        when: BEFORE: nothing was changed yet, and a hook may veto it. AFTER: it is committed.
        purpose: "heal", "repair", "provision", "detach", "archive" or "drop"; of a conversion's step "convert", "undo"
            or "abort".
        table: The declared table.
        partition: What the step is about; the table itself in a conversion.
        bound: Its bound, when that matters.
        sql: The statements, in order.
        run: The name of the run.
        step: The id of a conversion's step, such as "cutover"; else empty.
    """

    when: When
    purpose: str
    table: QualifiedName
    partition: QualifiedName
    bound: Bound | None
    sql: tuple[str, ...]
    run: str
    step: str = ""


_WORKER = "autovacuum worker"


@dataclass(frozen=True, slots=True)
class Holder:
    """
    A transaction that holds a lock.

    Args:
        pid: None for a prepared transaction, which has no process.
        transaction: Its virtual transaction id.
        application: Its ``application_name``; empty when it has none, or when we may not see it.
        state: As in ``pg_stat_activity``, such as "idle in transaction".
        mode: Of the lock, as in ``pg_locks``; empty when it holds none there.
        kind: ``backend_type``.
        prepared: The name of a prepared transaction, or None.
        seconds: The age of the transaction, when we may see it.
        stubborn: Autovacuum that prevents wraparound: it ends for nobody.
        table: That the lock is on; empty when it holds none there.
    """

    pid: int | None
    transaction: str
    application: str
    state: str
    mode: str
    kind: str
    prepared: str | None
    seconds: float | None
    stubborn: bool = False
    table: str = ""

    @property
    def key(self) -> tuple[int | None, str]:
        """The same transaction, seen again."""
        return self.pid, self.transaction

    @property
    def gives_way(self) -> bool:
        """Autovacuum ends when somebody waits for its lock for a ``deadlock_timeout``."""
        return self.kind == _WORKER and not self.stubborn

    def __str__(self) -> str:
        name = self.prepared or self.transaction
        who = f"pid {self.pid}" if self.pid else f"the prepared transaction {name!r}" if name else "a prepared one"
        named = self.application or (self.kind if self.kind != "client backend" else "")
        named += " to prevent wraparound" * self.stubborn
        held = f"with {self.mode}{f' on {self.table}' if self.table else ''}" if self.mode else ""
        age = f"for {self.seconds:.0f} s" if self.seconds else ""
        shown = [who, f"({named})" if named else "", self.state, held, age]
        return " ".join(word for word in shown if word)

    def to_dict(self) -> dict[str, object]:
        """What a log record has of it; ``seconds`` is the age of its transaction."""
        return {
            "pid": self.pid,
            "application": self.application or self.kind,
            "state": self.state,
            "mode": self.mode,
            "table": self.table,
            "seconds": None if self.seconds is None else round(self.seconds, 1),
            "prepared": self.prepared,
        }


@dataclass(frozen=True, slots=True)
class WaitEvent:
    """
    What a run waits for: within two seconds, then less and less often while it lasts, and once when it is over.

    Args:
        run: The name of the run.
        table: The declared table whose step waits; empty for what concerns the whole run.
        what: What is waited for, such as "ACCESS EXCLUSIVE on public.events".
        holders: The transactions that are in the way; empty when we can't see them.
        seconds: Since the wait began.
        over: The wait has ended: the work goes on, or was given up, which its result says.
    """

    run: str
    table: str
    what: str
    holders: tuple[Holder, ...]
    seconds: float
    over: bool = False

    def __str__(self) -> str:
        subject = f"{self.table}: " if self.table else ""
        if self.over:
            return f"{subject}no longer waiting for {self.what}, after {self.seconds:.0f} s"
        held = f"; held up by {'; '.join(map(str, self.holders[:5]))}" if self.holders else ""
        return f"{subject}waiting for {self.what}, {self.seconds:.0f} s so far{held}"
