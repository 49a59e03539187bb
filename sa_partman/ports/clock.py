"""The clock, when somebody set it: for plans made by migrations and by the command line."""

from __future__ import annotations

import os
from datetime import UTC, datetime

from sa_partman.errors import ConfigurationError

VARIABLE = "SA_PARTMAN_AT"
"""An instant to plan for instead of the server's clock; ``--at`` overrides it."""


def instant(text: str, source: str = VARIABLE) -> datetime:
    """
    *text* as an aware instant; without an offset it is UTC, without a time midnight.

    Args:
        source: Where *text* comes from, for the message.

    Raises:
        ConfigurationError: It is no ISO 8601 date or time.
    """
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ConfigurationError(
            f"{source}={text!r} is no time; write it as 2030-01-31, or 2030-01-31T13:00:00+01:00 (no offset means UTC)"
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def appointed() -> datetime | None:
    """
    The instant that ``SA_PARTMAN_AT`` names; None when it is unset or empty, which means: the server's clock.

    Raises:
        ConfigurationError: See `instant`.
    """
    text = os.environ.get(VARIABLE)
    return instant(text) if text else None
