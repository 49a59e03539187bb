"""Each option of each command does something, or is refused: a table of verdicts, which a new option has to enter."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from sa_partman.cli.main import COMMANDS, group, run

WAYS: dict[str, tuple[str, ...]] = {
    "": (),
    **{name: (f"--{name}",) for name in ("plan", "sql", "json", "yes")},
    **{name: (f"--{name}",) for name in ("resume", "abort", "pause", "undo", "finalize", "state")},
}
"""Of whatever moves rows."""

REWRITES: dict[str, dict[str, tuple[str, ...]]] = {
    "split": {},
    "merge": {"older-than": ("--older-than", "1 year")},
    "drain": {},
    "regrid": {},
    "unpartition": {},
}

MODES: dict[str, dict[str, tuple[str, ...]]] = {
    "plan": {"": (), "sql": ("--sql",), "json": ("--json",)},
    "run": {
        "": (),
        "dry-run": ("--dry-run",),
        "sql": ("--sql",),
        "json": ("--json",),
        "every": ("--every", "1h"),
        "yes": ("--yes",),
        "max-rows": ("--max-rows", "7"),
        "adopt": ("--adopt",),
        "regrid": ("--regrid",),
    },
    "provision": {"": (), "dry-run": ("--dry-run",), "sql": ("--sql",), "json": ("--json",), "yes": ("--yes",)},
    "prune": {"": (), "dry-run": ("--dry-run",), "sql": ("--sql",), "json": ("--json",), "yes": ("--yes",)},
    "check": {"": (), "json": ("--json",), "prometheus": ("--prometheus",)},
    "status": {"": (), "json": ("--json",), "all": ("--all",)},
    "convert": {
        "": (),
        "plan": ("--plan",),
        "sql": ("--sql",),
        "resume": ("--resume",),
        "abort": ("--abort",),
        "pause": ("--pause",),
        "undo": ("--undo",),
        "finalize": ("--finalize",),
        "state": ("--state",),
        "json": ("--json",),
        "boundary": ("--boundary", "2030-01-01"),
        "copy": ("--strategy", "copy"),
        "yes": ("--yes",),
    },
    **{name: {**WAYS, **more} for name, more in REWRITES.items()},
    "archive list": {"": ()},
    "archive verify": {"": ()},
    "archive restore": {"": ()},
    "demo": {"": ()},
}
"""The ways in which each command can be called: an option may make sense in one and not in another."""

ARGUMENTS = {
    **dict.fromkeys(("convert", "split", "merge", "drain", "regrid", "unpartition"), ("events",)),
    "archive list": (".",),
    "archive verify": ("x",),
    "archive restore": ("x",),
}
VALUES = {
    "--metadata": "nowhere",
    "--url": "postgresql://nowhere/x",
    "--table": "events",
    "--schema": "public",
    "--at": "2030-01-01",
    "--config": "nowhere.ini",
    "--log-format": "json",
    "--log-level": "info",
    "--audit": "monitoring",
    "--limit": "3",
    "--max-rows": "7",
    "--tenant": "a",
    "--every": "1h",
    "--listen": "9187",
    "--min-horizon": "7d",
    "--max-age": "2d",
    "--as-role": "me",
    "--lead": "2 hours",
    "--boundary": "2030-01-01",
    "--inbound": "drop",
    "--unique": "u=drop",
    "--split-history": "1 month",
    "--strategy": "copy",
    **dict.fromkeys(("--lock-timeout", "--budget", "--table-budget", "--run-budget", "--stall", "--turn"), "1s"),
    "--lease": "2min",
    "--into": "1 month",
    "--older-than": "1 year",
    "--throttle": "rows=5",
}
"""What is typed behind each option that takes something."""

SHARED = {
    "--metadata": "",
    "--url": "",
    "--table": "",
    "--schema": "",
    "--at": "",
    "--json": "",
    "--no-color": "",
    "--config": "",
    "--verbose": "",
    "--log-format": "",
    "--log-level": "",
    "--audit": "",
}
LOCKS = {
    **dict.fromkeys(("--lock-timeout", "--budget"), "dry-run"),
    **dict.fromkeys(("--table-budget", "--run-budget", "--stall", "--turn", "--lease"), "dry-run sql"),
}
"""Of what changes something: a script has the first two."""
ON = "resume abort pause undo finalize state"
REWRITE = {
    **SHARED,
    "--table": "all-modes",
    "--schema": "all-modes",
    "--audit": "plan sql pause state",
    **dict.fromkeys(("--lock-timeout", "--budget"), "plan pause state"),
    **dict.fromkeys(("--stall", "--lease"), "plan sql pause state"),
    "--at": ON,
    "--json": "sql",
    "--plan": f"{ON} yes",
    "--sql": f"{ON} json yes",
    **{f"--{each}": f"plan sql {ON.replace(each, '')}" for each in ON.split()},
    "--pause": f"plan sql {ON.replace('pause', '')} yes",
    "--state": f"plan sql {ON.replace('state', '')} yes",
    "--throttle": "sql abort pause finalize state",
    "--yes": "plan sql pause state",
}
"""Of whatever moves rows."""

VERDICTS: dict[str, dict[str, str]] = {
    "plan": {
        **SHARED,
        "--audit": "all-modes",
        "--sql": "json",
        "--json": "sql",
        "--regrid": "",
        **dict.fromkeys(("--lock-timeout", "--budget"), "'' json"),
    },
    "run": {
        **SHARED,
        **LOCKS,
        "--json": "sql",
        "--audit": "dry-run sql",
        "--dry-run": "every yes",
        "--sql": "every yes json",
        "--yes": "dry-run sql",
        "--limit": "",
        "--max-rows": "every",
        "--repair": "",
        "--adopt": "every",
        "--regrid": "every",
        "--every": "dry-run sql max-rows adopt regrid",
        # Alone it tells of runs that come again and again, and there are none.
        "--listen": "'' dry-run sql json yes max-rows adopt regrid",
    },
    "provision": {
        **SHARED,
        **LOCKS,
        "--json": "sql",
        "--audit": "dry-run sql",
        "--tenant": "",
        "--max-rows": "",
        "--dry-run": "yes",
        "--sql": "yes json",
        # It never asks; a job that gives --yes to every command must not fail for it.
        "--yes": "dry-run sql",
    },
    "prune": {
        **SHARED,
        **LOCKS,
        "--json": "sql",
        "--audit": "dry-run sql",
        "--tenant": "",
        "--limit": "",
        "--dry-run": "yes",
        "--sql": "yes json",
        "--yes": "dry-run sql",
    },
    # --audit says where to look for the last run.
    "check": {
        **SHARED,
        "--json": "prometheus",
        "--prometheus": "json",
        "--min-horizon": "",
        "--max-age": "",
        "--as-role": "",
        "--lease": "",
    },
    "status": {**SHARED, "--audit": "all-modes", "--json": "all", "--all": "json"},
    "convert": {
        **SHARED,
        "--table": "all-modes",
        "--schema": "all-modes",
        "--audit": "plan sql pause state",
        **dict.fromkeys(("--lock-timeout", "--budget"), "plan pause state"),
        **dict.fromkeys(("--stall", "--lease"), "plan sql pause state"),
        "--at": ON,
        "--json": "sql",
        "--plan": f"{ON} yes",
        "--sql": f"{ON} json yes",
        **{f"--{each}": f"{ON.replace(each, '').strip()} plan sql boundary copy" for each in ON.split()},
        "--pause": f"{ON.replace('pause', '')} plan sql boundary copy yes",
        "--state": f"{ON.replace('state', '')} plan sql boundary copy yes",
        "--lead": f"{ON} boundary copy",
        "--boundary": f"{ON} copy",
        "--inbound": ON,
        "--unique": ON,
        "--split-history": f"{ON} copy",
        "--strategy": f"{ON} boundary",
        "--throttle": "'' plan sql json yes boundary abort pause finalize state",
        "--max-rows": "'' plan sql resume abort pause finalize state json boundary copy yes",
        "--yes": "plan sql pause state",
    },
    "split": {**REWRITE, "--into": ON, "--older-than": ON},
    "merge": {
        **REWRITE,
        **{f"--{each}": f"{REWRITE[f'--{each}']} older-than" for each in ON.split()},
        "--older-than": ON,
        "--into": f"'' plan sql json yes {ON}",
    },
    "drain": REWRITE,
    "regrid": REWRITE,
    "unpartition": REWRITE,
    "archive list": {"--json": ""},
    "archive verify": {"--json": ""},
    "archive restore": {**SHARED, "--audit": "all-modes", "--schema": "all-modes"},
    "demo": {"--keep": "", "--history": ""},
}
"""
By command and option: the modes in which it would do nothing, or contradict the mode; '' is the plain call. In all
others it does something.
"""

REFUSALS = (
    "does nothing",
    "don't go together",
    "is for a single run",
    "add --every",
    "takes its table without",
    "takes one table:",
)


def commands() -> Iterator[tuple[str, click.Command]]:
    ctx = click.Context(group)
    for name in COMMANDS:
        command = group.get_command(ctx, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from ((f"{name} {each}", command.commands[each]) for each in command.commands)
        else:
            yield name, command


def options() -> Iterator[tuple[str, click.Option]]:
    for name, command in commands():
        yield from ((name, each) for each in command.params if isinstance(each, click.Option))


def spelled(option: click.Option) -> str:
    return max(option.opts, key=len)


def arguments(command: str, mode: str) -> tuple[str, ...]:
    """What stands beside the options: partitions to merge, or the table whose merge it is."""
    if command == "merge" and mode in ("", "plan", "sql", "json", "yes"):
        return ("events_a", "events_b")
    return ARGUMENTS.get(command, ())


def refused(command: str, option: str) -> set[str]:
    listed = VERDICTS[command][option]
    return set(MODES[command]) if listed == "all-modes" else {each.strip("'") for each in listed.split()}


def test_every_option_has_a_verdict() -> None:
    found = {(name, spelled(option)) for name, option in options()}

    assert {(name, each) for name, table in VERDICTS.items() for each in table} == found
    assert set(MODES) == {name for name, _ in commands()}


CASES = [
    pytest.param(name, option, mode, id=f"{name} {spelled(option)} {mode}".strip())
    for name, option in options()
    for mode, typed in MODES[name].items()
    if spelled(option) not in typed and name != "demo"
]


@pytest.mark.parametrize(("command", "option", "mode"), CASES)
def test_what_does_nothing_is_refused_and_nothing_else_is(
    command: str,
    option: click.Option,
    mode: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is accepted ends when the metadata is looked for; nothing else is done before."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SA_PARTMAN_METADATA", "nowhere_at_all")
    name = spelled(option)
    typed = (name,) if option.is_flag else (f"{name}={VALUES[name]}",)
    code = run([*command.split(), *arguments(command, mode), *MODES[command][mode], *typed])
    said = capsys.readouterr().err

    assert (mode in refused(command, name)) == any(each in said for each in REFUSALS), said
    assert code == 2 or command.startswith("archive")


def test_what_the_environment_says_is_refused_nowhere(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is meant for other commands, too."""
    monkeypatch.chdir(tmp_path)
    for name, value in (("METADATA", "nowhere_at_all"), ("AUDIT", "1"), ("AT", "2030-01-01")):
        monkeypatch.setenv(f"SA_PARTMAN_{name}", value)

    for arguments in (["status"], ["plan"], ["run", "--dry-run"], ["convert", "events", "--state"]):
        run(arguments)
        assert "nowhere_at_all" in capsys.readouterr().err
