"""Key types with values that are hard to print, read and quote; and how PostgreSQL prints a bound."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, timedelta

from hypothesis import strategies as st

from sa_partman.bounds.bound import (
    DEFAULT,
    INFINITY,
    MAXVALUE,
    MINVALUE,
    NAN,
    NEGATIVE_INFINITY,
    Bound,
    HashBound,
    KeyValue,
    ListBound,
    RangeBound,
    order_key,
)
from sa_partman.bounds.read import TokenKind, tokens
from sa_partman.bounds.text import in_order, literal, value_of
from sa_partman.key import Family, KeyType

HOSTILE_TEXTS = (
    "",
    " ",
    "NULL",
    "null",
    "it's",
    "''",
    "back\\slash",
    "ends with \\",
    "\\'",
    "a, b)'c",
    "'); DROP TABLE events; --",
    "FOR VALUES IN (1)",
    "MINVALUE",
    "DEFAULT",
    "E'x'",
    "'x'::text",
    '"double"',
    "two\nlines",
    "carriage\r\nreturn",
    "tab\there",
    "%s %(name)s %%",
    ":name",
    "$$dollar$$ $1",
    "ünïcödé",
    "日本語",
    "😀",
    "e\u0301",
    "\u200f\u00a0\ufeff",
    "{a,b}",
    "-- comment /* */",
    "x" * 1000,
)
"""What reliability.md's cases of text and permissions found, and their like."""

_EVIL = st.text(alphabet="'\\\"(), \n%:${}NULae1-", max_size=12)
_ANY = st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
TEXTS = st.sampled_from(HOSTILE_TEXTS) | _EVIL | _ANY

ENUM_LABELS = tuple(sorted(("de", "it's", "back\\slash", "a, b)", "NULL", " ", "ünï", '"q"')))
ENUM = KeyType.of('public."My Enum"', is_enum=True)

_FAR_YEARS = st.integers(10_000, 294_275) | st.integers(-4_711, 0)


def _far(kind: KeyType) -> st.SearchStrategy[KeyValue]:
    def build(year: int, month: int, day: int, second: int) -> KeyValue:
        digits, era = (f"{year:04}", "") if year > 0 else (f"{1 - year:04}", " BC")
        clock = "" if kind.family is Family.DATE else f" {timedelta(seconds=second)!s:0>8}"
        offset = "+00" if kind.family is Family.TIMESTAMPTZ else ""
        return value_of(f"{digits}-{month:02}-{day:02}{clock}{offset}{era}", kind)

    return st.builds(build, _FAR_YEARS, st.integers(1, 12), st.integers(1, 28), st.integers(0, 86_399))


def _timely(sql: str, near: st.SearchStrategy[date]) -> st.SearchStrategy[KeyValue]:
    return near | st.sampled_from([INFINITY, NEGATIVE_INFINITY]) | _far(KeyType.of(sql))


def _integers(bits: int) -> st.SearchStrategy[KeyValue]:
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


_DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, places=3) | st.decimals(
    min_value=-(10**30), max_value=10**30, allow_nan=False, allow_infinity=False
).filter(lambda value: value == 0 or value.adjusted() > -100)

VALUES: dict[KeyType, st.SearchStrategy[KeyValue]] = {
    KeyType.of("date"): _timely("date", st.dates()),
    KeyType.of("timestamp without time zone"): _timely("timestamp", st.datetimes()),
    KeyType.of("timestamp with time zone"): _timely("timestamptz", st.datetimes(timezones=st.just(UTC))),
    KeyType.of("smallint"): _integers(16),
    KeyType.of("integer"): _integers(32),
    KeyType.of("bigint"): _integers(64),
    KeyType.of("numeric"): _DECIMALS | st.sampled_from([NAN, INFINITY, NEGATIVE_INFINITY]),
    KeyType.of("uuid"): st.uuids(),
    KeyType.of("text"): TEXTS,
    KeyType.of("character varying"): TEXTS,
    KeyType.of("boolean"): st.booleans(),
    ENUM: st.sampled_from(ENUM_LABELS),
}
"""For each type that has a family of its own, values that PostgreSQL can store."""

TYPES = st.sampled_from(list(VALUES))


def lists(kind: KeyType) -> st.SearchStrategy[ListBound]:
    return st.frozensets(VALUES[kind] | st.none(), min_size=1, max_size=6).map(ListBound)


def ranges(types: Sequence[KeyType]) -> st.SearchStrategy[RangeBound]:
    """Of any ends: PostgreSQL would refuse an empty range, reading and writing need not care."""
    end = st.tuples(*(VALUES[kind] | st.sampled_from([MINVALUE, MAXVALUE]) for kind in types))
    return st.builds(RangeBound, end, end)


@st.composite
def bounds(draw: st.DrawFn) -> tuple[Bound, tuple[KeyType, ...]]:
    """A bound of any strategy, with the types of its key."""
    types = tuple(draw(st.lists(TYPES, min_size=1, max_size=3)))
    hashes = st.builds(lambda rest, more: HashBound(rest + more, rest), st.integers(0, 1000), st.integers(1, 1000))
    if draw(st.booleans()):
        return draw(ranges(types)), types
    return draw(lists(types[0]) | hashes | st.just(DEFAULT)), types[:1]


def as_printed(bound: Bound, types: Sequence[KeyType]) -> str:
    """*bound* as ``pg_get_expr`` prints it: no casts, no E strings, numbers quoted or not by rules of their own."""
    match bound:
        case RangeBound():
            ends = [
                ", ".join(_constant(value, kind) for value, kind in zip(end, types, strict=True))
                for end in (bound.lower, bound.upper)
            ]
            return f"FOR VALUES FROM ({ends[0]}) TO ({ends[1]})"
        case ListBound():
            return f"FOR VALUES IN ({', '.join(_constant(value, types[0]) for value in in_order(bound.values))})"
        case HashBound():
            return f"FOR VALUES WITH (modulus {bound.modulus}, remainder {bound.remainder})"
    return "DEFAULT"


def _constant(value: KeyValue, kind: KeyType) -> str:
    token = tokens(literal(value, kind))[0]
    if token.kind is TokenKind.WORD:
        return token.text.lower() if isinstance(value, bool) else token.text
    fraction = kind.family is Family.NUMERIC and token.text[0].isdigit() and "." in token.text
    bare = fraction or (kind.sql == "integer" and token.text.isdigit())
    return token.text if bare else "'{}'".format(token.text.replace("'", "''"))


def ascending(found: Iterable[KeyValue]) -> list[KeyValue]:
    """Each value once, the smallest first; texts by code point, as in the collation "C"."""
    return sorted(set(found), key=order_key)
