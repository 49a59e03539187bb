"""Metrics in the text form of Prometheus: from what a service knows of its runs, or from one look at the tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sa_partman.checks.rows import LastRuns
from sa_partman.checks.status import State, TableStatus
from sa_partman.finding import Finding
from sa_partman.observe.health import Health
from sa_partman.observe.map import leaves

_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
Sample = tuple[dict[str, str], float]
"""Labels and value."""


@dataclass(frozen=True, slots=True)
class Metric:
    """
    Args:
        kind: "gauge" or "counter".
        samples: None of them: nothing is known, and nothing is said.
    """

    name: str
    kind: str
    help: str
    samples: tuple[Sample, ...]

    def __str__(self) -> str:
        name = f"sa_partman_{self.name}"
        lines = [f"# HELP {name} {self.help}", f"# TYPE {name} {self.kind}"]
        return "\n".join([*lines, *(f"{name}{_labels(labels)} {value:.17g}" for labels, value in self.samples)])


def metrics_text(health: Health) -> str:
    """What a service says: of its runs since it started, and of the tables as the last run left them."""
    ended = health.last
    tables, findings = ((), ()) if ended is None else (ended.tables, ended.findings)
    return exposition([*_service(health), *_tables(tables), _findings(findings)])


def look_text(tables: Sequence[TableStatus], findings: Iterable[Finding], last: LastRuns | None) -> str:
    """
    What one check says.

    Args:
        last: What the audit says of the runs; None when nothing is known.
    """
    return exposition([*_audit(last), *_tables(tables), _findings(findings)])


def exposition(metrics: Iterable[Metric]) -> str:
    """A document; metrics without a sample are left out."""
    return "".join(f"{metric}\n" for metric in metrics if metric.samples)


def _service(health: Health) -> Iterator[Metric]:
    ended = health.last
    failed = ended is not None and bool(ended.error)
    yield _gauge("up", "Whether the last run did not fail.", 0 if failed else 1)
    yield from _runs(
        None if health.began is None else health.began.timestamp(),
        None if health.completed is None else health.completed.timestamp(),
        _duration(health),
    )
    good = health.runs - health.errors - health.busy
    outcomes = {"done": good, "failed": health.errors, "busy": health.busy}
    yield Metric(
        "runs_total",
        "counter",
        "Runs that ended since the service started; busy: another maintainer was at work.",
        tuple(({"outcome": outcome}, number) for outcome, number in outcomes.items()),
    )
    yield Metric("missed_turns_total", "counter", "Turns dropped because a run took too long.", (({}, health.missed),))
    steps: Counter[tuple[str, str]] = Counter()
    for count in health.counts:
        steps[count.purpose, count.outcome] += count.times
    yield Metric(
        "steps_total",
        "counter",
        "Steps that were tried since the service started.",
        tuple(({"purpose": purpose, "outcome": outcome}, times) for (purpose, outcome), times in sorted(steps.items())),
    )


def _duration(health: Health) -> float | None:
    """Unknown while another run is under way."""
    if health.last is None or health.began is None or health.running:
        return None
    return (health.last.at - health.began).total_seconds()


def _audit(last: LastRuns | None) -> Iterator[Metric]:
    yield _gauge("up", "Whether the database could be looked at.", 1)
    if last is not None:
        yield from _runs(last.began, last.succeeded, last.seconds)


def _runs(began: float | None, succeeded: float | None, seconds: float | None) -> Iterator[Metric]:
    yield _gauge("last_run_timestamp_seconds", "When the last run began.", began)
    yield _gauge("last_success_timestamp_seconds", "When the last good run ended.", succeeded)
    yield _gauge("run_duration_seconds", "How long the last run that ended took.", seconds)


def _tables(tables: Sequence[TableStatus]) -> Iterator[Metric]:
    states = {table.table: Counter(each.state for each in leaves(table.partitions)) for table in tables}
    yield Metric(
        "partitions",
        "gauge",
        "Partitions without sub-partitions, and tables that were detached.",
        tuple(
            ({"table": table, "state": state.value}, number)
            for table, counted in states.items()
            for state, number in sorted(counted.items())
        ),
    )
    yield _each("horizon_seconds", "Time until inserts fail if nobody makes partitions.", _runways(tables))
    yield _each("horizon_intervals", "Whole intervals ready; -1 without a partition for now.", _ahead(tables))
    yield _each("default_rows", "Rows in default partitions, as the planner estimates them.", _default_rows(tables))
    expired = ((table, float(counted[State.EXPIRED])) for table, counted in states.items())
    yield _each("overdue_partitions", "Expired partitions that are still there.", expired)


def _runways(tables: Iterable[TableStatus]) -> Iterator[tuple[str, float]]:
    return ((table.table, table.runway) for table in tables if table.runway is not None)


def _ahead(tables: Iterable[TableStatus]) -> Iterator[tuple[str, float]]:
    return ((table.table, table.ahead) for table in tables if table.ahead is not None)


def _default_rows(tables: Iterable[TableStatus]) -> Iterator[tuple[str, float]]:
    for table in tables:
        rows = [each.rows for each in leaves(table.partitions) if each.state is State.DEFAULT]
        known = [each for each in rows if each is not None]
        if known:
            yield table.table, sum(known)


def _findings(findings: Iterable[Finding]) -> Metric:
    counted = Counter((each.table, each.code, each.severity.value) for each in findings)
    samples = (
        ({"table": table, "code": code, "severity": severity}, number)
        for (table, code, severity), number in sorted(counted.items())
    )
    return Metric("findings", "gauge", "What check found, or what stood in the way of a run.", tuple(samples))


def _gauge(name: str, help: str, value: float | None) -> Metric:
    return Metric(name, "gauge", help, () if value is None else (({}, value),))


def _each(name: str, help: str, values: Iterable[tuple[str, float]]) -> Metric:
    return Metric(name, "gauge", help, tuple(({"table": table}, value) for table, value in values))


def _labels(labels: dict[str, str]) -> str:
    if not labels:
        return ""
    shown = ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels.items())
    return f"{{{shown}}}"
