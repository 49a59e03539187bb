"""
Detach in place: the history partition becomes the plain table again. The way back from `attach_in_place`.

Rows that came into other partitions meanwhile are moved into it, inside the swap.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sa_partman.anatomy import Anatomy
from sa_partman.names import QualifiedName, join_name, quote
from sa_partman.plan.conversion import carry
from sa_partman.plan.conversion.steps import ConversionPlan, ConversionStep, Refusal


@dataclass(frozen=True, slots=True)
class UndoRequest:
    """
    Args:
        anatomy: Of the partitioned table, as it is now.
        history: The partition that is to be the table.
        history_key: The name of its primary key, or None.
        indexes: Its index for each index of the partitioned table, by name.
        statistics: Names of its extended statistics.
        primary_key: Column names of the primary key that the plain table had.
        elsewhere: Rows in other partitions.
        limit: More rows than this are not moved inside the swap.
        afterwards: Statements that take back what the conversion did to the columns.
        concurrently: Build the index of the primary key without blocking writers.
    """

    anatomy: Anatomy
    history: QualifiedName
    history_key: str | None
    indexes: Mapping[str, str]
    statistics: tuple[str, ...]
    primary_key: tuple[str, ...]
    elsewhere: int
    limit: int
    afterwards: tuple[str, ...] = ()
    concurrently: bool = True


def detach_in_place(request: UndoRequest) -> ConversionPlan:
    """The steps, or every reason why there are none."""
    refusals = tuple(_refusals(request))
    return ConversionPlan((), refusals) if refusals else ConversionPlan(tuple(_Detach(request).steps()))


def _refusals(request: UndoRequest) -> Iterator[Refusal]:
    if request.elsewhere > request.limit:
        yield Refusal(
            f"{request.elsewhere} rows are in other partitions, and at most {request.limit} are moved inside the swap",
            "raise the limit in a maintenance window (--max-rows), or wait for the strategy that copies",
        )
    for inbound in request.anatomy.inbound:
        yield Refusal(f"{inbound.table} refers to it by {inbound.name}", "drop that foreign key before")
    for dependent in request.anatomy.dependents:
        if not dependent.restore:
            yield Refusal(f"the {dependent.kind} {dependent.identity} depends on the table", "drop it before")


class _Detach:
    def __init__(self, request: UndoRequest) -> None:
        self.request, self.anatomy = request, request.anatomy
        self.table, self.history = request.anatomy.name, request.history
        self.parts = self.table.sibling(join_name(self.table.name, "parts"))
        present = self.anatomy.primary_key
        self.swaps_key = (() if present is None else present.columns) != request.primary_key

    def steps(self) -> Iterator[ConversionStep]:
        if self.swaps_key and self.request.primary_key:
            concurrently = "CONCURRENTLY " if self.request.concurrently else ""
            name = self.history.sibling(self._key_index)
            columns = carry.columns(self.request.primary_key)
            yield ConversionStep(
                "unique_index",
                f"build the unique index of the old primary key ({', '.join(self.request.primary_key)})",
                (f"CREATE UNIQUE INDEX {concurrently}{quote(name.name)} ON {self.history.quoted} ({columns})",),
                (f"DROP INDEX {concurrently}IF EXISTS {name.quoted}",),
                transaction=not self.request.concurrently,
                lock=f"SHARE UPDATE EXCLUSIVE on {self.history}: readers and writers go on",
                scans=f"{self.history} twice",
                builds=name.quoted,
            )
        yield ConversionStep(
            "cutover",
            f"swap: {self.history} becomes the plain table {self.table.name}",
            tuple(self._cutover()),
            lock=f"ACCESS EXCLUSIVE on {self.table} and its partitions, while {self.request.elsewhere} rows move",
            scans="the partitions beside the history",
            locked=(self.table.quoted,),
        )
        yield ConversionStep("analyze", "analyze the table", (f"ANALYZE {self.table.quoted}",))

    @property
    def _key_index(self) -> str:
        return join_name(self.table.name, "pkey_old")

    def _cutover(self) -> Iterator[str]:
        schema = self.table.schema
        for trigger in self.anatomy.triggers:
            yield f"DROP TRIGGER {quote(trigger.name)} ON {self.table.quoted}"
        yield f"ALTER TABLE {self.table.quoted} DETACH PARTITION {self.history.quoted}"
        yield from self._rows()
        yield f"ALTER TABLE {self.table.quoted} RENAME TO {quote(self.parts.name)}"
        yield f"ALTER TABLE {self.history.quoted} RENAME TO {quote(self.table.name)}"
        for index in self.anatomy.indexes:
            yield carry.rename_index(schema, index.name, carry.temporary(index.name))
        yield from self._primary_key()
        for index in carry.carried(self.anatomy, frozenset()):
            if index.name in self.request.indexes:
                yield carry.rename_index(schema, self.request.indexes[index.name], index.name)
        yield from self._statistics()
        yield from self._sequences()
        yield from carry.triggers(self.anatomy, self.table)
        for dependent in self.anatomy.dependents:
            yield from dependent.restore
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

    def _rows(self) -> Iterator[str]:
        names = ", ".join(quote(column.name) for column in self.anatomy.columns if not column.generated)
        yield (
            f"INSERT INTO {self.history.quoted} ({names}) OVERRIDING SYSTEM VALUE "
            f"SELECT {names} FROM {self.table.quoted}"
        )

    def _primary_key(self) -> Iterator[str]:
        key = self.request.history_key
        name = carry.primary_key_name(self.anatomy)
        if not self.swaps_key:
            if key is not None:
                yield carry.rename_index(self.table.schema, key, name)
            return
        if key is not None:
            yield f"ALTER TABLE {self.table.quoted} DROP CONSTRAINT {quote(key)}"
        if self.request.primary_key:
            yield (
                f"ALTER TABLE {self.table.quoted} ADD CONSTRAINT {quote(name)} "
                f"PRIMARY KEY USING INDEX {quote(self._key_index)}"
            )

    def _statistics(self) -> Iterator[str]:
        for name, _ in self.anatomy.statistics:
            theirs = self.table.sibling(name)
            yield f"ALTER STATISTICS {theirs.quoted} RENAME TO {quote(carry.temporary(name))}"
            ours = join_name(name, "history")
            if ours in self.request.statistics:
                yield f"ALTER STATISTICS {self.table.sibling(ours).quoted} RENAME TO {quote(name)}"

    def _sequences(self) -> Iterator[str]:
        for sequence in self.anatomy.sequences:
            if sequence.identity:
                temporary = sequence.name.sibling(carry.temporary(sequence.name.name))
                column = self.anatomy.column(sequence.column)
                yield carry.add_identity(self.table, column, temporary, sequence.options)
                yield carry.continued(temporary, sequence.name)
            else:
                owner = f"{self.table.quoted}.{quote(sequence.column)}"
                yield f"ALTER SEQUENCE {sequence.name.quoted} OWNED BY {owner}"
