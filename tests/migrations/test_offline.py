"""``alembic upgrade --sql``: what can be known without a server is written, the rest is refused."""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from alembic.util import CommandError

from tests.migrations.project import COUNTRIES, EVENTS, Project

PLUGINS = find_spec("alembic.runtime.plugins") is not None

ROOT = Path(__file__).parents[2]

TREE = """
class Sample(Partitioned, Base):
    __tablename__ = "samples"
    __partition__ = PartitionByList("mood", values={"good": ["it's", "100%", "tab\\there", ":x"]},
        subpartition=PartitionByRange("at", interval="1 day", premake=1))
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True, autoincrement=True)
    mood: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
"""


def run(project: Project, script: str) -> None:
    """As psql would."""
    import psycopg

    uri = project.url.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute(re.sub(r"(?m)^--.*$", "", script).encode())


def test_the_script_of_new_tables_runs_and_ends_in_the_same_place(project: Project) -> None:
    project.models(EVENTS + COUNTRIES + TREE)
    project.revision()
    project.execute("DROP TABLE alembic_version")

    script = project.sql()
    run(project, script)
    project.check()

    assert 3 == len(project.partitions("events"))
    assert 2 == len(project.partitions("samples_good"))
    assert "E'tab\\there'" not in script
    assert re.search(r"-- the partitions of events as of \d{4}-.*when this script was written", script)


def test_single_partitions_are_written(project: Project) -> None:
    project.migrate(EVENTS.replace("interval=", "timezone='UTC', interval=") + COUNTRIES)
    project.written(
        "op.create_partition('events_old', 'events', lower='2001-01-01 00:00:00+00', upper='2002-01-01 00:00:00+00')\n"
        "op.create_partition('orders_jp', 'orders', values=['jp', 'it\\'s'])\n"
        "op.detach_partition('orders_us', 'orders')\n"
        "op.attach_partition('orders_us', 'orders', values=['us'])\n"
        "op.drop_partition('orders_eu', 'orders')",
    )
    previous = project.rows("SELECT version_num FROM alembic_version")[0]

    run(project, project.sql(f"{previous}:head"))

    assert "events_old" in project.partitions("events")
    assert {"orders_jp": "FOR VALUES IN ('it''s', 'jp')", "orders_us": "FOR VALUES IN ('us')"} == project.partitions(
        "orders"
    )


def test_detaching_concurrently_leaves_the_transaction(project: Project) -> None:
    project.migrate(COUNTRIES)
    project.written("op.detach_partition('orders_us', 'orders', concurrently=True)")
    previous = project.rows("SELECT version_num FROM alembic_version")[0]

    lines = [line for line in project.sql(f"{previous}:head").splitlines() if line and not line.startswith("--")]

    assert ["COMMIT;", "ALTER TABLE orders DETACH PARTITION orders_us CONCURRENTLY;", "BEGIN;"] == lines[2:5]


@pytest.mark.parametrize(
    "operation",
    [
        "op.provision_partitions('events', PartitionByRange('created_at', interval='1 month'))",
        "op.create_partition('p', 'events', default=True, partition_by=PartitionByHash('id', modulus=2))",
        "op.repartition_table('events', PartitionByHash('id', modulus=2))",
    ],
)
def test_what_needs_the_server_is_refused(project: Project, operation: str) -> None:
    project.migrate(EVENTS)
    project.written(operation, imports="from sa_partman import *")
    previous = project.rows("SELECT version_num FROM alembic_version")[0]

    with pytest.raises(CommandError, match=r"--sql.*connection"):
        project.sql(f"{previous}:head")


REFUSED = [
    "op.partition_table('lines', PartitionByRange('at', interval='1 month'), primary_key=['id', 'at'])",
    "op.unpartition_table('events', PartitionByRange('created_at', interval='1 month'), primary_key=['id'])",
    "op.repartition_table('events', PartitionByHash('id', modulus=2))",
    "op.provision_partitions('events', PartitionByRange('created_at', interval='1 month'))",
    "op.create_partition('p', 'events', default=True, partition_by=PartitionByHash('id', modulus=2))",
]
BEFORE = "op.create_table('lines', sa.Column('id', sa.BigInteger), sa.Column('at', sa.Date))"


@pytest.mark.parametrize("configured", ["", "transaction_per_migration=True"])
@pytest.mark.parametrize("operation", REFUSED)
def test_what_is_refused_in_the_middle_leaves_no_half_of_a_script(
    project: Project, operation: str, configured: str
) -> None:
    """Neither a revision before it, nor a BEGIN: whoever pipes it into psql changes nothing."""
    if configured:
        project.configured(configured)
    project.migrate(EVENTS)
    previous = project.rows("SELECT version_num FROM alembic_version")[0]
    project.written(BEFORE)
    project.written(operation, imports="from sa_partman import *")

    with pytest.raises(CommandError, match="--sql"):
        project.sql(f"{previous}:head")

    assert "" == project.output.getvalue()


def test_a_script_is_whole_where_nothing_is_refused(project: Project) -> None:
    project.migrate(EVENTS)
    previous = project.rows("SELECT version_num FROM alembic_version")[0]
    project.written(BEFORE)

    script = project.sql(f"{previous}:head")

    assert script.startswith("BEGIN;")
    assert script.rstrip().endswith("COMMIT;")


@pytest.mark.skipif(not PLUGINS, reason="without plugins, which came with Alembic 1.18, there is no op.partition_table")
def test_without_the_line_in_env_py_half_a_script_rolls_itself_back(tmp_path: Path, database_url: str) -> None:
    """The first operation of ours is the first thing that it hears of us: the lines before it are written."""
    code = f"""
import sys
from tests.migrations.project import Project
from pathlib import Path
project = Project(Path({str(tmp_path)!r}), {database_url!r}, line="", prelude="target_metadata = None")
project.written({BEFORE!r})
project.written({REFUSED[0]!r}, imports="from sa_partman import *")
try:
    project.sql("head")
except Exception as error:
    print(type(error).__name__)
sys.stdout.write(project.output.getvalue())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    lines = [line for line in done.stdout.splitlines() if line]

    assert "CommandError" in lines, done.stderr
    assert "BEGIN;" in lines
    assert "ROLLBACK;" == lines[-1]
