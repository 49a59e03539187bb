"""
The log: logger ``sa_partman`` of the standard library, silent until somebody listens, with fields on every record.

The library configures nothing. `JsonFormatter` writes one JSON object a line, for whoever wants it.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

from sa_partman.passwords import without_passwords

LOGGER = logging.getLogger("sa_partman")
LOGGER.addHandler(logging.NullHandler())

FIELDS = (
    *("run", "table", "partition", "purpose", "step", "outcome", "seconds", "rows", "blockers", "waits_for"),
    *("steps", "failed", "sql"),
)
"""What a record may carry beside its message, as attributes."""


class JsonFormatter(logging.Formatter):
    """One object a line: ``time`` (UTC), ``level``, ``logger``, ``message``, and what `FIELDS` has of it."""

    def format(self, record: logging.LogRecord) -> str:
        document: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        values = {name: getattr(record, name, None) for name in FIELDS}
        document.update((name, value) for name, value in values.items() if value not in (None, "", ()))
        if record.exc_info:
            document["exception"] = without_passwords(self.formatException(record.exc_info))
        return json.dumps(document, ensure_ascii=False, default=str)
