"""What both ways of a rewrite share: conditions, locks, the replay, foreign keys of other tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sa_partman.bounds.bound import Bound, DefaultBound, HashBound
from sa_partman.bounds.predicate import check_predicate
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import Action
from sa_partman.plan.conversion import carry
from sa_partman.plan.conversion.request import resume_point
from sa_partman.plan.rewrite.actions import (
    ChangesLeft,
    CompareRows,
    CopyChunk,
    DropForeignKeys,
    KeyLog,
    PagesLeft,
    Replay,
)
from sa_partman.plan.rewrite.request import NewPartition, RewriteRequest, Source, retired
from sa_partman.plan.steps import Purpose, Step
from sa_partman.plan.table_actions import (
    AddCheck,
    AddConstraint,
    AddPrimaryKey,
    CreateIndex,
    DropConstraint,
    ValidateConstraint,
)
from sa_partman.table.definition import Constraint, InboundKey, TableDefinition

FINISH = "finalize"
"""The id of the step behind which there is no way back."""

SWAP = "cutover"
"""The id of the step that a changed table must not reach."""

ENOUGH = 500
"""Changes that are few enough to be replayed while the table is locked."""

ACCESS_EXCLUSIVE = "ACCESS EXCLUSIVE"
SHARE_UPDATE_EXCLUSIVE = "SHARE UPDATE EXCLUSIVE"


class LogParts:
    """
    What is copied and replayed from one table to another.

    Args:
        table: What the steps are about.
        log: Of what changes in *source*.
        columns: Those that are copied.
    """

    def __init__(
        self,
        table: QualifiedName,
        definition: TableDefinition,
        log: KeyLog,
        columns: tuple[str, ...],
        *,
        source: QualifiedName,
        target: QualifiedName,
    ) -> None:
        self.table, self.definition, self.log, self.columns = table, definition, log, columns
        self.source, self.target = source, target

    def replay(self, *, indexed: bool = True, limit: int | None = None) -> Replay:
        return Replay(self.source, self.target, self.log, self.columns, indexed, limit)

    def copied(self, source: Source) -> Step:
        return self.step(
            f"copy:{source.name}",
            f"copy the rows of {source.name}",
            (CopyChunk(source.name, self.target, self.columns),),
            lock=f"ACCESS SHARE on {source.name}: readers and writers go on",
            scans=f"{source.name} once",
            until=PagesLeft(source.name, self.target),
        )

    def settled(self) -> Step:
        return self.step(
            "settle",
            "replay what changed during the copy",
            (self.replay(indexed=False),),
            lock=f"ACCESS SHARE on {self.source}: readers and writers go on",
            scans="the copies once",
        )

    def indexed(self, actions: Iterable[Action]) -> Iterator[Step]:
        """One after the other, each on all copies."""
        for place, group in enumerate(_grouped(actions)):
            name = getattr(group[0], "name", "")
            yield self.step(
                f"index:{place}:{name}",
                f"build the index {name} of the copies",
                group,
                lock="none on the table",
                scans="the copies once",
            )

    def compared(self, sources: Iterable[QualifiedName], *, whole: bool = False) -> CompareRows:
        columns = tuple((each.name, _hashable(each.type)) for each in self.definition.columns)
        return CompareRows(tuple(sources), self.target, self.log, columns, whole)

    def verified(self, sources: Iterable[QualifiedName], *, whole: bool = False) -> Step:
        given = tuple(sources)
        return self.step(
            "verify",
            "compare the copies with the rows",
            (self.compared(given, whole=whole),),
            lock=f"ACCESS SHARE on {named(given)}: readers and writers go on",
            scans="the rows and the copies once",
        )

    def catch_up(self, id: str = "catch_up") -> Step:
        return self.step(
            id,
            "replay what changed since, until little is left",
            (self.replay(),),
            lock=f"ACCESS SHARE on {self.source}: readers and writers go on",
            until=ChangesLeft(self.log, ENOUGH),
        )

    def outbound(self) -> tuple[Constraint, ...]:
        return tuple(each for each in self.definition.constraints if each.kind == "f")

    def referenced(self) -> tuple[QualifiedName, ...]:
        found = {each.references for each in self.outbound() if each.references is not None}
        return tuple(sorted(found, key=str))

    def foreign_keys(self, tables: Sequence[QualifiedName], what: str) -> Iterator[Step]:
        """Those of the table, given to *tables* and proven."""
        keys = self.outbound()
        if not keys:
            return
        yield self.step(
            "foreign_keys",
            f"give {what} the foreign keys of the table",
            (AddConstraint(table, key.name, key.definition, validated=False) for key in keys for table in tables),
            map(DropForeignKeys, tables),
            lock=f"SHARE ROW EXCLUSIVE on {named(self.referenced())} for an instant",
        )
        # What was deleted on both sides before is gone from the copies then, too.
        yield self.catch_up("foreign_keys_caught_up")
        yield self.step(
            "foreign_keys_validated",
            f"prove the foreign keys of {what}",
            (ValidateConstraint(table, key.name) for key in keys for table in tables),
            lock=f"ROW SHARE on {named(self.referenced())}: readers and writers go on",
            scans=f"{what} once for each",
        )

    def proven(self, inbound: InboundKey) -> Step:
        return self.step(
            f"inbound:{inbound.table}.{inbound.name}",
            f"prove the foreign key {inbound.name} of {inbound.table} again",
            (ValidateConstraint(inbound.table, inbound.name),),
            lock=f"{SHARE_UPDATE_EXCLUSIVE} on {inbound.table}: readers and writers go on",
            scans=f"{inbound.table} once",
        )

    def step(self, id: str, title: str, actions: Iterable[Action], undo: Iterable[Action] = (), **more: Any) -> Step:
        return resume_point(Purpose.REWRITE, self.table, id, title, actions, undo, **more)


class RewriteParts(LogParts):
    """Of one request."""

    def __init__(self, request: RewriteRequest) -> None:
        parent, staging = request.parent, request.staging
        super().__init__(request.table, request.definition, request.log, request.columns, source=parent, target=staging)
        self.request, self.key = request, request.key
        self.parent, self.staging = parent, staging

    def predicate(self, piece: NewPartition | Source) -> str | None:
        """What is true of its rows and of no others, in a form from which the server proves it."""
        if not isinstance(piece.bound, DefaultBound):
            return self._within(self.condition(piece.bound))
        beside = self.request.pieces if isinstance(piece, NewPartition) else ()
        bounds = (*self.request.siblings, *(each.bound for each in beside))
        given = "".join(f"{part.sql} IS NOT NULL AND " for part in self.key.parts)
        taken = [f"({each.removeprefix(given)})" for each in map(self.condition, bounds) if each is not None]
        # PostgreSQL's own form, and it proves nothing from others.
        return self._within(f"NOT ({given}({' OR '.join(taken)}))")

    def _within(self, condition: str | None) -> str | None:
        """What is true of every row of the parent is part of what the server wants proven."""
        above = self.request.above
        return condition if condition is None or not above else f"({condition}) AND {above}"

    def condition(self, bound: Bound) -> str | None:
        if isinstance(bound, HashBound):
            listed = ", ".join(part.sql for part in self.key.parts)
            # Not ::regclass: then the table would have something that depends on it.
            parent = f"CAST({self.definition.oid} AS oid)"
            return f"pg_catalog.satisfies_hash_partition({parent}, {bound.modulus}, {bound.remainder}, {listed})"
        return check_predicate(bound, [part.sql for part in self.key.parts], self.key.types)

    def exclusion(self) -> Iterator[Step]:
        """A default partition that stays would be searched for rows of the new partitions while all wait."""
        default = self.request.default
        if default is None or any(isinstance(each.bound, DefaultBound) for each in self.request.sources):
            return
        # The server proves each bound from its own words only, and not what is merged from its parts.
        bounds = (*(each.bound for each in self.request.sources), *(each.bound for each in self.request.pieces))
        predicates = [f"({each})" for each in dict.fromkeys(map(self.condition, bounds)) if each is not None]
        name = self.request.exclusion
        yield self.step(
            "exclude",
            f"promise that {default} gets no row of them",
            (AddCheck(default, name, f"NOT ({' OR '.join(predicates)})", validated=False),),
            (DropConstraint(default, name, if_exists=True),),
            lock=f"{ACCESS_EXCLUSIVE} on {default} for an instant",
            locked=(default.quoted,),
            guarded=True,
        )
        yield self.step(
            "exclude_validated",
            "prove that it has none",
            (ValidateConstraint(default, name),),
            lock=f"{SHARE_UPDATE_EXCLUSIVE} on {default}: readers and writers go on",
            scans=f"{default} once",
        )

    def locked(self) -> tuple[str, ...]:
        """Referenced tables first, as an application locks them that writes both."""
        default = self.request.default
        inbound = {each.table.quoted for each in self.definition.inbound}
        names = (
            *(each.quoted for each in self.referenced()),
            f"ONLY {self.parent.quoted}",
            *(each.name.quoted for each in self.request.sources),
            *(() if default is None else (default.quoted,)),
            *sorted(inbound),
        )
        return tuple(dict.fromkeys(names))

    @property
    def excludes(self) -> bool:
        return not any(isinstance(each.bound, DefaultBound) for each in self.request.sources)

    def inbound_again(self) -> Iterator[Action]:
        for inbound in self.definition.inbound:
            yield AddConstraint(inbound.table, inbound.name, inbound.definition, validated=False)
            yield from carry.commented("CONSTRAINT", inbound.table, inbound.comment, inbound.name)

    def kept(self, source: Source) -> QualifiedName:
        """What it is called after the swap."""
        return retired(source.name)

    def inbound_proofs(self) -> Iterator[Step]:
        for inbound in self.definition.inbound:
            if inbound.validated:
                yield self.proven(inbound)


def _grouped(actions: Iterable[Action]) -> Iterator[tuple[Action, ...]]:
    """*actions* of indexes, each index with what belongs to it."""
    group: list[Action] = []
    for action in actions:
        if isinstance(action, AddPrimaryKey | AddConstraint | CreateIndex) and group:
            yield tuple(group)
            group = []
        group.append(action)
    if group:
        yield tuple(group)


_HASHABLE = frozenset(
    {
        *("smallint", "integer", "bigint", "oid", "boolean", "uuid", "date", "text", "bytea", "jsonb", "inet", "cidr"),
        *("timestamp without time zone", "timestamp with time zone", "interval", "real", "double precision", "macaddr"),
    }
)


def _hashable(type: str) -> bool:
    """Whether rows are hashed by the value itself, and not by its text."""
    return type.partition("(")[0].strip() in _HASHABLE


def lagging(table: QualifiedName, definition: TableDefinition) -> Iterator[str]:
    """What the application may notice while the copies are behind *table*."""
    referenced = sorted({str(each.references) for each in definition.constraints if each.references})
    if referenced:
        yield (
            f"from the step 'foreign_keys' to the swap, the copies lag a moment behind: a row of "
            f"{', '.join(referenced)} whose last row of {table} is deleted then may be refused its own deletion "
            f"(23503) until that is replayed, and always in the same transaction; ON DELETE CASCADE and SET NULL go "
            f"through"
        )
    yield (
        "a transaction that is REPEATABLE READ or SERIALIZABLE, was begun before the swap, and reads the table for the "
        "first time after it, does not see the rows that changed last"
    )


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def named(names: Iterable[QualifiedName]) -> str:
    found = [str(each) for each in names]
    return ", ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")
