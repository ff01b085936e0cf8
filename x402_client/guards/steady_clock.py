"""A clock that cannot be set, and that goes on while the machine sleeps."""

from __future__ import annotations

import time

# macOS counts sleep in CLOCK_MONOTONIC, Linux in CLOCK_BOOTTIME; both are shared by all processes of one boot.
_CLOCK: int | None = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))


def steady() -> float:
    """Return seconds that only increase. Where the system counts them, those of the machine's sleep are included."""
    return time.monotonic() if _CLOCK is None else time.clock_gettime(_CLOCK)
