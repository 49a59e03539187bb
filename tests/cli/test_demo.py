"""The demonstration: told to the end, on a server of its own, and nothing is left of it."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.command import COMMAND, ROOT

pytestmark = pytest.mark.once


@pytest.mark.timeout(400)  # half a million rows: a minute on a machine that has nothing else to do
def test_the_story_is_told_to_the_end_and_nothing_is_left(tmp_path: Path) -> None:
    """Without a terminal; with variables around that name somebody's database."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("SA_PARTMAN_")}
    strange = {"DATABASE_URL": "postgresql://127.0.0.1:1/yours", "SA_PARTMAN_METADATA": "yours", "PGDATABASE": "yours"}
    done = subprocess.run(
        [*COMMAND, "demo"],
        cwd=tmp_path,
        env={**own, **strange, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=360,
        check=False,
    )

    assert (0, "") == (done.returncode, done.stderr), done.stdout[-3000:]
    for part in (
        "336,776 rows",
        "op.provision_partitions(",
        "postgresql_partition_by='RANGE (time_hour)'",
        "flights_p20130101   26,865",
        "+ provision public.flights_p20140301",
        "Nothing to do.",
        "horizon 2014-04-01 (3 ahead)",
        "No new upgrade operations detected.",
        "2 partitions will be dropped.",
        "2 partitions dropped.",
        "No problems.",
        "nothing is left running",
    ):
        assert part in done.stdout, part
    assert [] == list(tmp_path.iterdir())
