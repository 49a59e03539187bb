"""Thousands of partitions on one screen, without what must not be missed being left out."""

from dataclasses import replace
from itertools import pairwise

import pytest

from sa_partman.checks.status import PartitionStatus, State
from sa_partman.observe.map import ALL, HEAD, MOST_ROWS, NOTABLE, TAIL, Folded, shown
from sa_partman.observe.text import plain
from tests.unit.observe.test_status_views import days, divided, table


def folds(partitions: list[PartitionStatus]) -> list[str]:
    return [str(each) for each in shown(partitions) if isinstance(each, Folded)]


def visible(partitions: list[PartitionStatus]) -> list[PartitionStatus]:
    return [partitions[place] for place in shown(partitions) if not isinstance(place, Folded)]


def test_few_are_all_shown() -> None:
    assert tuple(range(MOST_ROWS)) == shown(days(MOST_ROWS))


def test_of_many_the_first_and_the_last_are_shown_and_the_others_counted() -> None:
    many = days(4000)
    places = shown(many)

    assert (0, 3999) == (places[0], places[-1])
    assert [f"... {4000 - HEAD - TAIL:,} more: {4000 - HEAD - TAIL:,} kept"] == folds(many)


def test_all_are_shown_on_request() -> None:
    many = days(4000)

    assert tuple(range(4000)) == shown(many, everything=True)
    assert plain([table(*many)], everything=True).count("events_") == 4000
    assert ALL not in plain([table(*many)], everything=True)
    assert ALL in plain([table(*many)])


@pytest.mark.parametrize("place", [300, 1000, 3500])
def test_anomalies_stay_visible(place: int) -> None:
    """In the middle of thousands: a pending detach, either side of a gap, the current one, the ends of the expired."""
    pending = days(4000)
    pending[place] = replace(pending[place], state=State.PENDING)
    assert pending[place] in visible(pending)

    gap = [*days(place), *days(4000 - place, first=place + 3)]
    assert {gap[place - 1], gap[place]} <= set(visible(gap))

    current = [*days(place), *days(1, State.CURRENT, place), *days(4000 - place, State.AHEAD, place + 1)]
    assert {*current[place - 1 : place + 2]} <= set(visible(current))

    expired = [*days(place, State.EXPIRED), *days(4000 - place, first=place)]
    assert {*expired[place - 1 : place + 1]} <= set(visible(expired))


def test_what_is_wrong_in_a_branch_is_shown_below_its_parent() -> None:
    """A pending detach of one of 500 branches."""
    branches = [each for number in range(500) for each in divided(f"t{number}", *days(3, depth=2))]
    place = 250 * 4 + 2
    branches[place] = replace(branches[place], state=State.PENDING)

    assert {branches[250 * 4], branches[place]} <= set(visible(branches))


def test_more_that_is_wrong_than_fits_is_counted() -> None:
    """Every other one of 2,000 is missing."""
    holes = [each for number in range(1000) for each in days(1, first=2 * number)]

    assert len(visible(holes)) <= HEAD + TAIL + NOTABLE
    counted = sum(each.gaps for each in shown(holes) if isinstance(each, Folded))
    side_by_side = [pair for pair in pairwise(shown(holes)) if not any(isinstance(each, Folded) for each in pair)]
    assert 999 == counted + len(side_by_side)
    assert any("gaps" in each for each in folds(holes))


def test_sub_partitions_are_folded_before_partitions() -> None:
    many = divided("eu", *days(MOST_ROWS, depth=2))

    assert [many[0]] == visible(many)
    assert [f"  ... {MOST_ROWS} more: {MOST_ROWS} kept"] == folds(many)
