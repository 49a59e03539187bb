"""
Attach in place: the table becomes the first partition of a new partitioned table, and no row is copied.

One typed CHECK, validated while the application works, serves NOT NULL, the primary key and ATTACH, so that the short
cut-over has nothing to scan.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from sa_partman.anatomy import Anatomy, Constraint, Index
from sa_partman.bounds.text import check_predicate, describe, for_values
from sa_partman.catalog import Partition
from sa_partman.compare.descend import descend
from sa_partman.key import PartitionKey
from sa_partman.names import QualifiedName, join_name, quote
from sa_partman.plan.conversion import carry
from sa_partman.plan.conversion.refusals import refusals_of
from sa_partman.plan.conversion.request import ConversionRequest, Profile
from sa_partman.plan.conversion.steps import ConversionPlan, ConversionStep
from sa_partman.plan.naming import partition_name
from sa_partman.plan.provision import first_partitions, missing_bounds

_AX = "ACCESS EXCLUSIVE"
_SUX = "SHARE UPDATE EXCLUSIVE"


def attach_in_place(request: ConversionRequest, anatomy: Anatomy, profile: Profile) -> ConversionPlan:
    """The steps, or every reason why there are none."""
    refusals = tuple(refusals_of(request, anatomy, profile))
    notes = tuple(_notes(request, anatomy))
    return (
        ConversionPlan((), refusals, notes)
        if refusals
        else ConversionPlan(_Attach(request, anatomy).steps(), (), notes)
    )


def _notes(request: ConversionRequest, anatomy: Anatomy) -> Iterator[str]:
    yield f"rows outside {describe(request.history)} are refused from the step 'check' until the cut-over"
    for trigger in anatomy.triggers:
        if trigger.row and trigger.before_insert:
            yield f"the trigger {trigger.name} runs after a row is routed: it must not set the partition key"
    for publication in anatomy.publications:
        yield f"subscribers of {publication.name} need ALTER SUBSCRIPTION ... REFRESH PUBLICATION"
    for inbound in anatomy.inbound:
        yield f"the foreign key {inbound.name} of {inbound.table} is dropped"
    for name, policy in request.choices.unique.items():
        yield f"the unique index {name} is {'kept on the history only' if policy == 'local' else 'dropped'}"


class _Attach:
    def __init__(self, request: ConversionRequest, anatomy: Anatomy) -> None:
        self.request, self.anatomy = request, anatomy
        self.table, self.new, self.old = request.table, request.new, request.old
        self.key: PartitionKey = request.declared.level.key
        self.local = frozenset(request.choices.unique)
        present = anatomy.primary_key
        self.swaps_key = bool(request.primary_key) and (present is None or present.columns != request.primary_key)

    def steps(self) -> tuple[ConversionStep, ...]:
        return (
            *self._unique_index(),
            self._check(),
            self._validate(),
            *self._not_null(),
            self._parent(),
            self._cutover(),
            *self._foreign_keys(),
            self._finish(),
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
        columns = carry.columns(self.request.primary_key)
        yield ConversionStep(
            "unique_index",
            f"build the unique index of the new primary key ({', '.join(self.request.primary_key)})",
            (f"CREATE UNIQUE INDEX {concurrently}{quote(self._key_index)} ON {self.table.quoted} ({columns})",),
            (f"DROP INDEX {concurrently}IF EXISTS {name.quoted}",),
            transaction=not self.request.concurrently,
            lock=f"{_SUX} on {self.table}: readers and writers go on",
            scans=f"{self.table} twice",
            builds=name.quoted,
        )

    def _check(self) -> ConversionStep:
        name, parts = quote(self.request.check), tuple(part_sql(self.key))
        predicate = check_predicate(self.request.history, parts, self.key.types)
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
        names = dict.fromkeys((*self.key.columns, *self.request.primary_key))
        nullable = [name for name in names if not self.anatomy.column(name).not_null and name in self.key.columns]
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
        yield from carry.extended_statistics(self.anatomy, self.new)
        yield from carry.settings(self.anatomy, self.new)
        yield from carry.replica_identity(self.anatomy, self.new)
        for leaf, statement in self._future_partitions():
            yield statement
            yield from carry.leaf_settings(self.anatomy, leaf)
            for foreign in self._foreign():
                yield f"ALTER TABLE {leaf.quoted} ADD CONSTRAINT {quote(foreign.name)} {foreign.definition}"
        yield from carry.triggers(self.anatomy, self.new)

    def _future_partitions(self) -> Iterator[tuple[QualifiedName, str]]:
        """Every partition beside the history, named after the table and not after its temporary name."""
        level = self.request.declared.level
        beside = Partition(self.table, 0, self.request.history, "p", partitions=(self._history(),))
        for bound, label in missing_bounds(level, beside, self.request.situation):
            name = partition_name(level, self.table, bound, label)
            below = None if bound == self.request.history else level.below
            by = None if below is None else below.partition_by
            yield name, _partition_of(name, self.new, bound, self.key, by)
            if below is not None:
                for action in first_partitions(below, name, descend(level, bound, self.request.situation)):
                    yield (
                        action.name,
                        _partition_of(action.name, action.parent, action.bound, action.key, action.partition_by),
                    )

    def _history(self) -> Partition:
        return Partition(self.old, 0, self.request.history, "r")

    # -- the cut-over ----------------------------------------------------------------------------------------------

    def _cutover(self) -> ConversionStep:
        locked = (self.table.quoted, *dict.fromkeys(each.table.quoted for each in self.anatomy.inbound))
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
        yield from self._sequences_in()
        for dependent in self.anatomy.dependents:
            yield from dependent.restore
        for publication in self.anatomy.publications:
            name = quote(publication.name)
            yield f"ALTER PUBLICATION {name} DROP TABLE {self.old.quoted}"
            yield f"ALTER PUBLICATION {name} ADD TABLE {self.table.quoted}{publication.tail}"

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
        elif self.anatomy.primary_key is not None:
            yield carry.rename_index(schema, name, history_name(name))
        for name in sorted(self.local):
            if self.request.choices.unique[name] == "drop":
                yield self._dropped(next(index for index in self.anatomy.indexes if index.name == name))
        for index in carry.carried(self.anatomy, self.local):
            yield carry.rename_index(schema, index.name, history_name(index.name))
        for name, _ in self.anatomy.statistics:
            yield _rename_statistics(schema, name, history_name(name))

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
        for name, _ in self.anatomy.statistics:
            yield _rename_statistics(schema, carry.temporary(name), name)

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

    def _foreign(self) -> tuple[Constraint, ...]:
        return tuple(each for each in self.anatomy.constraints if each.kind == "f")

    def _foreign_keys(self) -> Iterator[ConversionStep]:
        """One transaction for each referenced table: their locks never meet."""
        by_table = sorted(self._foreign(), key=lambda each: str(each.references))
        for references, group in groupby(by_table, key=lambda each: each.references):
            constraints = tuple(group)
            yield ConversionStep(
                f"foreign_key:{references}",
                f"declare the foreign keys to {references} on the partitioned table",
                tuple(
                    f"ALTER TABLE {self.table.quoted} ADD CONSTRAINT {quote(each.name)} {each.definition}"
                    for each in constraints
                ),
                lock=f"{_AX} on {references} for an instant, SHARE ROW EXCLUSIVE on {self.table}",
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


def _partition_of(name: QualifiedName, parent: QualifiedName, bound: object, key: PartitionKey, by: str | None) -> str:
    divided = f" PARTITION BY {by}" if by else ""
    return f"CREATE TABLE {name.quoted} PARTITION OF {parent.quoted} {for_values(bound, key.types)}{divided}"  # type: ignore[arg-type]


def _rename_statistics(schema: str | None, name: str, new: str) -> str:
    return f"ALTER STATISTICS {QualifiedName(schema, name).quoted} RENAME TO {quote(new)}"
