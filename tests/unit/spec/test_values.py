"""Declarations are values: immutable, comparable, printed as Python."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import column, select
from sqlalchemy import table as sa_table

from sa_partman import (
    ULID,
    Epoch,
    KeyExpression,
    PartitionByHash,
    PartitionByList,
    PartitionByRange,
    Retention,
    Snowflake,
)
from sa_partman.spec.base import PartitionSpec, quote_if_needed
from sa_partman.spec.range_spec import retention_of
from tests.support.builders import declare


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (PartitionByRange("at", interval="1 month"), "PartitionByRange('at', interval='1 month')"),
        (PartitionByRange("at", interval=timedelta(days=7)), "PartitionByRange('at', interval='1 week')"),
        (
            PartitionByRange("at", interval="1 day", premake=3, retention=Retention("14 months", then="drop")),
            "PartitionByRange('at', interval='1 day', premake=3, retention=Retention('1 year 2 months', then='drop'))",
        ),
        (
            PartitionByRange("at", interval="1 day", start=datetime(2024, 1, 1, tzinfo=UTC), timezone="Europe/Paris"),
            "PartitionByRange('at', interval='1 day', start='2024-01-01T00:00:00+00:00', timezone='Europe/Paris')",
        ),
        (
            PartitionByRange("id", interval=100, codec=None, start=0),
            "PartitionByRange('id', interval=100, start=0)",
        ),
        (
            PartitionByRange("id", interval="1 day", codec=Snowflake("2015-01-01")),
            "PartitionByRange('id', interval='1 day', codec=Snowflake(epoch=1420070400000, shift=22))",
        ),
        (
            PartitionByRange("t", "at", interval="1 month", tenants=["a"]),
            "PartitionByRange('t', 'at', interval='1 month', tenants=('a',))",
        ),
        (
            PartitionByList("k", values={"eu": ["de", None]}, default=True),
            "PartitionByList('k', values={'eu': ['de', None]}, default=True)",
        ),
        (
            PartitionByHash("a", "b", modulus=8, subpartition=PartitionByHash("c", modulus=2)),
            "PartitionByHash('a', 'b', modulus=8, subpartition=PartitionByHash('c', modulus=2))",
        ),
        (
            PartitionByRange(KeyExpression("lower(x)", "text"), interval="1 day", codec=Epoch("s")),
            "PartitionByRange(KeyExpression(sql='lower(x)', type='text'), interval='1 day', codec=Epoch(unit='s'))",
        ),
    ],
)
def test_repr(spec: PartitionSpec, text: str) -> None:
    """The Python that makes it again; what has its default is left out."""
    assert text == repr(spec)


def test_what_can_not_be_written_as_python_is_named_without_an_address() -> None:
    """A select() by its SQL, a callable by its name, an object by its class: the same in every process."""

    class Hidden(ULID):
        __repr__ = object.__repr__

    def values() -> list[str]:
        raise AssertionError("it is not asked")

    asked: Any = select(column("id")).select_from(sa_table("tenants"))
    spec = PartitionByRange("t", "at", interval="1 day", tenants=asked, codec=Hidden())

    said = repr(spec)
    assert "tenants=<SELECT id FROM tenants>" in said
    assert "Hidden object>" in said
    assert " at 0x" not in said
    assert "values=<function test_what" in repr(PartitionByList("k", values=values))


def test_a_declaration_can_not_be_changed() -> None:
    """It is shared by tables, copies and migrations."""
    spec = PartitionByList("k", values={"eu": ["de"]})

    with pytest.raises(AttributeError):
        spec.name = "x"  # type: ignore[misc]
    with pytest.raises(TypeError, match="immutable"):
        spec.values.argument["us"] = ("us",)


def test_what_is_told_apart() -> None:
    """Any argument; the strategy too."""
    spec = PartitionByRange("at", interval="1 month")
    others = [
        spec.with_(interval="2 months"),
        spec.with_(premake=1),
        spec.with_(retention=Retention("1 year")),
        spec.with_(start="2024-01-01"),
        spec.with_(default=True),
        spec.with_(timezone="Europe/Paris"),
        spec.with_(name="{suffix}"),
        spec.with_(unlogged=True),
        spec.with_(subpartition=PartitionByHash("id", modulus=2)),
        PartitionByRange("id", interval="1 month"),
        PartitionByHash("at", modulus=2),
    ]

    assert 12 == len({spec, *others})
    assert all(spec != other for other in others)
    assert PartitionByHash("at", modulus=2) != PartitionByHash("at", modulus=3)
    assert PartitionByList("k", values=["a"]) != PartitionByList("k", values=["b"])


def test_the_same_interval_in_other_words() -> None:
    """24 hours are a day, 12 months a year."""
    assert PartitionByRange("at", interval="24 hours") == PartitionByRange("at", interval="1 day")
    assert PartitionByRange("at", interval="12 months") == PartitionByRange("at", interval="1 year")
    assert Retention("14 months") == Retention("1 year 2 months")


def test_the_structural_part() -> None:
    """What a migration holds: no retention, nothing that is asked for at run time."""
    spec = PartitionByRange(
        "t",
        "at",
        interval="1 month",
        tenants=lambda: ["a"],
        retention=lambda _: None,
        subpartition=PartitionByList("k", values=lambda: ["x"]),
    )
    expected = PartitionByRange("t", "at", interval="1 month", tenants=(), subpartition=PartitionByList("k", values=()))

    assert expected == spec.structural()
    assert ("k",) == spec.structural().subpartition.key  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("identifier", "written"),
    [
        ("at", "at"),
        ("At", '"At"'),
        ("order", '"order"'),
        ("a b", '"a b"'),
        ("1a", '"1a"'),
        ("é", '"é"'),
        ("a_1", "a_1"),
    ],
)
def test_partition_by_quotes_what_it_must(identifier: str, written: str) -> None:
    """And nothing else, so that migrations read well."""
    assert written == quote_if_needed(identifier)


def test_partition_by_with_an_expression() -> None:
    """In parentheses of its own."""
    spec = PartitionByRange(KeyExpression("date_trunc('day', at)", "timestamp"), "id", interval="1 day")

    assert "RANGE ((date_trunc('day', at)), id)" == spec.partition_by()


def test_partition_by_with_database_names() -> None:
    """Where the key of a column is not its name."""
    assert 'RANGE ("TS key")' == PartitionByRange("at", interval="1 day").partition_by({"at": "TS key"})


@pytest.mark.parametrize(
    ("tenant", "expected"), [("a", Retention("1 year")), (5, Retention("2 years")), ("other", None)]
)
def test_retention_of_a_tenant_in_a_mapping(tenant: object, expected: Retention | None) -> None:
    """By its value, or its text; what is not there is kept for ever."""
    rule = {"a": Retention("1 year"), "5": Retention("2 years")}

    assert expected == retention_of(rule, tenant)


def test_a_retention_that_fails() -> None:
    """The error names the tenant, and is one of ours."""
    from sa_partman.errors import DeclarationError

    def broken(tenant: object) -> Retention:
        raise KeyError(tenant)

    with pytest.raises(DeclarationError, match="failed for the tenant 't9'"):
        retention_of(broken, "t9")


def test_a_retention_that_is_none() -> None:
    """Text is none yet, and nobody guesses what to do with it."""
    from sa_partman.errors import DeclarationError

    with pytest.raises(DeclarationError, match="gave '1 month' for the tenant 't9'; return a Retention"):
        retention_of(lambda _: "1 month", "t9")  # type: ignore[arg-type]


def test_values_of_a_list_keep_their_labels() -> None:
    """In declared order; a list labels each value by itself."""
    by_label = PartitionByList("k", values={"b": ["x"], "a": [None]}).values.labelled
    by_value = PartitionByList("k", values=["x", None, 5, date(2024, 1, 1), UUID(int=1)]).values.labelled

    assert (("b", ("x",)), ("a", (None,))) == by_label
    assert ["x", "null", "5"] == [label for label, _ in by_value[:3]]


def test_depths() -> None:
    """Levels from the top down, each with its key."""
    spec = PartitionByHash("id", modulus=2, subpartition=PartitionByRange("created_at", interval="1 day"))

    assert [(0, ("id",)), (1, ("created_at",))] == [
        (level.depth, level.key.columns) for level in declare(spec).levels()
    ]
