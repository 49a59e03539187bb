"""
The process between a program and its throw-away server: when the program ends, however it ends, so does the server.

It is run as a file, on its own, and reads lines:

    start     stop the server the hard way if it runs, then start it; answered by {"pid": ...} or {"error": ...}
    (end)     stop the server and delete its folder

The kernel closes the pipe when the program dies, even by ``kill -9``.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

PATIENCE = 60.0
"""Seconds that a start may take: recovery after a crash is part of it."""

END = ""


class Supervisor:
    """Runs *command*, a postmaster for the data directory ``folder/data``, writing to ``folder/log``."""

    def __init__(self, folder: Path, command: list[str], credentials: dict[str, Any]) -> None:
        self.folder, self.command, self.credentials = folder, command, credentials
        self.requests: SimpleQueue[str] = SimpleQueue()
        self.owner = os.getppid()
        self.process: subprocess.Popen[Any] | None = None

    def serve(self) -> None:
        Thread(target=self._listen, daemon=True).start()
        try:
            while self._next_request(1.0) == "start":
                self._crash()
                self._answer(self._start())
        finally:
            self._crash()
            shutil.rmtree(self.folder, ignore_errors=True)

    def _answer(self, answer: dict[str, int | str]) -> None:
        with suppress(BrokenPipeError):  # the owner died meanwhile
            os.write(1, json.dumps(answer).encode() + b"\n")

    def _listen(self) -> None:
        # Unbuffered: a thread that waits inside a buffer would spoil the end of the interpreter.
        with open(0, "rb", buffering=0, closefd=False) as pipe:
            for line in iter(pipe.readline, b""):
                self.requests.put(line.decode().strip())
        self.requests.put(END)

    def _next_request(self, patience: float) -> str:
        """The next line; END also when the owner is dead and only a child that it forked holds the pipe."""
        while True:
            try:
                return self.requests.get(timeout=patience)
            except Empty:
                if os.getppid() != self.owner:
                    return END

    def _start(self) -> dict[str, int | str]:
        with (self.folder / "log").open("ab") as log:
            self.process = process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=os.sep, **self.credentials
            )
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and process.poll() is None and self.requests.empty():
            if self._is_ready(process.pid):
                return {"pid": process.pid}
            time.sleep(0.01)
        return {"error": (self.folder / "log").read_text(encoding="utf-8", errors="replace")[-2000:].strip()}

    def _is_ready(self, pid: int) -> bool:
        """By the eighth line of the lock file, as pg_ctl does it."""
        try:
            lines = (self.folder / "data" / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except OSError:
            return False
        return len(lines) > 7 and lines[0] == str(pid) and lines[7].strip() == "ready"

    def _crash(self) -> None:
        """Immediate shutdown: no checkpoint, nothing written; a later start must recover."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(getattr(signal, "SIGQUIT", signal.SIGTERM))
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def main(order: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the owner's to judge
    wanted = json.loads(order)
    supervisor = Supervisor(Path(wanted["folder"]), wanted["command"], wanted["credentials"])
    signal.signal(signal.SIGTERM, lambda *_: supervisor.requests.put(END))
    supervisor.serve()


if __name__ == "__main__":
    main(sys.argv[1])
