"""``sa-partman archive``."""

from __future__ import annotations

import click

from sa_partman.cli import archives
from sa_partman.cli.change import UNRECORDED, refuse_idle
from sa_partman.cli.failures import note_json
from sa_partman.cli.request import Request, shared

json_option = click.option(
    "--json", "as_json", is_flag=True, callback=note_json, is_eager=True, help="One JSON document."
)


@click.group("archive")
def command() -> None:
    """List, verify and restore what retention has archived."""


@command.command("list")
@click.argument("place")
@json_option
def list_command(place: str, as_json: bool) -> int:
    """Say what lies at PLACE, a directory or a URL."""
    return archives.listed(place, as_json=as_json)


@command.command("verify", short_help="Compare archives with their manifests; exit with 1 if one is damaged.")
@click.argument("manifests", nargs=-1, required=True, metavar="MANIFEST...")
@json_option
def verify_command(manifests: tuple[str, ...], as_json: bool) -> int:
    """Read each archive to the end and compare it with its MANIFEST; exit with 1 if one is damaged."""
    return archives.verified(manifests, as_json=as_json)


@command.command("restore", short_help="Make the partition of MANIFEST again, with its rows.")
@click.argument("manifest")
@shared
def restore_command(request: Request, manifest: str) -> int:
    """
    Make the partition of MANIFEST again, with its rows, and keep retention off it.

    It goes to the table that it came from, or to --table.
    """
    refuse_idle(
        {
            "audit": f"with archive restore: {UNRECORDED}",
            "schemas": "with archive restore: the rows go to the table that the manifest names, or to --table",
        }
    )
    return archives.restored(request, manifest)
