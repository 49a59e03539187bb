"""What the operations of a migration are told, on a server."""

from __future__ import annotations

from itertools import count
from unittest.mock import patch

from sa_partman.engine import migration
from tests.remedies.row import Box, Meant, Row, Step, Way
from tests.remedies.rows.conversions import stopped
from tests.remedies.rows.models import EVENTS, PLAIN

JUNE, JULY = "lower='2030-06-01 00:00+00'", "upper='2030-07-01 00:00+00'"
CREATE = "op.create_partition('x', 'events', {})"
LISTED = """
class Order(Partitioned, Base):
    __tablename__ = "orders"
    __partition__ = PartitionByList("country", values={"eu": ["de", "fr"], "us": ["us"]})
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    country: Mapped[str] = mapped_column(primary_key=True)
"""
WIDER = "op.repartition_table('orders', PartitionByList('country', values={{'eu': [{}], 'us': ['us']}}{}))"
INVENTED = (
    "CREATE TYPE kind AS ENUM ('a', 'b')",
    "CREATE TABLE events (id bigint, kind kind NOT NULL) PARTITION BY LIST (kind)",
)
UNDONE = (
    "op.unpartition_table('events', PartitionByRange('created_at', interval='1 month'), primary_key=['id'], "
    "inline_max_bytes=1)"
)
SEVERAL = "CREATE TABLE events (id bigint, created_at timestamptz) PARTITION BY RANGE (id, created_at)"


def refused(says: str, attempt: str, *ways: Way, given: tuple[Step, ...] = (Box.bare,), models: str = EVENTS) -> Row:
    """The operation fails, and what is typed then stands in its place."""
    return Row(says, ways, models, given, attempt, None)


