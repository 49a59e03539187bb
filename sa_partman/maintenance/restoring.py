"""
What lies in an archive, for programs; and restoring: an archive becomes a partition of the declared table again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Engine, MetaData
from sqlalchemy.exc import DBAPIError

from sa_partman.archive.loading import OWN_TABLE, Load, load
from sa_partman.archive.manifest import SUFFIX, Manifest, manifest_in, read_manifest
from sa_partman.archive.places import ArchivePlace, place_of
from sa_partman.archive.store import verify_archive
from sa_partman.bounds.bound import Bound, DefaultBound, HashBound, ListBound, RangeBound
from sa_partman.bounds.read import parse_bound
from sa_partman.bounds.text import describe
from sa_partman.catalog import FoundTable, Parent
from sa_partman.compare.context import Context
from sa_partman.compare.shape import descend, divides
from sa_partman.engine.background import aside
from sa_partman.engine.budget import LockPolicy
from sa_partman.engine.statements import name_taken
from sa_partman.engine.transaction import in_step
from sa_partman.errors import ConfigurationError, DeclarationError, ExecutionError, Refused
from sa_partman.maintenance.executing import running_by
from sa_partman.maintenance.maintainer import Maintainer
from sa_partman.maintenance.membership import whole
from sa_partman.maintenance.planning import looked
from sa_partman.maintenance.settings import Settings
from sa_partman.marks import CREATED, restored
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import (
    Action,
    AttachPartition,
    CreatePartition,
    CreateTable,
    DetachPartition,
    UnmarkDetached,
)
from sa_partman.plan.provision import creation
from sa_partman.plan.steps import Purpose, Step, TablePlan
from sa_partman.postgres.session import connected
from sa_partman.postgres.sqlstate import first_line
from sa_partman.postgres.view import TableView
from sa_partman.spec.archive import shown
from sa_partman.spec.declared import Level


@dataclass(frozen=True, slots=True)
class Archived:
    """
    An archive that is complete.

    Args:
        location: The path or URL of its manifest, without credentials.
        manifest: What is in it.
    """

    location: str
    manifest: Manifest

    def to_dict(self) -> dict[str, Any]:
        return {"manifest": self.location, **self.manifest.to_dict()}


def archives(to: str) -> tuple[Archived, ...]:
    """See `Maintainer.archives`."""
    return tuple(each for each in looked_through(to) if isinstance(each, Archived))


def looked_through(to: str) -> Iterator[Archived | ConfigurationError]:
    """
    Every archive at *to*, by name, and why another manifest is none.

    Raises:
        ConfigurationError: There is no such place, or it does not answer.
    """
    place = place_of(to)
    try:
        names = place.names()
    except OSError as error:
        raise ConfigurationError(f"{shown(to)} can't be read: {error}") from error
    for name in names:
        if name.endswith(SUFFIX):
            try:
                yield Archived(place.where(name), manifest_in(place, name))
            except ConfigurationError as error:
                yield error


def verify(manifest: str) -> Archived:
    """See `Maintainer.verify`."""
    place, found = read_manifest(manifest)
    verify_archive(place, found)
    return Archived(shown(manifest), found)


@dataclass(frozen=True, slots=True)
class Restored:
    """
    Args:
        table: What *partition* is a partition of again.
        rows: That it holds.
    """

    table: QualifiedName
    partition: QualifiedName
    bound: Bound
    rows: int

    def to_dict(self) -> dict[str, Any]:
        return {
            "table": str(self.table),
            "partition": str(self.partition),
            "bound": describe(self.bound),
            "rows": self.rows,
        }


def restore(
    engine: Engine,
    metadata: MetaData | Iterable[MetaData],
    manifest: str,
    *,
    table: str | None = None,
    now: datetime | Callable[[], datetime] | None = None,
    lock: LockPolicy | None = None,
) -> Restored:
    """
    See `Maintainer.restore`.

    Args:
        now: See `Maintainer`.
        lock: See `Maintainer`.
    """
    return restored_by(Maintainer(engine, metadata, now=now, lock=lock).settings, manifest, table)


def restored_by(settings: Settings, manifest: str, table: str | None) -> Restored:
    """
    What `restore` does, with the settings of a maintainer.

    Raises:
        ExecutionError: The server refused it, or the archive can't be read; nothing was restored.
    """
    place, found = aside(settings.waiting, lambda: _sound(manifest))
    with running_by(settings) as running:
        where = _where(settings, found, table)
        step = _step(settings, where)
        make, attach = _apart(step, where.name, restored(shown(manifest), where.context.now, CREATED))
        work = partial(load, running, Load(place, found, where.name, make, attach))
        try:
            rows = in_step(running, step, work, locks=(), seconds=0)
        except DBAPIError as error:
            raise ExecutionError(
                f"{where.name}: {first_line(error)}; nothing was restored. Fix that, or {OWN_TABLE}"
            ) from error
        except OSError as error:
            raise ExecutionError(
                f"{shown(manifest)}: the archive can't be read: {error}; nothing was restored. "
                f"Try again when it can be."
            ) from error
    return Restored(where.parent.name, where.name, where.bound, rows)


def _sound(manifest: str) -> tuple[ArchivePlace, Manifest]:
    place, found = read_manifest(manifest)
    verify_archive(place, found)
    return place, found


@dataclass(frozen=True, slots=True)
class _Where:
    view: TableView
    level: Level
    parent: Parent
    context: Context
    name: QualifiedName
    bound: Bound


def _where(settings: Settings, manifest: Manifest, table: str | None) -> _Where:
    """
    Raises:
        DeclarationError: The table is not declared, or not there.
        Refused: A partition holds a part of the range, or something has the name.
    """
    wanted = table or manifest.parent.name
    views = looked(settings, None if table is None else [table]).tables
    for view in views:
        if view.found is None:
            continue
        for level, parent, context in _places(view.declared.level, view.found, view.context):
            if parent.name == manifest.parent or (table is not None and isinstance(parent, FoundTable)):
                bound = _free(manifest, level, parent)
                name = QualifiedName(parent.name.schema, manifest.partition.name)
                with connected(settings.engine) as connection:
                    taken = name_taken(connection, name)
                if taken is not None:
                    raise taken
                return _Where(view, level, parent, context, name, bound)
    raise DeclarationError(f"{wanted} is not a partitioned table that is declared and there; nothing was restored")


def _places(level: Level, parent: Parent, context: Context) -> Iterable[tuple[Level, Parent, Context]]:
    yield level, parent, context
    if level.below is not None:
        for partition in parent.partitions:
            if divides(level.below, partition):
                yield from _places(level.below, partition, descend(level, partition.bound, context))


def _free(manifest: Manifest, level: Level, parent: Parent) -> Bound:
    types = (parent.key or level.key).types
    bound = parse_bound(manifest.bound, types) if manifest.bound else None
    if bound is None or (isinstance(bound, RangeBound) and bound.lower == bound.upper):
        raise Refused(
            f"the manifest of {manifest.partition} does not say what bound it had; nothing was restored. Write it into "
            f'the manifest as "bound", as psql\'s \\d+ shows it in TimeZone UTC, such as FOR VALUES FROM '
            f"('2024-01-01 00:00:00+00') TO ('2024-02-01 00:00:00+00')."
        )
    for each in parent.partitions:
        if _collide(each.bound, bound):
            raise Refused(
                f"{parent.name} has {each.name} {describe(level.readable(each.bound))}, which holds rows of "
                f"{describe(level.readable(bound))}; nothing was restored. Detach it first, or {OWN_TABLE}"
            )
    return bound


def _collide(one: Bound, other: Bound) -> bool:
    match one, other:
        case (RangeBound(), RangeBound()) | (ListBound(), ListBound()) | (HashBound(), HashBound()):
            return one.overlaps(other)  # type: ignore[arg-type, union-attr]
    return isinstance(one, DefaultBound) and isinstance(other, DefaultBound)


def _step(settings: Settings, where: _Where) -> Step:
    """What makes it, as a full member of its table, and by the table's owner."""
    actions = creation(where.level, where.parent, where.name, where.bound, where.context)
    made = [each for each in actions if isinstance(each, CreateTable)]
    inner = [each for each in actions if isinstance(each, CreatePartition)]
    (attach,) = (each for each in actions if isinstance(each, AttachPartition) and each.partition == where.name)
    # Filled before it is attached, so what divides it is there first; see `attached_from_the_top` for why it leaves.
    leaving = [DetachPartition(each.parent, each.name, each.bound, each.key) for each in inner]
    again = [AttachPartition(each.parent, each.name, each.bound, each.key) for each in inner]
    assert where.view.found is not None
    root = where.view.found.name
    step = Step(Purpose.PROVISION, root, where.name, where.bound, (*made, *inner, *leaving, attach, *again))
    (plan,) = whole(settings, (where.view,), (TablePlan(root, (step,)),))
    if not plan.steps:
        raise Refused("; ".join(finding.message for finding in plan.findings))
    return plan.steps[0]


def _apart(step: Step, name: QualifiedName, comment: str) -> tuple[tuple[Action, ...], tuple[Action, ...]]:
    """What comes before the rows, and what comes after them; the mark last."""
    places = [place for place, each in enumerate(step.actions) if isinstance(each, CreateTable | CreatePartition)]
    middle = places[-1] + 1
    return step.actions[:middle], (*step.actions[middle:], UnmarkDetached(name, comment))
