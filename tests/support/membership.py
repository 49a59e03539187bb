"""What a table has for itself, read from the catalog without the package; and roles for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from sqlalchemy import Engine

from tests.support.database import role, scalar, sql

OWNER, APP, MEMBER = "c_owner", "c_app", "c_member"


@contextmanager
def roles(engine: Engine, *names: str) -> Iterator[None]:
    """Login roles for the block; what they own goes with them."""
    with ExitStack() as stack:
        for name in names:
            stack.enter_context(role(engine, name=name))
        yield


def has(engine: Engine, table: str) -> dict[str, Any]:
    """Everything but the ACL's grantors, comparable between a table and its partitions."""
    found = sql(
        engine,
        """
        SELECT pg_get_userbyid(relowner), relrowsecurity, relforcerowsecurity, relreplident,
            (SELECT spcname FROM pg_tablespace WHERE oid = reltablespace),
            ARRAY(SELECT CAST(a AS text) FROM unnest(coalesce(relacl, acldefault('r', relowner))) a ORDER BY 1),
            ARRAY(SELECT attname || CAST(attacl AS text) FROM pg_attribute
                  WHERE attrelid = c.oid AND attacl IS NOT NULL ORDER BY 1),
            ARRAY(SELECT concat_ws(' ', polname, polcmd, polpermissive,
                      (SELECT array_agg(CAST(r AS regrole) ORDER BY 1) FROM unnest(polroles) r),
                      replace(pg_get_expr(polqual, polrelid), relname, 'IT'),
                      replace(pg_get_expr(polwithcheck, polrelid), relname, 'IT'))
                  FROM pg_policy WHERE polrelid = c.oid ORDER BY 1)
        FROM pg_class c WHERE oid = CAST(:name AS regclass)
        """,
        name=table,
    )[0]
    words = ("owner", "row_security", "forced", "identity", "tablespace", "grants", "columns", "policies")
    return dict(zip(words, found, strict=True))


def owner_of(engine: Engine, table: str) -> str:
    return str(
        scalar(engine, "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = CAST(:t AS regclass)", t=table)
    )
