"""A file system of a few megabytes, for a tablespace that is soon full."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sa_partman.throwaway.account import credentials


@contextmanager
def file_system(size: str) -> Iterator[Path]:
    """
    A folder that the server's account may write to; skips the test where only root could mount it.

    Args:
        size: Such as "12m".
    """
    folder = Path(tempfile.mkdtemp())  # the folders of pytest are closed to others
    if _mount(folder, f"size={size}"):
        folder.rmdir()
        pytest.skip("a file system of a few megabytes can be mounted by root only")
    try:
        os.chmod(folder, 0o700)
        account = credentials()
        os.chown(folder, account.get("user", os.geteuid()), account.get("group", os.getegid()))
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)
        folder.rmdir()


def enlarge(folder: Path, size: str) -> None:
    """*folder* of `file_system` has *size* from now on."""
    assert not _mount(folder, f"remount,size={size}")


def _mount(folder: Path, options: str) -> int:
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode
