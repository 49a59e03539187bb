"""PostgreSQL partitioning for SQLAlchemy and Alembic, from one declaration on the model."""

from importlib import import_module as _import_module
from importlib.util import find_spec as _find_spec
from typing import TYPE_CHECKING, Any
from warnings import warn as _warn

from sa_partman.codecs import ULID, Codec, Epoch, Snowflake, UUIDv7
from sa_partman.engine.budget import LockPolicy
from sa_partman.errors import PartmanError
from sa_partman.orm.registry import PartitionByHash, PartitionByList, PartitionByRange, Partitioned, partition_by
from sa_partman.postgres import create_all as _create_all  # registers the hook of metadata.create_all()
from sa_partman.spec.archive import Archive
from sa_partman.spec.base import KeyExpression
from sa_partman.spec.range_spec import Retention
from sa_partman.version import __version__

if TYPE_CHECKING:
    from sa_partman.checks.status import PartitionStatus, State, TableStatus
    from sa_partman.engine.pace import Throttle
    from sa_partman.engine.waits import OnWait
    from sa_partman.errors import (
        CatalogError,
        ConfigurationError,
        ConversionPending,
        ConversionRefused,
        DeclarationError,
        ExclusionLost,
        ExecutionError,
        LockNotAcquired,
        MaintainerBusy,
        MissingDependency,
        MissingPrivilege,
        NameTaken,
        OthersTurn,
        ReadOnlyServer,
        Refused,
        ServerUnavailable,
        UnreadableBound,
        VerificationFailed,
        Veto,
    )
    from sa_partman.events import Holder, StepEvent, WaitEvent, When
    from sa_partman.finding import Finding, Severity
    from sa_partman.maintenance.converter import Conversion, Converter, Estimate, Interrupted, Progress
    from sa_partman.maintenance.converter_async import AsyncConverter
    from sa_partman.maintenance.fleet import Answer, Fleet
    from sa_partman.maintenance.maintainer import Maintainer
    from sa_partman.maintenance.maintainer_async import AsyncMaintainer
    from sa_partman.maintenance.moving import MoveOptions
    from sa_partman.maintenance.restoring import Archived, Restored
    from sa_partman.maintenance.results import MaintenancePlan, Outcome, RunResult, StepResult
    from sa_partman.maintenance.rewriter import Rewriter
    from sa_partman.maintenance.rewriter_async import AsyncRewriter
    from sa_partman.maintenance.serving import Service
    from sa_partman.maintenance.serving_async import AsyncService
    from sa_partman.maintenance.settings import Report
    from sa_partman.names import QualifiedName
    from sa_partman.observe.health import Health, JsonFormatter
    from sa_partman.orm.inserts import UnbatchedInserts
    from sa_partman.plan.conversion.request import ConversionPlan
    from sa_partman.plan.rewrite.request import RewritePlan
    from sa_partman.plan.steps import Step
    from sa_partman.ports import Hook, after, before

