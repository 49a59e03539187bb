"""Arguments in Python that are of the wrong kind, or mean nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import MetaData, create_engine
from sqlalchemy.ext.asyncio import create_async_engine

from sa_partman import (
    ULID,
    AsyncConverter,
    AsyncMaintainer,
    AsyncRewriter,
    Converter,
    Epoch,
    LockPolicy,
    Maintainer,
    Rewriter,
    UUIDv7,
)
from sa_partman.checks.coverage import Asked
from sa_partman.maintenance.schedule import Schedule
from sa_partman.ports import before
from tests.remedies.row import Box, Meant, Models, Row, declared
from tests.remedies.rows.fitting import AT, MONTHLY, NUMBER, by, column, core
from tests.remedies.rows.operations import CREATE, refused

NOON = datetime(2030, 1, 1, 12)
MONTH = "lower='2030-01-01 00:00:00+00:00', upper='2030-02-01 00:00:00+00:00'"
URL = "postgresql+psycopg://"


def misused(says: str, wrong: Callable[[Box], object], *right: Callable[[Box], object]) -> Row:
    return Row(says, right, attempt=wrong, again=None, server=False)


def maintainer(**options: Any) -> Callable[[Box], object]:
    given = {"engine": create_engine(URL), "metadata": MetaData(), **options}
    return lambda box: Maintainer(given.pop("engine"), given.pop("metadata"), **given)


def base(box: Box) -> Any:
    """A declarative base."""
    return type("Base", (), {"metadata": MetaData()})


MAINTAINERS = (
    misused(
        "Maintainer takes an Engine and got …; AsyncMaintainer takes an AsyncEngine",
        lambda box: Maintainer(create_async_engine(URL), MetaData()),  # type: ignore[arg-type]
        lambda box: AsyncMaintainer(create_async_engine(URL), MetaData()),
    ),
    misused(
        "AsyncMaintainer takes an AsyncEngine and got …; Maintainer takes an Engine",
        lambda box: AsyncMaintainer(create_engine(URL), MetaData()),  # type: ignore[arg-type]
        lambda box: Maintainer(create_engine(URL), MetaData()),
    ),
    misused(
        "AsyncConverter takes an AsyncEngine and got …; Converter takes an Engine",
        lambda box: AsyncConverter(create_engine(URL), MetaData()),  # type: ignore[arg-type]
        lambda box: Converter(create_engine(URL), MetaData()),
    ),
    misused(
        "AsyncRewriter takes an AsyncEngine and got …; Rewriter takes an Engine",
        lambda box: AsyncRewriter(create_engine(URL), MetaData()),  # type: ignore[arg-type]
        lambda box: Rewriter(create_engine(URL), MetaData()),
    ),
    misused(
        "limit=-1 is below 0; None removes all that are expired",
        lambda box: Maintainer(create_engine(URL), MetaData(), limit=-1),
        lambda box: Maintainer(create_engine(URL), MetaData(), limit=None),
    ),
    misused(
        "metadata=… is not a MetaData; pass its .metadata",
        lambda box: Maintainer(create_engine(URL), base(box)),
        lambda box: Maintainer(create_engine(URL), base(box).metadata),
    ),
    misused(
        "metadata=7 is not a MetaData; pass one, or several",
        lambda box: Maintainer(create_engine(URL), 7),  # type: ignore[arg-type]
        lambda box: Maintainer(create_engine(URL), MetaData()),
        lambda box: Maintainer(create_engine(URL), [MetaData(), MetaData()]),
    ),
    misused(
        "hooks=… is not a list; write hooks=[...], even for one",
        lambda box: Maintainer(create_engine(URL), MetaData(), hooks=print),  # type: ignore[arg-type]
        lambda box: Maintainer(create_engine(URL), MetaData(), hooks=[print]),
    ),
    misused(
        "now=datetime.datetime(2030, 1, 1, 12, 0) has no time zone; write datetime(..., tzinfo=UTC)",
        lambda box: Maintainer(create_engine(URL), MetaData(), now=NOON),
        lambda box: Maintainer(create_engine(URL), MetaData(), now=datetime(2030, 1, 1, 12, tzinfo=UTC)),
    ),
    misused(
        "now='noon' is not a datetime, nor a callable that returns one",
        lambda box: Maintainer(create_engine(URL), MetaData(), now="noon"),  # type: ignore[arg-type]
        lambda box: Maintainer(create_engine(URL), MetaData(), now=NOON.replace(tzinfo=UTC)),
        lambda box: Maintainer(create_engine(URL), MetaData(), now=lambda: NOON.replace(tzinfo=UTC)),
    ),
    misused(
        "no step is for 'create'; the purposes are heal, repair, adopt, regrid, provision, detach, archive, drop",
        lambda box: before("create"),
        lambda box: before("provision"),
    ),
    misused(
        "7 is not a length of time; write a text such as '7d', or a timedelta",
        lambda box: Asked.of(max_age=7),  # type: ignore[arg-type]
        lambda box: Asked.of(max_age="7d"),
        lambda box: Asked.of(max_age=timedelta(days=7)),
    ),
)

POLICIES = (
    misused(
        "lock_timeout=3 must be above 0 and at most stall=2.0",
        lambda box: LockPolicy(lock_timeout=3),
        lambda box: LockPolicy(lock_timeout=2),
        lambda box: LockPolicy(lock_timeout=3, stall=3),
    ),
    misused(
        "table_budget=0 and run_budget=300.0 must be above 0",
        lambda box: LockPolicy(table_budget=0),
        lambda box: LockPolicy(table_budget=1),
    ),
    misused("lease=0.5 must be at least 1 second", lambda box: LockPolicy(lease=0.5), lambda box: LockPolicy(lease=1)),
    misused(
        "budget= and pause= must be above 0, and longest_pause= at least pause=",
        lambda box: LockPolicy(pause=2),
        lambda box: LockPolicy(pause=2, longest_pause=2),
    ),
    misused("every=0 s must be above 0", lambda box: Schedule.of(0), lambda box: Schedule.of("1h")),
    misused(
        "jitter=2 must be at least 0 and below 1: a fraction of the interval",
        lambda box: Schedule.of("1h", 2),
        lambda box: Schedule.of("1h", 0.2),
    ),
    misused(
        "every='1 month': months have no fixed length; write days or hours",
        lambda box: Schedule.of("1 month"),
        lambda box: Schedule.of("30 days"),
        lambda box: Schedule.of("720 hours"),
    ),
)

CODED = (
    misused(
        "datetime.datetime(2030, 1, 1, 12, 0) has no time zone; give an aware datetime, such as datetime(..., tzinfo=UTC)",
        lambda box: UUIDv7().encode(NOON),
        lambda box: UUIDv7().encode(datetime(2030, 1, 1, 12, tzinfo=UTC)),
    ),
    misused(
        "60928903-8180-40cd-ae18-a365692746ef is a UUID of version 4, which tells no time; UUIDv7() needs version 7",
        lambda box: UUIDv7().decode(UUID("60928903-8180-40cd-ae18-a365692746ef")),
        lambda box: UUIDv7().decode(UUID("60928903-8180-70cd-ae18-a365692746ef")),
    ),
    misused(
        "'01arz3ndektsv4rrffq69g5fav' is not a ULID: 26 characters of Crockford's base 32 in upper case",
        lambda box: ULID().decode("01arz3ndektsv4rrffq69g5fav"),
        lambda box: ULID().decode("01ARZ3NDEKTSV4RRFFQ69G5FAV"),
    ),
    misused("Decimal('NaN') is not a finite number", lambda box: Epoch("s").decode(Decimal("NaN"))),
    misused("1000000000000000 would be an instant outside the years 1 to 9999", lambda box: Epoch("s").decode(10**15)),
)

OLD_START = core(by('interval="1 month", start="1950-01-01"'), column("sa.Uuid"))
NANOSECONDS = by('interval="1 month", codec=Epoch("ns"), start="1500-01-01"')
BEYOND = "; nothing was changed -> fix the declaration; the other tables were not affected"

DECLARED = (
    declared(
        "timezone='Mars': time zone 'Mars' is unknown here; use an IANA name such as 'UTC' or 'Europe/Paris' (on Windows and "
        "slim images: pip install tzdata)",
        core(by('interval="1 month", timezone="Mars"'), AT),
        core(by('interval="1 month", timezone="UTC"'), AT),
        core(by('interval="1 month", timezone="Europe/Paris"'), AT),
    ),
    declared(
        "interval='1 month 2 days': 1 month 2 days can't be the width of a partition: months, days and hours have no common "
        "grid; use one unit",
        core(by('interval="1 month 2 days"'), AT),
        core(by('interval="32 days"'), AT),
    ),
    declared(
        "interval=datetime.timedelta(microseconds=5): datetime.timedelta(microseconds=5) is not a positive number of whole "
        "seconds",
        "from datetime import timedelta\n" + core(by("interval=timedelta(microseconds=5)"), AT),
        "from datetime import timedelta\n" + core(by("interval=timedelta(seconds=5)"), AT),
    ),
    declared(
        "events: 'at' (integer), label 'a': 'x' can't be written as integer; give a value of that type",
        core('PartitionByList("at", values={"a": ["x"]})', column("Integer")),
        core('PartitionByList("at", values={"a": [1]})', column("Integer")),
    ),
    declared(
        "events: 'at' (date), label 'a': datetime.datetime(2030, 1, 1, 0, 0) can't be written as date: give a date without a "
        "time of day",
        core('PartitionByList("at", values={"a": [datetime(2030, 1, 1)]})', column("sa.Date")),
        core('PartitionByList("at", values={"a": [datetime(2030, 1, 1).date()]})', column("sa.Date")),
    ),
    declared(
        "events: 'at' (text), label 'a': 'x\\x00' holds a NUL byte, which PostgreSQL can't store in a text",
        core('PartitionByList("at", values={"a": ["x\\0"]})', column("Text")),
        core('PartitionByList("at", values={"a": ["x"]})', column("Text")),
    ),
    declared(
        "PartitionByRange belongs to a Table, not to …; write it into Table(...), or as __partition__ of a mapped class",
        f"Column('at', Integer, {MONTHLY})",
        core(MONTHLY, AT),
        "class Event(Base):\n    __tablename__ = 'events'\n    __partition__ = PartitionByHash('id', modulus=2)\n"
        "    id: Mapped[int] = mapped_column(primary_key=True)\n",
    ),
    declared(
        "a declaration is immutable; make a new one: declaration.with_(...)",
        "PartitionByRange('org', 'at', interval='1 day', tenants=[1], retention={1: Retention('1 day', then='drop')})"
        ".retention.clear()",
        "PartitionByRange('org', 'at', interval='1 day', tenants=[1], retention={1: Retention('1 day', then='drop')})"
        ".with_(retention=None)",
    ),
    Row(
        f"events can't be planned: 1950-01-01 00:00:00+00:00 is before 1970, where a UUIDv7 can't reach; start later{BEYOND}",
        (Models(OLD_START.replace("1950", "1970")),),
        OLD_START,
        (Box.bare,),
    ),
    Row(
        f"events can't be planned: Epoch(unit='ns'): … does not fit a bigint; use a numeric column, or start and keep less"
        f"{BEYOND}",
        (
            Models(core(NANOSECONDS.replace("1500", "1900"), NUMBER)),
            (Meant("DROP TABLE events"), Models(core(NANOSECONDS, column("sa.Numeric"))), Box.bare),
        ),
        core(NANOSECONDS, NUMBER),
        (Box.bare,),
    ),
)


def bound(says: str, wrong: str, *right: str) -> Row:
    """Of a new partition of monthly events."""
    return refused(says, CREATE.format(wrong), *(Meant(CREATE.format(each)) for each in right))


OPERATIONS = (
    bound(
        "'2030-01-01' is no timestamp with time zone: write it with its offset, such as '2026-01-01 00:00:00+00:00'",
        "lower='2030-01-01', upper='2030-02-01'",
        MONTH,
    ),
    bound("5 is no timestamp with time zone: write a date or a timestamp", "lower=5, upper=7", MONTH),
    bound(
        "lower= and upper= are both …: the range is empty, as upper= is exclusive",
        MONTH.replace("02-01", "01-01"),
        MONTH,
    ),
    bound(
        "lower=… and upper=…: write as many values in one as in the other",
        MONTH.replace("upper='2030-02-01 00:00:00+00:00'", "upper=('2030-02-01 00:00:00+00:00', 1)"),
        MONTH,
    ),
    refused(
        "'2030-01-01 00:00:00+00:00' is no timestamp without time zone: the key has no time zone; write it without an offset",
        CREATE.format(MONTH),
        Meant(CREATE.format(MONTH.replace("+00:00", ""))),
        models=core(MONTHLY, column("DateTime")),
    ),
    refused(
        "1.5 is no bigint: 1.5 can't be written as bigint; give a value of that type",
        CREATE.format("lower=1.5, upper=2"),
        Meant(CREATE.format("lower=1, upper=2")),
        models=core(by("interval=10"), NUMBER),
    ),
    refused(
        "remainder=4: with modulus=4 it is from 0 to 3",
        CREATE.format("modulus=4, remainder=4"),
        Meant(CREATE.format("modulus=4, remainder=3")),
        models=core("PartitionByHash('at', modulus=4)", NUMBER),
    ),
    refused(
        "'' can't be the name of anything in PostgreSQL",
        CREATE.replace("'x'", "''").format(MONTH),
        Meant(CREATE.format(MONTH)),
    ),
)
