"""Why a table can't be converted in place, or made plain again."""

from __future__ import annotations

from tests.remedies.row import Box, Meant, Models, Row, Step, Way
from tests.remedies.rows.members import as_superuser, connected, granted, roles
from tests.remedies.rows.models import EVENTS, PLAIN
from tests.remedies.rows.rewrites import yes
from tests.support.membership import OWNER

PLAN = "sa-partman convert events --plan"
CONVERT = "sa-partman convert events --yes"
UNDO = "sa-partman convert events --undo --yes"
MIGRATE = "migrate that first"
KEYLESS = """
Table("events", metadata, Column("id", BigInteger), Column("created_at", DateTime(timezone=True), nullable=False),
    PartitionByRange("created_at", interval="1 month"))
"""
REGIONAL = EVENTS + "    region: Mapped[str] = mapped_column(primary_key=True)\n"
COUNTRIES = """
class Event(Partitioned, Base):
    __tablename__ = "events"
    __partition__ = PartitionByList("kind", values={"a": ["a"], "b": ["b"]})
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(primary_key=True)
"""


def refused(says: str, *ways: Way, given: tuple[Step, ...], models: str = EVENTS, since: int = 14) -> Row:
    """It is gone from the plan afterwards."""
    return Row(says, ways, models, (PLAIN, *given), PLAN, PLAN, since=since)


def decided(option: str) -> Meant:
    """The same plan, with an option that the message names."""
    return Meant(f"{PLAN} {option}")


def converted(box: Box) -> None:
    box.do(PLAIN)
    box.do(CONVERT)


