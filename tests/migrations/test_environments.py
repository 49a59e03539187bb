"""The ways in which projects configure Alembic."""

from pathlib import Path

import pytest
from alembic import command
from alembic.util import CommandError
from sqlalchemy import create_engine

from tests.migrations.project import COUNTRIES, EVENTS, Project, body

PLAIN_EVENTS, PLAIN_COUNTRIES = (
    models.replace(
        "BigInteger, Identity(), primary_key=True, autoincrement=True", "Integer, autoincrement=False, primary_key=True"
    )
    for models in (EVENTS, COUNTRIES)
)
CHANGED = EVENTS + "    size: Mapped[int | None] = mapped_column(BigInteger)\n"


def make(tmp_path: Path, url: str, **settings: str) -> Project:
    return Project(tmp_path, url, **settings)


def test_several_schemas(tmp_path: Path, database_url: str) -> None:
    project = make(tmp_path, database_url, configure="include_schemas=True")
    project.execute("CREATE SCHEMA audit")
    project.execute('CREATE SCHEMA "order"')
    audit = EVENTS.replace("class Event", "class Audit").replace(
        "mapped_column(index=True)\n", 'mapped_column(index=True)\n    __table_args__ = {"schema": "audit"}\n'
    )
    orders = COUNTRIES + '    __table_args__ = {"schema": "order"}\n'
    written = project.migrate(EVENTS + audit + orders)
    more = project.migrate(EVENTS + audit + orders.replace('"us": ["us"]', '"us": ["us"], "asia": ["jp"]'))
    project.downgrade()
    project.upgrade()
    project.check()

    assert "provision_partitions(\n        'events',\n" in written
    assert "        schema='audit',\n    )" in written
    assert "op.create_partition('orders_asia', 'orders', values=['jp'], schema='order')" == body(more)
    assert 3 == len(project.partitions("audit.events")) == len(project.partitions("public.events"))
    assert 3 == len(project.partitions('"order".orders'))


def test_partitions_in_other_schemas_of_the_search_path(tmp_path: Path, database_url: str) -> None:
    project = make(tmp_path, database_url, configure="include_schemas=True")
    project.execute("CREATE SCHEMA vis")
    project.migrate(COUNTRIES)
    project.written("op.create_partition('orders_jp', 'orders', values=['jp'], partition_schema='vis')")
    project.upgrade()
    name = project.rows("SELECT current_database()")[0]
    project.execute(f"ALTER DATABASE {name} SET search_path = public, vis")
    project.models(COUNTRIES.replace('"us": ["us"]', '"us": ["us"], "asia": ["jp"]'))

    project.check()
    written = body(project.migrate(COUNTRIES))
    project.downgrade("-1")

    assert "op.detach_partition('orders_jp', 'orders', values=['jp'], partition_schema='vis')" == written
    where = (
        "SELECT relnamespace::regnamespace::text FROM pg_inherits JOIN pg_class ON oid = inhrelid WHERE relname = :name"
    )
    assert ["vis"] == project.rows(where, name="orders_jp")


def test_a_table_in_the_second_schema_of_the_search_path(tmp_path: Path, database_url: str) -> None:
    """What op.create_table put into the first one is found wherever the search path finds it."""
    project = make(tmp_path, database_url)
    project.migrate(COUNTRIES)
    project.execute("CREATE SCHEMA first")
    name = project.rows("SELECT current_database()")[0]
    project.execute("ALTER TABLE alembic_version SET SCHEMA first")
    project.execute(f"ALTER DATABASE {name} SET search_path = first, public")

    project.migrate(COUNTRIES.replace('"us": ["us"]', '"us": ["us"], "asia": ["jp"]'))

    assert ["public"] == project.rows(
        "SELECT relnamespace::regnamespace::text FROM pg_class WHERE relname = 'orders_asia'"
    )


@pytest.mark.parametrize(
    "configure",
    ["render_as_batch=True", "compare_type=True", "transaction_per_migration=True", "user_module_prefix='x.'"],
)
def test_options(tmp_path: Path, database_url: str, configure: str) -> None:
    project = make(tmp_path, database_url, configure=configure)
    project.migrate(EVENTS + COUNTRIES)
    project.migrate(CHANGED + COUNTRIES.replace('["de", "fr"]', '["de"]').replace('["us"]', '["us", "fr"]'))
    project.downgrade()
    project.upgrade()

    project.check()


def test_another_module_prefix(tmp_path: Path, database_url: str) -> None:
    project = make(tmp_path, database_url, configure="alembic_module_prefix='alembic.op.'")
    project.models(COUNTRIES)

    assert "alembic.op.provision_partitions(" in project.revision()


