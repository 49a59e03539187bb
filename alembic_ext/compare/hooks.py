"""The two functions that autogenerate calls: before it looks at tables, and after all others have."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

from alembic.autogenerate.api import AutogenContext
from alembic.operations.ops import UpgradeOps

from alembic_ext.compare.catalog import Catalog, NameFilter, ObjectFilter, read_catalog
from alembic_ext.compare.indexes import choose_partitioned
from alembic_ext.compare.inspector import hide_partitions
from alembic_ext.compare.order import Order
from alembic_ext.compare.other_comparators import after_all_comparators
from alembic_ext.compare.tables import compare_existing, complete_created, complete_dropped, strip_info

log = logging.getLogger(__name__)

_ATTRIBUTE = "_sa_partman"


@dataclass
class AutogenerateState:
    """
    What one autogenerate run knows.

    Args:
        catalog: None off PostgreSQL, where nothing is done.
    """

    catalog: Catalog | None
    finished: bool = field(default=False)


def prepare(context: AutogenContext, upgrade_ops: UpgradeOps, schemas: Any) -> None:
    """First: hides partitions before they are reflected. The entry point and ``env.py`` may both call it."""
    if getattr(context, _ATTRIBUTE, None) is not None:
        return
    catalog = None
    if context.dialect.name == "postgresql" and context.connection is not None:
        default = context.connection.dialect.default_schema_name
        mapped = {(None if table.schema == default else table.schema, table.name) for table in context.sorted_tables}
        catalog = read_catalog(context.connection, mapped)
        names = NameFilter(catalog, mapped)
        context._name_filters.append(names)
        context._object_filters.append(ObjectFilter(catalog))
        hide_partitions(context.inspector, catalog, context.connection)
        after_all_comparators(context, upgrade_ops, names)
    setattr(context, _ATTRIBUTE, AutogenerateState(catalog))


def finish(context: AutogenContext, upgrade_ops: UpgradeOps, schemas: Any) -> None:
    """
    Last: completes what others emitted, and adds what is ours.

    Raises:
        CommandError: A table is not partitioned as it is declared, and no operation makes it so.
    """
    state: AutogenerateState | None = getattr(context, _ATTRIBUTE, None)
    if state is None or state.finished:
        return
    state.finished = True
    if state.catalog is not None:
        for conversion in dict.fromkeys(state.catalog.converting.values()):
            log.warning("%s; no operation is written for it: %s", conversion.message, conversion.remedy)
        complete_created(context, upgrade_ops)
        complete_dropped(context, upgrade_ops, state.catalog)
        differences = tuple(compare_existing(context, schemas, state.catalog))
        order = Order.of(context.sorted_tables, state.catalog, context.dialect.default_schema_name)
        order.arrange(upgrade_ops, tuple(order.ours(differences)))
        choose_partitioned(upgrade_ops, state.catalog)
    strip_info(upgrade_ops)
