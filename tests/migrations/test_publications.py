"""Rows that move between the partitions of a published table: a subscriber sees both sides of a move, or none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from alembic.util import CommandError

from tests.migrations.project import COUNTRIES, Project
from tests.migrations.test_hashes import HASHED
from tests.migrations.test_lists import DEFAULT, counted, fill, orders

SLOT = "moved"
WIDER = orders('{"eu": ["de", "fr", "it"], "us": ["us"]}', ", default=True")
NARROWER = orders('{"eu": ["de"], "us": ["us"]}', ", default=True")
MORE = orders('{"eu": ["de", "fr"], "us": ["us"], "it": ["it"]}', ", default=True")
ROOT = "WITH (publish_via_partition_root = true)"


@pytest.fixture
def published(project: Project) -> Iterator[Project]:
    """``pgoutput``, as a subscriber of the publication p would be sent it, from where `listening` began."""
    yield project
    project.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = 'moved'")


def listening(project: Project, publication: str) -> None:
    project.execute(f"CREATE PUBLICATION p {publication}")
    project.execute("SELECT pg_create_logical_replication_slot('moved', 'pgoutput')")


def sent(project: Project) -> Counter[str]:
    """How many rows were inserted and deleted, as far as a subscriber is told."""
    kinds = project.rows(
        "SELECT chr(get_byte(data, 0)) FROM pg_logical_slot_peek_binary_changes("
        "'moved', NULL, NULL, 'proto_version', '1', 'publication_names', 'p')"
    )
    return Counter(kind for kind in kinds if kind in "ID")


@pytest.mark.parametrize("root", ["", ROOT], ids=["by-leaf", "by-root"])
@pytest.mark.parametrize(
    ("before", "after", "country"),
    [(DEFAULT, WIDER, "it"), (DEFAULT, NARROWER, "fr"), (DEFAULT, MORE, "it")],
    ids=["out-of-the-default", "into-the-default", "into-a-new-one"],
)
def test_rows_of_a_published_default_partition_are_not_moved(
    published: Project, before: str, after: str, country: str, root: str
) -> None:
    """A subscriber would be sent five DELETEs, or five INSERTs of rows that it has."""
    published.migrate(before)
    fill(published, country, 5)
    listening(published, f"FOR TABLE orders {root}")
    published.models(after)
    published.revision()
    where = counted(published)

    with pytest.raises(CommandError, match=r"is published.*nothing was changed.*CREATE UNLOGGED TABLE aside"):
        published.upgrade()

    assert Counter() == sent(published)
    assert where == counted(published)


@pytest.mark.parametrize("root", ["", ROOT], ids=["by-leaf", "by-root"])
def test_what_the_message_says_moves_them_for_the_subscriber_too(published: Project, root: str) -> None:
    """Typed as it stands: the rows out, the migration, the rows in through the table, generated columns or not."""
    published.migrate(DEFAULT)
    fill(published, "it", 5)
    published.models(WIDER)
    published.revision()
    published.execute(
        "ALTER TABLE orders ALTER id SET GENERATED ALWAYS, ADD twice bigint GENERATED ALWAYS AS (id * 2) STORED"
    )
    listening(published, f"FOR TABLE orders {root}")
    with pytest.raises(CommandError) as refused:
        published.upgrade()
    out, _, back = str(refused.value).partition("get both: ")[2].partition("; then this again; then ")

    published.execute(out)
    published.upgrade()
    published.execute(back.partition(". The migration's")[0].replace("the partitioned table", "orders"))

    assert {"orders_eu": 5} == counted(published)
    assert Counter(I=5, D=5) == sent(published)
    assert not published.exists("aside")


def test_a_dropped_partition_gives_no_rows_to_a_published_default(published: Project) -> None:
    """The subscriber has them, and was sent no DELETE: it would stop at a double key."""
    published.migrate(DEFAULT)
    fill(published, "us", 5)
    listening(published, "FOR TABLE orders")
    published.written("op.drop_partition('orders_us', 'orders', rows_to_default=True)", imports=IMPORT)

    with pytest.raises(CommandError, match=r"is published.*nothing was changed"):
        published.upgrade()

    assert Counter() == sent(published)
    assert {"orders_us": 5} == counted(published)


IMPORT = "import alembic_ext.operations"


def test_between_partitions_that_are_published_as_one_table_rows_move_unseen(published: Project) -> None:
    """The subscriber has one table, and every row of it already."""
    published.migrate(COUNTRIES)
    fill(published, "fr", 5)
    listening(published, f"FOR TABLE orders {ROOT}")

    published.migrate(orders('{"eu": ["de"], "us": ["us", "fr"]}'))

    assert {"orders_us": 5} == counted(published)
    assert Counter() == sent(published)


@pytest.mark.parametrize("publication", ["FOR TABLE orders", "FOR ALL TABLES", f"FOR ALL TABLES {ROOT}"])
def test_between_partitions_that_are_published_each_rows_do_not_move(published: Project, publication: str) -> None:
    """Later changes of the rows would be sent for a partition in which the subscriber does not have them."""
    published.migrate(COUNTRIES)
    fill(published, "fr", 5)
    listening(published, publication)
    published.models(orders('{"eu": ["de"], "us": ["us", "fr"]}'))
    published.revision()

    with pytest.raises(CommandError, match=r"is published.*nothing was changed"):
        published.upgrade()

    assert Counter() == sent(published)
    assert {"orders_eu": 5} == counted(published)


def test_another_modulus_of_a_published_table(published: Project) -> None:
    published.migrate(HASHED.format(2))
    published.execute("INSERT INTO items SELECT i FROM generate_series(1, 20) i")
    listening(published, "FOR TABLE items")
    published.models(HASHED.format(3))
    published.revision()

    with pytest.raises(CommandError, match=r"is published.*nothing was changed"):
        published.upgrade()

    assert Counter() == sent(published)


def test_without_rows_to_move_a_publication_stops_nothing(published: Project) -> None:
    published.migrate(DEFAULT)
    fill(published, "de", 5)
    listening(published, "FOR TABLE orders")

    published.migrate(WIDER)

    assert "'it'" in published.partitions("orders")["orders_eu"]


def test_a_table_that_becomes_plain_again_is_not_copied_where_every_table_is_published(published: Project) -> None:
    """The copy would be sent to subscribers, which have no such table."""
    published.migrate(DEFAULT)
    fill(published, "de it", 5)
    listening(published, "FOR ALL TABLES")
    published.written(
        "op.unpartition_table('orders', PartitionByList('country', values={'eu': ['de']}), primary_key=['id'])",
        imports="from sa_partman import PartitionByList\nimport alembic_ext.operations",
    )

    with pytest.raises(CommandError, match=r"is published.*nothing was changed"):
        published.upgrade()

    assert Counter() == sent(published)
    assert {"orders_eu": 5, "orders_default": 5} == counted(published)
