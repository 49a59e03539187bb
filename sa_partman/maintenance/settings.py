"""How a maintainer was made: what its rooms need to know."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import Engine, MetaData

from sa_partman.engine.budget import LockPolicy
from sa_partman.engine.waits import OnWait
from sa_partman.errors import ConfigurationError
from sa_partman.maintenance.clock import Clock
from sa_partman.maintenance.reporting import Report
from sa_partman.maintenance.schemas import Schemas
from sa_partman.ports import Hook, Waiting


@dataclass(frozen=True, slots=True)
class Settings:
    """
    Args:
        engine: Its synchronous face, also of an asynchronous one; it translates no schemas.
        now: Instead of the server's clock.
        on_wait: Told what a run waits for.
        hook_timeout: Seconds that one hook may take.
        audit: Whether runs are written to the audit tables; text: the schema of these, else the default one.
        limit: Partitions that one run removes at most.
        schemas: In which each table is maintained.
    """

    engine: Engine = field(repr=False)
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
    on_wait: OnWait | None = None

    def require_postgresql(self) -> None:
        """
        Asked when something is to be done: an application whose tests run on another database may have a maintainer.

        Raises:
            ConfigurationError: The engine is none of PostgreSQL.
        """
        name = self.engine.dialect.name
        if name != "postgresql":
            raise ConfigurationError(f"{name} is not PostgreSQL; only PostgreSQL has partitions to maintain")


def metadata_of(metadata: MetaData | Iterable[MetaData]) -> MetaData | tuple[MetaData, ...]:
    """
    Raises:
        TypeError: There is something else among them, such as a declarative base.
    """
    if isinstance(metadata, MetaData):
        return metadata
    inner = getattr(metadata, "metadata", None)
    if isinstance(inner, MetaData):
        raise TypeError(f"metadata={metadata!r} is not a MetaData; pass its .metadata")
    if not isinstance(metadata, Iterable):
        raise TypeError(f"metadata={metadata!r} is not a MetaData; pass one, or several")
    return tuple(_one(each) for each in metadata)


def _one(thing: MetaData) -> MetaData:
    found = metadata_of(thing)
    if not isinstance(found, MetaData):
        raise TypeError(f"metadata={thing!r} is not a MetaData; pass one, or several")
    return found


def hooks_of(hooks: Iterable[Hook]) -> tuple[Hook, ...]:
    """
    Raises:
        TypeError: It is one hook, and no list of them.
    """
    if not isinstance(hooks, Iterable):
        raise TypeError(f"hooks={hooks!r} is not a list; write hooks=[...], even for one")
    return tuple(hooks)
