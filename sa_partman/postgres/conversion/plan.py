"""Draws the plan of a conversion in place: looks at the table, and decides."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from sa_partman.anatomy import Anatomy
from sa_partman.compare.shape import MISSING_TABLE, shape_finding
from sa_partman.compare.situation import Situation
from sa_partman.names import QualifiedName
from sa_partman.plan.conversion.attach import attach_in_place, leaf_statistics_of, names_of, statistics_of
from sa_partman.plan.conversion.fingerprint import fingerprint
from sa_partman.plan.conversion.history import unserved
from sa_partman.plan.conversion.inbound import Again, again
from sa_partman.plan.conversion.refusals import table_refusals
from sa_partman.plan.conversion.request import Choices, ConversionRequest, key_index, proof
from sa_partman.plan.conversion.steps import ConversionPlan, Refusal
from sa_partman.plan.conversion.types import retyped, type_refusals
from sa_partman.postgres.columns import columns_of
from sa_partman.postgres.conversion.anatomy import read_anatomy
from sa_partman.postgres.conversion.names import name_refusals
from sa_partman.postgres.conversion.profile import analyzed, slots, without_match
from sa_partman.postgres.conversion.reach import reach
from sa_partman.postgres.outlived import estimated
from sa_partman.postgres.reflect import reflect
from sa_partman.spec.declared import DeclaredTable, RangeLevel

PrimaryKey = Callable[[tuple[str, ...]], tuple[str, ...]]
"""The columns of the primary key that the table is to have, of those that it has."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """
    A plan, with what it was made from.

    Args:
        declaration: As Python.
        mark: The fingerprint of the table that it was made for.
        oid: That table.
        primary_key: Its primary key's columns, before.
    """

    table: QualifiedName
    declaration: str
    plan: ConversionPlan
    mark: str = ""
    oid: int = 0
    primary_key: tuple[str, ...] = ()


def draw(
    connection: Connection,
    declared: DeclaredTable,
    primary_key: PrimaryKey,
    situation: Situation,
    choices: Choices,
    *,
    lead: timedelta = timedelta(hours=1),
    boundary: Any = None,
    concurrently: bool = True,
) -> Drawn:
    """
    Plans the conversion of one table, in the caller's pinned transaction.

    Args:
        declared: Its name carries the schema.
        primary_key: That of the partitioned table.
    """
    anatomy = read_anatomy(connection, declared.name)
    declaration = repr(declared.spec)
    if anatomy is not None and anatomy.kind == "p":
        return Drawn(declared.name, declaration, _partitioned(connection, declared))
    refusal = _missing(declared, anatomy) or unserved(declared) or _endless(declared, boundary)
    if refusal is not None or anatomy is None:
        return Drawn(declared.name, declaration, ConversionPlan((), (refusal,) if refusal else ()))
    columns = columns_of(connection, anatomy.oid)
    hopeless = (*table_refusals(anatomy), *type_refusals(declared, columns, anatomy))
    if hopeless:
        return Drawn(declared.name, declaration, ConversionPlan((), hopeless))
    declared = retyped(declared, columns)
    history, found = reach(connection, declared, anatomy, situation, lead, boundary)
    if isinstance(history, Refusal):
        return Drawn(declared.name, declaration, ConversionPlan((), (history,)))
    wanted = primary_key(key_columns(anatomy))
    request = ConversionRequest(declared, wanted, history, situation, choices, concurrently)
    unmatched = dict(_unmatched(connection, request, anatomy))
    found = replace(
        found,
        unmatched=unmatched,
        analyzed=analyzed(connection, declared.name),
        slots=slots(connection),
        older=_older(connection, request),
    )
    plan = attach_in_place(request, anatomy, found)
    if not plan.refusals:
        statistics = statistics_of(anatomy) | leaf_statistics_of(request, anatomy)
        taken = tuple(name_refusals(connection, names_of(request, anatomy), statistics, anatomy.oid))
        plan = ConversionPlan((), taken, plan.notes) if taken else plan
    return Drawn(declared.name, declaration, plan, mark_of(anatomy), anatomy.oid, key_columns(anatomy))


def _older(connection: Connection, request: ConversionRequest) -> int | None:
    outlived = request.outlived
    return None if outlived is None else estimated(connection, request.table, outlived.condition)


def _unmatched(
    connection: Connection, request: ConversionRequest, anatomy: Anatomy
) -> Iterator[tuple[tuple[QualifiedName, str], int]]:
    for key in anatomy.inbound:
        form = again(key, request, anatomy)
        if isinstance(form, Again) and form.composite:
            yield (key.table, key.name), without_match(connection, request.table, form)


def _missing(declared: DeclaredTable, anatomy: Anatomy | None) -> Refusal | None:
    return Refusal(f"{declared.name} does not exist", MISSING_TABLE) if anatomy is None else None


def _endless(declared: DeclaredTable, boundary: Any) -> Refusal | None:
    if boundary is None or isinstance(declared.level, RangeLevel):
        return None
    return Refusal(
        f"the boundary {boundary} would do nothing: the history of a table PARTITION BY {declared.level.partition_by} "
        f"has values and no end",
        "leave --boundary (boundary=) out",
    )


def _partitioned(connection: Connection, declared: DeclaredTable) -> ConversionPlan:
    """No steps: the table is what it is to be, or partitioned otherwise."""
    misfit = shape_finding(declared, reflect(connection, [declared])[declared.name])
    if misfit is not None:
        return ConversionPlan((), (Refusal(misfit.message, misfit.remedy),))
    return ConversionPlan((), (), (f"{declared.name} is partitioned already, as the model declares it",))


def mark_of(anatomy: Anatomy, more: Any = None) -> str:
    """The fingerprint of a table and *more* of it, but for what its own conversion adds before the cut-over."""
    own = frozenset({proof(anatomy.name), key_index(anatomy.name)})
    return fingerprint(anatomy, own, tuple(column.name for column in anatomy.columns), more)


def key_columns(anatomy: Anatomy) -> tuple[str, ...]:
    """The columns of the primary key; empty when there is none."""
    present = anatomy.primary_key
    return () if present is None else tuple(str(column) for column in present.columns)
