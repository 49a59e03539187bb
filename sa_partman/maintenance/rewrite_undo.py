"""What is stored when a rewrite is taken back, and when that is taken back again."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from sa_partman.ddl.rewriting import ALTERED, MOVED
from sa_partman.engine.statements import apply_actions
from sa_partman.errors import Refused
from sa_partman.plan.rewrite.back import PRESENT
from sa_partman.plan.rewrite.parts import FINISH
from sa_partman.postgres import journal
from sa_partman.postgres.journal import Conversion, NewConversion
from sa_partman.postgres.sqlstate import first_line, sqlstate

UNDO = "undo "
"""What the kind of a way back begins with."""


def backwards(conversion: Conversion, fingerprint: str) -> NewConversion:
    """The undo of *conversion*, whose new partitions are in place; its own way back are the steps there."""
    changed = {"kind": UNDO + conversion.kind, "fingerprint": fingerprint, "steps": conversion.back}
    return NewConversion(**{**_given(conversion), **changed, "back": conversion.steps})


def forwards(connection: Connection, undone: Conversion) -> Conversion:
    """
    Stores again what *undone*, which was taken back before its swap, was the undo of: the new partitions are in place,
    and the old ones are kept.
    """
    changed = {"kind": undone.kind.removeprefix(UNDO), "steps": undone.back, "back": undone.steps}
    begun = journal.begin(connection, NewConversion(**{**_given(undone), **changed}))
    journal.move(connection, begun, 0, [step.id for step in begun.steps].index(FINISH))
    return journal.get(connection, begun.id)


def _given(conversion: Conversion) -> dict[str, Any]:
    return {each.name: getattr(conversion, each.name) for each in fields(NewConversion)}


def require_pieces(connection: Connection, conversion: Conversion) -> None:
    """
    Looks whether every new partition of *conversion* is still there.

    Raises:
        Refused: One is not: retention has removed it, and what is kept has its rows. Or the new table has other
            columns by now.
    """
    first = conversion.back[0]
    if first.id != PRESENT:
        return
    try:
        apply_actions(connection, first.actions, singly=True)
    except DBAPIError as error:
        if sqlstate(error) == ALTERED:
            raise Refused(
                f"{first_line(error)}, so what is written there has no place in the old table; nothing was changed. "
                f"Give both the same columns, or keep the new table: sa-partman {conversion.verb} {conversion.table} "
                f"--finalize"
            ) from error
        if sqlstate(error) != MOVED:
            raise
        raise Refused(
            f"{first_line(error)}, and its rows would come back with the old ones; nothing was changed. Keep the "
            f"new ones: sa-partman {conversion.verb} {conversion.table} --finalize"
        ) from error
