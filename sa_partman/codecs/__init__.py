"""Time hidden in another type: a codec turns an instant into the smallest key value of that instant, and back."""

from __future__ import annotations

from sa_partman.codecs.codec import Codec
from sa_partman.codecs.epoch import Epoch
from sa_partman.codecs.snowflake import Snowflake
from sa_partman.codecs.ulid import ULID
from sa_partman.codecs.uuid7 import UUIDv7

__all__ = ["ULID", "Codec", "Epoch", "Snowflake", "UUIDv7"]
