"""How long partitions are kept, and what happens to them afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from sa_partman.bounds.interval import Duration
from sa_partman.errors import DeclarationError
from sa_partman.spec.archive import Archive
from sa_partman.spec.arguments import is_whole, readable

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
        satellites: Tables that are not partitioned and refer to this one: their rows that refer to an expired
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
    satellites: tuple[str, ...]
    foreign: bool | None
    foreign_tables: bool | None

    def __init__(
        self,
        keep: str | int | timedelta,
        then: Then = "detach",
        *,
        concurrently: bool | None = None,
        grace: str | timedelta | None = None,
        satellites: Iterable[str] = (),
        foreign: bool | None = None,
        foreign_tables: bool | None = None,
    ) -> None:
        object.__setattr__(self, "keep", _keep(keep))
        if not isinstance(then, Archive) and then not in ("detach", "drop"):
            raise DeclarationError(
                f"Retention(then={then!r}): write then='detach', then='drop', or then=Archive('/some/directory')"
            )
        object.__setattr__(self, "then", then)
        object.__setattr__(self, "concurrently", concurrently)
        object.__setattr__(self, "grace", None if grace is None else _grace(grace, then))
        object.__setattr__(self, "satellites", _satellites(satellites))
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
        if self.satellites:
            parts.append(f"satellites={self.satellites!r}")
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


def _satellites(names: Iterable[str]) -> tuple[str, ...]:
    if isinstance(names, str):
        raise DeclarationError(f"Retention(satellites={names!r}): write satellites=({names!r},)")
    found = tuple(names)
    if not all(found):
        raise DeclarationError(f"Retention(satellites={found!r}): write the names of tables")
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
