"""
Detach in place: the history partition becomes the plain table again. The way back from `attach_in_place`.

Rows that came into other partitions meanwhile are moved into it, inside the swap.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sa_partman.names import QualifiedName, join_name, quote
from sa_partman.plan.conversion import carry, settings
from sa_partman.plan.conversion.refusals import cover_refusals, dependent_refusals, table_refusals
from sa_partman.plan.conversion.steps import ConversionPlan, Refusal, resume_point
from sa_partman.plan.moving import copying
from sa_partman.plan.steps import Purpose, Step
from sa_partman.table.definition import Constraint, InboundKey, Index, TableDefinition


@dataclass(frozen=True, slots=True)
class UndoRequest:
    """
    Args:
        anatomy: Of the partitioned table, as it is now.
        history: Of the partition that is to be the table.
        indexes: Its index for each index of the partitioned table, by name.
        primary_key: Column names of the primary key that the plain table had.
        elsewhere: Rows in other partitions.
        twice: Primary keys of the plain table that more than one row would have, as text; some of them.
        limit: More rows than this are not moved inside the swap.
        afterwards: Statements that take back what the conversion did to the columns.
        inbound: Foreign keys of other tables, by table and name, and the statements that give each its old form back,
            the first of which drops it.
        users: What refers to partitions that are dropped.
        followers: Logical replication slots of which changes are being read.
        sending: Publications that have the table without naming it, and send what is inserted into any.
        concurrently: Build the index of the primary key without blocking writers.
    """

    anatomy: TableDefinition
    history: TableDefinition
    indexes: Mapping[str, str]
    primary_key: tuple[str, ...]
    elsewhere: int
    limit: int
    twice: tuple[str, ...] = ()
    afterwards: tuple[str, ...] = ()
    inbound: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    users: tuple[str, ...] = ()
    followers: tuple[str, ...] = ()
    sending: tuple[str, ...] = ()
    concurrently: bool = True


def detach_in_place(request: UndoRequest) -> ConversionPlan:
    """The steps, or every reason why there are none."""
    refusals = tuple(_refusals(request))
    return ConversionPlan((), refusals) if refusals else ConversionPlan(tuple(_Detach(request).steps()))


def undo_names(request: UndoRequest) -> frozenset[QualifiedName]:
    """The names of relations that the way back takes: nobody else may bear them."""
    return frozenset(_Detach(request).names())


def _refusals(request: UndoRequest) -> Iterator[Refusal]:
    yield from table_refusals(request.anatomy)
    if request.elsewhere > request.limit:
        yield Refusal(
            f"{request.elsewhere} rows are in other partitions, and at most {request.limit} are moved inside the swap",
            "raise the limit in a maintenance window (--max-rows)",
        )
    for name in request.sending if request.elsewhere else ():
        yield Refusal(
            f"{request.elsewhere} rows of other partitions are copied, and the publication {name} would send each "
            f"again, for a table that its subscribers don't have",
            "publish the tables by their names (CREATE PUBLICATION ... FOR TABLE ...) instead of all of them, or drop "
            "the publication and create it again afterwards",
        )
    if request.twice:
        key = ", ".join(request.primary_key)
        yield Refusal(
            f"more than one row has the same ({key}), which was the primary key: {'; '.join(request.twice)}",
            "give those rows other keys",
        )
    for user in request.users:
        yield Refusal(f"{user} depends on a partition that is to be dropped", "drop it before")
    for inbound in request.anatomy.inbound:
        if inbound_id(inbound) not in request.inbound:
            yield Refusal(f"{inbound.table} refers to it by {inbound.name}", "drop that foreign key before")
    yield from dependent_refusals(request.anatomy)
    yield from cover_refusals(request.anatomy)
    yield from _followed(request)


def _followed(request: UndoRequest) -> Iterator[Refusal]:
    """PostgreSQL 14 has a fault in sending what was a partition, which ends its server; later ones don't."""
    by_root = any(each.via_root for each in request.anatomy.publications)
    by_root = by_root or any(each.via_root for each in request.anatomy.covers)
    if request.anatomy.server < 15 and request.followers and by_root:
        yield Refusal(
            f"its changes are sent to subscribers under the name of the partitioned table (slots: "
            f"{', '.join(request.followers)}), and PostgreSQL 14 can crash when it is made plain meanwhile",
            "ALTER SUBSCRIPTION ... DISABLE there until the undo is done, or upgrade to PostgreSQL 15",
        )


def inbound_id(key: InboundKey) -> str:
    """As the steps of the conversion call it."""
    return f"{key.table}.{key.name}"


