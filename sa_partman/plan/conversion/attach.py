"""
Attach in place: the table becomes the first partition of a new partitioned table, and no row is copied.

One typed CHECK, validated while the application works, serves NOT NULL, the primary key and ATTACH, so that the short
cut-over has nothing to scan.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from sa_partman.bounds.bound import DefaultBound, RangeBound
from sa_partman.bounds.text import describe
from sa_partman.compare.shape import LostIndex, lost_indexes
from sa_partman.marks import CREATED
from sa_partman.names import QualifiedName, quote
from sa_partman.plan.conversion import carry, estimates, settings
from sa_partman.plan.conversion.cutover import Cutover
from sa_partman.plan.conversion.inbound import Again, again
from sa_partman.plan.conversion.parts import Parts, history_name
from sa_partman.plan.conversion.refusals import refusals_of
from sa_partman.plan.conversion.request import ConversionRequest, Profile
from sa_partman.plan.conversion.steps import ConversionPlan, resume_point
from sa_partman.plan.naming import statistics_name
from sa_partman.plan.steps import Purpose, Step
from sa_partman.table.definition import TableDefinition

_AX = "ACCESS EXCLUSIVE"
_SUX = "SHARE UPDATE EXCLUSIVE"

INBOUND = "inbound:"
"""How the ids of those steps begin whose ``undo`` gives a foreign key of another table its old form back."""


def attach_in_place(request: ConversionRequest, anatomy: TableDefinition, profile: Profile) -> ConversionPlan:
    """The steps, or every reason why there are none."""
    refusals = tuple(refusals_of(request, anatomy, profile))
    notes = tuple(_notes(request, anatomy, profile))
    return (
        ConversionPlan((), refusals, notes)
        if refusals
        else ConversionPlan(_Attach(request, anatomy).steps(profile), (), notes)
    )


def names_of(request: ConversionRequest, anatomy: TableDefinition) -> frozenset[QualifiedName]:
    """The names of relations that the conversion takes: nobody else may bear them."""
    return frozenset(_Attach(request, anatomy).names())


def statistics_of(anatomy: TableDefinition, *, back: bool = False) -> frozenset[QualifiedName]:
    """
    The names of statistics objects that the conversion takes.

    Args:
        back: That its way back takes.
    """
    temporary = frozenset(each.name.sibling(carry.temporary(each.name.name)) for each in anatomy.statistics)
    history = frozenset(each.name.sibling(history_name(each.name.name)) for each in anatomy.statistics)
    return temporary if back else temporary | history


def leaf_statistics_of(request: ConversionRequest, anatomy: TableDefinition) -> frozenset[QualifiedName]:
    """The names of statistics objects that the partitions beside the history take."""
    leaves = tuple(_Attach(request, anatomy).future_partitions())
    return frozenset(statistics_name(leaf.name, each.name.name) for leaf in leaves for each in anatomy.statistics)


def _notes(request: ConversionRequest, anatomy: TableDefinition, profile: Profile) -> Iterator[str]:
    yield f"rows outside {describe(request.readable)} are refused from the step 'check' until the cut-over"
    if request.outlived is not None:
        yield request.outlived.told(str(request.old), profile.older)
    for trigger in anatomy.triggers:
        if trigger.row and trigger.before_insert:
            yield f"the trigger {trigger.name} runs after a row is routed: it must not set the partition key"
    for trigger in anatomy.triggers:
        if trigger.row:
            yield f"the trigger {trigger.name} finds the partition's name in TG_TABLE_NAME"
    for publication in anatomy.publications:
        if not publication.via_root:
            yield f"subscribers of {publication.name} need ALTER SUBSCRIPTION ... REFRESH PUBLICATION"
    for inbound in anatomy.inbound:
        found = again(inbound, request, anatomy)
        if found is None:
            yield f"the foreign key {inbound.name} of {inbound.table} is dropped"
        elif isinstance(found, Again) and found.composite:
            yield (
                f"the foreign key {inbound.name} of {inbound.table} refers by ({', '.join(found.columns)}); a row "
                f"with NULL in one of them is not looked at"
            )
    for name, policy in request.choices.unique.items():
        yield f"the unique index {name} is {'kept on the history only' if policy == 'local' else 'dropped'}"
    for lost in _lost(request, anatomy):
        yield f"{lost.message}: {lost.remedy}"


def _lost(request: ConversionRequest, anatomy: TableDefinition) -> tuple[LostIndex, ...]:
    parts, present = Parts(request, anatomy), anatomy.primary_key
    gone = (each for each in anatomy.indexes if each.name in parts.local or (each is present and parts.swaps_key))
    kept = (each.columns for each in carry.carried(anatomy, parts.local) if each.searched)
    return lost_indexes(((each.name, each.columns) for each in gone), (request.primary_key, *kept))


class _Attach(Parts):
    def steps(self, profile: Profile) -> tuple[Step, ...]:
        return (
            *self._unique_index(),
            self._check(),
            self._validate(),
            *self._not_null(),
            self._parent(),
            Cutover(self.request, self.anatomy).step(),
            *self._inbound(),
            *self._foreign_keys(),
            self._finish(profile),
        )

    def names(self) -> Iterator[QualifiedName]:
        """Every relation that the conversion makes or renames, as it is called then."""
        yield from (self.new, self.old, self.table.sibling(self.key_index), self.table.sibling(self.request.check))
        yield from (each.name for each in self.future_partitions())
        keys = [*carry.carried(self.anatomy, self.local)]
        named = [self.table.sibling(index.name) for index in keys]
        if self.request.primary_key:
            named.append(self.table.sibling(carry.primary_key_name(self.anatomy)))
        for each in named:
            yield each.sibling(carry.temporary(each.name))
            yield each.sibling(history_name(each.name))
        if self.request.primary_key and self.anatomy.primary_key is None:
            yield self.table.sibling(carry.primary_key_name(self.anatomy))
        yield from (
            each.name.sibling(carry.temporary(each.name.name)) for each in self.anatomy.sequences if each.identity
        )

    # -- before the cut-over ---------------------------------------------------------------------------------------

    def _unique_index(self) -> Iterator[Step]:
        if not self.swaps_key:
            return
        name = self.table.sibling(self.key_index)
        concurrently = "CONCURRENTLY " if self.request.concurrently else ""
        build = carry.build_key_index(
            self.anatomy,
            self.table,
            self.key_index,
            self.request.primary_key,
            concurrently=self.request.concurrently,
        )
        yield resume_point(
            Purpose.CONVERT,
            self.table,
            "unique_index",
            f"build the unique index of the new primary key ({', '.join(self.request.primary_key)})",
            (build,),
            (f"DROP INDEX {concurrently}IF EXISTS {name.quoted}",),
            transaction=not self.request.concurrently,
            lock=f"{_SUX} on {self.table}: readers and writers go on",
            scans=f"{self.table} twice",
            builds=name.quoted,
        )

    def _check(self) -> Step:
        name, predicate = quote(self.request.check), self.predicate
        return resume_point(
            Purpose.CONVERT,
            self.table,
            "check",
            f"promise {describe(self.request.readable)} for new rows",
            (f"ALTER TABLE {self.table.quoted} ADD CONSTRAINT {name} CHECK ({predicate}) NOT VALID",),
            (f"ALTER TABLE {self.table.quoted} DROP CONSTRAINT IF EXISTS {name}",),
            lock=f"{_AX} on {self.table} for an instant",
            locked=(self.table.quoted,),
            guarded=True,
        )

    def _validate(self) -> Step:
        return resume_point(
            Purpose.CONVERT,
            self.table,
            "validate",
            "prove it for the rows that are there",
            (f"ALTER TABLE {self.table.quoted} VALIDATE CONSTRAINT {quote(self.request.check)}",),
            lock=f"{_SUX} on {self.table}: readers and writers go on, autovacuum of it waits",
            scans=f"{self.table} once",
        )

    def _not_null(self) -> Iterator[Step]:
        """What the model's key needs: no range takes a NULL, and no primary key does; a list may."""
        needed = self.key.columns if isinstance(self.request.history, RangeBound) else self.request.primary_key
        nullable = [name for name in self.key.columns if name in needed and not self.anatomy.column(name).not_null]
        if nullable:
            alter = f"ALTER TABLE {self.table.quoted}"
            yield resume_point(
                Purpose.CONVERT,
                self.table,
                "not_null",
                f"declare {', '.join(nullable)} NOT NULL, which the CHECK proves",
                tuple(f"{alter} ALTER COLUMN {quote(name)} SET NOT NULL" for name in nullable),
                tuple(f"{alter} ALTER COLUMN {quote(name)} DROP NOT NULL" for name in nullable),
                lock=f"{_AX} on {self.table} for an instant",
                locked=(self.table.quoted,),
                guarded=True,
            )

    def _parent(self) -> Step:
        return resume_point(
            Purpose.CONVERT,
            self.table,
            "parent",
            "build the partitioned table and its future partitions apart",
            tuple(self._parent_statements()),
            (f"DROP TABLE IF EXISTS {self.new.quoted}",),
            lock=f"ACCESS SHARE on {self.table}, SHARE ROW EXCLUSIVE on the tables that it refers to",
        )

    def _parent_statements(self) -> Iterator[str]:
        level = self.request.declared.level
        yield from carry.create_like(self.anatomy, self.new, level.partition_by, without=self.request.check)
        yield from carry.keys(self.anatomy, self.new, self.request.primary_key, self.local)
        yield from carry.identities(self.anatomy, self.new)
        yield from settings.extended_statistics(self.anatomy, self.new)
        yield from settings.table_settings(self.anatomy, self.new)
        for each in self.future_partitions():
            yield each.statement
            yield from settings.commented(f"TABLE {each.name.quoted}", CREATED)
            yield from settings.leaf_settings(self.anatomy, each.name, divided=each.divided)
            yield from settings.leaf_statistics(self.anatomy, each.name)
            if each.top:
                for foreign in self.anatomy.foreign_keys:
                    yield f"ALTER TABLE {each.name.quoted} ADD CONSTRAINT {quote(foreign.name)} {foreign.definition}"
            if isinstance(each.bound, DefaultBound):
                # Otherwise ATTACH would look into it for rows of the history.
                excluded = f"ADD CONSTRAINT {quote(self.request.check)} CHECK (NOT ({self.predicate}))"
                yield f"ALTER TABLE {each.name.quoted} {excluded}"
        yield from carry.index_targets(self.anatomy, self.new, self.local)
        yield from carry.triggers(self.anatomy, self.new)

    # -- afterwards ------------------------------------------------------------------------------------------------

    def _inbound(self) -> Iterator[Step]:
        for each in self.again:
            if each.key.validated:
                alter = f"ALTER TABLE {each.key.table.quoted}"
                name = quote(each.key.name)
                yield resume_point(
                    Purpose.CONVERT,
                    self.table,
                    f"{INBOUND}{each.key.table}.{each.key.name}",
                    f"prove the foreign key {each.key.name} of {each.key.table} for the rows that are there",
                    (f"{alter} VALIDATE CONSTRAINT {name}",),
                    (
                        f"{alter} DROP CONSTRAINT {name}",
                        f"{alter} ADD CONSTRAINT {name} {each.key.definition} NOT VALID",
                        *settings.commented(f"CONSTRAINT {name} ON {each.key.table.quoted}", each.key.comment),
                    ),
                    lock=f"{_SUX} on {each.key.table}: readers and writers go on",
                    scans=f"{each.key.table} once",
                )

    def _foreign_keys(self) -> Iterator[Step]:
        """One transaction for each referenced table: their locks never meet."""
        by_table = sorted(self.anatomy.foreign_keys, key=lambda each: str(each.references))
        for references, group in groupby(by_table, key=lambda each: each.references):
            constraints = tuple(group)
            yield resume_point(
                Purpose.CONVERT,
                self.table,
                f"foreign_key:{references}",
                f"declare the foreign keys to {references} on the partitioned table",
                tuple(
                    statement
                    for each in constraints
                    for statement in (
                        f"ALTER TABLE {self.table.quoted} ADD CONSTRAINT {quote(each.name)} {each.definition}",
                        *settings.commented(f"CONSTRAINT {quote(each.name)} ON {self.table.quoted}", each.comment),
                    )
                ),
                lock=f"{_AX} on {references} for an instant, SHARE ROW EXCLUSIVE on {self.table}",
                # First, as an application that writes both does it: who holds this one needs the table next.
                locked=() if references is None else (references.quoted,),
                guarded=True,
            )

    def _finish(self, profile: Profile) -> Step:
        # Extended statistics can't be copied.
        if self.anatomy.server >= estimates.SINCE and profile.analyzed and not self.anatomy.statistics:
            return resume_point(
                Purpose.CONVERT,
                self.table,
                "analyze",
                "copy the planner's statistics to the partitioned table",
                estimates.copied(self.old, self.table),
                lock=f"{_SUX} on {self.table}",
            )
        # The history keeps the statistics that it had; before 18 there is no way to leave it out.
        only = "ONLY " if self.anatomy.server >= 18 else ""
        return resume_point(
            Purpose.CONVERT,
            self.table,
            "analyze",
            "analyze the partitioned table",
            (f"ANALYZE {only}{self.table.quoted}",),
            lock=f"{_SUX} on {self.table}",
            scans="a sample",
        )
