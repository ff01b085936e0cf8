"""A disk of its own that can fill: a small tmpfs, which needs the right to mount one."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

_SIZE = "24m"


class Disk:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._mounted = False

    def mount(self) -> str:
        """Empty, or why it cannot be."""
        self.path.mkdir()
        if os.name != "posix" or shutil.which("mount") is None:
            return "there is no mount command"
        order = ["mount", "-t", "tmpfs", "-o", f"size={_SIZE},mode=0700", "tmpfs", str(self.path)]
        done = subprocess.run(order, capture_output=True, text=True, check=False)
        self._mounted = done.returncode == 0
        return "" if self._mounted else f"a disk to fill cannot be mounted: {done.stderr.strip()}"

    @contextlib.contextmanager
    def filled(self) -> Iterator[None]:
        """Not a byte is free."""
        ballast = self.path / "ballast"
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(65_536)) == 65_536:
                pass
            while file.write(bytes(1)):
                pass
        try:
            yield
        finally:
            ballast.unlink()

    def unmount(self) -> None:
        if self._mounted:
            subprocess.run(["umount", "-l", str(self.path)], check=False)
