"""``op.repartition_table``: other list values, or another modulus, in the migration's own transaction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from alembic.operations import Operations
from alembic.util import CommandError

from alembic_ext import rows, table_ops
from alembic_ext.mirror import mirrored
from alembic_ext.moves import Change, Move, Target, hash_change, list_change
from alembic_ext.partitions import bound_level, from_lowest, is_ours, key_of, refuse_references
from alembic_ext.session import Place, place, relation_named
from sa_partman.bounds.bound import ListBound
from sa_partman.bounds.text import describe, in_order
from sa_partman.catalog import FoundTable, Partition, default_of
from sa_partman.compare.shape import shape_finding
from sa_partman.compare.situation import Situation
from sa_partman.engine.execute import apply_actions, name_taken
from sa_partman.marks import is_foreign, unmarked
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import (
    Action,
    AttachPartition,
    CreatePartition,
    CreateTable,
    DetachPartition,
    DropTable,
    MarkDetached,
    MoveRows,
    UnmarkDetached,
)
from sa_partman.plan.moving import predicate
from sa_partman.plan.provision import first_partitions
from sa_partman.postgres.columns import columns_of
from sa_partman.postgres.reflect import reflect
from sa_partman.spec.declared import DeclaredTable, HashLevel, Level, ListLevel


def repartition(operations: Operations, operation: table_ops.RepartitionTableOp) -> None:
    """
    Raises:
        CommandError: Too many rows, rows without a place, triggers or foreign keys that moving would fire; nothing
            was changed.
    """
    what = f"op.{operation.verb}({operation.table!r}, ...)"
    with place(operations, operation.table, operation.schema, what) as here:
        rows.lock(here.connection, here.table.name)
        columns = columns_of(here.connection, here.table.oid)
        declared = DeclaredTable(here.table.name, bound_level(here.table.name, operation.declaration, columns))
        found = reflect(here.connection, [declared])[declared.name]
        misfit = shape_finding(declared, found)
        if misfit is not None:
            raise CommandError(f"{what}: {misfit.message}; nothing was changed")
        change = _change(declared.level, found, what)
        _Repartition(here, declared.level, found, change, operation).run()


def _change(level: Level, found: FoundTable, what: str) -> Change:
    if isinstance(level, ListLevel):
        if not level.spec.values.labelled:
            raise CommandError(
                f"{what}: the declaration names no values, so every partition would be detached; nothing was changed. "
                f"Write them: values={{'label': ['value', ...]}}"
            )
        return list_change(level, found)
    if isinstance(level, HashLevel):
        return hash_change(level, found)
    raise CommandError(
        f"{what} is for LIST and HASH; nothing was changed. Change the interval of a RANGE in the model: the next run "
        f"makes new partitions of that width"
    )


@dataclass
class _Repartition:
    """One repartitioning, in the order in which it happens."""

    here: Place
    level: Level
    found: FoundTable
    change: Change
    operation: table_ops.RepartitionTableOp

    def run(self) -> None:
        change, connection = self.change, self.here.connection
        self.default = default_of(self.found)
        self.places: dict[int, QualifiedName] = {each.oid: each.name for each in self.found.walk()}
        self._refuse()
        touched = (*change.sources, *((self.default,) if self.default is not None else ()))
        before = self._count(touched)
        self._detach()
        self._make_room()
        created = [action for target in change.targets for action in self._made(target)]
        apply_actions(connection, created)
        for move in change.moves:
            self._move(move)
        self._verify(before, touched)
        # Emptied tables go first, so that the new ones' indexes get the names that they would have anyway.
        parent, key = self.found.name, key_of(self.here.table)
        drops = [DropTable(self.places[each.oid], parent) for each in change.emptied]
        attached = [AttachPartition(parent, target.name, target.bound, key) for target in change.targets]
        # As in plan.provision.attached_from_the_top: from PostgreSQL 17 on an identity comes by being attached.
        below = self._below(created) if rows.has_identity(connection, self.found.oid) else ()
        apart = [DetachPartition(each.parent, each.partition, each.bound, each.key) for each in below]
        apply_actions(connection, (*drops, *apart, *attached, *below))

    def _refuse(self) -> None:
        change, what = self.change, f"{self.found.name}"
        foreign = next((source.name for source in change.sources if source.kind == "f"), None)
        if foreign is not None:
            raise CommandError(
                f"{what}: the partition {foreign} is a foreign table, whose rows can't be moved; nothing was changed. "
                f"Detach it first: ALTER TABLE {self.found.name.quoted} DETACH PARTITION {foreign.quoted}"
            )
        if change.sources or change.leaving:
            refuse_references(self.here.connection, self.found.oid, what)
        moving = 0
        for move in change.moves:
            number = rows.count(self.here.connection, move.source.name, self._where(move))
            if number and move.target is None and self.default is None:
                raise self._homeless(move)
            moving += number
        if moving > self.operation.limit:
            raise CommandError(
                f"{what}: {moving} rows would have to move, and op.repartition_table moves at most "
                f"{self.operation.limit} in one transaction; nothing was changed. Move them in a maintenance window "
                f"with a higher limit=: readers and writers of the table wait meanwhile."
            )

    def _homeless(self, move: Move) -> CommandError:
        assert isinstance(move.bound, ListBound)
        counted = []
        for value in in_order(move.bound.values):
            one = ListBound(frozenset({value}))
            where = predicate(one, key_of(self.here.table))
            number = rows.count(self.here.connection, move.source.name, where)
            if number:
                counted.append(f"{number} rows {describe(one)}")
        return CommandError(
            f"{self.found.name}: no label takes {' and '.join(counted)} any more, and there is no default partition; "
            f"nothing was changed. Delete or update these rows, keep the values in a label, or declare default=True."
        )

    def _where(self, move: Move) -> str:
        return predicate(move.bound, key_of(self.here.table), self.found.name)

    def _count(self, partitions: tuple[Partition, ...]) -> int:
        return sum(rows.count(self.here.connection, self.places[each.oid]) for each in partitions)

    def _detach(self) -> None:
        parent, key = self.found.name, key_of(self.here.table)
        going = (*self.change.sources, *self.change.leaving)
        actions: list[Action] = [DetachPartition(parent, each.name, each.bound, key) for each in going]
        actions += [
            MarkDetached(each.name, parent, unmarked(each.comment), foreign=is_foreign(each.comment))
            for each in self.change.leaving
            if each.kind != "f"
        ]
        apply_actions(self.here.connection, actions)

    def _make_room(self) -> None:
        """Tables to be dropped give up their names, all of their partitions too."""
        for source in self.change.emptied:
            for each in source.walk():
                name = rows.rename(self.here.connection, self.places[each.oid], f"sa_partman_old_{each.oid}")
                self.places[each.oid] = name

    def _made(self, target: Target) -> tuple[Action, ...]:
        """The table of *target*, and partitions below it for the rows that come."""
        below = self.level.below
        sources = tuple(move.source for move in self.change.moves if move.target == target)
        if target.keeper is not None:
            there = [each.bound for each in target.keeper.partitions]
            return () if below is None else tuple(mirrored(below, target.name, sources, there))
        parent = self.found.name
        old = relation_named(self.here.connection, target.name)
        if old is not None and old.parent is None and is_ours(old, parent):
            return (UnmarkDetached(target.name, parent, unmarked(old.comment)),)
        taken = name_taken(self.here.connection, target.name)
        if taken is not None:
            raise taken
        if below is None:
            return (CreateTable(target.name, parent, unlogged=self.level.spec.unlogged),)
        made = CreateTable(target.name, parent, below.partition_by)
        inside = Situation(self.here.now)
        if isinstance(target.bound, ListBound):
            inside = inside.below(tuple(target.bound.values))
        inner = tuple(mirrored(below, target.name, sources, ()))
        if not inner and self.default is not None:
            key = key_of(self.here.table)
            below = from_lowest(self.here.connection, below, self.default.name, target.bound, key)
        return (made, *(inner or first_partitions(below, target.name, inside)))

    def _below(self, created: list[Action]) -> tuple[AttachPartition, ...]:
        """All that is below the targets, parents first."""
        kept = (target.keeper for target in self.change.targets if target.keeper is not None)
        made = (each for each in created if isinstance(each, CreatePartition))
        return (
            *(each for keeper in kept for each in _attached_in(keeper)),
            *(AttachPartition(each.parent, each.name, each.bound, each.key) for each in made),
        )

    def _move(self, move: Move) -> None:
        target = self.default if move.target is None else move.target
        if target is not None:
            source, parent, key = self.places[move.source.oid], self.found.name, key_of(self.here.table)
            limit = self.operation.limit
            action = MoveRows(source, target.name, move.bound, key, limit, parent, move.source.name)
            apply_actions(self.here.connection, (action,))

    def _verify(self, before: int, touched: tuple[Partition, ...]) -> None:
        left = self._count(self.change.emptied)
        fresh = (target.name for target in self.change.targets if target.keeper is None)
        after = self._count(touched) + sum(rows.count(self.here.connection, name) for name in fresh)
        if left or before != after:
            raise CommandError(
                f"{self.found.name}: {before} rows were there and {after} are, {left} of them in tables to be dropped; "
                f"the migration is rolled back. Please report this."
            )


def _attached_in(parent: Partition) -> Iterator[AttachPartition]:
    for each in parent.partitions:
        assert parent.key is not None
        yield AttachPartition(parent.name, each.name, each.bound, parent.key)
        yield from _attached_in(each)
