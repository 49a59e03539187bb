"""A declaration is a value: its text is the Python that makes it again."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from hypothesis import given

import sa_partman
from sa_partman.bounds.interval import Duration
from sa_partman.spec.base import PartitionSpec
from tests.support.strategies import DECLARATIONS, RETENTIONS

NAMES = {**vars(sa_partman), "UUID": UUID, "date": date, "datetime": datetime, "UTC": UTC, "timedelta": timedelta}


def evaluated(text: str) -> object:
    return eval(text, NAMES)


@given(spec=DECLARATIONS)
def test_repr_and_eval_are_the_identity(spec: PartitionSpec) -> None:
    """What a migration file holds, is the declaration."""
    again = evaluated(repr(spec))

    assert spec == again
    assert type(spec) is type(again)
    assert hash(spec) == hash(again)
    assert repr(spec) == repr(again)


@given(spec=DECLARATIONS)
def test_the_structural_part_is_a_declaration_of_its_own(spec: PartitionSpec) -> None:
    """Taking it twice changes nothing, it evaluates, and it partitions the same way."""
    structural = spec.structural()

    assert structural == structural.structural() == evaluated(repr(structural))
    assert [level.partition_by() for level in spec.levels()] == [level.partition_by() for level in structural.levels()]


@given(spec=DECLARATIONS)
def test_copies_are_equal(spec: PartitionSpec) -> None:
    """``to_metadata()`` and pickle rely on it."""
    assert spec == copy.copy(spec) == copy.deepcopy(spec) == pickle.loads(pickle.dumps(spec))


@given(spec=DECLARATIONS)
def test_the_same_arguments_make_the_same(spec: PartitionSpec) -> None:
    """``with_()`` changes what it is told and nothing else."""
    assert spec == spec.with_()
    assert "other" == spec.with_(name="other").name


@given(retention=RETENTIONS)
def test_retention_and_its_text(retention: sa_partman.Retention) -> None:
    """As the declaration around it."""
    assert retention == evaluated(repr(retention))
    assert isinstance(retention.keep, int | Duration)
