"""Remedies that were wrong once."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from typing import Any

from sqlalchemy import make_url

from tests.remedies.row import Box, Meant, Row, run_once
from tests.remedies.rows.held import READ_COMMITTED, SERIALIZABLE
from tests.remedies.rows.models import EVENTS, PLAIN
from tests.remedies.rows.rewrites import yes
from tests.support.command import ROOT

CONVERT = "sa-partman convert events --yes"
AGAIN = (
    "op.partition_table('events', PartitionByRange('created_at', interval='1 month'), primary_key=['id', 'created_at']"
)
PARTITION = f"{AGAIN})"
REPARTITION = "op.repartition_table('users', PartitionByHash('id', modulus=3), limit={})"
USERS = (
    "CREATE TABLE users (id bigint PRIMARY KEY) PARTITION BY HASH (id)",
    "CREATE TABLE users_h0 PARTITION OF users FOR VALUES WITH (MODULUS 2, REMAINDER 0)",
    "CREATE TABLE users_h1 PARTITION OF users FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
    "INSERT INTO users SELECT generate_series(1, 20)",
)
HASHED = """
class User(Partitioned, Base):
    __tablename__ = "users"
    __partition__ = PartitionByHash("id", modulus=3)
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
"""


def without_line(box: Box) -> None:
    """An Alembic project whose env.py does not import us."""
    env = box.project.folder / "migrations" / "env.py"
    env.write_text(env.read_text().replace("import alembic_ext.autogenerate", "import sqlalchemy"))


def checked(box: Box) -> str:
    """``sa-partman check`` in that project, in a process of its own: it tells by what env.py imports."""
    named = {"SA_PARTMAN_AT": "2030-06-15", "SA_PARTMAN_DATABASE_URL": box.url, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "sa_partman", "check"]
    done = subprocess.run(
        command, cwd=box.project.folder, env={**os.environ, **named}, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def with_line(box: Box) -> None:
    env = box.project.folder / "migrations" / "env.py"
    env.write_text(f"import alembic_ext.autogenerate\n{env.read_text()}")


def detached(box: Box) -> Any:
    """June was detached and is kept, and has a row."""
    box.create()
    box.do("INSERT INTO events (created_at) VALUES ('2030-06-20')")
    box.do("op.detach_partition('events_p20300601', 'events')")


def encoded(box: Box) -> str:
    """A password with an @, in a URL that SQLAlchemy has written."""
    url = make_url(box.url).set(password="pass@word").render_as_string(hide_password=False)
    assert "pass%40word" in url
    return box.do(f"sa-partman plan --url {shlex.quote(url)}")


def asynchronous(box: Box) -> str:
    """In a process of its own, without greenlet until it is installed."""
    hidden = "" if "installed" in box.environment else "import sys; sys.modules['greenlet'] = None; "
    code = f"{hidden}import sa_partman; sa_partman.AsyncMaintainer"
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False).stderr


def installed(box: Box) -> None:
    box.environment["installed"] = "1"


ATTACH = "op.attach_partition('events_p20300601', 'events', lower='2030-06-01 00:00+00', upper='2030-07-01 00:00+00')"

NAMED = (
    Row(
        "greenlet is not installed, which asynchronous engines need; install it with: pip install 'sa-partman[asyncpg]'",
        (installed,),
        attempt=asynchronous,
        again=asynchronous,
    ),
    Row(
        "--url: the password in the URL has an @; write it as %40",
        (encoded,),
        EVENTS,
        (Box.create,),
        attempt="sa-partman plan --url postgresql://u:pass@word@h/db",
        again=None,
    ),
    Row(
        "the CHECK constraint c is NOT ENFORCED; ALTER TABLE public.events DROP CONSTRAINT c; ALTER TABLE "
        "public.events ADD CONSTRAINT c CHECK ((id > 0)); or drop it: ALTER TABLE public.events DROP CONSTRAINT c",
        (
            "ALTER TABLE public.events DROP CONSTRAINT c; ALTER TABLE public.events ADD CONSTRAINT c CHECK ((id > 0))",
            "ALTER TABLE public.events DROP CONSTRAINT c",
        ),
        EVENTS,
        (PLAIN, "ALTER TABLE events ADD CONSTRAINT c CHECK (id > 0) NOT ENFORCED"),
        CONVERT,
        CONVERT,
        since=18,
    ),
    Row(
        "the foreign key k is NOT ENFORCED; ALTER TABLE public.events ALTER CONSTRAINT k ENFORCED; or drop it: ALTER "
        "TABLE public.events DROP CONSTRAINT k",
        (
            "ALTER TABLE public.events ALTER CONSTRAINT k ENFORCED",
            "ALTER TABLE public.events DROP CONSTRAINT k",
        ),
        EVENTS,
        (
            PLAIN,
            "CREATE TABLE kinds (id bigint PRIMARY KEY)",
            "ALTER TABLE events ADD kind bigint, ADD CONSTRAINT k FOREIGN KEY (kind) REFERENCES kinds NOT ENFORCED",
        ),
        CONVERT,
        CONVERT,
        since=18,
    ),
    Row(
        "the CHECK constraint c is NOT VALID; ALTER TABLE public.events VALIDATE CONSTRAINT c; or drop it: ALTER TABLE "
        "public.events DROP CONSTRAINT c",
        (
            "ALTER TABLE public.events VALIDATE CONSTRAINT c",
            "ALTER TABLE public.events DROP CONSTRAINT c",
        ),
        EVENTS,
        (PLAIN, "ALTER TABLE events ADD CONSTRAINT c CHECK (id > 0) NOT VALID"),
        CONVERT,
        CONVERT,
    ),
    Row(
        "the CHECK constraint c is NO INHERIT; ALTER TABLE public.events DROP CONSTRAINT c; ALTER TABLE public.events "
        "ADD CONSTRAINT c CHECK ((id > 0)); or only drop it",
        (
            "ALTER TABLE public.events DROP CONSTRAINT c; ALTER TABLE public.events ADD CONSTRAINT c CHECK ((id > 0))",
            "ALTER TABLE public.events DROP CONSTRAINT c",
        ),
        EVENTS,
        (PLAIN, "ALTER TABLE events ADD CONSTRAINT c CHECK (id > 0) NO INHERIT"),
        CONVERT,
        CONVERT,
    ),
    Row(
        "the NOT NULL constraint n is NO INHERIT; ALTER TABLE public.events ALTER CONSTRAINT n INHERIT; or drop it: "
        "ALTER TABLE public.events DROP CONSTRAINT n",
        (
            "ALTER TABLE public.events ALTER CONSTRAINT n INHERIT",
            "ALTER TABLE public.events DROP CONSTRAINT n",
        ),
        EVENTS,
        (PLAIN, "ALTER TABLE events ADD note text CONSTRAINT n NOT NULL NO INHERIT"),
        CONVERT,
        CONVERT,
        since=18,
    ),
    Row(
        "not-partitioned: public.events is declared PARTITION BY RANGE (created_at) and is a plain table in the "
        "database -> convert it: sa-partman convert public.events; or in a migration: alembic revision --autogenerate, "
        "then alembic upgrade head",
        (
            (Meant("sa-partman convert public.events --yes"),),
            ("alembic revision --autogenerate", "alembic upgrade head"),
        ),
        EVENTS,
        (PLAIN,),
    ),
    Row(
        "alembic/migrations/env.py does not import alembic_ext.autogenerate, so that alembic revision --autogenerate "
        "knows nothing of the declarations: it converts and creates nothing for them\n         -> write into "
        "alembic/migrations/env.py: import alembic_ext.autogenerate".replace("alembic/migrations", "migrations"),
        (with_line,),
        EVENTS,
        (PLAIN, without_line),
        checked,
        checked,
    ),
    Row(
        "no partition for now: rows fall into the default partition",
        ((Meant("sa-partman run"),),),
        EVENTS.replace("premake=2", "premake=2, default=True"),
        (Box.bare, "CREATE TABLE events_default PARTITION OF events DEFAULT"),
        "sa-partman status",
        "sa-partman status",
    ),
    Row(
        "no partition for now: inserts fail",
        ((Meant("sa-partman run"),),),
        EVENTS,
        (Box.bare,),
        "sa-partman status",
        "sa-partman status",
    ),
    Row(
        "op.partition_table('events', ...): public.events can't be converted in place; nothing was changed:\n"
        "  - u is unique over (code) and lacks created_at: a partitioned table can't enforce it; extend it in the "
        "model and migrate that first, keep it on the history only (unique={'u': 'local'}), or drop it "
        "(unique={'u': 'drop'})",
        (
            Meant(f"{AGAIN}, unique={{'u': 'local'}})"),
            Meant(f"{AGAIN}, unique={{'u': 'drop'}})"),
            (Meant("DROP INDEX u; CREATE UNIQUE INDEX u ON events (code, created_at)"), Meant(PARTITION)),
        ),
        "",
        (PLAIN, "ALTER TABLE events ADD code text", "CREATE UNIQUE INDEX u ON events (code)"),
        PARTITION,
        None,
    ),
    Row(
        "orders refers to it by k (event), and a partitioned table's unique keys contain the partition key; drop that "
        "foreign key (inbound='drop'), or replace it by one that contains the partition key",
        (Meant(f"{AGAIN}, inbound='drop')"),),
        "",
        (PLAIN, "CREATE TABLE orders (event bigint CONSTRAINT k REFERENCES events)"),
        PARTITION,
        None,
    ),
    Row(
        "public.users: … rows would have to move, and op.repartition_table moves at most 2 in one transaction, while "
        "everybody waits; nothing was changed. Move them before, while the application goes on: sa-partman regrid "
        "public.users; this finds nothing to do then. Or raise limit= in a maintenance window.",
        (
            (yes("sa-partman regrid public.users"), Meant(REPARTITION.format(2))),
            Meant(REPARTITION.format(100)),
        ),
        HASHED,
        USERS,
        REPARTITION.format(2),
        None,
    ),
    Row(
        "public.users: the transaction is SERIALIZABLE, so it does not see rows that were committed after its first "
        "statement, and they would be lost; nothing was changed. Instead, run the migration in READ COMMITTED: "
        "isolation_level='READ COMMITTED' for the engine in env.py",
        ((READ_COMMITTED, Meant(REPARTITION.format(100))),),
        HASHED,
        (*USERS, SERIALIZABLE),
        REPARTITION.format(100),
        None,
    ),
    Row(
        "HASH spreads the rows over all partitions; copy the rows: sa-partman convert public.users --strategy copy",
        (yes("sa-partman convert public.users --strategy copy"),),
        """
