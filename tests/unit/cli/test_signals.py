"""Signals: what SQLAlchemy's log says of one is not shown, and everything else is."""

from __future__ import annotations

import logging

import pytest

from sa_partman.cli.failures import Interruption, Terminated, hush

POOL = logging.getLogger("sqlalchemy.pool.impl.QueuePool")


@pytest.mark.parametrize("signal", [Interruption, Terminated])
def test_a_signal_while_a_connection_is_closed(caplog: pytest.LogCaptureFixture, signal: type[BaseException]) -> None:
    before = list(POOL.filters)
    try:
        hush()
        for error in (signal(), OSError("gone")):
            try:
                raise error
            except BaseException:
                POOL.error("Exception terminating connection", exc_info=True)
    finally:
        POOL.filters[:] = before

    assert [OSError] == [record.exc_info[0] for record in caplog.records if record.exc_info]
