"""The way back: the old table takes its name again, with all that was written since."""

from __future__ import annotations

from collections.abc import Iterator

from sa_partman.plan.actions import Action, DropTable
from sa_partman.plan.conversion import carry
from sa_partman.plan.rewrite.actions import (
    CaptureTree,
    DropLog,
    ReleaseLog,
    RequireAlike,
    RequireCaptured,
    RequirePartition,
)
from sa_partman.plan.rewrite.back import PRESENT
from sa_partman.plan.rewrite.parts import ACCESS_EXCLUSIVE, ENOUGH, FINISH, SWAP
from sa_partman.plan.rewrite.whole import WholeParts, WholeRequest
from sa_partman.plan.steps import Step
from sa_partman.plan.table_actions import AddConstraint, DropConstraint, DropTrigger, Rename


class WholeBack(WholeParts):
    """The steps, once the new table has the name, and a log of its own."""

    def __init__(self, request: WholeRequest) -> None:
        super().__init__(request, request.log.back, source=request.table, target=request.old)

    def back(self) -> Iterator[Step]:
        """They give the old table its name back, with all that was written since."""
        yield self.step(
            PRESENT,
            "look whether the table is what it was made",
            self._present(),
            lock=f"ACCESS SHARE on {self.table}",
        )
        if self.request.divides:
            yield self.step(
                "capture_since",
                "notice when partitions are emptied that came since",
                (CaptureTree(self.table, self.log, rows=False),),
                lock=f"{ACCESS_EXCLUSIVE} on {self.table} for an instant",
                locked=(self.table.quoted,),
            )
        yield self.catch_up()
        yield self.verified([self.table], whole=True)
        leaves = [] if self.request.divides else [each.name for each in self.request.sources]
        yield from self.declared(self.old, leaves, "the old table")
        yield self.step(
            SWAP,
            f"replay the rest, and give the name {self.table} back to the old table",
            self._exchanged(),
            lock=f"{ACCESS_EXCLUSIVE} on {self.table}, and on what refers to it: everybody waits",
            locked=self.locked(),
            guarded=True,
        )
        yield from (self.proven(each.key) for each in self.request.again if each.key.validated)
        yield self.step(
            FINISH,
            "drop the copy",
            (DropTable(self.staging, if_exists=True), DropLog(self.log), DropLog(self.request.log)),
            lock="none on the table",
            locked=tuple(each.quoted for each in self.referenced()),
        )

    def _present(self) -> Iterator[Action]:
        for each in self.request.leaves:
            parent = self.table if each.parent == self.staging else each.parent
            yield RequirePartition(each.name, parent, None)
        yield RequireAlike(self.table, self.old)

    def _exchanged(self) -> Iterator[Action]:
        definition, table = self.definition, self.table
        yield from self._present()
        if self.request.divides:
            yield RequireCaptured(table, self.log)
        yield self.replay(limit=2 * ENOUGH)
        yield ReleaseLog(self.log)
        for each in self.request.again:
            yield DropConstraint(each.key.table, each.key.name)
        for trigger in definition.triggers:
            yield DropTrigger(table, trigger.name)
        yield from self.unstowed()
        yield Rename("TABLE", table, self.staging.name)
        yield Rename("TABLE", self.old, table.name)
        yield from self.owned()
        yield from carry.triggers(definition, table)
        yield from carry.restored(definition)
        for own in self.outbound():
            yield from carry.commented("CONSTRAINT", table, own.comment, own.name)
        for key in (each.key for each in self.request.again):
            yield AddConstraint(key.table, key.name, key.definition, validated=False)
            yield from carry.commented("CONSTRAINT", key.table, key.comment, key.name)
        yield from carry.published(definition, self.staging, table)
