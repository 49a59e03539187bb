"""Tables that are not as declared, declarations that give no names, and values that are asked for."""

from __future__ import annotations

from tests.remedies.row import Box, Meant, Models, Row, Step, Way, run_once
from tests.remedies.rows.models import EVENTS
from tests.remedies.rows.written import ONLINE, PLAIN_TIMES, REVISION, SEEN_TIMES, TWO_TIMES, UPGRADE

LISTED = """
class Order(Partitioned, Base):
    __tablename__ = "orders"
    __partition__ = PartitionByList("country", values={})
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    country: Mapped[{}] = mapped_column(primary_key=True)
"""
ORDERS = LISTED.format({"eu": ["de"]}, "str")
WIDER = LISTED.format({"eu": ["de", "fr"]}, "str")
HASHED = """
class User(Partitioned, Base):
    __tablename__ = "users"
    __partition__ = PartitionByHash("id", modulus={})
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
"""
OTHER = EVENTS + "    __table_args__ = {'schema': 'other'}\n"
REGRID = "sa-partman regrid public.users"
REFERRED = ", retention=Retention('1 month', then='drop'{})"
OLD = "INSERT INTO events (id, created_at) OVERRIDING SYSTEM VALUE VALUES (1, '2030-01-20')"
REFERRING = "CREATE TABLE refs (event bigint, at timestamptz, FOREIGN KEY (event, at) REFERENCES events)"


def named(template: str) -> str:
    return EVENTS.replace("premake=2", f"premake=2, name={template!r}")


def removing(more: str = "") -> str:
    return EVENTS.replace("premake=2", "premake=2" + REFERRED.format(more))


def declared(box: Box) -> str:
    """The models are imported."""
    return str(box.metadata)


def expired(box: Box) -> None:
    """January has a partition, and is over for long."""
    box.do("CREATE TABLE events_p20300101 PARTITION OF events FOR VALUES FROM ('2030-01-01') TO ('2030-02-01')")
    box.do("COMMENT ON TABLE events_p20300101 IS 'sa_partman: created'")


def misdeclared(says: str, model: str, *ways: Way) -> Row:
    """It is said when the class is mapped."""
    return Row(says, ways, model, (), declared, declared)


def search_path(box: Box) -> None:
    box.do(f'ALTER DATABASE "{box.engine.url.database}" SET search_path = other')
    box.engine.dispose()


def both_taken(box: Box) -> None:
    """The name of July's partition, and the one that it gets when that is taken, belong to others."""
    box.do("DROP TABLE events_p20300701")
    box.do("CREATE TABLE events_p20300701 PARTITION OF events FOR VALUES FROM ('2029-01-01') TO ('2029-02-01')")
    box.provision()
    name = marked(box)
    box.do(f"ALTER TABLE events DETACH PARTITION {name}")
    box.do(f"ALTER TABLE events ATTACH PARTITION {name} FOR VALUES FROM ('2019-02-01') TO ('2019-03-01')")


def marked(box: Box) -> str:
    with box.engine.connect() as connection:
        return str(
            connection.exec_driver_sql(
                "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname LIKE 'events_p20300701_%%'"
            ).scalar_one()
        )


def renamed(box: Box) -> None:
    box.do(f"ALTER TABLE public.{marked(box)} RENAME TO old")


def referencing(*more: Step) -> tuple[Step, ...]:
    return (Box.bare, expired, OLD, REFERRING, "INSERT INTO refs VALUES (1, '2030-01-20')", *more)


