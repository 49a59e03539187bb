"""The steps by which a whole table is rewritten: the new one apart, the copy, the replay, the swap by names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sa_partman.plan.actions import Action, DropTable
from sa_partman.plan.conversion import carry
from sa_partman.plan.rewrite.actions import (
    CaptureChanges,
    CaptureTree,
    CopyChunk,
    CreateLog,
    DropForeignKeys,
    DropLog,
    KeyLog,
    ReleaseLog,
    RequireCaptured,
)
from sa_partman.plan.rewrite.parts import ACCESS_EXCLUSIVE, ENOUGH, FINISH, SWAP, counted, lagging
from sa_partman.plan.rewrite.request import RewritePlan
from sa_partman.plan.rewrite.whole import WholeParts, WholeRequest
from sa_partman.plan.rewrite.whole_back import WholeBack
from sa_partman.plan.steps import Step
from sa_partman.plan.table_actions import Analyze, Comment, DropConstraint, DropIndex, DropTrigger, Rename


def plan_whole(request: WholeRequest) -> RewritePlan:
    """The steps, or every reason why there are none."""
    plan = RewritePlan(
        request.kind,
        request.table,
        refusals=request.refusals,
        notes=(*request.notes, *_notes(request)),
        sources=request.sources,
        pieces=request.pieces,
    )
    if request.refusals:
        return plan
    return replace(plan, steps=tuple(_Whole(request).steps()), back=tuple(WholeBack(request).back()))


def _notes(request: WholeRequest) -> Iterator[str]:
    yield (
        f"the table as it was is kept as {request.old} until the step {FINISH!r}: until then what was written can be "
        f"taken back with --undo, and the disk holds the rows twice"
    )
    if not request.is_small:
        yield from lagging(request.table, request.definition)


class _Whole(WholeParts):
    def __init__(self, request: WholeRequest) -> None:
        super().__init__(request, request.log, source=request.table, target=request.staging)

    def steps(self) -> Iterator[Step]:
        request = self.request
        if request.is_small:
            yield self._at_once()
        else:
            what = counted(len(request.leaves), "partition") if request.divides else "one table"
            yield self.step(
                "targets",
                f"build {what} apart",
                self._made(),
                (DropTable(self.staging, if_exists=True),),
                lock=f"ACCESS SHARE on {self.table}",
            )
            yield self._captured()
            yield from map(self.copied, request.sources)
            yield self.settled()
            yield from self.indexed(self._keys())
            yield self.step("analyze", "analyze the copy", (Analyze(self.staging),), lock="none", scans="a sample")
            yield self.step(
                "capture_back",
                "write the keys of rows of the copy that change to another log, for --undo",
                self._back_captured(),
                (ReleaseLog(self.log.back), DropLog(self.log.back)),
                lock="none on the table",
            )
            yield from self._captured_since()
            yield self.catch_up()
            yield self.verified([self.table], whole=True)
            yield from self.declared(self.staging, [each.name for each in request.leaves], "the copy")
            yield self._swapped()
        yield from (self.proven(each.key) for each in request.again if each.key.validated)
        yield self._finished()

    # -- apart

    def _made(self) -> Iterator[Action]:
        """All that nobody notices before the swap; triggers would fire for the copy, and the comment tells of it."""
        definition, request = self.definition, self.request
        yield from carry.create_like(definition, self.staging, request.partition_by)
        yield from carry.identities(definition, self.staging)
        yield from carry.extended_statistics(definition, self.staging)
        for action in carry.table_settings(definition, self.staging):
            if not (isinstance(action, Comment) and action.kind == "TABLE"):
                yield action
        for each in request.partitions:
            yield each
            yield from carry.leaf_settings(definition, each.name, divided=each.partition_by is not None)
        yield Comment("TABLE", self.staging, "{}")

    def _keys(self) -> Iterator[Action]:
        request = self.request
        yield from carry.keys(self.definition, self.staging, request.primary_key, request.dropped)
        yield from carry.index_targets(self.definition, self.staging, request.dropped)
        if request.helper is not None:
            yield request.helper

    # -- changes

    def _captured(self) -> Step:
        log = self.log
        capture: Action = CaptureChanges(self.table, log) if self.request.divides else CaptureTree(self.table, log)
        return self.step(
            "capture",
            "write the keys of rows that change to a log",
            (CreateLog(log, self.table, self.columns), capture),
            (ReleaseLog(log), DropLog(log)),
            lock=f"{ACCESS_EXCLUSIVE} on {self.table} for an instant",
            # Whoever holds on to it is looked for first: writers would queue behind the trigger.
            locked=(self.table.quoted,),
        )

    def _captured_since(self) -> Iterator[Step]:
        """Partitions may have come since."""
        if not self.request.divides:
            yield self.step(
                "capture_since",
                "notice when partitions are emptied that came since",
                (CaptureTree(self.table, self.log, rows=False),),
                lock=f"SHARE ROW EXCLUSIVE on partitions that came since, {ACCESS_EXCLUSIVE} for an instant",
                locked=(self.table.quoted,),
            )

    def _back_captured(self) -> Iterator[Action]:
        log: KeyLog = self.log.back
        yield CreateLog(log, self.table, self.columns)
        yield CaptureTree(self.staging, log) if self.request.divides else CaptureChanges(self.staging, log)

    # -- the swap

    def _swapped(self) -> Step:
        return self.step(
            SWAP,
            f"replay the rest, and give the name {self.table} to the copy",
            (
                *self.request.local,
                *(() if self.request.divides else (RequireCaptured(self.table, self.log),)),
                self.replay(limit=2 * ENOUGH),
                ReleaseLog(self.log),
                *self._exchanged(),
            ),
            lock=f"{ACCESS_EXCLUSIVE} on {self.table}, and on what refers to it: everybody waits",
            locked=self.locked(),
            guarded=True,
        )

    def _at_once(self) -> Step:
        """Small: all in one transaction, while everybody waits for an instant."""
        request = self.request
        return self.step(
            SWAP,
            f"copy the rows, and give the name {self.table} to the copy",
            (
                *request.local,
                *self._made(),
                CreateLog(self.log, self.table, self.columns),
                *(CopyChunk(each.name, self.staging, self.columns, whole=True) for each in request.sources),
                *self._keys(),
                self.compared([self.table], whole=True),
                *carry.foreign_keys(self.outbound(), self.staging),
                Analyze(self.staging),
                *self._back_captured(),
                *self._exchanged(),
            ),
            lock=f"{ACCESS_EXCLUSIVE} on {self.table}, and on what refers to it: everybody waits",
            scans="the rows a few times",
            locked=self.locked(),
        )

    def _exchanged(self) -> Iterator[Action]:
        definition, table, request = self.definition, self.table, self.request
        for key in definition.inbound:
            yield DropConstraint(key.table, key.name)
        for trigger in definition.triggers:
            yield DropTrigger(table, trigger.name)
        yield from self.stowed()
        yield Rename("TABLE", table, self.old.name)
        if self.outbound():
            # What its rows refer to may be deleted from now on.
            yield DropForeignKeys(self.old)
        yield Rename("TABLE", self.staging, table.name)
        yield Comment("TABLE", table, dict(definition.comments).get(None))
        yield from carry.take_names(definition, request.primary_key, request.dropped)
        yield from carry.take_sequence_names(definition)
        yield from self.owned()
        yield from carry.triggers(definition, table)
        yield from carry.restored(definition)
        for member in (table, *(each.name for each in request.partitions)):
            yield from carry.late_policies(definition, member)
        for each in request.again:
            yield from each.added(table)
        yield from carry.published(definition, self.old, table)

    def _finished(self) -> Step:
        helper = self.request.helper
        return self.step(
            FINISH,
            f"drop {self.old}, the table as it was",
            (
                ReleaseLog(self.log.back),
                *(() if helper is None else (DropIndex(self.table.sibling(helper.name), if_exists=True),)),
                DropTable(self.old, if_exists=True),
                DropLog(self.log),
                DropLog(self.log.back),
            ),
            lock=f"{ACCESS_EXCLUSIVE} on {self.table} for an instant",
            locked=(self.table.quoted,),
        )
