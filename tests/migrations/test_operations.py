"""The operations on one partition, written by hand: each does what it says, and refuses what it can't do whole."""

import time
import warnings

import pytest
from alembic.util import CommandError
from sqlalchemy import text

from alembic_ext.session import LOCK_TIMEOUT
from sa_partman.marks import is_marked
from tests.migrations.project import COUNTRIES, Project


def test_a_list_partition_is_created(project: Project) -> None:
    project.migrate(COUNTRIES)
    project.written(
        "op.create_partition('orders_asia', 'orders', values=['jp', \"it's\"])",
        "op.drop_partition('orders_asia', 'orders')",
    )

    project.upgrade()
    made = project.partitions("orders")
    project.downgrade("-1")

    assert "FOR VALUES IN ('it''s', 'jp')" == made["orders_asia"]
    assert "orders_asia" not in project.partitions("orders")


@pytest.mark.parametrize(
    ("key", "arguments", "bound"),
    [
        ("RANGE (d)", "lower='2024-01-01', upper='2025-01-01'", "FROM ('2024-01-01') TO ('2025-01-01')"),
        ("RANGE (d)", "lower=datetime.date(2024, 1, 1), upper=MAXVALUE", "FROM ('2024-01-01') TO (MAXVALUE)"),
        ("RANGE (d)", "lower=MINVALUE, upper='infinity'", "FROM (MINVALUE) TO ('infinity')"),
        (
            "RANGE (at)",
            "lower='2024-01-01 00:00:00+02:00', upper='2024-02-01 00:00:00+00:00'",
            "FROM ('2023-12-31 22:00:00+00') TO ('2024-02-01 00:00:00+00')",
        ),
        ("RANGE (n, d)", "lower=(1, MINVALUE), upper=(2, '2024-01-01')", "FROM (1, MINVALUE) TO (2, '2024-01-01')"),
        ("LIST (n)", "values=[3, None, 1]", "IN (1, 3, NULL)"),
        ("LIST (flag)", "values=[True]", "IN (true)"),
        ("LIST (amount)", "values=['1.50', 2]", "IN (1.50, '2')"),
        ("LIST (mood)", "values=['it''s']".replace("''", "\\'"), "IN ('it''s')"),
        ("LIST (u)", "values=['018cc251-f400-7000-8000-000000000000']", "IN ('018cc251-f400-7000-8000-000000000000')"),
        ("HASH (n)", "modulus=4, remainder=3", "WITH (modulus 4, remainder 3)"),
        ("HASH (n)", "modulus=4, remainder=0", "WITH (modulus 4, remainder 0)"),
        ("LIST (n)", "default=True", "DEFAULT"),
    ],
)
def test_bounds_are_plain_literals(project: Project, key: str, arguments: str, bound: str) -> None:
    project.execute("CREATE TYPE mood AS ENUM ('it''s', 'b')")
    project.execute(
        "CREATE TABLE t (n int, d date, at timestamptz, flag bool, amount numeric, mood mood, u uuid) "
        f"PARTITION BY {key}"
    )
    project.written(
        f"op.create_partition('p', 't', {arguments})",
        "op.drop_partition('p', 't')",
        "import datetime\nfrom alembic_ext import MAXVALUE, MINVALUE",
    )

    project.upgrade()
    shown = project.partitions("t")["p"]
    project.downgrade()

    assert shown.removeprefix("FOR VALUES ") == bound
    assert not project.exists("p")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "lacks the bound"),
        ("values=['a'], default=True", "exclude each other"),
        ("lower=1", "lower= and upper="),
        ("values='de'", "write a list"),
        ("values=['de']", "orders_p|would overlap"),
        ("modulus=2, remainder=0", "rolled back"),
        ("lower='a', upper='b', schema='nowhere'", "does not exist"),
    ],
)
def test_a_wrong_bound_is_one_clear_line(project: Project, arguments: str, message: str) -> None:
    project.migrate(COUNTRIES)
    project.written(f"op.create_partition('orders_p', 'orders', {arguments})")

    with pytest.raises(CommandError, match=message):
        project.upgrade()

    assert {"orders_eu", "orders_us"} == set(project.partitions("orders"))


