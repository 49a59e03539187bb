"""Bounds, their text and their CHECK: what holds for all of them."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import example, given
from hypothesis import strategies as st

from sa_partman.bounds.bound import MAXVALUE, MINVALUE, Bound, KeyValue, ListBound, RangeBound, order_key, row_order
from sa_partman.bounds.predicate import check_predicate
from sa_partman.bounds.read import bound_of, parse_bound, printed_bound, tokens
from sa_partman.bounds.text import describe, for_values, literal, read_time, to_json, value_of, write_time
from sa_partman.key import Family, KeyType
from tests.support.bounds import TYPES, VALUES, as_printed, bounds, lists, ranges

INTEGER, TEXT = KeyType.of("integer"), KeyType.of("text")
Typed = tuple[Bound, tuple[KeyType, ...]]


@given(bounds())
def test_a_bound_survives_its_sql(typed: Typed) -> None:
    """What we write is what we would read: bound -> SQL -> bound is the identity."""
    bound, types = typed

    assert bound == parse_bound(for_values(bound, types), types)


@given(bounds())
def test_a_bound_survives_the_catalog(typed: Typed) -> None:
    """Bound -> what PostgreSQL prints -> bound is the identity, by the shortcut and by the grammar."""
    bound, types = typed
    text = as_printed(bound, types)

    assert (bound, bound) == (parse_bound(text, types), bound_of(text, types))


EDITS = st.lists(
    st.tuples(st.integers(0, 120), st.integers(0, 3), st.text("'(),.:-\\ 1eENaTOR\n", max_size=3)), max_size=3
)


@given(bounds(), EDITS)
@example((RangeBound(("a",), ("b",)), (TEXT,)), [(17, 3, "1.2.3")])
def test_the_shortcut_says_what_the_grammar_says(typed: Typed, edits: list[tuple[int, int, str]]) -> None:
    """However a text is damaged: where the shortcut has an answer, bound or refusal, the grammar has the same."""
    bound, types = typed
    text = as_printed(bound, types)
    for position, length, patch in edits:
        text = text[:position] + patch + text[position + length :]
    shortcut = outcome(printed_bound, text, types)

    assert shortcut in (None, outcome(bound_of, text, types))


Parser = Callable[[str, tuple[KeyType, ...]], Bound | None]


def outcome(parse: Parser, text: str, types: tuple[KeyType, ...]) -> Bound | str | None:
    try:
        return parse(text, types)
    except ValueError:
        return "refused"


@given(bounds())
@example((ListBound(frozenset({True, None})), (KeyType.of("boolean"),)))
@example((RangeBound((MINVALUE,), (MAXVALUE,)), (INTEGER,)))
def test_the_shortcut_takes_everything_that_postgresql_prints(typed: Typed) -> None:
    """Otherwise reading would be right and slow, and nobody would notice."""
    bound, types = typed
    text = as_printed(bound, types)

    assert (text == "DEFAULT") == (printed_bound(text, types) is None)


@given(TYPES.flatmap(lambda kind: st.tuples(st.just(kind), VALUES[kind])))
def test_a_value_survives_its_literal(typed: tuple[KeyType, KeyValue]) -> None:
    """Value -> literal -> value is the identity, and the value keeps its Python type."""
    kind, value = typed
    text = tokens(literal(value, kind))[0].text
    found = value_of(text.lower() if isinstance(value, bool) else text, kind)

    assert (value, type(value)) == (found, type(found))


@given(st.datetimes(), st.integers(-(15 * 3600 + 59), 15 * 3600 + 59))
def test_an_instant_is_the_same_in_every_offset(wall: datetime, seconds: int) -> None:
    """Whatever zone a session is in, the instant read is the instant stored."""
    zone = timezone(timedelta(seconds=seconds))
    sign, rest = "-" if seconds < 0 else "+", abs(seconds)
    offset = f"{sign}{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    read = read_time(wall.isoformat(sep=" ") + offset, Family.TIMESTAMPTZ)
    expected = read_time(write_time(wall.replace(tzinfo=zone), Family.TIMESTAMPTZ), Family.TIMESTAMPTZ)

    assert expected == read


TIMES = VALUES[KeyType.of("timestamp without time zone")]


@given(TIMES, TIMES)
def test_times_are_ordered_as_their_parts_are(first: KeyValue, second: KeyValue) -> None:
    """Near and far times alike sort by era, year, month, day and time of day."""
    timestamp = KeyType.of("timestamp without time zone")
    parts = [parts_of(literal(value, timestamp)) for value in (first, second)]

    assert (parts[0] < parts[1]) == (order_key(first) < order_key(second))


def parts_of(text: str) -> tuple[float, str]:
    body = text.removeprefix("'").partition("'")[0]
    if "infinity" in body:
        return float(body), ""
    year, _, rest = body.partition("-")
    return 1 - int(year) if body.endswith(" BC") else int(year), rest.removesuffix(" BC")


@given(bounds())
def test_a_description_is_one_printable_line(typed: Typed) -> None:
    """Whatever a list value holds, it can't break or disguise a line of output."""
    bound, _ = typed

    assert describe(bound).isprintable()


