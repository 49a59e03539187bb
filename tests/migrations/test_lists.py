"""List values, declared against found: labels come and go, values move; rows never get lost."""

import pytest
from alembic.util import CommandError
from sqlalchemy import create_engine

from sa_partman import Maintainer
from tests.migrations.project import COUNTRIES, Project, body
from tests.support.bounds import HOSTILE_TEXTS

VALUES = '{"eu": ["de", "fr"], "us": ["us"]}'
DEFAULT = COUNTRIES.replace("]})", "]}, default=True)")


def orders(values: str, more: str = "") -> str:
    return COUNTRIES.replace(VALUES, values + more)


def fill(project: Project, countries: str, each: int = 1) -> None:
    project.execute(
        "INSERT INTO orders (country) "
        "SELECT c FROM unnest(string_to_array(:countries, ' ')) c, generate_series(1, :each)",
        countries=countries,
        each=each,
    )


def counted(project: Project) -> dict[str, int]:
    """Rows by partition."""
    return dict(project.rows("SELECT tableoid::regclass::text, count(*) FROM orders GROUP BY 1 ORDER BY 1"))


class TestLabels:
    def test_a_new_label_is_created(self, project: Project) -> None:
        project.migrate(COUNTRIES)

        written = project.migrate(orders('{"eu": ["de", "fr"], "us": ["us"], "asia": ["jp", "kr"]}'))
        made = project.partitions("orders")
        project.downgrade("-1")

        assert "op.create_partition('orders_asia', 'orders', values=['jp', 'kr'])" == body(written)
        assert "op.drop_partition('orders_asia', 'orders', values=['jp', 'kr'], rows_to_default=True)" == body(
            written, "downgrade"
        )
        assert "FOR VALUES IN ('jp', 'kr')" == made["orders_asia"]
        assert {"orders_eu", "orders_us"} == set(project.partitions("orders"))

    def test_a_new_label_takes_its_rows_out_of_the_default_partition_and_gives_them_back(
        self, project: Project
    ) -> None:
        project.migrate(DEFAULT)
        fill(project, "de jp jp kr")

        project.migrate(orders('{"eu": ["de", "fr"], "us": ["us"], "asia": ["jp"]}', ", default=True"))
        up = counted(project)
        project.downgrade("-1")

        assert {"orders_eu": 1, "orders_asia": 2, "orders_default": 1} == up
        assert {"orders_eu": 1, "orders_default": 3} == counted(project)

    def test_a_label_that_is_gone_is_detached_with_its_rows(self, project: Project) -> None:
        project.migrate(COUNTRIES)
        fill(project, "de us")

        written = project.migrate(orders('{"eu": ["de", "fr"]}'))
        up = counted(project), project.rows("SELECT count(*) FROM orders_us")
        project.downgrade("-1")

        assert "op.detach_partition('orders_us', 'orders', values=['us'])" == body(written)
        assert "op.attach_partition('orders_us', 'orders', values=['us'])" == body(written, "downgrade")
        assert ({"orders_eu": 1}, [1]) == up
        assert {"orders_eu": 1, "orders_us": 1} == counted(project)

    def test_another_name_for_the_same_values_is_no_change(self, project: Project) -> None:
        """A partition is known by its bound."""
        project.migrate(COUNTRIES)

        project.models(orders('{"europe": ["fr", "de"], "america": ["us"]}'))

        project.check()

    def test_a_label_that_the_maintainer_made_first_is_no_change(self, project: Project) -> None:
        project.migrate(COUNTRIES)
        project.models(orders('{"eu": ["de", "fr"], "us": ["us"], "asia": ["jp"]}'))
        engine = create_engine(project.url)
        Maintainer(engine, project.metadata()).run()
        engine.dispose()

        project.check()

    def test_what_a_callable_or_a_select_gives_is_no_migration(self, project: Project) -> None:
        project.migrate(orders('lambda: ["de"]'))
        engine = create_engine(project.url)
        Maintainer(engine, project.metadata()).run()
        engine.dispose()
        project.check()

        project.models(orders('lambda: ["fr"]'))
        project.check()

        assert ["orders_de"] == list(project.partitions("orders"))


