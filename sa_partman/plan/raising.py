"""Raising the limit of the rows that a step moves, which is for a maintenance window: they are locked meanwhile."""

from __future__ import annotations

from dataclasses import replace

from sa_partman.plan.actions import Action, MoveRows
from sa_partman.plan.steps import Step, TablePlan


def raised(plan: TablePlan, max_rows: int | None) -> TablePlan:
    """*plan*, whose steps move up to *max_rows* rows each; None: as many as they do anyway."""
    if max_rows is None:
        return plan
    return replace(plan, steps=tuple(_raised(step, max_rows) for step in plan.steps))


def _raised(step: Step, max_rows: int) -> Step:
    if not any(isinstance(action, MoveRows) for action in step.actions):
        return step
    actions: tuple[Action, ...] = tuple(
        replace(action, limit=max_rows) if isinstance(action, MoveRows) else action for action in step.actions
    )
    return replace(step, actions=actions)
