"""A table that left the metadata: DROP TABLE as ever; its downgrade makes it again as it was."""

import pytest
from alembic.util import CommandError

from tests.migrations.project import COUNTRIES, EVENTS, Project, body

NESTED = """
samples = Table("samples", metadata, Column("id", BigInteger, index=True), Column("pipeline", Text),
    Column("at", DateTime(timezone=True), nullable=False),
    PartitionByList("pipeline", values={"one": ["p1", "it's"], "none": [None]}, default=True,
        subpartition=PartitionByRange("at", interval="1 day", premake=1,
            subpartition=PartitionByHash("id", modulus=2))))
"""
TREE = """
    SELECT t.relid::regclass::text, t.parentrelid::regclass::text, pg_get_expr(c.relpartbound, c.oid),
        pg_get_partkeydef(c.oid)
    FROM pg_partition_tree('samples') t JOIN pg_class c ON c.oid = t.relid ORDER BY 1
"""


@pytest.mark.parametrize("models", [EVENTS, COUNTRIES], ids=["range", "list"])
def test_the_downgrade_makes_the_table_partitioned_again(project: Project, models: str) -> None:
    table = "events" if models is EVENTS else "orders"
    project.migrate(models)
    before = project.partitions(table)

    written = project.migrate("")
    gone = project.exists(table)
    project.downgrade("-1")

    assert gone is False
    assert before == project.partitions(table)
    assert f"op.drop_table('{table}')" in body(written)
    assert "create_partition" not in body(written)


def test_all_levels_come_back(project: Project) -> None:
    project.migrate(NESTED)
    before = project.rows(TREE)

    project.migrate("")
    project.downgrade("-1")

    assert 1 + 3 + 2 * 2 + 4 * 2 == len(before)
    assert before == project.rows(TREE)


def test_a_table_that_refers_to_a_partitioned_one_comes_back_with_one_foreign_key(project: Project) -> None:
    notes = """
class Note(Base):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    event_id: Mapped[int] = mapped_column(BigInteger)
    event_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    __table_args__ = (sa.ForeignKeyConstraint(["event_id", "event_at"], ["events.id", "events.created_at"], name="fk"),)
"""
    project.migrate(EVENTS + notes)

    written = project.migrate(EVENTS)
    project.downgrade("-1")

    assert 1 == body(written, "downgrade").count("ForeignKeyConstraint")
    assert [1] == project.rows(
        "SELECT count(*) FROM pg_constraint WHERE conrelid = 'notes'::regclass AND contype = 'f' AND conparentid = 0"
    )


class TestGuard:
    def test_a_partition_is_not_dropped_as_a_table(self, project: Project) -> None:
        """What autogenerate writes without our filters would lose all rows."""
        project.migrate(EVENTS)
        name = min(project.partitions("events"))
        project.written(f"op.drop_table({name!r})")

        with pytest.raises(CommandError, match=f"{name}.*is a partition of public.events.*op.drop_partition"):
            project.upgrade()

        assert name in project.partitions("events")

    def test_other_tables_are_dropped_as_ever(self, project: Project) -> None:
        project.migrate(EVENTS)
        project.execute("CREATE TABLE other (id int)")
        project.written(
            "op.drop_table('other')\nop.drop_table('nowhere', if_exists=True)"
            if _if_exists()
            else "op.drop_table('other')"
        )

        project.upgrade()

        assert not project.exists("other")


def _if_exists() -> bool:
    import inspect

    from alembic.operations.ops import DropTableOp

    return "if_exists" in inspect.signature(DropTableOp).parameters
