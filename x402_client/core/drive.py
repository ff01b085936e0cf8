"""``run`` and ``arun`` step a flow: the only difference between sync and async in the core.

A driver decides nothing. Every failure of an answer, cancellation included, is thrown back into the flow, which
judges it. The flow is closed in the end, always, so that its ``finally`` blocks run. An exception that a signal handler
raised is the caller's own stop: the flow gets it as a ``BaseException``, as it gets Ctrl-C, and it comes out as itself.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator
from types import GeneratorType
from typing import Any, TypeVar

from ..guards.handlers import Stopped, as_stop
from .asks import Ask

T = TypeVar("T")
Flow = Generator[Ask[Any], Any, T]


def is_coming(answer: object) -> bool:
    """Return True if an answer has to be awaited. Hot path: inspect alone takes several times as long."""
    kind = type(answer)
    return hasattr(kind, "__await__") or (kind is GeneratorType and inspect.isawaitable(answer))


def run(flow: Flow[T], answer: Callable[[Ask[Any]], Any]) -> T:
    """Step a flow to its end with answers given at once."""
    try:
        ask = next(flow)
        while True:
            try:
                given = answer(ask)
            except BaseException as failure:
                ask = flow.throw(as_stop(failure))
            else:
                ask = flow.send(given)
    except StopIteration as end:
        # Without a close: an interrupt in it would lose what the flow gave, and with it the end of an attempt.
        return end.value  # type: ignore[no-any-return]
    except Stopped as stopped:
        flow.close()
        stopped.go_on()
    except BaseException:
        flow.close()
        raise


async def arun(flow: Flow[T], answer: Callable[[Ask[Any]], Any]) -> T:
    """Step a flow to its end with answers of which some are awaited. Most are at hand, and awaiting has its price."""
    try:
        ask = next(flow)
        while True:
            try:
                given = answer(ask)
                if is_coming(given):
                    given = await given
            except BaseException as failure:
                ask = flow.throw(as_stop(failure))
            else:
                ask = flow.send(given)
    except StopIteration as end:
        # Without a close: an interrupt in it would lose what the flow gave, and with it the end of an attempt.
        return end.value  # type: ignore[no-any-return]
    except Stopped as stopped:
        flow.close()
        stopped.go_on()
    except BaseException:
        flow.close()
        raise