def test_a_naive_time_for_a_timestamptz_key_is_refused(project: Project) -> None:
    project.execute("CREATE TABLE t (at timestamptz) PARTITION BY RANGE (at)")
    project.written("op.create_partition('p', 't', lower='2024-01-01', upper='2024-02-01')")

    with pytest.raises(CommandError, match="offset"):
        project.upgrade()


def test_rows_of_a_new_partition_leave_the_default_one(project: Project) -> None:
    project.migrate(COUNTRIES.replace("]})", "]}, default=True)"))
    project.execute(
        "INSERT INTO orders (country) SELECT CASE WHEN i % 2 = 0 THEN 'jp' ELSE 'xx' END FROM generate_series(1, 10) i"
    )
    project.written(
        "op.create_partition('orders_jp', 'orders', values=['jp'])",
        "op.drop_partition('orders_jp', 'orders', rows_to_default=True)",
    )

    project.upgrade()
    moved = project.rows("SELECT count(*) FROM orders_jp") + project.rows("SELECT count(*) FROM orders_default")
    project.downgrade("-1")

    assert [5, 5] == moved
    assert [10] == project.rows("SELECT count(*) FROM orders_default")


def test_too_many_rows_in_the_default_partition_change_nothing(project: Project) -> None:
    project.migrate(COUNTRIES.replace("]})", "]}, default=True)"))
    project.execute("INSERT INTO orders (country) SELECT 'jp' FROM generate_series(1, 11)")
    project.written("op.create_partition('orders_jp', 'orders', values=['jp'], limit=10)")

    with pytest.raises(CommandError, match=r"11 rows of .*nothing was changed"):
        project.upgrade()

    assert not project.exists("orders_jp")
    assert [11] == project.rows("SELECT count(*) FROM orders_default")


def test_dropping_takes_the_rows_along_unless_told_otherwise(project: Project) -> None:
    project.migrate(COUNTRIES.replace("]})", "]}, default=True)"))
    project.execute("INSERT INTO orders (country) VALUES ('de'), ('us')")
    project.written("op.drop_partition('orders_us', 'orders')")

    project.upgrade()

    assert ["de"] == project.rows("SELECT country FROM orders")


@pytest.mark.parametrize("operation", ["drop", "detach"])
def test_a_partition_with_another_bound_is_left_alone(project: Project, operation: str) -> None:
    project.migrate(COUNTRIES)
    project.written(f"op.{operation}_partition('orders_us', 'orders', values=['de'])")

    with pytest.raises(CommandError, match=r"orders_us is the partition for in \(us\), not for in \(de\)"):
        project.upgrade()

    assert "orders_us" in project.partitions("orders")


@pytest.mark.parametrize("operation", ["drop", "detach"])
def test_what_is_no_partition_of_it_is_left_alone(project: Project, operation: str) -> None:
    project.migrate(COUNTRIES)
    project.execute("CREATE TABLE other (id int)")
    project.written(f"op.{operation}_partition('other', 'orders')")

    with pytest.raises(CommandError, match=r"other is not a partition of public.orders"):
        project.upgrade()

    assert project.exists("other")


def test_detach_and_attach_keep_rows_and_the_users_comment(project: Project) -> None:
    project.migrate(COUNTRIES)
    project.execute("INSERT INTO orders (country) VALUES ('us')")
    project.execute("COMMENT ON TABLE orders_us IS 'mine'")
    project.written(
        "op.detach_partition('orders_us', 'orders', values=['us'])",
        "op.attach_partition('orders_us', 'orders', values=['us'])",
    )

    project.upgrade()
    comment = project.rows("SELECT obj_description('orders_us'::regclass)")
    rows = project.rows("SELECT count(*) FROM orders_us")
    project.downgrade("-1")

    assert is_marked(comment[0])
    assert comment[0].endswith("\nmine")
    assert [1] == rows == project.rows("SELECT count(*) FROM orders")
    assert ["mine"] == project.rows("SELECT obj_description('orders_us'::regclass)")


