"""``sa-partman archive``, and ``--limit``."""

import json
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from tests.support.command import Project

pytestmark = pytest.mark.once

LATER = "2030-10-15"
JUNE = "public.events_p20300601"


@pytest.fixture
def archive(events: Project, engine: Engine) -> Path:
    """A folder with the archives of June and July, and a row in June's."""
    folder = events.folder / "archive"
    folder.mkdir()
    model = (events.folder / "models.py").read_text()
    model = model.replace('then="drop"', f"then=Archive({str(folder)!r})").replace(
        "import Part", "import Archive, Part"
    )
    (events.folder / "models.py").write_text(model)
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO events (created_at) VALUES ('2030-06-09')"))
    ended = events.run("run", "--at", LATER, "--yes")
    assert (0, "") == (ended.code, ended.err)
    return folder


def test_what_a_run_says(events: Project, archive: Path) -> None:
    """Everything was archived and dropped by the fixture, so nothing is left."""
    assert (0, "Nothing to do.\n") == ((ended := events.run("run", "--at", LATER, "--yes")).code, ended.out)
    assert 4 == len(list(archive.iterdir()))


def test_list(events: Project, archive: Path) -> None:
    ended = events.run("archive", "list", str(archive))
    first, second = ended.out.splitlines()

    assert 0 == ended.code
    assert first.startswith(f"{JUNE}  1 rows  ")
    assert second.endswith(f"{archive}/public.events_p20300701.manifest.json")
    found = events.run("archive", "list", str(archive), "--json").json["archives"]
    assert [("events_p20300601", 1), ("events_p20300701", 0)] == [
        (each["partition"]["name"], each["rows"]) for each in found
    ]


def test_list_of_nothing(events: Project, tmp_path: Path) -> None:
    assert (0, "") == ((ended := events.run("archive", "list", str(tmp_path))).code, ended.out)
    assert f"No archives at {tmp_path}." in ended.err
    assert 2 == events.run("archive", "list", str(tmp_path / "nowhere")).code


def test_verify(events: Project, archive: Path) -> None:
    """0 when every one is good, 1 when one is damaged; no database is needed."""
    manifests = [str(path) for path in sorted(archive.glob("*.json"))]
    good = events.run("archive", "verify", *manifests, SA_PARTMAN_DATABASE_URL=None)
    assert (0, 2) == (good.code, good.out.count("ok  "))
    data = archive / f"{JUNE}.csv.gz"
    data.write_bytes(data.read_bytes()[:-1])
    bad = events.run("archive", "verify", *manifests)
    assert (1, 1) == (bad.code, bad.out.count("ok  "))
    assert f"DAMAGED  {data}" in bad.err
    assert [True, False] == [
        bool(each["error"]) for each in events.run("archive", "verify", *manifests, "--json").json["archives"]
    ]


def test_restore(events: Project, engine: Engine, archive: Path) -> None:
    ended = events.run("archive", "restore", str(archive / f"{JUNE}.manifest.json"))

    assert 0 == ended.code
    assert f"{JUNE} is a partition of public.events again, with 1 rows.\n" == ended.out
    assert "Retention leaves it alone: drop it, or remove its comment and: sa-partman run --adopt" in ended.err
    with engine.connect() as connection:
        assert 1 == connection.execute(text("SELECT count(*) FROM events")).scalar()
    again = events.run("archive", "restore", str(archive / f"{JUNE}.manifest.json"))
    assert 3 == again.code
    assert "nothing was restored" in again.err
    assert (0, "Nothing to do.\n") == ((run := events.run("run", "--at", LATER, "--yes")).code, run.out)
    checked = events.run("check", "--at", LATER)
    assert "restored from an archive" in checked.out


def test_restore_as_json(events: Project, archive: Path) -> None:
    ended = events.run("archive", "restore", str(archive / f"{JUNE}.manifest.json"), "--table", "events", "--json")

    assert {
        "table": "public.events",
        "partition": JUNE,
        "bound": "[2030-06-01, 2030-07-01)",
        "rows": 1,
    } == json.loads(ended.out)


def test_verify_of_a_directory(events: Project, archive: Path) -> None:
    """Somebody forgot the manifest's name."""
    ended = events.run("archive", "verify", str(archive))

    assert 2 == ended.code
    assert f"{archive} is a directory; name a manifest in it" in ended.err


def test_restore_of_nothing(events: Project, archive: Path) -> None:
    ended = events.run("archive", "restore", str(archive / "nothing.json"))

    assert 2 == ended.code
    assert "can't be read" in ended.err


@pytest.mark.parametrize("command", ["run", "prune"])
def test_a_limit(events: Project, command: str) -> None:
    """The rest goes with later runs; it is no failure."""
    ended = events.run(command, "--at", LATER, "--yes", "--limit", "1")

    assert 0 == ended.code
    assert "events_p20300601" in ended.out
    assert "events_p20300701" not in ended.out
    assert "1 more is due to go, and one run removes at most 1" in ended.err
    assert "events_p20300701" in events.run("prune", "--at", LATER, "--yes", "--limit", "1").out
    assert 2 == events.run("prune", "--at", LATER, "--limit", "-1").code


def test_where_nobody_is_asked_nothing_goes(events: Project) -> None:
    """A plan that removes is not run without --yes, whatever the limit."""
    assert 2 == events.run("prune", "--at", LATER, "--limit", "1").code
    assert 0 == events.run("prune", "--at", LATER, "--limit", "0").code
