"""
Every exception of the package, one tree::

    PartmanError
    |-- DeclarationError          a declaration is wrong; raised when the class is mapped
    |-- ConfigurationError        no metadata, no URL, a bad option: nothing was contacted
    |   `-- MissingDependency     an optional package is not installed
    |-- ServerUnavailable         no server, no connection, or no binaries to start one
    |-- CatalogError              the catalog says something that we cannot read
    |   `-- UnreadableBound       a partition bound of a type or form that we do not know
    |-- Refused                   the request is understood and not done; nothing was changed
    |   |-- NameTaken             another relation bears the wanted name
    |   |-- ConversionRefused     a table can't be converted as it is; every reason is named
    |   |   `-- ConversionPending a migration found a large table that is not converted yet
    |   |-- ReadOnlyServer        a standby, or default_transaction_read_only
    |   `-- MissingPrivilege      the role may not do what the plan needs
    |-- Veto                      raised by a user's hook: the step is not done
    |-- MaintainerBusy            another maintainer holds the lock; try later
    `-- ExecutionError            a step failed in the database; the message says what was done
        |-- ExclusionLost         we are no longer the only maintainer; the run ended before its next step
        |   `-- OthersTurn        behind a pooler: another maintainer is in the middle of a step
        |-- LockNotAcquired       the lock was not granted within the budget
        `-- VerificationFailed    the catalog does not show what was just created
"""

from __future__ import annotations

from collections.abc import Iterable

from sa_partman.passwords import without_passwords


class PartmanError(Exception):
    """Base of everything that this package raises on purpose; its message holds no password."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*(without_passwords(each) if isinstance(each, str) else each for each in arguments))


class DeclarationError(PartmanError, ValueError):
    """A declaration is wrong: the message names the table, the columns and the remedy."""


class ConfigurationError(PartmanError):
    """Metadata, URL or an option is missing or wrong; nothing was contacted."""


class MissingDependency(ConfigurationError):
    """An optional package is needed here and not installed."""

    def __init__(self, what: str, *, extra: str) -> None:
        self.what, self.extra = what, extra
        super().__init__(f"{what}; install it with: pip install 'sa-partman[{extra}]'")


class ServerUnavailable(PartmanError):
    """No server answers, or none can be started."""


class CatalogError(PartmanError):
    """The catalog holds something that cannot be read; nothing was changed."""


class UnreadableBound(CatalogError):
    """A partition bound can't be read; nothing was changed."""


class Refused(PartmanError):
    """The request is understood and refused; nothing was changed."""


class NameTaken(Refused):
    """Another relation or type already bears the name that a new partition would get."""

    def __init__(self, name: str, *, held_by: str) -> None:
        self.name, self.held_by = name, held_by
        super().__init__(
            f"{name}: the name is taken by {held_by}; nothing was created. "
            f"Rename that object, or give the declaration another name= template."
        )


class ConversionRefused(Refused):
    """A table can't be converted as it is; nothing was changed. *reasons* has all of them."""

    def __init__(self, table: str, reasons: Iterable[str], *, what: str = "can't be converted in place") -> None:
        self.table, self.reasons = table, tuple(reasons)
        listed = "".join(f"\n  - {reason}" for reason in self.reasons)
        super().__init__(f"{table} {what}; nothing was changed:{listed}")


class ConversionPending(ConversionRefused):
    """A migration found a table that is too large to be converted inside its transaction."""

    def __init__(self, table: str, *, bytes: int, limit: int, command: str) -> None:
        self.bytes, self.limit, self.command = bytes, limit, command
        size = f"it has {bytes / 1e6:,.0f} MB, and at most {limit / 1e6:,.0f} MB are converted inside a migration"
        super().__init__(
            table,
            (
                size,
                f"run: {command}",
                "then run the migration again",
                f"or do it in the migration, while everybody waits: give the operation inline_max_bytes={bytes}",
            ),
            what="has to be converted first",
        )


class ReadOnlyServer(Refused):
    """The server is a standby, or the session is read-only."""


class MissingPrivilege(Refused):
    """The connected role does not own the table or may not create in its schema."""


class Veto(PartmanError):
    """For hooks to raise before a step: the step is not done, and the reason is reported."""


class MaintainerBusy(PartmanError):
    """Another maintainer holds the lock of this database; nothing was changed, try later."""


class ExecutionError(PartmanError):
    """A database step failed; what was committed before it stays."""


class ExclusionLost(ExecutionError):
    """The right to be the only maintainer was lost, and the run ended before its next step."""


class OthersTurn(ExclusionLost):
    """Behind a pooler, where maintainers take turns step by step: another one is at work; nothing was changed."""


class LockNotAcquired(ExecutionError):
    """
    The lock on the partitioned table was not granted in time; nothing was changed.

    Args:
        attempts: That waited for the lock.
        blockers: Who holds it.
        wanted: The locks, or the statement that needs them.
        reason: Why it was given up, where that is not the time that it took.
        advice: What to do then.
        done: What was changed all the same.
    """

    def __init__(
        self,
        table: str,
        *,
        lock_timeout: float,
        attempts: int,
        blockers: Iterable[str] = (),
        wanted: str = "",
        reason: str = "",
        advice: str = "",
        done: str = "nothing was changed",
    ) -> None:
        self.table, self.lock_timeout, self.attempts, self.wanted = table, lock_timeout, attempts, wanted
        self.blockers, self.reason, self.advice = tuple(blockers), reason, advice
        held = f" Held by: {'; '.join(self.blockers)}." if self.blockers else ""
        tried = f"no lock within {lock_timeout:g} s in {attempts} attempt{'' if attempts == 1 else 's'}"
        why = reason or (tried if attempts else "others held the table all the time, so no lock was requested")
        said = f"{table}: {why}{f' ({wanted})' if wanted else ''}; {done}.{held}"
        super().__init__(
            f"{said} {advice}"
            if advice
            else f"{said} A long transaction holds the table: end it (pg_stat_activity shows it) and run this again, "
            f"or wait longer with --budget (LockPolicy(budget=...))."
        )

    def after(self, done: str) -> LockNotAcquired:
        """The same, when *done* was committed before."""
        return LockNotAcquired(
            self.table,
            lock_timeout=self.lock_timeout,
            attempts=self.attempts,
            blockers=self.blockers,
            wanted=self.wanted,
            reason=self.reason,
            advice=self.advice,
            done=done,
        )


class VerificationFailed(ExecutionError):
    """What the catalog shows after a step is not what the step intended; the step was rolled back."""