def test_a_foreign_table_is_detached_attached_and_dropped_like_any_partition(project: Project) -> None:
    """Its own words: COMMENT ON TABLE and DROP TABLE refuse a foreign one, and autogenerate writes both operations."""
    project.execute("CREATE TABLE orders (id bigint NOT NULL, country text NOT NULL) PARTITION BY LIST (country)")
    project.execute("CREATE FOREIGN DATA WRAPPER w; CREATE SERVER far FOREIGN DATA WRAPPER w")
    for name, value in (("cold", "it"), ("colder", "jp")):
        project.execute(f"CREATE FOREIGN TABLE {name} PARTITION OF orders FOR VALUES IN ('{value}') SERVER far")
    project.written(
        "op.detach_partition('cold', 'orders', values=['it'])\n"
        "op.detach_partition('colder', 'orders', values=['jp'], concurrently=True)",
        "op.attach_partition('cold', 'orders', values=['it'])\nop.attach_partition('colder', 'orders', values=['jp'])",
    )

    project.upgrade()
    assert {} == project.partitions("orders")
    project.downgrade("-1")
    assert {"cold", "colder"} == set(project.partitions("orders"))

    project.written(
        "op.attach_partition('cold', 'orders', values=['it'])\nop.drop_partition('cold', 'orders', values=['it'])"
    )
    project.upgrade()
    assert not project.exists("cold")


def test_creating_a_partition_that_we_detached_attaches_it_again(project: Project) -> None:
    project.migrate(COUNTRIES)
    project.execute("INSERT INTO orders (country) VALUES ('us')")
    project.written("op.detach_partition('orders_us', 'orders')")
    project.upgrade()
    project.written("op.create_partition('orders_us', 'orders', values=['us'])")
    project.upgrade()

    assert [1] == project.rows("SELECT count(*) FROM orders")
    assert ["sa_partman: created"] == project.rows("SELECT obj_description('orders_us'::regclass)")


def test_a_name_that_somebody_else_bears_is_named(project: Project) -> None:
    project.migrate(COUNTRIES)
    project.execute("CREATE VIEW orders_jp AS SELECT 1 AS x")
    project.written("op.create_partition('orders_jp', 'orders', values=['jp'])")

    with pytest.raises(CommandError, match="taken by a view"):
        project.upgrade()


def test_a_referenced_table_lets_a_partition_be_dropped(project: Project) -> None:
    project.migrate(
        COUNTRIES
        + """
class Line(Base):
    __tablename__ = "lines"
    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(BigInteger)
    country: Mapped[str]
    __table_args__ = (sa.ForeignKeyConstraint(["order_id", "country"], ["orders.id", "orders.country"], name="fk"),)
"""
    )
    project.written("op.drop_partition('orders_us', 'orders')")

    project.upgrade()

    assert ["orders_eu"] == list(project.partitions("orders"))


class TestConcurrently:
    def test_outside_of_a_transaction_that_alembic_owns(self, project: Project) -> None:
        project.migrate(COUNTRIES)
        project.written("op.detach_partition('orders_us', 'orders', concurrently=True)")

        project.upgrade()

        assert ["orders_eu"] == list(project.partitions("orders"))
        assert project.rows("SELECT obj_description('orders_us'::regclass)")[0].startswith("sa_partman: detached")

    def test_a_default_partition_makes_it_impossible(self, project: Project) -> None:
        project.migrate(COUNTRIES.replace("]})", "]}, default=True)"))
        project.written("op.detach_partition('orders_us', 'orders', concurrently=True)")

        with pytest.raises(CommandError, match=r"default partition.*nothing was changed"):
            project.upgrade()

        assert ["sa_partman: created"] == project.rows("SELECT obj_description('orders_us'::regclass)")

    def test_in_a_transaction_of_the_caller_it_is_done_within(self, project: Project) -> None:
        """As pytest-alembic and many test fixtures have it."""
        from alembic.operations import Operations
        from alembic.runtime.migration import MigrationContext

        project.migrate(COUNTRIES)
        engine = project.engine
        with engine.begin() as connection:
            operations = Operations(MigrationContext.configure(connection))
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                operations.detach_partition("orders_us", "orders", concurrently=True)  # type: ignore[attr-defined]
        engine.dispose()

        assert any("the caller owns the transaction" in str(each.message) for each in caught)
        assert ["orders_eu"] == list(project.partitions("orders"))


