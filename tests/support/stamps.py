"""Options that the server keeps in a column for itself, as Debian's PostgreSQL 15.20 does; by hand on any other."""

from __future__ import annotations

from sqlalchemy import Engine

from tests.support.database import sql


def stamped(engine: Engine, *tables: str) -> None:
    """The columns of *tables* bear an option that nobody set: the server's own, or one like it."""
    sql(
        engine,
        """
        UPDATE pg_attribute a SET attoptions = a.attoptions || CAST('{srv_attver=' || a.attrelid || '}' AS text[])
        WHERE attrelid = ANY (CAST(:tables AS regclass[])) AND attnum > 0 AND NOT attisdropped
            AND NOT EXISTS (SELECT FROM unnest(attoptions) o WHERE o NOT LIKE 'n_distinct%')
        """,
        tables=list(tables),
    )