class TestDefault:
    def test_it_is_created(self, project: Project) -> None:
        project.migrate(COUNTRIES)

        written = project.migrate(DEFAULT)
        made = project.partitions("orders")
        project.downgrade("-1")

        assert "op.create_partition('orders_default', 'orders', default=True)" == body(written)
        assert "DEFAULT" == made["orders_default"]
        assert "orders_default" not in project.partitions("orders")

    def test_it_is_detached_and_never_dropped(self, project: Project) -> None:
        project.migrate(DEFAULT)
        fill(project, "xx")

        written = project.migrate(COUNTRIES)
        kept = project.rows("SELECT country FROM orders_default")
        project.downgrade("-1")

        assert "op.detach_partition('orders_default', 'orders', default=True)" == body(written)
        assert ["xx"] == kept == project.rows("SELECT country FROM orders")

    def test_of_a_range_too(self, project: Project) -> None:
        models = """
prices = Table("prices", metadata, Column("at", sa.Date, nullable=False),
    PartitionByRange("at", interval="1 year"{}))
"""
        project.migrate(models.format(""))

        written = project.migrate(models.format(", default=True"))

        assert "op.create_partition('prices_default', 'prices', default=True)" == body(written)


class TestValues:
    @pytest.mark.parametrize(
        ("values", "rows", "repartitioned"),
        [
            ('{"eu": ["de", "fr", "it"], "us": ["us"]}', {"orders_eu": 4, "orders_us": 2}, True),
            ('{"eu": ["de"], "us": ["us", "fr"]}', {"orders_eu": 2, "orders_us": 4}, True),
            ('{"eu": ["de"], "us": ["us"], "fr": ["fr"]}', {"orders_eu": 2, "orders_fr": 2, "orders_us": 2}, True),
            ('{"all": ["de", "fr", "us"]}', {"orders_eu": 6}, True),
            ('{"eu": ["us"], "us": ["de", "fr"]}', {"orders_eu": 4, "orders_us": 2}, False),
            ('{"eu": ["us", "fr"], "us": ["de"]}', {"orders_eu": 4, "orders_us": 2}, True),
            ('{"de": ["de"], "fr": ["fr"], "us": ["us"]}', {"orders_eu": 2, "orders_fr": 2, "orders_us": 2}, True),
        ],
        ids=["added", "moved", "split", "merged", "renamed", "exchanged", "one-each"],
    )
    def test_values_change_their_labels(
        self, project: Project, values: str, rows: dict[str, int], repartitioned: bool
    ) -> None:
        project.migrate(COUNTRIES)
        fill(project, "de fr us", 2)
        before = project.partitions("orders")

        written = project.migrate(orders(values))
        up = counted(project)
        project.downgrade("-1")

        assert repartitioned is ("op.repartition_table(" in written)
        assert rows == up
        assert sorted(before.values()) == sorted(project.partitions("orders").values())
        assert 6 == sum(counted(project).values())

    def test_an_added_value_keeps_the_table_and_takes_rows_from_the_default_partition(self, project: Project) -> None:
        project.migrate(DEFAULT)
        fill(project, "de it it xx")
        oid = project.rows("SELECT 'orders_eu'::regclass::oid")

        written = project.migrate(orders('{"eu": ["de", "fr", "it"], "us": ["us"]}', ", default=True"))
        up = counted(project)
        project.downgrade("-1")

        assert {"orders_eu": 3, "orders_default": 1} == up
        assert oid == project.rows("SELECT 'orders_eu'::regclass::oid")
        assert {"orders_eu": 1, "orders_default": 3} == counted(project)
        assert "existing=PartitionByList(" in written

    def test_a_removed_value_with_rows_and_no_default_partition_is_refused(self, project: Project) -> None:
        project.migrate(COUNTRIES)
        fill(project, "de fr fr")
        project.models(orders('{"eu": ["de"], "us": ["us"]}'))
        project.revision()

        with pytest.raises(CommandError, match=r"no label takes 2 rows in \(fr\).*nothing was changed"):
            project.upgrade()

        assert {"orders_eu": 3} == counted(project)

    def test_a_removed_value_without_rows_goes(self, project: Project) -> None:
        project.migrate(COUNTRIES)
        fill(project, "de")

        project.migrate(orders('{"eu": ["de"], "us": ["us"]}'))

        assert "FOR VALUES IN ('de')" == project.partitions("orders")["orders_eu"]

    def test_too_many_rows_change_nothing(self, project: Project) -> None:
        project.migrate(COUNTRIES)
        fill(project, "fr", 11)
        project.written(
            "op.repartition_table('orders', "
            "PartitionByList('country', values={'eu': ['de'], 'us': ['us', 'fr']}), limit=10)",
            imports="from sa_partman import PartitionByList",
        )

        with pytest.raises(CommandError, match=r"11 rows would have to move.*at most 10.*nothing was changed"):
            project.upgrade()

        assert {"orders_eu": 11} == counted(project)

    def test_a_row_trigger_that_would_fire_is_refused(self, project: Project) -> None:
        project.migrate(DEFAULT)
        fill(project, "it")
        project.execute("CREATE FUNCTION boo() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''x''; END'")
        project.execute("CREATE TRIGGER boo BEFORE DELETE ON orders FOR EACH ROW EXECUTE FUNCTION boo()")
        project.models(orders('{"eu": ["de", "fr", "it"], "us": ["us"]}', ", default=True"))
        project.revision()

        with pytest.raises(CommandError, match=r"row triggers boo on .*orders_default"):
            project.upgrade()

        assert {"orders_default": 1} == counted(project)

    def test_a_foreign_key_to_the_table_is_refused(self, project: Project) -> None:
        lines = """
class Line(Base):
    __tablename__ = "lines"
    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(BigInteger)
    country: Mapped[str]
    __table_args__ = (sa.ForeignKeyConstraint(["order_id", "country"], ["orders.id", "orders.country"], name="fk"),)
"""
        project.migrate(COUNTRIES + lines)
        project.models(orders('{"eu": ["de"], "us": ["us", "fr"]}') + lines)
        project.revision()

        with pytest.raises(CommandError, match=r"foreign key fk of .*lines refers to it.*nothing was changed"):
            project.upgrade()

    def test_indexes_have_the_names_that_they_would_have_anyway(self, project: Project) -> None:
        project.migrate(COUNTRIES)
        fill(project, "de fr us")

        project.migrate(orders('{"fr": ["fr"], "rest": ["de", "us"]}'))

        names = project.rows(
            "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid::regclass::text LIKE 'orders_%' ORDER BY 1"
        )
        assert all(not name[-1].isdigit() for name in names)


