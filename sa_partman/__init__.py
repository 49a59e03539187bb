"""PostgreSQL partitioning for SQLAlchemy and Alembic, from one declaration on the model."""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING, Any

from sa_partman.codecs import ULID, Codec, Epoch, Snowflake, UUIDv7
from sa_partman.errors import PartmanError
from sa_partman.orm.declarations import PartitionByHash, PartitionByList, PartitionByRange
from sa_partman.orm.mapping import Partitioned
from sa_partman.orm.registry import partition_by
from sa_partman.postgres import create_all as _create_all  # registers the hook of metadata.create_all()
from sa_partman.postgres.locks.retry import LockPolicy
from sa_partman.spec.archive import Archive
from sa_partman.spec.base import KeyExpression
from sa_partman.spec.retention import Retention
from sa_partman.version import __version__

if TYPE_CHECKING:
    from sa_partman.errors import Veto
    from sa_partman.events.step import StepEvent
    from sa_partman.maintenance.converter import Converter
    from sa_partman.maintenance.maintainer import Maintainer
    from sa_partman.maintenance.maintainer_async import AsyncMaintainer
    from sa_partman.orm.inserts import UnbatchedInserts
    from sa_partman.ports.hook import Hook, after, before

_SERVICES = {
    "AsyncMaintainer": "sa_partman.maintenance.maintainer_async",
    "Converter": "sa_partman.maintenance.converter",
    "Hook": "sa_partman.ports.hook",
    "Maintainer": "sa_partman.maintenance.maintainer",
    "StepEvent": "sa_partman.events.step",
    "UnbatchedInserts": "sa_partman.orm.inserts",
    "Veto": "sa_partman.errors",
    "after": "sa_partman.ports.hook",
    "before": "sa_partman.ports.hook",
}
"""Imported when they are asked for: models need none of them, and whoever starts a process waits for its imports."""

__all__ = [
    "ULID",
    "Archive",
    "AsyncMaintainer",
    "Codec",
    "Converter",
    "Epoch",
    "Hook",
    "KeyExpression",
    "LockPolicy",
    "Maintainer",
    "PartitionByHash",
    "PartitionByList",
    "PartitionByRange",
    "Partitioned",
    "PartmanError",
    "Retention",
    "Snowflake",
    "StepEvent",
    "UUIDv7",
    "UnbatchedInserts",
    "Veto",
    "__version__",
    "after",
    "before",
    "partition_by",
]

del _create_all


def __getattr__(name: str) -> Any:
    if name not in _SERVICES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(_import_module(_SERVICES[name]), name)
