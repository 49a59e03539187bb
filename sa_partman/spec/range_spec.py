"""RANGE: by time, by integer, or by time hidden in another type; and how long its partitions are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal, Self
from warnings import warn

from sa_partman.bounds.interval import Duration, Interval, zone_named
from sa_partman.codecs.codec import Codec
from sa_partman.errors import DeclarationError
from sa_partman.spec.archive import Archive
from sa_partman.spec.base import Arguments, FrozenMapping, KeyItem, PartitionSpec, given, is_whole, readable
from sa_partman.spec.list_spec import TenantSource, tenant_source

Then = Literal["detach", "drop"] | Archive


@dataclass(frozen=True, init=False, repr=False)
class Retention:
    """
    A partition is *expired* when its upper bound is at or before now - *keep*.

    Args:
        keep: A length of calendar time ("14 months", or a ``timedelta``), counted in the declaration's time zone; or
            an integer: that many intervals behind the current one.
        then: ``"detach"`` keeps the table beside the partitioned one, marked by a comment; ``"drop"`` drops it; an
            `Archive` writes it to a file, verifies that, and drops it then.
        concurrently: Detach with ``DETACH PARTITION ... CONCURRENTLY``, which never makes a query wait, takes
            longer, and is impossible while a default partition exists. None: detach at once, under a short lock.
        grace: How long a table stays detached before it is archived or dropped ("7 days", or a ``timedelta``). None:
            no longer than the run takes.
        referencing_tables: Tables that are not partitioned and refer to this one: their rows that refer to an expired
            partition are deleted before it goes. Nothing is deleted in a table that is not named here.
        foreign: What becomes of an expired partition that sa_partman did not make and nobody handed over with
            ``run --adopt``. None: it is kept, and reported. True: it goes like any other. False: it is kept, silently.
        foreign_tables: What becomes of an expired partition that is a foreign table, or has one below it. None: it is
            kept, and reported. True: it is dropped or detached as *then* says; what is on the other server stays there.
            False: it is kept, silently.

    Raises:
        DeclarationError: *keep* or *grace* is not a positive length, *then* is no such word, *grace* has no end, or
            foreign tables are to be archived or to have a grace.
    """

    keep: Duration | int
    then: Then
    concurrently: bool | None
    grace: Duration | None
    referencing_tables: tuple[str, ...]
    foreign: bool | None
    foreign_tables: bool | None

    def __init__(
        self,
        keep: str | int | timedelta,
        then: Then = "detach",
        *,
        concurrently: bool | None = None,
        grace: str | timedelta | None = None,
        referencing_tables: Iterable[str] = (),
        foreign: bool | None = None,
        foreign_tables: bool | None = None,
        satellites: Iterable[str] | None = None,
    ) -> None:
        object.__setattr__(self, "keep", _keep(keep))
        if not isinstance(then, Archive) and then not in ("detach", "drop"):
            raise DeclarationError(
                f"Retention(then={then!r}): write then='detach', then='drop', or then=Archive('/some/directory')"
            )
        object.__setattr__(self, "then", then)
        object.__setattr__(self, "concurrently", concurrently)
        object.__setattr__(self, "grace", None if grace is None else _grace(grace, then))
        if satellites is not None:
            warn(
                "Retention(satellites=...) is called Retention(referencing_tables=...) now",
                DeprecationWarning,
                stacklevel=2,
            )
            referencing_tables = satellites
        object.__setattr__(self, "referencing_tables", _referencing_tables(referencing_tables))
        if foreign not in (None, True, False):
            raise DeclarationError(f"Retention(foreign={foreign!r}): write True, False or None")
        object.__setattr__(self, "foreign", foreign)
        if foreign_tables not in (None, True, False):
            raise DeclarationError(f"Retention(foreign_tables={foreign_tables!r}): write True, False or None")
        if foreign_tables and (self.archive is not None or self.grace is not None):
            raise DeclarationError(
                "Retention(foreign_tables=True): a foreign table is dropped or detached at once; write then='drop' or "
                "then='detach' without grace=, or leave foreign_tables=True out"
            )
        object.__setattr__(self, "foreign_tables", foreign_tables)

    @property
    def archive(self) -> Archive | None:
        """Where the rows go, if anywhere."""
        return self.then if isinstance(self.then, Archive) else None

    @property
    def detaches(self) -> bool:
        """Whether an expired partition stands beside the partitioned table for a while, or for good."""
        return self.then != "drop" or self.grace is not None

    def __repr__(self) -> str:
        keep = self.keep if isinstance(self.keep, int) else str(self.keep)
        parts = [repr(keep), f"then={self.then!r}"]
        if self.concurrently is not None:
            parts.append(f"concurrently={self.concurrently!r}")
        if self.grace is not None:
            parts.append(f"grace={str(self.grace)!r}")
        if self.referencing_tables:
            parts.append(f"referencing_tables={self.referencing_tables!r}")
        if self.foreign is not None:
            parts.append(f"foreign={self.foreign!r}")
        if self.foreign_tables is not None:
            parts.append(f"foreign_tables={self.foreign_tables!r}")
        return f"Retention({', '.join(parts)})"

    def __str__(self) -> str:
        kept = f"{self.keep} intervals" if isinstance(self.keep, int) else str(self.keep)
        grace = "" if self.grace is None else f"detach, {self.grace} later "
        return f"{kept}, then {grace}{self.then}"


def _grace(grace: str | timedelta, then: Then) -> Duration:
    if then == "detach":
        raise DeclarationError(
            f"Retention(then='detach', grace={grace!r}): a detached table is kept for ever; write then='drop' or "
            f"then=Archive(...), or leave grace= out"
        )
    try:
        duration = Duration.parse(grace)
    except (ValueError, AttributeError) as error:
        raise DeclarationError(f"Retention(grace={grace!r}): {error}") from error
    if not duration:
        raise DeclarationError(f"Retention(grace={grace!r}): leave grace= out where there is none")
    return duration


def _referencing_tables(names: Iterable[str]) -> tuple[str, ...]:
    if isinstance(names, str):
        raise DeclarationError(f"Retention(referencing_tables={names!r}): write referencing_tables=({names!r},)")
    found = tuple(names)
    if not all(found):
        raise DeclarationError(f"Retention(referencing_tables={found!r}): write the names of tables")
    return found


def _keep(keep: str | int | timedelta) -> Duration | int:
    if isinstance(keep, int):
        if not is_whole(keep) or keep < 0:
            raise DeclarationError(f"Retention(keep={keep!r}): the number of intervals kept is 0 or more")
        return keep
    try:
        duration = Duration.parse(keep)
    except (ValueError, AttributeError) as error:
        raise DeclarationError(f"Retention(keep={keep!r}): {error}") from error
    if not duration:
        raise DeclarationError(
            f"Retention(keep={keep!r}) would expire everything in the past; "
            f"leave retention= out to keep partitions for ever"
        )
    return duration


RetentionRule = Retention | Mapping[Any, Retention | None] | Callable[[Any], Retention | None]
"""One retention for all, or one per tenant; what maps to nothing is kept for ever."""


def retention_of(rule: RetentionRule | None, tenant: object) -> Retention | None:
    """
    What *rule* says for *tenant* (None where there are no tenants).

    Raises:
        DeclarationError: A callable fails, or gives something else.
    """
    if rule is None or isinstance(rule, Retention):
        return rule
    if isinstance(rule, Mapping):
        return rule.get(tenant, rule.get(str(tenant)))
    try:
        answer = rule(tenant)
    except Exception as error:
        raise DeclarationError(
            f"retention={readable(rule)} failed for the tenant {tenant!r}: {error!r}; correct it, or return None"
        ) from error
    if answer is None or isinstance(answer, Retention):
        return answer
    raise DeclarationError(
        f"retention={readable(rule)} gave {answer!r} for the tenant {tenant!r}; return a Retention, or None"
    )


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
