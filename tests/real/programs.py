"""Starting the world's processes, hearing their port, and seeing them out."""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from .environments import clean_environ

FOLDER = Path(__file__).resolve().parent / "processes"
START_SECONDS = 60.0
STOP_SECONDS = 5.0


class ProgramFailed(Exception):
    """A process did not start; the message ends with what it wrote to stderr."""


class Program:
    """A file of ./processes, running. It imports at once and then waits for orders: several can start side by side.

    A script somewhere else is named by its whole path; `options` are the interpreter's own.
    """

    def __init__(self, interpreter: Path, script: str, *arguments: str, options: Sequence[str] = ()) -> None:
        self.name = " ".join([script, *arguments])
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - stop() closes it
        self._process = subprocess.Popen(
            [str(interpreter), *options, str(FOLDER / script), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=clean_environ(),
        )

    def order(self, orders: dict[str, Any]) -> str:
        """Sends the orders and waits for the port: the address to talk to."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it died: reading its port says so, with its last words
            self._process.stdin.write(json.dumps(orders).encode() + b"\n")
            self._process.stdin.flush()
        return f"http://127.0.0.1:{self._port()}"

    def stderr(self) -> str:
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")

    def tell_to_stop(self) -> None:
        """A closed stdin is the sign; it closes by itself if the test run dies."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def stop(self) -> None:
        """What has not ended soon after the sign is killed."""
        assert self._process.stdout is not None
        self.tell_to_stop()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(STOP_SECONDS)
        self._process.stdout.close()
        self._errors.close()

    def _port(self) -> int:
        lines: list[bytes] = []
        assert self._process.stdout is not None
        out = self._process.stdout
        reader = threading.Thread(target=lambda: lines.append(out.readline()), daemon=True)
        reader.start()
        until = time.monotonic() + START_SECONDS
        while reader.is_alive() and time.monotonic() < until:
            reader.join(0.2)
        if not lines or not lines[0].startswith(b"{"):
            self._process.kill()
            raise ProgramFailed(f"{self.name} did not start:\n{self.stderr()[-6000:]}")
        return int(json.loads(lines[0])["port"])
