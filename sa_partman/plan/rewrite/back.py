"""The way back of a rewrite: the table gets its old partitions again, with all that was written since."""

from __future__ import annotations

from collections.abc import Iterator

from sa_partman.plan.actions import Action, AttachPartition, DetachPartition, DropTable
from sa_partman.plan.rewrite.actions import (
    DropLog,
    ReleaseChanges,
    RequirePartition,
)
from sa_partman.plan.rewrite.parts import (
    ACCESS_EXCLUSIVE,
    ENOUGH,
    FINISH,
    SWAP,
    RewriteParts,
    named,
)
from sa_partman.plan.rewrite.request import NewPartition, RewriteRequest, Source
from sa_partman.plan.steps import Step
from sa_partman.plan.table_actions import (
    AddCheck,
    DropConstraint,
    Rename,
)

PRESENT = "present"
"""The id of the first step: a partition that was removed meanwhile would come back with its rows."""


class WayBack(RewriteParts):
    """The steps, once the new partitions are in place, and have a log of their own."""

    def __init__(self, request: RewriteRequest) -> None:
        super().__init__(request)
        self.log = request.log.back

    def back(self) -> Iterator[Step]:
        """They give the table its old partitions back, with all that was written since."""
        yield self.step(
            PRESENT,
            "look whether every new partition is there",
            (RequirePartition(piece.name, self.parent, None) for piece in self.request.pieces),
            lock=f"ACCESS SHARE on {self.parent}",
        )
        yield self.catch_up()
        yield self.step(
            "proof",
            "prove the bound of each old partition",
            self._old_proofs(),
            self._old_unproofs(),
            lock="none on the table",
            scans="the old partitions once",
        )
        yield from self.exclusion()
        yield self.catch_up("catch_up_again")
        yield from self.foreign_keys([self.kept(each) for each in self.request.sources], "the old partitions")
        yield self.step(
            SWAP,
            f"give {self.parent} back {named(each.name for each in self.request.sources)}",
            self._back_actions(),
            lock=f"{ACCESS_EXCLUSIVE} on {self.parent} and the new partitions: everybody waits",
            locked=self._locked_back(),
            guarded=True,
        )
        yield from self.inbound_proofs()
        yield self.step(
            FINISH,
            "drop the copies",
            (
                *(DropTable(piece.working, if_exists=True) for piece in self.request.pieces),
                DropTable(self.staging, if_exists=True),
                DropLog(self.log),
                DropLog(self.request.log),
            ),
            lock="none on the table",
            locked=tuple(each.quoted for each in self.referenced()),
        )

    def _old_proofs(self) -> Iterator[Action]:
        for source in self.request.sources:
            predicate = self.predicate(source)
            if predicate is not None:
                yield AddCheck(self.kept(source), self._old_proof(source), predicate)

    def _old_unproofs(self) -> Iterator[Action]:
        for source in self.request.sources:
            if self.predicate(source) is not None:
                yield DropConstraint(self.kept(source), self._old_proof(source), if_exists=True)

    def _old_proof(self, source: Source) -> str:
        return NewPartition(source.name, source.bound, source.name).proof

    def _locked_back(self) -> tuple[str, ...]:
        sources = {each.name.quoted for each in self.request.sources}
        others = [each for each in self.locked() if each not in sources]
        return (*others, *(piece.name.quoted for piece in self.request.pieces))

    def _back_actions(self) -> Iterator[Action]:
        yield self.replay(limit=2 * ENOUGH)
        yield from (ReleaseChanges(piece.name) for piece in self.request.pieces)
        for inbound in self.definition.inbound:
            yield DropConstraint(inbound.table, inbound.name)
        for piece in self.request.pieces:
            yield DetachPartition(self.parent, piece.name, piece.bound, self.key)
            if piece.working != piece.name:
                yield Rename("TABLE", piece.name, piece.working.name)
        for source in self.request.sources:
            kept = self.kept(source)
            yield DetachPartition(self.staging, kept, source.bound, self.key)
            yield Rename("TABLE", kept, source.name.name)
            yield AttachPartition(self.parent, source.name, source.bound, self.key)
            if self.predicate(source) is not None:
                yield DropConstraint(source.name, self._old_proof(source))
        if self.request.default is not None and self.excludes:
            yield DropConstraint(self.request.default, self.request.exclusion, if_exists=True)
        yield from self.inbound_again()
