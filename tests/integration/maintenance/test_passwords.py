"""Nothing that a Python caller gets, logs or reads in the database holds a password of the engine."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import URL, Engine, MetaData, NullPool, create_engine, make_url
from sqlalchemy.ext.asyncio import create_async_engine

from sa_partman import Archive, AsyncMaintainer, Converter, LockPolicy, Maintainer, PartitionByRange, Retention
from sa_partman.engine.exclusion import LOCK_KEY
from sa_partman.maintenance.fleet import Fleet
from sa_partman.throwaway import Server
from tests.support.builders import at
from tests.support.database import holding, new_table, sql

MARK = "h7nter2"
NOW = at("2031-01-15")
SPEC = PartitionByRange("created_at", interval="1 month", premake=3, retention=Retention("2 months", then="drop"))
CREATE = (
    "CREATE TABLE events (id bigint NOT NULL, created_at timestamptz NOT NULL, tenant text, region text, ref uuid) "
    "PARTITION BY RANGE (created_at)"
)


def marked(url: URL | str, **query: str) -> URL:
    """A trusting server takes each of these passwords."""
    given = make_url(url).set(password=f"{MARK}/@é")
    return given.update_query_dict({"password": f"{MARK} &x", **query})


@pytest.fixture
def metadata(engine: Engine) -> MetaData:
    sql(engine, CREATE)
    return new_table(SPEC).metadata


@contextmanager
def engines(url: str) -> Iterator[list[Engine]]:
    """Of the URL, of connect_args; each where all is well, where there is no such database, and where no server is."""
    missing, nowhere = make_url(url).set(database="missing"), make_url(f"postgresql+psycopg://u:{MARK}@127.0.0.1:1/x")
    made = [create_engine(marked(each, sslpassword=MARK)) for each in (make_url(url), missing, nowhere)]
    secret = {"password": MARK, "sslpassword": MARK}
    made += [create_engine(each, connect_args=secret) for each in (url, missing, nowhere)]
    yield made
    for each in made:
        each.dispose()


def told(call: Callable[[], Any]) -> str:
    """All that the caller can print of it."""
    try:
        given = call()
    except Exception as error:
        return repr(error) + "".join(traceback.format_exception(error))
    several = given if isinstance(given, tuple) else (given,)
    return f"{given!r} {given}" + "".join(str(each.to_dict()) for each in several if hasattr(each, "to_dict"))


def calls(maintainer: Maintainer, converter: Converter) -> list[Callable[[], Any]]:
    fleet = Fleet([maintainer])
    return [
        *(getattr(maintainer, name) for name in ("plan", "run", "provision", "prune", "check", "status", "serve")),
        *(getattr(fleet, name) for name in ("plan", "run", "check", "status")),
        lambda: maintainer.drop_branch("events", 1),
        lambda: maintainer.restore(f"postgresql://u:{MARK}@h/x?password={MARK}"),
        lambda: maintainer.settings,
        lambda: converter.plan("events"),
        lambda: converter.estimate("events"),
        lambda: converter.convert("events"),
        lambda: Maintainer(maintainer.engine.url.render_as_string(hide_password=False), converter.metadata),  # type: ignore[arg-type]
        lambda: AsyncMaintainer(maintainer.engine, converter.metadata),  # type: ignore[arg-type]
    ]


def test_every_method(database_url: str, metadata: MetaData, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "sa_partman")
    with engines(database_url) as made:
        for engine in made:
            maintainer = Maintainer(engine, metadata, now=NOW, audit=True)
            for call in calls(maintainer, Converter(engine, metadata, now=NOW)):
                assert MARK not in told(call)
    assert caplog.text
    assert MARK not in caplog.text


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_every_method_awaited(database_url: str, metadata: MetaData, driver: str) -> None:
    good = make_url(database_url).set(drivername=f"postgresql+{driver}")
    urls = (good, good.set(database="missing"), make_url(f"postgresql+{driver}://u@127.0.0.1:1/x"))

    async def all_of_them(url: URL) -> None:
        engine = create_async_engine(marked(url))
        maintainer = AsyncMaintainer(engine, metadata, now=NOW)
        for name in ("plan", "run", "provision", "prune", "check", "status"):
            try:
                said = repr(await getattr(maintainer, name)())
            except Exception as error:
                said = "".join(traceback.format_exception(error))

            assert MARK not in said
        await engine.dispose()

    for url in urls:
        asyncio.run(all_of_them(url))


def test_a_busy_maintainer(database_url: str, metadata: MetaData, engine: Engine) -> None:
    with engines(database_url) as made, holding(engine, f"SELECT pg_advisory_xact_lock({LOCK_KEY})"):
        said = told(Maintainer(made[0], metadata, now=NOW, lock=LockPolicy(turn=0.1)).run)

    assert "MaintainerBusy" in said
    assert MARK not in said


def test_the_exclusion_is_lost(own_server: Server) -> None:
    """The server goes in the middle of a run, and every further step would say so."""
    engine = create_engine(marked(own_server.url()), poolclass=NullPool)
    sql(engine, CREATE)
    metadata = new_table(PartitionByRange("created_at", interval="1 month", premake=0)).metadata

    def stop(*_: Any) -> bool:
        own_server.stop()
        return True

    result = Maintainer(engine, metadata, now=NOW, hooks=[stop]).run()

    assert "exclusion-lost" in {each.code for each in result.findings}
    assert MARK not in f"{result}{result!r}{result.to_dict()}"


def test_what_a_user_wrote_fails_with_it(engine: Engine, metadata: MetaData) -> None:
    """A hook, and a callable: what they raise is reported, logged and recorded."""

    def fails(*_: Any) -> Any:
        raise LookupError(f"no answer from postgresql://u:{MARK}@h/db?password={MARK}")

    sql(engine, "CREATE TABLE tenants (id bigint NOT NULL, kind text NOT NULL) PARTITION BY LIST (kind)")
    result = Maintainer(engine, metadata, now=NOW, hooks=[fails], audit=True).run()

    assert "LookupError: no answer from postgresql://u:***@" in str(result)
    assert MARK not in f"{result}{result!r}{result.to_dict()}"
    rows = [str(row) for name in ("runs", "steps") for row in sql(engine, f"SELECT * FROM sa_partman_{name}")]
    assert rows
    assert MARK not in "".join(rows)


def test_an_archive_place_keeps_its_own() -> None:
    assert MARK not in str(Archive(f"s3://key:{MARK}@bucket/folder?secret_key={MARK}"))
