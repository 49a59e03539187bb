"""Registers everything that the operations need: themselves, what they do, how they are written, and the guard."""

from __future__ import annotations

_DONE: list[bool] = []


def register() -> None:
    """Once, whoever asks first: the entry point, ``env.py``, or a migration file."""
    if _DONE:
        return
    _DONE.append(True)
    from alembic_ext import guard, render, toimpl, verdicts, whole

    toimpl.register()
    render.register()
    guard.register()
    verdicts.register()
    whole.register()


register()
