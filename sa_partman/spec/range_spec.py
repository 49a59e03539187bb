"""RANGE: by time, by integer, or by time hidden in another type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Self

from sa_partman.bounds.interval import Interval
from sa_partman.bounds.times import zone_named
from sa_partman.codecs.protocol import Codec
from sa_partman.errors import DeclarationError
from sa_partman.spec.arguments import Arguments, given, is_whole
from sa_partman.spec.base import KeyItem, PartitionSpec
from sa_partman.spec.frozen import FrozenMapping
from sa_partman.spec.retention import Retention, RetentionRule
from sa_partman.spec.tenants import TenantSource, tenant_source

_DEFAULTS: dict[str, Any] = {
    "interval": None,
    "premake": 4,
    "retention": None,
    "start": None,
    "default": False,
    "timezone": "UTC",
    "codec": None,
    "tenants": None,
    "name": None,
    "unlogged": False,
    "subpartition": None,
}


@dataclass(frozen=True, init=False, repr=False)
class RangeSpec(PartitionSpec):
    """
    Partitions of one *interval* each.

    Args:
        key: The column that the interval cuts, first or, with *tenants*, second; further columns may follow.
        interval: PostgreSQL's own interval words ("1 month", "2 weeks", "15 minutes"), or an integer for integer keys.
        premake: Intervals kept ready after the one that holds now; for integers after the highest value present.
        retention: How long partitions are kept; None keeps them for ever.
        start: Provision from here when it is earlier than now: an instant, a date, a number, or ISO text.
        default: Keep a default partition for rows that no other takes. It forbids concurrent detach.
        timezone: The IANA zone where days begin.
        codec: How time is hidden in the key; a UUID column has ``UUIDv7()`` by default.
        tenants: Values of the first key column: each gets its own line of partitions.
        name: Template for the names of partitions, such as ``"{table}_{lower:%Y_%m}"``.
        unlogged: Make the partitions UNLOGGED.
        subpartition: How each partition is partitioned itself.
    """

    interval: Interval | int
    premake: int
    retention: RetentionRule | None
    start: str | int | None
    timezone: str
    codec: Codec | None
    tenants: TenantSource | None

    strategy = "RANGE"

    def __init__(
        self,
        *key: KeyItem,
        interval: str | int | timedelta | Interval,
        premake: int = 4,
        retention: RetentionRule | None = None,
        start: datetime | date | int | str | None = None,
        default: bool = False,
        timezone: str = "UTC",
        codec: Codec | None = None,
        tenants: Any = None,
        name: str | None = None,
        unlogged: bool = False,
        subpartition: PartitionSpec | None = None,
    ) -> None:
        self._init_base(key, default, name, unlogged, subpartition)
        if not is_whole(premake) or premake < 0:
            raise DeclarationError(f"premake={premake!r}: the number of partitions kept ready is 0 or more")
        self._set(
            interval=_interval(interval),
            premake=premake,
            retention=_retention(retention, default),
            start=_start(start),
            timezone=_timezone(timezone),
            codec=codec,
            tenants=None if tenants is None else tenant_source(tenants),
        )
        if self.tenants is not None and len(key) < 2:
            raise DeclarationError("tenants= are the values of the first key column: name it before the ranged one")

    @property
    def ranged(self) -> KeyItem:
        """The key part that the interval cuts."""
        return self.key[0 if self.tenants is None else 1]

    def arguments(self) -> Arguments:
        values = {name: getattr(self, name) for name in _DEFAULTS}
        values["interval"] = self.interval if isinstance(self.interval, int) else str(self.interval)
        if self.tenants is not None:
            values["tenants"] = self.tenants.argument
        return Arguments(self.key, given(_DEFAULTS, values))

    def structural(self) -> Self:
        tenants = self.tenants.argument if self.tenants is not None and self.tenants.literal else None
        if self.tenants is not None and tenants is None:
            tenants = ()
        below = None if self.subpartition is None else self.subpartition.structural()
        return self.with_(retention=None, tenants=tenants, subpartition=below)


def _interval(value: str | int | timedelta | Interval) -> Interval | int:
    if isinstance(value, Interval):
        return value
    if isinstance(value, int):
        if isinstance(value, bool) or value <= 0:
            raise DeclarationError(f"interval={value!r}: an integer interval is 1 or more")
        return value
    try:
        return Interval.parse(value)
    except (ValueError, AttributeError) as error:
        raise DeclarationError(f"interval={value!r}: {error}") from error


def _retention(rule: RetentionRule | None, default: bool) -> RetentionRule | None:
    if isinstance(rule, str):
        raise DeclarationError(f"retention={rule!r}: write retention=Retention({rule!r}, then='detach')")
    each = tuple(rule.values()) if isinstance(rule, Mapping) else (rule,)
    if any(one is not None and not isinstance(one, Retention) and not callable(rule) for one in each):
        raise DeclarationError(
            f"retention={rule!r}: write retention=Retention('14 months', then='detach'), a mapping of tenants to such "
            f"rules, or a callable that returns one"
        )
    if default and any(isinstance(one, Retention) and one.concurrently for one in each):
        raise DeclarationError(
            "default=True and Retention(concurrently=True) exclude each other: PostgreSQL refuses DETACH ... "
            "CONCURRENTLY while a default partition exists. Leave the default partition out (rows without a partition "
            "then fail at once, and provisioning ahead avoids that), or leave concurrently out (each detach then takes "
            "a short ACCESS EXCLUSIVE lock)."
        )
    return FrozenMapping(rule) if isinstance(rule, Mapping) else rule


def _start(value: datetime | date | int | str | None) -> str | int | None:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, str):
        try:
            datetime.fromisoformat(value)
        except ValueError as error:
            raise DeclarationError(f"start={value!r} is not an ISO date or time, such as '2024-01-01'") from error
    elif value is not None and not is_whole(value):
        raise DeclarationError(f"start={value!r} is neither a date or time, such as '2024-01-01', nor a whole number")
    return value


def _timezone(name: str) -> str:
    try:
        zone_named(name)
    except ValueError as error:
        raise DeclarationError(f"timezone={name!r}: {error}") from error
    return name
