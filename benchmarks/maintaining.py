"""A run that finds nothing to do, and one that makes a partition for every table: against bare SQL and others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from sqlalchemy import Engine, create_engine

from benchmarks.ground import AHEAD, Ground
from benchmarks.measure import Row, at_most, exponent, faster, interleaved
from sa_partman import Maintainer

Contender = Callable[[Ground], Callable[[], object]]
"""Made ready for a ground, it is called again and again; it must find or leave everything there."""


def ours(ground: Ground) -> Callable[[], object]:
    maintainer = Maintainer(ground.engine, ground.metadata())

    def run() -> None:
        result = maintainer.run()
        assert result.ok, str(result)

    return run


def partsmith(ground: Ground) -> Callable[[], object]:
    """pg-partsmith through its synchronous API."""
    from pg_partsmith import PartitionGranularity, TablePartitionConfig
    from pg_partsmith.sync import (
        PartitionLifecycleService,
        PartitionMaintainer,
        PostgresAdvisoryLockManager,
        PostgresMetadataProvider,
        PostgresPartitionRepository,
    )

    engine = ground.engine
    service = PartitionLifecycleService(
        repo=PostgresPartitionRepository(engine),
        metadata=PostgresMetadataProvider(engine),
        locks=PostgresAdvisoryLockManager(engine),
    )
    maintainer = PartitionMaintainer(service)
    configs = [
        TablePartitionConfig(
            schema="public",
            table_name=name,
            partition_column="at",
            granularity=PartitionGranularity.DAY,
            create_ahead_count=AHEAD + 1,
            retention_count=10_000,  # everything; left out, it means twelve
        )
        for name in ground.names
    ]

    def run() -> None:
        for config in configs:
            result = maintainer.run_maintenance_safe(config)
            assert result.error is None, result

    return run


def partman(ground: Ground) -> Callable[[], object]:
    """pg_partman's own run over everything that it knows."""

    def run() -> None:
        with ground.engine.begin() as connection:
            connection.exec_driver_sql("SELECT partman.run_maintenance(p_analyze := false, p_jobmon := false)")

    return run


@dataclass
class Meeting:
    """
    One contender beside ours and the bare statements.

    Args:
        converged: How many times as fast we must be at 100 x 100, if that was said.
    """

    name: str
    contender: Contender | None
    converged: float | None = None
    grown: dict[str, list[tuple[int, float]]] = field(default_factory=dict)

    def rows(self, ground: Ground, rounds: int) -> Iterator[Row]:
        yield from self._converged(ground, rounds)
        yield from self._creating(ground, rounds)

    def _converged(self, ground: Ground, rounds: int) -> Iterator[Row]:
        run, other = ours(ground), None if self.contender is None else self.contender(ground)
        works = [ground.catalog, run, *([other] if other else [])]
        for work in works:
            work()
        taken = interleaved(works, rounds)
        self._note("converged run", ground, taken[1])
        what = f"converged run, {ground}"
        if self.contender is None:
            yield at_most(
                f"{what}: against the bare catalog query", taken[1], taken[0], 1.3 if _large(ground) else None
            )
            bare, first = interleaved([lambda: first_query(ground), lambda: first_look(ground)], rounds)
            yield at_most(
                f"{what}: the first one of a process, against the query over a new connection", first, bare, None
            )
        else:
            yield faster(
                f"{what}: faster than {self.name}", taken[1], taken[2], self.converged if _large(ground) else None
            )

    def _creating(self, ground: Ground, rounds: int) -> Iterator[Row]:
        works = [ground.ddl, ours(ground), *([] if self.contender is None else [self.contender(ground)])]
        taken = interleaved(works, rounds, before=ground.drop_newest)
        assert ground.catalog() == ground.size, "a contender did not make the partitions"
        self._note("one partition each", ground, taken[1])
        what = f"one new partition for each table, {ground}"
        if self.contender is None:
            yield at_most(f"{what}: against the bare DDL", taken[1], taken[0], 1.3 if ground.tables == 100 else None)
        else:
            yield faster(f"{what}: faster than {self.name}", taken[1], taken[2])

    def _note(self, what: str, ground: Ground, seconds: float) -> None:
        self.grown.setdefault(what, []).append((ground.size if what == "converged run" else ground.tables, seconds))

    def growth(self) -> Iterator[Row]:
        """How the time grows from the least to the greatest size."""
        for what, points in self.grown.items():
            sizes, seconds = zip(*points, strict=True)
            if len(set(sizes)) > 1:
                power, of = exponent(sizes, seconds), "partitions" if what == "converged run" else "tables"
                yield Row(f"{what}: grows with {of} to the power of", f"{power:.2f}", "<= 1.1", power, power <= 1.1)


def _large(ground: Ground) -> bool:
    """The size that the targets are for."""
    return (ground.tables, ground.partitions) == (100, 100)


def first_query(ground: Ground) -> None:
    """The bare query over a connection that is new to the server."""
    with fresh(ground.engine) as engine:
        replace(ground, engine=engine).catalog()


def first_look(ground: Ground) -> None:
    """A run that knows nothing from before, over connections that are there already."""
    with fresh(ground.engine) as engine:
        Maintainer(engine, ground.metadata()).run()


class fresh:  # noqa: N801
    """An engine of its own on the same database, connected."""

    def __init__(self, engine: Engine) -> None:
        self.engine = create_engine(engine.url)

    def __enter__(self) -> Engine:
        self.engine.connect().close()
        return self.engine

    def __exit__(self, *_: object) -> None:
        self.engine.dispose()
