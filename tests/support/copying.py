"""A plain table that is to be copied into a partitioned one."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, MetaData

from sa_partman import Converter, PartitionByHash
from tests.support.rewriting import BRISK, NOW, events


def hashed(spec: Any = None, key: tuple[str, ...] = ("id",)) -> MetaData:
    """The model of it: by hash of its primary key."""
    metadata, _ = events(spec or PartitionByHash("id", modulus=4), key)
    return metadata


def converter(engine: Engine, metadata: MetaData, **more: Any) -> Converter:
    return Converter(engine, metadata, now=NOW, lock=BRISK, **more)
