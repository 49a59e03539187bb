"""The steps of a rewrite: new partitions apart, a log of changes, the copy, indexes, the replay, and the swap."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from sa_partman.bounds.bound import Bound, DefaultBound
from sa_partman.bounds.predicate import check_predicate
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import Action, AttachPartition, CreateTable, DetachPartition, DropTable
from sa_partman.plan.conversion import carry
from sa_partman.plan.conversion.request import resume_point
from sa_partman.plan.membership import as_members, is_late
from sa_partman.plan.rewrite.actions import (
    CaptureChanges,
    ChangesLeft,
    CompareRows,
    CopyChunk,
    CreateLog,
    DropLog,
    PagesLeft,
    ReleaseChanges,
    Replay,
    RequirePartition,
)
from sa_partman.plan.rewrite.refusals import refusals_of
from sa_partman.plan.rewrite.request import Piece, RewritePlan, RewriteRequest, Source, retired
from sa_partman.plan.steps import Purpose, Step
from sa_partman.plan.table_actions import (
    AddCheck,
    AddConstraint,
    AddPrimaryKey,
    Analyze,
    Comment,
    CreateIndex,
    DropConstraint,
    Publish,
    Rename,
    ValidateConstraint,
)
from sa_partman.table.definition import Constraint, InboundKey

FINISH = "finalize"
"""The id of the step behind which there is no way back."""

SWAP = "cutover"
"""The id of the step that a changed table must not reach."""

ENOUGH = 500
"""Changes that are few enough to be replayed while the table is locked."""

_AX = "ACCESS EXCLUSIVE"
_SUX = "SHARE UPDATE EXCLUSIVE"


def plan_rewrite(request: RewriteRequest) -> RewritePlan:
    """The steps, or every reason why there are none."""
    refusals = tuple(refusals_of(request))
    plan = RewritePlan(
        request.kind, request.table, (), refusals, tuple(_notes(request)), request.sources, request.pieces
    )
    if refusals:
        return plan
    rewrite = _Rewrite(request)
    return replace(plan, steps=tuple(rewrite.steps()), back=tuple(rewrite.back()))


def _notes(request: RewriteRequest) -> Iterator[str]:
    names = ", ".join(str(each.name) for each in request.sources)
    yield (
        f"{names} and the copies are both kept until the step {FINISH!r}: until then what was written can be taken "
        f"back with --undo, and the disk holds the rows twice"
    )
    if not request.is_small:
        yield (
            "a transaction that is REPEATABLE READ or SERIALIZABLE, was begun before the swap, and reads the table for "
            "the first time after it, does not see the rows that changed last"
        )


class _Rewrite:
    def __init__(self, request: RewriteRequest) -> None:
        self.request, self.definition = request, request.definition
        self.table, self.parent, self.staging = request.table, request.parent, request.staging
        self.log, self.key, self.columns = request.log, request.key, request.columns

    # -- the way there -----------------------------------------------------------------------------------------------

    def steps(self) -> Iterator[Step]:
        made, late = self._targets()
        if self.request.is_small:
            yield from self._at_once(made, late)
        else:
            yield self._step(
                "targets",
                f"build {_counted(len(self.request.pieces), 'partition')} apart",
                made,
                (DropTable(self.staging, if_exists=True),),
                lock=f"ACCESS SHARE on {self.parent}",
            )
            yield self._capture()
            yield from map(self._copy, self.request.sources)
            yield self._settle()
            yield from self._indexes()
            yield self._proofs()
            yield from self._foreign_keys()
            yield self._analyze()
            yield from self._exclusion()
            yield self._catch_up()
            yield self._verify()
            yield self._swap(late)
        yield self._retire()
        yield from self._inbound_proofs()
        yield self._finish()

    def _targets(self) -> tuple[tuple[Action, ...], tuple[Action, ...]]:
        """What makes the staging table and its partitions; and what can be done only when these are attached."""
        made: list[Action] = [
            CreateTable(self.staging, self.parent, self.request.partition_by, bare=True),
            Comment("TABLE", self.staging, "{}"),
        ]
        apart: list[Action] = []
        for piece in self.request.pieces:
            apart.append(CreateTable(piece.working, self.parent, unlogged=self.request.unlogged))
            apart.append(AttachPartition(self.staging, piece.working, piece.bound, self.key))
        step = Step(Purpose.REWRITE, self.table, self.table, None, tuple(apart))
        members = as_members(step, self.request.membership).actions
        late = tuple(each for each in members if is_late(each) or isinstance(each, Publish))
        checks = (each for each in self.definition.constraints if each.kind == "c")
        constrained = (AddConstraint(self.staging, each.name, each.definition) for each in checks)
        return (*made, *constrained, *(each for each in members if each not in late)), late

    def _capture(self) -> Step:
        sources = [each.name for each in self.request.sources]
        return self._step(
            "capture",
            "write the keys of rows that change to a log",
            (CreateLog(self.log, self.parent, self.columns), *(CaptureChanges(each, self.log) for each in sources)),
            (*map(ReleaseChanges, sources), DropLog(self.log)),
            lock=f"SHARE ROW EXCLUSIVE on {_named(sources)} for an instant: readers go on, writers wait",
        )

    def _copy(self, source: Source) -> Step:
        return self._step(
            f"copy:{source.name}",
            f"copy the rows of {source.name}",
            (CopyChunk(source.name, self.staging, self.columns),),
            lock=f"ACCESS SHARE on {source.name}: readers and writers go on",
            scans=f"{source.name} once",
            until=PagesLeft(source.name, self.staging),
        )

    def _settle(self) -> Step:
        return self._step(
            "settle",
            "replay what changed during the copy",
            (self._replay(indexed=False),),
            lock=f"ACCESS SHARE on {self.parent}: readers and writers go on",
            scans="the copies once",
        )

    def _replay(self, *, indexed: bool = True, limit: int | None = None) -> Replay:
        return Replay(self.parent, self.staging, self.log, self.columns, indexed, limit)

    def _indexes(self) -> Iterator[Step]:
        """One after the other, each on all copies."""
        for place, group in enumerate(self._index_actions()):
            name = getattr(group[0], "name", "")
            yield self._step(
                f"index:{place}:{name}",
                f"build the index {name} of the copies",
                group,
                lock="none on the table",
                scans="the copies once",
            )

    def _index_actions(self) -> Iterator[tuple[Action, ...]]:
        present = self.definition.primary_key
        primary_key = () if present is None else tuple(str(each) for each in present.columns)
        group: list[Action] = []
        for action in carry.keys(self.definition, self.staging, primary_key, frozenset()):
            if isinstance(action, AddPrimaryKey | AddConstraint | CreateIndex) and group:
                yield tuple(group)
                group = []
            group.append(action)
        if group:
            yield tuple(group)

    def _proofs(self) -> Step:
        return self._step(
            "proof",
            "prove the bound of each copy",
            self._proof_actions(),
            (),
            lock="none on the table",
            scans="the copies once",
        )

    def _proof_actions(self) -> Iterator[Action]:
        for piece in self.request.pieces:
            predicate = self._predicate(piece)
            if predicate is not None:
                yield AddCheck(piece.working, piece.proof, predicate)

    def _predicate(self, piece: Piece | Source) -> str | None:
        """What is true of its rows and of no others, in a form from which the server proves it."""
        if not isinstance(piece.bound, DefaultBound):
            return self._condition(piece.bound)
        beside = self.request.pieces if isinstance(piece, Piece) else ()
        bounds = (*self.request.siblings, *(each.bound for each in beside))
        given = "".join(f"{part.sql} IS NOT NULL AND " for part in self.key.parts)
        taken = [f"({each.removeprefix(given)})" for each in map(self._condition, bounds) if each is not None]
        # PostgreSQL's own form, and it proves nothing from others.
        return f"NOT ({given}({' OR '.join(taken)}))"

    def _condition(self, bound: Bound) -> str | None:
        return check_predicate(bound, [part.sql for part in self.key.parts], self.key.types)

    def _foreign_keys(self) -> Iterator[Step]:
        """Of each copy, so that the partitioned table takes them over without reading it."""
        keys = self._outbound()
        if not keys:
            return
        pieces = self.request.pieces
        yield self._step(
            "foreign_keys",
            "give the copies the foreign keys of the table",
            (
                AddConstraint(piece.working, key.name, key.definition, validated=False)
                for key in keys
                for piece in pieces
            ),
            lock=f"SHARE ROW EXCLUSIVE on {_named(self._referenced())} for an instant",
        )
        yield self._step(
            "foreign_keys_validated",
            "prove the foreign keys of the copies",
            (ValidateConstraint(piece.working, key.name) for key in keys for piece in pieces),
            lock=f"ROW SHARE on {_named(self._referenced())}: readers and writers go on",
            scans="the copies once for each",
        )

    def _outbound(self) -> tuple[Constraint, ...]:
        return tuple(each for each in self.definition.constraints if each.kind == "f")

    def _referenced(self) -> tuple[QualifiedName, ...]:
        found = {each.references for each in self._outbound() if each.references is not None}
        return tuple(sorted(found, key=str))

    def _analyze(self) -> Step:
        return self._step(
            "analyze", "analyze the copies", (Analyze(self.staging),), lock="none on the table", scans="a sample"
        )

    def _exclusion(self) -> Iterator[Step]:
        """A default partition that stays would be searched for rows of the new partitions while all wait."""
        default = self.request.default
        if default is None or any(isinstance(each.bound, DefaultBound) for each in self.request.sources):
            return
        predicates = [f"({each})" for each in map(self._predicate, self.request.sources) if each is not None]
        name = self.request.exclusion
        yield self._step(
            "exclude",
            f"promise that {default} gets no row of them",
            (AddCheck(default, name, f"NOT ({' OR '.join(predicates)})", validated=False),),
            (DropConstraint(default, name, if_exists=True),),
            lock=f"{_AX} on {default} for an instant",
            locked=(default.quoted,),
            guarded=True,
        )
        yield self._step(
            "exclude_validated",
            "prove that it has none",
            (ValidateConstraint(default, name),),
            lock=f"{_SUX} on {default}: readers and writers go on",
            scans=f"{default} once",
        )

    def _catch_up(self) -> Step:
        return self._step(
            "catch_up",
            "replay what changed since, until little is left",
            (self._replay(),),
            lock=f"ACCESS SHARE on {self.parent}: readers and writers go on",
            until=ChangesLeft(self.log, ENOUGH),
        )

    def _verify(self) -> Step:
        return self._step(
            "verify",
            "compare the copies with the rows",
            (self._compare(),),
            lock=f"ACCESS SHARE on {_named(each.name for each in self.request.sources)}: readers and writers go on",
            scans="the rows and the copies once",
        )

    def _compare(self) -> CompareRows:
        columns = tuple((each.name, _hashable(each.type)) for each in self.definition.columns)
        return CompareRows(tuple(each.name for each in self.request.sources), self.staging, self.log, columns)

    # -- the swap ----------------------------------------------------------------------------------------------------

    def _swap(self, late: Iterable[Action]) -> Step:
        sources = self.request.sources
        return self._step(
            SWAP,
            f"replay the rest, and put {_counted(len(self.request.pieces), 'partition')} in the place of "
            f"{_named(each.name for each in sources)}",
            (
                *self._still_there(),
                self._replay(limit=2 * ENOUGH),
                *(ReleaseChanges(each.name) for each in sources),
                *self._exchange(late, proven=True),
            ),
            lock=f"{_AX} on {self.parent} and {_named(each.name for each in sources)}: everybody waits",
            locked=self._locked(),
            # A new default partition is searched when others were added meanwhile; it has what nothing else takes.
            guarded=self._excludes,
        )

    def _still_there(self) -> Iterator[Action]:
        return (RequirePartition(each.name, self.parent, each.printed) for each in self.request.sources)

    def _locked(self) -> tuple[str, ...]:
        """Referenced tables first, as an application locks them that writes both."""
        default = self.request.default
        inbound = {each.table.quoted for each in self.definition.inbound}
        names = (
            *(each.quoted for each in self._referenced()),
            f"ONLY {self.parent.quoted}",
            *(each.name.quoted for each in self.request.sources),
            *(() if default is None else (default.quoted,)),
            *sorted(inbound),
        )
        return tuple(dict.fromkeys(names))

    def _exchange(self, late: Iterable[Action], *, proven: bool) -> Iterator[Action]:
        for inbound in self.definition.inbound:
            yield DropConstraint(inbound.table, inbound.name)
        for source in self.request.sources:
            yield DetachPartition(self.parent, source.name, source.bound, self.key)
        for piece in self.request.pieces:
            yield DetachPartition(self.staging, piece.working, piece.bound, self.key)
        for piece in self.request.pieces:
            if piece.working != piece.name:
                yield Rename("TABLE", piece.name, retired(piece.name).name)
                yield Rename("TABLE", piece.working, piece.name.name)
            yield AttachPartition(self.parent, piece.name, piece.bound, self.key)
            if proven and self._predicate(piece) is not None:
                yield DropConstraint(piece.name, piece.proof)
        yield from self._afterwards(late)
        for piece in self.request.pieces:
            yield CaptureChanges(piece.name, self.log)
        if self.request.default is not None and not self.request.is_small and self._excludes:
            yield DropConstraint(self.request.default, self.request.exclusion, if_exists=True)
        yield from self._inbound_again()

    @property
    def _excludes(self) -> bool:
        return not any(isinstance(each.bound, DefaultBound) for each in self.request.sources)

    def _afterwards(self, late: Iterable[Action]) -> Iterator[Action]:
        working = {piece.working: piece.name for piece in self.request.pieces}
        for action in late:
            table = getattr(action, "table", None)
            yield replace(action, table=working[table]) if table in working else action  # type: ignore[type-var]

    def _inbound_again(self) -> Iterator[Action]:
        for inbound in self.definition.inbound:
            yield AddConstraint(inbound.table, inbound.name, inbound.definition, validated=False)
            yield from carry.commented("CONSTRAINT", inbound.table, inbound.comment, inbound.name)

    def _at_once(self, made: tuple[Action, ...], late: tuple[Action, ...]) -> Iterator[Step]:
        """Small: all in one transaction, while everybody waits for an instant."""
        yield self._step(
            SWAP,
            f"move the rows, and put {_counted(len(self.request.pieces), 'partition')} in the place of "
            f"{_named(each.name for each in self.request.sources)}",
            (
                *self._still_there(),
                *made,
                CreateLog(self.log, self.parent, self.columns),
                *(CopyChunk(each.name, self.staging, self.columns, whole=True) for each in self.request.sources),
                *(action for group in self._index_actions() for action in group),
                *self._proof_actions(),
                self._compare(),
                Analyze(self.staging),
                *self._exchange(late, proven=True),
            ),
            lock=f"{_AX} on {self.parent} and {_named(each.name for each in self.request.sources)}: everybody waits",
            scans="the rows a few times",
            locked=self._locked(),
        )

    # -- afterwards --------------------------------------------------------------------------------------------------

    def _retire(self) -> Step:
        """They are kept as partitions of the staging table, so that the way back is the same as the way there."""
        return self._step(
            "retire",
            f"keep {_named(each.name for each in self.request.sources)} for --undo",
            (
                AttachPartition(self.staging, self._kept(source), source.bound, self.key)
                for source in self.request.sources
            ),
            lock="none on the table",
            scans="the old partitions once",
        )

    def _kept(self, source: Source) -> QualifiedName:
        taken = any(piece.name == source.name for piece in self.request.pieces)
        return retired(source.name) if taken else source.name

    def _inbound_proofs(self) -> Iterator[Step]:
        for inbound in self.definition.inbound:
            if inbound.validated:
                yield self._proven(inbound)

    def _proven(self, inbound: InboundKey) -> Step:
        return self._step(
            f"inbound:{inbound.table}.{inbound.name}",
            f"prove the foreign key {inbound.name} of {inbound.table} again",
            (ValidateConstraint(inbound.table, inbound.name),),
            lock=f"{_SUX} on {inbound.table}: readers and writers go on",
            scans=f"{inbound.table} once",
        )

    def _finish(self) -> Step:
        pieces = [piece.name for piece in self.request.pieces]
        return self._step(
            FINISH,
            f"drop {_named(each.name for each in self.request.sources)}",
            (*map(ReleaseChanges, pieces), DropTable(self.staging, if_exists=True), DropLog(self.log)),
            lock=f"{_AX} on each new partition and on {_named(self._referenced()) or 'no other table'} for an instant",
            locked=tuple(each.quoted for each in (*self._referenced(), *pieces)),
        )

    # -- the way back ------------------------------------------------------------------------------------------------

    def back(self) -> Iterator[Step]:
        """They give the table its old partitions back, with all that was written since."""
        yield self._catch_up()
        yield self._step(
            "proof",
            "prove the bound of each old partition",
            self._old_proofs(),
            self._old_unproofs(),
            lock="none on the table",
            scans="the old partitions once",
        )
        yield from self._exclusion()
        yield self._step(
            "catch_up_again",
            "replay what changed since, until little is left",
            (self._replay(),),
            lock=f"ACCESS SHARE on {self.parent}: readers and writers go on",
            until=ChangesLeft(self.log, ENOUGH),
        )
        yield self._step(
            SWAP,
            f"give {self.parent} back {_named(each.name for each in self.request.sources)}",
            self._back_actions(),
            lock=f"{_AX} on {self.parent} and the new partitions: everybody waits",
            locked=self._locked_back(),
            guarded=True,
        )
        yield from self._inbound_proofs()
        yield self._step(
            FINISH,
            "drop the copies",
            (
                *(DropTable(piece.working, if_exists=True) for piece in self.request.pieces),
                DropTable(self.staging, if_exists=True),
                DropLog(self.log),
            ),
            lock="none on the table",
            locked=tuple(each.quoted for each in self._referenced()),
        )

    def _old_proofs(self) -> Iterator[Action]:
        for source in self.request.sources:
            predicate = self._predicate(source)
            if predicate is not None:
                yield AddCheck(self._kept(source), self._old_proof(source), predicate)

    def _old_unproofs(self) -> Iterator[Action]:
        for source in self.request.sources:
            if self._predicate(source) is not None:
                yield DropConstraint(self._kept(source), self._old_proof(source), if_exists=True)

    def _old_proof(self, source: Source) -> str:
        return Piece(source.name, source.bound, source.name).proof

    def _locked_back(self) -> tuple[str, ...]:
        sources = {each.name.quoted for each in self.request.sources}
        others = [each for each in self._locked() if each not in sources]
        return (*others, *(piece.name.quoted for piece in self.request.pieces))

    def _back_actions(self) -> Iterator[Action]:
        yield self._replay(limit=2 * ENOUGH)
        yield from (ReleaseChanges(piece.name) for piece in self.request.pieces)
        for inbound in self.definition.inbound:
            yield DropConstraint(inbound.table, inbound.name)
        for piece in self.request.pieces:
            yield DetachPartition(self.parent, piece.name, piece.bound, self.key)
            if piece.working != piece.name:
                yield Rename("TABLE", piece.name, piece.working.name)
        for source in self.request.sources:
            kept = self._kept(source)
            yield DetachPartition(self.staging, kept, source.bound, self.key)
            if kept != source.name:
                yield Rename("TABLE", kept, source.name.name)
            yield AttachPartition(self.parent, source.name, source.bound, self.key)
            if self._predicate(source) is not None:
                yield DropConstraint(source.name, self._old_proof(source))
        if self.request.default is not None and self._excludes:
            yield DropConstraint(self.request.default, self.request.exclusion, if_exists=True)
        yield from self._inbound_again()

    def _step(self, id: str, title: str, actions: Iterable[Action], undo: Iterable[Action] = (), **more: Any) -> Step:
        return resume_point(Purpose.REWRITE, self.table, id, title, actions, undo, **more)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _named(names: Iterable[QualifiedName]) -> str:
    found = [str(each) for each in names]
    return ", ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")


_HASHABLE = frozenset(
    {
        *("smallint", "integer", "bigint", "oid", "boolean", "uuid", "date", "text", "bytea", "jsonb", "inet", "cidr"),
        *("timestamp without time zone", "timestamp with time zone", "interval", "real", "double precision", "macaddr"),
    }
)


def _hashable(type: str) -> bool:
    """Whether rows are hashed by the value itself, and not by its text."""
    return type.partition("(")[0].strip() in _HASHABLE
