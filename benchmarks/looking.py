"""Large catalogs: how long a check takes, and how much memory Python needs for each partition."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

from benchmarks.ground import Ground
from benchmarks.maintaining import fresh
from benchmarks.measure import Row, interleaved
from sa_partman import Maintainer
from sa_partman.maintenance.planning import looked


def rows(ground: Ground, limit: float, rounds: int) -> Iterator[Row]:
    """
    Args:
        limit: Seconds that a warm check may take.
    """
    maintainer = Maintainer(ground.engine, ground.metadata())
    maintainer.check()
    seconds = interleaved([maintainer.check], rounds)[0]
    yield Row(
        f"check of {ground.size:,} partitions ({ground})",
        f"{seconds:.2f} s",
        f"< {limit:g} s",
        seconds,
        seconds < limit,
    )
    kept, most = memory(ground)
    yield Row(f"memory for each of {ground.size:,} partitions", f"{kept:.0f} B", "< 1000 B", kept, kept < 1000)
    yield Row(f"the same at the most, while it looks for the first time ({ground.size:,})", f"{most:.0f} B", value=most)


def memory(ground: Ground) -> tuple[float, float]:
    """Bytes of Python objects a partition after a look, and at the most during it."""
    metadata = ground.metadata()
    with fresh(ground.engine) as engine:
        maintainer = Maintainer(engine, metadata)
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        view = looked(maintainer.settings, None)
        after, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert sum(1 for each in view.tables for _ in (each.found.walk() if each.found else ())) == ground.size
    return (after - before) / ground.size, (peak - before) / ground.size
