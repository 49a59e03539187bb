"""The maintainer: provisions and prunes what the metadata declares; its asynchronous twin stands beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import copy
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, MetaData

from sa_partman.checks.coverage import Asked
from sa_partman.checks.status import TableStatus
from sa_partman.engine.budget import LockPolicy
from sa_partman.finding import Finding
from sa_partman.maintenance import checking, executing
from sa_partman.maintenance.planning import Tables, looked, status, waiting_findings
from sa_partman.maintenance.results import MaintenancePlan, RunResult
from sa_partman.maintenance.schedule import Schedule
from sa_partman.maintenance.settings import (
    Report,
    Schemas,
    SchemaSource,
    Settings,
    clock,
    hooks_of,
    metadata_of,
    untranslated,
)
from sa_partman.maintenance.tenants import paths_of
from sa_partman.passwords import without_passwords
from sa_partman.plan.steps import Purpose
from sa_partman.ports import Hook, Sleeping

if TYPE_CHECKING:
    from sa_partman.engine.waits import OnWait
    from sa_partman.maintenance.restoring import Archived, Restored
    from sa_partman.maintenance.serving import Service
    from sa_partman.observe.http import Listening


class Maintainer:
    """
    Keeps every declared table of *metadata* provisioned and pruned.

    Args:
        engine: Synchronous. Each step takes a connection of its own from it.
        metadata: One MetaData, or several.
        now: A fixed aware instant, or a callable that gives one, instead of the server's clock.
        hooks: Asked before every step, and told after it; see `Hook`.
        lock: How long to wait for locks.
        audit: Keep a record of every run and step in two tables, ``sa_partman_runs`` and ``sa_partman_steps``; text:
            the schema that they are in, else the default one.
        report: Called after every step that was tried.
        on_wait: Called with a `WaitEvent` within two seconds when a run waits, for whom, then less and less often, and
            when the wait is over; perhaps in another thread. The log has the same.
        limit: Partitions that one run removes at most, 0 or more; None: all that are expired.
        hook_timeout: Seconds that one hook may take.
        schemas: The schemas that have the tables declared without one: names, a ``select()`` of names or a callable
            that gives them, asked at each look; maps in the manner of ``schema_translate_map`` place tables of other
            schemas. None: the default schema, or what the engine's own ``schema_translate_map`` says.
    """

    def __init__(
        self,
        engine: Engine,
        metadata: MetaData | Iterable[MetaData],
        *,
        now: datetime | Callable[[], datetime] | None = None,
        hooks: Iterable[Hook] = (),
        lock: LockPolicy | None = None,
        audit: bool | str = False,
        report: Report | None = None,
        on_wait: OnWait | None = None,
        limit: int | None = None,
        hook_timeout: float = 30.0,
        schemas: SchemaSource | None = None,
    ) -> None:
        if not isinstance(engine, Engine):
            raise TypeError(
                f"Maintainer takes an Engine and got {without_passwords(repr(engine))}; "
                f"AsyncMaintainer takes an AsyncEngine"
            )
        if limit is not None and limit < 0:
            raise ValueError(f"limit={limit!r} is below 0; None removes all that are expired")
        self.settings = Settings(
            engine=untranslated(engine),
            metadata=metadata_of(metadata),
            now=clock(now),
            lock=lock or LockPolicy(),
            report=report,
            hooks=hooks_of(hooks),
            hook_timeout=hook_timeout,
            audit=audit,
            limit=limit,
            waiting=Sleeping(),
            schemas=Schemas.of(engine, schemas),
            on_wait=on_wait,
        )

    @property
    def engine(self) -> Engine:
        return self.settings.engine

    @property
    def metadata(self) -> MetaData | tuple[MetaData, ...]:
        return self.settings.metadata

    def at(self, now: datetime) -> Maintainer:
        """The same at another instant; aware."""
        return self.with_settings(replace(self.settings, now=clock(now)))

    def with_settings(self, settings: Settings) -> Maintainer:
        """The same with other settings."""
        other = copy(self)
        other.settings = settings
        return other

    # -- looking -------------------------------------------------------------------------------------------------

    def plan(
        self,
        tables: Tables = None,
        *,
        tenants: Iterable[Any] = (),
        leaving: Iterable[Any] = (),
        repair: bool = False,
        adopt: bool = False,
        regrid: bool = False,
        max_rows: int | None = None,
    ) -> MaintenancePlan:
        """
        What `run` would do now; nothing is changed.

        Args:
            tenants: See `provision`.
            leaving: What `prune` would do with these tenants, and nothing else.
            repair: See `run`.
            adopt: See `run`.
            regrid: See `run`.
            max_rows: See `run`.

        Raises:
            DeclarationError: A declaration is wrong, or one of *tables* is not declared.
            ServerUnavailable: No server answers.
        """
        view = looked(self.settings, tables, paths_of(tenants))
        gone = paths_of(leaving)
        plans = executing.plans_of(
            self.settings, view, repair=repair, adopt=adopt, leaving=gone, regrid=regrid, max_rows=max_rows
        )
        if regrid or gone:
            return MaintenancePlan(view.now, plans, self.settings.lock)
        waiting = {each.declared.name: tuple(waiting_findings(each)) for each in view.tables}
        told = (replace(each, findings=(*each.findings, *waiting.get(each.table, ()))) for each in plans)
        return MaintenancePlan(view.now, tuple(told), self.settings.lock)

    def check(
        self,
        tables: Tables = None,
        *,
        min_horizon: str | timedelta | None = None,
        max_age: str | timedelta | None = None,
        as_role: str | None = None,
    ) -> tuple[Finding, ...]:
        """
        What is wrong or about to go wrong, the worst first; nothing is changed.

        Args:
            min_horizon: A length of time, such as "7d": partitions that end sooner are an error. None: what premake=
                asks for is enough.
            max_age: How old the last good run may be, if runs are audited. None: two of the shortest interval.
            as_role: Say what this role lacks, too.

        Raises:
            ValueError: *min_horizon* or *max_age* is no length of time.
        """
        return checking.checked(self.settings, tables, Asked.of(min_horizon, max_age, as_role)).findings

    def status(self, tables: Tables = None) -> tuple[TableStatus, ...]:
        """Each table with its partitions, in key order; nothing is changed."""
        return tuple(status(each) for each in looked(self.settings, tables, measured=True).tables)

    # -- acting --------------------------------------------------------------------------------------------------

    def run(
        self,
        tables: Tables = None,
        *,
        repair: bool = False,
        adopt: bool = False,
        regrid: bool = False,
        max_rows: int | None = None,
    ) -> RunResult:
        """
        Provisions, then prunes.

        Args:
            repair: First make partitions that differ from their table what it is: owner, privileges, row security and
                policies, replica identity, publications. Concurrent detaches of others that were cut off are ended too,
                and their partitions attached again, unless they are expired.
            adopt: First hand over to retention the partitions that are there and that sa_partman did not make: each
                gets a mark, so once is enough.
            regrid: First replace empty partitions ahead that sa_partman made with another interval= by those of the
                declared one: each exchange in one transaction, so that no insert fails. What holds a row stays.
            max_rows: Rows of a default partition that are moved into one new partition at most; None: 100,000. They
                are moved in one transaction, during which nobody reads or writes them: a number is for a maintenance
                window, and then no time limit of ours ends it.

        Raises:
            MaintainerBusy: Another maintainer is at work; nothing was changed.
            ReadOnlyServer: Nothing can be changed here.
        """
        return executing.run(
            self.settings, tables, tuple(Purpose), repair=repair, adopt=adopt, regrid=regrid, max_rows=max_rows
        )

    def provision(
        self, tables: Tables = None, *, tenants: Iterable[Any] = (), max_rows: int | None = None
    ) -> RunResult:
        """
        Makes missing partitions and removes none.

        Args:
            tenants: Values, or tuples of values from the top level down, whose branches are made at once, whether or
                not the declaration's source names them already.
            max_rows: See `run`.
        """
        return executing.run(
            self.settings, tables, (Purpose.HEAL, Purpose.PROVISION), paths_of(tenants), max_rows=max_rows
        )

    def prune(self, tables: Tables = None, *, tenants: Iterable[Any] = ()) -> RunResult:
        """
        Removes expired partitions, and expired rows of default partitions, and makes none.

        Args:
            tenants: Values, or tuples of values from the top level down, of tenants that left: their branches are
                removed, whatever they hold, and nothing else is. They go the way that their retention says, grace and
                archive included, and are dropped where there is none.

        Raises:
            DeclarationError: No table has a partition for one of *tenants*; nothing was changed.
            Refused: One of *tenants* is still declared; nothing was changed.
        """
        removing = tuple(each for each in Purpose if each is Purpose.HEAL or each.removes)
        return executing.run(self.settings, tables, removing, leaving=paths_of(tenants))

    def drop_branch(self, table: str, branch: Any) -> RunResult:
        """
        Drops the partition of one tenant with all below it, whatever the declaration says of it; `prune` is the careful
        way. One that is still declared is made again, empty, by the next run; a finding says so.

        Args:
            branch: The tenant's value, or a tuple of values from the top level down.

        Raises:
            DeclarationError: There is no such branch; nothing was changed.
        """
        return executing.drop_branch(self.settings, table, branch)

    # -- archives ------------------------------------------------------------------------------------------------

    def archives(self, to: str) -> tuple[Archived, ...]:
        """
        The archives at *to*, by name; what has no manifest of ours is left out.

        Args:
            to: A directory or URL, as in ``Archive(to)``.

        Raises:
            ConfigurationError: There is no such place, or it does not answer.
        """
        from sa_partman.maintenance.restoring import archives

        return archives(to)

    def verify(self, manifest: str) -> Archived:
        """
        Reads an archive to the end.

        Args:
            manifest: The path or URL of its manifest.

        Raises:
            ConfigurationError: There is no such manifest.
            VerificationFailed: The archive is not what its manifest says.
        """
        from sa_partman.maintenance.restoring import verify

        return verify(manifest)

    def restore(self, manifest: str, *, table: str | None = None) -> Restored:
        """
        Makes a partition as the declaration wants it, loads the archive, compares every row, and attaches it.

        It bears a mark that keeps retention off it, for else it would go with the next run: detach or drop it
        yourself, or remove its comment and hand it over with ``run(adopt=True)``.

        Args:
            manifest: The path or URL of its manifest.
            table: The declared table, when it is not the one that the manifest names.

        Raises:
            ConfigurationError: There is no such manifest.
            VerificationFailed: The archive is damaged; nothing was changed.
            DeclarationError: The table is not declared.
            Refused: Its range has a partition already, or its name is taken; nothing was changed.
            MaintainerBusy: Another maintainer is at work; nothing was changed.
            ExecutionError: The server refused; nothing was changed.
        """
        from sa_partman.maintenance.restoring import restored_by

        return restored_by(self.settings, manifest, table)

    # -- again and again -----------------------------------------------------------------------------------------

    def serve(
        self,
        every: str | timedelta | float = "1 hour",
        *,
        jitter: float = 0.1,
        listen: Listening | None = None,
        tables: Tables = None,
    ) -> Service:
        """
        A service that runs at once and then again and again: ``with maintainer.serve(every="1 hour"): ...``

        Nothing happens before it is started. A turn that comes while a run is under way is dropped; no error of a run
        ends it.

        Args:
            every: From one run to the next: ``"1 hour"``, ``"90s"``, a ``timedelta``, or seconds.
            jitter: The part of an interval by which a run may begin late.
            listen: Where to answer ``/healthz`` and ``/metrics``: a port of this machine, or ``"address:port"``.

        Raises:
            ValueError: *every* or *jitter* is wrong.
            ConfigurationError: *listen* is wrong.
            DeclarationError: One of *tables* is not declared.
        """
        from sa_partman.maintenance.serving import Service

        return Service(self, Schedule.of(every, jitter), listen=listen, tables=tables)