class User(Partitioned, Base):
    __tablename__ = "users"
    __partition__ = PartitionByHash("id", modulus=1)
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
""",
        ("CREATE TABLE users (id bigint PRIMARY KEY)", "INSERT INTO users SELECT generate_series(1, 20)"),
        "sa-partman convert users --yes",
    ),
    Row(
        "public.events_p20300601 can't be attached as it is: the column note was added; the constraint c was added on "
        "public.events since it was detached; nothing was changed. Bring it up to date: ALTER TABLE "
        "public.events_p20300601 ADD COLUMN note text; ALTER TABLE public.events_p20300601 ADD CONSTRAINT c CHECK "
        "((id > 0))",
        (
            (
                "ALTER TABLE public.events_p20300601 ADD COLUMN note text; ALTER TABLE public.events_p20300601 ADD "
                "CONSTRAINT c CHECK ((id > 0))",
                Meant(ATTACH),
            ),
        ),
        EVENTS,
        (detached, "ALTER TABLE events ADD note text, ADD CONSTRAINT c CHECK (id > 0)"),
        ATTACH,
        None,
    ),
    Row(
        "public.events_p20300601 can't be attached as it is: the column note was renamed to remark; the type of size "
        "was changed from text to integer; the column spare was dropped on public.events since it was detached; "
        "nothing was changed. Bring it up to date: ALTER TABLE public.events_p20300601 RENAME COLUMN note TO remark; "
        "ALTER TABLE public.events_p20300601 ALTER COLUMN size TYPE integer USING CAST(size AS integer); ALTER TABLE "
        "public.events_p20300601 DROP COLUMN spare",
        (
            (
                "ALTER TABLE public.events_p20300601 RENAME COLUMN note TO remark; ALTER TABLE "
                "public.events_p20300601 ALTER COLUMN size TYPE integer USING CAST(size AS integer); ALTER TABLE "
                "public.events_p20300601 DROP COLUMN spare",
                Meant("sa-partman run"),
            ),
        ),
        EVENTS,
        (
            Box.bare,
            "ALTER TABLE events ADD note text, ADD size text, ADD spare date",
            Box.provision,
            "INSERT INTO events (created_at, note, size) VALUES ('2030-06-20', 'x', '5')",
            "op.detach_partition('events_p20300601', 'events')",
            "ALTER TABLE events RENAME note TO remark; ALTER TABLE events ALTER size TYPE integer USING size::integer; "
            "ALTER TABLE events DROP spare",
        ),
        run_once,
        run_once,
    ),
    Row(
        "public.events_p20300601 can't be attached as it is: the column size was added on public.events since it was "
        "detached; nothing was changed. Bring it up to date: ALTER TABLE public.events_p20300601 ADD COLUMN size "
        "integer; UPDATE public.events_p20300601 SET size = ...; ALTER TABLE public.events_p20300601 ALTER COLUMN size "
        "SET NOT NULL",
        (
            (
                "ALTER TABLE public.events_p20300601 ADD COLUMN size integer",
                Meant("UPDATE public.events_p20300601 SET size = 0"),
                "ALTER TABLE public.events_p20300601 ALTER COLUMN size SET NOT NULL",
                Meant("sa-partman run"),
            ),
        ),
        EVENTS,
        (detached, "ALTER TABLE events ADD size integer; ALTER TABLE events ALTER size SET NOT NULL"),
        run_once,
        run_once,
    ),
)
