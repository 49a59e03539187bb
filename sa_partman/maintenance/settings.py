"""How a maintainer was made: what its rooms need to know."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import Engine, MetaData

from sa_partman.maintenance.clock import Clock
from sa_partman.maintenance.reporting import Report
from sa_partman.maintenance.schemas import Schemas
from sa_partman.ports.hook import Hook
from sa_partman.ports.waiting import Waiting
from sa_partman.postgres.locks.retry import LockPolicy


@dataclass(frozen=True, slots=True)
class Settings:
    """
    Args:
        engine: Its synchronous face, also of an asynchronous one; it translates no schemas.
        now: Instead of the server's clock.
        hook_timeout: Seconds that one hook may take.
        audit: Whether runs are written to the audit tables; text: the schema of these, else the default one.
        limit: Partitions that one run removes at most.
        schemas: In which each table is maintained.
    """

    engine: Engine
    metadata: MetaData | tuple[MetaData, ...]
    now: Clock | None
    lock: LockPolicy
    report: Report | None
    hooks: tuple[Hook, ...]
    hook_timeout: float
    audit: bool | str
    limit: int | None
    waiting: Waiting
    schemas: Schemas = field(default_factory=Schemas)