class TestEveryType:
    def test_hostile_text_goes_through_the_file(self, project: Project) -> None:
        texts = [value for value in HOSTILE_TEXTS if "\0" not in value]
        half = len(texts) // 2
        first = orders(repr({"eu": texts[:half]}))
        second = orders(repr({"eu": texts[:half], "us": texts[half:]}))
        third = orders(repr({"eu": texts[1:half], "us": [texts[0], *texts[half:]]}))
        project.migrate(first)
        project.migrate(second)
        project.migrate(third)
        project.downgrade()
        project.upgrade()

        project.check()

    def test_null_and_integers(self, project: Project) -> None:
        table = 'things = Table("things", metadata, Column("n", Integer), PartitionByList("n", values={}))'
        project.migrate(table.replace("{}", '{"low": [1, 2], "none": [None]}'))
        project.execute("INSERT INTO things VALUES (NULL), (NULL), (1)")

        written = project.migrate(table.replace("{}", '{"low": [1, 2, None], "high": [3]}'))

        assert "values={'low': (1, 2, None), 'high': (3,)}" in written or "None]" in written
        assert ["FOR VALUES IN (1, 2, NULL)", "FOR VALUES IN (3)"] == sorted(project.partitions("things").values())
        assert [3] == project.rows("SELECT count(*) FROM things_low")

    @pytest.mark.parametrize(
        ("kind", "before", "after", "shown"),
        [
            ("sa.Uuid", "UUID(int=1)", "UUID(int=2)", "00000000-0000-0000-0000-000000000002"),
            ("sa.Numeric", "Decimal('1.5')", "2", "2"),
            ("sa.Date", "date(2024, 1, 1)", "date(2024, 1, 2)", "2024-01-02"),
            ("sa.Boolean", "True", "False", "false"),
            ("sa.CHAR(5)", "'ab'", "'cd'", "cd"),
        ],
    )
    def test_other_types(self, project: Project, kind: str, before: str, after: str, shown: str) -> None:
        column = f'Column("k", {kind}, nullable=False)'
        table = f'things = Table("things", metadata, {column}, PartitionByList("k", values={{}}))'
        project.migrate(table.replace("{}", f'{{"a": [{before}]}}'))

        written = project.migrate(table.replace("{}", f'{{"a": [{before}], "b": [{after}]}}'))
        project.downgrade()
        project.upgrade()
        project.check()

        assert "op.create_partition('things_b', 'things', values=[" in written
        assert shown in project.partitions("things")["things_b"]

    def test_an_enum_is_compared_by_label_also_after_it_was_renamed(self, project: Project) -> None:
        models = """
class Mood(enum.Enum):
    happy = 1
    {sad} = 2

class Thing(Partitioned, Base):
    __tablename__ = "things"
    __partition__ = PartitionByList("mood", values={{"good": [Mood.happy], "bad": [Mood.{sad}]}})
    id: Mapped[int] = mapped_column(Identity(), primary_key=True, autoincrement=True)
    mood: Mapped[Mood] = mapped_column(primary_key=True)
"""
        project.migrate(models.format(sad="sad"))
        project.execute("ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'")
        project.models(models.format(sad="blue"))
        project.check()

        project.models(models.format(sad="gray"))
        written = project.revision()

        assert "values=['gray']" in body(written)
        assert "op.detach_partition('things_bad', 'things', values=['blue'])" in body(written)
