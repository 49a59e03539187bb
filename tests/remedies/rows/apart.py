"""Partitions that were detached by hand."""

from tests.remedies.row import Box, Meant, Row
from tests.remedies.rows.models import EVENTS

NAME = "events_p20300601"
ATTACH = (
    f"ALTER TABLE public.events ATTACH PARTITION public.{NAME} "
    "FOR VALUES FROM ('2030-06-01 00:00:00+00'::timestamp with time zone) TO ('2030-07-01 00:00:00+00'::timestamp with time zone)"
)

APART = (
    Row(
        f"detached-by-hand: 1 missing partition is there as a table of its own, so somebody detached it: public.{NAME} "
        "-> attach again what fits with: sa-partman run --repair; or, one by one: …; or rename them, and new ones are made",
        ("sa-partman run --repair", ATTACH, Meant(f"ALTER TABLE {NAME} RENAME TO old")),
        EVENTS,
        (Box.create, f"ALTER TABLE events DETACH PARTITION {NAME}"),
    ),
)
