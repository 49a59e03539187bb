"""Membership over asyncpg: the same statements, through another driver."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import create_async_engine

from sa_partman import AsyncMaintainer, PartitionByRange
from tests.support.builders import at
from tests.support.database import codes, new_table, outcomes, sql
from tests.support.membership import APP, OWNER, has, owner_of, roles

pytest.importorskip("asyncpg")
MONTHLY = PartitionByRange("created_at", interval="1 month", premake=1, start="2031-01-01")
ONE, TWO = "events_p20310101", "events_p20310201"


def test_creation_check_and_repair(engine: Engine) -> None:
    """By a superuser for the owner, with all that a table can have."""
    table = new_table(MONTHLY)
    with roles(engine, OWNER, APP):
        sql(
            engine,
            f"""
            CREATE TABLE events (id bigint NOT NULL, created_at timestamptz NOT NULL, tenant text NOT NULL,
                region text, ref uuid NOT NULL DEFAULT gen_random_uuid()) PARTITION BY RANGE (created_at);
            CREATE UNIQUE INDEX "by % it" ON events (ref, created_at);
            ALTER TABLE events REPLICA IDENTITY USING INDEX "by % it";
            ALTER TABLE events ENABLE ROW LEVEL SECURITY;
            CREATE POLICY p ON events USING (tenant LIKE 'x%');
            GRANT SELECT, UPDATE (region) ON events TO {APP};
            GRANT ALL ON SCHEMA public TO {OWNER};
            ALTER TABLE events OWNER TO {OWNER}
            """,
        )

        async def maintain() -> tuple[list[str], list[str], list[str], list[str]]:
            url = engine.url.set(drivername="postgresql+asyncpg")
            other = create_async_engine(url)
            maintainer = AsyncMaintainer(other, table.metadata, now=at("2031-01-15"))
            made = await maintainer.run()
            sql(engine, f"GRANT DELETE ON {ONE} TO {APP}; DROP POLICY p ON {TWO}")
            sql(engine, f"CREATE PUBLICATION pub FOR TABLE {ONE}")
            drift = await maintainer.check(as_role=APP)
            mended = await maintainer.run(repair=True)
            after = await maintainer.check()
            await other.dispose()
            return outcomes(made), codes(drift), outcomes(mended), codes(after)

        made, drift, mended, after = asyncio.run(maintain())

        assert ["done", "done"] == made
        assert ["membership", "membership", "missing-privilege"] == sorted(drift)[:3]
        assert ["done", "done"] == mended
        assert "membership" not in after
        assert has(engine, "events") == has(engine, ONE) == has(engine, TWO)
        assert OWNER == owner_of(engine, ONE)
