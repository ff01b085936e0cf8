"""A real signal at the n-th point where Python runs handlers: where a function begins, and after a call of one in C."""

from __future__ import annotations

import gc
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

#: Where an HTTP library takes and leaves its locks. A signal may come there, within some nanoseconds. Then the lock
#: stays taken, and the library's own clean-up waits for it, in the same call: nothing outside of it can mend that.
_LOCKS = "httpcore/_synchronization.py"


class Striking:
    """A signal at one point of what runs in ``with``. ``reached`` is False if there were fewer points.

    The points are those in code of files that ``where`` is a part of.
    """

    def __init__(self, number: int, where: str = "") -> None:
        self._left, self._where = number, where
        self.reached = False

    def _see(self, frame: FrameType, event: str, _: Any) -> None:
        if event not in ("call", "c_return") or self.reached or self._where not in frame.f_code.co_filename:
            return
        if frame.f_code.co_filename == __file__ or frame.f_code.co_filename.endswith(_LOCKS):
            return
        self._left -= 1
        if self._left < 0:
            self.reached = True
            signal.raise_signal(signal.SIGUSR1)

    def __enter__(self) -> Striking:
        gc.disable()  # what it runs of earlier tests is no point of this one
        sys.setprofile(self._see)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        gc.enable()


@contextmanager
def raising(stop: Callable[[], BaseException]) -> Iterator[None]:
    """Have the handler of SIGUSR1 raise this."""

    def handler(*_: Any) -> None:
        raise stop()

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, before)
