"""Several databases in one call: a maintainer for each, none of which stops the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sa_partman.checks.status import TableStatus
from sa_partman.finding import Finding
from sa_partman.maintenance.maintainer import Maintainer
from sa_partman.maintenance.planning import Tables
from sa_partman.maintenance.results import MaintenancePlan, RunResult
from sa_partman.postgres.session import shown

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """
    What came of one database.

    Args:
        database: Its URL, without the password.
        value: None when *error* says why there is none.
        error: What the maintainer raised; the other databases were not affected.
    """

    database: str
    value: T | None
    error: Exception | None = None

    @property
    def ok(self) -> bool:
        """Whether it was done, and everything in it."""
        return self.error is None and bool(getattr(self.value, "ok", True))


class Fleet:
    """
    The maintainers of several databases, called one after the other.

    Args:
        maintainers: One for each database; in this order.
    """

    def __init__(self, maintainers: Iterable[Maintainer]) -> None:
        self.maintainers = tuple(maintainers)

    def plan(self, tables: Tables = None) -> tuple[Answer[MaintenancePlan], ...]:
        """See `Maintainer.plan`."""
        return tuple(self._each(lambda each: each.plan(tables)))

    def run(self, tables: Tables = None) -> tuple[Answer[RunResult], ...]:
        """See `Maintainer.run`."""
        return tuple(self._each(lambda each: each.run(tables)))

    def check(self, tables: Tables = None, **options: Any) -> tuple[Answer[tuple[Finding, ...]], ...]:
        """See `Maintainer.check`."""
        return tuple(self._each(lambda each: each.check(tables, **options)))

    def status(self, tables: Tables = None) -> tuple[Answer[tuple[TableStatus, ...]], ...]:
        """See `Maintainer.status`."""
        return tuple(self._each(lambda each: each.status(tables)))

    def _each(self, call: Callable[[Maintainer], T]) -> Iterator[Answer[T]]:
        for maintainer in self.maintainers:
            database = shown(maintainer.engine.url)
            try:
                yield Answer(database, call(maintainer))
            except Exception as error:  # also in a select(), a callable or a codec of the user's
                yield Answer(database, None, error)
