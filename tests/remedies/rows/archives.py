"""Archives that can't be read or restored, and steps that their surroundings refuse."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

from tests.remedies.row import Box, Meant, Models, Row, Step, check, run_once, shown
from tests.remedies.rows.models import EVENTS

ARCHIVED = EVENTS.replace("premake=2", "premake=2, retention=Retention('1 month', then=Archive('kept'))")
APRIL = "FOR VALUES FROM ('2030-04-01 00:00:00+00') TO ('2030-05-01 00:00:00+00')"
RETURNED = EVENTS.replace("premake=2", "premake=2, name='{table}_of_{lower:%Y_%m}'")


def archived(box: Box) -> None:
    """April was archived, with a row."""
    (box.folder / "kept").mkdir()
    box.bare()
    box.now = datetime(2030, 4, 15, tzinfo=UTC)
    box.provision()
    box.do("INSERT INTO events (created_at) VALUES ('2030-04-20')")
    box.now = datetime(2030, 6, 15, tzinfo=UTC)
    box.do("sa-partman run --yes")


def manifest(box: Box) -> Path:
    (found,) = (box.folder / "kept").glob("*.manifest.json")
    return found


def restore(options: str = "") -> Step:
    return lambda box: box.do(f"sa-partman archive restore {manifest(box)} {options}")


def bound(text: str) -> Step:
    """What the manifest says of it."""

    def write(box: Box) -> None:
        said = json.loads(manifest(box).read_text())
        manifest(box).write_text(json.dumps({**said, "bound": text}))

    return write


def damage(box: Box) -> None:
    (found,) = (box.folder / "kept").glob("*.csv.gz")
    found.write_bytes(found.read_bytes()[:-3])


def file(name: str, text: str) -> Step:
    return lambda box: (box.folder / name).write_text(text)


ARCHIVES = (
    Row(
        "nowhere is no directory; nothing was archived or read. Create it, or mount what should be there.",
        (lambda box: (box.folder / "nowhere").mkdir(),),
        attempt="sa-partman archive list nowhere",
        again="sa-partman archive list nowhere",
        server=False,
    ),
    Row(
        "kept is a directory; name a manifest in it: sa-partman archive list shows them",
        ((Meant("sa-partman archive list kept"), lambda box: box.do(f"sa-partman archive verify {manifest(box)}")),),
        ARCHIVED,
        (archived,),
        "sa-partman archive verify kept",
        None,
    ),
    Row(
        "notes.json is no manifest of an archive: …",
        attempt="sa-partman archive verify notes.json",
        given=(file("notes.json", "[]"),),
        server=False,
    ),
    Row(
        "its bytes are not those that were written; nothing was changed",
        models=ARCHIVED,
        given=(archived, damage),
        attempt=restore(),
    ),
    Row(
        "events is not a partitioned table that is declared and there; nothing was restored",
        ((Models(ARCHIVED), restore()),),
        ARCHIVED,
        (archived, Models(EVENTS.replace("events", "others"))),
        restore(),
        None,
    ),
    Row(
        "the manifest of public.events_p20300401 does not say what bound it had; nothing was restored. Write it into the "
        "manifest as bound, as psql's \\d+ shows it in TimeZone UTC, such as FOR VALUES FROM ('2024-01-01 00:00:00+00') TO "
        "('2024-02-01 00:00:00+00').",
        ((bound(APRIL), restore()),),
        ARCHIVED,
        (archived, bound("")),
        restore(),
        None,
    ),
    Row(
        "the partition bound FOR VALUES FROM ('2030-04-01') TO ('2030-05-01') can't be read for a key of type (timestamp "
        "with time zone): '2030-04-01' is not a timestamptz. Nothing was changed. Its session must have DateStyle 'ISO, "
        "YMD' and TimeZone 'UTC'; if it has, please report this text.",
        ((bound(APRIL), restore()),),
        ARCHIVED,
        (archived, bound("FOR VALUES FROM ('2030-04-01') TO ('2030-05-01')")),
        restore(),
        None,
    ),
    Row(
        "public.events has public.april [2030-04-01, 2030-05-01), which holds rows of [2030-04-01, 2030-05-01); nothing "
        "was restored. Detach it first, or load the archive into a table of its own: its manifest has the CREATE TABLE.",
        ((Meant("ALTER TABLE events DETACH PARTITION april"), restore()),),
        ARCHIVED,
        (
            archived,
            f"CREATE TABLE april PARTITION OF events {APRIL}",
        ),
        restore(),
        None,
    ),
)


def with_audit(box: Box) -> str:
    return shown(box.maintainer(audit=True).run().findings)


def ahead(box: Box) -> str:
    """This machine's clock is years behind the server's."""
    box.now = None
    with patch("sa_partman.maintenance.skew.client_clock", lambda: datetime(2020, 1, 1, tzinfo=UTC)):
        return check(box)


SURROUNDINGS = (
    Row(
        "public.events_p20300601: the name is taken by a table; nothing was created. Rename that "
        "object, or give the declaration another name= template.",
        (Meant("ALTER TABLE events_p20300601 RENAME TO other"), Models(RETURNED)),
        EVENTS,
        (Box.bare, "CREATE TABLE events_p20300601 ()"),
        run_once,
        run_once,
    ),
    Row(
        "audit-failed: 1 rows of the audit could not be written: the publication p would send the audit tables of schema "
        "public to subscribers, which have no such tables and would stop; nothing was written into them. Run: ALTER "
        "TABLE public.sa_partman_steps SET UNLOGGED; ALTER TABLE public.sa_partman_runs SET UNLOGGED; no step was lost "
        "-> let the connected role create tables in schema public and write them, or turn audit= off",
        (
            "ALTER TABLE public.sa_partman_steps SET UNLOGGED; ALTER TABLE public.sa_partman_runs SET UNLOGGED",
            lambda box: box.maintainer().run() and None,
        ),
        EVENTS,
        (Box.create, with_audit, "CREATE PUBLICATION p FOR ALL TABLES"),
        with_audit,
        None,
    ),
    Row(
        "clock-skew: the server's clock is … s ahead of this machine's, so nothing is removed -> put the clocks right "
        "(NTP), or give the instant with now= or --at; partitions are made all the same",
        (Meant("sa-partman check --at 2030-06-15"), check),
        EVENTS,
        (Box.create,),
        ahead,
        None,
    ),
    Row(
        "no connection to postgresql+psycopg://nobody@127.0.0.1:1/nothing…: …; nothing was changed",
        models=EVENTS,
        attempt="sa-partman status",
        server=False,
    ),
)
