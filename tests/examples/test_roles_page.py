"""What docs/roles.md says is what happens: its SQL is run, and each of its roles may do what it says, and no more."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import BigInteger, Column, DateTime, Engine, MetaData, Table, Text, create_engine, text
from sqlalchemy.exc import ProgrammingError

from sa_partman import Maintainer, PartitionByRange, Retention
from tests.support.command import ROOT, Ended
from tests.support.database import another, partitions, sql
from tests.support.warm import forked

PAGE = (ROOT / "docs" / "roles.md").read_text(encoding="utf-8")
MODELS = """
from sqlalchemy import BigInteger, Column, DateTime, MetaData, Table, Text
from sa_partman import PartitionByRange, Retention
metadata = MetaData()
Table("events", metadata, Column("id", BigInteger, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False), Column("tenant", Text, nullable=False),
    PartitionByRange("at", interval="1 month", premake=1, retention=Retention("1 month")), schema="shop")
"""


def block(marker: str) -> str:
    """The code block behind ``<!-- run: marker -->``."""
    (found,) = re.findall(rf"<!-- run: {marker} -->\n```\w+\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


def events() -> Table:
    return Table(
        "events",
        MetaData(),
        Column("id", BigInteger, nullable=False),
        Column("at", DateTime(timezone=True), nullable=False),
        Column("tenant", Text, nullable=False),
        PartitionByRange("at", interval="1 month", premake=1, retention=Retention("1 month")),
        schema="shop",
    )


@pytest.fixture
def admin(engine: Engine) -> Iterator[Engine]:
    """A database in which the page's first block was run, as whoever may."""
    sql(engine, block("roles"))
    yield engine
    sql(engine, "DROP OWNED BY shop_owner CASCADE; DROP OWNED BY shop_app; DROP ROLE shop_owner, shop_app")


@pytest.fixture
def owner(admin: Engine) -> Iterator[Engine]:
    """Connected as the page says, with the table made."""
    engine = create_engine(admin.url.set(username="shop_owner", password="change me"))
    events().create(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def app(owner: Engine) -> Iterator[Engine]:
    engine = create_engine(owner.url.set(username="shop_app", password="change me too"))
    yield engine
    engine.dispose()


def next_year(engine: Engine) -> datetime:
    """When everything that `events` has now has expired."""
    with engine.connect() as connection:
        now: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    return now + timedelta(days=365)


def test_the_owner_maintains(owner: Engine) -> None:
    """It provisions and prunes, and needs nothing that the page does not give."""
    table = events()
    before = set(partitions(owner, "shop.events"))
    later = next_year(owner)
    result = Maintainer(owner, table.metadata, now=later).run()
    after = set(partitions(owner, "shop.events"))

    assert result.ok, str(result)
    assert not before & after
    assert 3 == len(after)


def test_the_application_works_through_the_table(owner: Engine, app: Engine) -> None:
    """In partitions that were made later, too; and it can't make or drop one."""
    table, later = events(), next_year(owner)
    assert Maintainer(owner, table.metadata, now=later).run().ok
    row = {"id": 1, "at": later, "tenant": "us"}
    with app.begin() as connection:
        connection.execute(table.insert(), row)
        connection.execute(table.update().values(id=2))
        assert 2 == connection.execute(text("SELECT id FROM events")).scalar()
    for statement in (
        f"DROP TABLE {max(partitions(owner, 'shop.events'))}",
        "CREATE TABLE mine (id int)",
        "CREATE TABLE public.mine (id int)",
        f"ALTER TABLE events DETACH PARTITION {max(partitions(owner, 'shop.events'))}",
    ):
        with pytest.raises(ProgrammingError, match=r"must be owner|permission denied"):
            sql(app, statement)


def test_a_new_partition_is_as_narrow_as_its_table(admin: Engine, owner: Engine, app: Engine) -> None:
    """By its own name: no other tenant's rows, and no privilege beyond the table's."""
    sql(owner, block("tenants"))
    table, later = events(), next_year(owner)
    assert Maintainer(owner, table.metadata, now=later).run().ok
    with admin.begin() as connection:
        for tenant in ("us", "them", "them"):
            connection.execute(table.insert(), {"id": 1, "at": later, "tenant": tenant})
    with owner.connect() as connection:
        new = connection.execute(text("SELECT CAST(tableoid AS regclass) FROM events LIMIT 1")).scalar()
    with app.connect() as connection:
        connection.execute(text("SET shop.tenant = 'us'"))
        assert ["us"] == list(connection.execute(text(f"SELECT tenant FROM {new}")).scalars())
        assert ["us"] == list(connection.execute(text("SELECT tenant FROM events")).scalars())
        with pytest.raises(ProgrammingError, match="permission denied"):
            connection.execute(text(f"DELETE FROM {new}"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "models.py").write_text(MODELS, encoding="utf-8")
    return tmp_path


def command(engine: Engine, folder: Path, *arguments: str) -> Ended:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SA_PARTMAN_")}
    url = engine.url.render_as_string(hide_password=False)
    environment = {**kept, "DATABASE_URL": url, "SA_PARTMAN_METADATA": "models:metadata"}
    return Ended(*forked("sa_partman", arguments, folder, environment))


def test_the_application_checks(app: Engine, folder: Path) -> None:
    """Its role lacks what a maintainer needs: noted, and nothing is wrong."""
    done = command(app, folder, "check")

    assert (0, "") == (done.code, done.err), done.out
    assert "does not own shop.events" in done.out
    assert "No problems." in done.out


def test_a_check_for_another_role(owner: Engine, app: Engine, folder: Path) -> None:
    """What it lacks is a problem then, and the remedy is the very statement."""
    lacking = command(app, folder, "check", "--as-role", "shop_app")

    assert 1 == lacking.code, lacking.err
    assert 'GRANT "shop_owner" TO "shop_app"' in lacking.out
    assert 0 == command(owner, folder, "check", "--as-role", "shop_owner").code


def test_partitions_from_before_are_mended(owner: Engine, app: Engine, folder: Path) -> None:
    """The page's command, once the table was narrowed."""
    sql(owner, block("tenants"))
    before = command(owner, folder, "check", "--json")
    done = command(owner, folder, *block("repair").split()[1:])
    after = command(owner, folder, "check")

    assert 1 == before.code
    assert '"code": "membership", "severity": "error"' in re.sub(r"\s+", " ", before.out)
    assert 0 == done.code, done.err
    assert (0, "No problems.") == (after.code, after.out.strip().splitlines()[-1])


def test_a_role_that_is_a_member_creates_for_the_owner(admin: Engine, owner: Engine) -> None:
    """``GRANT shop_owner TO deploy`` is enough."""
    sql(admin, "CREATE ROLE deploy LOGIN PASSWORD 'secret'; GRANT shop_owner TO deploy")
    with another(admin) as engine:
        deploy = create_engine(engine.url.set(username="deploy", password="secret"))
        result = Maintainer(deploy, events().metadata, now=next_year(owner)).run()
        deploy.dispose()
    owners = sql(admin, "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'shop'")
    sql(admin, "DROP ROLE deploy")

    assert result.ok, str(result)
    assert [("shop_owner",)] == [tuple(row) for row in owners]
