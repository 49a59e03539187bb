"""The plan of a conversion: its steps, or why there are none."""

from __future__ import annotations

from dataclasses import dataclass

from sa_partman.names import QualifiedName
from sa_partman.plan.actions import Stored
from sa_partman.plan.steps import Purpose, Step


def resume_point(
    purpose: Purpose,
    table: QualifiedName,
    id: str,
    title: str,
    statements: tuple[str, ...],
    undo: tuple[str, ...] = (),
    *,
    transaction: bool = True,
    lock: str = "",
    scans: str = "",
    locked: tuple[str, ...] = (),
    builds: str | None = None,
    guarded: bool = False,
) -> Step:
    """A step of a conversion of *table*; see `Step`."""
    actions, back = (tuple(Stored(sql, transaction) for sql in each) for each in (statements, undo))
    return Step(
        purpose,
        table,
        table,
        None,
        actions,
        id=id,
        title=title,
        undo=back,
        lock=lock,
        scans=scans,
        locked=locked,
        builds=builds,
        guarded=guarded,
    )


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

    steps: tuple[Step, ...]
    refusals: tuple[Refusal, ...] = ()
    notes: tuple[str, ...] = ()
