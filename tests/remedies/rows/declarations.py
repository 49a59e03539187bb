"""Declarations that are wrong by themselves, whatever their table is."""

from __future__ import annotations

from tests.remedies.row import Row, declared


def ranged(arguments: str) -> str:
    return f'PartitionByRange("created_at", interval="1 month", {arguments})'


def listed(values: str) -> str:
    return f'PartitionByList("country", values={values})'


STRATEGIES = (
    declared(
        "PartitionByHash() needs the partition key: name at least one column",
        "PartitionByHash(modulus=4)",
        'PartitionByHash("id", modulus=4)',
    ),
    declared(
        "PartitionByHash(7): a partition key is a column's name or a KeyExpression",
        "PartitionByHash(7, modulus=4)",
        'PartitionByHash("id", modulus=4)',
        'PartitionByHash(KeyExpression("lower(id)", "text"), modulus=4)',
    ),
    declared(
        "subpartition='hash' is no declaration; write one, such as PartitionByHash(...)",
        ranged('subpartition="hash"'),
        ranged('subpartition=PartitionByHash("id", modulus=4)'),
    ),
    declared(
        "modulus=0: the number of hash partitions is between 1 and 10,000",
        'PartitionByHash("id", modulus=0)',
        'PartitionByHash("id", modulus=1)',
        'PartitionByHash("id", modulus=10_000)',
    ),
    declared(
        "PartitionByList('country', 'kind'): LIST has exactly one key column; nest levels instead",
        'PartitionByList("country", "kind", values=["de"])',
        'PartitionByList("country", values=["de"], subpartition=PartitionByList("kind", values=["a"]))',
    ),
    declared(
        "PartitionByList('country',): the label 'default' is the default partition's own name; give the label another",
        'PartitionByList("country", values={"default": ["de"]}, default=True)',
        'PartitionByList("country", values={"usual": ["de"]}, default=True)',
    ),
    declared(
        "premake=-1: the number of partitions kept ready is 0 or more",
        ranged("premake=-1"),
        ranged("premake=0"),
    ),
    declared(
        "tenants= are the values of the first key column: name it before the ranged one",
        ranged("tenants=[1, 2]"),
        'PartitionByRange("tenant", "created_at", interval="1 month", tenants=[1, 2])',
    ),
    declared(
        "interval=0: an integer interval is 1 or more",
        'PartitionByRange("id", interval=0)',
        'PartitionByRange("id", interval=1)',
    ),
    declared(
        "start='January' is not an ISO date or time, such as '2024-01-01'",
        ranged('start="January"'),
        ranged('start="2024-01-01"'),
    ),
    declared(
        "start=1.5 is neither a date or time, such as '2024-01-01', nor a whole number",
        ranged("start=1.5"),
        ranged('start="2024-01-01"'),
        'PartitionByRange("id", interval=10, start=1)',
    ),
)

VALUES = (
    declared(
        "values='de': write a list of values, or a mapping of labels to values",
        listed('"de"'),
        listed('["de"]'),
        listed('{"de": ["de"]}'),
    ),
    declared(
        "values={1: ['a'], '1': ['b']}: two labels are the same text; give each its own",
        listed('{1: ["a"], "1": ["b"]}'),
        listed('{1: ["a"], 2: ["b"]}'),
    ),
    declared(
        "values=7: write a list of values, a mapping of labels to values, a select() or a callable",
        listed("7"),
        listed("[7]"),
        listed('{"seven": [7]}'),
        listed("sa.select(sa.literal(7))"),
        listed("lambda connection: [7]"),
    ),
    declared(
        "values={'eu': 'de'}: write the values of a label as a list",
        listed('{"eu": "de"}'),
        listed('{"eu": ["de"]}'),
    ),
    declared(
        "the label 'eu' has no values, and PostgreSQL has no empty list partition; remove it",
        listed('{"eu": [], "us": ["us"]}'),
        listed('{"us": ["us"]}'),
    ),
    declared(
        "the value 'de' is in 'eu' and in 'germany'; remove one",
        listed('{"eu": ["fr", "de"], "germany": ["de"]}'),
        listed('{"eu": ["fr"], "germany": ["de"]}'),
    ),
)

