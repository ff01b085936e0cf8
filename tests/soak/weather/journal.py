"""Journals: lines of JSON that survive the process that wrote them."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: The real time: a buyer's own may have been shifted.
real_time = time.time


class Journal:
    """Each line is with the system before ``write`` returns, so that a kill loses none and cuts at most one short."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._lock = threading.Lock()
        os.write(self._file, b"\n")  # after what the one before was writing when it died

    def write(self, **facts: Any) -> None:
        line = json.dumps({"at": round(real_time(), 3), **facts}).encode() + b"\n"
        with self._lock:
            os.write(self._file, line)

    def close(self) -> None:
        os.close(self._file)


def read(path: Path) -> Iterator[dict[str, Any]]:
    """Every line that was written whole; none where there is no journal."""
    with contextlib.suppress(FileNotFoundError):
        for line in path.read_bytes().splitlines():
            with contextlib.suppress(ValueError):
                yield json.loads(line)
