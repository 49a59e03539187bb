"""
One server per PostgreSQL version and test process, one fresh database per test::

    pytest                  DATABASE_URL when it is set, else the newest PostgreSQL found
    pytest --pg all         every version found
    pytest --pg 14,18       these
    pytest --pg 15,15@system         npm's, and the operating system's: two servers of one major
    pytest --pg 15,16,17 --spread    each test on one of them, but those marked ``everywhere`` on all
"""

import gc
import os
import signal
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from weakref import WeakSet
from zlib import crc32

import hypothesis
import pytest
from sqlalchemy import Connection, Engine, create_engine, event

from sa_partman.errors import ServerUnavailable
from sa_partman.throwaway import Server
from tests.support.servers import BY_URL, Address, address, binaries, start, targets

HERE = Path(__file__).parent
NEEDS_SERVER = tuple(HERE / folder for folder in ("integration", "migrations", "cli", "remedies", "golden"))
CAMPAIGNS = ("test_faults_", "test_load", "test_pgbench")

LIBRARIES = tuple(
    HERE / each
    for each in (
        "migrations",
        "integration/orm",
        "integration/maintenance",
        "cli/test_discovery.py",  # runs the env.py of Alembic's templates; no other command has to do with versions
    )
)
STATEMENTS = (
    # What the server does with statements that are sent as text, and nothing that SQLAlchemy has a part in: locks taken
    # and not granted, what is mended, what a partition is given, and archives that are cut off.
    "test_locks_",
    "test_healing_",
    "test_membership_c",
    "test_membership_d",
    "test_archive_f",
    "test_archive_s",
)
"""What depends on the versions of SQLAlchemy and Alembic: the former but for the latter."""

CONNECTED: WeakSet[Engine] = WeakSet()
"""Engines that are used, by themselves and not under an asynchronous one."""

# A busy machine makes no example wrong.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what is in the background deaf to Ctrl-C, and whatever that starts is as deaf.
    signal.signal(signal.SIGINT, signal.default_int_handler)

if (HERE / "pgmatrix" / "node_modules").is_dir():
    os.environ.setdefault("SA_PARTMAN_PG_MATRIX", str(HERE / "pgmatrix"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--pg",
        default=os.environ.get("SA_PARTMAN_PG", "default"),
        help="PostgreSQL to test on: default (DATABASE_URL, or the newest found), all, or majors like 14,15,15@system",
    )
    parser.addoption("--spread", action="store_true", help="each test on one of the PostgreSQLs, the same every time")


def pytest_report_header(config: pytest.Config) -> str:
    return "server: " + ", ".join(_described(target) for target in targets(config.getoption("--pg")))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "server_target" in metafunc.fixturenames:
        chosen = targets(metafunc.config.getoption("--pg"))
        if metafunc.config.getoption("--spread") and not metafunc.definition.get_closest_marker("everywhere"):
            chosen = (chosen[crc32(metafunc.definition.nodeid.encode()) % len(chosen)],)
        metafunc.parametrize("server_target", chosen, indirect=True, scope="session", ids=lambda target: f"pg-{target}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if any(item.path.is_relative_to(folder) for folder in NEEDS_SERVER):
            item.add_marker(pytest.mark.integration)
        if item.path.name.startswith(CAMPAIGNS):
            item.add_marker(pytest.mark.campaign)
        if any(item.path.is_relative_to(each) for each in LIBRARIES) and not item.path.name.startswith(STATEMENTS):
            item.add_marker(pytest.mark.libraries)


@event.listens_for(Engine, "engine_connect")
def _connected(connection: Connection) -> None:
    if not connection.dialect.is_async:
        CONNECTED.add(connection.engine)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, None, None]:
    """What a test leaves open because it fails is closed, and no other test is blamed for it."""
    known = set(CONNECTED)
    try:
        yield
    except BaseException:
        for engine in set(CONNECTED) - known:
            engine.dispose()
        raise


def pytest_collection() -> None:
    """What is collected stays: to look for garbage in it meanwhile is a fifth of the time that it takes."""
    gc.disable()


def pytest_collection_finish() -> None:
    """A file that a test writes twice in a second must not be taken from a cache: nothing is put there from now on."""
    gc.freeze()
    gc.enable()
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"


@pytest.fixture(scope="session")
def server_target(request: pytest.FixtureRequest) -> str:
    """Which server this test runs on, as text."""
    target: str = request.param
    if missing := _missing(target):
        pytest.fail(f"no server to test on: set DATABASE_URL, or: {missing}", pytrace=False)
    return target


@pytest.fixture(scope="session")
def pg_server(server_target: str) -> Iterator[Address]:
    """The server that the tests of this process share; don't restart it or change its settings."""
    with address(server_target) as found:
        yield found


@pytest.fixture(scope="session")
def server_major(pg_server: Address) -> int:
    return pg_server.major


@pytest.fixture
def database_url(pg_server: Address) -> Iterator[str]:
    """A fresh, empty database, for SQLAlchemy over psycopg; dropped afterwards."""
    with pg_server.new_database() as url:
        yield url


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """On a fresh, empty database."""
    engine = create_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture(autouse=True)
def no_word_of_dumps(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """On any server `check` finds the same; what it says of dumps on 15.20 is the subject of a file of its own."""
    if request.path.is_relative_to(HERE / "integration") and "server_target" in request.fixturenames:
        monkeypatch.setattr("sa_partman.maintenance.checking.kept_options", lambda *_: ((), ""))


@pytest.fixture
def own_server(server_target: str) -> Iterator[Server]:
    """A server for this test alone: restart it, fill its disk, change its settings."""
    with start(server_target) as server:
        yield server


def _described(target: str) -> str:
    return BY_URL if target == BY_URL else _missing(target) or str(binaries(target))


def _missing(target: str) -> str:
    """Why there is no server of *target*; empty when there is one."""
    try:
        if target != BY_URL:
            binaries(target)
    except ServerUnavailable as error:
        return str(error)
    return ""
