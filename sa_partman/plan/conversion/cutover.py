"""The cut-over of an attach in place: one short transaction, in which nothing is scanned."""

from __future__ import annotations

from collections.abc import Iterator

from sa_partman.bounds.bound import DefaultBound
from sa_partman.bounds.text import for_values
from sa_partman.marks import created
from sa_partman.names import quote
from sa_partman.plan.conversion import carry, settings
from sa_partman.plan.conversion.parts import Parts, history_name
from sa_partman.plan.conversion.steps import resume_point
from sa_partman.plan.steps import Purpose, Step
from sa_partman.table.definition import Index


class Cutover(Parts):
    """The table becomes a partition of the partitioned table, which takes its name."""

    def step(self) -> Step:
        others = [each.table.quoted for each in self.anatomy.inbound]
        others += [table for dependent in self.anatomy.dependents for table in dependent.locks]
        locked = tuple(dict.fromkeys((self.table.quoted, *others)))
        return resume_point(
            Purpose.CONVERT,
            self.table,
            "cutover",
            f"swap: {self.table} becomes the partition {self.old.name} of the partitioned table",
            tuple(self._statements()),
            lock=f"ACCESS EXCLUSIVE on {', '.join(locked)} for milliseconds",
            locked=locked,
            guarded=True,
        )

    def _statements(self) -> Iterator[str]:
        for inbound in self.anatomy.inbound:
            yield f"ALTER TABLE {inbound.table.quoted} DROP CONSTRAINT {quote(inbound.name)}"
        for trigger in self.anatomy.triggers:
            yield f"DROP TRIGGER {quote(trigger.name)} ON {self.table.quoted}"
        yield from self._history_names()
        yield from self._sequences_out()
        yield f"ALTER TABLE {self.table.quoted} RENAME TO {quote(self.old.name)}"
        yield f"ALTER TABLE {self.new.quoted} RENAME TO {quote(self.table.name)}"
        yield from self._new_names()
        for cover in self.anatomy.covers:
            if cover.excepted:  # no partition may be in such a clause
                yield cover.excepting(self.table)
        bound = for_values(self.request.history, self.key.types)
        yield f"ALTER TABLE {self.table.quoted} ATTACH PARTITION {self.old.quoted} {bound}"
        # Who converts the table hands it over.
        yield from settings.commented(f"TABLE {self.old.quoted}", created(dict(self.anatomy.comments).get(None)))
        yield f"ALTER TABLE {self.old.quoted} DROP CONSTRAINT {quote(self.request.check)}"
        for each in self.future_partitions():
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
        for member in (self.table, *(each.name for each in self.future_partitions())):
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
                f"PRIMARY KEY USING INDEX {quote(self.key_index)}"
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
