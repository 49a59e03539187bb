"""
Values of a list, or of tenants, that the enum of their column does not have: a label was renamed, or is yet to come.
PostgreSQL shows the bound of a partition with the label of today, so a renamed one looks like a value that left.
"""

from __future__ import annotations

from collections.abc import Iterator

from sa_partman.bounds.bound import KeyValue
from sa_partman.compare.situation import Situation
from sa_partman.finding import Finding, Severity
from sa_partman.names import text_literal
from sa_partman.spec.declared import Level, ListLevel, RangeLevel
from sa_partman.spec.list_spec import TenantSource


def is_label(level: Level, value: KeyValue, situation: Situation) -> bool:
    """Whether the database can hold *value*: False for a label that its enum does not have."""
    labels = situation.labels.get(level.depth)
    return labels is None or value is None or value in labels


def source_of(level: Level) -> TenantSource | None:
    """Where the values of a list, or the tenants of a range, come from."""
    if isinstance(level, ListLevel):
        return level.spec.values
    return level.spec.tenants if isinstance(level, RangeLevel) else None


def unknown_values(level: Level, situation: Situation) -> tuple[str, ...]:
    """The values that *level* wants and its enum lacks."""
    return tuple(str(value) for value in _wanted(level, situation) if not is_label(level, value, situation))


def label_findings(table: str, level: Level, situation: Situation) -> Iterator[Finding]:
    """One for each level: no partition is made for these values, and none of the others is taken for one that left."""
    lacking = unknown_values(level, situation)
    if not lacking:
        return
    wanted, kind = frozenset(_wanted(level, situation)), level.key.types[0].sql
    others = [label for label in situation.labels[level.depth] if label not in wanted]
    one = len(lacking) == 1
    new = "alembic revision --autogenerate writes ALTER TYPE ... ADD VALUE"
    message = f"the enum {kind} lacks {_listed(lacking)}, so no partition is made for {'it' if one else 'them'}"
    if not others:
        yield Finding("enum-label", Severity.ERROR, table, message, new)
        return
    back = f"ALTER TYPE {kind} RENAME VALUE {text_literal(others[0])} TO {text_literal(lacking[0])}"
    yield Finding(
        "enum-label",
        Severity.ERROR,
        table,
        f"{message}; it has {_listed(others)}, which the declaration does not name: perhaps the same, renamed",
        f"if so, give the models the new label, or rename it back: {back}; else {new}",
    )


def _wanted(level: Level, situation: Situation) -> Iterator[KeyValue]:
    source = source_of(level)
    if source is not None:
        labelled = source.labelled if source.literal else situation.tenants.get(level.depth, ())
        yield from dict.fromkeys(value for _, values in labelled for value in values)


def _listed(labels: tuple[str, ...] | list[str]) -> str:
    return ", ".join(map(repr, labels))
