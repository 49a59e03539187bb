"""
Detach in place: the history partition becomes the plain table again. The way back from `attach_in_place`.

Rows that came into other partitions meanwhile are moved into it, inside the swap.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sa_partman.bounds.bound import DEFAULT
from sa_partman.key import PartitionKey
from sa_partman.names import QualifiedName, join_name
from sa_partman.plan.actions import Action, CopyRows, DetachPartition, DropTable
from sa_partman.plan.conversion import carry
from sa_partman.plan.conversion.carry import commented
from sa_partman.plan.conversion.refusals import cover_refusals, dependent_refusals, table_refusals
from sa_partman.plan.conversion.request import ConversionPlan, Refusal, resume_point
from sa_partman.plan.steps import Purpose, Step
from sa_partman.plan.table_actions import (
    AddPrimaryKey,
    Analyze,
    DropConstraint,
    DropIndex,
    DropTrigger,
    ExceptTables,
    Rename,
    SetStatisticsTarget,
    ValidateConstraint,
)
from sa_partman.table.definition import Constraint, InboundKey, Index, TableDefinition


@dataclass(frozen=True, slots=True)
class UndoRequest:
    """
    Args:
        definition: Of the partitioned table, as it is now.
        history: Of the partition that is to be the table.
        indexes: Its index for each index of the partitioned table, by name.
        primary_key: Column names of the primary key that the plain table had.
        elsewhere: Rows in other partitions.
        twice: Primary keys of the plain table that more than one row would have, as text; some of them.
        limit: More rows than this are not moved inside the swap.
        afterwards: What takes back what the conversion did to the columns.
        inbound: Foreign keys of other tables, by table and name, and what gives each its old form back, the first of
            which drops it.
        users: What refers to partitions that are dropped.
        followers: Logical replication slots of which changes are being read.
        sending: Publications that have the table without naming it, and send what is inserted into any.
        concurrently: Build the index of the primary key without blocking writers.
    """

    definition: TableDefinition
    history: TableDefinition
    indexes: Mapping[str, str]
    primary_key: tuple[str, ...]
    elsewhere: int
    limit: int
    twice: tuple[str, ...] = ()
    afterwards: tuple[Action, ...] = ()
    inbound: Mapping[str, tuple[Action, ...]] = field(default_factory=dict)
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
    yield from table_refusals(request.definition)
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
    for inbound in request.definition.inbound:
        if inbound_id(inbound) not in request.inbound:
            yield Refusal(f"{inbound.table} refers to it by {inbound.name}", "drop that foreign key before")
    yield from dependent_refusals(request.definition)
    yield from cover_refusals(request.definition)
    yield from _followed(request)


def _followed(request: UndoRequest) -> Iterator[Refusal]:
    """PostgreSQL 14 has a fault in sending what was a partition, which ends its server; later ones don't."""
    by_root = any(each.via_root for each in request.definition.publications)
    by_root = by_root or any(each.via_root for each in request.definition.covers)
    if not request.definition.features.sends_plain_again and request.followers and by_root:
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
        self.request, self.definition = request, request.definition
        self.table, self.history = request.definition.name, request.history.name
        self.parts = self.table.sibling(join_name(self.table.name, "parts"))
        present = self.definition.primary_key
        self.swaps_key = (() if present is None else present.columns) != request.primary_key

    def steps(self) -> Iterator[Step]:
        key, concurrently = self.request.primary_key, self.request.concurrently
        if self.swaps_key and key:
            name = self.history.sibling(self._key_index)
            yield self._step(
                "unique_index",
                f"build the unique index of the old primary key ({', '.join(key)})",
                (carry.build_key_index(self.request.history, self.history, name.name, key, concurrently=concurrently),),
                (DropIndex(name, concurrently, if_exists=True),),
                lock=f"SHARE UPDATE EXCLUSIVE on {self.history}: readers and writers go on",
                scans=f"{self.history} twice",
                builds=name.quoted,
            )
        yield self._step(
            "cutover",
            f"swap: {self.history} becomes the plain table {self.table.name}",
            self._cutover(),
            lock=f"ACCESS EXCLUSIVE on {self.table} and its partitions, while {self.request.elsewhere} rows move",
            scans="the partitions beside the history",
            locked=self._locked(),
        )
        for foreign in self._lost_keys():
            lost = f"{foreign.name}, which PostgreSQL 14 has lost,"
            yield self._proven(f"foreign_key:{foreign.name}", lost, self.table, foreign.name)
        for inbound in self.definition.inbound:
            if inbound.validated:
                of = f"{inbound.name} of {inbound.table}"
                yield self._proven(f"inbound:{inbound_id(inbound)}", of, inbound.table, inbound.name)
        yield self._step("analyze", "analyze the table", (Analyze(self.table),))

    def _proven(self, id: str, said: str, table: QualifiedName, name: str) -> Step:
        return self._step(
            id,
            f"prove the foreign key {said} for the rows that are there",
            (ValidateConstraint(table, name),),
            lock=f"SHARE UPDATE EXCLUSIVE on {table}: readers and writers go on",
            scans=f"{table} once",
        )

    def _step(self, id: str, title: str, actions: Iterable[Action], undo: Iterable[Action] = (), **more: Any) -> Step:
        return resume_point(Purpose.UNDO, self.table, id, title, actions, undo, **more)

    @property
    def _key_index(self) -> str:
        return join_name(self.table.name, "pkey_old")

    def _lost_keys(self) -> tuple[Constraint, ...]:
        """PostgreSQL 14 forgets a partition's foreign keys to partitioned tables when it is detached."""
        if self.definition.features.keeps_foreign_keys_of_detached:
            return ()
        return tuple(each for each in self.definition.foreign_keys if each.to_partitioned)

    def _locked(self) -> tuple[str, ...]:
        others = [each.table.quoted for each in self.definition.inbound]
        others += [table for dependent in self.definition.dependents for table in dependent.locks]
        # The referenced tables first, as an application that writes both does it.
        first = [each.references.quoted for each in self.definition.foreign_keys if each.references is not None]
        return tuple(dict.fromkeys((*first, self.table.quoted, *others)))

    def names(self) -> Iterator[QualifiedName]:
        """Every relation that the way back makes or renames, as it is called then."""
        yield from (self.parts, self.table.sibling(self._key_index))
        yield from carry.temporary_names(self.definition, (index.name for index in self.definition.indexes))

    def _cutover(self) -> Iterator[Action]:
        definition, table = self.definition, self.table
        for inbound in definition.inbound:
            yield self.request.inbound[inbound_id(inbound)][0]
        for trigger in definition.triggers:
            yield DropTrigger(table, trigger.name)
        yield DetachPartition(table, self.history, DEFAULT, PartitionKey(()))  # whatever its bound is
        for cover in definition.covers:
            if cover.excepted:
                yield ExceptTables(cover.name, (table, self.history), cover.others)
        yield CopyRows(table, self.history)
        yield Rename("TABLE", table, self.parts.name)
        yield Rename("TABLE", self.history, table.name)
        for index in definition.indexes:
            yield Rename("INDEX", table.sibling(index.name), carry.temporary(index.name))
        yield from self._primary_key()
        for index in carry.carried(definition):
            if index.name in self.request.indexes:
                yield Rename("INDEX", table.sibling(self.request.indexes[index.name]), index.name)
                yield from self._index_comments(index)
        yield from carry.adopted(definition, self.request.history, table)
        yield from carry.foreign_keys(self._lost_keys(), table, validated=False)
        yield from self._statistics()
        yield from carry.sequences(definition, table, identity=True)
        yield from carry.triggers(definition, table)
        yield from carry.restored(definition)
        for inbound in definition.inbound:
            yield from self.request.inbound[inbound_id(inbound)][1:]
        yield from carry.published(definition, self.parts, table)
        yield from self.request.afterwards
        yield DropTable(self.parts)
        yield from carry.take_sequence_names(definition)

    def _index_comments(self, index: Index) -> Iterator[Action]:
        own = next(each for each in self.request.history.indexes if each.name == self.request.indexes[index.name])
        yield from commented("INDEX", self.table.sibling(index.name), index.comment, before=own.comment)
        if index.constraint is not None:
            wanted, before = (
                next(each.comment for each in definition.constraints if each.name == name)
                for definition, name in ((self.definition, index.constraint), (self.request.history, own.constraint))
            )
            yield from commented("CONSTRAINT", self.table, wanted, index.constraint, before)

    def _primary_key(self) -> Iterator[Action]:
        present, own = self.definition.primary_key, self.request.history.primary_key
        name = carry.primary_key_name(self.definition)
        if not self.swaps_key:
            if present is not None and own is not None:
                yield Rename("INDEX", self.table.sibling(own.name), name)
                yield from self._index_comments(present)
            return
        if own is not None:
            yield DropConstraint(self.table, own.name)
        if self.request.primary_key:
            yield AddPrimaryKey(self.table, name, index=self._key_index)
            if present is not None:
                comment = next(each.comment for each in self.definition.constraints if each.name == present.name)
                yield from commented("INDEX", self.table.sibling(name), present.comment)
                yield from commented("CONSTRAINT", self.table, comment, name)

    def _statistics(self) -> Iterator[Action]:
        """Those of the history get their names back; what was made on the partitioned table since is made anew."""
        own = {each.name.name: each for each in self.request.history.statistics}
        for each in self.definition.statistics:
            yield Rename("STATISTICS", each.name, carry.temporary(each.name.name))
            before = own.get(carry.history_name(each.name.name))
            if before is None:
                yield from carry.create_statistics(each, each.name, self.table, self.definition.owner)
                continue
            yield Rename("STATISTICS", before.name, each.name.name)
            if each.target != before.target:
                yield SetStatisticsTarget(self.table, each.name, each.target)
            yield from commented("STATISTICS", each.name, each.comment, before=before.comment)
