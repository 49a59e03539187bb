"""
Archives in an object store, over the S3 protocol: complete or not there, never replaced, and no table goes without one.
"""

from __future__ import annotations

import asyncio
import secrets
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Literal

import pytest
from sqlalchemy import Column, Engine, LargeBinary, Table, create_engine
from sqlalchemy.ext.asyncio import AsyncEngine

from sa_partman import Archive, AsyncMaintainer, Maintainer, StepEvent, before
from sa_partman.archive.object_store import Store
from sa_partman.cli.archives import listed, verified
from sa_partman.errors import ConfigurationError, VerificationFailed
from sa_partman.maintenance.restoring import Archived, archives, restore, verify
from tests.support.archives import MARCH, OLD, comment, count, is_there, january, monthly
from tests.support.builders import at
from tests.support.database import outcomes, scalar, sql, upkeep
from tests.support.faces import ASYNC_FACES, opened
from tests.support.killing import die
from tests.support.object_store import BUCKET, KEY, SECRET, ObjectStore, object_store
from tests.support.processes import started
from tests.support.servers import Address

pytestmark = pytest.mark.once

Format = Literal["csv.gz", "parquet"]
FORMATS: tuple[Format, ...] = ("csv.gz", "parquet")
REMEDY = "nothing was removed. Check that the store answers, its address"


@pytest.fixture(scope="module")
def shared() -> Iterator[ObjectStore]:
    """For tests that keep to a folder of their own."""
    with object_store() as found:
        yield found


@pytest.fixture
def own() -> Iterator[ObjectStore]:
    """For a test that stops it or shuts it."""
    with object_store() as found:
        yield found


@pytest.fixture
def folder() -> str:
    return secrets.token_hex(4)


def large(engine: Engine, archive: Archive, rows: int = 2700) -> Table:
    """With a partition of January of 4.8 kB a row: by default more than one part of an upload, however compressed."""
    table = monthly(archive, Column("noise", LargeBinary))
    january(engine, table, 0)
    noise = "decode(string_agg(md5(CAST(random() AS text)), ''), 'hex')"
    values = f"SELECT i, '2026-01-02', (SELECT {noise} FROM generate_series(1, 300 + i % 2)) FROM generate_series(1, "
    sql(engine, f"INSERT INTO events (id, created_at, noise) {values}{rows}) i")
    return table


def name_of(archived: Archived) -> str:
    """Of the manifest."""
    return archived.location.partition("?")[0].rpartition("/")[2]


def failed(engine: Engine, table: Table, *done: str, **options: Any) -> str:
    """Why the archive failed; the table is there, detached, with all its rows and its mark."""
    rows = count(engine, "events")
    result = upkeep(engine, table, MARCH, **options).prune()

    assert [*done, "failed"] == outcomes(result)
    assert rows == count(engine)
    assert (comment(engine) or "").startswith("sa_partman: detached")
    return result.steps[-1].error


