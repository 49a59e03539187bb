"""Metrics: what Prometheus reads is what the look and the service know."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sa_partman import PartitionByHash, PartitionByRange, Retention
from sa_partman.checks.rows import LastRuns
from sa_partman.checks.status import PartitionStatus, State, TableStatus, status_of
from sa_partman.finding import Finding, Severity
from sa_partman.observe.health import Ended, Health
from sa_partman.observe.metrics import look_text, metrics_text
from tests.support.builders import Catalog, context, declare, span

parser = pytest.importorskip("prometheus_client.parser")

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "monitoring.md"
NOW = context("2026-01-15")
START = datetime(2026, 1, 15, 12, tzinfo=UTC)
ERROR = Finding("gap", Severity.ERROR, "public.events", "a gap")
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def read(text: str) -> Samples:
    """As Prometheus reads it: every sample by its name and its labels."""
    families = parser.text_string_to_metric_families(text)
    samples = [sample for family in families for sample in family.samples]
    found = {(each.name, tuple(sorted(each.labels.items()))): each.value for each in samples}
    assert len(samples) == len(found)
    return found


def named(samples: Samples, name: str) -> dict[tuple[str, ...], float]:
    """The samples of one metric, by the values of their labels."""
    return {
        tuple(value for _, value in labels): number
        for (each, labels), number in samples.items()
        if each == f"sa_partman_{name}"
    }


def statuses() -> tuple[TableStatus, ...]:
    spec = PartitionByRange("created_at", interval="1 month", premake=2, retention=Retention("1 month"), default=True)
    catalog = Catalog(declare(spec))
    catalog.converge(NOW)
    catalog.add("old", span("2025-01-01", "2025-02-01"))
    return (status_of(catalog.declared, catalog.found(), NOW),)


def look(tables: Iterable[TableStatus] = (), findings: Iterable[Finding] = (), last: LastRuns | None = None) -> Samples:
    return read(look_text(tuple(tables), findings, last))


def test_partitions_by_state() -> None:
    found = named(look(statuses()), "partitions")

    assert {
        ("expired", "public.events"): 1,
        ("current", "public.events"): 1,
        ("ahead", "public.events"): 2,
        ("default", "public.events"): 1,
    } == found


def test_the_horizon() -> None:
    """In seconds from now, and in intervals."""
    found = look(statuses())

    assert {("public.events",): 76 * 86_400} == named(found, "horizon_seconds")
    assert {("public.events",): 2} == named(found, "horizon_intervals")
    assert {("public.events",): 1} == named(found, "overdue_partitions")


def test_no_partition_for_now() -> None:
    """No time is left, and the alert that looks at seconds sees it."""
    catalog = Catalog(declare(PartitionByRange("created_at", interval="1 month")))
    found = look([status_of(catalog.declared, catalog.found(), NOW)])

    assert ({("public.events",): 0}, {("public.events",): -1}) == (
        named(found, "horizon_seconds"),
        named(found, "horizon_intervals"),
    )


def test_without_a_range_there_is_no_horizon() -> None:
    catalog = Catalog(declare(PartitionByHash("id", modulus=2)))
    catalog.converge(NOW)
    found = look([status_of(catalog.declared, catalog.found(), NOW)])

    assert {} == named(found, "horizon_seconds")
    assert {("current", "public.events"): 2} == named(found, "partitions")


def with_default_rows(rows: int | None = 12) -> TableStatus:
    default = PartitionStatus("d", "DEFAULT", None, None, State.DEFAULT, 1, rows, 0)
    return TableStatus("t", "", "", "", START, "", None, None, (default,))


def test_rows_of_default_partitions() -> None:
    """As estimated; nothing is said before the first ANALYZE."""
    assert {("t",): 12} == named(look([with_default_rows()]), "default_rows")
    assert {} == named(look([with_default_rows(None)]), "default_rows")


def test_findings_are_counted() -> None:
    warning = Finding("gap", Severity.WARNING, "public.events", "another")
    found = named(look(findings=[ERROR, ERROR, warning, Finding("pooler", Severity.INFO, "", "one")]), "findings")

    assert {
        ("gap", "error", "public.events"): 2,
        ("gap", "warning", "public.events"): 1,
        ("pooler", "info", ""): 1,
    } == found


def test_what_the_audit_says() -> None:
    found = look(last=LastRuns(10.0, 20.0, 1_700_000_000.25, 1_700_000_009.5, 3.25))

    assert {(): 1_700_000_000.25} == named(found, "last_run_timestamp_seconds")
    assert {(): 1_700_000_009.5} == named(found, "last_success_timestamp_seconds")
    assert {(): 3.25} == named(found, "run_duration_seconds")
    assert {(): 1} == named(found, "up")


def test_what_is_not_known_is_not_said() -> None:
    """A zero would be a lie."""
    assert {("sa_partman_up", ()): 1} == look()
    assert {} == named(look(last=LastRuns(None, 20.0, 1.0)), "last_success_timestamp_seconds")


def test_labels_are_escaped() -> None:
    """Whatever a table may be called."""
    odd = 'public.a "b"\\c\nd'

    assert {("gap", "error", odd): 1} == named(look(findings=[Finding("gap", Severity.ERROR, odd, "")]), "findings")


def service() -> Health:
    ended = Ended(
        START + timedelta(seconds=90),
        steps=(
            ("public.events", "provision", "done"),
            ("public.other", "provision", "done"),
            ("x", "drop", "deferred"),
        ),
        findings=(ERROR,),
        tables=statuses(),
    )
    return Health(START, 3600.0).with_begin(START + timedelta(seconds=60)).with_end(ended)


def test_a_service() -> None:
    """Its runs since it started, and the tables as the last one left them."""
    found = read(metrics_text(service()))

    assert {(): 1} == named(found, "up")
    assert {(): START.timestamp() + 60} == named(found, "last_run_timestamp_seconds")
    assert {(): START.timestamp() + 90} == named(found, "last_success_timestamp_seconds")
    assert {(): 30} == named(found, "run_duration_seconds")
    assert {("done",): 1, ("failed",): 0, ("busy",): 0} == named(found, "runs_total")
    assert {("done", "provision"): 2, ("deferred", "drop"): 1} == named(found, "steps_total")
    assert {("gap", "error", "public.events"): 1} == named(found, "findings")
    assert {("public.events",): 76 * 86_400} == named(found, "horizon_seconds")


def test_a_service_whose_run_failed() -> None:
    """Down; what it knew of its last good run stays."""
    later = START + timedelta(hours=1)
    failed = service().with_begin(later).with_end(Ended(later + timedelta(seconds=1), error="no connection"))
    found = read(metrics_text(failed.with_due(None, missed=2)))

    assert {(): 0} == named(found, "up")
    assert {(): START.timestamp() + 90} == named(found, "last_success_timestamp_seconds")
    assert {("done",): 1, ("failed",): 1, ("busy",): 0} == named(found, "runs_total")
    assert {(): 2} == named(found, "missed_turns_total")
    assert {} == named(found, "horizon_seconds")


def test_a_service_that_has_just_started() -> None:
    found = read(metrics_text(Health(START, 60.0)))

    assert {} == named(found, "last_run_timestamp_seconds")
    assert {("done",): 0, ("failed",): 0, ("busy",): 0} == named(found, "runs_total")


def test_every_metric_has_its_help_and_type() -> None:
    """Once, before its samples; counters end in total."""
    text = metrics_text(service())
    lines = text.splitlines()
    families = {family.name: family for family in parser.text_string_to_metric_families(text)}

    assert text.endswith("\n")
    assert all(family.documentation and family.type in ("gauge", "counter") for family in families.values())
    assert len(families) == sum(line.startswith("# TYPE ") for line in lines)
    assert [] == [
        line for line in lines if line.startswith("# TYPE") and line.endswith("counter") != ("_total " in line)
    ]


def test_the_metrics_stand_in_the_documentation() -> None:
    """Each in the table, and the alerts ask for none that does not exist."""
    page = PAGE.read_text(encoding="utf-8")
    _, _, alerts = page.partition("```yaml")
    text = metrics_text(service()) + look_text((with_default_rows(),), (), None)
    known = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))

    assert known == set(re.findall(r"^\| `(sa_partman_\w+)` \|", page, re.MULTILINE))
    assert set(re.findall(r"sa_partman_\w+", alerts.partition("```")[0])) <= known


def test_the_logging_of_the_documentation_works() -> None:
    """The lines that users copy."""
    code = PAGE.read_text(encoding="utf-8").partition("```python\n")[2].partition("```")[0]
    listening = subprocess.run(
        [sys.executable, "-c", f"{code}\nlogging.getLogger('sa_partman').info('hello', extra={{'rows': 3}})"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert {"message": "hello", "rows": 3} == {
        key: value for key, value in json.loads(listening.stderr).items() if key in ("message", "rows")
    }
