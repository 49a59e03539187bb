"""Declarations that do not fit their table: its columns, their types, its keys."""

from __future__ import annotations

from tests.remedies.row import Row, declared


def core(declaration: str, *columns: str) -> str:
    return f'Table("events", metadata, {", ".join(columns)}, {declaration})'


def column(sort: str, name: str = "at", more: str = "nullable=False") -> str:
    return f'Column("{name}", {sort}, {more})'


def by(arguments: str, key: str = "at") -> str:
    return f'PartitionByRange("{key}", {arguments})'


AT = column("DateTime(timezone=True)")
NUMBER = column("BigInteger")
MONTHLY = by('interval="1 month"')

MINUTES = "from datetime import timedelta\nclass Minutes(Epoch):\n    resolution = timedelta(minutes=1)\n"


def orm(declaration: str, *columns: str) -> str:
    lines = ['__tablename__ = "events"', f"__partition__ = {declaration}", *columns]
    return "class Event(Partitioned, Base):\n" + "".join(f"    {line}\n" for line in lines)


ID = "id: Mapped[int] = mapped_column({}primary_key=True)"
KEY_AT = "at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)"
PLAIN_AT = KEY_AT.replace(", primary_key=True", "")
GENERATED = ID.format("Identity(), autoincrement=True, ")

COLUMNS = (
    declared(
        "events: the partition key names 'when', which is no column; the columns are at. For an expression write "
        "KeyExpression('when', type=...).",
        core(by('interval="1 month"', "when"), AT),
        core(MONTHLY, AT),
        core("PartitionByRange(KeyExpression('when', type='timestamptz'), interval='1 month')", AT),
    ),
    declared(
        "events: 'at' is a generated column, which PostgreSQL takes in no partition key; make it an ordinary column",
        core(MONTHLY, column("DateTime", "day"), column("DateTime", more='sa.Computed("day"), nullable=False')),
        core(MONTHLY, column("DateTime", "day"), column("DateTime")),
    ),
    declared(
        "events: 'place' (point) can't be a partition key, because PostgreSQL can't compare its values; partition by "
        "another column",
        "class Point(sa.types.UserDefinedType):\n    def get_col_spec(self, **_): return 'point'\n"
        + core('PartitionByHash("place", modulus=4)', column("Point()", "place"), column("Integer", "id")),
        core('PartitionByHash("id", modulus=4)', column("Text", "place"), column("Integer", "id")),
    ),
    declared(
        "events: two levels partition by 'kind'; a LIST below adds nothing, remove one",
        core(
            'PartitionByList("kind", values=["a"], subpartition=PartitionByList("kind", values=["a"]))',
            column("Text", "kind"),
        ),
        core('PartitionByList("kind", values=["a"])', column("Text", "kind")),
    ),
    declared(
        "events: 'at' is a range partition key and may be NULL, and no range takes a NULL; declare it nullable=False "
        "(Mapped[datetime], not Mapped[datetime | None])",
        core(MONTHLY, column("DateTime", more="nullable=True")),
        core(MONTHLY, column("DateTime", more="nullable=False")),
        orm(MONTHLY, ID.format("autoincrement=False, "), KEY_AT),
    ),
    declared(
        "events: 'kind' is a list partition key and may be NULL, and no label takes NULL; declare it nullable=False, "
        "put None among the values of a label, or set default=True",
        core('PartitionByList("kind", values=["a"])', column("Text", "kind", "nullable=True")),
        core('PartitionByList("kind", values=["a"])', column("Text", "kind", "nullable=False")),
        core('PartitionByList("kind", values={"a": ["a", None]})', column("Text", "kind", "nullable=True")),
        core('PartitionByList("kind", values=["a"], default=True)', column("Text", "kind", "nullable=True")),
    ),
    declared(
        "events: 'kind' has no label 'c'; the enum's labels are 'a', 'b'",
        core('PartitionByList("kind", values=["a", "c"])', column('sa.Enum("a", "b", name="kinds")', "kind")),
        core('PartitionByList("kind", values=["a", "b"])', column('sa.Enum("a", "b", name="kinds")', "kind")),
    ),
    declared(
        "events: 'tenant': None can't be a tenant, because no range takes a NULL; leave it out",
        core(
            'PartitionByRange("tenant", "at", interval="1 month", tenants=[1, None])', column("Integer", "tenant"), AT
        ),
        core('PartitionByRange("tenant", "at", interval="1 month", tenants=[1])', column("Integer", "tenant"), AT),
    ),
)

