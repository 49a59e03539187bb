"""Log lines as JSON: one object a line, whatever the record holds."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from sa_partman import PartitionByRange
from sa_partman.maintenance.audit import log_step, of_result
from sa_partman.maintenance.results import Outcome, StepResult
from sa_partman.observe.health import LOGGER, JsonFormatter
from tests.support.builders import Catalog, context, declare


def shown(record: logging.LogRecord) -> dict[str, Any]:
    line = JsonFormatter().format(record)
    assert "\n" not in line
    document: dict[str, Any] = json.loads(line)
    return document


def record(message: str, *arguments: object, **fields: object) -> logging.LogRecord:
    made = logging.LogRecord("sa_partman", logging.INFO, __file__, 1, message, arguments, None)
    made.created = 1_700_000_000.25
    vars(made).update(fields)
    return made


def result(outcome: Outcome, error: str = "", blockers: tuple[str, ...] = ()) -> StepResult:
    catalog = Catalog(declare(PartitionByRange("created_at", interval="1 month", premake=0)))
    (step,) = catalog.plan(context("2026-01-15")).steps
    return StepResult(step, outcome, 0.12345678, error, None, blockers)


def test_a_record() -> None:
    assert {
        "time": "2023-11-14T22:13:20.250+00:00",
        "level": "info",
        "logger": "sa_partman",
        "message": "3 of é",
        "run": "abcd1234",
        "rows": 0,
        "blockers": ["pid 1"],
    } == shown(record("%d of %s", 3, "é", run="abcd1234", rows=0, blockers=("pid 1",), table=None))


def test_lines_and_odd_values_stay_in_one_line() -> None:
    """A newline in a message, and a value that JSON does not have."""
    assert ("a\nb", "1+2j") == ((found := shown(record("a\nb", rows=1 + 2j)))["message"], found["rows"].strip("()"))


def test_an_exception() -> None:
    made = record("it failed")
    try:
        raise ZeroDivisionError("oh")
    except ZeroDivisionError as error:
        made.exc_info = (type(error), error, error.__traceback__)

    assert "ZeroDivisionError: oh" in shown(made)["exception"]


@pytest.mark.parametrize(
    ("outcome", "error", "level"),
    [
        (Outcome.DONE, "", "INFO"),
        (Outcome.SUPERSEDED, "", "INFO"),
        (Outcome.DONE, "a hook failed after it", "WARNING"),
        (Outcome.VETOED, "no", "WARNING"),
        (Outcome.DEFERRED, "no lock", "WARNING"),
        (Outcome.FAILED, "refused", "WARNING"),
    ],
)
def test_the_level_of_a_step(caplog: pytest.LogCaptureFixture, outcome: Outcome, error: str, level: str) -> None:
    """What is not as it should be is a warning."""
    with caplog.at_level("INFO", LOGGER.name):
        log_step("abcd1234", of_result(result(outcome, error, ("pid 7",))))
    (logged,) = caplog.records

    assert level == logged.levelname
    assert ("abcd1234", "public.events", "provision", outcome.value, 0.1235, ("pid 7",)) == tuple(
        getattr(logged, name) for name in ("run", "table", "purpose", "outcome", "seconds", "blockers")
    )


def test_sql_is_for_debugging(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG", LOGGER.name):
        log_step("abcd1234", of_result(result(Outcome.DONE)))
    said = [getattr(each, "sql", "") for each in caplog.records]

    assert [True, False] == ["sql" in vars(each) for each in (caplog.records[1], caplog.records[0])]
    assert any(each.startswith("CREATE TABLE") for each in said)


def test_the_library_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    """Where nobody configured logging, Python's last resort must not print our warnings."""
    assert any(isinstance(each, logging.NullHandler) for each in LOGGER.handlers)
    assert logging.NOTSET == LOGGER.level
