"""What properties draw from: intervals, zones, instants, declarations."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import strategies as st

from sa_partman import PartitionByHash, PartitionByList, PartitionByRange, Retention
from sa_partman.bounds.interval import Interval
from sa_partman.codecs import ULID, Epoch, Snowflake, UUIDv7
from sa_partman.spec.base import PartitionSpec

ODD_ZONES = (
    "America/Havana",
    "Atlantic/Azores",
    "America/Sao_Paulo",
    "Asia/Beirut",
    "Africa/Cairo",
    "Pacific/Apia",
    "Australia/Lord_Howe",
)
"""Zones whose clocks are turned at midnight, by half an hour, or by a whole day."""

ZONES = st.sampled_from([*ODD_ZONES, "UTC", "Europe/Paris", "America/New_York", "Asia/Kolkata", "Africa/Casablanca"])
UNITS = ("minute", "hour", "day", "week", "month", "quarter", "year")

INTERVALS = st.builds(
    lambda number, unit: Interval.parse(f"{number} {unit}"), st.integers(1, 25), st.sampled_from(UNITS)
)
WHOLE_DAYS = INTERVALS.filter(lambda interval: not interval.below_a_day)

NAIVE = st.datetimes(datetime(1980, 1, 1), datetime(2036, 12, 31))
INSTANTS = NAIVE.map(lambda moment: moment.replace(tzinfo=UTC))

KEEPS = st.sampled_from(["1 day", "36 hours", "10 days", "1 month", "1 quarter", "1 year 1 month 1 day"]) | st.integers(
    0, 5
)
RETENTIONS = st.builds(Retention, KEEPS, st.sampled_from(["detach", "drop"]))

CODECS = st.sampled_from(
    [UUIDv7(), ULID(), Epoch("s"), Epoch("ns"), Snowflake(1_288_834_974_657), Snowflake("2015-01-01", shift=20)]
)
WORDS = st.sampled_from(["id", "order", "createdAt", "a b", "it's", 'the "x"', "été", "back\\slash", "x" * 63])
NAMES = st.none() | st.sampled_from(["{table}_{suffix}", "p's {suffix}"])
_VALUES = st.text(alphabet="aAbB'\"\\é \n", max_size=5) | st.integers() | st.none() | st.booleans()

_STARTS = st.none() | st.dates() | NAIVE | INSTANTS | st.sampled_from(["2024-01-01", "2024-01-01T05:00:00+02:00"])

RANGES = st.builds(
    PartitionByRange,
    WORDS,
    interval=INTERVALS | st.integers(1, 10**12),
    premake=st.integers(0, 10),
    retention=st.none() | RETENTIONS | st.dictionaries(WORDS, RETENTIONS, max_size=2),
    start=_STARTS,
    default=st.booleans(),
    timezone=ZONES,
    codec=st.none() | CODECS,
    name=NAMES,
    unlogged=st.booleans(),
)
_TENANTED = st.builds(
    PartitionByRange, st.just("tenant"), WORDS, interval=INTERVALS, tenants=st.lists(st.text(max_size=4), unique=True)
)
LISTS = st.builds(
    PartitionByList,
    WORDS,
    values=st.lists(_VALUES, unique_by=str, max_size=4)
    | st.dictionaries(st.text(max_size=4), st.lists(st.uuids(), min_size=1, max_size=2, unique=True), max_size=3),
    default=st.booleans(),
    name=NAMES,
    unlogged=st.booleans(),
)
HASHES = st.builds(PartitionByHash, WORDS, WORDS, modulus=st.integers(1, 64), name=NAMES, unlogged=st.booleans())


def _above(below: st.SearchStrategy[PartitionSpec]) -> st.SearchStrategy[PartitionSpec]:
    levels: st.SearchStrategy[PartitionSpec] = RANGES | _TENANTED | LISTS | HASHES
    return st.builds(lambda level, under: level.with_(subpartition=under), levels, below)


DECLARATIONS: st.SearchStrategy[PartitionSpec] = st.recursive(RANGES | _TENANTED | LISTS | HASHES, _above, max_leaves=3)
"""Of one level or several."""
