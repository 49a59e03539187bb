"""What can go wrong while a table is archived: it is never dropped without an archive that holds its very rows."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Literal

import pytest
from sqlalchemy import Engine, create_engine, event

from sa_partman import Archive, Maintainer
from sa_partman.archive import archiving, dropping
from sa_partman.archive.places import Directory
from sa_partman.errors import Veto
from sa_partman.ports import before
from tests.support import faces
from tests.support.archives import MARCH, OLD, comment, count, is_there, january, lines, manifests, monthly
from tests.support.builders import at
from tests.support.database import HASTY, as_role, holding, outcomes, role, sql, upkeep
from tests.support.faces import ASYNC_FACES
from tests.support.killing import die
from tests.support.processes import started

FORMATS: tuple[Literal["csv.gz", "parquet"], ...] = ("csv.gz", "parquet")


# -- killed ------------------------------------------------------------------------------------------------------------


def dying(url: str, now: datetime, folder: str, point: str) -> None:
    """In a process of its own: archives, and dies at *point*."""
    engine = create_engine(url)
    if point == "rows":
        Directory.create = _dying_in_the_middle  # type: ignore[method-assign]
    elif point.startswith("link"):
        numbered, link = iter(range(9)), os.link

        def linking(*names: Any) -> None:
            if next(numbered) == int(point[-1]):
                die()
            link(*names)

        os.link = linking  # type: ignore[assignment]
    else:
        event.listen(engine, "before_cursor_execute", lambda *given: die() if point in given[2] else None)
    Maintainer(engine, monthly(Archive(folder)).metadata, now=now).prune()


@contextmanager
def _dying_in_the_middle(self: Directory, name: str, token: str) -> Iterator[IO[bytes]]:
    with (self.path / f".sa_partman.{token}.partial").open("wb") as file:
        yield _Dying(file)  # type: ignore[misc]


class _Dying:
    def __init__(self, file: IO[bytes]) -> None:
        self.file = file

    def write(self, data: bytes) -> int:
        self.file.write(data[: len(data) // 2])
        self.file.flush()
        die()
        return 0


@pytest.mark.parametrize(
    ("point", "left"),
    [
        ("rows", []),
        ("link0", []),
        ("link1", [f"public.{OLD}.csv.gz"]),
        ("DROP TABLE", [f"public.{OLD}.csv.gz", f"public.{OLD}.manifest.json"]),
    ],
)
def test_killed_while_archiving(engine: Engine, tmp_path: Path, point: str, left: list[str]) -> None:
    """kill -9 with half a file, before it has its name, before the manifest, before the drop; the next run ends it."""
    table = monthly(Archive(tmp_path))
    january(engine, table, 50)
    child = started(dying, engine.url.render_as_string(False), at(MARCH), str(tmp_path), point)
    child.join(60)

    assert -signal.SIGKILL == child.exitcode
    assert left == Directory(tmp_path).names()
    assert 50 == count(engine)
    sql(
        engine, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name LIKE 'sa_partman%'"
    )

    assert upkeep(engine, table, MARCH).prune().ok
    assert not is_there(engine)
    assert [50] == [each["rows"] for each in manifests(tmp_path)]
    assert not upkeep(engine, table, MARCH).prune()
    assert [] == list(tmp_path.glob(".*.partial"))
    assert 1 == len(list(tmp_path.glob("*.csv.gz")))


# -- a place that does not take it, or gives back something else -------------------------------------------------------


class Full(Directory):
    """Has no room for more than a few bytes."""

    @contextmanager
    def create(self, name: str, token: str) -> Iterator[IO[bytes]]:
        with super().create(name, token) as file:
            yield _Small(file)  # type: ignore[misc]


class _Small:
    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.room = file, 20

    def write(self, data: bytes) -> int:
        self.room -= len(data)
        if self.room < 0:
            raise OSError(28, "No space left on device")
        return self.file.write(data)

    def flush(self) -> None:
        self.file.flush()


class Flipping(Directory):
    """Changes one bit of what it was given, as soon as it is there."""

    @contextmanager
    def create(self, name: str, token: str) -> Iterator[IO[bytes]]:
        with super().create(name, token) as file:
            yield file
        if not name.endswith(".json"):
            flip(self.path / name)


def flip(path: Path, place: int = -20) -> None:
    """One bit of the file."""
    content = bytearray(path.read_bytes())
    content[place] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize("rows", [3, 30_000])
def test_a_full_place(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    """The table stays, marked; nothing of the archive does; later, with room, all goes well."""
    table = monthly(Archive(tmp_path))
    january(engine, table, 3)
    sql(engine, f"INSERT INTO events (id, created_at) SELECT i, '2026-01-02' FROM generate_series(4, {rows}) i")
    with monkeypatch.context() as patched:
        patched.setattr(archiving, "place_of", lambda to: Full(to))
        result = upkeep(engine, table, MARCH).prune()

    assert ["done", "failed"] == outcomes(result)
    assert "No space left on device; nothing was removed" in result.steps[1].error
    assert [] == list(tmp_path.iterdir())
    assert (rows, True) == (count(engine), (comment(engine) or "").startswith("sa_partman: detached"))
    assert upkeep(engine, table, MARCH).prune().ok
    assert rows == len(lines(tmp_path))


def test_a_directory_that_is_not_there(engine: Engine, tmp_path: Path) -> None:
    """A mount that is missing is not taken for an empty archive; the other tables go on."""
    table = monthly(Archive(tmp_path / "mount"))
    january(engine, table)
    result = upkeep(engine, table, MARCH).run()

    assert "failed" in outcomes(result)
    assert f"{tmp_path}/mount is no directory; nothing was archived or read" in result.steps[-1].error
    assert 5 == count(engine)


def test_a_directory_that_is_read_only(engine: Engine) -> None:
    """Nobody can write into /proc, not even root."""
    table = monthly(Archive("/proc"))
    january(engine, table)
    result = upkeep(engine, table, MARCH).prune()

    assert ["done", "failed"] == outcomes(result)
    assert "the archive at /proc failed" in result.steps[1].error
    assert 5 == count(engine)


def test_an_extra_that_is_missing(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says how to install it; the table stays."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    table = monthly(Archive("s3://bucket/folder"))
    january(engine, table)
    result = upkeep(engine, table, MARCH).prune()

    assert ["done", "failed"] == outcomes(result)
    assert "install it with: pip install 'sa-partman[archive]'" in result.steps[1].error
    assert 5 == count(engine)


@pytest.mark.parametrize("format", FORMATS)
def test_a_bit_that_flips_while_it_is_written(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: Literal["csv.gz", "parquet"]
) -> None:
    """It is read back before it gets a manifest; what is wrong is taken away again."""
    table = monthly(Archive(tmp_path, format))
    january(engine, table, 50)
    with monkeypatch.context() as patched:
        patched.setattr(archiving, "place_of", lambda to: Flipping(to))
        result = upkeep(engine, table, MARCH).prune()

    assert ["done", "failed"] == outcomes(result)
    assert "its bytes are not those that were written" in result.steps[1].error
    assert ([], 50) == (list(tmp_path.iterdir()), count(engine))
    assert upkeep(engine, table, MARCH).prune().ok


@pytest.mark.parametrize("format", FORMATS)
def test_a_bit_that_flips_before_the_drop(engine: Engine, tmp_path: Path, format: Literal["csv.gz", "parquet"]) -> None:
    """The archive is read again right before the drop; the next run writes another one, and keeps the bad one."""

    @before("drop")
    def spoil(event: Any) -> None:
        flip(next(tmp_path.glob(f"*.{format}")))

    table = monthly(Archive(tmp_path, format))
    january(engine, table, 50)
    result = upkeep(engine, table, MARCH, hooks=[spoil]).prune()

    assert ["done", "done", "failed"] == outcomes(result)
    assert "its bytes are not those that were written; nothing was changed" in result.steps[2].error
    assert 50 == count(engine)
    assert upkeep(engine, table, MARCH).prune().ok
    assert {f"public.{OLD}.{format}", f"public.{OLD}-2.{format}"} == {each["file"] for each in manifests(tmp_path)}


# -- somebody else -----------------------------------------------------------------------------------------------------


def test_rows_that_come_after_the_archive(engine: Engine, tmp_path: Path) -> None:
    """It does not hold them, so the table stays, until another archive does."""

    @before("drop")
    def write(event: Any) -> None:
        sql(engine, f"INSERT INTO {OLD} (id, created_at) VALUES (99, '2026-01-09')")

    table = monthly(Archive(tmp_path))
    january(engine, table)
    result = upkeep(engine, table, MARCH, hooks=[write]).prune()

    assert ["done", "done", "failed"] == outcomes(result)
    assert "has 6 rows" in result.steps[2].error
    assert 6 == count(engine)
    assert upkeep(engine, table, MARCH).prune().ok
    assert {5, 6} == {each["rows"] for each in manifests(tmp_path)}


def test_a_row_that_changes_after_the_archive(engine: Engine, tmp_path: Path) -> None:
    """As many rows are not the same rows."""

    @before("drop")
    def change(event: Any) -> None:
        sql(engine, f"UPDATE {OLD} SET tenant = 't2' WHERE id = 2")

    table = monthly(Archive(tmp_path))
    january(engine, table)

    assert ["done", "done", "failed"] == outcomes(upkeep(engine, table, MARCH, hooks=[change]).prune())
    assert 5 == count(engine)


def test_a_veto_keeps_the_table(engine: Engine, tmp_path: Path) -> None:
    """A hook is asked about the archive, and about the drop."""

    def no(event: Any) -> None:
        if event.purpose == wanted:
            raise Veto("not yet")

    table = monthly(Archive(tmp_path))
    january(engine, table)
    for wanted, expected in (
        ("detach", ["vetoed"]),
        ("archive", ["done", "vetoed"]),
        ("drop", ["done", "vetoed"]),
    ):
        assert expected == outcomes(upkeep(engine, table, MARCH, hooks=[no]).prune()), wanted
        assert 5 == count(engine)


def test_a_writer_defers_the_archive(engine: Engine, tmp_path: Path) -> None:
    """Somebody writes to the detached table: the lock is not granted, nothing was changed."""
    table = monthly(Archive(tmp_path), grace="1 day")
    january(engine, table)
    upkeep(engine, table, MARCH).prune()
    with holding(engine, f"INSERT INTO {OLD} (id, created_at) VALUES (99, '2026-01-09')"):
        result = upkeep(engine, table, "2026-03-17", lock=HASTY).prune()

    assert ["deferred"] == outcomes(result)
    assert 5 == count(engine)
    assert [] == list(tmp_path.iterdir())


def test_a_reader_defers_the_drop_only(engine: Engine, tmp_path: Path) -> None:
    """The archive is written all the same, and found again by the next run."""
    table = monthly(Archive(tmp_path), grace="1 day")
    january(engine, table)
    upkeep(engine, table, MARCH).prune()
    with holding(engine, f"SELECT FROM {OLD}"):
        result = upkeep(engine, table, "2026-03-17", lock=HASTY).prune()

    assert ["done", "deferred"] == outcomes(result)
    assert 5 == count(engine)
    written = (tmp_path / f"public.{OLD}.csv.gz").stat().st_mtime_ns
    assert upkeep(engine, table, "2026-03-17").prune().ok
    assert [(5, written)] == [
        (each["rows"], (tmp_path / each["file"]).stat().st_mtime_ns) for each in manifests(tmp_path)
    ]


@pytest.mark.parametrize(
    "meanwhile",
    [
        f"COMMENT ON TABLE {OLD} IS NULL",
        f"COMMENT ON TABLE {OLD} IS 'keep'",
        f"ALTER TABLE {OLD} RENAME TO kept",
        f"ALTER TABLE events ATTACH PARTITION {OLD} FOR VALUES FROM ('2026-01-01 00:00+00') TO ('2026-02-01 00:00+00')",
    ],
)
def test_a_table_that_is_not_ours_any_more(engine: Engine, tmp_path: Path, meanwhile: str) -> None:
    """Looked at again under the lock: whoever takes the mark away keeps the table."""

    @before("drop")
    def take(event: Any) -> None:
        sql(engine, meanwhile.replace(":00+", "\\:00+"))

    table = monthly("drop", grace="1 day")
    january(engine, table)
    upkeep(engine, table, MARCH).prune()
    result = upkeep(engine, table, "2026-03-17", hooks=[take]).prune()

    assert outcomes(result) in (["superseded"], ["failed"])
    assert 5 == count(engine, "kept" if "kept" in meanwhile else OLD)


@pytest.mark.parametrize("format", FORMATS)
def test_forced_row_security_is_refused(engine: Engine, tmp_path: Path, format: Literal["csv.gz", "parquet"]) -> None:
    """The owner sees no row, and an archive of none would be the end of all of them."""
    table = monthly(Archive(tmp_path, format), grace="1 day")
    with role(engine, "GRANT ALL ON SCHEMA public TO {role}") as name:
        owner = as_role(engine, name)
        january(owner, table)
        upkeep(owner, table, MARCH).prune()
        sql(owner, f"ALTER TABLE {OLD} ENABLE ROW LEVEL SECURITY; ALTER TABLE {OLD} FORCE ROW LEVEL SECURITY")
        result = upkeep(owner, table, "2026-03-17").prune()
        owner.dispose()

        assert ["failed"] == outcomes(result)
        assert "row-level security policy" in result.steps[0].error
        assert [] == list(tmp_path.iterdir())
        assert 5 == count(engine)


def test_two_maintainers_and_one_place(engine: Engine, tmp_path: Path) -> None:
    """What another database left half written is not touched."""
    foreign = tmp_path / ".sa_partman.00000000.partial"
    foreign.write_text("half")
    table = monthly(Archive(tmp_path))
    january(engine, table)

    assert upkeep(engine, table, MARCH).prune().ok
    assert "half" == foreign.read_text()


def test_no_archive_no_drop(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the step before it said."""
    monkeypatch.setattr(dropping, "place_of", lambda to: Directory(tmp_path))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    table = monthly(Archive(elsewhere))
    january(engine, table)
    result = upkeep(engine, table, MARCH).prune()

    assert ["done", "done", "failed"] == outcomes(result)
    assert f"has no archive at {elsewhere}" in result.steps[2].error
    assert 5 == count(engine)


@pytest.mark.parametrize("face", ASYNC_FACES)
def test_a_full_place_in_an_event_loop(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, face: str
) -> None:
    """COPY is broken off in the middle; the connection is given back, and the next run goes well."""
    table = monthly(Archive(tmp_path))
    engine = create_engine(database_url)
    january(engine, table, 3)
    sql(engine, "INSERT INTO events (id, created_at) SELECT i, '2026-01-02' FROM generate_series(4, 30000) i")
    with faces.opened(face, database_url) as opened:
        with monkeypatch.context() as patched:
            patched.setattr(archiving, "place_of", lambda to: Full(to))
            result = opened.maintainer(table, MARCH).prune()

        assert ["done", "failed"] == outcomes(result)
        assert "No space left on device; nothing was removed" in result.steps[1].error
        assert 30_000 == count(engine)
        assert opened.maintainer(table, MARCH).prune().ok
    engine.dispose()
