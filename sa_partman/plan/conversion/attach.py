"""
Attach in place: the table becomes the first partition of a new partitioned table, and no row is copied.

One typed CHECK, validated while the application works, serves NOT NULL, the primary key and ATTACH, so that the
cut-over, one short transaction, has nothing to scan.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from sa_partman.bounds.bound import DefaultBound, RangeBound
from sa_partman.bounds.predicate import check_predicate
from sa_partman.bounds.text import describe
from sa_partman.catalog import Partition
from sa_partman.compare.shape import descend
from sa_partman.key import PartitionKey
from sa_partman.marks import created
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import Action, AttachPartition, CreatePartition, DropTable
from sa_partman.plan.conversion import carry
from sa_partman.plan.conversion.carry import commented, history_name
from sa_partman.plan.conversion.refusals import Again, again, refusals_of
from sa_partman.plan.conversion.request import (
    ConversionPlan,
    ConversionRequest,
    Profile,
    filled,
    key_index,
    resume_point,
)
from sa_partman.plan.provision import first_partitions, missing_bounds, partition_name, statistics_name
from sa_partman.plan.steps import Purpose, Step
from sa_partman.plan.table_actions import (
    AddCheck,
    AddConstraint,
    AddPrimaryKey,
    Analyze,
    Comment,
    ContinueSequence,
    CopyEstimates,
    DropConstraint,
    DropIdentity,
    DropIndex,
    DropTrigger,
    ExceptTables,
    OwnSequence,
    Rename,
    SetNotNull,
    ValidateConstraint,
)
from sa_partman.table.definition import Index, LostIndex, TableDefinition, lost_indexes


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
        context = filled(level, self.request.history, self.request.context, beside.oid)
        for bound, label, _ in missing_bounds(level, beside, context):
            name = partition_name(level, self.table, bound, label)
            below = None if isinstance(bound, DefaultBound) else level.below
            by = None if below is None else below.partition_by
            yield CreatePartition(self.new, name, bound, self.key, by, level.spec.unlogged and below is None)
            if below is not None:
                yield from first_partitions(below, name, descend(level, bound, self.request.context))

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
            yield from key.added(self.table)
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


_AX = "ACCESS EXCLUSIVE"
_SUX = "SHARE UPDATE EXCLUSIVE"

INBOUND = "inbound:"
"""How the ids of those steps begin whose ``undo`` gives a foreign key of another table its old form back."""


def attach_in_place(request: ConversionRequest, definition: TableDefinition, profile: Profile) -> ConversionPlan:
    """The steps, or every reason why there are none."""
    refusals = tuple(refusals_of(request, definition, profile))
    notes = tuple(_notes(request, definition, profile))
    return (
        ConversionPlan((), refusals, notes)
        if refusals
        else ConversionPlan(_Attach(request, definition).steps(profile), (), notes)
    )


def names_of(request: ConversionRequest, definition: TableDefinition) -> frozenset[QualifiedName]:
    """The names of relations that the conversion takes: nobody else may bear them."""
    return frozenset(_Attach(request, definition).names())


def statistics_of(definition: TableDefinition, *, back: bool = False) -> frozenset[QualifiedName]:
    """
    The names of statistics objects that the conversion takes.

    Args:
        back: That its way back takes.
    """
    temporary = frozenset(map(carry.beside, definition.statistics))
    history = frozenset(each.name.sibling(history_name(each.name.name)) for each in definition.statistics)
    return temporary if back else temporary | history


def leaf_statistics_of(request: ConversionRequest, definition: TableDefinition) -> frozenset[QualifiedName]:
    """The names of statistics objects that the partitions beside the history take."""
    leaves = tuple(_Attach(request, definition).future_partitions())
    return frozenset(statistics_name(leaf.name, each.name.name) for leaf in leaves for each in definition.statistics)


def _notes(request: ConversionRequest, definition: TableDefinition, profile: Profile) -> Iterator[str]:
    yield f"rows outside {describe(request.readable)} are refused from the step 'check' until the cut-over"
    if request.outlived is not None:
        yield request.outlived.told(str(request.old), profile.older)
    for trigger in definition.triggers:
        if trigger.row and trigger.before_insert:
            yield f"the trigger {trigger.name} runs after a row is routed: it must not set the partition key"
    for trigger in definition.triggers:
        if trigger.row:
            yield f"the trigger {trigger.name} finds the partition's name in TG_TABLE_NAME"
    for publication in definition.publications:
        if not publication.via_root:
            yield f"subscribers of {publication.name} need ALTER SUBSCRIPTION ... REFRESH PUBLICATION"
    for inbound in definition.inbound:
        found = again(inbound, request, definition)
        if found is None:
            yield f"the foreign key {inbound.name} of {inbound.table} is dropped"
        elif isinstance(found, Again) and found.composite:
            yield (
                f"the foreign key {inbound.name} of {inbound.table} refers by ({', '.join(found.columns)}); a row "
                f"with NULL in one of them is not looked at"
            )
    for name, policy in request.choices.unique.items():
        yield f"the unique index {name} is {'kept on the history only' if policy == 'local' else 'dropped'}"
    for lost in _lost(request, definition):
        yield f"{lost.message}: {lost.remedy}"


def _lost(request: ConversionRequest, definition: TableDefinition) -> tuple[LostIndex, ...]:
    parts, present = Parts(request, definition), definition.primary_key
    gone = (each for each in definition.indexes if each.name in parts.local or (each is present and parts.swaps_key))
    kept = (each.columns for each in carry.carried(definition, parts.local) if each.searched)
    return lost_indexes(((each.name, each.columns) for each in gone), (request.primary_key, *kept))


class _Attach(Parts):
    def steps(self, profile: Profile) -> tuple[Step, ...]:
        return (
            *self._unique_index(),
            self._check(),
            self._validate(),
            *self._not_null(),
            self._parent(),
            Cutover(self.request, self.definition).step(),
            *self._inbound(),
            *self._foreign_keys(),
            self._finish(profile),
        )

    def names(self) -> Iterator[QualifiedName]:
        """Every relation that the conversion makes or renames, as it is called then."""
        yield from (self.new, self.old, self.table.sibling(self.key_index), self.table.sibling(self.request.check))
        yield from (each.name for each in self.future_partitions())
        key = carry.primary_key_name(self.definition)
        named = [index.name for index in carry.carried(self.definition, self.local)]
        named += [key] if self.request.primary_key else []
        yield from carry.temporary_names(self.definition, named)
        yield from (self.table.sibling(history_name(name)) for name in named)
        if self.request.primary_key and self.definition.primary_key is None:
            yield self.table.sibling(key)

    # -- before the cut-over ---------------------------------------------------------------------------------------

    def _unique_index(self) -> Iterator[Step]:
        if not self.swaps_key:
            return
        name, concurrently = self.table.sibling(self.key_index), self.request.concurrently
        key = self.request.primary_key
        yield self._step(
            "unique_index",
            f"build the unique index of the new primary key ({', '.join(key)})",
            (carry.build_key_index(self.definition, self.table, name.name, key, concurrently=concurrently),),
            (DropIndex(name, concurrently, if_exists=True),),
            lock=f"{_SUX} on {self.table}: readers and writers go on",
            scans=f"{self.table} twice",
            builds=name.quoted,
        )

    def _check(self) -> Step:
        return self._step(
            "check",
            f"promise {describe(self.request.readable)} for new rows",
            (AddCheck(self.table, self.request.check, self.predicate, validated=False),),
            (DropConstraint(self.table, self.request.check, if_exists=True),),
            lock=f"{_AX} on {self.table} for an instant",
            locked=(self.table.quoted,),
            guarded=True,
        )

    def _validate(self) -> Step:
        return self._step(
            "validate",
            "prove it for the rows that are there",
            (ValidateConstraint(self.table, self.request.check),),
            lock=f"{_SUX} on {self.table}: readers and writers go on, autovacuum of it waits",
            scans=f"{self.table} once",
        )

    def _not_null(self) -> Iterator[Step]:
        """What the model's key needs: no range takes a NULL, and no primary key does; a list may."""
        needed = self.key.columns if isinstance(self.request.history, RangeBound) else self.request.primary_key
        nullable = [name for name in self.key.columns if name in needed and not self.definition.column(name).not_null]
        if nullable:
            yield self._step(
                "not_null",
                f"declare {', '.join(nullable)} NOT NULL, which the CHECK proves",
                (SetNotNull(self.table, name) for name in nullable),
                (SetNotNull(self.table, name, on=False) for name in nullable),
                lock=f"{_AX} on {self.table} for an instant",
                locked=(self.table.quoted,),
                guarded=True,
            )

    def _parent(self) -> Step:
        return self._step(
            "parent",
            "build the partitioned table and its future partitions apart",
            self._parent_actions(),
            (DropTable(self.new, if_exists=True),),
            lock=f"ACCESS SHARE on {self.table}, SHARE ROW EXCLUSIVE on the tables that it refers to",
        )

    def _parent_actions(self) -> Iterator[Action]:
        level, definition = self.request.declared.level, self.definition
        yield from carry.create_like(definition, self.new, level.partition_by, without=self.request.check)
        yield from carry.keys(definition, self.new, self.request.primary_key, self.local)
        yield from carry.identities(definition, self.new)
        yield from carry.extended_statistics(definition, self.new)
        yield from carry.table_settings(definition, self.new)
        for each in self.future_partitions():
            yield each
            yield from carry.leaf_settings(definition, each.name, divided=each.partition_by is not None)
            if each.parent == self.new:
                for foreign in definition.foreign_keys:
                    yield AddConstraint(each.name, foreign.name, foreign.definition)
            if isinstance(each.bound, DefaultBound):
                # Otherwise ATTACH would look into it for rows of the history.
                yield AddCheck(each.name, self.request.check, f"NOT ({self.predicate})")
        yield from carry.index_targets(definition, self.new, self.local)
        yield from carry.triggers(definition, self.new)

    # -- afterwards ------------------------------------------------------------------------------------------------

    def _inbound(self) -> Iterator[Step]:
        for key in (each.key for each in self.again if each.key.validated):
            yield self._step(
                f"{INBOUND}{key.table}.{key.name}",
                f"prove the foreign key {key.name} of {key.table} for the rows that are there",
                (ValidateConstraint(key.table, key.name),),
                (
                    DropConstraint(key.table, key.name),
                    AddConstraint(key.table, key.name, key.definition, validated=False),
                    *commented("CONSTRAINT", key.table, key.comment, key.name),
                ),
                lock=f"{_SUX} on {key.table}: readers and writers go on",
                scans=f"{key.table} once",
            )

    def _foreign_keys(self) -> Iterator[Step]:
        """One transaction for each referenced table: their locks never meet."""
        by_table = sorted(self.definition.foreign_keys, key=lambda each: str(each.references))
        for references, group in groupby(by_table, key=lambda each: each.references):
            yield self._step(
                f"foreign_key:{references}",
                f"declare the foreign keys to {references} on the partitioned table",
                carry.foreign_keys(group, self.table),
                lock=f"{_AX} on {references} for an instant, SHARE ROW EXCLUSIVE on {self.table}",
                # First, as an application that writes both does it: who holds this one needs the table next.
                locked=() if references is None else (references.quoted,),
                guarded=True,
            )

    def _finish(self, profile: Profile) -> Step:
        """The partitioned table inherits what the planner knows of the rows; extended statistics can't be copied."""
        lock = f"{_SUX} on {self.table}"
        if self.definition.features.takes_statistics and profile.analyzed and not self.definition.statistics:
            copy = (CopyEstimates(self.old, self.table),)
            return self._step("analyze", "copy the planner's statistics to the partitioned table", copy, lock=lock)
        # The history keeps the statistics that it had; before 18 there is no way to leave it out.
        analyze = Analyze(self.table, only=self.definition.features.has_analyze_only)
        return self._step("analyze", "analyze the partitioned table", (analyze,), lock=lock, scans="a sample")

    def _step(self, id: str, title: str, actions: Iterable[Action], undo: Iterable[Action] = (), **more: Any) -> Step:
        return resume_point(Purpose.CONVERT, self.table, id, title, actions, undo, **more)