INTERVALS = (
    declared(
        "events: interval=10 needs an integer key, and 'at' (timestamp with time zone) is none: write '1 month'",
        core(by("interval=10"), AT),
        core(MONTHLY, AT),
    ),
    declared(
        "events: 'at' (bigint) has a codec, so it holds time: write interval='1 month', not an integer",
        core(by("interval=10, codec=Epoch('s')"), NUMBER),
        core(by("interval='1 month', codec=Epoch('s')"), NUMBER),
    ),
    declared(
        "events: start='2024-01-01' is a time and 'at' (bigint) a number; write start=0",
        core(by("interval=10, start='2024-01-01'"), NUMBER),
        core(by("interval=10, start=0"), NUMBER),
    ),
    declared(
        "events: start=0 is a number and the key holds time; write start='2024-01-01'",
        core(by("interval='1 month', start=0"), AT),
        core(by("interval='1 month', start='2024-01-01'"), AT),
    ),
    declared(
        "events: interval=100000 is more than 'at' (smallint) can hold; use a smaller one",
        core(by("interval=100000"), column("sa.SmallInteger")),
        core(by("interval=1000"), column("sa.SmallInteger")),
    ),
    declared(
        "events: 'at' (timestamp with time zone) holds time itself; leave codec= out",
        core(by("interval='1 month', codec=Epoch('s')"), AT),
        core(MONTHLY, AT),
    ),
    declared(
        "events: 'at' (bigint) is a number and interval='1 month' a time: write an integer interval, or "
        "codec=Epoch('s'), Snowflake(...) if it holds time",
        core(MONTHLY, NUMBER),
        core(by("interval=10"), NUMBER),
        core(by("interval='1 month', codec=Epoch('s')"), NUMBER),
        core(by("interval='1 month', codec=Snowflake('2015-01-01')"), NUMBER),
    ),
    declared(
        "events: 'at' (text) is text and interval='1 month' a time: write codec=ULID() if it holds ULIDs",
        core(MONTHLY, column("Text")),
        core(by("interval='1 month', codec=ULID()"), column("Text")),
    ),
    declared(
        "events: 'at' (boolean) can't be cut by interval='1 month'; RANGE needs a date, timestamp, integer, or a codec",
        core(MONTHLY, column("sa.Boolean")),
        core(MONTHLY, column("sa.Date")),
        core(MONTHLY, column("DateTime")),
        core(by("interval=10"), column("Integer")),
        core(by("interval='1 month', codec=ULID()"), column("Text")),
    ),
    declared(
        "events: Epoch(unit='s') does not fit 'at' (text); it needs a column of type integer or numeric",
        core(by("interval='1 month', codec=Epoch('s')"), column("Text")),
        core(by("interval='1 month', codec=Epoch('s')"), column("Integer")),
        core(by("interval='1 month', codec=Epoch('s')"), column("sa.Numeric")),
    ),
    declared(
        "events: interval='1 hour' is below what 'at' (date) can hold; use at least 1 day",
        core(by("interval='1 hour'"), column("sa.Date")),
        core(by("interval='1 day'"), column("sa.Date")),
    ),
    declared(
        "events: interval='1 minute 30 seconds' does not match what 'at' (bigint) can hold; use a multiple of 60 seconds",
        MINUTES + core(by("interval='90 seconds', codec=Minutes('s')"), NUMBER),
        MINUTES + core(by("interval='2 minutes', codec=Minutes('s')"), NUMBER),
    ),
    declared(
        "events: Retention('1 year 2 months', then='detach') is a time and interval=10 a number: write the number of "
        "intervals to keep, such as Retention(10)",
        core(by("interval=10, retention=Retention('14 months')"), NUMBER),
        core(by("interval=10, retention=Retention(10)"), NUMBER),
    ),
)

KEYS = (
    declared(
        "events: the partition key is an expression, and PostgreSQL then allows no primary key; partition by a plain "
        "column (interval= already cuts it), or remove the primary key (on a mapped class: __mapper_args__ = "
        "{'primary_key': [...]} on a Table without one)",
        orm("PartitionByRange(KeyExpression('date(at)', type='date'), interval='1 month')", GENERATED, PLAIN_AT),
        orm(MONTHLY, GENERATED, KEY_AT),
        core("PartitionByRange(KeyExpression('date(at)', type='date'), interval='1 month')", AT),
        "class Event(Base):\n    __table__ = "
        + core("PartitionByRange(KeyExpression('date(at)', type='date'), interval='1 month')", AT)
        + "\n    __mapper_args__ = {'primary_key': [__table__.c.at]}\n",
    ),
    declared(
        "events: the primary key (id) lacks the partition key column 'at', and PostgreSQL refuses that; set "
        "primary_key=True on 'at' too",
        orm(MONTHLY, GENERATED, PLAIN_AT),
        orm(MONTHLY, GENERATED, KEY_AT),
    ),
    declared(
        "events: the unique constraint u (code) lacks the partition key column 'at', and PostgreSQL refuses that; add "
        "'at' to it, or make it a plain index",
        core(MONTHLY, AT, column("Text", "code"), 'sa.UniqueConstraint("code", name="u")'),
        core(MONTHLY, AT, column("Text", "code"), 'sa.UniqueConstraint("code", "at", name="u")'),
        core(MONTHLY, AT, column("Text", "code"), 'Index("u", "code")'),
    ),
    declared(
        "events: 'id' would silently lose its id generation, because the primary key (id, at) has more than one column; "
        "add Identity() and autoincrement=True to the column, or autoincrement=True alone for a SERIAL "
        "(autoincrement=False: the application sets it)",
        orm(MONTHLY, ID.format(""), KEY_AT),
        orm(MONTHLY, GENERATED, KEY_AT),
        orm(MONTHLY, ID.format("autoincrement=True, "), KEY_AT),
        orm(MONTHLY, ID.format("autoincrement=False, "), KEY_AT),
    ),
)

