"""Writes the body of an answer to stdout or into a file, and notes how far the screen is written."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from .exits import Code
from .running import Stop
from .screen import one_place, say

_CHUNK = 64 * 1024


class Unwritable(OSError):
    """Failure to write the body of an answer."""


def file_trouble(failure: OSError) -> str:
    """Return what could not be done: the body was not written, or another file cannot be used."""
    what = (
        "The body cannot be written"
        if isinstance(failure, Unwritable)
        else f"{failure.filename or 'A file'} cannot be used"
    )
    return f"{what}: {failure.strerror or failure}."


class BodyWriter:
    """A writer of one body. Where the body ends amid a line of the screen, it begins a new one for what follows."""

    def __init__(self) -> None:
        self._last = b""
        #: True once an answer came that is worth a file. A redirect that nothing followed is not, nor is a 304.
        self.is_content: bool = False

    def write(self, response: Any, sink: IO[bytes]) -> None:
        """Write the body of an httpx response as it comes."""
        self.is_content = not 300 <= response.status_code < 400
        on_screen = sink is sys.stdout.buffer and one_place()
        for chunk in response.iter_bytes(_CHUNK):
            with _writing():
                sink.write(chunk)
            self._last = chunk[-1:] if on_screen else b""
        with _writing():
            sink.flush()

    def end_line(self) -> None:
        """Begin a new line on the screen, unless the body ended with one."""
        if self._last not in (b"\n", b""):
            with suppress(BrokenPipeError):
                sys.stdout.flush()
            say("")


@contextmanager
def body_sink(output: Path | None, body: BodyWriter) -> Iterator[IO[bytes]]:
    """Open the place for the body. A file appears whole or not at all, and for what is content.

    If it cannot be written, that is found before paying.
    """
    if output is None:
        yield sys.stdout.buffer
        return
    place = output if output.is_symlink() or not output.exists() else output.resolve()
    if place.exists() and not place.is_file():
        with _opened(place) as file:
            yield file
        return
    try:
        handle, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.")
    except OSError as failure:
        raise Stop(Code.USAGE, f"{output} cannot be written: {failure.strerror}. Nothing was fetched.") from None
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        if not body.is_content:
            return
        umask = os.umask(0)
        os.umask(umask)
        with _writing():
            part.chmod(0o666 & ~umask)
            part.replace(place)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _writing() -> Iterator[None]:
    """Tell a failure to write the body from those of other files, such as the ledger's."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as failure:
        raise Unwritable(failure.errno, failure.strerror) from failure


def _opened(place: Path) -> IO[bytes]:
    """Open a device or a pipe."""
    try:
        return place.open("wb")
    except OSError as failure:
        raise Stop(Code.USAGE, f"{place} cannot be written: {failure.strerror}. Nothing was fetched.") from None
