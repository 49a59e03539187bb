"""Bounds of steps for people: instants in place of the values that a codec hides them in."""

from __future__ import annotations

from typing import Any

import pytest

from sa_partman import ULID, Epoch, PartitionByHash, PartitionByList, PartitionByRange, Retention, Snowflake, UUIDv7
from sa_partman.bounds.bound import Bound, RangeBound
from sa_partman.codecs.codec import Codec
from sa_partman.key import PartitionKey
from sa_partman.maintenance.results import sentence, step_dict
from sa_partman.plan.actions import AttachPartition
from sa_partman.plan.steps import Purpose, Step, readable
from sa_partman.spec.declared import DeclaredTable
from tests.support.builders import EVENTS, Catalog, context, declare, holds, numbers, span

NOW = context("2026-01-15")
HIDDEN: dict[str, tuple[Codec, str]] = {
    "uuid": (UUIDv7(), "uuid"),
    "ulid": (ULID(), "text"),
    "snowflake": (Snowflake(epoch="2015-01-01"), "bigint"),
    "epoch": (Epoch("ms"), "bigint"),
}


def lines(catalog: Catalog, now: str) -> list[str]:
    steps = catalog.plan(context(now)).steps
    return [sentence(readable(catalog.declared, each)) for each in steps]


@pytest.mark.parametrize("codec", HIDDEN)
def test_instants_are_shown_of_what_is_made_and_what_goes(codec: str) -> None:
    """A program gets the values as they are."""
    hidden, kind = HIDDEN[codec]
    spec = PartitionByRange("key", interval="1 month", premake=0, codec=hidden, retention=Retention(1, then="drop"))
    catalog = Catalog(declare(spec, key=kind))

    assert ["+ provision public.events_p20260101  [2026-01-01, 2026-02-01)"] == lines(catalog, "2026-01-15")
    (step,) = catalog.converge(NOW).steps
    assert "2026-02" in sentence(readable(catalog.declared, step))
    assert "2026-02" not in str(step_dict(readable(catalog.declared, step))["bound"])
    assert "- drop      public.events_p20260101  [2026-01-01, 2026-02-01)" in lines(catalog, "2026-06-15")


LEVELS = PartitionByRange(
    "key",
    interval="1 month",
    codec=UUIDv7(),
    subpartition=PartitionByRange("flake", interval="1 day", codec=Epoch("s")),
)


def step(declared: DeclaredTable, bound: Bound, key: PartitionKey) -> Step:
    name = EVENTS.sibling("p")
    return Step(Purpose.PROVISION, EVENTS, name, bound, (AttachPartition(EVENTS, name, bound, key),))


def test_each_level_by_its_own_codec() -> None:
    """The key of an action tells which one it is."""
    declared = declare(LEVELS, key="uuid", flake="bigint")
    below = declared.level.below
    assert below is not None
    seconds = numbers(1767225600, 1767312000)

    assert span("2026-01-01", "2026-01-02") == readable(declared, step(declared, seconds, below.key)).shown


@pytest.mark.parametrize(
    ("spec", "bound"),
    [
        (PartitionByRange("created_at", interval="1 month"), span("2026-01-01", "2026-02-01")),
        (PartitionByRange("id", interval=100), numbers(100, 200)),
        (PartitionByList("region", values=["de"]), holds("de")),
        (PartitionByHash("id", modulus=2), None),
        (PartitionByRange("id", interval="1 month", codec=Epoch("s")), None),
        (PartitionByRange("id", interval="1 month", codec=Epoch("s")), holds("de")),
    ],
)
def test_what_needs_no_translation_stays(spec: Any, bound: RangeBound | None) -> None:
    """Instants, numbers, values, and steps that have no bound."""
    declared = declare(spec, region="text")
    one = Step(Purpose.HEAL, EVENTS, EVENTS.sibling("p"), bound, ())

    assert one is readable(declared, one)