class _Detach:
    def __init__(self, request: UndoRequest) -> None:
        self.request, self.anatomy = request, request.anatomy
        self.table, self.history = request.anatomy.name, request.history.name
        self.parts = self.table.sibling(join_name(self.table.name, "parts"))
        present = self.anatomy.primary_key
        self.swaps_key = (() if present is None else present.columns) != request.primary_key

    def steps(self) -> Iterator[Step]:
        if self.swaps_key and self.request.primary_key:
            concurrently = "CONCURRENTLY " if self.request.concurrently else ""
            name = self.history.sibling(self._key_index)
            build = carry.build_key_index(
                self.request.history,
                self.history,
                name.name,
                self.request.primary_key,
                concurrently=self.request.concurrently,
            )
            yield resume_point(
                Purpose.UNDO,
                self.table,
                "unique_index",
                f"build the unique index of the old primary key ({', '.join(self.request.primary_key)})",
                (build,),
                (f"DROP INDEX {concurrently}IF EXISTS {name.quoted}",),
                transaction=not self.request.concurrently,
                lock=f"SHARE UPDATE EXCLUSIVE on {self.history}: readers and writers go on",
                scans=f"{self.history} twice",
                builds=name.quoted,
            )
        yield resume_point(
            Purpose.UNDO,
            self.table,
            "cutover",
            f"swap: {self.history} becomes the plain table {self.table.name}",
            tuple(self._cutover()),
            lock=f"ACCESS EXCLUSIVE on {self.table} and its partitions, while {self.request.elsewhere} rows move",
            scans="the partitions beside the history",
            locked=self._locked(),
        )
        for foreign in self._lost_keys():
            yield resume_point(
                Purpose.UNDO,
                self.table,
                f"foreign_key:{foreign.name}",
                f"prove the foreign key {foreign.name}, which PostgreSQL 14 has lost, for the rows that are there",
                (f"ALTER TABLE {self.table.quoted} VALIDATE CONSTRAINT {quote(foreign.name)}",),
                lock=f"SHARE UPDATE EXCLUSIVE on {self.table}: readers and writers go on",
                scans=f"{self.table} once",
            )
        for inbound in self.anatomy.inbound:
            if inbound.validated:
                yield resume_point(
                    Purpose.UNDO,
                    self.table,
                    f"inbound:{inbound_id(inbound)}",
                    f"prove the foreign key {inbound.name} of {inbound.table} for the rows that are there",
                    (f"ALTER TABLE {inbound.table.quoted} VALIDATE CONSTRAINT {quote(inbound.name)}",),
                    lock=f"SHARE UPDATE EXCLUSIVE on {inbound.table}: readers and writers go on",
                    scans=f"{inbound.table} once",
                )
        yield resume_point(Purpose.UNDO, self.table, "analyze", "analyze the table", (f"ANALYZE {self.table.quoted}",))

    @property
    def _key_index(self) -> str:
        return join_name(self.table.name, "pkey_old")

    def _lost_keys(self) -> tuple[Constraint, ...]:
        """PostgreSQL 14 forgets a partition's foreign keys to partitioned tables when it is detached."""
        lost = self.anatomy.server < 15
        return tuple(each for each in self.anatomy.foreign_keys if each.to_partitioned) if lost else ()

    def _locked(self) -> tuple[str, ...]:
        others = [each.table.quoted for each in self.anatomy.inbound]
        others += [table for dependent in self.anatomy.dependents for table in dependent.locks]
        # The referenced tables first, as an application that writes both does it.
        first = [each.references.quoted for each in self.anatomy.foreign_keys if each.references is not None]
        return tuple(dict.fromkeys((*first, self.table.quoted, *others)))

    def names(self) -> Iterator[QualifiedName]:
        """Every relation that the way back makes or renames, as it is called then."""
        yield from (self.parts, self.table.sibling(self._key_index))
        yield from (self.table.sibling(carry.temporary(index.name)) for index in self.anatomy.indexes)
        yield from (
            each.name.sibling(carry.temporary(each.name.name)) for each in self.anatomy.sequences if each.identity
        )

    def _cutover(self) -> Iterator[str]:
        schema = self.table.schema
        for inbound in self.anatomy.inbound:
            yield self.request.inbound[inbound_id(inbound)][0]
        for trigger in self.anatomy.triggers:
            yield f"DROP TRIGGER {quote(trigger.name)} ON {self.table.quoted}"
        yield f"ALTER TABLE {self.table.quoted} DETACH PARTITION {self.history.quoted}"
        for cover in self.anatomy.covers:
            if cover.excepted:
                yield cover.excepting(self.table, self.history)
        yield copying(self.table, self.history)
        yield f"ALTER TABLE {self.table.quoted} RENAME TO {quote(self.parts.name)}"
        yield f"ALTER TABLE {self.history.quoted} RENAME TO {quote(self.table.name)}"
        for index in self.anatomy.indexes:
            yield carry.rename_index(schema, index.name, carry.temporary(index.name))
        yield from self._primary_key()
        for index in carry.carried(self.anatomy, frozenset()):
            if index.name in self.request.indexes:
                yield carry.rename_index(schema, self.request.indexes[index.name], index.name)
                yield from self._index_comments(index)
        yield from settings.adopted(self.anatomy, self.request.history, self.table)
        for foreign in self._lost_keys():
            name = quote(foreign.name)
            yield f"ALTER TABLE {self.table.quoted} ADD CONSTRAINT {name} {foreign.definition} NOT VALID"
            yield from settings.commented(f"CONSTRAINT {name} ON {self.table.quoted}", foreign.comment)
        yield from self._statistics()
        yield from self._sequences()
        yield from carry.triggers(self.anatomy, self.table)
        for dependent in self.anatomy.dependents:
            yield from dependent.restore
        for inbound in self.anatomy.inbound:
            yield from self.request.inbound[inbound_id(inbound)][1:]
        for publication in self.anatomy.publications:
            name = quote(publication.name)
            yield f"ALTER PUBLICATION {name} DROP TABLE {self.parts.quoted}"
            yield f"ALTER PUBLICATION {name} ADD TABLE {self.table.quoted}{publication.tail}"
        yield from self.request.afterwards
        yield f"DROP TABLE {self.parts.quoted}"
        for sequence in self.anatomy.sequences:
            if sequence.identity:
                temporary = sequence.name.sibling(carry.temporary(sequence.name.name))
                yield f"ALTER SEQUENCE {temporary.quoted} RENAME TO {quote(sequence.name.name)}"

    def _index_comments(self, index: Index) -> Iterator[str]:
        own = next(each for each in self.request.history.indexes if each.name == self.request.indexes[index.name])
        place = self.table.sibling(index.name).quoted
        yield from settings.recommented(f"INDEX {place}", index.comment, own.comment)
        if index.constraint is not None:
            wanted, before = (
                next(each.comment for each in anatomy.constraints if each.name == name)
                for anatomy, name in ((self.anatomy, index.constraint), (self.request.history, own.constraint))
            )
            target = f"CONSTRAINT {quote(index.constraint)} ON {self.table.quoted}"
            yield from settings.recommented(target, wanted, before)

    def _primary_key(self) -> Iterator[str]:
        present, own = self.anatomy.primary_key, self.request.history.primary_key
        name = carry.primary_key_name(self.anatomy)
        if not self.swaps_key:
            if present is not None and own is not None:
                yield carry.rename_index(self.table.schema, own.name, name)
                yield from self._index_comments(present)
            return
        if own is not None:
            yield f"ALTER TABLE {self.table.quoted} DROP CONSTRAINT {quote(own.name)}"
        if self.request.primary_key:
            yield (
                f"ALTER TABLE {self.table.quoted} ADD CONSTRAINT {quote(name)} "
                f"PRIMARY KEY USING INDEX {quote(self._key_index)}"
            )
            for index in (present,) if present is not None else ():
                comment = next(each.comment for each in self.anatomy.constraints if each.name == index.name)
                yield from settings.commented(f"INDEX {self.table.sibling(name).quoted}", index.comment)
                yield from settings.commented(f"CONSTRAINT {quote(name)} ON {self.table.quoted}", comment)

    def _statistics(self) -> Iterator[str]:
        """Those of the history get their names back; what was made on the partitioned table since is made anew."""
        own = {each.name.name: each for each in self.request.history.statistics}
        for each in self.anatomy.statistics:
            yield settings.rename_statistics(each.name, carry.temporary(each.name.name))
            before = own.get(join_name(each.name.name, "history"))
            if before is None:
                yield from settings.create_statistics(each, each.name, self.table, self.anatomy.owner)
                continue
            yield settings.rename_statistics(before.name, each.name.name)
            if each.target != before.target:
                yield f"ALTER STATISTICS {each.name.quoted} SET STATISTICS {each.target}"
            yield from settings.recommented(f"STATISTICS {each.name.quoted}", each.comment, before.comment)

    def _sequences(self) -> Iterator[str]:
        for sequence in self.anatomy.sequences:
            if sequence.identity:
                temporary = sequence.name.sibling(carry.temporary(sequence.name.name))
                column = self.anatomy.column(sequence.column)
                yield from carry.add_identity(self.table, column, sequence, temporary)
                yield carry.continued(temporary, sequence.name)
            else:
                owner = f"{self.table.quoted}.{quote(sequence.column)}"
                yield f"ALTER SEQUENCE {sequence.name.quoted} OWNED BY {owner}"
