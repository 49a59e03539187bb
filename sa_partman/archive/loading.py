"""Loading an archive into a new partition: made, filled, compared, and attached at the very end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, text

from sa_partman.archive.copying import copy_in
from sa_partman.archive.manifest import Manifest
from sa_partman.archive.places import ArchivePlace
from sa_partman.archive.store import read_archive
from sa_partman.archive.tables import read_rows, steady, table_now
from sa_partman.bounds.predicate import check_predicate
from sa_partman.ddl.render import quoted_sql, render
from sa_partman.ddl.rows import LOGICAL
from sa_partman.engine.locks import late
from sa_partman.engine.running import Running
from sa_partman.errors import VerificationFailed
from sa_partman.key import PartitionKey
from sa_partman.names import QualifiedName, quote
from sa_partman.plan.actions import Action, AttachPartition
from sa_partman.plan.table_actions import AddCheck, DropConstraint, SetLogged
from sa_partman.postgres.session import features_of

OWN_TABLE = "load the archive into a table of its own: its manifest has the CREATE TABLE."
_CHECK = "sa_partman_restored"

_LEAVES = text(f"""
SELECT n.nspname, c.relname
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid IN (
        SELECT CAST(:name AS pg_catalog.regclass)
        UNION ALL SELECT relid FROM pg_catalog.pg_partition_tree(CAST(:name AS pg_catalog.regclass)))
    AND c.relkind = 'r' AND c.relpersistence = 'p' AND {LOGICAL}
    AND EXISTS (SELECT FROM pg_catalog.pg_publication WHERE pubviaroot)
""")


@dataclass(frozen=True, slots=True)
class Load:
    """
    What is to be loaded, and where.

    Args:
        table: The new partition.
        make: Makes it, with all below it; nobody sees it yet.
        attach: What follows when it is filled.
    """

    place: ArchivePlace
    manifest: Manifest
    table: QualifiedName
    make: tuple[Action, ...]
    attach: tuple[Action, ...]


def load(running: Running, load: Load, connection: Connection) -> int:
    """
    In the caller's transaction; the number of rows.

    Raises:
        VerificationFailed: The rows in the table are not those of the archive.
        LockNotAcquired: See `late`.
        DBAPIError: The server refused the rows.
    """
    for action in load.make:
        for statement in render(action):
            connection.execute(statement)
    unsent = _unsent(connection, load)
    for leaf in unsent:
        _alter(connection, SetLogged(leaf, on=False))
    steady(connection)
    manifest = load.manifest
    copy_in(connection, load.table, manifest.names, _pieces(load))
    _compare(connection, load)
    checked = _check(connection, load)
    for leaf in unsent:
        _alter(connection, SetLogged(leaf))
    late(running, connection, str(load.table), load.attach)
    if checked:
        _alter(connection, DropConstraint(load.table, _CHECK))
    return manifest.rows


def _unsent(connection: Connection, load: Load) -> list[QualifiedName]:
    """
    The new tables, where senders that see rows written into them before they are partitions would not notice ATTACH:
    what is UNLOGGED meanwhile is not seen.
    """
    if features_of(connection).sends_attached:
        return []
    return [QualifiedName(*row) for row in connection.execute(_LEAVES, {"name": load.table.quoted})]


def _pieces(load: Load) -> Iterator[bytes]:
    return (b"".join(records) for records in read_archive(load.place, load.manifest))


def _compare(connection: Connection, load: Load) -> None:
    manifest = load.manifest
    columns = ", ".join(map(quote, manifest.names))
    tally = read_rows(connection, f"SELECT {columns} FROM {load.table.quoted}")
    if (tally.rows, tally.checksum) != (manifest.rows, manifest.checksum):
        raise VerificationFailed(
            f"{load.table}: what was loaded ({tally.rows} rows, checksum {tally.checksum}) differs from what was "
            f"archived ({manifest.rows} rows, checksum {manifest.checksum}){_other_types(connection, load)}; "
            f"nothing was restored. Give the columns their types back, or {OWN_TABLE}"
        )


def _other_types(connection: Connection, load: Load) -> str:
    """The columns of the new partition that print the same values otherwise."""
    made = table_now(connection, load.table)
    types = {} if made is None else {column.name: column.type for column in made.columns}
    changed = [each for each in load.manifest.columns if types.get(each.name) != each.type]
    return "".join(f"; {each.name} was {each.type} and is {types.get(each.name)} now" for each in changed)


def _check(connection: Connection, load: Load) -> bool:
    """A CHECK that says what the bound says, so that ATTACH need not read the rows while it holds its locks."""
    attach = next(each for each in load.attach if isinstance(each, AttachPartition) and each.partition == load.table)
    key: PartitionKey = attach.key
    inside = check_predicate(attach.bound, tuple(part.sql for part in key.parts), key.types)
    if inside is None:
        return False
    _alter(connection, AddCheck(load.table, _CHECK, inside))
    return True


def _alter(connection: Connection, action: AddCheck | DropConstraint | SetLogged) -> None:
    for statement in quoted_sql((action,)):
        connection.execute(text(statement.replace(":", r"\:")))
