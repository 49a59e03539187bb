"""
How long planning and parsing take in Python alone: no server.

Run: ``python benchmarks/planning.py``. Targets: a plan over 10,000 partitions below 0.2 s, a bound below 10 us.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime

from sa_partman.bounds.read import parse_bound
from sa_partman.bounds.text import for_values
from sa_partman.catalog import FoundTable, Partition
from sa_partman.compare.context import Context
from sa_partman.key import KeyType
from sa_partman.marks import CREATED
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import AttachPartition
from sa_partman.plan.table import plan_table
from sa_partman.spec.declared import ColumnType, bind
from sa_partman.spec.range_spec import RangeSpec, Retention

PARTITIONS = 10_000
NOW = datetime(2026, 11, 21, tzinfo=UTC)
TIMESTAMPTZ = KeyType.of("timestamp with time zone")
NAME = QualifiedName("public", "events")


def median_seconds(work: Callable[[], object], runs: int = 5) -> float:
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def converged() -> FoundTable:
    """A table whose 10,000 daily partitions are all there."""
    start = datetime.fromtimestamp(NOW.timestamp() - 86_400 * (PARTITIONS - 5), UTC)
    declared = bind(NAME, RangeSpec("at", interval="1 day", start=start), {"at": ColumnType("at", TIMESTAMPTZ)})
    empty = FoundTable(NAME, 1, "RANGE", declared.level.key)
    made: list[Partition] = []
    while True:  # a plan makes at most 1,000 partitions of the past
        found = FoundTable(NAME, 1, "RANGE", declared.level.key, tuple(made))
        steps = plan_table(declared, found, Context(NOW)).steps
        if not steps:
            return FoundTable(empty.name, 1, "RANGE", empty.key, tuple(made))
        for step in steps:
            attach = step.actions[-1]
            assert isinstance(attach, AttachPartition)
            made.append(Partition(step.partition, len(made) + 2, attach.bound, "r", comment=CREATED))


def main() -> None:
    found = converged()
    spec = RangeSpec("at", interval="1 day", retention=Retention("20 years", then="drop"))
    declared = bind(NAME, spec, {"at": ColumnType("at", TIMESTAMPTZ)})
    planning = median_seconds(lambda: plan_table(declared, found, Context(NOW)))
    texts = [for_values(partition.bound, (TIMESTAMPTZ,)) for partition in found.partitions]
    printed = [text.replace("::timestamp with time zone", "") for text in texts]
    parsing = median_seconds(lambda: [parse_bound(text, (TIMESTAMPTZ,)) for text in printed])
    print("| what | target | measured |")
    print("|---|---|---|")
    print(f"| plan over {len(found.partitions):,} partitions | 0.2 s | {planning:.3f} s |")
    print(f"| parse one bound | 10 us | {parsing / len(printed) * 1e6:.1f} us |")


if __name__ == "__main__":
    main()
