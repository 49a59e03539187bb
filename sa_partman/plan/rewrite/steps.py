"""The steps of a rewrite: new partitions apart, a log of changes, the copy, indexes, the replay, and the swap."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from sa_partman.plan.actions import Action, AttachPartition, CreateTable, DetachPartition, DropTable
from sa_partman.plan.conversion import carry
from sa_partman.plan.membership import as_members, is_late
from sa_partman.plan.rewrite.actions import (
    CaptureChanges,
    CopyChunk,
    CreateLog,
    DropForeignKeys,
    DropLog,
    ReleaseChanges,
    RequirePartition,
)
from sa_partman.plan.rewrite.back import WayBack
from sa_partman.plan.rewrite.parts import (
    ACCESS_EXCLUSIVE,
    ENOUGH,
    FINISH,
    SWAP,
    RewriteParts,
    counted,
    lagging,
    named,
)
from sa_partman.plan.rewrite.refusals import refusals_of
from sa_partman.plan.rewrite.request import RewritePlan, RewriteRequest
from sa_partman.plan.steps import Purpose, Step
from sa_partman.plan.table_actions import (
    AddCheck,
    AddConstraint,
    Analyze,
    Comment,
    DropConstraint,
    Publish,
    Rename,
)


def plan_rewrite(request: RewriteRequest) -> RewritePlan:
    """The steps, or every reason why there are none."""
    refusals = tuple(refusals_of(request))
    plan = RewritePlan(
        request.kind, request.table, (), refusals, tuple(_notes(request)), request.sources, request.pieces
    )
    if refusals:
        return plan
    return replace(plan, steps=tuple(_Rewrite(request).steps()), back=tuple(WayBack(request).back()))


def _notes(request: RewriteRequest) -> Iterator[str]:
    names = ", ".join(str(each.name) for each in request.sources)
    yield (
        f"{names} and the copies are both kept until the step {FINISH!r}: until then what was written can be taken "
        f"back with --undo, and the disk holds the rows twice"
    )
    if not request.is_small:
        yield from lagging(request.table, request.definition)


class _Rewrite(RewriteParts):
    def steps(self) -> Iterator[Step]:
        made, late = self._targets()
        if self.request.is_small:
            yield from self._at_once(made, late)
        else:
            yield self.step(
                "targets",
                f"build {counted(len(self.request.pieces), 'partition')} apart",
                made,
                (DropTable(self.staging, if_exists=True),),
                lock=f"ACCESS SHARE on {self.parent}",
            )
            yield self._capture()
            yield from map(self.copied, self.request.sources)
            yield self.settled()
            yield from self.indexed(self._keys())
            yield self._proofs()
            yield self._analyze()
            yield from self.exclusion()
            yield self._capture_back()
            yield self.catch_up()
            yield self.verified(each.name for each in self.request.sources)
            yield from self._foreign_keys()
            yield self._swap(late)
        yield self._retire()
        yield from self.inbound_proofs()
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

    def _analyzed(self) -> Iterator[Action]:
        """One by one: nobody asks for what the staging table has in all."""
        return (Analyze(piece.working) for piece in self.request.pieces)

    def _capture(self) -> Step:
        sources = [each.name for each in self.request.sources]
        return self.step(
            "capture",
            "write the keys of rows that change to a log",
            (CreateLog(self.log, self.parent, self.columns), *(CaptureChanges(each, self.log) for each in sources)),
            (*map(ReleaseChanges, sources), DropLog(self.log)),
            lock=f"{ACCESS_EXCLUSIVE} on {named(sources)} for an instant",
            # Whoever holds on to one is looked for first: writers would queue behind the trigger.
            locked=tuple(each.quoted for each in sources),
        )

    def _capture_back(self) -> Step:
        """For the way back; before the swap, which has to be short."""
        return self.step(
            "capture_back",
            "write the keys of rows of the copies that change to another log, for --undo",
            self._back_capture(),
            (*(ReleaseChanges(each.working) for each in self.request.pieces), DropLog(self.log.back)),
            lock="none on the table",
        )

    def _back_capture(self) -> tuple[Action, ...]:
        log = self.log.back
        return (
            CreateLog(log, self.parent, self.columns),
            *(CaptureChanges(each.working, log) for each in self.request.pieces),
        )

    def _keys(self) -> Iterator[Action]:
        present = self.definition.primary_key
        primary_key = () if present is None else tuple(str(each) for each in present.columns)
        return carry.keys(self.definition, self.staging, primary_key, frozenset())

    def _proofs(self) -> Step:
        return self.step(
            "proof",
            "prove the bound of each copy",
            self._proof_actions(),
            (),
            lock="none on the table",
            scans="the copies once",
        )

    def _proof_actions(self) -> Iterator[Action]:
        for piece in self.request.pieces:
            predicate = self.predicate(piece)
            if predicate is not None:
                yield AddCheck(piece.working, piece.proof, predicate)

    def _foreign_keys(self) -> Iterator[Step]:
        """
        Of each copy, so that the partitioned table takes them over without reading it. As late as can be: until the
        swap, a row that a copy still refers to can't be deleted from the table that it is in.
        """
        return self.foreign_keys([piece.working for piece in self.request.pieces], "the copies")

    def _analyze(self) -> Step:
        return self.step("analyze", "analyze the copies", self._analyzed(), lock="none on the table", scans="a sample")

    def _swap(self, late: Iterable[Action]) -> Step:
        sources = self.request.sources
        return self.step(
            SWAP,
            f"replay the rest, and put {counted(len(self.request.pieces), 'partition')} in the place of "
            f"{named(each.name for each in sources)}",
            (
                *self._still_there(),
                self.replay(limit=2 * ENOUGH),
                *(ReleaseChanges(each.name) for each in sources),
                *self._exchange(late),
            ),
            lock=f"{ACCESS_EXCLUSIVE} on {self.parent} and {named(each.name for each in sources)}: everybody waits",
            locked=self.locked(),
            # A new default partition is searched when others were added meanwhile; it has what nothing else takes.
            guarded=self.excludes,
        )

    def _still_there(self) -> Iterator[Action]:
        return (RequirePartition(each.name, self.parent, each.printed) for each in self.request.sources)

    def _exchange(self, late: Iterable[Action]) -> Iterator[Action]:
        for inbound in self.definition.inbound:
            yield DropConstraint(inbound.table, inbound.name)
        for source in self.request.sources:
            yield DetachPartition(self.parent, source.name, source.bound, self.key)
            # Nobody writes into it by its name any more; and what its rows refer to may be deleted.
            yield Rename("TABLE", source.name, self.kept(source).name)
            if self.outbound():
                yield DropForeignKeys(self.kept(source))
        for piece in self.request.pieces:
            yield DetachPartition(self.staging, piece.working, piece.bound, self.key)
        for piece in self.request.pieces:
            if piece.working != piece.name:
                yield Rename("TABLE", piece.working, piece.name.name)
            yield AttachPartition(self.parent, piece.name, piece.bound, self.key)
            if self.predicate(piece) is not None:
                yield DropConstraint(piece.name, piece.proof)
        yield from self._afterwards(late)
        if self.request.default is not None and not self.request.is_small and self.excludes:
            yield DropConstraint(self.request.default, self.request.exclusion, if_exists=True)
        yield from self.inbound_again()

    def _afterwards(self, late: Iterable[Action]) -> Iterator[Action]:
        working = {piece.working: piece.name for piece in self.request.pieces}
        for action in late:
            table = getattr(action, "table", None)
            yield replace(action, table=working[table]) if table in working else action  # type: ignore[type-var]

    def _at_once(self, made: tuple[Action, ...], late: tuple[Action, ...]) -> Iterator[Step]:
        """Small: all in one transaction, while everybody waits for an instant."""
        yield self.step(
            SWAP,
            f"move the rows, and put {counted(len(self.request.pieces), 'partition')} in the place of "
            f"{named(each.name for each in self.request.sources)}",
            (
                *self._still_there(),
                *made,
                CreateLog(self.log, self.parent, self.columns),
                *(CopyChunk(each.name, self.staging, self.columns, whole=True) for each in self.request.sources),
                *self._keys(),
                *self._proof_actions(),
                self.compared(each.name for each in self.request.sources),
                *self._analyzed(),
                *self._back_capture(),
                *self._exchange(late),
            ),
            lock=f"{ACCESS_EXCLUSIVE} on {self.parent} and its partitions in question: everybody waits",
            scans="the rows a few times",
            locked=self.locked(),
        )

    def _retire(self) -> Step:
        """They are kept as partitions of the staging table, so that the way back is the same as the way there."""
        return self.step(
            "retire",
            f"keep {named(each.name for each in self.request.sources)} for --undo",
            (
                AttachPartition(self.staging, self.kept(source), source.bound, self.key)
                for source in self.request.sources
            ),
            lock="none on the table",
            scans="the old partitions once",
        )

    def _finish(self) -> Step:
        pieces = [piece.name for piece in self.request.pieces]
        return self.step(
            FINISH,
            f"drop {named(each.name for each in self.request.sources)}",
            (
                *map(ReleaseChanges, pieces),
                DropTable(self.staging, if_exists=True),
                DropLog(self.log),
                DropLog(self.log.back),
            ),
            lock=f"{ACCESS_EXCLUSIVE} on each new partition, and on the tables that they refer to, for an instant",
            locked=tuple(each.quoted for each in (*self.referenced(), *pieces)),
        )
