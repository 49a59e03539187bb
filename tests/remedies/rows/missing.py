"""Partitions that are missing, and what a run makes of it."""

from __future__ import annotations

from tests.remedies.row import Box, Row
from tests.remedies.rows.models import EVENTS, ORDERS

OLD = "CREATE TABLE old PARTITION OF events FOR VALUES FROM ('2030-04-01 00:00+00') TO ('2030-05-01 00:00+00')"

MISSING = (
    Row(
        "gap: gaps, so inserts there fail: [2030-05-01, 2030-06-01) -> run: sa-partman run",
        ("sa-partman run",),
        EVENTS,
        (Box.create, OLD),
    ),
    Row(
        "horizon: not ready as far ahead as premake= asks (ready: 0 whole intervals and 16.0 days from now, up to "
        "2030-07-01): [2030-07-01, 2030-08-01) -> run: sa-partman run",
        ("sa-partman run",),
        EVENTS,
        (Box.create, "DROP TABLE events_p20300701"),
    ),
    Row(
        "missing: missing partitions, so their inserts fail: in (fr) -> run: sa-partman run",
        ("sa-partman run",),
        ORDERS,
        (Box.bare, "CREATE TABLE orders_de PARTITION OF orders FOR VALUES IN ('de')"),
    ),
)
