"""Archives that can't be read or restored, and steps that their surroundings refuse."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psycopg
from sqlalchemy import make_url

from sa_partman.maintenance import restoring
from tests.remedies.row import Box, Meant, Models, Row, Step, check, run_once, shown
from tests.remedies.rows.models import EVENTS

ARCHIVED = EVENTS.replace("premake=2", "premake=2, retention=Retention('1 month', then=Archive('kept'))")
APRIL = "FOR VALUES FROM ('2030-04-01 00:00:00+00') TO ('2030-05-01 00:00:00+00')"
RETURNED = EVENTS.replace("premake=2", "premake=2, name='{table}_of_{lower:%Y_%m}'")


def expired(box: Box) -> None:
    """April has a row and is due."""
    (box.folder / "kept").mkdir()
    box.bare()
    box.now = datetime(2030, 4, 15, tzinfo=UTC)
    box.provision()
    box.do("INSERT INTO events (created_at) VALUES ('2030-04-20')")
    box.now = datetime(2030, 6, 15, tzinfo=UTC)


def archived(box: Box) -> None:
    """April was archived, with a row."""
    expired(box)
    box.do("sa-partman run --yes")


def manifest(box: Box) -> Path:
    (found,) = (box.folder / "kept").glob("*.manifest.json")
    return found


def data(box: Box) -> Path:
    (found,) = (box.folder / "kept").glob("*.csv.gz")
    return found


def restore(options: str = "") -> Step:
    return lambda box: box.do(f"sa-partman archive restore {manifest(box)} {options}")


def bound(text: str) -> Step:
    """What the manifest says of it."""

    def write(box: Box) -> None:
        said = json.loads(manifest(box).read_text())
        manifest(box).write_text(json.dumps({**said, "bound": text}))

    return write


def copied(box: Box) -> None:
    shutil.copytree(box.folder / "kept", box.folder / "copy")


def put_back(box: Box) -> None:
    shutil.copytree(box.folder / "copy", box.folder / "kept", dirs_exist_ok=True)


def bytes_of(change: Callable[[bytes], bytes]) -> Step:
    """The file is another one."""
    return lambda box: data(box).write_bytes(change(data(box).read_bytes()))


def rewritten(change: Callable[[bytes], bytes], **said: object) -> Step:
    """As `bytes_of`, by somebody who made the manifest say so."""

    def write(box: Box) -> None:
        data(box).write_bytes(change(data(box).read_bytes()))
        found = json.loads(manifest(box).read_text())
        sha256 = hashlib.sha256(data(box).read_bytes()).hexdigest()
        manifest(box).write_text(json.dumps({**found, "file_sha256": sha256, **said}))

    return write


def rows(change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    return lambda packed: gzip.compress(change(gzip.decompress(packed)))


def by_hand(box: Box) -> None:
    """What the manifest has makes a table, and it takes the archive."""
    said = json.loads(manifest(box).read_text())
    copy = f"COPY {said['partition']['name']} FROM STDIN (FORMAT csv, HEADER)"
    with psycopg.connect(make_url(box.url).set(drivername="postgresql").render_as_string(False)) as connection:
        connection.execute(said["create"])
        with connection.cursor() as cursor, cursor.copy(copy) as target:
            target.write(gzip.decompress(data(box).read_bytes()))
        assert (said["rows"],) == connection.execute(f"SELECT count(*) FROM {said['partition']['name']}").fetchone()


def unlinked(box: Box) -> str:
    """The file goes away between the first look at it and the loading."""

    def where(*given: Any) -> Any:
        data(box).unlink()
        return found(*given)

    found = restoring._where
    with patch.object(restoring, "_where", where):
        return box.do(restore())


def damaged(says: str, *given: Step) -> Row:
    """Only a copy helps."""
    return Row(
        f"…: {says}; nothing was changed. Put back a copy of the file and of its manifest, if there is one.",
        ((put_back, restore()),),
        ARCHIVED,
        (archived, copied, *given),
        restore(),
        None,
    )


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
        "notes.json is no manifest of an archive: it is of a newer release; upgrade sa-partman",
        attempt="sa-partman archive verify notes.json",
        given=(file("notes.json", '{"version": 2}'),),
        server=False,
    ),
    Row(
        "notes.json is no manifest of an archive: …",
        attempt="sa-partman archive verify notes.json",
        given=(file("notes.json", "[]"),),
        server=False,
    ),
    damaged("its bytes are not those that were written", bytes_of(lambda packed: packed[:-3])),
    damaged("the archive is damaged: Compressed file ended before …", rewritten(lambda packed: packed[:-3])),
    damaged("the archive ends in the middle of a row", rewritten(rows(lambda text: text[:-3]))),
    damaged(
        "the archive has other columns than its manifest",
        rewritten(rows(lambda text: text.replace(b"created_at", b"made_at"))),
    ),
    damaged(
        "it holds 0 rows (SHA-256 …), but its manifest says 1 (…)",
        rewritten(rows(lambda text: text.splitlines(keepends=True)[0])),
    ),
    Row(
        "…: the archive can't be read: … No such file or directory: …; nothing was restored. Try again when it can be.",
        ((put_back, restore()),),
        ARCHIVED,
        (archived, copied),
        unlinked,
        None,
    ),
    Row(
        "public.events_p20300401: column id of relation events_p20300401 does not exist; nothing was restored. Fix that, "
        "or load the archive into a table of its own: its manifest has the CREATE TABLE.",
        ((Meant("ALTER TABLE events RENAME number TO id"), Models(ARCHIVED), restore()), by_hand),
        ARCHIVED,
        (archived, "ALTER TABLE events RENAME id TO number", Models(ARCHIVED.replace("    id:", "    number:"))),
        restore(),
        None,
    ),
    Row(
        "public.events_p20300401: what was loaded (1 rows, checksum …) differs from what was archived (1 rows, checksum …); "
        "id was bigint and is numeric(20,2) now; nothing was restored. Give the columns their types back, or load the "
        "archive into a table of its own: its manifest has the CREATE TABLE.",
        ((Meant("ALTER TABLE events ALTER id TYPE bigint"), restore()), by_hand),
        ARCHIVED,
        (archived, "ALTER TABLE events ALTER id DROP IDENTITY; ALTER TABLE events ALTER id TYPE numeric(20, 2)"),
        restore(),
        None,
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
    with patch("sa_partman.maintenance.planning.client_clock", lambda: datetime(2020, 1, 1, tzinfo=UTC)):
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
