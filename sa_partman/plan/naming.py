"""What partitions are called: the default names, or a declaration's template."""

from __future__ import annotations

from typing import Any

from sa_partman.bounds.bound import Bound, DefaultBound, HashBound, ListBound, RangeBound
from sa_partman.errors import DeclarationError
from sa_partman.names import QualifiedName, fit_name, join_name, label_of
from sa_partman.spec.declared import Level, RangeLevel


def partition_name(level: Level, parent: QualifiedName, bound: Bound, label: str | None = None) -> QualifiedName:
    """
    Args:
        parent: The relation that the partition belongs to, which may be a partition itself.
        label: A list partition's; else None.

    Raises:
        DeclarationError: The template uses a field that this strategy has not.
    """
    if isinstance(bound, DefaultBound):
        return parent.sibling(join_name(parent.name, "default"))
    fields = _fields(level, bound, label)
    template = level.spec.name
    if template is None:
        return parent.sibling(join_name(parent.name, fields["suffix"]))
    try:
        name = template.format(table=parent.name, **fields)
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        known = ", ".join(("table", *fields))
        raise DeclarationError(f"name={template!r} can't be filled in ({error}); it may use {known}") from error
    return parent.sibling(fit_name(name))


def _fields(level: Level, bound: Bound, label: str | None) -> dict[str, Any]:
    if isinstance(bound, HashBound):
        return {"suffix": f"h{bound.remainder}", "remainder": bound.remainder, "modulus": bound.modulus}
    if isinstance(bound, ListBound):
        text = label if label is not None else "_".join(sorted(map(label_of, bound.values)))
        return {"suffix": text, "label": text}
    if isinstance(bound, RangeBound) and isinstance(level, RangeLevel):
        return _range_fields(level, bound)
    raise TypeError(f"{bound!r} does not belong to {level.spec!r}")


def _range_fields(level: RangeLevel, bound: RangeBound) -> dict[str, Any]:
    axis = level.axis
    lower, upper = axis.decode(bound.lower[level.place]), axis.decode(bound.upper[level.place])
    suffix = axis.suffix(lower) if lower is not None else "pmin"
    fields: dict[str, Any] = {
        "suffix": suffix,
        "lower": None if lower is None else axis.wall(lower),
        "upper": None if upper is None else axis.wall(upper),
    }
    if level.spec.tenants is not None:
        fields["tenant"] = label_of(bound.lower[0])
        fields["suffix"] = f"{fields['tenant']}_{suffix}"
    return fields