def test_a_rewriter_and_process_revision_directives(tmp_path: Path, database_url: str) -> None:
    prelude = """
        from alembic.autogenerate import rewriter
        from alembic.operations import ops
        from alembic_ext.table_ops import ProvisionPartitionsOp

        writer = rewriter.Rewriter()

        @writer.rewrites(ops.CreateTableOp)
        def _comment(context, revision, op):
            op.comment = "rewritten"
            return op

        @writer.rewrites(ProvisionPartitionsOp)
        def _provision(context, revision, op):
            return [op, ops.ExecuteSQLOp("SELECT 1")]
    """
    project = make(tmp_path, database_url, prelude=prelude, configure="process_revision_directives=writer")
    project.models(COUNTRIES)

    written = project.revision()
    project.upgrade()

    assert "comment='rewritten'" in written
    assert written.index("op.provision_partitions(") < written.index("op.execute('SELECT 1')")


def test_several_metadata(tmp_path: Path, database_url: str) -> None:
    project = make(tmp_path, database_url, prelude="target_metadata = [target_metadata, _models['second']]")
    second = """
second = MetaData()
Table("prices", second, Column("at", sa.Date, nullable=False), PartitionByRange("at", interval="1 year", premake=0))
"""
    written = project.migrate(COUNTRIES + second)

    assert 2 == written.count("op.provision_partitions(")


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_an_async_environment(tmp_path: Path, database_url: str, driver: str) -> None:
    pytest.importorskip(driver)
    project = make(tmp_path, database_url, template="async")
    project.config.set_main_option("sqlalchemy.url", database_url.replace("+psycopg", f"+{driver}").replace("%", "%%"))
    project.migrate(EVENTS + COUNTRIES)
    project.migrate(EVENTS + COUNTRIES.replace('["de", "fr"]', '["de"]').replace('["us"]', '["us", "fr"]'))
    project.written("op.detach_partition('orders_us', 'orders', concurrently=True)")
    project.upgrade()
    project.downgrade("-1")

    assert "orders_us" not in project.partitions("orders")


class TestElsewhere:
    """Off PostgreSQL a declaration does nothing."""

    @pytest.fixture
    def sqlite(self, tmp_path: Path) -> Project:
        (tmp_path / "sqlite").mkdir()
        return make(tmp_path / "sqlite", f"sqlite:///{tmp_path / 'db.sqlite'}")

    def test_a_file_written_for_postgresql_runs(self, project: Project, sqlite: Project) -> None:
        project.migrate(PLAIN_EVENTS + PLAIN_COUNTRIES)
        project.migrate(
            PLAIN_EVENTS + PLAIN_COUNTRIES.replace('["de", "fr"]', '["de"]').replace('["us"]', '["us", "fr"]')
        )
        for file in (project.folder / "migrations" / "versions").glob("*.py"):
            (sqlite.folder / "migrations" / "versions" / file.name).write_text(file.read_text())
        sqlite.models_file.write_text(project.models_file.read_text())

        sqlite.upgrade()
        sqlite.check()
        sqlite.downgrade()

        assert ["alembic_version"] == sqlite.rows("SELECT name FROM sqlite_master WHERE type = 'table'")

    def test_autogenerate_writes_nothing_of_ours(self, sqlite: Project) -> None:
        written = sqlite.migrate(PLAIN_EVENTS)

        assert "provision_partitions" not in written
        assert "info=" not in written


def test_the_old_name_of_a_schema_is_translated(project: Project) -> None:
    """``schema_translate_map``, as projects with one schema per tenant use it."""
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext
    from sqlalchemy import Column, Text

    import alembic_ext.operations  # noqa: F401
    from sa_partman import PartitionByList

    project.execute("CREATE SCHEMA tenant_1")
    engine = create_engine(project.url)
    with engine.connect().execution_options(schema_translate_map={None: "tenant_1"}) as connection:
        operations = Operations(MigrationContext.configure(connection))
        operations.create_table("t", Column("k", Text), postgresql_partition_by="LIST (k)")
        operations.provision_partitions("t", PartitionByList("k", values=["a"]))  # type: ignore[attr-defined]
        operations.create_partition("t_b", "t", values=["b"])  # type: ignore[attr-defined]
        with pytest.raises(CommandError):
            operations.drop_table("t_b")
        connection.commit()
    engine.dispose()

    assert ["t_a", "t_b"] == list(project.partitions("tenant_1.t"))


def test_stamp_and_history_work_as_ever(project: Project) -> None:
    project.models(EVENTS)
    project.revision()

    command.stamp(project.config, "head")
    command.history(project.config)

    assert not project.exists("events")
