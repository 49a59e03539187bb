"""The converter: looks at a table, plans its conversion in place, runs it, resumes it, or takes it back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, MetaData, Table

from sa_partman.compare.situation import Situation
from sa_partman.errors import ConversionRefused, ExecutionError, Refused
from sa_partman.maintenance.clock import Clock, clock
from sa_partman.names import QualifiedName
from sa_partman.orm.registry import declared_tables
from sa_partman.plan.conversion.request import Choices
from sa_partman.plan.conversion.steps import ConversionPlan, ConversionStep
from sa_partman.postgres import conversion_state as state
from sa_partman.postgres.anatomy import read_anatomy
from sa_partman.postgres.connect import connected
from sa_partman.postgres.conversion_plan import Drawn, draw, mark_of
from sa_partman.postgres.conversion_run import only_converter, run_steps, take_back
from sa_partman.postgres.conversion_state import Conversion
from sa_partman.postgres.conversion_undo import draw_undo
from sa_partman.postgres.retry import LockPolicy
from sa_partman.postgres.session import pin
from sa_partman.postgres.sources import tenants_of
from sa_partman.postgres.view import CATALOG_LOCK_TIMEOUT
from sa_partman.spec.declared import DeclaredTable

Report = Callable[[ConversionStep, float], None]


class Converter:
    """
    Converts tables that exist into partitioned ones, without copying a row.

    Args:
        engine: Synchronous.
        metadata: Declares what the tables are to be.
        now: A fixed instant, or a callable, instead of the server's clock.
        lock: How long to wait for locks.
    """

    def __init__(
        self,
        engine: Engine,
        metadata: MetaData,
        *,
        now: datetime | Callable[[], datetime] | None = None,
        lock: LockPolicy | None = None,
    ) -> None:
        self.engine, self.metadata = engine, metadata
        self.lock = lock or LockPolicy()
        self._now: Clock | None = clock(now)

    def plan(
        self,
        table: str,
        *,
        lead: timedelta = timedelta(hours=1),
        boundary: Any = None,
        inbound: str = "refuse",
        unique: Mapping[str, str] | None = None,
    ) -> ConversionPlan:
        """
        The steps that `convert` would take, or every reason why it would not; nothing is changed.

        Args:
            lead: How long the conversion may take until the cut-over.
            boundary: Where the history partition ends, instead of the first point of the grid after now + *lead*.
            inbound: "drop" drops foreign keys of other tables that refer to this one.
            unique: What becomes of unique indexes without the key, by name: "local" or "drop".
        """
        return self._drawn(table, lead, boundary, Choices(inbound, unique or {})).plan  # type: ignore[arg-type]

    def convert(
        self,
        table: str,
        *,
        lead: timedelta = timedelta(hours=1),
        boundary: Any = None,
        inbound: str = "refuse",
        unique: Mapping[str, str] | None = None,
        report: Report = lambda step, seconds: None,
    ) -> Conversion:
        """
        Converts *table*; see `plan` for the arguments.

        Raises:
            ConversionRefused: With every reason; nothing was changed.
            MaintainerBusy: Another process converts it.
            ExecutionError: A step failed; the ones before it stay: `resume` or `abort`.
        """
        name = self._name(table)
        with only_converter(self.engine, name):
            unfinished = self.state(table)
            if unfinished is not None and unfinished.status == "running":
                raise Refused(
                    f"{name}: a conversion is under way and stands before {_next(unfinished)}; nothing was changed. "
                    f"Go on with --resume, or take it back with --abort."
                )
            drawn = self._drawn(table, lead, boundary, Choices(inbound, unique or {}))  # type: ignore[arg-type]
            if drawn.plan.refusals:
                raise ConversionRefused(str(name), map(str, drawn.plan.refusals))
            conversion = self._begin(drawn, "convert")
            self._run(conversion, report)
            return conversion

    def resume(self, table: str, report: Report = lambda step, seconds: None) -> Conversion:
        """
        Goes on where an interrupted conversion stopped.

        Raises:
            Refused: There is none.
        """
        name = self._name(table)
        with only_converter(self.engine, name):
            conversion = self._unfinished(name)
            self._run(conversion, report)
            return conversion

    def abort(self, table: str) -> Conversion:
        """
        Takes back every step of an unfinished conversion: the table is what it was.

        Raises:
            Refused: There is none, or it is cut over already: then `undo`.
        """
        name = self._name(table)
        with only_converter(self.engine, name):
            conversion = self._unfinished(name)
            if conversion.cut_over:
                raise Refused(f"{name} is cut over already; nothing was changed. Finish it with --resume, then --undo.")
            take_back(self.engine, conversion, self.lock)
            return conversion

    def undo(self, table: str, *, max_rows: int = 100_000, report: Report = lambda step, seconds: None) -> Conversion:
        """
        Makes a converted table plain again: its history partition takes its name back, and rows that came into other
        partitions since are moved into it.

        Args:
            max_rows: More rows than this are not moved inside the swap.

        Raises:
            Refused: It was not converted in place, or its history is gone; nothing was changed.
            ConversionRefused: With every reason; nothing was changed.
        """
        name = self._name(table)
        with only_converter(self.engine, name):
            with connected(self.engine) as connection:
                pin(connection, CATALOG_LOCK_TIMEOUT).require_writable()
                drawn = draw_undo(connection, name, max_rows)
            if drawn.plan.refusals:
                raise ConversionRefused(str(name), map(str, drawn.plan.refusals), what="can't be made plain again")
            conversion = self._begin(drawn, "undo")
            self._run(conversion, report)
            return conversion

    def state(self, table: str) -> Conversion | None:
        """The youngest conversion of *table* as it is stored; None when there never was one."""
        name = self._name(table)
        with connected(self.engine) as connection:
            pin(connection, CATALOG_LOCK_TIMEOUT)
            return state.last(connection, name)

    # -- inside --------------------------------------------------------------------------------------------------

    def _unfinished(self, name: QualifiedName) -> Conversion:
        with connected(self.engine) as connection:
            pin(connection, CATALOG_LOCK_TIMEOUT)
            conversion = state.last(connection, name)
        if conversion is None or conversion.status != "running":
            raise Refused(f"{name}: no conversion is under way; nothing was changed. Begin with: sa-partman convert")
        return conversion

    def _begin(self, drawn: Drawn, kind: str) -> Conversion:
        with connected(self.engine) as connection:
            pin(connection, self.lock.lock_timeout).require_writable()
            return state.begin(
                connection,
                drawn.table,
                kind,
                drawn.declaration,
                drawn.mark,
                drawn.oid,
                drawn.primary_key,
                _version(),
                drawn.plan.steps,
            )

    def _run(self, conversion: Conversion, report: Report) -> None:
        def recheck(connection: Connection) -> None:
            anatomy = read_anatomy(connection, conversion.table)
            if anatomy is None or mark_of(anatomy) != conversion.fingerprint:
                raise ExecutionError(
                    f"{conversion.table} was changed since the conversion began (a migration?); the cut-over was "
                    f"rolled back. Take the conversion back with --abort, and begin again."
                )

        run_steps(self.engine, conversion, self.lock, recheck, report)

    def _name(self, table: str) -> QualifiedName:
        _, declared = self._declared(table)
        return declared.name

    def _declared(self, table: str) -> tuple[Table, DeclaredTable]:
        model, declared = declared_tables(self.metadata, [table])[0]
        if declared.name.schema is None:
            with connected(self.engine) as connection:
                session = pin(connection, CATALOG_LOCK_TIMEOUT)
            declared = declared.renamed(QualifiedName(session.default_schema, declared.name.name))
        return model, declared

    def _drawn(self, table: str, lead: timedelta, boundary: Any, choices: Choices) -> Drawn:
        model, declared = self._declared(table)
        with connected(self.engine) as connection:
            tenants = tenants_of(connection, declared)
            session = pin(connection, CATALOG_LOCK_TIMEOUT)
            situation = Situation(session.now if self._now is None else self._now(), tenants)
            primary_key = tuple(column.name for column in model.primary_key.columns)
            return draw(connection, declared, primary_key, situation, choices, lead=lead, boundary=boundary)


def _next(conversion: Conversion) -> str:
    return repr(conversion.steps[conversion.done].title) if conversion.done < len(conversion.steps) else "its end"


def _version() -> str:
    from sa_partman import __version__

    return __version__
