"""Operations as the Python of a migration file."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from enum import Enum
from textwrap import wrap
from typing import Any

from alembic.autogenerate import render as alembic_render

from alembic_ext import enums, indexes, ops, table_ops
from alembic_ext.literals import bound_arguments
from sa_partman.bounds.bound import Extreme
from sa_partman.compare.expired_rows import MOVED_AT_MOST
from sa_partman.spec.base import PartitionSpec

IMPORT = "import alembic_ext.operations  # noqa: F401"
_WIDTH = 100


def register() -> None:
    renderers: Any = alembic_render.renderers
    renderers.dispatch_for(ops.Nothing)(_nothing)
    renderers.dispatch_for(enums.AddEnumLabelsOp)(_add_labels)
    renderers.dispatch_for(enums.LabelsStayOp)(_labels_stay)
    renderers.dispatch_for(ops.CreatePartitionOp)(_create)
    renderers.dispatch_for(ops.DropPartitionOp)(_drop)
    renderers.dispatch_for(ops.AttachPartitionOp)(_attach)
    renderers.dispatch_for(ops.DetachPartitionOp)(_detach)
    renderers.dispatch_for(table_ops.ProvisionPartitionsOp)(_provision)
    renderers.dispatch_for(table_ops.RepartitionTableOp)(_repartition)
    renderers.dispatch_for(table_ops.PartitionTableOp)(_conversion)
    renderers.dispatch_for(table_ops.UnpartitionTableOp)(_conversion)
    renderers.dispatch_for(indexes.CreatePartitionedIndexOp)(_create_index)
    renderers.dispatch_for(indexes.DropPartitionedIndexOp)(_drop_index)


def _nothing(context: Any, operation: ops.Nothing) -> list[str]:
    return []


def _add_labels(context: Any, operation: enums.AddEnumLabelsOp) -> list[str]:
    statements = (enums.escaped(each) for each in operation.statements())
    # An empty line ends the block.
    return ["with op.get_context().autocommit_block():", *(f"op.execute({each!r})" for each in statements), ""]


def _labels_stay(context: Any, operation: enums.LabelsStayOp) -> str:
    added = operation.back
    return f"pass  # {added.name} keeps {', '.join(map(repr, added.added))}: PostgreSQL takes no label away"


def _create(context: Any, operation: ops.CreatePartitionOp) -> str:
    more = {"partition_by": operation.partition_by, "unlogged": operation.unlogged or None, "limit": _limit(operation)}
    return _partition(context, operation, more)


def _drop(context: Any, operation: ops.DropPartitionOp) -> str:
    more = {"rows_to_default": operation.rows_to_default or None, "limit": _limit(operation)}
    return _partition(context, operation, more)


def _attach(context: Any, operation: ops.AttachPartitionOp) -> str:
    return _partition(context, operation, {})


def _detach(context: Any, operation: ops.DetachPartitionOp) -> str:
    more = {
        "concurrently": operation.concurrently or None,
        "without_foreign_keys": operation.without_foreign_keys or None,
    }
    return _partition(context, operation, more)


def _provision(context: Any, operation: table_ops.ProvisionPartitionsOp) -> str:
    return _call(context, operation.verb, (operation.table, operation.declaration), {"schema": operation.schema})


def _repartition(context: Any, operation: table_ops.RepartitionTableOp) -> str:
    keywords = {"existing": operation.existing, "limit": _limit(operation), "schema": operation.schema}
    return _call(context, operation.verb, (operation.table, operation.declaration), keywords)


def _conversion(context: Any, operation: table_ops.ConversionOp) -> list[str]:
    call = _call(context, operation.verb, (operation.table, operation.declaration), operation.keywords)
    return [*(line for note in operation.notes for line in _comment(note)), call]


def _comment(text: str) -> list[str]:
    return wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)


def _create_index(context: Any, operation: indexes.CreatePartitionedIndexOp) -> str:
    return _as_ours(context, alembic_render._add_index(context, operation), "create_index", "create_partitioned_index")


def _drop_index(context: Any, operation: indexes.DropPartitionedIndexOp) -> str:
    return _as_ours(context, alembic_render._drop_index(context, operation), "drop_index", "drop_partitioned_index")


def _as_ours(context: Any, text: str, theirs: str, ours: str) -> str:
    """Alembic's own rendering of the same arguments, under our operation's name."""
    context.imports.add(IMPORT)
    return text.replace(f"{theirs}(", f"{ours}(", 1)


def _limit(operation: Any) -> int | None:
    return None if operation.limit == MOVED_AT_MOST else operation.limit


def _partition(context: Any, operation: ops.PartitionOp, more: Mapping[str, Any]) -> str:
    bound = {} if operation.bound is None else bound_arguments(operation.bound)
    return _call(context, operation.verb, (operation.name, operation.parent), {**bound, **more, **operation.names})


def _call(context: Any, verb: str, positional: tuple[Any, ...], keywords: Mapping[str, Any]) -> str:
    """``op.verb(...)``; keywords that are None are left out. No call of ours means anything by a None."""
    context.imports.add(IMPORT)
    for value in (*positional, *keywords.values()):
        context.imports.update(imports_of(value))
    written = [repr(value) for value in positional]
    written += [f"{key}={value!r}" for key, value in keywords.items() if value is not None]
    prefix = context.opts.get("alembic_module_prefix") or ""
    line = f"{prefix}{verb}({', '.join(written)})"
    if len(line) <= _WIDTH:
        return line
    return f"{prefix}{verb}(\n" + "".join(f"    {each},\n" for each in written) + ")"


def imports_of(value: Any) -> Iterator[str]:
    """The import lines that the ``repr()`` of *value* needs."""
    if isinstance(value, PartitionSpec):
        yield _import(type(value))
        for item in value.key:
            yield from imports_of(item)
        for _, argument in value.arguments().keywords:
            yield from imports_of(argument)
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from imports_of(each)
    elif isinstance(value, tuple | list):
        for each in value:
            yield from imports_of(each)
    elif isinstance(value, Extreme):
        yield f"from {'alembic_ext' if value.unbounded else 'sa_partman.bounds.values'} import {value.name}"
    elif not isinstance(value, _LITERAL):
        yield _import(type(value))


_LITERAL = (str, int, float, bool, bytes, type(None))


def _import(kind: type) -> str:
    name = kind.__qualname__.partition(".")[0]
    if kind.__module__ == "datetime":
        return "import datetime"
    if issubclass(kind, Enum):
        return f"from {kind.__module__} import {name}"
    module = "sa_partman" if getattr(sys.modules["sa_partman"], name, None) is kind else kind.__module__
    return f"from {module} import {name}"
