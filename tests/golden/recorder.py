"""
What the package sends to a server, as the server's own log has it: every statement that is more than a look.

A statement that only looks (SELECT without a side effect, SHOW) is left out, and with it a transaction that does
nothing else. What differs from run to run (numbers of objects and processes, the time now, names of
databases) has a name in angle brackets instead.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby

from sqlalchemy import Engine, create_engine

from sa_partman.throwaway import Server
from tests.support.servers import memory

PREFIX = "\x1e%c\x1f"
SETTINGS = {"log_statement": "all", "log_line_prefix": PREFIX, "log_parameter_max_length": "300"}

ENTRY = re.compile(
    r"^\x1e(?P<session>[^\x1f]*)\x1f(?P<level>[A-Z]+):  (?P<text>.*?)(?=\n\x1e|\Z)", re.DOTALL | re.MULTILINE
)
SENT = re.compile(r"(?:statement|execute [^:]*): (?P<sql>.*)", re.DOTALL)
LOOK = re.compile(r"(?:SELECT|WITH|SHOW|VALUES|EXPLAIN|FETCH|DECLARE|CLOSE)\b", re.IGNORECASE)
EFFECT = re.compile(
    r"advisory|FOR (?:NO KEY )?UPDATE|setval|nextval|INSERT INTO|DELETE FROM|UPDATE \S+ SET|pg_terminate|pg_notify",
)
DEEDS = re.compile(r"(?:pg_\w*advisory\w*|pg_terminate_backend|pg_notify|setval|nextval)\([^()]*\)")
LONG = 200
BEGIN = re.compile(r"(?:BEGIN|START TRANSACTION|SAVEPOINT)\b", re.IGNORECASE)
CLOSE = re.compile(r"(?:COMMIT|ROLLBACK|END|RELEASE)\b", re.IGNORECASE)
NO_DEED = re.compile(r"BEGIN|START TRANSACTION|SAVEPOINT|SET\b", re.IGNORECASE)
UNMEANT = re.compile(r"SET (?:LOCAL )?transaction_timeout|DEALLOCATE")
"""Set where the server has it, or sent by psycopg, which counts; else the records would differ everywhere."""
VOLATILE = (
    (re.compile(r"(COMMENT ON COLUMN sa_partman\.conversion\.steps IS) .*", re.DOTALL), r"\1 <state>"),
    (re.compile(r"sa_partman_test_[0-9a-f]{12}"), "<database>"),
    (re.compile(r"sa_partman:[0-9a-f]{8}"), "sa_partman:<run>"),
    (re.compile(r"'[0-9a-f]{12}'"), "'<revision>'"),
    (re.compile(r"\b202\d-\d\d-\d\d([ T]\d\d:\d\d:\d\d(\.\d+)?)?([+-]\d\d(:?\d\d)?|Z)?"), "<now>"),
    (re.compile(r"_p202\d{5}(_\d{6})?"), "_p<now>"),
    (re.compile(r"\b[1-9]\d{4}\b"), "<oid>"),
    (re.compile(r"\b[0-9a-f]{32,64}\b"), "<digest>"),
)


@dataclass
class Recorder:
    """
    Args:
        server: Writes every statement to its log; see `SETTINGS`.
        engine: On a database of its own there.
    """

    server: Server
    engine: Engine
    parts: list[str] = field(default_factory=list)

    @contextmanager
    def part(self, title: str) -> Iterator[None]:
        """What is sent while the block runs becomes a part of the record."""
        before = len(self.server.log())
        yield
        self.parts.append(f"-- == {title}\n" + "".join(rendered(self.server.log()[before:])))

    def text(self, title: str, what: str) -> None:
        """Something that the package wrote instead of sending it."""
        self.parts.append(f"-- == {title}\n{_stable(what.rstrip())}\n")


@contextmanager
def recorder(server: Server) -> Iterator[Recorder]:
    """On a fresh database of *server*."""
    admin = create_engine(server.url(), isolation_level="AUTOCOMMIT")
    name = "sa_partman_test_000000000000"
    with admin.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine = create_engine(server.url(name))
    try:
        yield Recorder(server, engine)
    finally:
        engine.dispose()
        with admin.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
        admin.dispose()


def logging(binaries: object) -> Server:
    """A server that logs every statement."""
    return Server.start(binaries, settings=SETTINGS, base=memory())  # type: ignore[arg-type]


def rendered(log: str) -> Iterator[str]:
    """A line or more per statement of *log*; each session has a number, in the order in which they begin to act."""
    sent = [(match["session"], sql) for match in ENTRY.finditer(log) for sql in _statement(match)]
    acting = _acting(sent)
    numbers: dict[str, int] = {}
    for session, group in groupby(acting, key=lambda each: each[0]):
        number = numbers.setdefault(session, len(numbers) + 1)
        yield f"-- session {number}\n"
        yield from (f"{sql};\n" for _, sql in group)


def _statement(match: re.Match[str]) -> Iterator[str]:
    """The statement of an entry, or its parameters, as a comment."""
    text = match["text"].replace("\n\t", "\n").rstrip()
    if match["level"] == "LOG" and (found := SENT.match(text)):
        yield _short(_stable(_squeezed(found["sql"])))
    elif match["level"] == "DETAIL" and text.lower().startswith("parameters: "):
        yield f"-- {_stable(text).replace('P', 'p', 1)}"


def _acting(sent: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Without looks, and without transactions and savepoints that do nothing but look and set."""
    kept: list[tuple[str, str] | None] = []
    open_: dict[str, list[list[int]]] = defaultdict(list)
    looked: set[str] = set()

    def close(session: str, sql: str) -> None:
        places = open_[session].pop()
        if any(NO_DEED.match(_text(kept[place])) is None for place in places):
            places.append(len(kept))
            kept.append((session, sql))
        else:
            for place in places:
                kept[place] = None
        if open_[session]:
            open_[session][-1] += [place for place in places if place < len(kept) and kept[place] is not None]

    for session, sql in sent:
        if sql.startswith("-- "):
            if session not in looked:
                kept.append((session, sql))
            continue
        looked.discard(session)
        if (LOOK.match(sql) and not EFFECT.search(sql)) or UNMEANT.match(sql):
            looked.add(session)
            continue
        if BEGIN.match(sql):
            open_[session].append([])
        if CLOSE.match(sql) and open_[session]:
            close(session, sql)
            continue
        if open_[session]:
            open_[session][-1].append(len(kept))
        kept.append((session, sql))
    return [each for each in kept if each is not None]


def _text(kept: tuple[str, str] | None) -> str:
    return "SET" if kept is None else kept[1]


def _squeezed(sql: str) -> str:
    return re.sub(r"\s*\n\s*", " ", sql).strip().rstrip(";")


def _short(sql: str) -> str:
    """Of a long look that does something as well, what it does."""
    if not LOOK.match(sql) or not EFFECT.search(sql) or len(sql) < LONG:
        return sql
    return f"{sql[:20]}... {', '.join(DEEDS.findall(sql))}"


def _stable(sql: str) -> str:
    for pattern, name in VOLATILE:
        sql = pattern.sub(name, sql)
    return sql
