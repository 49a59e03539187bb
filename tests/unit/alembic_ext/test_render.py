"""Operations as Python: what is written runs, and makes the same operation again."""

from __future__ import annotations

from typing import Any

import pytest
from alembic.autogenerate.api import AutogenContext
from alembic.autogenerate.render import render_op_text
from alembic.operations import MigrateOperation
from alembic.runtime.migration import MigrationContext

import alembic_ext.operations  # noqa: F401
from alembic_ext import MINVALUE, ops, table_ops
from sa_partman import KeyExpression, PartitionByHash, PartitionByList, PartitionByRange, Snowflake
from sa_partman.bounds.bound import DEFAULT, HashBound, ListBound, RangeBound
from tests.support.bounds import HOSTILE_TEXTS

BY_TIME = PartitionByRange(
    "at", interval="1 month", codec=Snowflake(epoch=5), subpartition=PartitionByHash("id", modulus=2)
)
BY_TEXT = PartitionByList("k", values={"x": list(HOSTILE_TEXTS), "none": [None]})

OPERATIONS: list[MigrateOperation] = [
    ops.CreatePartitionOp("p", "t", ListBound(frozenset({"a", None}))),
    ops.CreatePartitionOp("p", "t", ListBound(frozenset(HOSTILE_TEXTS))),
    ops.CreatePartitionOp("p", "t", RangeBound((1, MINVALUE), (2, "x")), partition_by="HASH (id)", schema="s"),
    ops.CreatePartitionOp("p", "t", DEFAULT, unlogged=True, limit=5),
    ops.CreatePartitionOp("p", "t", HashBound(4, 0), partition_by=BY_TIME, partition_schema="other"),
    ops.DropPartitionOp("it's", 'a "t"', DEFAULT, rows_to_default=True),
    ops.AttachPartitionOp("p", "t", HashBound(4, 1)),
    ops.DetachPartitionOp("p", "t", None, concurrently=True),
    table_ops.ProvisionPartitionsOp("t", BY_TIME, schema="s"),
    table_ops.ProvisionPartitionsOp(
        "t", PartitionByRange(KeyExpression("date_trunc('day', at)", "timestamp"), interval="1 day")
    ),
    table_ops.RepartitionTableOp("t", BY_TEXT, existing=PartitionByList("k", values=["a"]), limit=7),
]


def rendered(operation: MigrateOperation) -> tuple[str, set[str]]:
    context = MigrationContext.configure(dialect_name="postgresql", opts={"alembic_module_prefix": "op."})
    autogenerate = AutogenContext(context, autogenerate=False)
    return render_op_text(autogenerate, operation), autogenerate.imports


class _Recorder:
    """Stands for ``op``: what is invoked is kept."""

    def __init__(self) -> None:
        self.invoked: list[MigrateOperation] = []

    def invoke(self, operation: MigrateOperation) -> None:
        self.invoked.append(operation)

    def __getattr__(self, name: str) -> Any:
        kind = {each.verb: each for each in _KINDS}[name]
        return lambda *arguments, **keywords: getattr(kind, name)(self, *arguments, **keywords)


_KINDS: tuple[Any, ...] = (
    ops.CreatePartitionOp,
    ops.DropPartitionOp,
    ops.AttachPartitionOp,
    ops.DetachPartitionOp,
    table_ops.ProvisionPartitionsOp,
    table_ops.RepartitionTableOp,
)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: type(operation).__name__)
def test_the_text_makes_the_same_operation(operation: MigrateOperation) -> None:
    text, imports = rendered(operation)
    recorder = _Recorder()
    space: dict[str, Any] = {"op": recorder}

    exec("\n".join(sorted(imports)), space)
    exec(text, space)

    assert [vars(operation)] == [vars(each) for each in recorder.invoked]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: type(operation).__name__)
def test_every_line_fits_a_file(operation: MigrateOperation) -> None:
    """Mako's printer looks at the end of a text, and Alembic indents every line of it."""
    text, _ = rendered(operation)

    assert text.endswith(")")
    assert all(line == line.rstrip() for line in text.splitlines())


def test_nothing_is_written_as_nothing() -> None:
    assert ("", set()) == rendered(ops.Nothing(ops.DetachPartitionOp("p", "t", None)))


@pytest.mark.parametrize("operation", [each for each in OPERATIONS if not isinstance(each, ops.DetachPartitionOp)])
def test_there_and_back_again(operation: MigrateOperation) -> None:
    once = operation.reverse()
    twice = once.reverse()

    assert type(operation) is type(twice)
    assert operation.to_diff_tuple() == twice.to_diff_tuple()


def test_no_way_back_without_a_bound() -> None:
    with pytest.raises(NotImplementedError, match="bound"):
        ops.DetachPartitionOp("p", "t", None).reverse()


def test_diff_tuples_name_the_operation() -> None:
    for operation in OPERATIONS:
        assert operation.to_diff_tuple()[0] == operation.verb  # type: ignore[attr-defined]