class TestInAutocommit:
    """Inside of ``autocommit_block()``: no transaction of the caller's, and none of Alembic's either."""

    BLOCK = "with op.get_context().autocommit_block():\n    "

    def test_a_concurrent_detach_is_one(self, project: Project) -> None:
        project.migrate(COUNTRIES)
        project.written(self.BLOCK + "op.detach_partition('orders_us', 'orders', concurrently=True)")

        project.upgrade()

        assert ["orders_eu"] == list(project.partitions("orders"))
        assert project.rows("SELECT obj_description('orders_us'::regclass)")[0].startswith("sa_partman")

    @pytest.mark.parametrize(
        "step",
        [
            "op.repartition_table('orders', PartitionByList('country', values={'eu': ['de', 'us'], 'us': ['fr']}))",
            "op.create_partition('orders_jp', 'orders', values=['jp'])",
            "op.drop_partition('orders_us', 'orders')",
        ],
        ids=lambda step: step.partition("(")[0],
    )
    def test_a_step_is_one_transaction(self, project: Project, step: str) -> None:
        """All of it or nothing, under its timeout."""
        project.migrate(COUNTRIES)
        project.execute("INSERT INTO orders (country) VALUES ('de'), ('fr'), ('us')")
        before = project.partitions("orders")
        project.written(
            self.BLOCK + f"op.execute(\"SET lock_timeout = '50ms'\")\n    {step}",
            imports="from sa_partman import PartitionByList",
        )
        engine = project.engine
        with engine.begin() as holder:
            holder.execute(text("LOCK TABLE ONLY orders IN SHARE UPDATE EXCLUSIVE MODE"))
            with pytest.raises(CommandError, match="another transaction holds the table"):
                project.upgrade()
        engine.dispose()

        assert before == project.partitions("orders")
        assert not project.exists("orders_jp")
        assert 3 == project.scalar("SELECT count(*) FROM orders")

        project.upgrade()

        assert before != project.partitions("orders")


def test_the_session_is_given_back_as_it_was(project: Project) -> None:
    project.migrate(COUNTRIES)
    settings = {"search_path": "public, pg_catalog", "lock_timeout": "7s", "TimeZone": "Asia/Tokyo"}
    local = "; ".join(f"SELECT set_config('{name}', '{value}', true)" for name, value in settings.items())
    seen = ", ".join(f"current_setting('{name}') AS {name}" for name in settings)
    project.written(
        f'op.execute("{local}")\n'
        "op.create_partition('orders_jp', 'orders', values=['jp'])\n"
        f'op.execute("CREATE TABLE seen AS SELECT {seen}")'
    )

    project.upgrade()

    assert [tuple(settings.values())] == project.rows("SELECT * FROM seen")


def test_a_lock_is_waited_for_as_long_as_the_session_says(project: Project) -> None:
    project.migrate(COUNTRIES)
    project.written(
        "op.execute(\"SET LOCAL lock_timeout = '50ms'\")\nop.create_partition('orders_jp', 'orders', values=['jp'])"
    )
    engine = project.engine
    with engine.begin() as holder:
        holder.execute(text("LOCK TABLE ONLY orders IN SHARE UPDATE EXCLUSIVE MODE"))
        began = time.monotonic()
        with pytest.raises(CommandError, match="another transaction holds the table"):
            project.upgrade()
        waited = time.monotonic() - began
    engine.dispose()

    assert waited < LOCK_TIMEOUT
    assert not project.exists("orders_jp")