SHAPES = (
    Row(
        "missing-table: public.events does not exist -> run the migrations: alembic upgrade head; if the table is in "
        "another schema, connect with a search_path that has it, or name it with schemas= (--schema), or in the model",
        (UPGRADE, search_path, Models(OTHER)),
        EVENTS,
        (Meant(REVISION), "CREATE SCHEMA other", Models(OTHER), Box.bare, Models(EVENTS)),
    ),
    Row(
        "other-key: public.events is PARTITION BY RANGE (created_at) in the database, declared is RANGE (seen_at) -> "
        "PostgreSQL can't change a partition key: declare what is there; or take the declaration off the model and "
        "migrate, which makes the table plain, then declare it and migrate again",
        (
            Models(TWO_TIMES),
            (Models(PLAIN_TIMES), Meant(REVISION), ONLINE, Models(SEEN_TIMES), Meant(REVISION), ONLINE),
        ),
        TWO_TIMES,
        (Box.create, Models(SEEN_TIMES)),
    ),
    Row(
        "modulus: public.users has hash partitions of modulus 2, declared is 3 -> let the rows move: "
        "sa-partman regrid public.users, or in a migration op.repartition_table('users', ...); until then declare "
        "modulus=2",
        (
            (Meant(f"{REGRID} --yes"), Meant(f"{REGRID} --finalize --yes")),
            Meant("op.repartition_table('users', PartitionByHash('id', modulus=3))"),
            Models(HASHED.format(2)),
        ),
        HASHED.format(2),
        (Box.create, Models(HASHED.format(3))),
        run_once,
        run_once,
    ),
    Row(
        "list-values: public.orders: label 'eu' has no partition for 'fr' -> write a migration with: alembic revision "
        "--autogenerate",
        (("alembic revision --autogenerate", ONLINE),),
        ORDERS,
        (Box.create, Models(WIDER)),
        run_once,
        run_once,
    ),
    Row(
        "name-taken: public.… already is a partition with another bound, so the missing one can't be called that -> rename "
        "it (ALTER TABLE public.… RENAME TO ...), or give the declaration another name= template",
        (
            (renamed, Meant("sa-partman run")),
            (Models(named("{table}_from_{lower:%Y%m%d}")), Meant("sa-partman run")),
        ),
        EVENTS,
        (Box.create, both_taken),
        run_once,
        run_once,
    ),
    Row(
        "satellite: referencing_tables= names 'refs', and no foreign key of it refers to public.events; nothing was removed -> "
        "correct Retention(referencing_tables=...)",
        (Models(removing()),),
        removing(", referencing_tables=['refs']"),
        (Box.bare, expired),
        run_once,
        run_once,
    ),
    Row(
        "public.events_p20300101 stays, because its rows are referenced: …; this step was rolled back. Remove the rows "
        "that refer to it first, or name their table in Retention(referencing_tables=...).",
        (Meant("DELETE FROM refs"), Models(removing(", referencing_tables=['refs']"))),
        removing(),
        referencing(),
        run_once,
        run_once,
    ),
    Row(
        "1 more is due to go, and one run removes at most 1\n -> run again, or raise the limit",
        (
            Meant("sa-partman run --yes --limit 1"),
            Meant("sa-partman run --yes --limit 2"),
        ),
        removing(),
        (
            Box.bare,
            expired,
            "CREATE TABLE events_p20300201 PARTITION OF events FOR VALUES FROM ('2030-02-01') TO ('2030-03-01')",
            "COMMENT ON TABLE events_p20300201 IS 'sa_partman: created'",
        ),
        "sa-partman run --yes --limit 1",
        "sa-partman run --yes",
    ),
    misdeclared(
        "events: name='{nix}' can't be filled in ('nix'); it may use table, suffix, lower, upper",
        named("{nix}"),
        Models(named("{table}_{suffix}")),
    ),
    misdeclared(
        "events: name='{upper:x}' gives",
        named("{upper:x}"),
        Models(named("{table}_{suffix}")),
    ),
    misdeclared(
        "events: name='' gives '', which isn't a valid name in PostgreSQL; write for example name='{table}_{suffix}'",
        named(""),
        Models(named("{table}_{suffix}")),
    ),
    misdeclared(
        "events: name='{table}_x' gives the name 'events_x' twice, to … and to …; add what tells them apart: {table}, and "
        "{lower:%Y%m%d}, or {suffix}",
        named("{table}_x"),
        Models(named("{table}_{lower:%Y%m%d}")),
        Models(named("{table}_{suffix}")),
    ),
    Row(
        "tenants: orders: its tenants can't be asked for: orders: … gave 5; return a list of values or a "
        "mapping of labels; nothing was changed -> correct the select() or the callable of the declaration; the other "
        "tables were not affected",
        (Models(LISTED.format("lambda: ['de']", "str")), Models(LISTED.format("lambda: {'eu': ['de']}", "str"))),
        LISTED.format("lambda: 5", "str"),
        (Box.bare,),
        run_once,
        run_once,
    ),
    Row(
        "tenants: orders: its tenants can't be asked for: orders: what was asked for as values of 'country' "
        "(integer) holds one that is none: …; nothing was changed -> correct the select() or the callable of the "
        "declaration; the other tables were not affected",
        (Models(LISTED.format("lambda: [7]", "int")),),
        LISTED.format("lambda: ['de']", "int"),
        (Box.bare,),
        run_once,
        run_once,
    ),
)
