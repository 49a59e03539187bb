"""The converter: looks at a table, plans its conversion in place, runs it, resumes it, or takes it back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, MetaData, Table

from sa_partman.anatomy import Anatomy
from sa_partman.bounds.bound import ListBound, RangeBound
from sa_partman.compare.situation import Situation
from sa_partman.errors import ExecutionError, Refused
from sa_partman.maintenance.clock import Clock, clock
from sa_partman.names import QualifiedName
from sa_partman.orm.registry import declared_tables
from sa_partman.plan.conversion.attach import attach_in_place
from sa_partman.plan.conversion.fingerprint import fingerprint
from sa_partman.plan.conversion.history import list_history, range_history, unserved
from sa_partman.plan.conversion.request import Choices, ConversionRequest, Profile
from sa_partman.plan.conversion.steps import ConversionPlan, ConversionStep, Refusal
from sa_partman.postgres import conversion_state as state
from sa_partman.postgres.anatomy import read_anatomy
from sa_partman.postgres.connect import connected
from sa_partman.postgres.conversion_run import only_converter, run_steps, take_back
from sa_partman.postgres.conversion_state import Conversion
from sa_partman.postgres.profile import distinct_values, highest_key, profile
from sa_partman.postgres.retry import LockPolicy
from sa_partman.postgres.session import pin
from sa_partman.postgres.sources import tenants_of
from sa_partman.postgres.view import CATALOG_LOCK_TIMEOUT
from sa_partman.spec.declared import DeclaredTable, ListLevel, RangeLevel

Report = Callable[[ConversionStep, float], None]


class ConversionRefused(Refused):
    """The table can't be converted as it is; nothing was changed. *refusals* has every reason."""

    def __init__(self, table: QualifiedName, refusals: tuple[Refusal, ...]) -> None:
        self.refusals = refusals
        reasons = "".join(f"\n  - {refusal}" for refusal in refusals)
        super().__init__(f"{table} can't be converted in place; nothing was changed:{reasons}")


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A plan, with what it was made from."""

    table: QualifiedName
    declaration: str
    plan: ConversionPlan
    mark: str
    request: ConversionRequest | None = None
    anatomy: Anatomy | None = None


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
                raise ConversionRefused(name, drawn.plan.refusals)
            conversion = self._begin(drawn)
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

    def _begin(self, drawn: _Drawn) -> Conversion:
        with connected(self.engine) as connection:
            pin(connection, self.lock.lock_timeout).require_writable()
            return state.begin(
                connection, drawn.table, "convert", drawn.declaration, drawn.mark, _version(), drawn.plan.steps
            )

    def _run(self, conversion: Conversion, report: Report) -> None:
        def recheck(connection: Connection) -> None:
            anatomy = read_anatomy(connection, conversion.table)
            if anatomy is None or _mark(anatomy, conversion.table, None) != conversion.fingerprint:
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

    def _drawn(self, table: str, lead: timedelta, boundary: Any, choices: Choices) -> _Drawn:
        model, declared = self._declared(table)
        with connected(self.engine) as connection:
            tenants = tenants_of(connection, declared)
            session = pin(connection, CATALOG_LOCK_TIMEOUT)
            situation = Situation(session.now if self._now is None else self._now(), tenants)
            return draw(connection, model, declared, situation, lead, boundary, choices)


def draw(
    connection: Connection,
    model: Table,
    declared: DeclaredTable,
    situation: Situation,
    lead: timedelta,
    boundary: Any,
    choices: Choices,
    *,
    concurrently: bool = True,
) -> _Drawn:
    """Plans the conversion of one table, in the caller's pinned transaction."""
    anatomy = read_anatomy(connection, declared.name)
    refusal = _at_once(declared, anatomy) or unserved(declared)
    declaration = repr(declared.spec)
    if refusal is not None or anatomy is None:
        return _Drawn(declared.name, declaration, ConversionPlan((), (refusal,) if refusal else ()), "")
    history = _history(connection, declared, situation, lead, boundary)
    if isinstance(history, Refusal):
        return _Drawn(declared.name, declaration, ConversionPlan((), (history,)), "")
    primary_key = tuple(column.name for column in model.primary_key.columns)
    request = ConversionRequest(declared, primary_key, history, situation, choices, concurrently)
    found = profile(connection, declared.name, declared.level.key, history)
    plan = attach_in_place(request, anatomy, found)
    return _Drawn(declared.name, declaration, plan, _mark(anatomy, declared.name, request), request, anatomy)


def _at_once(declared: DeclaredTable, anatomy: Anatomy | None) -> Refusal | None:
    if anatomy is None:
        return Refusal(f"{declared.name} does not exist", "run the migrations: alembic upgrade head")
    if anatomy.kind == "p":
        return Refusal(f"{declared.name} is partitioned already", "see sa-partman status")
    return None


def _history(
    connection: Connection, declared: DeclaredTable, situation: Situation, lead: timedelta, boundary: Any
) -> RangeBound | ListBound | Refusal:
    level = declared.level
    if isinstance(level, RangeLevel):
        highest = highest_key(connection, declared.name, level.key)
        end = None if boundary is None else level.axis.parse(boundary)
        return range_history(level, situation, highest, lead, end)
    assert isinstance(level, ListLevel)
    return list_history(level, distinct_values(connection, declared.name, level.key))


def _mark(anatomy: Anatomy, table: QualifiedName, request: ConversionRequest | None) -> str:
    from sa_partman.names import join_name

    own = frozenset({join_name(table.name, "history_bound"), join_name(table.name, "pkey_new")})
    return fingerprint(anatomy, own, tuple(column.name for column in anatomy.columns))


def _next(conversion: Conversion) -> str:
    return repr(conversion.steps[conversion.done].title) if conversion.done < len(conversion.steps) else "its end"


def _version() -> str:
    from sa_partman import __version__

    return __version__


__all__ = ["Converter", "ConversionRefused", "Profile", "draw"]