RETENTIONS = (
    declared(
        "retention='14 months': write retention=Retention('14 months', then='detach')",
        ranged("retention='14 months'"),
        ranged("retention=Retention('14 months', then='detach')"),
    ),
    declared(
        "retention=14: write retention=Retention('14 months', then='detach'), a mapping of tenants to such rules, or a "
        "callable that returns one",
        ranged("retention=14"),
        ranged("retention=Retention('14 months', then='detach')"),
        ranged("retention={1: Retention('14 months'), 2: None}"),
        ranged("retention=lambda tenant: Retention('14 months')"),
    ),
    declared(
        "default=True and Retention(concurrently=True) exclude each other: PostgreSQL refuses DETACH ... CONCURRENTLY "
        "while a default partition exists. Leave the default partition out (rows without a partition then fail at "
        "once, and provisioning ahead avoids that), or leave concurrently out (each detach then takes a short ACCESS "
        "EXCLUSIVE lock).",
        ranged("default=True, retention=Retention(12, concurrently=True)"),
        ranged("retention=Retention(12, concurrently=True)"),
        ranged("default=True, retention=Retention(12)"),
    ),
    declared(
        "Retention(then='delete'): write then='detach', then='drop', or then=Archive('/some/directory')",
        "Retention(12, then='delete')",
        "Retention(12, then='detach')",
        "Retention(12, then='drop')",
        "Retention(12, then=Archive('/some/directory'))",
    ),
    declared(
        "Retention(foreign='yes'): write True, False or None",
        "Retention(12, foreign='yes')",
        "Retention(12, foreign=True)",
        "Retention(12, foreign=False)",
        "Retention(12, foreign=None)",
    ),
    declared(
        "Retention(then='detach', grace='7 days'): a detached table is kept for ever; write then='drop' or "
        "then=Archive(...), or leave grace= out",
        "Retention(12, grace='7 days')",
        "Retention(12, then='drop', grace='7 days')",
        "Retention(12, then=Archive('/some/directory'), grace='7 days')",
        "Retention(12)",
    ),
    declared(
        "Retention(grace='0 days'): leave grace= out where there is none",
        "Retention(12, then='drop', grace='0 days')",
        "Retention(12, then='drop')",
    ),
    declared(
        "Retention(grace='a week'): 'a week' is not an interval; write a number and a unit: '1 month', '2 weeks', '15 "
        "minutes' (units: second, minute, hour, day, week, month, quarter, year)",
        "Retention(12, then='drop', grace='a week')",
        "Retention(12, then='drop', grace='1 week')",
    ),
    declared(
        "Retention(referencing_tables='notes'): write referencing_tables=('notes',)",
        "Retention(12, referencing_tables='notes')",
        "Retention(12, referencing_tables=('notes',))",
    ),
    declared(
        "Retention(referencing_tables=('',)): write the names of tables",
        "Retention(12, referencing_tables=('',))",
        "Retention(12, referencing_tables=('notes',))",
    ),
    declared(
        "Retention(keep=-1): the number of intervals kept is 0 or more",
        "Retention(-1)",
        "Retention(0)",
    ),
    declared(
        "Retention(keep='two months'): 'two months' is not an interval; write a number and a unit: …",
        "Retention('two months')",
        "Retention('2 months')",
    ),
    declared(
        "Retention(keep='0 days') would expire everything in the past; leave retention= out to keep partitions for ever",
        ranged("retention=Retention('0 days')"),
        ranged(""),
    ),
)

ARCHIVES = (
    declared(
        "Archive(to=''): name a directory, or a URL such as 's3://bucket/folder'",
        "Archive('')",
        "Archive('/some/directory')",
        "Archive('s3://bucket/folder')",
    ),
    declared(
        "Archive(to='s3://'): that is no URL; write it as 's3://bucket/folder'",
        "Archive('s3://')",
        "Archive('s3://bucket/folder')",
    ),
    declared(
        "Archive(format='zip'): write format='csv.gz' or format='parquet'",
        "Archive('/some/directory', format='zip')",
        "Archive('/some/directory', format='csv.gz')",
        "Archive('/some/directory', format='parquet')",
    ),
)

CODECS = (
    declared(
        "Epoch('minutes'): the unit is 's', 'ms', 'us' or 'ns'",
        "Epoch('minutes')",
        "Epoch('s'), Epoch('ms'), Epoch('us'), Epoch('ns')",
    ),
    declared(
        "Snowflake(shift=63): a bigint has 0 to 62 bits below the time; most use 22",
        "Snowflake('2015-01-01', shift=63)",
        "Snowflake('2015-01-01', shift=22)",
        "Snowflake('2015-01-01', shift=0), Snowflake('2015-01-01', shift=62)",
    ),
    declared(
        "Snowflake(epoch='Discord'): give ISO text such as '2015-01-01T00:00:00+00:00', an aware datetime, or "
        "milliseconds since 1970 (…)",
        "Snowflake('Discord')",
        "Snowflake('2015-01-01T00:00:00+00:00')",
        "from datetime import UTC\nSnowflake(datetime(2015, 1, 1, tzinfo=UTC))",
        "Snowflake(1420070400000)",
    ),
)

DECLARATIONS: tuple[Row, ...] = (*STRATEGIES, *VALUES, *RETENTIONS, *ARCHIVES, *CODECS)
