"""Options of the command line that don't go together, or have no value that can be read."""

from __future__ import annotations

from unittest.mock import patch

from sa_partman.maintenance.serving import Service
from tests.remedies.row import Box, Meant, Row, Step, Way
from tests.remedies.rows.models import EVENTS, PLAIN


def repeated(options: str) -> Step:
    """Accepted; it would not end."""

    def run(box: Box) -> None:
        with patch.object(Service, "run", lambda service: None):
            box.do(f"sa-partman run {options}")

    return run


def usage(says: str, wrong: str, *right: Way, plain: bool = False) -> Row:
    return Row(says, right, EVENTS, (PLAIN if plain else Box.create,), wrong, None)


USAGE = (
    usage(
        "--sql and --json don't go together: the JSON of a plan has its SQL, too",
        "sa-partman run --sql --json",
        Meant("sa-partman run --sql"),
        Meant("sa-partman run --dry-run --json"),
    ),
    usage(
        "--plan and --abort don't go together; give one of them",
        "sa-partman convert events --plan --abort",
        Meant("sa-partman convert events --plan"),
        plain=True,
    ),
    usage(
        "--lead does nothing with --state",
        "sa-partman convert events --state --lead 2h",
        Meant("sa-partman convert events --state"),
        plain=True,
    ),
    usage(
        "--adopt is for a single run; leave out --every and --listen",
        "sa-partman run --adopt --every 1h --yes",
        Meant("sa-partman run --adopt --yes"),
    ),
    usage(
        "--max-rows is for a single run in a maintenance window; leave out --every and --listen",
        "sa-partman run --max-rows 7 --every 1h --yes",
        Meant("sa-partman run --max-rows 7 --yes"),
    ),
    usage(
        "--listen is for repeated runs; add --every 1h",
        "sa-partman run --listen 127.0.0.1:0 --yes",
        repeated("--listen 127.0.0.1:0 --every 1h --yes"),
    ),
    usage(
        "--every and --dry-run or --sql don't go together; to see what a run would do: sa-partman plan",
        "sa-partman run --every 1h --dry-run",
        "sa-partman plan",
    ),
    usage(
        "--every serves one database; start one process for each --url",
        "sa-partman run --every 1h --yes --url postgresql://a/a --url postgresql://b/b",
        repeated("--every 1h --yes"),
    ),
    usage(
        "Invalid value for '--every': 'often' is not an interval; write a number and a unit: '1 month', '2 weeks', '15 "
        "minutes' (units: second, minute, hour, day, week, month, quarter, year)",
        "sa-partman run --every often --yes",
        repeated("--every '15 minutes' --yes"),
    ),
    usage(
        "--prometheus and --json don't go together",
        "sa-partman check --prometheus --json",
        Meant("sa-partman check --prometheus"),
        Meant("sa-partman check --json"),
    ),
    usage(
        "Invalid value for '--budget': '5' is not a length of time; write it with its unit, such as 200ms, 5s or 2min",
        "sa-partman run --yes --budget 5",
        Meant("sa-partman run --yes --budget 5s"),
        Meant("sa-partman run --yes --budget 2min"),
    ),
)
