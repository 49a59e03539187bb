"""
A row of the table of messages: the state that provokes one, its text, what its reader types, and the state after.

A step is a text or a function of the `Box`. A text that begins with ``sa-partman`` is a command line, with ``op.`` a
line of a migration, with ``alembic`` a command of Alembic; anything else is SQL. What is typed must be printed in the
message, letter for letter, unless it is `Meant`: a remedy in prose.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from importlib import import_module, invalidate_caches
from itertools import count
from pathlib import Path
from textwrap import dedent
from typing import Any

from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Engine, MetaData, create_engine
from sqlalchemy.schema import CreateIndex, CreateTable

import alembic_ext
import alembic_ext.operations
import sa_partman
from sa_partman import Converter, Maintainer
from sa_partman.cli.main import run
from sa_partman.finding import Finding
from tests.migrations.project import MODELS, Project
from tests.remedies.collect import bare, pattern
from tests.support.builders import at

NOW = at("2030-06-15")
"""The clock of every row that says nothing else."""

NUMBERS = count()


class Meant(str):
    """What a remedy in prose means."""

    __slots__ = ()


class Models(Meant):
    """The models, changed as the remedy says."""

    __slots__ = ()


class Imported(Models):
    """The models, changed and imported: what is wrong with a declaration is said then."""

    __slots__ = ()


class Failed(Exception):
    """A step ended otherwise than well; with all that it printed."""


@dataclass
class Box:
    """
    A database, a project's folder and a clock.

    Args:
        url: Of an empty database.
        folder: Empty.
    """

    url: str
    folder: Path
    now: datetime | None = NOW
    environment: dict[str, str] = field(default_factory=dict)
    module: str = ""
    store: Any = None
    """An object store, for a row that starts one."""
    stack: ExitStack = field(default_factory=ExitStack)
    """What ends with the row."""
    other: ExitStack = field(default_factory=ExitStack)
    """Another session, which ends earlier."""

    def __post_init__(self) -> None:
        self.models("")

    @cached_property
    def engine(self) -> Engine:
        return create_engine(self.url)

    def close(self) -> None:
        self.other.close()
        self.stack.close()
        self.engine.dispose()

    @cached_property
    def superuser(self) -> Engine:
        """Whoever else the box acts as."""
        engine = create_engine(self.url)
        self.stack.callback(engine.dispose)
        return engine

    def moved(self, url: str) -> None:
        """From now on with *url*: another server, or another role."""
        self.engine.dispose()
        self.url = url
        del self.engine

    @cached_property
    def project(self) -> Project:
        """An Alembic project with the same models."""
        folder = self.folder / "alembic"
        folder.mkdir()
        project = Project(folder, self.url)
        project.models(self._body)
        return project

    def models(self, body: str) -> None:
        """Each version is a module of its own, so that nothing is imported that is cached."""
        self._body, self.module = dedent(body), f"remedies_models_{next(NUMBERS)}"
        (self.folder / f"{self.module}.py").write_text(MODELS + self._body)
        invalidate_caches()
        if "project" in self.__dict__:
            self.project.models(self._body)

    @property
    def metadata(self) -> MetaData:
        with _in(self.folder, {}):
            found: MetaData = import_module(self.module).metadata
        return found

    def inside(self) -> AbstractContextManager[None]:
        """The working directory is its folder, as for a command."""
        return _in(self.folder, {})

    def maintainer(self, **options: Any) -> Maintainer:
        return Maintainer(self.engine, self.metadata, now=self.now, **options)

    def converter(self, **options: Any) -> Converter:
        return Converter(self.engine, self.metadata, **options)

    def create(self) -> None:
        """The declared tables, with what a run at the row's clock makes."""
        self.bare()
        self.provision()

    def provision(self) -> None:
        self.maintainer().provision()

    def bare(self) -> None:
        """The declared tables, without partitions: those of `create_all()` are of the server's clock."""
        with self.engine.begin() as connection:
            for table in self.metadata.sorted_tables:
                connection.execute(CreateTable(table))
                for index in sorted(table.indexes, key=lambda each: str(each.name)):
                    connection.execute(CreateIndex(index))

    def do(self, step: Step) -> str:
        """
        Returns:
            What it printed.

        Raises:
            Failed: It went wrong; the text is what it printed.
        """
        if callable(step):
            return str(step(self) or "")
        if isinstance(step, Models):
            self.models(step)
            return str(self.metadata if isinstance(step, Imported) else "")
        if _is_sql(step):
            with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.exec_driver_sql(step)
            return ""
        if step.startswith("sa-partman "):
            return self._command(shlex.split(step)[1:])
        if step.startswith("alembic "):
            return self._alembic(shlex.split(step)[1:])
        return self._operation(step)

    def _command(self, arguments: list[str]) -> str:
        printed = io.StringIO()
        named = {"SA_PARTMAN_METADATA": self.module, "SA_PARTMAN_DATABASE_URL": self.url}
        named |= {"SA_PARTMAN_AT": self.now.isoformat()} if self.now is not None else {}
        named |= self.environment
        with _in(self.folder, named), redirect_stdout(printed), redirect_stderr(printed):
            code = run(arguments)
        if code not in ((0, 1) if arguments[0] == "check" else (0,)):
            raise Failed(printed.getvalue())
        return printed.getvalue()

    def _alembic(self, arguments: list[str]) -> str:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            match arguments:
                case ["revision", *_] if "--autogenerate" in arguments:
                    return self.project.revision()
                case ["upgrade", *_] if "--sql" in arguments:
                    return self.project.sql()
                case ["upgrade", *_]:
                    self.project.upgrade()
                case ["downgrade", revision]:
                    self.project.downgrade(revision)
                case ["check"]:
                    self.project.check()
        return ""

    def _operation(self, line: str) -> str:
        with self.engine.connect() as connection:
            context = MigrationContext.configure(connection)
            names = {**vars(sa_partman), **vars(alembic_ext), "alembic_ext": alembic_ext, "op": Operations(context)}
            with context.begin_transaction():
                exec(line, names)
        return ""


