"""Where throw-away servers keep files: one folder per server, and a cache of what every start needs again."""

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from sa_partman.errors import ServerUnavailable
from sa_partman.throwaway.account import credentials, this_user

LONGEST_SOCKET_PATH = 103
"""Bytes that a unix socket's path may have: 107 on Linux, 103 on macOS and BSD."""

STALE = 3600.0
"""Seconds after which a draft is taken for one whose maker was killed."""


def new_folder(base: Path | None = None) -> Path:
    """A folder for one server: others may pass through to what is theirs, not look around."""
    folder = Path(tempfile.mkdtemp(prefix="sapm-", dir=base or _temporary()))
    folder.chmod(0o711)
    return folder


def socket_fits(folder: Path, port: int) -> bool:
    """Whether a socket in *folder* has a path that the system can take."""
    return len(os.fsencode(folder / f".s.PGSQL.{port}")) <= LONGEST_SOCKET_PATH


def made_once(name: str, make: Callable[[Path], None]) -> Path:
    """
    The folder *name* in the cache, made by *make* if it is not there.

    *make* fills a draft that takes its place in one step: nobody sees half of it, the slower of two makers uses the
    other's, and what a killed one left is swept by a later one. The number of its entries is kept with it, because
    the cleaners of a system's temporary folder take files one by one.
    """
    home = _cache()
    folder = home / name
    if _is_whole(folder):
        return folder
    _sweep(home)
    draft = Path(tempfile.mkdtemp(prefix="draft-", dir=home))
    try:
        draft.chmod(0o755)
        make(draft)
        (draft / "ENTRIES").write_text(str(_entries(draft)), encoding="ascii")
        _put_in_place(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def _put_in_place(draft: Path, folder: Path) -> None:
    if folder.exists() and not _is_whole(folder):
        with suppress(OSError):  # another process was faster
            folder.rename(Path(tempfile.mkdtemp(prefix="draft-", dir=folder.parent)) / "damaged")
    try:
        draft.rename(folder)
    except OSError:  # another process was faster
        if not _is_whole(folder):
            raise


def _is_whole(folder: Path) -> bool:
    try:
        return int((folder / "ENTRIES").read_text(encoding="ascii")) == _entries(folder)
    except (OSError, ValueError):
        return False


def _entries(folder: Path) -> int:
    """How many it holds at any depth, ENTRIES itself left out."""
    return sum(len(folders) + len(files) for _, folders, files in os.walk(folder)) - (folder / "ENTRIES").exists()


def _sweep(home: Path) -> None:
    for draft in home.glob("draft-*"):
        if time.time() - draft.lstat().st_mtime > STALE:
            shutil.rmtree(draft, ignore_errors=True)


def _cache() -> Path:
    """``$SA_PARTMAN_PG_CACHE``, or a folder of this user among the temporary ones; others may pass, not write."""
    named = os.environ.get("SA_PARTMAN_PG_CACHE")
    home = Path(named) if named else _temporary() / f"sa-partman-pg-{this_user()}"
    home.mkdir(mode=0o755, parents=True, exist_ok=True)
    ours = os.name != "posix" or (home.lstat().st_uid == this_user() and not home.is_symlink())
    if ours:
        home.chmod(0o755)
    elif not named:
        raise ServerUnavailable(f"{home} belongs to another user; name another folder in SA_PARTMAN_PG_CACHE")
    return home


def _temporary() -> Path:
    """The temporary folder; ``/tmp`` if the account can't enter it or a socket's path would get too long."""
    folder = Path(tempfile.gettempdir())
    if os.name == "posix" and (credentials() or not socket_fits(folder / "sapm-12345678" / "data", 65535)):
        return Path("/tmp")
    return folder
