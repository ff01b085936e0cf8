"""Takes frames out of tracebacks: the frames of other libraries hold what they were sending."""

from __future__ import annotations

from ..errors import X402Error, causes


def forget_frames(failure: BaseException) -> None:
    """Take the frames from a failure and from its causes.

    Raised again, it gets the frames of its new raiser. Tools that print the variables of a traceback would print the
    payment. The failure still says what failed and why.
    """
    for link in causes(failure):
        link.__traceback__ = None


def shorten(failure: BaseException) -> None:
    """Take the frames from one of our own errors: raised again, it shows the caller's way to us and no more.

    Its message says what is wrong; the steps between say nothing to a user, and fill a notebook's page. Its causes keep
    theirs.
    """
    if isinstance(failure, X402Error):
        failure.__traceback__ = None
