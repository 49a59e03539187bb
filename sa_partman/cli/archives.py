"""What ``sa-partman archive`` does: look at a place, read archives to the end, bring one back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from sa_partman.archive.manifest import read_manifest
from sa_partman.archive.store import verify_archive
from sa_partman.cli.failures import PENDING
from sa_partman.cli.opening import opened
from sa_partman.cli.output import print_json
from sa_partman.cli.request import Request
from sa_partman.errors import ConfigurationError, VerificationFailed
from sa_partman.maintenance.restoring import Archived, looked_through, restore
from sa_partman.spec.archive import shown


def listed(place: str, *, as_json: bool) -> int:
    """The exit code."""
    found = list(_found(place))
    if as_json:
        print_json({"archives": [each.to_dict() for each in found]})
        return 0
    for each in found:
        of = each.manifest
        click.echo(f"{of.partition}  {of.rows} rows  {of.bytes} bytes  {of.created_at}  {each.location}")
    if not found:
        click.echo(f"No archives at {shown(place)}.", err=True)
    return 0


def _found(place: str) -> Iterator[Archived]:
    for each in looked_through(place):
        if isinstance(each, Archived):
            yield each
        else:
            click.echo(str(each), err=True)


def verified(locations: tuple[str, ...], *, as_json: bool) -> int:
    """The exit code: PENDING when one is damaged."""
    results: list[dict[str, Any]] = [_result(location) for location in locations]
    if as_json:
        print_json({"archives": results})
    for result in results:
        if result["error"]:
            click.echo(f"DAMAGED  {result['error']}", err=True)
        elif not as_json:
            click.echo(f"ok  {result['manifest']}  {result['rows']} rows")
    return PENDING if any(result["error"] for result in results) else 0


def _result(location: str) -> dict[str, Any]:
    place, manifest = read_manifest(location)
    try:
        verify_archive(place, manifest)
    except VerificationFailed as error:
        return {"manifest": location, "rows": manifest.rows, "error": str(error)}
    return {"manifest": location, "rows": manifest.rows, "error": ""}


def restored(request: Request, location: str) -> int:
    """
    The exit code.

    Raises:
        ConfigurationError: --table was given more than once.
    """
    if len(request.tables) > 1:
        raise ConfigurationError("--table names the one table to restore to; nothing was restored")
    with opened(request) as maintainer:
        done = restore(
            maintainer.engine,
            maintainer.metadata,
            location,
            table=request.tables[0] if request.tables else None,
            now=maintainer.settings.now,
        )
    if request.as_json:
        print_json(done.to_dict())
    else:
        click.echo(f"{done.partition} is a partition of {done.table} again, with {done.rows} rows.")
        click.echo("Retention leaves it alone: drop it, or remove its comment and: sa-partman run --adopt", err=True)
    return 0