def _is_sql(step: str) -> bool:
    return not isinstance(step, Models) and not step.startswith(("sa-partman ", "alembic ", "op.", "with op."))


Step = str | Callable[[Box], object]
Way = Step | tuple[Step, ...]


def shown(findings: Sequence[Finding]) -> str:
    """One line each, as a `Row` writes them."""
    return "\n".join(f"{each.code}: {each.message} -> {each.remedy}" for each in findings)


def check(box: Box) -> str:
    """The findings of a check."""
    return shown(box.maintainer().check())


def run_once(box: Box) -> str:
    """What a run found, and why its steps failed."""
    return ran(box)


def ran(box: Box, **options: Any) -> str:
    """The same, by a maintainer with these options."""
    with box.inside():
        result = box.maintainer(**options).run()
    return "\n".join([shown(result.findings), *(step.error for step in result.steps if step.error)])


@dataclass(frozen=True)
class Row:
    """
    Args:
        says: The message with this example's names, and ``-> `` its remedy when it has one; ``…`` for what varies.
        ways: Each of the remedies that it gives: what is typed, in order. None: it asks for nothing.
        models: The declarations.
        given: What leads to the state, in order.
        attempt: What then prints the message.
        again: What succeeds, or no longer prints it, afterwards; None: what is typed stands in its place.
        since: The oldest major version on which the state can be had.
        until: The newest one.
        server: Whether it needs one.
    """

    says: str
    ways: tuple[Way, ...] = ()
    models: str = ""
    given: tuple[Step, ...] = ()
    attempt: Step = check
    again: Step | None = check
    since: int = 14
    until: int = 99
    server: bool = True

    @property
    def versions(self) -> str:
        """On which it can be had."""
        if self.since == self.until:
            return f"PostgreSQL {self.since}"
        return f"PostgreSQL {self.since} and later" if self.until == 99 else f"PostgreSQL {self.since} to {self.until}"

    @property
    def name(self) -> str:
        """Its first words, for the name of the test."""
        return "-".join(re.findall(r"[\w=]+", self.says)[:7])

    def by_server(self, way: Way | None) -> bool:
        """
        Whether servers of different versions could answer differently: some have no such state, and a remedy in SQL has
        to be SQL on each. What a command, a migration or a model then does on each server is not the subject here.
        """
        if (self.since, self.until) != (14, 99):
            return True
        steps = way if isinstance(way, tuple) else (way,)
        return self.server and any(isinstance(each, str) and _is_sql(each) for each in steps)

    def play(self, box: Box, way: Way | None) -> None:
        """The whole story, with one of the remedies."""
        box.models(self.models)
        for step in self.given:
            box.do(step)
        printed = self._attempted(box, self.attempt)
        expected = pattern(self.says)
        assert expected.search(bare(printed)), f"expected {self.says!r}, printed {printed!r}"
        if way is None:
            return
        for step in way if isinstance(way, tuple) else (way,):
            if isinstance(step, str) and not isinstance(step, Meant):
                assert bare(step) in bare(printed)
            box.do(step)
        if self.again is not None:
            after = box.do(self.again)
            assert not expected.search(bare(after)), f"still printed: {after!r}"

    def _attempted(self, box: Box, step: Step) -> str:
        try:
            return box.do(step)
        except Exception as error:
            return str(error)


def declared(says: str, wrong: str, *right: str) -> Row:
    """Models that can't be imported as they are written."""
    return Row(says, tuple(map(Imported, right)), attempt=Imported(wrong), again=None, server=False)


@contextmanager
def _in(folder: Path, environment: dict[str, str]) -> Iterator[None]:
    before, kept = Path.cwd(), dict(os.environ)
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    os.environ.update(environment)
    try:
        yield
    finally:
        os.chdir(before)
        sys.path.remove(str(folder))
        os.environ.clear()
        os.environ.update(kept)
