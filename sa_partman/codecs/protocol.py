"""What a codec must offer. A class of your own works as well as the ones of this package."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

from sa_partman.bounds.bound import KeyValue
from sa_partman.key import Family


@runtime_checkable
class Codec(Protocol):
    """
    Instants hidden in the values of another type, in the same order.

    A codec is immutable, comparable, and its ``repr()`` is the Python that makes it again, because migration files
    contain it. For every instant on its resolution ``decode(encode(instant)) == instant`` holds; values made within
    a period compare ``>= encode(lower)`` and ``< encode(upper)``.
    """

    @property
    def families(self) -> frozenset[Family]:
        """The key types that this codec can live in."""
        ...

    @property
    def resolution(self) -> timedelta:
        """The shortest time that two different values can be apart."""
        ...

    def encode(self, instant: datetime, family: Family) -> KeyValue:
        """
        The smallest key value of *instant*, as a value of *family*.

        Raises:
            ValueError: *instant* (aware) is outside what the codec can hold.
        """
        ...

    def decode(self, value: KeyValue) -> datetime:
        """
        The aware instant, in UTC, that *value* was made at.

        Raises:
            ValueError: *value* is not of this codec (a UUIDv4 where UUIDv7 is expected).
        """
        ...

    def misplaced(self, column: str, family: Family) -> str | None:
        """
        SQL that is true for a row whose *column* (quoted already, of *family*) this codec can't place; None when it
        can place every value.
        """
        ...
