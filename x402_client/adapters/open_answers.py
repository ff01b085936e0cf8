"""The paid answers that came through one transport of httpx or connector of aiohttp, until a client closes it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakSet, WeakValueDictionary

if TYPE_CHECKING:
    from .aiohttp_content import Watched as AiohttpWatched
    from .httpx_bodies import Watched as HttpxWatched


class OpenAnswers:
    """The paid answers of one transport, while they live. Clients that share the transport share these.

    The rule: a signed hold is in flight while its attempt "is provably alive". Closing a client closes the transport,
    and that ends every connection through it.
    """

    __slots__ = ("__weakref__", "_answers", "_lock", "_transport")

    def __init__(self, transport: Any) -> None:
        self._transport = transport  # as long as it lives, its id is its own
        self._lock = threading.Lock()
        self._answers: WeakSet[HttpxWatched | AiohttpWatched] = WeakSet()

    @classmethod
    def of(cls, transport: Any) -> OpenAnswers:
        """Return those of a transport. Any object can be one, so it is known by its id."""
        with _lock:
            found = _known.get(id(transport))
            if found is None:
                found = _known[id(transport)] = cls(transport)
            return found

    def add(self, answer: HttpxWatched | AiohttpWatched) -> None:
        """Take an answer that is handed over."""
        with self._lock:
            self._answers.add(answer)

    @contextmanager
    def closing(self) -> Iterator[None]:
        """Close the transport in this block. Each answer whose connection that closes is told."""
        try:
            yield
        finally:
            self.closed()

    def closed(self) -> None:
        """Tell each answer that its connection may be closed now."""
        with self._lock:
            answers = list(self._answers)
        for answer in answers:
            answer.transport_closed()


_lock = threading.Lock()
_known: WeakValueDictionary[int, OpenAnswers] = WeakValueDictionary()
