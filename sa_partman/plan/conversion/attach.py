"""
Attach in place: the table becomes the first partition of a new partitioned table, and no row is copied.

One typed CHECK, validated while the application works, serves NOT NULL, the primary key and ATTACH, so that the short
cut-over has nothing to scan.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from sa_partman.anatomy import Anatomy, Index
from sa_partman.bounds.bound import Bound, DefaultBound, RangeBound
from sa_partman.bounds.text import check_predicate, describe, for_values
from sa_partman.catalog import Partition
from sa_partman.compare.descend import descend
from sa_partman.key import PartitionKey
from sa_partman.names import QualifiedName, join_name, quote
from sa_partman.plan.conversion import carry, settings
from sa_partman.plan.conversion.inbound import Again, again
from sa_partman.plan.conversion.refusals import refusals_of
from sa_partman.plan.conversion.request import ConversionRequest, Profile
from sa_partman.plan.conversion.steps import ConversionPlan, ConversionStep
from sa_partman.plan.naming import partition_name
from sa_partman.plan.provision import first_partitions, missing_bounds

_AX = "ACCESS EXCLUSIVE"
_SUX = "SHARE UPDATE EXCLUSIVE"

INBOUND = "inbound:"
"""How the ids of those steps begin whose ``undo`` gives a foreign key of another table its old form back."""


def attach_in_place(request: ConversionRequest, anatomy: Anatomy, profile: Profile) -> ConversionPlan:
    """The steps, or every reason why there are none."""
    refusals = tuple(refusals_of(request, anatomy, profile))
    notes = tuple(_notes(request, anatomy))
    return (
        ConversionPlan((), refusals, notes)
        if refusals
        else ConversionPlan(_Attach(request, anatomy).steps(), (), notes)
    )


def names_of(request: ConversionRequest, anatomy: Anatomy) -> frozenset[QualifiedName]:
    """The names of relations that the conversion takes: nobody else may bear them."""
    return frozenset(_Attach(request, anatomy).names())


def statistics_of(anatomy: Anatomy, *, back: bool = False) -> frozenset[QualifiedName]:
    """
    The names of statistics objects that the conversion takes.

    Args:
        back: That its way back takes.
    """
    temporary = frozenset(each.name.sibling(carry.temporary(each.name.name)) for each in anatomy.statistics)
    history = frozenset(each.name.sibling(history_name(each.name.name)) for each in anatomy.statistics)
    return temporary if back else temporary | history


def _notes(request: ConversionRequest, anatomy: Anatomy) -> Iterator[str]:
    yield f"rows outside {describe(request.history)} are refused from the step 'check' until the cut-over"
    for trigger in anatomy.triggers:
        if trigger.row and trigger.before_insert:
            yield f"the trigger {trigger.name} runs after a row is routed: it must not set the partition key"
    for trigger in anatomy.triggers:
        if trigger.row:
            yield f"the trigger {trigger.name} finds the partition's name in TG_TABLE_NAME"
    for publication in anatomy.publications:
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


@dataclass(frozen=True, slots=True)
class _Future:
    """
    A partition beside the history.

    Args:
        top: Of the table itself, and not of another partition.
    """

    name: QualifiedName
    parent: QualifiedName
    bound: Bound
    key: PartitionKey
    partition_by: str | None
    unlogged: bool
    top: bool = False

    @property
    def divided(self) -> bool:
        return self.partition_by is not None

    @property
    def statement(self) -> str:
        by = f" PARTITION BY {self.partition_by}" if self.partition_by else ""
        create = f"CREATE {'UNLOGGED ' * self.unlogged}TABLE {self.name.quoted}"
        return f"{create} PARTITION OF {self.parent.quoted} {for_values(self.bound, self.key.types)}{by}"


class _Attach:
    def __init__(self, request: ConversionRequest, anatomy: Anatomy) -> None:
        self.request, self.anatomy = request, anatomy
        self.table, self.new, self.old = request.table, request.new, request.old
        self.key: PartitionKey = request.declared.level.key
        self.local = frozenset(request.choices.unique)
        present = anatomy.primary_key
        self.swaps_key = bool(request.primary_key) and (present is None or present.columns != request.primary_key)
        self.again = [each for key in anatomy.inbound if isinstance(each := again(key, request, anatomy), Again)]

    def steps(self) -> tuple[ConversionStep, ...]:
        return (
            *self._unique_index(),
            self._check(),
            self._validate(),
            *self._not_null(),
            self._parent(),
            self._cutover(),
            *self._inbound(),
            *self._foreign_keys(),
            self._finish(),
        )

    def names(self) -> Iterator[QualifiedName]:
        """Every relation that the conversion makes or renames, as it is called then."""
        yield from (self.new, self.old, self.table.sibling(self._key_index), self.table.sibling(self.request.check))
        yield from (each.name for each in self._future_partitions())
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

    @property
    def _key_index(self) -> str:
        return join_name(self.table.name, "pkey_new")

    def _unique_index(self) -> Iterator[ConversionStep]:
        if not self.swaps_key:
            return
        name = self.table.sibling(self._key_index)
        concurrently = "CONCURRENTLY " if self.request.concurrently else ""
        build = carry.build_key_index(
            self.anatomy,
            self.table,
            self._key_index,
            self.request.primary_key,
            concurrently=self.request.concurrently,
        )
        yield ConversionStep(
            "unique_index",
            f"build the unique index of the new primary key ({', '.join(self.request.primary_key)})",
            (build,),
            (f"DROP INDEX {concurrently}IF EXISTS {name.quoted}",),
            transaction=not self.request.concurrently,
            lock=f"{_SUX} on {self.table}: readers and writers go on",
            scans=f"{self.table} twice",
            builds=name.quoted,
        )

    def _check(self) -> ConversionStep:
        name, predicate = quote(self.request.check), self._predicate
        return ConversionStep(
            "check",
            f"promise {describe(self.request.history)} for new rows",
            (f"ALTER TABLE {self.table.quoted} ADD CONSTRAINT {name} CHECK ({predicate}) NOT VALID",),
            (f"ALTER TABLE {self.table.quoted} DROP CONSTRAINT IF EXISTS {name}",),
            lock=f"{_AX} on {self.table} for an instant",
            locked=(self.table.quoted,),
            guarded=True,
        )

    def _validate(self) -> ConversionStep:
        return ConversionStep(
            "validate",
            "prove it for the rows that are there",
            (f"ALTER TABLE {self.table.quoted} VALIDATE CONSTRAINT {quote(self.request.check)}",),
            lock=f"{_SUX} on {self.table}: readers and writers go on, autovacuum of it waits",
            scans=f"{self.table} once",
        )

    def _not_null(self) -> Iterator[ConversionStep]:
        """What the model's key needs: no range takes a NULL, and no primary key does; a list may."""
        needed = self.key.columns if isinstance(self.request.history, RangeBound) else self.request.primary_key
        nullable = [name for name in self.key.columns if name in needed and not self.anatomy.column(name).not_null]
        if nullable:
            alter = f"ALTER TABLE {self.table.quoted}"
            yield ConversionStep(
                "not_null",
                f"declare {', '.join(nullable)} NOT NULL, which the CHECK proves",
                tuple(f"{alter} ALTER COLUMN {quote(name)} SET NOT NULL" for name in nullable),
                tuple(f"{alter} ALTER COLUMN {quote(name)} DROP NOT NULL" for name in nullable),
                lock=f"{_AX} on {self.table} for an instant",
                locked=(self.table.quoted,),
                guarded=True,
            )

    def _parent(self) -> ConversionStep:
        return ConversionStep(
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
        for each in self._future_partitions():
            yield each.statement
            yield from settings.leaf_settings(self.anatomy, each.name, divided=each.divided)
            if each.top:
                for foreign in self.anatomy.foreign_keys:
                    yield f"ALTER TABLE {each.name.quoted} ADD CONSTRAINT {quote(foreign.name)} {foreign.definition}"
            if isinstance(each.bound, DefaultBound):
                # Otherwise ATTACH would look into it for rows of the history.
                excluded = f"ADD CONSTRAINT {quote(self.request.check)} CHECK (NOT ({self._predicate}))"
                yield f"ALTER TABLE {each.name.quoted} {excluded}"
        yield from carry.triggers(self.anatomy, self.new)

    @property
    def _predicate(self) -> str:
        return str(check_predicate(self.request.history, tuple(part_sql(self.key)), self.key.types))

    def _future_partitions(self) -> Iterator[_Future]:
        """Every partition beside the history, named after the table and not after its temporary name."""
        level = self.request.declared.level
        beside = Partition(self.table, 0, self.request.history, "p", partitions=(self._history(),))
        for bound, label in missing_bounds(level, beside, self.request.situation):
            name = partition_name(level, self.table, bound, label)
            below = None if isinstance(bound, DefaultBound) else level.below
            inner = (
                () if below is None else first_partitions(below, name, descend(level, bound, self.request.situation))
            )
            by = None if below is None else below.partition_by
            yield _Future(name, self.new, bound, self.key, by, level.spec.unlogged and below is None, top=True)
            for each in inner:
                yield _Future(each.name, each.parent, each.bound, each.key, each.partition_by, each.unlogged)

    def _history(self) -> Partition:
        return Partition(self.old, 0, self.request.history, "r")

    # -- the cut-over ----------------------------------------------------------------------------------------------

    def _cutover(self) -> ConversionStep:
        others = [each.table.quoted for each in self.anatomy.inbound]
        others += [table for dependent in self.anatomy.dependents for table in dependent.locks]
        locked = tuple(dict.fromkeys((self.table.quoted, *others)))
        return ConversionStep(
            "cutover",
            f"swap: {self.table} becomes the partition {self.old.name} of the partitioned table",
            tuple(self._cutover_statements()),
            lock=f"{_AX} on {', '.join(locked)} for milliseconds",
            locked=locked,
            guarded=True,
        )

    def _cutover_statements(self) -> Iterator[str]:
        for inbound in self.anatomy.inbound:
            yield f"ALTER TABLE {inbound.table.quoted} DROP CONSTRAINT {quote(inbound.name)}"
        for trigger in self.anatomy.triggers:
            yield f"DROP TRIGGER {quote(trigger.name)} ON {self.table.quoted}"
        yield from self._history_names()
        yield from self._sequences_out()
        yield f"ALTER TABLE {self.table.quoted} RENAME TO {quote(self.old.name)}"
        yield f"ALTER TABLE {self.new.quoted} RENAME TO {quote(self.table.name)}"
        yield from self._new_names()
        bound = for_values(self.request.history, self.key.types)
        yield f"ALTER TABLE {self.table.quoted} ATTACH PARTITION {self.old.quoted} {bound}"
        yield f"ALTER TABLE {self.old.quoted} DROP CONSTRAINT {quote(self.request.check)}"
        for each in self._future_partitions():
            if isinstance(each.bound, DefaultBound):
                yield f"ALTER TABLE {each.name.quoted} DROP CONSTRAINT {quote(self.request.check)}"
        yield from self._sequences_in()
        yield from self._dependents()
        for publication in self.anatomy.publications:
            name = quote(publication.name)
            yield f"ALTER PUBLICATION {name} DROP TABLE {self.old.quoted}"
            yield f"ALTER PUBLICATION {name} ADD TABLE {self.table.quoted}{publication.tail}"

    def _dependents(self) -> Iterator[str]:
        """What referred to the table by its oid refers to the one that bears its name now."""
        for dependent in self.anatomy.dependents:
            yield from dependent.restore
        for member in (self.table, *(each.name for each in self._future_partitions())):
            yield from settings.late_policies(self.anatomy, member)
        for each in self.again:
            yield from each.statements(self.request)

    def _history_names(self) -> Iterator[str]:
        """The history's keys and indexes let go of their names; the primary key takes its new columns."""
        schema = self.table.schema
        name = carry.primary_key_name(self.anatomy)
        if self.swaps_key:
            if self.anatomy.primary_key is not None:
                yield f"ALTER TABLE {self.table.quoted} DROP CONSTRAINT {quote(name)}"
            yield (
                f"ALTER TABLE {self.table.quoted} ADD CONSTRAINT {quote(history_name(name))} "
                f"PRIMARY KEY USING INDEX {quote(self._key_index)}"
            )
        elif self.request.primary_key:
            yield carry.rename_index(schema, name, history_name(name))
        for name in sorted(self.local):
            if self.request.choices.unique[name] == "drop":
                yield self._dropped(next(index for index in self.anatomy.indexes if index.name == name))
        for index in carry.carried(self.anatomy, self.local):
            yield carry.rename_index(schema, index.name, history_name(index.name))
        for each in self.anatomy.statistics:
            yield settings.rename_statistics(each.name, history_name(each.name.name))

    def _dropped(self, index: Index) -> str:
        if index.constraint is not None:
            return f"ALTER TABLE {self.table.quoted} DROP CONSTRAINT {quote(index.constraint)}"
        return f"DROP INDEX {self.table.sibling(index.name).quoted}"

    def _new_names(self) -> Iterator[str]:
        schema = self.table.schema
        if self.request.primary_key:
            name = carry.primary_key_name(self.anatomy)
            yield carry.rename_index(schema, carry.temporary(name), name)
        for index in carry.carried(self.anatomy, self.local):
            yield carry.rename_index(schema, carry.temporary(index.name), index.name)
        for each in self.anatomy.statistics:
            yield settings.rename_statistics(each.name.sibling(carry.temporary(each.name.name)), each.name.name)

    def _sequences_out(self) -> Iterator[str]:
        """The next value goes on where the old sequence stands."""
        for sequence in self.anatomy.sequences:
            if sequence.identity:
                new = sequence.name.sibling(carry.temporary(sequence.name.name))
                yield carry.continued(new, sequence.name)
                yield f"ALTER TABLE {self.table.quoted} ALTER COLUMN {quote(sequence.column)} DROP IDENTITY"
                yield f"ALTER SEQUENCE {new.quoted} RENAME TO {quote(sequence.name.name)}"

    def _sequences_in(self) -> Iterator[str]:
        for sequence in self.anatomy.sequences:
            if not sequence.identity:
                owner = f"{self.table.quoted}.{quote(sequence.column)}"
                yield f"ALTER SEQUENCE {sequence.name.quoted} OWNED BY {owner}"

    # -- afterwards ------------------------------------------------------------------------------------------------

    def _inbound(self) -> Iterator[ConversionStep]:
        for each in self.again:
            if each.key.validated:
                alter = f"ALTER TABLE {each.key.table.quoted}"
                name = quote(each.key.name)
                yield ConversionStep(
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

    def _foreign_keys(self) -> Iterator[ConversionStep]:
        """One transaction for each referenced table: their locks never meet."""
        by_table = sorted(self.anatomy.foreign_keys, key=lambda each: str(each.references))
        for references, group in groupby(by_table, key=lambda each: each.references):
            constraints = tuple(group)
            yield ConversionStep(
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

    def _finish(self) -> ConversionStep:
        return ConversionStep(
            "analyze",
            "analyze the partitioned table",
            (f"ANALYZE {self.table.quoted}",),
            lock=f"{_SUX} on {self.table}",
            scans="a sample",
        )


def part_sql(key: PartitionKey) -> Iterator[str]:
    """Each part of *key*, as it stands in a condition."""
    for part in key.parts:
        yield quote(part.column) if part.column is not None else f"({part.expression})"


def history_name(name: str) -> str:
    """What an index or constraint of the history is called, once the partitioned table bears its name."""
    return join_name(name, "history")
