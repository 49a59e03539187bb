"""List partitions: labels that are missing, half held, or no longer wanted."""

from __future__ import annotations

from sa_partman import PartitionByHash, PartitionByList
from sa_partman.finding import Severity
from tests.support.builders import Catalog, bounds, context, declare, holds, named

NOW = context("2026-01-15")
SPEC = PartitionByList("region", values={"eu": ["de", "fr"], "none": [None]})


def test_missing_labels() -> None:
    """In declared order, each with all its values."""
    plan = Catalog(declare(SPEC, region="text")).converge(NOW)

    assert ["events_eu", "events_none"] == named(plan)
    assert [holds("de", "fr"), holds(None)] == bounds(plan)


def test_another_name_and_another_order_are_the_same() -> None:
    """Values are compared, not labels."""
    catalog = Catalog(declare(SPEC, region="text"))
    catalog.add("europe", holds("fr", "de"))
    catalog.add("nothing", holds(None))

    assert not catalog.plan(NOW).steps
    assert not catalog.plan(NOW).findings


def test_half_a_label() -> None:
    """Not made, because it would overlap: rows of the other value fail, so it is an error; with a default a warning."""
    catalog = Catalog(declare(SPEC, region="text"))
    catalog.add("germany", holds("de"))
    before = catalog.plan(NOW)
    from sa_partman.bounds.bound import DEFAULT

    catalog.add("rest", DEFAULT)

    assert ["events_none"] == named(before)
    assert [Severity.ERROR] == [finding.severity for finding in before.findings]
    assert [Severity.WARNING] == [finding.severity for finding in catalog.plan(NOW).findings]


def test_values_asked_for() -> None:
    """What the run found; what is gone is kept and not touched below."""
    spec = PartitionByList("region", values=list, subpartition=PartitionByHash("id", modulus=2))
    catalog = Catalog(declare(spec, region="text"))
    catalog.converge(context("2026-01-15", tenants={0: (("de", ("de",)), ("fr", ("fr",)))}))
    gone = context("2026-01-15", tenants={0: (("fr", ("fr",)),)})
    catalog.relations.pop(catalog.declared.name.sibling("events_de_h0"))
    catalog.relations.pop(catalog.declared.name.sibling("events_fr_h0"))

    assert ["events_fr_h0"] == named(catalog.plan(gone))


def test_a_path_makes_a_branch() -> None:
    """And at the next run, without the path, it is left alone."""
    spec = PartitionByList(
        "region", subpartition=PartitionByList("kind", subpartition=PartitionByHash("id", modulus=2))
    )
    catalog = Catalog(declare(spec, region="text", kind="text"))
    catalog.converge(context("2026-01-15", paths=(("p1", "t1"), ("p1", "t2"), ("p2", "t1"))))
    leaves = [each.name.name for each in catalog.found().walk() if each.kind == "r"]

    assert [
        f"events_{branch}_h{remainder}" for branch in ("p1_t1", "p1_t2", "p2_t1") for remainder in (0, 1)
    ] == sorted(leaves)
    assert not catalog.plan(NOW).steps
    assert not catalog.plan(context("2026-01-15", paths=(("p1", "t1"),))).steps
