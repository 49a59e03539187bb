"""PostgreSQL partitioning for SQLAlchemy and Alembic, from one declaration on the model."""

from sa_partman.codecs import ULID, Codec, Epoch, Snowflake, UUIDv7
from sa_partman.errors import PartmanError
from sa_partman.maintenance.converter import Converter
from sa_partman.maintenance.maintainer import Maintainer
from sa_partman.orm.declarations import PartitionByHash, PartitionByList, PartitionByRange
from sa_partman.orm.mapping import Partitioned
from sa_partman.orm.registry import partition_by
from sa_partman.postgres import create_all as _create_all  # registers the hook of metadata.create_all()
from sa_partman.postgres.retry import LockPolicy
from sa_partman.spec.base import KeyExpression
from sa_partman.spec.retention import Retention
from sa_partman.version import __version__

__all__ = [
    "ULID",
    "Codec",
    "Converter",
    "Epoch",
    "KeyExpression",
    "LockPolicy",
    "Maintainer",
    "PartitionByHash",
    "PartitionByList",
    "PartitionByRange",
    "Partitioned",
    "PartmanError",
    "Retention",
    "Snowflake",
    "UUIDv7",
    "__version__",
    "partition_by",
]

del _create_all
