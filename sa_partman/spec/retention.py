"""How long partitions are kept, and what happens to them afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from sa_partman.bounds.interval import Duration
from sa_partman.errors import DeclarationError
from sa_partman.spec.arguments import is_whole

Then = Literal["detach", "drop"]


@dataclass(frozen=True, init=False, repr=False)
class Retention:
    """
    A partition is *expired* when its upper bound is at or before now - *keep*.

    Args:
        keep: A length of calendar time ("14 months", or a ``timedelta``), counted in the declaration's time zone; or
            an integer: that many intervals behind the current one.
        then: ``"detach"`` keeps the table beside the partitioned one, marked by a comment; ``"drop"`` drops it.
        concurrently: Detach with ``DETACH PARTITION ... CONCURRENTLY``, which never makes a query wait, takes
            longer, and is impossible while a default partition exists. None: detach at once, under a short lock.

    Raises:
        DeclarationError: *keep* is not a positive length, or *then* is neither word.
    """

    keep: Duration | int
    then: Then
    concurrently: bool | None

    def __init__(self, keep: str | int | timedelta, then: Then = "detach", *, concurrently: bool | None = None) -> None:
        object.__setattr__(self, "keep", _keep(keep))
        if then not in ("detach", "drop"):
            raise DeclarationError(f"Retention(then={then!r}): write then='detach' or then='drop'")
        object.__setattr__(self, "then", then)
        object.__setattr__(self, "concurrently", concurrently)

    def __repr__(self) -> str:
        keep = self.keep if isinstance(self.keep, int) else str(self.keep)
        parts = [repr(keep), f"then={self.then!r}"]
        if self.concurrently is not None:
            parts.append(f"concurrently={self.concurrently!r}")
        return f"Retention({', '.join(parts)})"

    def __str__(self) -> str:
        kept = f"{self.keep} intervals" if isinstance(self.keep, int) else str(self.keep)
        return f"{kept}, then {self.then}"


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
    """What *rule* says for *tenant* (None where there are no tenants)."""
    if rule is None or isinstance(rule, Retention):
        return rule
    if isinstance(rule, Mapping):
        return rule.get(tenant, rule.get(str(tenant)))
    try:
        return rule(tenant)
    except Exception as error:
        raise DeclarationError(f"retention={rule!r} failed for the tenant {tenant!r}: {error!r}") from error
