"""Takes frames out of tracebacks: the frames of other libraries hold what they were sending."""

from __future__ import annotations

from ..errors import causes


def forget_frames(failure: BaseException) -> None:
    """Take the frames from a failure and from its causes.

    Raised again, it gets the frames of its new raiser. Tools that print the variables of a traceback would print the
    payment. The failure still says what failed and why.
    """
    for link in causes(failure):
        link.__traceback__ = None
