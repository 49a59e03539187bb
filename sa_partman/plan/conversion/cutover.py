"""
The cut-over of an attach in place, one short transaction in which nothing is scanned; and what it shares with the other
steps: names, the proof of the bound, the partitions beside the history.
"""

from __future__ import annotations

from collections.abc import Iterator

from sa_partman.bounds.bound import DefaultBound
from sa_partman.bounds.predicate import check_predicate
from sa_partman.catalog import Partition
from sa_partman.compare.shape import descend
from sa_partman.key import PartitionKey
from sa_partman.marks import created
from sa_partman.plan.actions import Action, AttachPartition, CreatePartition
from sa_partman.plan.conversion import carry
from sa_partman.plan.conversion.carry import history_name
from sa_partman.plan.conversion.inbound import Again, again
from sa_partman.plan.conversion.request import ConversionRequest, filled, key_index, resume_point
from sa_partman.plan.provision import first_partitions, missing_bounds, partition_name
from sa_partman.plan.steps import Purpose, Step
from sa_partman.plan.table_actions import (
    AddPrimaryKey,
    Comment,
    ContinueSequence,
    DropConstraint,
    DropIdentity,
    DropIndex,
    DropTrigger,
    ExceptTables,
    OwnSequence,
    Rename,
)
from sa_partman.table.definition import Index, TableDefinition


class Parts:
    """One request, taken apart."""

    def __init__(self, request: ConversionRequest, definition: TableDefinition) -> None:
        self.request, self.definition = request, definition
        self.table, self.new, self.old = request.table, request.new, request.old
        self.key: PartitionKey = request.declared.level.key
        self.local = frozenset(request.choices.unique)
        present = definition.primary_key
        self.swaps_key = bool(request.primary_key) and (present is None or present.columns != request.primary_key)
        self.again = [each for key in definition.inbound if isinstance(each := again(key, request, definition), Again)]

    @property
    def key_index(self) -> str:
        return key_index(self.table)

    @property
    def predicate(self) -> str:
        return str(check_predicate(self.request.history, [part.sql for part in self.key.parts], self.key.types))

    def future_partitions(self) -> Iterator[CreatePartition]:
        """Every partition beside the history, named after the table and not after its temporary name."""
        level = self.request.declared.level
        beside = Partition(self.table, 0, self.request.history, "p", partitions=(self.history(),))
        situation = filled(level, self.request.history, self.request.situation, beside.oid)
        for bound, label, _ in missing_bounds(level, beside, situation):
            name = partition_name(level, self.table, bound, label)
            below = None if isinstance(bound, DefaultBound) else level.below
            by = None if below is None else below.partition_by
            yield CreatePartition(self.new, name, bound, self.key, by, level.spec.unlogged and below is None)
            if below is not None:
                yield from first_partitions(below, name, descend(level, bound, self.request.situation))

    def history(self) -> Partition:
        return Partition(self.old, 0, self.request.history, "r")


class Cutover(Parts):
    """The table becomes a partition of the partitioned table, which takes its name."""

    def step(self) -> Step:
        others = [each.table.quoted for each in self.definition.inbound]
        others += [table for dependent in self.definition.dependents for table in dependent.locks]
        locked = tuple(dict.fromkeys((self.table.quoted, *others)))
        return resume_point(
            Purpose.CONVERT,
            self.table,
            "cutover",
            f"swap: {self.table} becomes the partition {self.old.name} of the partitioned table",
            self._actions(),
            lock=f"ACCESS EXCLUSIVE on {', '.join(locked)} for milliseconds",
            locked=locked,
            guarded=True,
        )

    def _actions(self) -> Iterator[Action]:
        for inbound in self.definition.inbound:
            yield DropConstraint(inbound.table, inbound.name)
        for trigger in self.definition.triggers:
            yield DropTrigger(self.table, trigger.name)
        yield from self._history_names()
        yield from self._sequences_out()
        yield Rename("TABLE", self.table, self.old.name)
        yield Rename("TABLE", self.new, self.table.name)
        yield from carry.take_names(self.definition, self.request.primary_key, self.local)
        for cover in self.definition.covers:
            if cover.excepted:  # no partition may be in such a clause
                yield ExceptTables(cover.name, (self.table,), cover.others)
        yield AttachPartition(self.table, self.old, self.request.history, self.key)
        # Who converts the table hands it over.
        yield Comment("TABLE", self.old, created(dict(self.definition.comments).get(None)))
        yield DropConstraint(self.old, self.request.check)
        for each in self.future_partitions():
            if isinstance(each.bound, DefaultBound):
                yield DropConstraint(each.name, self.request.check)
        for sequence in self.definition.sequences:
            if not sequence.identity:
                yield OwnSequence(sequence.name, self.table, sequence.column)
        yield from carry.restored(self.definition)
        for member in (self.table, *(each.name for each in self.future_partitions())):
            yield from carry.late_policies(self.definition, member)
        for key in self.again:
            yield from key.actions(self.request)
        yield from carry.published(self.definition, self.old, self.table)

    def _history_names(self) -> Iterator[Action]:
        """The history's keys and indexes let go of their names; the primary key takes its new columns."""
        name = carry.primary_key_name(self.definition)
        if self.swaps_key:
            if self.definition.primary_key is not None:
                yield DropConstraint(self.table, name)
            yield AddPrimaryKey(self.table, history_name(name), index=self.key_index)
        elif self.request.primary_key:
            yield Rename("INDEX", self.table.sibling(name), history_name(name))
        for name in sorted(self.local):
            if self.request.choices.unique[name] == "drop":
                yield self._dropped(next(index for index in self.definition.indexes if index.name == name))
        for index in carry.carried(self.definition, self.local):
            yield Rename("INDEX", self.table.sibling(index.name), history_name(index.name))
        for each in self.definition.statistics:
            yield Rename("STATISTICS", each.name, history_name(each.name.name))

    def _dropped(self, index: Index) -> Action:
        if index.constraint is not None:
            return DropConstraint(self.table, index.constraint)
        return DropIndex(self.table.sibling(index.name))

    def _sequences_out(self) -> Iterator[Action]:
        """The next value goes on where the old sequence stands."""
        for sequence in self.definition.sequences:
            if sequence.identity:
                yield ContinueSequence(carry.beside(sequence), sequence.name)
                yield DropIdentity(self.table, sequence.column)
                yield Rename("SEQUENCE", carry.beside(sequence), sequence.name.name)
