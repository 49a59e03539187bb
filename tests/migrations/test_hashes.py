"""The modulus, declared against found; and sub-partitions of every strategy."""

import pytest
from alembic.util import CommandError

from tests.migrations.project import Project, body

HASHED = """
class Item(Partitioned, Base):
    __tablename__ = "items"
    __partition__ = PartitionByHash("id", modulus={})
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    twice: Mapped[int] = mapped_column(BigInteger, sa.Computed("id * 2", persisted=True))
"""


def tree(below: str, values: str = '{"eu": ["de"], "us": ["us"]}') -> str:
    return f"""
class Item(Partitioned, Base):
    __tablename__ = "items"
    __partition__ = PartitionByList("country", values={values}{below})
    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    country: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[date] = mapped_column(primary_key=True)
"""


RANGE_BELOW = ', default=True, subpartition=PartitionByRange("at", interval="1 month", premake=1, start="2026-01-01")'


@pytest.mark.parametrize(("before", "after"), [(2, 4), (4, 2), (2, 3), (1, 5)])
def test_another_modulus_moves_the_rows(project: Project, before: int, after: int) -> None:
    project.migrate(HASHED.format(before))
    project.execute("INSERT INTO items (id) SELECT generate_series(1, 1000)")

    written = project.migrate(HASHED.format(after))
    up = len(project.partitions("items")), project.rows("SELECT count(*), sum(id), sum(twice) FROM items")
    project.downgrade("-1")

    assert f"PartitionByHash('id', modulus={after})" in body(written)
    assert f"existing=PartitionByHash('id', modulus={before})" in body(written)
    assert (after, [(1000, 500500, 1001000)]) == up
    assert before == len(project.partitions("items"))
    assert [(1000, 500500, 1001000)] == project.rows("SELECT count(*), sum(id), sum(twice) FROM items")


def test_partitions_keep_their_names_and_no_table_is_left_over(project: Project) -> None:
    project.migrate(HASHED.format(2))

    project.migrate(HASHED.format(4))

    assert ["items_h0", "items_h1", "items_h2", "items_h3"] == list(project.partitions("items"))
    assert [] == project.rows("SELECT relname FROM pg_class WHERE relname LIKE 'sa_partman_old%'")


def test_several_moduli_side_by_side_are_understood(project: Project) -> None:
    """Somebody has split one of two by hand."""
    project.migrate(HASHED.format(2))
    project.execute("DROP TABLE items_h1")
    for remainder in (1, 3):
        project.execute(
            f"CREATE TABLE items_x{remainder} PARTITION OF items FOR VALUES WITH (MODULUS 4, REMAINDER {remainder})"
        )
    project.execute("INSERT INTO items (id) SELECT generate_series(1, 100)")

    project.check()
    project.models(HASHED.format(4))
    project.check()
    project.migrate(HASHED.format(8))

    assert 8 == len(project.partitions("items"))
    assert [100] == project.rows("SELECT count(*) FROM items")


def test_a_new_label_gets_its_sub_partitions(project: Project) -> None:
    project.migrate(tree(RANGE_BELOW))

    written = project.migrate(tree(RANGE_BELOW, '{"eu": ["de"], "us": ["us"], "asia": ["jp"]}'))
    same = len(project.partitions("items_asia")), len(project.partitions("items_eu"))
    project.downgrade("-1")

    assert same[0] == same[1] > 2
    assert "partition_by=PartitionByRange('at', interval='1 month', premake=1, start='2026-01-01')" in body(written)
    assert not project.exists("items_asia")


