"""One exchange of redis-py with the server: a command, and its answer or failure. It says if the command left."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from ...core.asks import Ask
from ...guards.handlers import raise_callers_stop
from ..served import protocol

Exchange = Callable[..., Any]


class Unanswered(Exception):
    """Error: a command left and its answer was lost, so it may have been done. ``failure`` is redis-py's own error."""

    def __init__(self, failure: Exception | None = None) -> None:
        super().__init__()
        self.failure = failure


class NotCopied(Unanswered):
    """Error: fewer replicas than asked for have what was written."""


def careful(exchange: Exchange, close: Callable[..., None] | None = None) -> Exchange:
    """Return ``exchange``, changed so that it raises Unanswered, and closes its connection when it is interrupted.

    An interrupt between a command and its answer (Ctrl-C, a signal handler that raises) leaves the answer unread.
    redis-py reuses the connection, and the next command would read that answer as its own. The connection is open when
    this is called, so what fails here may have reached the server.
    """
    answers, close = _answers(), close or _disconnect

    def exchanging(*arguments: Any, **options: Any) -> Any:
        try:
            return exchange(*arguments, **options)
        except answers:
            raise
        except Exception as failure:
            close(*arguments)
            raise_callers_stop(failure)
            lost = failure
        except BaseException:
            close(*arguments)
            raise
        raise Unanswered(lost)

    return exchanging


def acareful(exchange: Exchange, close: Callable[..., Awaitable[None]] | None = None) -> Exchange:
    """Async twin of ``careful``. A cancelled exchange is closed by redis-py itself."""
    answers, close = _answers(), close or _adisconnect

    async def exchanging(*arguments: Any, **options: Any) -> Any:
        try:
            return await exchange(*arguments, **options)
        except answers:
            raise
        except Exception as failure:
            await close(*arguments)
            raise_callers_stop(failure)
            lost = failure
        raise Unanswered(lost)

    return exchanging


def is_sent_again(ask: Ask[Any], lost: Unanswered, tries: int) -> bool:
    """Note that an answer was lost. Return True if its command is to be sent once more: the connection broke."""
    from redis.exceptions import ConnectionError

    if isinstance(ask, protocol.Request):
        ask.unanswered = True
    return tries == 1 and isinstance(lost.failure, ConnectionError)


def _answers() -> tuple[type[Exception], ...]:
    """Return the failures that are answers: the server has not done what it was told."""
    from redis.exceptions import BusyLoadingError, ResponseError

    return (ResponseError, BusyLoadingError)


def _disconnect(connection: Any, *_: Any) -> None:
    connection.disconnect()


async def _adisconnect(connection: Any, *_: Any) -> None:
    await connection.disconnect(nowait=True)


def nothing_to_close(*_: Any) -> None:
    """Do nothing: a cluster's client closes its connections itself."""


async def anothing_to_close(*_: Any) -> None:
    """Async twin of ``nothing_to_close``."""
