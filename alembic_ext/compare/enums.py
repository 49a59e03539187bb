"""Labels of enums that declared partitions need and the database lacks: added before everything else."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from alembic.operations.ops import MigrateOperation, UpgradeOps
from sqlalchemy import Connection, Table

from alembic_ext import ops, table_ops
from alembic_ext.enums import AddEnumLabelsOp
from alembic_ext.literals import plain_literal
from sa_partman.names import QualifiedName
from sa_partman.orm.registry import enum_of, spec_of
from sa_partman.postgres.migrations import enums_of
from sa_partman.spec.list_spec import ListSpec

log = logging.getLogger(__name__)

_MAKING = (ops.CreatePartitionOp, table_ops.ProvisionPartitionsOp, table_ops.RepartitionTableOp)


@dataclass
class _Needed:
    """An enum of the models: its labels, and those that partitions are declared for."""

    labels: tuple[str, ...]
    values: set[str] = field(default_factory=set)


def add_labels(connection: Connection, tables: Iterable[Table], upgrade_ops: UpgradeOps) -> None:
    """
    Where a partition of this revision needs labels that are new, they come first, in a block of their own.

    What another comparator wrote for the same enum goes: it would run in the transaction that needs them, and its way
    back changes the type of a partition key, which PostgreSQL refuses.
    """
    needed = _needed(tables) if any(isinstance(each, _MAKING) for each in upgrade_ops.ops) else {}
    if not needed:
        return
    names = list(needed)
    for place, schema, found in enums_of(connection, [name.quoted for name in names]):
        wanted = needed[names[place]]
        if wanted.values <= set(found):
            continue
        kind = QualifiedName(schema, names[place].name)
        if not set(found) <= set(wanted.labels):
            log.warning(
                "%s loses or renames labels, and partitions need its new ones: write the change of the type in a "
                "revision of its own, before this one",
                kind,
            )
            continue
        operation = AddEnumLabelsOp(kind, wanted.labels, found)
        upgrade_ops.ops[:] = [operation, *(each for each in upgrade_ops.ops if not _is_about(each, kind))]
        log.warning(
            "%s of %s: new, and partitions need it, which PostgreSQL allows only when it is committed. The revision "
            "adds it first, in an autocommit block, which commits what was done before; a downgrade leaves it there",
            ", ".join(map(repr, operation.added)),
            kind,
        )


def _needed(tables: Iterable[Table]) -> dict[QualifiedName, _Needed]:
    needed: dict[QualifiedName, _Needed] = {}
    for table in tables:
        for column, values in _listed(table):
            enum = enum_of(table.columns[column])
            if enum is not None and enum.name is not None:
                wanted = needed.setdefault(QualifiedName(enum.schema, enum.name), _Needed(tuple(enum.enums)))
                wanted.values.update(values)
    return needed


def _listed(table: Table) -> Iterator[tuple[str, set[str]]]:
    """The column of each level of lists, with the values that are declared for it."""
    spec = spec_of(table)
    for level in () if spec is None else spec.levels():
        if isinstance(level, ListSpec) and level.values.literal and isinstance(level.key[0], str):
            values = (plain_literal(value) for _, each in level.values.labelled for value in each)
            yield level.key[0], {str(value) for value in values if value is not None}


def _is_about(operation: MigrateOperation, kind: QualifiedName) -> bool:
    """Whether it sets the labels of *kind*, as the operations of alembic-postgresql-enum do."""
    said = (getattr(operation, each, None) for each in ("schema", "name", "old_values", "new_values"))
    schema, name, before, after = said
    return (schema, name) == (kind.schema, kind.name) and before is not None and after is not None
