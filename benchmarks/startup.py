"""How long the command takes to start, against the two packages that it can't do without."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator

from benchmarks.measure import Row, at_most, interleaved


def rows(rounds: int) -> Iterator[Row]:
    works = [_process("-c", "import sqlalchemy, click"), _process("-m", "sa_partman", "--help")]
    for work in works:
        work()
    bare, ours = interleaved(works, rounds)
    yield at_most("sa-partman --help, against importing sqlalchemy and click", ours, bare, 2)


def _process(*arguments: str) -> Callable[[], object]:
    return lambda: subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
