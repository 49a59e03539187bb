"""An S3 server in a process of its own, on a free port of this machine, for a test."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.killing import until

KEY, SECRET = "somebody", "hidden-from-all"
BUCKET = "bucket"


@dataclass
class ObjectStore:
    """
    A server; what it holds goes with it.

    Args:
        log: Where it writes what it is asked.
    """

    log: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """On the port that it had before, if it ran before; with one bucket."""
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        self.log.write_bytes(b"")
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}  # it imports a lot, and nothing that a test wrote
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
        if not until(lambda: self._over() or self._listening(), 60) or self._over():
            pytest.fail(f"no object store: {self.log.read_text(errors='replace')}", pytrace=False)
        self.ask("PUT", BUCKET)

    def _over(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def _listening(self) -> bool:
        found = re.search(r"Running on http://127\.0\.0\.1:(\d+)", self.log.read_text(errors="replace"))
        self.port = int(found[1]) if found else self.port
        return found is not None

    def stop(self) -> None:
        """At once; afterwards nothing listens on its port."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)

    def url(self, folder: str, bucket: str = BUCKET, login: str = f"{KEY}:{SECRET}@") -> str:
        """For `Archive`."""
        options = f"scheme=http&endpoint_override=127.0.0.1:{self.port}&region=eu-central-1"
        return f"s3://{login}{bucket}/{folder}?{options}"

    def ask(self, method: str, what: str, content: bytes | None = None) -> bytes:
        """A request, without a signature."""
        kind = {"Content-Type": "application/octet-stream"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/{what}", content, kind, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            found: bytes = answer.read()
        return found

    def names(self, folder: str, ending: str = "") -> list[str]:
        """Of the objects in *folder*, sorted."""
        listed = self.ask("GET", f"{BUCKET}?list-type=2&prefix={folder}/").decode()
        found = (key.rpartition("/")[2] for key in re.findall("<Key>(.*?)</Key>", listed))
        return sorted(name for name in found if name and name.endswith(ending))

    def uploads(self, folder: str) -> int:
        """How many are neither completed nor aborted."""
        return self.ask("GET", f"{BUCKET}?uploads").decode().count(f"<Key>{folder}/")

    def requests(self, words: str) -> int:
        """How often it was asked so."""
        return self.log.read_text(errors="replace").count(words)

    def let_nobody_in(self) -> None:
        """From now on it wants the signature of somebody whom it knows, and it knows nobody."""
        self.ask("POST", "moto-api/reset-auth", b"0")


@contextmanager
def object_store() -> Iterator[ObjectStore]:
    """One that is up; the test is skipped where there is none."""
    for needed in ("moto", "flask_cors", "pyarrow"):
        if importlib.util.find_spec(needed) is None:
            pytest.skip(f"{needed} is not installed: `nox -s tests` does it, from the group `store`")
    with tempfile.TemporaryDirectory() as folder:
        store = ObjectStore(Path(folder) / "log")
        try:
            store.start()
            yield store
        finally:
            store.stop()
