"""The rewriter: rows move into other partitions of their table while the application reads and writes them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Unpack

from sqlalchemy import Connection

from sa_partman.errors import DeclarationError, Refused
from sa_partman.maintenance.moving import About, Move, MoveOptions, Mover
from sa_partman.maintenance.working import in_our_words
from sa_partman.names import QualifiedName
from sa_partman.orm.registry import declared_tables
from sa_partman.plan.rewrite.request import RewritePlan, retired, staging_table
from sa_partman.postgres.conversion.whereabouts import unfinished_of
from sa_partman.postgres.journal import Conversion
from sa_partman.postgres.rewrite_plan import (
    SplitAt,
    find_partition,
    plan_drain,
    plan_merge,
    plan_merges,
    plan_regrid,
    plan_split,
)
from sa_partman.postgres.rewriting import roots_of
from sa_partman.postgres.session import connected, pin
from sa_partman.postgres.view import CATALOG_LOCK_TIMEOUT, TableView, look
from sa_partman.spec.declared import DeclaredTable

Planner = Callable[[Connection, TableView], RewritePlan]


class Rewriter(Mover):
    """
    Splits, merges, drains and regrids partitions online: the rows are copied beside, what changes meanwhile is
    replayed, and the new partitions take the place of the old ones in one short transaction.

    The arguments are those of `Converter`. The old partitions are kept until `finalize`: `undo` gives them back, with
    all that was written since.
    """

    command = "sa-partman split"

    def plan_split(
        self, partition: str, *, into: str | None = None, at: tuple[str, ...] = (), older_than: str | None = None
    ) -> RewritePlan:
        """
        The steps that `split` would take, or every reason why it would not; nothing is changed.

        Raises:
            Refused: There is no such partition, or it can't be cut so.
        """
        view = self._view_of(partition)
        return self._planned(view, partial(_split, name=partition, cut=SplitAt(into, at, older_than)))

    @in_our_words
    def split(
        self,
        partition: str,
        *,
        into: str | None = None,
        at: tuple[str, ...] = (),
        older_than: str | None = None,
        **options: Unpack[MoveOptions],
    ) -> Conversion:
        """
        Cuts *partition* in several.

        Args:
            partition: Its name, with the schema or without.
            into: An interval, such as "1 month"; by default the declared one, unless *at* or *older_than* is given.
            at: Points where it is cut.
            older_than: What lies this far back is apart from the rest: "14 months".
            options: See `MoveOptions`.

        Returns:
            As it is stored in the end: its next step is `finalize`, unless a hook vetoed one before.

        Raises:
            Refused: There is no such partition, or it can't be cut so.
            ConversionRefused: With every reason; nothing was changed.
            MaintainerBusy: Another process works on the table.
            ExecutionError: A step failed; the ones before it stay: `resume` or `abort`.
        """
        planner = partial(_split, name=partition, cut=SplitAt(into, at, older_than))
        return self._rewrite(self._view_of(partition), planner, Move(**options))

    def plan_merge(self, *partitions: str) -> RewritePlan:
        """
        The steps that `merge` would take; see `plan_split`.

        Raises:
            Refused: They are not neighbours.
        """
        return self._planned(self._view_of(partitions[0]), partial(_merge, names=partitions))

    @in_our_words
    def merge(
        self,
        *partitions: str,
        **options: Unpack[MoveOptions],
    ) -> Conversion:
        """
        Joins neighbours; see `split` for *options*, for what it gives and raises.

        Raises:
            Refused: They are not neighbours.
        """
        planner = partial(_merge, names=partitions)
        return self._rewrite(self._view_of(partitions[0]), planner, Move(**options))

    def plan_merge_older(self, table: str, older_than: str, *, into: str | None = None) -> RewritePlan:
        """
        The steps that `merge_older` would take; see `plan_split`.

        Raises:
            Refused: The table is not cut by ranges of one column.
        """
        return self._planned(self._view(table), partial(plan_merges, older_than=older_than, into=into))

    @in_our_words
    def merge_older(
        self,
        table: str,
        older_than: str,
        *,
        into: str | None = None,
        **options: Unpack[MoveOptions],
    ) -> Conversion:
        """
        Joins the partitions of *table* that are older than *older_than*, in cells of *into*; see `split`.

        Raises:
            Refused: The table is not cut by ranges of one column.
        """
        planner = partial(plan_merges, older_than=older_than, into=into)
        return self._rewrite(self._view(table), planner, Move(**options))

    def plan_drain(self, table: str) -> RewritePlan:
        """
        The steps that `drain` would take; see `plan_split`.

        Raises:
            Refused: There is no default partition.
        """
        return self._planned(self._view(table), plan_drain)

    @in_our_words
    def drain(
        self,
        table: str,
        **options: Unpack[MoveOptions],
    ) -> Conversion:
        """
        Gives the rows of the default partition of *table* partitions of their own; see `split`.

        Raises:
            Refused: There is no default partition.
        """
        return self._rewrite(self._view(table), plan_drain, Move(**options))

    def plan_regrid(self, table: str) -> RewritePlan:
        """
        The steps that `regrid` would take; see `plan_split`.

        Raises:
            Refused: The table is not cut by ranges of one column.
        """
        return self._planned(self._view(table), plan_regrid)

    @in_our_words
    def regrid(
        self,
        table: str,
        **options: Unpack[MoveOptions],
    ) -> Conversion:
        """
        Gives the partitions of *table* the bounds that its declaration asks for now; see `split`.

        Raises:
            Refused: The table is not cut by ranges of one column.
        """
        return self._rewrite(self._view(table), plan_regrid, Move(**options))

    def partitions(self, table: str) -> tuple[QualifiedName, ...]:
        """The names of the partitions of *table*, of all levels."""
        found = self._view(table).found
        return () if found is None else tuple(each.name for each in found.walk())

    # -- inside --------------------------------------------------------------------------------------------------

    def _view(self, table: str) -> TableView:
        _, declared = self._declared(table)
        (view,) = look(self.engine, [declared], self._now).tables
        if view.found is None or view.found.strategy is None:
            raise Refused(f"{view.declared.name} is no partitioned table in the database; nothing was changed")
        return view

    def _view_of(self, partition: str) -> TableView:
        """The declared table that has *partition*."""
        with connected(self.engine) as connection:
            default = pin(connection, CATALOG_LOCK_TIMEOUT).default_schema
        tables = [declared for _, declared in declared_tables(self.metadata)]
        tables = [
            each.renamed(QualifiedName(default, each.name.name)) if each.name.schema is None else each
            for each in tables
        ]
        for view in look(self.engine, tables, self._now).tables:
            if view.found is not None and find_partition(view, partition) is not None:
                return view
        raise self._no_partition(partition, tables)

    def _no_partition(self, name: str, tables: list[DeclaredTable]) -> Refused:
        """Why *name* can't be rewritten."""
        with connected(self.engine) as connection:
            pin(connection, CATALOG_LOCK_TIMEOUT)
            table = next((each.name for each in tables if name in (str(each.name), each.name.name)), None)
            table = table or self._has(connection, name)
            running = None if table is None else unfinished_of(connection, table)
        if running is not None:
            found = running.unfinished
            return Refused(f"{found.message}; nothing was changed: {found.remedy}")
        if table is not None:
            return Refused(f"{table} is the table itself; nothing was changed. Name its partition: sa-partman status")
        return Refused(f"no declared table has a partition {name}; nothing was changed. See: sa-partman status")

    def _has(self, connection: Connection, partition: str) -> QualifiedName | None:
        """The declared table that has *partition*, or had it before a rewrite whose end is still to come."""
        schema, dot, last = partition.rpartition(".")
        old = retired(QualifiedName(schema or None, last)).name
        roots = (*roots_of(connection, partition), *roots_of(connection, f"{schema}{dot}{old}"))
        for model, declared in declared_tables(self.metadata):
            for root in roots:
                name = QualifiedName(declared.name.schema or root.schema, model.name)
                if root in (name, staging_table(name)):
                    return name
        return None

    def _name(self, table: str) -> QualifiedName:
        """*table* may also be one of its partitions, as it was named when the rewrite began."""
        try:
            return super()._name(table)
        except DeclarationError:
            with connected(self.engine) as connection:
                pin(connection, CATALOG_LOCK_TIMEOUT)
                found = self._has(connection, table)
            if found is None:
                raise
            return found

    def _planned(self, view: TableView, planner: Planner) -> RewritePlan:
        self._require_none_running(view.declared.name)
        with connected(self.engine) as connection:
            pin(connection, CATALOG_LOCK_TIMEOUT)
            return planner(connection, view)

    def _rewrite(self, view: TableView, planner: Planner, move: Move) -> Conversion:
        assert view.found is not None
        about = About(view.declared.name, repr(view.declared.spec), view.found.oid)
        return self._move(about, partial(self._planned, view, planner), move)


def _split(connection: Connection, view: TableView, *, name: str, cut: SplitAt) -> RewritePlan:
    found = find_partition(view, name)
    if found is None:
        raise Refused(f"{view.declared.name} has no partition {name} any more; nothing was changed")
    return plan_split(connection, view, found, cut)


def _merge(connection: Connection, view: TableView, *, names: tuple[str, ...]) -> RewritePlan:
    found = [find_partition(view, name) for name in names]
    missing = [name for name, each in zip(names, found, strict=True) if each is None]
    if missing:
        raise Refused(f"{view.declared.name} has no partition {', '.join(missing)}; nothing was changed")
    return plan_merge(connection, view, [each for each in found if each is not None])
