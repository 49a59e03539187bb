"""``sa-partman check``: what is asked for, how it is printed, and how it ends."""

import pytest
from sqlalchemy import Engine

from tests.support.command import AT, Project
from tests.support.database import role, sql

pytestmark = pytest.mark.once

parser = pytest.importorskip("prometheus_client.parser")


def test_no_problem(events: Project) -> None:
    ended = events.run("check", "--at", AT)

    assert (0, "No problems.\n", "") == (ended.code, ended.out, ended.err)


@pytest.mark.parametrize(("wanted", "code"), [("78d", 0), ("2 months", 0), ("79d", 1), ("3 months", 1)])
def test_a_horizon_of_ones_own(events: Project, wanted: str, code: int) -> None:
    """Partitions end with August, 78 days after 15 June."""
    assert code == events.run("check", "--at", AT, "--min-horizon", wanted).code


def test_a_short_horizon_says_what_to_do(events: Project) -> None:
    ended = events.run("check", "--at", AT, "--min-horizon", "90d")

    assert (
        "ERROR    public.events: public.events is ready for 2 whole intervals and 78.0 days from now, up to "
        "2030-09-01; at least 90 days were asked for\n"
        "         -> set premake=3 in the declaration, then run: sa-partman run\n"
        "1 problem.\n" == ended.out
    )


def test_json_has_the_same(events: Project) -> None:
    ended = events.run("check", "--at", AT, "--min-horizon", "90d", "--json")

    assert 1 == ended.json["problems"]
    assert {"code", "severity", "table", "message", "remedy"} == set(ended.json["findings"][0])
    assert ("short-runway", "error") == (ended.json["findings"][0]["code"], ended.json["findings"][0]["severity"])


@pytest.mark.parametrize("option", ["--min-horizon", "--max-age"])
def test_no_length_is_wrong_usage(events: Project, option: str) -> None:
    ended = events.run("check", option, "soon")

    assert 2 == ended.code
    assert "'soon' is not an interval" in ended.err


def test_another_role(events: Project, engine: Engine) -> None:
    """What it lacks, with the statement that helps."""
    with role(engine) as name:
        ended = events.run("check", "--at", AT, "--as-role", name)

    assert 1 == ended.code
    assert "does not own public.events" in ended.out
    assert "OWNER TO" in ended.out


def test_a_role_that_does_not_exist_is_wrong_usage(events: Project) -> None:
    ended = events.run("check", "--at", AT, "--as-role", "nobody_of_that_name")

    assert 2 == ended.code
    assert "nobody_of_that_name" in ended.err


def test_runs_that_do_not_come(events: Project, engine: Engine) -> None:
    """An audited run, and then none for a week."""
    events.run("run", "--at", AT, "--yes", "--audit")
    before = events.run("check", "--at", AT, "--max-age", "1d")
    sql(engine, "UPDATE sa_partman_runs SET finished = finished - interval '7 days'")
    after = events.run("check", "--at", AT, "--max-age", "1d")

    assert (0, 1) == (before.code, after.code)
    assert after.out.startswith("WARNING  no run has ended well for 7.0 days")


@pytest.mark.parametrize(
    ("arguments", "environment", "schema"),
    [
        (["--audit"], {}, "public"),
        (["--audit=watch"], {}, "watch"),
        ([], {"SA_PARTMAN_AUDIT": "1"}, "public"),
        ([], {"SA_PARTMAN_AUDIT": "watch"}, "watch"),
        ([], {"SA_PARTMAN_AUDIT": "0"}, None),
        ([], {}, None),
    ],
)
def test_where_the_audit_goes(
    events: Project, engine: Engine, arguments: list[str], environment: dict[str, str], schema: str | None
) -> None:
    sql(engine, "CREATE SCHEMA watch")
    ended = events.run("run", "--at", AT, "--yes", *arguments, **environment)
    there = sql(engine, "SELECT relnamespace::regnamespace::text FROM pg_class WHERE relname = 'sa_partman_runs'")

    assert 0 == ended.code
    assert ([] if schema is None else [schema]) == [row[0] for row in there]


def test_metrics_for_a_textfile_collector(events: Project) -> None:
    """Nothing but metrics on stdout; the exit code is that of the check."""
    events.run("run", "--at", AT, "--yes", "--audit")
    good = events.run("check", "--at", AT, "--prometheus")
    bad = events.run("check", "--at", "2030-10-01", "--prometheus")
    read = {
        (sample.name, sample.labels.get("code", sample.labels.get("state", ""))): sample.value
        for family in parser.text_string_to_metric_families(bad.out)
        for sample in family.samples
    }

    assert (0, 1) == (good.code, bad.code)
    assert "sa_partman_findings" not in good.out
    assert 'sa_partman_horizon_seconds{table="public.events"} 6739200' in good.out
    assert "sa_partman_last_success_timestamp_seconds 1" in good.out
    assert 1 == read["sa_partman_findings", "no-current"]
    assert 0 == read["sa_partman_horizon_seconds", ""]


def test_help_lists_what_can_be_asked(project: Project) -> None:
    shown = project.run("check", "--help").out

    assert all(option in shown for option in ("--min-horizon", "--max-age", "--as-role", "--prometheus", "--audit"))
