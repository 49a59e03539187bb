"""The steps of a conversion as they are stored, shown and sent: rendered once, when the plan is made."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sa_partman.ddl.render import milliseconds, sql_of
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import Action, Stored
from sa_partman.plan.steps import Purpose, Step

_SAME = ("id", "title", "lock", "scans", "builds", "guarded")


def statements_of(actions: Iterable[Action]) -> tuple[str, ...]:
    """The SQL of *actions*, a statement each, without semicolons, every name of a relation quoted."""
    return sql_of(actions)


def to_dict(step: Step) -> dict[str, Any]:
    """*step* as JSON has it, in the form of version 0.1.0."""
    return {
        "id": step.id,
        "title": step.title,
        "statements": list(statements_of(step.actions)),
        "undo": list(statements_of(step.undo)),
        "transaction": step.in_transaction,
        "lock": step.lock,
        "scans": step.scans,
        "locked": list(step.locked),
        "builds": step.builds,
        "guarded": step.guarded,
    }


def from_dict(stored: dict[str, Any], purpose: Purpose, table: QualifiedName) -> Step:
    """The step that `to_dict` gave *stored* of, about *table*; its actions are the stored statements."""
    actions, undo = (
        tuple(Stored(sql, stored["transaction"]) for sql in stored[name]) for name in ("statements", "undo")
    )
    rest = {name: stored[name] for name in _SAME}
    return Step(purpose, table, table, None, actions, undo=undo, locked=tuple(stored["locked"]), **rest)


def script(step: Step, lock_timeout: float, patience: float) -> tuple[str, ...]:
    """
    Its statements as they can be pasted, each with the locks and the timeout that a conversion gives it.

    Args:
        lock_timeout: Seconds that a transaction waits for a lock.
        patience: Seconds that a concurrent build waits, behind which nobody queues.
    """
    body = tuple(f"{statement};" for statement in statements_of(step.actions))
    if not step.in_transaction:
        return (f"SET lock_timeout = '{milliseconds(patience)}';", *body, "RESET lock_timeout;")
    locks = (f"LOCK TABLE {', '.join(step.locked)} IN ACCESS EXCLUSIVE MODE;",) if step.locked else ()
    return ("BEGIN;", f"SET LOCAL lock_timeout = '{milliseconds(lock_timeout)}';", *locks, *body, "COMMIT;")