PAIRS = TYPES.flatmap(
    lambda kind: st.tuples(lists(kind), lists(kind)) | st.tuples(ranges([kind, INTEGER]), ranges([kind, INTEGER]))
)


@given(PAIRS)
def test_different_bounds_differ_in_json(pair: tuple[Bound, Bound]) -> None:
    """Nothing that tells two bounds of one key apart is lost."""
    first, second = pair

    assert first == second or to_json(first) != to_json(second)


SMALL = st.integers(0, 3)
SMALL_ROWS = st.tuples(SMALL, SMALL, SMALL)


def ends(*at_open: KeyValue) -> st.SearchStrategy[tuple[KeyValue, ...]]:
    """Three columns; what follows MINVALUE or MAXVALUE is its like, as PostgreSQL demands."""
    return st.builds(
        lambda row, length, end: (*row[:length], *[end] * (3 - length)),
        SMALL_ROWS,
        st.integers(0, 3),
        st.sampled_from(at_open),
    )


@given(ends(MINVALUE, MAXVALUE), ends(MINVALUE, MAXVALUE), SMALL_ROWS)
def test_the_predicate_of_a_range_holds_for_its_rows_and_no_others(
    lower: tuple[KeyValue, ...], upper: tuple[KeyValue, ...], row: tuple[int, int, int]
) -> None:
    """SQLite evaluates the CHECK; the order of rows says what it must be."""
    bound = RangeBound(lower, upper)
    if not row_order(lower) < row_order(upper):
        return
    predicate = check_predicate(bound, ["a", "b", "c"], [INTEGER] * 3)
    inside = row_order(lower) <= row_order(row) < row_order(upper)

    assert inside == evaluated(predicate, row)


@given(st.frozensets(SMALL | st.none(), min_size=1), st.none() | SMALL)
def test_the_predicate_of_a_list_holds_for_its_values_and_no_others(values: frozenset[int | None], value: int) -> None:
    """NULL too: a CHECK that is unknown would let the row pass."""
    predicate = check_predicate(ListBound(values), ["a"], [INTEGER])

    assert (value in values) == evaluated(predicate, (value, 0, 0))


def evaluated(predicate: str | None, row: tuple[int | None, ...]) -> bool | None:
    plain = re.sub(r"'(-?\d+)'::integer", r"\1", predicate or "")
    with sqlite3.connect(":memory:") as connection:
        (found,) = connection.execute(f"SELECT {plain} FROM (SELECT ? AS a, ? AS b, ? AS c)", row).fetchone()
    connection.close()
    return None if found is None else bool(found)


@given(st.datetimes(timezones=st.just(UTC)))
def test_midnight_and_no_other_time_is_shown_as_a_date(instant: datetime) -> None:
    """A description never hides a time of day."""
    shown = describe(RangeBound((instant,), (MAXVALUE,)))
    midnight = instant.replace(hour=0, minute=0, second=0, microsecond=0)

    assert (instant == midnight) == (shown == f"[{instant.date()}, MAXVALUE)")
