"""What the pages show is run: Python blocks on a real server; each command line is one that the command takes."""

from __future__ import annotations

import logging
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from sqlalchemy import Column, Engine, MetaData, Table, Text, select

from sa_partman import Maintainer
from sa_partman.cli.main import group
from tests.support.command import ROOT
from tests.support.database import partitions

PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
EXAMPLE = "<!-- run: events.py -->"
LOCAL = "```(?:sh|cron|crontab)\n(.*?)```"


def blocks(page: Path) -> list[str]:
    """The page's Python, but for declarations alone: the first example stands in for them."""
    found = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [each for each in found if "class Base(" not in each]


def lines(page: Path) -> Iterator[str]:
    """Every command line, in blocks and between backticks, from ``sa-partman`` on."""
    text = page.read_text(encoding="utf-8")
    shown = [line for block in re.findall(LOCAL, text, re.DOTALL) for line in block.splitlines()]
    shown += re.findall(r"^    (sa-partman .*)$", text, re.MULTILINE) + re.findall(r"`(sa-partman [^`|]*)`", text)
    for line in shown:
        found = re.search(r"sa-partman (?!demo\b)([a-z].*)", line.partition("#")[0].partition(">")[0])
        if found:
            yield found[1]


def run(code: str, names: dict[str, Any]) -> None:
    """*code* as a module of its own: the futures of this one are not its."""
    exec(compile(code, "<page>", "exec", dont_inherit=True), names)


@pytest.fixture
def names(engine: Engine) -> Iterator[dict[str, Any]]:
    """What a reader has who read the README first; the library's logging is put back afterwards."""
    (example,) = re.findall(rf"{EXAMPLE}\n```python\n(.*?)```", PAGES[0].read_text(encoding="utf-8"), re.DOTALL)
    found: dict[str, Any] = {"__name__": "events", "engine": engine, "engines": [engine], "select": select}
    run(example, found)
    found["Base"].metadata.create_all(engine)
    found["Tenant"] = Table("tenants", MetaData(), Column("schema_name", Text)).c
    log = logging.getLogger("sa_partman")
    level, handlers = log.level, [*log.handlers]
    yield found
    log.setLevel(level)
    log.handlers[:] = handlers


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: page.stem)
def test_python_runs_as_it_stands(page: Path, names: dict[str, Any]) -> None:
    """But for the port, which may be in use."""
    for block in blocks(page):
        run(block.replace("listen=9187", 'listen="127.0.0.1:0"'), {**names})


def test_the_hooks_of_the_page_are_asked(names: dict[str, Any], engine: Engine) -> None:
    async def names_on_hold() -> set[str]:
        return held

    (hooks,) = (each for each in blocks(ROOT / "docs" / "jobs.md") if "@before" in each)
    run(hooks, names := {**names, "names_on_hold": names_on_hold})
    held = {min(partitions(engine))}
    asked = [names["keep_what_is_on_hold"], names["tell"]]
    later = names["datetime"](2040, 1, 1).astimezone()
    result = Maintainer(engine, names["Base"].metadata, now=later, hooks=asked).run()

    assert result.ok, str(result)
    assert held < set(partitions(engine))
    assert [("vetoed", "keep_what_is_on_hold: legal hold")] == [
        (step.outcome.value, step.error) for step in result.steps if step.outcome.value != "done"
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_command_lines_are_ones_that_the_command_takes(page: Path) -> None:
    for line in lines(page):
        _parsed(shlex.split(line), line)


def _parsed(arguments: list[str], line: str) -> None:
    command: click.Command = group
    while isinstance(command, click.Group) and arguments:
        found = command.get_command(click.Context(command), arguments[0])
        assert found is not None, line
        command, arguments = found, arguments[1:]
    values = [each for each in arguments if not each.startswith("-")]
    needed = [each for each in command.params if isinstance(each, click.Argument)]
    if isinstance(command, click.Group) or (needed and not values):
        return  # a sentence names the command alone
    command.make_context("sa-partman", arguments, resilient_parsing=False)


def test_command_lines_are_found() -> None:
    found = [line for page in PAGES for line in lines(page)]

    assert {"run", "plan", "check", "convert", "archive", "status"} <= {line.split()[0] for line in found}
    assert "check --prometheus" in {line.strip() for line in found}


def test_links_between_the_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target, fragment in re.findall(r"\]\(([^)#\s]*)(#[^)]*)?\)", page.read_text(encoding="utf-8")):
            where = page.parent / target if target else page
            assert "://" in target or where.exists(), (page.name, target)
            if fragment:
                headings = re.findall(r"^#+ (.*)$", where.read_text(encoding="utf-8"), re.MULTILINE)
                assert fragment[1:] in {_anchor(each) for each in headings}, (page.name, fragment)


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