def test_old_rows_in_the_default_partition_get_sub_partitions_too(project: Project) -> None:
    """They are older than what the declaration begins with."""
    project.migrate(tree(RANGE_BELOW))
    project.execute(
        "INSERT INTO items (country, at) VALUES ('jp', '2025-10-05'), ('jp', '2026-02-01'), ('xx', '2020-01-01')"
    )

    project.migrate(tree(RANGE_BELOW, '{"eu": ["de"], "us": ["us"], "asia": ["jp"]}'))
    up = project.rows("SELECT tableoid::regclass::text FROM items ORDER BY at")
    project.downgrade("-1")

    assert ["items_default", "items_asia_p20251001", "items_asia_p20260201"] == up
    assert ["items_default"] == project.rows("SELECT DISTINCT tableoid::regclass::text FROM items")


def test_a_value_that_moves_takes_its_sub_partitions_along(project: Project) -> None:
    below = RANGE_BELOW.replace(", default=True", "")
    project.migrate(tree(below, '{"eu": ["de", "fr"], "us": ["us"]}'))
    project.execute("CREATE TABLE items_eu_old PARTITION OF items_eu FOR VALUES FROM ('2020-01-01') TO ('2021-01-01')")
    project.execute(
        "INSERT INTO items (country, at) VALUES ('de', '2026-02-01'), ('fr', '2020-02-01'), ('fr', '2026-02-01')"
    )

    project.migrate(tree(below, '{"eu": ["de"], "us": ["us", "fr"]}'))
    first = project.rows("SELECT country, count(*) FROM items_us GROUP BY 1")
    project.migrate(tree(below, '{"eu": ["de"], "us": ["us"], "france": ["fr"]}'))

    assert [("fr", 2)] == first
    assert [("fr", 2)] == project.rows("SELECT country, count(*) FROM items_france GROUP BY 1")
    assert [3] == project.rows("SELECT count(*) FROM items")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", ', subpartition=PartitionByHash("id", modulus=2)'),
        (', subpartition=PartitionByHash("id", modulus=2)', ""),
        (', subpartition=PartitionByHash("id", modulus=2)', ', subpartition=PartitionByRange("at", interval="1 day")'),
    ],
    ids=["added", "removed", "other"],
)
def test_another_template_below_existing_labels_is_an_error(project: Project, before: str, after: str) -> None:
    project.migrate(tree(before))
    project.models(tree(after))

    with pytest.raises(
        CommandError, match=r"items_eu is declared .* and is .* in the database; no migration was written"
    ):
        project.revision()


def test_another_template_below_ranges_holds_for_future_partitions(project: Project) -> None:
    models = """
class Item(Partitioned, Base):
    __tablename__ = "items"
    __partition__ = PartitionByRange("at", interval="1 month", premake=1{})
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True, autoincrement=True)
    at: Mapped[date] = mapped_column(primary_key=True)
"""
    project.migrate(models.format(""))

    project.models(models.format(', subpartition=PartitionByHash("id", modulus=4)'))

    project.check()


def test_the_modulus_below_a_label_is_compared(project: Project) -> None:
    project.migrate(tree(', subpartition=PartitionByHash("id", modulus=2)'))
    project.execute("INSERT INTO items (country, at) SELECT 'de', '2026-01-01' FROM generate_series(1, 50)")

    written = body(project.migrate(tree(', subpartition=PartitionByHash("id", modulus=3)')))
    project.downgrade("-1")

    assert 2 == written.count("op.repartition_table(")
    assert "'items_eu'" in written
    assert 2 == len(project.partitions("items_eu"))
    assert [50] == project.rows("SELECT count(*) FROM items")


def test_labels_below_a_hash_are_compared(project: Project) -> None:
    models = """
class Item(Partitioned, Base):
    __tablename__ = "items"
    __partition__ = PartitionByHash("id", modulus=2, subpartition=PartitionByList("country", values={}))
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True, autoincrement=True)
    country: Mapped[str] = mapped_column(primary_key=True)
"""
    project.migrate(models.replace("values={}", "values=['de']"))

    written = body(project.migrate(models.replace("values={}", "values=['de', 'us']")))
    project.downgrade("-1")

    assert 2 == written.count("op.create_partition(")
    assert ["items_h0_de"] == list(project.partitions("items_h0"))
