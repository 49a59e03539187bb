"""
The order of operations on several tables, as foreign keys allow it; a downgrade is the same list from its end.

A table that becomes partitioned, or is divided anew, can be referred to by its new key only afterwards, and one that
becomes plain only before: keys, and new tables with keys, come behind the one and go before the other.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeGuard

from alembic.operations.ops import (
    CreateForeignKeyOp,
    CreateTableOp,
    DropConstraintOp,
    DropTableOp,
    MigrateOperation,
    ModifyTableOps,
    UpgradeOps,
)
from sqlalchemy import ForeignKeyConstraint, Table

from alembic_ext.compare.catalog import Catalog, Key, referred_table
from alembic_ext.ops import DetachPartitionOp, Nothing
from alembic_ext.table_ops import PartitionTableOp, RepartitionTableOp, UnpartitionTableOp
from sa_partman.orm.registry import PARTITION_BY
from sa_partman.plan.families import by_reference

Difference = tuple[Key, MigrateOperation]
"""An operation of ours, behind the table that it is about."""


@dataclass(frozen=True, slots=True)
class Order:
    """
    Args:
        refers: What each table refers to: in the models, or by a key that only the database has, to a partitioned one.
        default: The default schema, which a model need not name.
    """

    refers: Mapping[Key, Collection[Key]]
    default: str | None

    @classmethod
    def of(cls, tables: Collection[Table], catalog: Catalog, default: str | None) -> Order:
        refers: dict[Key, set[Key]] = {}
        order = cls(refers, default)
        for table in tables:
            found = refers.setdefault(order.key(table.schema, table.name), set())
            found.update(order.referred(table.foreign_key_constraints))
        for (schema, name), keys in catalog.real_keys.items():
            found = refers.setdefault(order.key(schema, name), set())
            found.update(order.key(each.row["schema"], each.row["table"]) for each in keys)
        return order

    def key(self, schema: str | None, name: str) -> Key:
        return (None if schema == self.default else schema, name)

    def referred(self, items: Iterable[object]) -> Iterator[Key]:
        """What the foreign keys among *items* refer to."""
        for each in items:
            if isinstance(each, ForeignKeyConstraint) and each.elements:
                yield self.key(*referred_table(each))

    def ours(self, differences: Collection[Difference]) -> Iterator[MigrateOperation]:
        """
        What is made, or converted, of referenced tables first; then what is taken out, of referring ones first.

        A partition that is taken out while one of the table that it refers to is, too, leaves its key behind: that
        would keep the other's rows there.
        """
        tables = by_reference(dict.fromkeys(key for key, _ in differences), self.refers)
        out = {key for key, each in differences if isinstance(each, DetachPartitionOp)}
        for table in tables:
            yield from (each for key, each in differences if key == table and not isinstance(each, DetachPartitionOp))
        for table in reversed(tables):
            for key, each in differences:
                if key == table and isinstance(each, DetachPartitionOp):
                    referred = set(self.refers.get(table, ())) - {table}
                    each.without_foreign_keys = not referred.isdisjoint(out)
                    yield each

    def arrange(self, upgrade_ops: UpgradeOps, ours: Collection[MigrateOperation]) -> None:
        """Puts *ours*, which are in order, among Alembic's own."""
        plain = [each for each in ours if isinstance(each, UnpartitionTableOp)]
        changed = [each for each in ours if not isinstance(each, UnpartitionTableOp)]
        anew = [each for each in changed if isinstance(each, PartitionTableOp | RepartitionTableOp)]
        before = {self.key(each.schema, each.table) for each in plain}
        # Alembic drops tables in an order by chance.
        before |= {self.key(each.schema, each.table_name) for each in upgrade_ops.ops if _is_partitioned(each)}
        early, theirs = self._taken(upgrade_ops.ops, before, leaving=True)
        late, theirs = self._taken(theirs, {self.key(each.schema, each.table) for each in anew}, leaving=False)
        # What a plain table allows and a partitioned one does not comes while the table is plain.
        upgrade_ops.ops[:] = [*early, *plain, *theirs, *changed, *late]

    def _taken(
        self, operations: Collection[MigrateOperation], tables: set[Key], *, leaving: bool
    ) -> tuple[list[MigrateOperation], list[MigrateOperation]]:
        """
        Of *operations* those that make, or if *leaving* drop, what refers to *tables*, with all that hangs on it; and
        the rest.
        """
        refers: Callable[[MigrateOperation], Collection[Key]] = self._gone if leaving else self._new
        whole: dict[Key, set[Key]] = {}
        while True:
            more = {
                self.key(each.schema, each.table_name): set(refers(each))
                for each in operations
                if isinstance(each, CreateTableOp | DropTableOp) and not tables.union(whole).isdisjoint(refers(each))
            }
            if more.keys() <= whole.keys():
                break
            whole |= more
        keys: list[MigrateOperation] = []
        hanging: dict[Key, list[MigrateOperation]] = {key: [] for key in whole}
        rest: list[MigrateOperation] = []
        for key, unit in self._units(operations):
            if key in hanging:
                hanging[key] += unit
            elif isinstance(unit[0], ModifyTableOps):
                each = unit[0]
                parts = [part for part in each.ops if not tables.union(whole).isdisjoint(refers(part))]
                others = [part for part in each.ops if part not in parts]
                keys += [ModifyTableOps(each.table_name, parts, schema=each.schema)] if parts else []
                rest += [ModifyTableOps(each.table_name, others, schema=each.schema)] if others else []
            else:
                rest += unit
        order = by_reference(whole, whole)
        if leaving:
            return [*keys, *(each for key in reversed(order) for each in hanging[key])], rest
        return [*(each for key in order for each in hanging[key]), *keys], rest

    def _units(self, operations: Iterable[MigrateOperation]) -> Iterator[tuple[Key | None, list[MigrateOperation]]]:
        """Each operation behind its table; partitions that a table takes along stay before its drop."""
        along: list[MigrateOperation] = []
        for each in operations:
            along.append(each)
            if not isinstance(each, Nothing):
                name = getattr(each, "table_name", None) or getattr(each, "table", None)
                yield (None if name is None else self.key(getattr(each, "schema", None), str(name))), along
                along = []
        if along:
            yield None, along

    def _new(self, operation: MigrateOperation) -> Collection[Key]:
        """What the keys refer to that *operation* makes."""
        if isinstance(operation, CreateTableOp):
            return tuple(self.referred(operation.columns))
        if isinstance(operation, CreateForeignKeyOp):
            return (self.key(operation.kw.get("referent_schema"), operation.referent_table),)
        return ()

    def _gone(self, operation: MigrateOperation) -> Collection[Key]:
        """What the keys refer to that *operation* drops."""
        if isinstance(operation, DropTableOp | DropConstraintOp) and operation._reverse is not None:
            return self._new(operation._reverse)
        return ()


def _is_partitioned(operation: MigrateOperation) -> TypeGuard[DropTableOp]:
    """Whether it drops a partitioned table."""
    return isinstance(operation, DropTableOp) and PARTITION_BY in operation.table_kw