_HOMES = {
    "sa_partman.checks.status": (
        "PartitionStatus",
        "State",
        "TableStatus",
    ),
    "sa_partman.engine.pace": ("Throttle",),
    "sa_partman.engine.waits": ("OnWait",),
    "sa_partman.errors": (
        "CatalogError",
        "ConfigurationError",
        "ConversionPending",
        "ConversionRefused",
        "DeclarationError",
        "ExclusionLost",
        "ExecutionError",
        "LockNotAcquired",
        "MaintainerBusy",
        "MissingDependency",
        "MissingPrivilege",
        "NameTaken",
        "OthersTurn",
        "ReadOnlyServer",
        "Refused",
        "ServerUnavailable",
        "UnreadableBound",
        "VerificationFailed",
        "Veto",
    ),
    "sa_partman.events": (
        "Holder",
        "StepEvent",
        "WaitEvent",
        "When",
    ),
    "sa_partman.finding": (
        "Finding",
        "Severity",
    ),
    "sa_partman.maintenance.converter": (
        "Conversion",
        "Converter",
        "Estimate",
        "Interrupted",
        "Progress",
    ),
    "sa_partman.maintenance.fleet": (
        "Answer",
        "Fleet",
    ),
    "sa_partman.maintenance.maintainer": ("Maintainer",),
    "sa_partman.maintenance.converter_async": ("AsyncConverter",),
    "sa_partman.maintenance.maintainer_async": ("AsyncMaintainer",),
    "sa_partman.maintenance.restoring": (
        "Archived",
        "Restored",
    ),
    "sa_partman.maintenance.results": (
        "MaintenancePlan",
        "Outcome",
        "RunResult",
        "StepResult",
    ),
    "sa_partman.maintenance.moving": ("MoveOptions",),
    "sa_partman.maintenance.rewriter": ("Rewriter",),
    "sa_partman.maintenance.rewriter_async": ("AsyncRewriter",),
    "sa_partman.maintenance.serving": ("Service",),
    "sa_partman.maintenance.serving_async": ("AsyncService",),
    "sa_partman.maintenance.settings": ("Report",),
    "sa_partman.names": ("QualifiedName",),
    "sa_partman.observe.health": (
        "Health",
        "JsonFormatter",
    ),
    "sa_partman.orm.inserts": ("UnbatchedInserts",),
    "sa_partman.plan.conversion.request": ("ConversionPlan",),
    "sa_partman.plan.rewrite.request": ("RewritePlan",),
    "sa_partman.plan.steps": ("Step",),
    "sa_partman.ports": (
        "Hook",
        "after",
        "before",
    ),
}
_SERVICES = {name: home for home, names in _HOMES.items() for name in names}
"""Imported when they are asked for: models need none of them, and whoever starts a process waits for its imports."""

__all__ = [
    "Answer",
    "Archive",
    "Archived",
    "AsyncConverter",
    "AsyncMaintainer",
    "AsyncRewriter",
    "AsyncService",
    "CatalogError",
    "Codec",
    "ConfigurationError",
    "Conversion",
    "ConversionPending",
    "ConversionPlan",
    "ConversionRefused",
    "Converter",
    "DeclarationError",
    "Epoch",
    "Estimate",
    "ExclusionLost",
    "ExecutionError",
    "Finding",
    "Fleet",
    "Health",
    "Holder",
    "Hook",
    "Interrupted",
    "JsonFormatter",
    "KeyExpression",
    "LockNotAcquired",
    "LockPolicy",
    "Maintainer",
    "MaintainerBusy",
    "MaintenancePlan",
    "MissingDependency",
    "MissingPrivilege",
    "MoveOptions",
    "NameTaken",
    "OnWait",
    "OthersTurn",
    "Outcome",
    "PartitionByHash",
    "PartitionByList",
    "PartitionByRange",
    "PartitionStatus",
    "Partitioned",
    "PartmanError",
    "Progress",
    "QualifiedName",
    "ReadOnlyServer",
    "Refused",
    "Report",
    "Restored",
    "Retention",
    "RewritePlan",
    "Rewriter",
    "RunResult",
    "ServerUnavailable",
    "Service",
    "Severity",
    "Snowflake",
    "State",
    "Step",
    "StepEvent",
    "StepResult",
    "TableStatus",
    "Throttle",
    "ULID",
    "UUIDv7",
    "UnbatchedInserts",
    "UnreadableBound",
    "VerificationFailed",
    "Veto",
    "WaitEvent",
    "When",
    "__version__",
    "after",
    "before",
    "partition_by",
]

_ASYNCHRONOUS = ("AsyncConverter", "AsyncMaintainer", "AsyncRewriter", "AsyncService")
if _find_spec("greenlet") is None:  # "import *" asks for all; type checkers see them all the same
    globals()["__all__"] = [name for name in __all__ if name not in _ASYNCHRONOUS]

del _create_all


def __getattr__(name: str) -> Any:
    if name == "ConversionStep":
        _warn("sa_partman.ConversionStep is called Step now", DeprecationWarning, stacklevel=2)
        name = "Step"
    if name not in _SERVICES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in _ASYNCHRONOUS and _find_spec("greenlet") is None:
        from sa_partman.errors import MissingDependency

        raise MissingDependency("greenlet is not installed, which asynchronous engines need", extra="asyncpg")
    return getattr(_import_module(_SERVICES[name]), name)
