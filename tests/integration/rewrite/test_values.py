"""List and hash partitions that are filled get the values and the modulus of the declaration."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Engine, MetaData, Table, Text

from sa_partman import Maintainer, PartitionByHash, PartitionByList
from tests.support.database import partitions, sql
from tests.support.rewriting import contents, left_behind, rewriter

ROWS = "INSERT INTO events SELECT i, (ARRAY['de', 'fr', 'us', 'ca'])[i % 4 + 1], i FROM generate_series(1, 30000) i"


def table(spec: PartitionByList | PartitionByHash) -> MetaData:
    metadata = MetaData()
    Table(
        "events",
        metadata,
        Column("id", BigInteger, primary_key=True, autoincrement=False),
        Column("region", Text, primary_key=True),
        Column("created_at", BigInteger, nullable=False),
        spec,
    )
    return metadata


def filled(engine: Engine, metadata: MetaData) -> None:
    metadata.create_all(engine)
    sql(engine, ROWS)
    sql(engine, "ANALYZE events")


def test_another_modulus(engine: Engine) -> None:
    filled(engine, table(PartitionByHash("id", modulus=4)))
    before, wanted = contents(engine), table(PartitionByHash("id", modulus=6))
    work = rewriter(engine, wanted)

    work.regrid("events")

    assert before == contents(engine)
    assert {f"events_h{remainder}" for remainder in range(6)} == {*partitions(engine)}
    assert not Maintainer(engine, wanted).plan()
    assert [] == [each for each in Maintainer(engine, wanted).check() if each.code == "modulus"]
    sql(engine, "UPDATE events SET created_at = 0 WHERE id % 5 = 0")
    before = contents(engine)
    work.undo("events")
    assert before == contents(engine)
    assert 4 == len(partitions(engine))
    assert [] == left_behind(engine)


def test_other_labels(engine: Engine) -> None:
    """One label becomes two, two become one, and a value that no label names stays."""
    filled(engine, table(PartitionByList("region", values={"eu": ["de", "fr"], "us": ["us"], "ca": ["ca"]})))
    before = contents(engine)
    wanted = table(PartitionByList("region", values={"de": ["de"], "america": ["us", "ca"]}))
    work = rewriter(engine, wanted)

    work.regrid("events")

    assert before == contents(engine)
    assert {
        "events_de": "FOR VALUES IN ('de')",
        "events_america": "FOR VALUES IN ('us', 'ca')",
        "events_fr": "FOR VALUES IN ('fr')",
    } == {name: bound.replace("'ca', 'us'", "'us', 'ca'") for name, bound in partitions(engine).items()}
    work.finalize("events")
    assert before == contents(engine)
    assert [] == left_behind(engine)


def test_nothing_to_do(engine: Engine) -> None:
    metadata = table(PartitionByList("region", values={"eu": ["de", "fr"], "america": ["us", "ca"]}))
    filled(engine, metadata)

    assert not rewriter(engine, metadata).plan_regrid("events")