REFUSED = (
    refused(
        "the table is UNLOGGED; ALTER TABLE public.events SET LOGGED first, or declare unlogged=True",
        "ALTER TABLE public.events SET LOGGED",
        Models(EVENTS.replace("premake=2", "premake=2, unlogged=True")),
        given=("ALTER TABLE events SET UNLOGGED",),
    ),
    refused(
        "the replica identity is the index r, which each new partition would need anew; ALTER TABLE public.events "
        "REPLICA IDENTITY DEFAULT, or FULL",
        "ALTER TABLE public.events REPLICA IDENTITY DEFAULT",
        Meant("ALTER TABLE public.events REPLICA IDENTITY FULL"),
        given=(
            "CREATE UNIQUE INDEX r ON events (id, created_at)",
            "ALTER TABLE events REPLICA IDENTITY USING INDEX r",
        ),
    ),
    refused(
        "it has rules (r); change that first; it can't be carried",
        Meant("DROP RULE r ON events"),
        given=("CREATE RULE r AS ON DELETE TO events DO ALSO NOTHING",),
    ),
    refused(
        "the identity sequence public.events_id_seq is used by default value for column id of table public.other; give that a "
        "sequence of its own",
        (Meant("CREATE SEQUENCE own"), Meant("ALTER TABLE other ALTER id SET DEFAULT nextval('own')")),
        given=("CREATE TABLE other (id bigint DEFAULT nextval('events_id_seq'))",),
    ),
    refused(
        "1 rows have NULL in the partition key (created_at); fill them: UPDATE public.events SET ... WHERE created_at IS "
        "NULL",
        Meant("UPDATE public.events SET created_at = now() WHERE created_at IS NULL"),
        given=("ALTER TABLE events ALTER created_at DROP NOT NULL", "INSERT INTO events (created_at) VALUES (NULL)"),
    ),
    Row(
        "1 rows lie outside the bound of the history partition (2030-01-01 00:00:00+00); choose a later boundary "
        "(--boundary), or correct those rows",
        (
            decided("--boundary 2031-01-01"),
            (Meant("UPDATE events SET created_at = '2029-01-01'"), decided("--boundary 2030-01-01")),
        ),
        EVENTS,
        (PLAIN, "INSERT INTO events (created_at) VALUES ('2030-01-01 00:00:00+00')"),
        decided("--boundary 2030-01-01"),
        None,
    ),
    refused(
        f"the column region of the model's primary key does not exist; {MIGRATE}",
        Meant("ALTER TABLE events ADD region text NOT NULL DEFAULT ''"),
        given=(),
        models=REGIONAL,
    ),
    refused(
        "region is to be in the primary key and may be NULL; ALTER TABLE public.events ALTER COLUMN region SET NOT NULL "
        "first",
        "ALTER TABLE public.events ALTER COLUMN region SET NOT NULL",
        given=("ALTER TABLE events ADD region text",),
        models=REGIONAL,
    ),
    Row(
        "the model declares no primary key, and the table has events_pkey; declare it, keep it on the history only "
        "(--unique events_pkey=local), or drop it (--unique events_pkey=drop)",
        (
            (Models(EVENTS), Meant(PLAN)),
            decided("--unique events_pkey=local"),
            decided("--unique events_pkey=drop"),
        ),
        KEYLESS,
        (PLAIN,),
        PLAN,
        None,
    ),
    refused(
        "events_pkey includes created_at, which is to be one of its columns; take it out of INCLUDE first",
        Meant("ALTER TABLE events DROP CONSTRAINT events_pkey, ADD PRIMARY KEY (id)"),
        given=("ALTER TABLE events DROP CONSTRAINT events_pkey, ADD PRIMARY KEY (id) INCLUDE (created_at)",),
    ),
    Row(
        "events_pkey is the primary key, which the model declares; leave that choice out: the model says what becomes of "
        "a primary key",
        (Meant(PLAN),),
        EVENTS,
        (PLAIN,),
        decided("--unique events_pkey=local"),
        None,
    ),
    refused(
        "the view public.v groups by the primary key events_pkey, which changes; let it group by all its columns, or drop it "
        "before",
        Meant("CREATE OR REPLACE VIEW v AS SELECT id, created_at FROM events GROUP BY id, created_at"),
        Meant("DROP VIEW v"),
        given=("CREATE VIEW v AS SELECT id, created_at FROM events GROUP BY id",),
    ),
    Row(
        "there is no unique index nix; there are: events_pkey",
        (Meant(PLAN),),
        EVENTS,
        (PLAIN,),
        decided("--unique nix=drop"),
        None,
    ),
    refused(
        "the index i is invalid; REINDEX INDEX CONCURRENTLY public.i, or DROP INDEX public.i",
        "REINDEX INDEX CONCURRENTLY public.i",
        "DROP INDEX public.i",
        given=(
            "CREATE INDEX i ON events (created_at)",
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'i'::regclass",
        ),
    ),
    Row(
        "the exclusion constraint x; keep it on the history only (--unique x=local), or drop it (--unique x=drop)",
        (decided("--unique x=local"), decided("--unique x=drop")),
        EVENTS,
        (PLAIN, "ALTER TABLE events ADD area circle, ADD CONSTRAINT x EXCLUDE USING gist (area WITH &&)"),
        PLAN,
        None,
    ),
    Row(
        "the constraint d is deferrable; drop it and add it again NOT DEFERRABLE, keep it on the history only (--unique "
        "d=local), or drop it (--unique d=drop)",
        (
            (Meant("ALTER TABLE events DROP CONSTRAINT d, ADD CONSTRAINT d UNIQUE (created_at, id)"), Meant(PLAN)),
            decided("--unique d=local"),
            decided("--unique d=drop"),
        ),
        EVENTS,
        (PLAIN, "ALTER TABLE events ADD CONSTRAINT d UNIQUE (created_at, id) DEFERRABLE"),
        PLAN,
        None,
    ),
    Row(
        "u is unique over (code) and lacks created_at: a partitioned table can't enforce it; extend it in the model and "
        "migrate that first, keep it on the history only (--unique u=local), or drop it (--unique u=drop)",
        (
            (Meant("DROP INDEX u; CREATE UNIQUE INDEX u ON events (code, created_at)"), Meant(PLAN)),
            decided("--unique u=local"),
            decided("--unique u=drop"),
        ),
        EVENTS,
        (PLAIN, "ALTER TABLE events ADD code text", "CREATE UNIQUE INDEX u ON events (code)"),
        PLAN,
        None,
    ),
    refused(
        "the row trigger t has transition tables, which partitioned tables refuse; make it a statement trigger, or drop "
        "it",
        Meant(
            "DROP TRIGGER t ON events; CREATE TRIGGER t AFTER INSERT ON events REFERENCING NEW TABLE AS n FOR EACH "
            "STATEMENT EXECUTE FUNCTION f()"
        ),
        Meant("DROP TRIGGER t ON events"),
        given=(
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
            "CREATE TRIGGER t AFTER INSERT ON events REFERENCING NEW TABLE AS n FOR EACH ROW EXECUTE FUNCTION f()",
        ),
    ),
    Row(
        "the materialized view public.m depends on the table and would stay with its history; drop it before, and make "
        "it again after the conversion",
        (
            (
                Meant("DROP MATERIALIZED VIEW m"),
                Meant(CONVERT),
                Meant("CREATE MATERIALIZED VIEW m AS SELECT id FROM events"),
            ),
        ),
        EVENTS,
        (PLAIN, "CREATE MATERIALIZED VIEW m AS SELECT id FROM events"),
        PLAN,
    ),
    refused(
        "the publication p filters rows or columns of it, which PostgreSQL allows for a partitioned table only with "
        "publish_via_partition_root; ALTER PUBLICATION p SET (publish_via_partition_root = true), or drop the filter",
        "ALTER PUBLICATION p SET (publish_via_partition_root = true)",
        Meant("ALTER PUBLICATION p SET TABLE events"),
        given=("CREATE PUBLICATION p FOR TABLE events WHERE (id > 0)",),
        since=15,
    ),
    Row(
        f"the partition key created_at is no column of the table; {MIGRATE}",
        (Meant("ALTER TABLE events ADD created_at timestamptz NOT NULL DEFAULT now()"),),
        EVENTS,
        ("CREATE TABLE events (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY)",),
        PLAN,
        PLAN,
    ),
    Row(
        f"created_at is date in the table and timestamp with time zone in the model; {MIGRATE}",
        (Meant("ALTER TABLE events ALTER created_at TYPE timestamptz"),),
        EVENTS,
        (PLAIN.replace("timestamptz", "date"),),
        PLAN,
        PLAN,
    ),
    Row(
        "created_at is a generated column, which PostgreSQL takes in no partition key; ALTER TABLE public.events ALTER "
        "COLUMN created_at DROP EXPRESSION, and fill it by a trigger or in the application",
        (
            (
                "ALTER TABLE public.events ALTER COLUMN created_at DROP EXPRESSION",
                Meant("INSERT INTO events (id, day, created_at) VALUES (1, '2030-06-01', '2030-06-01')"),
            ),
        ),
        EVENTS,
        (
            "CREATE TABLE events (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, day timestamptz NOT NULL, "
            "created_at timestamptz GENERATED ALWAYS AS (day) STORED)",
        ),
        PLAN,
        PLAN,
    ),
    Row(
        "created_at is a generated column, which PostgreSQL takes in no partition key; make it an ordinary column, and "
        "fill it by a trigger or in the application",
        (Meant("ALTER TABLE events DROP created_at, ADD created_at timestamptz NOT NULL DEFAULT now()"),),
        EVENTS,
        (
            "CREATE TABLE events (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, day timestamptz NOT NULL, "
            "created_at timestamptz GENERATED ALWAYS AS (day) VIRTUAL)",
        ),
        PLAN,
        PLAN,
        since=18,
    ),
    refused(
        "the name public.events_pnew, which the conversion needs, is taken by …; rename that",
        Meant("ALTER TABLE events_pnew RENAME TO other"),
        given=("CREATE TABLE events_pnew ()",),
    ),
    Row(
        "the values present ('a', 'b') belong to no label, or to more than one; copy the rows: sa-partman convert "
        "public.events --strategy copy",
        (yes("sa-partman convert public.events --strategy copy"),),
        COUNTRIES,
        (
            "CREATE TABLE events (id bigint PRIMARY KEY, kind text NOT NULL)",
            "INSERT INTO events VALUES (1, 'a'), (2, 'b')",
        ),
        PLAN,
    ),
    Row(
        "the partition key is an expression; copy the rows: sa-partman convert public.events --strategy copy",
        (yes("sa-partman convert public.events --strategy copy --unique events_pkey=drop"),),
        """
Table("events", metadata, Column("id", BigInteger), Column("kind", Text, nullable=False),
    PartitionByList(KeyExpression("lower(kind)", "text"), values={"a": ["a"]}))
""",
        ("CREATE TABLE events (id bigint PRIMARY KEY, kind text NOT NULL)", "INSERT INTO events VALUES (1, 'A')"),
        PLAN,
    ),
    Row(
        "each tenant has partitions of its own; copy the rows: sa-partman convert public.events --strategy copy",
        (yes("sa-partman convert public.events --strategy copy"),),
        """
class Event(Partitioned, Base):
    __tablename__ = "events"
    __partition__ = PartitionByRange("tenant", "created_at", interval="1 month", tenants=[1, 2])
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    tenant: Mapped[int] = mapped_column(primary_key=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
""",
        ("CREATE TABLE events (id bigint PRIMARY KEY, tenant int NOT NULL, created_at timestamptz NOT NULL)",),
        PLAN,
    ),
    Row(
        "the boundary 7 would do nothing: the history of a table PARTITION BY LIST (kind) has values and no end; leave "
        "--boundary (boundary=) out",
        (Meant(PLAN),),
        COUNTRIES,
        ("CREATE TABLE events (id bigint PRIMARY KEY, kind text NOT NULL)",),
        decided("--boundary 7"),
        None,
    ),
    Row(
        "the declaration has no value yet, so there is no partition to become; add the first value",
        (Meant("INSERT INTO kinds VALUES ('a')"),),
        'kinds = Table("kinds", metadata, Column("kind", Text, primary_key=True))\n'
        + COUNTRIES.replace('values={"a": ["a"], "b": ["b"]}', "values=sa.select(kinds.c.kind)"),
        (
            "CREATE TABLE kinds (kind text PRIMARY KEY)",
            "CREATE TABLE events (id bigint PRIMARY KEY, kind text NOT NULL)",
        ),
        PLAN,
        PLAN,
    ),
    Row(
        "the foreign key k refers to the table itself; drop that foreign key (--inbound drop)",
        (decided("--inbound drop"),),
        EVENTS,
        (PLAIN, "ALTER TABLE events ADD parent bigint CONSTRAINT k REFERENCES events"),
        PLAN,
        None,
    ),
    Row(
        "public.orders refers to it by k (event), and a partitioned table's unique keys contain the partition key; drop "
        "that foreign key (--inbound drop), let it refer by the partition key too (--inbound composite), or replace it "
        "by one that contains the partition key",
        (decided("--inbound drop"), decided("--inbound composite")),
        EVENTS,
        (PLAIN, "CREATE TABLE orders (event bigint CONSTRAINT k REFERENCES events, created_at timestamptz)"),
        PLAN,
        None,
    ),
    Row(
        "1 rows of public.orders refer to no row by k in its composite form (event, created_at); fill those columns of "
        "it first, or drop that foreign key (--inbound drop)",
        (
            (
                Meant("UPDATE orders o SET created_at = e.created_at FROM events e WHERE e.id = o.event"),
                decided("--inbound composite"),
            ),
            decided("--inbound drop"),
        ),
        EVENTS,
        (
            PLAIN,
            "CREATE TABLE orders (event bigint CONSTRAINT k REFERENCES events, created_at timestamptz)",
            "INSERT INTO events VALUES (1, '2029-01-01')",
            "INSERT INTO orders VALUES (1, '2020-01-01')",
        ),
        decided("--inbound composite"),
        None,
    ),
    Row(
        "public.orders refers to it by k with an ON DELETE action, and PostgreSQL 14 performs that action also when an "
        "UPDATE moves a row to another partition; upgrade to PostgreSQL 15, make it NO ACTION, or drop that foreign key "
        "(--inbound drop)",
        (
            (
                Meant("ALTER TABLE orders DROP CONSTRAINT k, ADD CONSTRAINT k FOREIGN KEY (event) REFERENCES events"),
                decided("--inbound composite"),
            ),
            decided("--inbound drop"),
        ),
        EVENTS,
        (
            PLAIN,
            "CREATE TABLE orders (event bigint CONSTRAINT k REFERENCES events ON DELETE CASCADE, created_at timestamptz)",
        ),
        decided("--inbound composite"),
        None,
        until=14,
    ),
    Row(
        "it is in the EXCEPT clause of the publication p, where the new table has to be too, and only a superuser may "
        "change that clause; let a superuser run this conversion; or let one drop the publication, and create it again "
        "afterwards with EXCEPT (TABLE public.events)",
        (
            (as_superuser, Meant(CONVERT)),
            (
                granted("DROP PUBLICATION p"),
                Meant(CONVERT),
                granted("CREATE PUBLICATION p FOR ALL TABLES EXCEPT (TABLE public.events)"),
            ),
        ),
        EVENTS,
        (
            PLAIN,
            roles,
            granted(f"ALTER TABLE events OWNER TO {OWNER}"),
            granted(f"CREATE SCHEMA sa_partman AUTHORIZATION {OWNER}"),
            "CREATE PUBLICATION p FOR ALL TABLES EXCEPT (TABLE events)",
            connected(OWNER),
        ),
        CONVERT,
        None,
        since=19,
    ),
    Row(
        "3 rows are in other partitions, and at most 2 are moved inside the swap; raise the limit in a maintenance "
        "window (--max-rows)",
        (Meant(f"{UNDO} --max-rows 3"),),
        EVENTS,
        (converted, "INSERT INTO events (created_at) SELECT '2030-08-20' FROM generate_series(1, 3)"),
        f"{UNDO} --max-rows 2",
        None,
    ),
    Row(
        "1 rows of other partitions are copied, and the publication p would send each again, for a table that its "
        "subscribers don't have; publish the tables by their names (CREATE PUBLICATION ... FOR TABLE ...) instead of all "
        "of them, or drop the publication and create it again afterwards",
        (
            (Meant("DROP PUBLICATION p"), Meant("CREATE PUBLICATION q FOR TABLE events"), Meant(UNDO)),
            (Meant("DROP PUBLICATION p"), Meant(UNDO), Meant("CREATE PUBLICATION p FOR ALL TABLES")),
        ),
        EVENTS,
        (
            converted,
            "INSERT INTO events (created_at) VALUES ('2030-08-20')",
            "CREATE PUBLICATION p FOR ALL TABLES WITH (publish_via_partition_root = true)",
        ),
        UNDO,
        None,
    ),
    Row(
        "more than one row has the same (id), which was the primary key: …; give those rows other keys",
        (Meant("UPDATE events SET id = 2 WHERE created_at = '2030-08-20'"),),
        EVENTS,
        (converted, "INSERT INTO events VALUES (1, '2030-06-20'), (1, '2030-08-20')"),
        UNDO,
        UNDO,
    ),
    Row(
        "view public.v depends on a partition that is to be dropped; drop it before",
        (Meant("DROP VIEW v"),),
        EVENTS,
        (converted, "CREATE VIEW v AS SELECT * FROM events_p20300801"),
        UNDO,
        UNDO,
    ),
    Row(
        "public.orders refers to it by k; drop that foreign key before",
        (Meant("ALTER TABLE orders DROP CONSTRAINT k"),),
        EVENTS,
        (
            converted,
            "CREATE TABLE orders (event bigint, at timestamptz, CONSTRAINT k FOREIGN KEY (event, at) REFERENCES events)",
        ),
        UNDO,
        UNDO,
    ),
)
