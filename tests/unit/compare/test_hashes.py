"""Hash partitions of one modulus or several."""

from __future__ import annotations

import pytest

from sa_partman import PartitionByHash
from sa_partman.bounds.bound import HashBound
from sa_partman.compare.lists import uncovered_remainders
from tests.support.builders import Catalog, bounds, context, declare

NOW = context("2026-01-15")


def test_all_at_once() -> None:
    """One a remainder."""
    plan = Catalog(declare(PartitionByHash("id", modulus=3))).converge(NOW)

    assert [HashBound(3, 0), HashBound(3, 1), HashBound(3, 2)] == bounds(plan)


def test_what_overlaps_is_not_made() -> None:
    """A coarser partition takes the remainders of the finer ones."""
    catalog = Catalog(declare(PartitionByHash("id", modulus=4)))
    catalog.add("half", HashBound(2, 0))
    plan = catalog.converge(NOW)

    assert [HashBound(4, 1), HashBound(4, 3)] == bounds(plan)
    assert ["modulus"] == [finding.code for finding in catalog.plan(NOW).findings]


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ((), ()),
        ((HashBound(2, 0), HashBound(2, 1)), ()),
        ((HashBound(2, 0), HashBound(4, 1), HashBound(4, 3)), ()),
        ((HashBound(2, 0),), (HashBound(2, 1),)),
        ((HashBound(2, 0), HashBound(8, 1)), (HashBound(8, 3), HashBound(8, 5), HashBound(8, 7))),
    ],
)
def test_uncovered_remainders(there: tuple[HashBound, ...], expected: tuple[HashBound, ...]) -> None:
    """By the least common modulus."""
    assert expected == uncovered_remainders(there)
