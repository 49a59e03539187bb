"""What an operation creates is a full member of its table, as what the maintainer creates is."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from sqlalchemy import text

from alembic_ext.session import Place
from sa_partman.plan.actions import Action
from sa_partman.plan.membership import as_members, makes
from sa_partman.plan.steps import Purpose, Step
from sa_partman.postgres.membership.reading import memberships
from sa_partman.postgres.session import act_as
from sa_partman.postgres.steps.execute import apply_actions

# Whoever owns the table is to own its partitions, if we may take its place and it may create.
_OWNER = """
SELECT CAST(r.rolname AS text), pg_catalog.current_setting('role'), r.rolname = current_user
    OR NOT pg_catalog.pg_has_role(current_user, r.oid, '{mode}')
    OR NOT pg_catalog.has_schema_privilege(r.oid, c.relnamespace, 'CREATE')
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_roles r ON r.oid = c.relowner WHERE c.oid = CAST(:oid AS oid)
"""
_BY_MODE = {mode: text(_OWNER.format(mode=mode)) for mode in ("SET", "MEMBER")}


def apply_as_members(here: Place, actions: Iterable[Action]) -> None:
    """Executes *actions*; the tables that they create get the owner, the grants and the rest of their table."""
    step = Step(Purpose.PROVISION, here.table.name, here.table.name, None, tuple(actions))
    if not makes(step):
        apply_actions(here.connection, step.actions)
        return
    with _as_owner(here):
        apply_actions(here.connection, _whole(here, step).actions)


def _whole(here: Place, step: Step) -> Step:
    membership = memberships(here.connection, [here.table.oid])[here.table.oid]
    if not membership.lacking:
        return as_members(step, membership)
    warnings.warn(
        f"{here.table.name}: its new partitions don't have everything that the table has, because the connected role "
        f"may not; run this, and then sa-partman run --repair: {'; '.join(membership.lacking)}",
        stacklevel=2,
    )
    return step


@contextmanager
def _as_owner(here: Place) -> Iterator[None]:
    version = here.connection.dialect.server_version_info or ()
    query = _BY_MODE["SET" if version >= (16,) else "MEMBER"]
    owner, role, stays = here.connection.execute(query, {"oid": here.table.oid}).one()
    if stays:
        yield
        return
    act_as(here.connection, owner)
    yield
    act_as(here.connection, role)
