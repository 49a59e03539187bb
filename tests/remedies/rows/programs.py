"""What the demonstration and the throw-away servers need of a machine."""

from __future__ import annotations

from sa_partman.demo.stage import Stage
from tests.remedies.row import Row

DEMO = (
    Row(
        "alembic check ended with exit code 255; it said why above",
        attempt=lambda box: Stage(box.folder).run("alembic", "check", quiet=True),
        server=False,
    ),
)

PROGRAMS: tuple[Row, ...] = DEMO
