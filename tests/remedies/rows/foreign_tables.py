"""Foreign tables among the partitions: what is said of them, and what the declaration says then."""

from sa_partman import Archive, Retention
from tests.remedies.row import Box, Meant, Models, Row, Step
from tests.remedies.rows.leaving import said
from tests.remedies.rows.models import EVENTS

KEPT = EVENTS.replace("premake=2", 'premake=2, retention=Retention("1 month", then="drop")')
TENANTS = (
    KEPT.replace(
        'PartitionByRange("created_at"',
        'PartitionByList("tenant", values=["a", "b"], subpartition=PartitionByRange("created_at"',
    ).replace('then="drop"))', 'then="drop")))')
    + "    tenant: Mapped[str] = mapped_column(primary_key=True)\n"
)
LEFT = TENANTS.replace('["a", "b"]', '["b"]')
SERVER: tuple[Step, ...] = (
    "ALTER TABLE events DROP CONSTRAINT events_pkey",  # PostgreSQL has no unique index over foreign tables
    "CREATE EXTENSION file_fdw",
    "CREATE SERVER far FOREIGN DATA WRAPPER file_fdw",
)


def cold(parent: str) -> str:
    return (
        f"CREATE FOREIGN TABLE cold PARTITION OF {parent} FOR VALUES FROM ('2029-01-01Z') TO ('2029-02-01Z') "
        f"SERVER far OPTIONS (filename '/nowhere')"
    )


def declared(models: str, foreign_tables: bool) -> Models:
    return Models(models.replace('then="drop"', f'then="drop", foreign_tables={foreign_tables}'))


def archived(box: Box) -> str:
    return str(Retention("1 month", then=Archive("/archive"), foreign_tables=True))


FOREIGN_TABLES = (
    Row(
        "foreign-table: 1 expired partition is kept, because it is a foreign table or partitioned into some: "
        "public.cold [2029-01-01, 2029-02-01) -> declare Retention(..., foreign_tables=True) to drop or detach them "
        "like other partitions, which leaves the rows on the other server; or foreign_tables=False to keep them and "
        "hear no more of it",
        (declared(KEPT, True), declared(KEPT, False)),
        KEPT,
        (Box.create, *SERVER, cold("events")),
    ),
    Row(
        "public.events_a has foreign tables, and Retention(foreign_tables=True) is not declared; nothing was changed. "
        "Declare it, or detach them first.",
        (declared(LEFT, True), Meant("ALTER TABLE events_a DETACH PARTITION cold")),
        TENANTS,
        (Box.create, *SERVER, cold("events_a"), Models(LEFT)),
        said("a"),
        said("a"),
    ),
    Row(
        "Retention(foreign_tables=True): a foreign table is dropped or detached at once; write then='drop' or "
        "then='detach' without grace=, or leave foreign_tables=True out",
        (
            lambda box: Retention("1 month", then="drop", foreign_tables=True),
            lambda box: Retention("1 month", then=Archive("/archive")),
        ),
        attempt=archived,
        again=None,
    ),
    Row(
        "Retention(foreign_tables='yes'): write True, False or None",
        (lambda box: Retention("1 month", foreign_tables=True),),
        attempt=lambda box: Retention("1 month", foreign_tables="yes"),  # type: ignore[arg-type]
        again=None,
    ),
)
