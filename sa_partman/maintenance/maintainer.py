"""The maintainer: provisions and prunes what the metadata declares; its asynchronous twin stands beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import copy
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, MetaData

from sa_partman.checks.status import TableStatus
from sa_partman.finding import Finding
from sa_partman.maintenance import acting, checking
from sa_partman.maintenance.clock import clock
from sa_partman.maintenance.looking import Tables, looked, planned, status
from sa_partman.maintenance.reporting import Report
from sa_partman.maintenance.results import MaintenancePlan, RunResult
from sa_partman.maintenance.settings import Settings
from sa_partman.maintenance.tenants import paths_of
from sa_partman.plan.steps import Purpose
from sa_partman.ports.hook import Hook
from sa_partman.ports.waiting import Sleeping
from sa_partman.postgres.retry import LockPolicy


class Maintainer:
    """
    Keeps every declared table of *metadata* provisioned and pruned.

    Args:
        engine: Synchronous. Each step takes a connection of its own from it.
        metadata: One MetaData, or several.
        now: A fixed aware instant, or a callable that gives one, instead of the server's clock.
        hooks: Asked before every step, and told after it; see `Hook`.
        lock: How long to wait for locks.
        audit: Keep a record of every run and step in two tables of the database.
        report: Called after every step that was tried.
        limit: Partitions that one run removes at most; None: all that are expired.
        hook_timeout: Seconds that one hook may take.
    """

    def __init__(
        self,
        engine: Engine,
        metadata: MetaData | Iterable[MetaData],
        *,
        now: datetime | Callable[[], datetime] | None = None,
        hooks: Iterable[Hook] = (),
        lock: LockPolicy | None = None,
        audit: bool = False,
        report: Report | None = None,
        limit: int | None = None,
        hook_timeout: float = 30.0,
    ) -> None:
        self.settings = Settings(
            engine=engine,
            metadata=metadata if isinstance(metadata, MetaData) else tuple(metadata),
            now=clock(now),
            lock=lock or LockPolicy(),
            report=report,
            hooks=tuple(hooks),
            hook_timeout=hook_timeout,
            audit=audit,
            limit=limit,
            waiting=Sleeping(),
        )

    @property
    def engine(self) -> Engine:
        return self.settings.engine

    @property
    def metadata(self) -> MetaData | tuple[MetaData, ...]:
        return self.settings.metadata

    def at(self, now: datetime) -> Maintainer:
        """The same at another instant; aware."""
        other = copy(self)
        other.settings = replace(self.settings, now=clock(now))
        return other

    # -- looking -------------------------------------------------------------------------------------------------

    def plan(self, tables: Tables = None, *, tenants: Iterable[Any] = ()) -> MaintenancePlan:
        """
        What `run` would do now; nothing is changed.

        Args:
            tenants: See `provision`.

        Raises:
            DeclarationError: A declaration is wrong, or one of *tables* is not declared.
            ServerUnavailable: No server answers.
        """
        view = looked(self.settings, tables, paths_of(tenants))
        return MaintenancePlan(view.now, tuple(planned(each) for each in view.tables))

    def check(self, tables: Tables = None) -> tuple[Finding, ...]:
        """What is wrong or about to go wrong, the worst first; nothing is changed."""
        return checking.checked(self.settings, tables)

    def status(self, tables: Tables = None) -> tuple[TableStatus, ...]:
        """Each table with its partitions, in key order; nothing is changed."""
        return tuple(status(each) for each in looked(self.settings, tables).tables)

    # -- acting --------------------------------------------------------------------------------------------------

    def run(self, tables: Tables = None) -> RunResult:
        """
        Provisions, then prunes.

        Raises:
            MaintainerBusy: Another maintainer is at work; nothing was changed.
            ReadOnlyServer: Nothing can be changed here.
        """
        return acting.run(self.settings, tables, tuple(Purpose))

    def provision(self, tables: Tables = None, *, tenants: Iterable[Any] = ()) -> RunResult:
        """
        Makes missing partitions and removes none.

        Args:
            tenants: Values, or tuples of values from the top level down, whose branches are made at once, whether or
                not the declaration's source names them already.
        """
        return acting.run(self.settings, tables, (Purpose.HEAL, Purpose.PROVISION), paths_of(tenants))

    def prune(self, tables: Tables = None) -> RunResult:
        """Removes expired partitions and makes none."""
        return acting.run(
            self.settings, tables, tuple(each for each in Purpose if each is Purpose.HEAL or each.removes)
        )

    def drop_branch(self, table: str, branch: Any) -> RunResult:
        """
        Drops the partition of one tenant with all below it.

        Args:
            branch: The tenant's value, or a tuple of values from the top level down.

        Raises:
            DeclarationError: There is no such branch; nothing was changed.
        """
        return acting.drop_branch(self.settings, table, branch)