OPERATIONS = (
    refused(
        "values= and default=True exclude each other: a partition has one bound",
        CREATE.format("values=['a'], default=True"),
        Meant(CREATE.format("default=True")),
    ),
    refused(
        "values='de': write a list of values",
        "op.create_partition('x', 'orders', values='de')",
        Meant("op.create_partition('x', 'orders', values=['de'])"),
        models=LISTED,
    ),
    refused(
        "a range has lower= and upper=; an open end is alembic_ext.MINVALUE or MAXVALUE",
        CREATE.format(JUNE),
        Meant(CREATE.format(f"{JUNE}, {JULY}")),
        Meant(CREATE.format(f"{JUNE}, upper=alembic_ext.MAXVALUE")),
    ),
    refused(
        "a hash partition has modulus= and remainder=",
        "op.create_partition('x', 'users', modulus=2)",
        Meant("op.create_partition('x', 'users', modulus=2, remainder=0)"),
        given=("CREATE TABLE users (id bigint) PARTITION BY HASH (id)",),
    ),
    refused(
        "the key has 2 columns: lower= and upper= take a tuple of as many values",
        CREATE.format("lower=1, upper=2"),
        Meant(CREATE.format("lower=(1, alembic_ext.MINVALUE), upper=(2, alembic_ext.MINVALUE)")),
        given=(SEVERAL,),
    ),
    refused(
        "op.create_partition('x', ...) lacks the bound: values=, lower= and upper=, modulus= and remainder=, or "
        "default=True",
        "op.create_partition('x', 'events')",
        Meant(CREATE.format(f"{JUNE}, {JULY}")),
        Meant(CREATE.format("default=True")),
    ),
    refused(
        "public.x: public.events_default is a default partition, and a table PARTITION BY HASH has none; write the bound "
        "as values=, or lower= and upper=",
        CREATE.format("modulus=2, remainder=0"),
        Meant(CREATE.format(f"{JUNE}, {JULY}")),
        given=(Box.bare, "CREATE TABLE events_default PARTITION OF events DEFAULT"),
    ),
    refused(
        "public.x: PartitionByHash('nix', modulus=2) names the column 'nix', which the table lacks; it has id, created_at",
        CREATE.format(f"{JUNE}, {JULY}, partition_by=PartitionByHash('nix', modulus=2)"),
        Meant(CREATE.format(f"{JUNE}, {JULY}, partition_by=PartitionByHash('id', modulus=2)")),
    ),
    refused(
        "op.create_partition('x', ...): the enum public.kind has no label 'c'; nothing was changed. Add it first, in a "
        "block of its own, because a new label can be used only when it is committed: with "
        "op.get_context().autocommit_block(): op.execute(\"ALTER TYPE public.kind ADD VALUE 'c'\")",
        CREATE.format("values=['c']"),
        (
            "with op.get_context().autocommit_block(): op.execute(\"ALTER TYPE public.kind ADD VALUE 'c'\")",
            Meant(CREATE.format("values=['c']")),
        ),
        given=INVENTED,
    ),
    refused(
        "op.create_partition('x', ...): partition x would overlap partition events_p20300601. The migration's "
        "transaction is rolled back.",
        CREATE.format(f"{JUNE}, {JULY}"),
        Meant(CREATE.format("lower='2030-05-01 00:00+00', upper='2030-06-01 00:00+00'")),
        given=(Box.create,),
    ),
    refused(
        "op.create_partition('x', ...): public.events is not partitioned; nothing was changed. Make it partitioned before: "
        "op.partition_table('events', ...)",
        CREATE.format(f"{JUNE}, {JULY}"),
        (
            Meant(
                "op.partition_table('events', PartitionByRange('created_at', interval='1 month'), primary_key=['id', "
                "'created_at'])"
            ),
            Meant(CREATE.format("lower='2040-06-01 00:00+00', upper='2040-07-01 00:00+00'")),
        ),
        given=(PLAIN,),
    ),
    refused(
        "op.create_partition('x', ...): the table events does not exist; nothing was changed",
        CREATE.format(f"{JUNE}, {JULY}"),
        (Box.bare, Meant(CREATE.format(f"{JUNE}, {JULY}"))),
        given=(),
    ),
    refused(
        "op.attach_partition: the table public.x does not exist; nothing was changed. Create it with its bound: "
        "op.create_partition('x', ...)",
        f"op.attach_partition('x', 'events', {JUNE}, {JULY})",
        Meant(CREATE.format(f"{JUNE}, {JULY}")),
    ),
    refused(
        "public.events has a default partition, and PostgreSQL then refuses DETACH ... CONCURRENTLY; nothing was changed. "
        "Leave concurrently= out.",
        "op.detach_partition('events_p20300601', 'events', concurrently=True)",
        Meant("op.detach_partition('events_p20300601', 'events')"),
        given=(Box.create, "CREATE TABLE events_default PARTITION OF events DEFAULT"),
    ),
    refused(
        "op.drop_partition: public.events_p20300601 is the partition for [2030-06-01, 2030-07-01), not for [2030-06-01, "
        "2030-08-01); nothing was changed",
        f"op.drop_partition('events_p20300601', 'events', {JUNE}, upper='2030-08-01 00:00+00')",
        Meant(f"op.drop_partition('events_p20300601', 'events', {JUNE}, {JULY})"),
        given=(Box.create,),
    ),
    refused(
        "public.orders: the foreign key k of public.orders_of refers to it, and its partitions can't be taken apart meanwhile; "
        "nothing was changed. Drop the foreign key before and create it again after this operation.",
        WIDER.format("'de', 'fr', 'it'", ""),
        (
            Meant("ALTER TABLE orders_of DROP CONSTRAINT k"),
            Meant(WIDER.format("'de', 'fr', 'it'", "")),
            Meant("ALTER TABLE orders_of ADD CONSTRAINT k FOREIGN KEY (id, country) REFERENCES orders"),
        ),
        given=(
            Box.create,
            "CREATE TABLE orders_of (id bigint, country text, CONSTRAINT k FOREIGN KEY (id, country) REFERENCES orders)",
        ),
        models=LISTED,
    ),
    refused(
        "public.orders: the partition public.orders_eu is a foreign table, whose rows can't be moved; nothing was changed. "
        "Detach it first: ALTER TABLE public.orders DETACH PARTITION public.orders_eu",
        WIDER.format("'de', 'it'", ""),
        (
            "ALTER TABLE public.orders DETACH PARTITION public.orders_eu",
            Meant("ALTER TABLE orders_eu RENAME TO cold_eu"),
            Meant(WIDER.format("'de', 'it'", "")),
        ),
        given=(
            "CREATE TABLE orders (id bigint, country text NOT NULL) PARTITION BY LIST (country)",
            "CREATE FOREIGN DATA WRAPPER w",
            "CREATE SERVER cold FOREIGN DATA WRAPPER w",
            "CREATE FOREIGN TABLE orders_eu PARTITION OF orders FOR VALUES IN ('de') SERVER cold",
        ),
    ),
    refused(
        "op.drop_partition('orders_it', ..., rows_to_default=True): public.orders_it is a foreign table, and its rows "
        "stay on the other server; nothing was changed. Leave rows_to_default= out.",
        "op.drop_partition('orders_it', 'orders', rows_to_default=True)",
        Meant("op.drop_partition('orders_it', 'orders')"),
        given=(
            "CREATE TABLE orders (id bigint, country text NOT NULL) PARTITION BY LIST (country)",
            "CREATE TABLE orders_default PARTITION OF orders DEFAULT",
            "CREATE FOREIGN DATA WRAPPER w",
            "CREATE SERVER cold FOREIGN DATA WRAPPER w",
            "CREATE FOREIGN TABLE orders_it PARTITION OF orders FOR VALUES IN ('it') SERVER cold",
        ),
    ),
    refused(
        "public.orders: no label takes 2 rows in (fr) any more, and there is no default partition; nothing was changed. "
        "Delete or update these rows, keep the values in a label, or declare default=True.",
        WIDER.format("'de'", ""),
        (Meant("DELETE FROM orders WHERE country = 'fr'"), Meant(WIDER.format("'de'", ""))),
        (Meant("UPDATE orders SET country = 'de' WHERE country = 'fr'"), Meant(WIDER.format("'de'", ""))),
        Meant(WIDER.format("'de', 'fr'", "")),
        (
            Meant("op.create_partition('orders_default', 'orders', default=True)"),
            Meant(WIDER.format("'de'", ", default=True")),
        ),
        given=(Box.create, "INSERT INTO orders VALUES (1, 'fr'), (2, 'fr')"),
        models=LISTED,
    ),
    refused(
        "public.orders: 0 rows were there and … are, … of them in tables to be dropped; the migration is rolled back. "
        "Please report this.",
        WIDER.format("'de', 'fr', 'it'", ""),
        given=(
            Box.create,
            lambda box: box.stack.enter_context(patch.object(migration, "row_count", side_effect=count())),
        ),
        models=LISTED,
    ),
    refused(
        "op.repartition_table('orders', ...): the declaration names no values, so every partition would be detached; "
        "nothing was changed. Write them: values={'label': ['value', ...]}",
        "op.repartition_table('orders', PartitionByList('country', values=lambda: ['de']))",
        Meant(WIDER.format("'de'", "")),
        given=(Box.create,),
        models=LISTED,
    ),
    refused(
        "op.repartition_table('events', ...) is for LIST and HASH; nothing was changed. Change the interval of a RANGE in "
        "the model: the next run makes new partitions of that width",
        "op.repartition_table('events', PartitionByRange('created_at', interval='1 day'))",
        (Meant("sa-partman run"),),
        given=(Box.create,),
    ),
    refused(
        "op.partition_table('events', ...): a conversion of public.events is in progress; next step: swap: …; nothing was "
        "changed: go on: sa-partman convert public.events --resume, or take it back: sa-partman convert public.events "
        "--abort",
        "op.partition_table('events', PartitionByRange('created_at', interval='1 month'), primary_key=['id', "
        "'created_at'])",
        (Meant("sa-partman convert public.events --resume --yes"),),
        (Meant("sa-partman convert public.events --abort --yes"),),
        given=(PLAIN, stopped),
    ),
    refused(
        "public.events has to be converted first; nothing was changed:\n  - it has 0 MB, and at most 0 MB are converted inside a "
        "migration\n  - run: sa-partman convert events --undo\n  - then run the migration again\n  - or do it in the "
        "migration, while everybody waits: give the operation inline_max_bytes=24576",
        UNDONE,
        (Meant("sa-partman convert events --undo --yes"), Meant(UNDONE)),
        Meant(UNDONE.replace("=1)", "=24576)")),
        given=(PLAIN, "sa-partman convert events --yes"),
    ),
)