MAPPED = (
    declared(
        "Event.__partition__ is 'created_at'; write PartitionByRange(...), PartitionByList(...) or PartitionByHash(...)",
        orm("'created_at'", GENERATED, KEY_AT),
        orm(MONTHLY, GENERATED, KEY_AT),
        orm("PartitionByList('id', values=[1])", ID.format("autoincrement=False, ")),
        orm("PartitionByHash('id', modulus=4)", ID.format("")),
    ),
    declared(
        "Recent: __partition__ needs a class mapped to a table, not to …",
        "class Recent(Base):\n    __table__ = sa.select(sa.literal(1).label('id')).subquery()\n"
        "    __mapper_args__ = {'primary_key': [__table__.c.id]}\n"
        "    __partition__ = PartitionByHash('id', modulus=4)\n",
        "class Recent(Base):\n    __tablename__ = 'recent'\n    id: Mapped[int] = mapped_column(primary_key=True)\n"
        "    __partition__ = PartitionByHash('id', modulus=4)\n",
    ),
    declared(
        "Manager shares the table staff of its base class (single-table inheritance); set __partition__ on the base "
        "class",
        "class Staff(Base):\n    __tablename__ = 'staff'\n    id: Mapped[int] = mapped_column(primary_key=True)\n"
        "class Manager(Staff):\n    __partition__ = PartitionByHash('id', modulus=4)\n",
        "class Staff(Base):\n    __tablename__ = 'staff'\n    id: Mapped[int] = mapped_column(primary_key=True)\n"
        "    __partition__ = PartitionByHash('id', modulus=4)\nclass Manager(Staff):\n    pass\n",
    ),
    declared(
        "Event is Partitioned and has no __partition__; set it, such as PartitionByHash(...)",
        orm("None", ID.format("")).replace("    __partition__ = None\n", ""),
        orm("PartitionByHash('id', modulus=4)", ID.format("")),
    ),
    declared(
        "events: its info is 'for the audit'; a declaration is kept there, so make it a dictionary",
        "events = Table('events', metadata, Column('id', Integer))\nevents.info = 'for the audit'\n"
        "partition_by(events, PartitionByHash('id', modulus=4))",
        "events = Table('events', metadata, Column('id', Integer))\nevents.info = {'for': 'the audit'}\n"
        "partition_by(events, PartitionByHash('id', modulus=4))",
    ),
    declared(
        "events: declared twice, as PartitionByHash('id', modulus=4) and as PartitionByHash('id', modulus=8); remove one",
        core("PartitionByHash('id', modulus=4), PartitionByHash('id', modulus=8)", column("Integer", "id")),
        core("PartitionByHash('id', modulus=4)", column("Integer", "id")),
        core("PartitionByHash('id', modulus=8)", column("Integer", "id")),
    ),
    declared(
        "events: postgresql_partition_by='RANGE (at)' contradicts PartitionByHash('id', modulus=4); remove "
        "postgresql_partition_by",
        core("PartitionByHash('id', modulus=4)", column("Integer", "id"), AT)[:-1]
        + ", postgresql_partition_by='RANGE (at)')",
        core("PartitionByHash('id', modulus=4)", column("Integer", "id"), AT),
    ),
    declared(
        "partition_by() takes a Table or a mapped class, not 'events'",
        core("PartitionByHash('id', modulus=4)", column("Integer", "id"))
        + "\npartition_by('events', PartitionByHash('id', modulus=4))",
        "events = Table('events', metadata, Column('id', Integer))\n"
        "partition_by(events, PartitionByHash('id', modulus=4))",
        "class Event(Base):\n    __tablename__ = 'events'\n    id: Mapped[int] = mapped_column(primary_key=True)\n"
        "partition_by(Event, PartitionByHash('id', modulus=4))",
    ),
)

FITTING: tuple[Row, ...] = (*COLUMNS, *INTERVALS, *KEYS, *MAPPED)
