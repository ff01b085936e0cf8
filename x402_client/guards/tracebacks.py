"""What other libraries were sending stays in the variables of their frames, and a traceback keeps the frames."""

from __future__ import annotations

from ..errors import causes


def forget_frames(failure: BaseException) -> None:
    """Take the frames from a failure and from its causes; raised again, it has those of whoever raises it.

    Tools that print the variables of a traceback would print the payment. What failed and why is still said.
    """
    for link in causes(failure):
        link.__traceback__ = None