# -- there and back ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("by", ["url", "environment"])
def test_there_and_back(
    engine: Engine, shared: ObjectStore, folder: str, monkeypatch: pytest.MonkeyPatch, format: Format, by: str
) -> None:
    """Written, verified, dropped, listed, restored; whoever says where the store is and who asks."""
    url = shared.url(folder)
    if by == "environment":
        url = f"s3://{BUCKET}/{folder}"
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{shared.port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    table = monthly(Archive(url, format))
    january(engine, table, 500)
    sql(engine, "CREATE TABLE copy AS SELECT * FROM events")
    result = upkeep(engine, table, MARCH).prune()

    assert ["done"] * 3 == outcomes(result)
    assert not is_there(engine)
    (found,) = archives(url)
    assert (500, format) == (found.manifest.rows, found.manifest.format)
    assert {found.manifest.file, name_of(found)} == set(shared.names(folder))
    assert found == verify(found.location)
    assert 500 == restore(engine, table.metadata, found.location).rows
    assert [] == sql(engine, "(TABLE copy EXCEPT TABLE events) UNION ALL (TABLE events EXCEPT TABLE copy)")


@pytest.mark.parametrize("format", FORMATS)
def test_one_of_several_parts(engine: Engine, shared: ObjectStore, folder: str, format: Format) -> None:
    """An upload of many parts comes back whole, and reading it takes requests of some megabytes each."""
    table = large(engine, Archive(shared.url(folder), format))
    total = scalar(engine, "SELECT sum(hashtextextended(noise::text, id)) FROM events")
    assert upkeep(engine, table, MARCH).prune().ok
    (found,) = archives(shared.url(folder))

    assert found.manifest.bytes > 11e6
    assert shared.requests(f"{folder}/{found.manifest.file}?partNumber=") > 1
    before = shared.requests(f"GET /{BUCKET}/{folder}/{found.manifest.file}")
    verify(shared.url(f"{folder}/{name_of(found)}"))
    assert shared.requests(f"GET /{BUCKET}/{folder}/{found.manifest.file}") - before < 20
    restore(engine, table.metadata, shared.url(f"{folder}/{name_of(found)}"))
    assert total == scalar(engine, "SELECT sum(hashtextextended(noise::text, id)) FROM events")


def test_a_damaged_object(engine: Engine, shared: ObjectStore, folder: str) -> None:
    """It is read to the end again before the drop; the next run writes another one beside it."""

    @before("drop")
    def spoil(event: StepEvent) -> None:
        (name,) = shared.names(folder, ".csv.gz")
        shared.ask("PUT", f"{BUCKET}/{folder}/{name}", shared.ask("GET", f"{BUCKET}/{folder}/{name}")[:-9])

    table = monthly(Archive(shared.url(folder)))
    january(engine, table)
    said = failed(engine, table, "done", "done", hooks=[spoil])

    assert "its bytes are not those that were written; nothing was changed" in said
    assert upkeep(engine, table, MARCH).prune().ok
    sound = []
    for each in archives(shared.url(folder)):
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv("AWS_ACCESS_KEY_ID", KEY)
            patched.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
            try:
                sound.append(verify(each.location).manifest.rows)
            except VerificationFailed:
                sound.append(0)
    assert [0, 5] == sorted(sound)


# -- a store that is not there, or lets nobody in ----------------------------------------------------------------------


def test_a_store_that_is_gone(engine: Engine, own: ObjectStore, folder: str) -> None:
    """Nobody listens; when it is up again, the next run does it."""
    table = monthly(Archive(own.url(folder)))
    january(engine, table)
    own.stop()
    said = failed(engine, table, "done")

    assert REMEDY in said
    assert "onnect" in said
    own.start()
    assert upkeep(engine, table, MARCH).prune().ok
    assert 2 == len(own.names(folder))


def test_a_bucket_that_is_not_there(engine: Engine, shared: ObjectStore, folder: str) -> None:
    """It is not taken for an empty archive."""
    bucket = f"missing-{folder}"
    url = shared.url(folder, bucket)
    table = monthly(Archive(url))
    january(engine, table)
    said = failed(engine, table, "done")

    assert f"the store has no bucket '{bucket}'; nothing was archived or read. Create it, or correct the URL." in said
    with pytest.raises(ConfigurationError, match="has no bucket"):
        archives(url)
    shared.ask("PUT", bucket)
    assert upkeep(engine, table, MARCH).prune().ok


def test_credentials_that_are_refused(engine: Engine, own: ObjectStore, folder: str) -> None:
    table = monthly(Archive(own.url(folder)))
    january(engine, table)
    own.let_nobody_in()
    said = failed(engine, table, "done")

    assert "Access Key Id you provided does not exist" in said
    assert REMEDY in said
    assert "the credentials in the environment" in said
    with pytest.raises(ConfigurationError, match=r"can't be read: .* Access Key Id you provided does not exist"):
        archives(own.url(folder))


@pytest.mark.parametrize(
    ("options", "said"), [("nonsense=1", "Unexpected query parameter"), ("scheme=ftp", "Invalid S3 connection scheme")]
)
def test_options_that_nobody_knows(engine: Engine, options: str, said: str) -> None:
    pytest.importorskip("pyarrow.fs")
    table = monthly(Archive(f"s3://{KEY}:{SECRET}@{BUCKET}/x?endpoint_override=127.0.0.1:1&{options}"))
    january(engine, table)
    error = failed(engine, table, "done")

    assert said in error
    assert SECRET not in error


@pytest.mark.parametrize("format", FORMATS)
def test_a_store_that_goes_away_while_it_is_written_to(
    engine: Engine, own: ObjectStore, folder: str, monkeypatch: pytest.MonkeyPatch, format: Format
) -> None:
    """With a part of the rows sent; nothing of it is an archive, and the next run writes it again."""
    table = large(engine, Archive(own.url(folder), format))
    with monkeypatch.context() as patched:
        patched.setattr(Store, "create", _interrupted(own.stop))
        said = failed(engine, table, "done")

    assert REMEDY in said
    own.start()
    assert [] == own.names(folder)
    assert upkeep(engine, table, MARCH).prune().ok
    assert 1 == len(archives(own.url(folder)))


def test_a_store_that_goes_away_before_the_manifest(
    engine: Engine, own: ObjectStore, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The data are there and are no archive; a store that forgets nothing has them when the next run comes."""
    table = monthly(Archive(own.url(folder)))
    january(engine, table, 50)
    create = Store.create
    kept: dict[str, bytes] = {}

    def creating(self: Store, name: str, token: str) -> Any:
        if name.endswith(".json"):
            kept.update({each: own.ask("GET", f"{BUCKET}/{folder}/{each}") for each in own.names(folder)})
            own.stop()
        return create(self, name, token)

    with monkeypatch.context() as patched:
        patched.setattr(Store, "create", creating)
        failed(engine, table, "done")

    own.start()
    for name, content in kept.items():
        own.ask("PUT", f"{BUCKET}/{folder}/{name}", content)
    assert (1, ()) == (len(kept), archives(own.url(folder)))
    assert upkeep(engine, table, MARCH).prune().ok
    assert 2 == len(own.names(folder))


def _interrupted(deed: Any, least: int = 10_500_000) -> Any:
    """`Store.create`, that does *deed* once when so many bytes were written."""
    create, deeds = Store.create, [deed]

    @contextmanager
    def creating(self: Store, name: str, token: str) -> Iterator[Any]:
        with create(self, name, token) as file:
            yield _Watched(file, deeds, least)

    return creating


class _Watched:
    def __init__(self, file: Any, deeds: list[Any], least: int) -> None:
        self.file, self.deeds, self.left = file, deeds, least

    def write(self, data: bytes) -> int:
        self.left -= len(data)
        written: int = self.file.write(data)
        if self.left < 0 and self.deeds:
            self.deeds.pop()()
        return written

    def flush(self) -> None:
        self.file.flush()


# -- half an upload ----------------------------------------------------------------------------------------------------


def dying(url: str, now: datetime, archive: Archive) -> None:
    """In a process of its own: dies in the middle of an upload."""
    Store.create = _interrupted(die)  # type: ignore[method-assign]
    Maintainer(create_engine(url), monthly(archive, Column("noise", LargeBinary)).metadata, now=now).prune()


def test_killed_in_the_middle_of_an_upload(engine: Engine, shared: ObjectStore, folder: str) -> None:
    """kill -9: the parts that were sent are no object, and the next run makes one; the rest is for the lifecycle."""
    archive = Archive(shared.url(folder))
    table = large(engine, archive)
    url = engine.url.render_as_string(hide_password=False)
    child = started(dying, url, at(MARCH), archive)
    child.join(60)

    assert -signal.SIGKILL == child.exitcode
    assert ([], 1) == (shared.names(folder), shared.uploads(folder))
    assert 2700 == count(engine)
    sql(
        engine, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name LIKE 'sa_partman%'"
    )
    assert upkeep(engine, table, MARCH).prune().ok
    assert [2700] == [each.manifest.rows for each in archives(shared.url(folder))]


@pytest.mark.parametrize("format", FORMATS)
def test_rows_that_break_off(
    engine: Engine, shared: ObjectStore, folder: str, monkeypatch: pytest.MonkeyPatch, format: Format
) -> None:
    """The server ends our session in the middle: the object that comes of it is taken away again."""
    table = large(engine, Archive(shared.url(folder), format), 1500)

    def end() -> None:
        ended = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE query LIKE 'COPY%' AND "
        assert [(True,)] == sql(engine, f"{ended} datname = current_database() AND pid <> pg_backend_pid()")

    with monkeypatch.context() as patched:
        patched.setattr(Store, "create", _interrupted(end, 1 << 20))
        failed(engine, table, "done")

    assert ([], 0) == (shared.names(folder), shared.uploads(folder))
    assert upkeep(engine, table, MARCH).prune().ok


def test_half_an_object_is_no_archive(engine: Engine, shared: ObjectStore, folder: str) -> None:
    """Complete as a file, with half of the rows and no manifest: whoever could not take it away has left it."""
    table = monthly(Archive(shared.url(folder)))
    january(engine, table, 50)
    shared.ask("PUT", f"{BUCKET}/{folder}/public.{OLD}-0123456789ab.csv.gz", b"half")

    assert () == archives(shared.url(folder))
    assert upkeep(engine, table, MARCH).prune().ok
    assert [50] == [each.manifest.rows for each in archives(shared.url(folder))]


# -- two maintainers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS)
def test_two_databases_and_one_folder(
    engine: Engine,
    pg_server: Address,
    shared: ObjectStore,
    folder: str,
    monkeypatch: pytest.MonkeyPatch,
    format: Format,
) -> None:
    """The other one writes an archive of the same table, and drops it, while ours is being written: both stay whole."""
    archive = Archive(shared.url(folder), format)
    table, other = monthly(archive), monthly(archive)
    january(engine, table, 50)
    with pg_server.new_database() as url:
        elsewhere = create_engine(url)
        january(elsewhere, other, 7)

        def meanwhile() -> None:
            assert upkeep(elsewhere, other, MARCH).prune().ok

        with monkeypatch.context() as patched:
            patched.setattr(Store, "create", _interrupted(meanwhile, 1))
            assert upkeep(engine, table, MARCH).prune().ok

        found = archives(shared.url(folder))
        assert [7, 50] == sorted(each.manifest.rows for each in found)
        for each in found:
            name = name_of(each)
            target, home = (engine, table) if each.manifest.rows == 50 else (elsewhere, other)
            assert each.manifest.rows == restore(target, home.metadata, shared.url(f"{folder}/{name}")).rows
        elsewhere.dispose()


# -- in an event loop --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("face", ASYNC_FACES)
def test_nothing_is_asked_in_the_thread_of_the_loop(
    database_url: str, engine: Engine, shared: ObjectStore, folder: str, monkeypatch: pytest.MonkeyPatch, face: str
) -> None:
    """Not while it is archived, looked for, compared, read back or restored."""
    table = monthly(Archive(shared.url(folder)))
    january(engine, table, 50)
    threads: set[int] = set()
    made = Store.__init__

    def making(self: Store, system: Any, *given: Any) -> None:
        threads.add(threading.get_ident())
        made(self, _Seen(system, threads), *given)

    with opened(face, database_url) as found:
        assert isinstance(found.engine, AsyncEngine)
        assert found.runner is not None
        maintainer = AsyncMaintainer(found.engine, table.metadata, now=at(MARCH))

        async def work() -> int:
            await maintainer.prune()
            (archived,) = await maintainer.archives(shared.url(folder))
            manifest = shared.url(f"{folder}/{name_of(archived)}")
            await maintainer.verify(manifest)
            return (await maintainer.restore(manifest)).rows

        with monkeypatch.context() as patched:
            patched.setattr(Store, "__init__", making)
            assert 50 == found.runner.run(work())

    assert threads
    assert threading.get_ident() not in threads


class _Seen:
    """Something that talks to a store, and the threads that use it."""

    def __init__(self, inner: Any, threads: set[int]) -> None:
        self._inner, self._threads = inner, threads

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found):
            return found

        def used(*given: Any, **options: Any) -> Any:
            self._threads.add(threading.get_ident())
            result = found(*given, **options)
            return _Seen(result, self._threads) if name.startswith("open_") else result

        return used

    def __enter__(self) -> _Seen:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


@pytest.mark.parametrize("face", ASYNC_FACES)
def test_an_event_loop_goes_on(database_url: str, engine: Engine, own: ObjectStore, folder: str, face: str) -> None:
    """While a store that is gone is asked again and again, for seconds."""
    table = monthly(Archive(own.url(folder)))
    january(engine, table, 5)
    own.stop()
    with opened(face, database_url) as found:
        assert isinstance(found.engine, AsyncEngine)
        assert found.runner is not None
        maintainer = AsyncMaintainer(found.engine, table.metadata, now=at(MARCH))

        async def work() -> tuple[list[str], float, float]:
            began = time.monotonic()
            task = asyncio.create_task(maintainer.prune())
            longest = 0.0
            while not task.done():
                last = time.monotonic()
                await asyncio.sleep(0.005)
                longest = max(longest, time.monotonic() - last)
            return outcomes(await task), longest, time.monotonic() - began

        ended, longest, lasted = found.runner.run(work())

    assert ["done", "failed"] == ended
    assert longest < lasted / 2


@pytest.mark.parametrize("face", ASYNC_FACES)
def test_cancelled_in_the_middle_of_an_upload(
    database_url: str, engine: Engine, shared: ObjectStore, folder: str, monkeypatch: pytest.MonkeyPatch, face: str
) -> None:
    """What has been sent by then is taken away; connection and lock are given back; the next run does it all."""
    table = large(engine, Archive(shared.url(folder)), 600)
    with opened(face, database_url) as found:
        assert isinstance(found.engine, AsyncEngine)
        assert found.runner is not None
        maintainer = AsyncMaintainer(found.engine, table.metadata, now=at(MARCH))

        async def work() -> None:
            loop = asyncio.get_running_loop()
            task = asyncio.create_task(maintainer.prune())
            with monkeypatch.context() as patched:
                patched.setattr(Store, "create", _interrupted(lambda: loop.call_soon_threadsafe(task.cancel), 1 << 20))
                with pytest.raises(asyncio.CancelledError):
                    await task

        found.runner.run(work())

        assert ([], 0) == (shared.names(folder), shared.uploads(folder))
        assert 600 == count(engine)
        assert upkeep(engine, table, MARCH).prune().ok


# -- the command ----------------------------------------------------------------------------------------------------


def test_the_command_opens_what_it_lists(
    engine: Engine,
    shared: ObjectStore,
    folder: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With the options of the place, and with credentials of the environment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    table = monthly(Archive(shared.url(folder)))
    january(engine, table)
    assert upkeep(engine, table, MARCH).prune().ok
    listed(shared.url(folder), as_json=False)
    location = capsys.readouterr().out.split()[-1]

    assert 0 == verified((location,), as_json=False)
    assert f"ok  {location}  5 rows\n" == capsys.readouterr().out


# -- what nobody else may see ------------------------------------------------------------------------------------------


def test_credentials_are_shown_to_nobody(engine: Engine, shared: ObjectStore, folder: str) -> None:
    """Not in a plan, not in a result, not in the list, not in a comment."""
    table = monthly(Archive(shared.url(folder)))
    january(engine, table)
    maintainer = upkeep(engine, table, MARCH)
    plan = maintainer.plan().sql()
    result = maintainer.prune()
    (found,) = archives(shared.url(folder))
    name = name_of(found)
    restore(engine, table.metadata, shared.url(f"{folder}/{name}"))

    assert f"s3://{BUCKET}/{folder}" in plan
    for seen in (plan, str(result), str(result.to_dict()), str(found.to_dict()), comment(engine) or ""):
        assert SECRET not in seen
    assert f"s3://{BUCKET}/{folder}/{name}" in (comment(engine) or "")
