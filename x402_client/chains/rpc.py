"""Small JSON-RPC client: several endpoints, repeated calls if they are busy, and bounds on their answers.

It blocks, so async clients run it in a worker thread. URLs often have a key in their path, so messages show only hosts.
"""

from __future__ import annotations

import itertools
import os
import re
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..errors import ChainUnavailable, MalformedQuote
from ..guards.deadlines import Cut, Deadline
from ..guards.forks import in_each_child
from ..guards.handlers import raise_callers_stop
from ..model.networks import caip2, short_name
from ..model.offers import words
from ..wire.content_encoding import decoded
from ..wire.json_text import load
from .identity import named_by, question
from .public_endpoints import PUBLIC

if TYPE_CHECKING:
    import ssl

    import httpx

#: The variable in which ``Buyer.from_env`` finds endpoints.
_VARIABLE = "X402_RPC"
_PAUSES = (0.2, 0.5, 1.0)
_LONGEST_PAUSE = 3.0
_MOST_BYTES = 4 * 1024 * 1024
#: Seconds that one endpoint may take for one answer, and that all of them may take for one read, with all pauses.
_TIMEOUT = 10.0
_PATIENCE = 30.0
_DEPTH = 48
_RATIONED = r"\brate[ -]?limit|too many|\bthrottl|\bquota\b"
#: In the words of several nodes, a contract that gave a call up. 3 and -32015 are codes for it.
_REVERTED = r"\brevert|invalid opcode|invalid jump|stack (?:under|over)flow|vm execution error"


class Reverted(ChainUnavailable):
    """The called contract gave the call up: an endpoint said so, and no other gave a result."""


class Rpc:
    """Endpoints of one network. Safe between threads, and after a fork."""

    def __init__(
        self, network: str, urls: Sequence[str] | None = None, known: set[tuple[str, str]] | None = None
    ) -> None:
        """Take a network and its endpoints. None: the public ones.

        With ``known``, each endpoint is asked once which chain it is. The set has the endpoints that gave the right
        answer, with their network. Several readers may share it.
        """
        self.network = network
        self.urls: tuple[str, ...] = PUBLIC.get(network, ()) if urls is None else tuple(urls)
        self._known = known
        in_each_child(self, Rpc._start_anew)
        self._idle: dict[int, list[_Connection]] = {}
        self._numbers = itertools.count(1)
        #: Shared by all connections: to load the trusted certificates takes longer than most answers.
        self._trust: ssl.SSLContext | None = None

    def _start_anew(self) -> None:
        self._lock = threading.Lock()

    def call(self, method: str, *params: Any, seconds: float | None = None, once: bool = False) -> Any:
        """Return the result of one read. Raise ChainUnavailable if no endpoint gave it in these seconds.

        With ``once``, no endpoint is asked a second time.
        """
        if not self.urls:
            raise ChainUnavailable(
                f"No endpoint is known for {short_name(self.network)} ({self.network}); name one with {self._setting}."
            )
        problem, reverted = "no answer", False
        until = time.monotonic() + (_PATIENCE if seconds is None else seconds)
        for pause in (None,) if once else (*_PAUSES, None):
            waits = []
            for url in self.urls:
                try:
                    self._recognise(url, until)
                    return self._ask(url, method, params, until - time.monotonic())
                except _Failed as failure:
                    problem = f"{urlsplit(url).hostname}: {failure}"
                    reverted |= failure.reverted
                    waits += [failure.wait] if failure.passing else []
            rest = min(max(pause or 0.0, *waits, 0.0), _LONGEST_PAUSE)
            if pause is None or not waits or time.monotonic() + rest > until:
                break
            time.sleep(rest)
        raise (Reverted if reverted else ChainUnavailable)(
            f"{short_name(self.network)} did not answer {method} ({problem}). {self._unused}Try again, or name another "
            f"endpoint with {self._setting}."
        )

    @property
    def _unused(self) -> str:
        """Return a remark if the environment names an endpoint of this network that the buyer was not given."""
        written = [one.partition("=") for one in os.environ.get(_VARIABLE, "").split()]
        if not any(caip2(name) == self.network and url not in self.urls for name, _, url in written):
            return ""
        return f"{_VARIABLE} names one that this buyer does not use: Buyer.from_env(...) reads it. "

    @property
    def _setting(self) -> str:
        """Return how an endpoint of this network is named."""
        return f'Buyer(rpc={{"{short_name(self.network)}": "https://..."}})'

    def _recognise(self, url: str, until: float) -> None:
        """Ask an endpoint which chain it is, unless it was asked before. One of another chain is not used."""
        method = question(self.network)
        if self._known is None or method is None or (self.network, url) in self._known:
            return
        found = named_by(self.network, self._ask(url, method, (), until - time.monotonic()))
        if found is None:
            raise _Failed("it does not say which chain it is", passing=False)
        if found != self.network:
            wanted = f"{short_name(self.network)} ({self.network})"
            raise _Failed(f"it is an endpoint of {short_name(found)} ({found}), not of {wanted}", passing=False)
        self._known.add((self.network, url))

    def _ask(self, url: str, method: str, params: tuple[Any, ...], seconds: float) -> Any:
        if seconds <= 0:
            raise _Failed("there was no time left to ask it")
        number = next(self._numbers)
        question = {"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)}
        connection = self._connection()
        try:
            answer = connection.post(url, question, min(seconds, _TIMEOUT))
        finally:
            if connection.is_sound:
                with self._lock:
                    self._idle.setdefault(connection.process, []).append(connection)
            else:
                connection.drop()
        if not isinstance(answer, dict) or answer.get("id") != number:
            raise _Failed("its answer is not JSON-RPC")
        error = answer.get("error")
        if error is not None:
            said = error.get("message") if isinstance(error, dict) else None
            raise _Failed(f"it says {words(said, 120)!r}", _rationed(error), reverted=_is_revert(error))
        if "result" not in answer:
            raise _Failed("its answer has no result")
        return answer["result"]

    def _connection(self) -> _Connection:
        """Return an idle connection, or a new one. Each process has its own: none may be shared across a fork."""
        with self._lock:
            idle = self._idle.get(os.getpid())
            if idle:
                return idle.pop()
        return _Connection(self._ssl_context())

    def _ssl_context(self) -> ssl.SSLContext:
        import ssl

        import httpx

        if self._trust is None:
            encrypted = any(urlsplit(url).scheme == "https" for url in self.urls)
            # A node of the user's own, over plain http, needs no certificates. Then none are trusted.
            self._trust = httpx.create_ssl_context() if encrypted else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        return self._trust

    def close(self) -> None:
        """Close the connections of this process."""
        with self._lock:
            idle = self._idle.pop(os.getpid(), [])
        for connection in idle:
            connection.client.close()


class _Connection:
    """Client with one connection, for one question at a time. So a deadline knows which socket to shut.

    A signal handler may raise anywhere, also in the pool of the HTTP library, which then never gets its connection
    back, or in the watch of the deadline, which then may shut a later socket. So ``is_sound`` is True only between two
    questions of which the first ended as it should. Any other connection is dropped, with its client.
    """

    def __init__(self, trust: ssl.SSLContext) -> None:
        import httpx

        self.process = os.getpid()
        self.client = httpx.Client(verify=trust, limits=httpx.Limits(max_connections=1))
        self.is_sound = True
        self._cut = Cut()
        # A buyer that is not closed leaves no sockets behind, and neither does a call that is interrupted with this.
        self._at_its_end = weakref.finalize(self, _close, self.client, self.process)

    def drop(self) -> None:
        """Close the socket. The client is left alone: its pool may be locked for ever."""
        self._at_its_end.detach()
        self._cut.close()

    def post(self, url: str, question: dict[str, Any], seconds: float) -> Any:
        """Send a question. Return its whole answer, if it comes in time."""
        import httpx

        self.is_sound = False
        self._cut.begin()
        deadline = Deadline(seconds, self._cut)
        try:
            with deadline:
                body = self._exchange(url, question, seconds, deadline)
            self.is_sound = not deadline.passed
            return load(body, _DEPTH)
        except _Failed:  # what came was read to its end, or closed
            self.is_sound = not deadline.passed
            raise
        except httpx.HTTPError as failure:
            raise_callers_stop(failure)  # httpx takes a TimeoutError of a signal handler's for its own
            raise _Failed("it was too slow" if deadline.passed else type(failure).__name__, passing=True) from failure
        except MalformedQuote as fault:
            raise_callers_stop(fault)
            raise _Failed("its answer is not JSON") from None

    def _exchange(self, url: str, question: dict[str, Any], seconds: float, deadline: Deadline) -> bytes:
        # A compressed answer could expand without a bound, and httpx would expand it.
        request = self.client.build_request(
            "POST", url, json=question, headers={"Accept-Encoding": "identity"}, timeout=seconds,
            extensions={"trace": self._cut.note},
        )  # fmt: skip
        response = self.client.send(request, stream=True)
        try:
            if response.status_code != 200:
                raise _Failed(f"HTTP {response.status_code}", _busy(response.status_code), _retry_after(response))
            body = bytearray()
            for chunk in response.iter_raw():
                body += chunk
                if len(body) > _MOST_BYTES:
                    raise _Failed(f"its answer has more than {_MOST_BYTES} bytes")
                if deadline.passed:
                    raise _Failed("it was too slow")
        finally:
            response.close()
        if deadline.passed:  # then the answer may be cut off
            raise _Failed("it was too slow")
        plain = decoded(bytes(body), response.headers.get("content-encoding", ""), _MOST_BYTES)
        if plain is None:
            raise _Failed(f"its answer has more than {_MOST_BYTES} bytes")
        return plain


def _close(client: httpx.Client, process: int) -> None:
    """Close a client. A forked child leaves its parent's alone: it would say goodbye on the same connection."""
    if process == os.getpid():
        client.close()


class Endpoints:
    """Endpoints of every network. A network's reader is made when it is first needed.

    With ``public``, a network without a named endpoint has the public ones. Without, such a network is not asked.
    """

    def __init__(self, urls: dict[str, tuple[str, ...]], public: bool = True) -> None:
        self._urls, self._public = urls, public
        self._rpcs: dict[tuple[str, str], Rpc] = {}
        #: Endpoints that said which chain they are.
        self._known: set[tuple[str, str]] = set()

    def of(self, network: str) -> Rpc:
        """Return the reader of one network."""
        return self._made((network, ""), self._at(network))

    def each(self, network: str) -> list[Rpc]:
        """Return a reader for each endpoint of a network, to ask each one by itself."""
        return [self._made((network, url), (url,)) for url in self._at(network)]

    def named(self, network: str) -> bool:
        """Return True if the user named an endpoint for a network, or for any network of a family, like ``eip155``."""
        return any(urls and network in (name, name.partition(":")[0]) for name, urls in self._urls.items())

    @property
    def named_networks(self) -> tuple[str, ...]:
        """Return the networks that the user named an endpoint for."""
        return tuple(network for network, urls in self._urls.items() if urls)

    def reach(self, network: str) -> bool:
        """Return True if there is an endpoint for a network."""
        return bool(self._at(network))

    @property
    def none(self) -> bool:
        """Return True if no chain is asked at all."""
        return not self._urls and not self._public

    def witnesses(self, network: str) -> int:
        """Return the number of independent endpoints of a network.

        Two URLs with one host and port, perhaps with two keys, are one operator's, so they are one witness.
        """
        places = map(urlsplit, self._at(network))
        return len({(parts.hostname, parts.port or parts.scheme) for parts in places})

    def _at(self, network: str) -> tuple[str, ...]:
        return self._urls.get(network) or (PUBLIC.get(network, ()) if self._public else ())

    def _made(self, name: tuple[str, str], urls: tuple[str, ...]) -> Rpc:
        found = self._rpcs.get(name)
        return found or self._rpcs.setdefault(name, Rpc(name[0], urls, self._known))

    def get_ready(self) -> None:
        """Import what reading a chain needs, so that no event loop waits for it at its first payment."""
        import httpcore  # noqa: F401 - httpx imports it with its first client
        import httpx  # noqa: F401

    def __iter__(self) -> Iterator[Rpc]:
        return iter(list(self._rpcs.values()))


class _Failed(Exception):
    """Error: an endpoint gave no answer. ``passing`` is True if asking again may help."""

    def __init__(self, problem: str, passing: bool = True, wait: float = 0.0, reverted: bool = False) -> None:
        super().__init__(problem)
        self.passing, self.wait, self.reverted = passing, wait, reverted


def _busy(status: int) -> bool:
    return status == 429 or status >= 500


def _rationed(error: Any) -> bool:
    """Return True for "too many requests". Some endpoints say so in the body of an answer with status 200."""
    if not isinstance(error, dict):
        return False
    said = str(error.get("message", "")).lower()
    return error.get("code") in (429, -32005, -32429) or re.search(_RATIONED, said) is not None


def _is_revert(error: Any) -> bool:
    """Return True for the answer that the called contract gave the call up. Then the chain did answer."""
    if not isinstance(error, dict):
        return False
    return error.get("code") in (3, -32015) or re.search(_REVERTED, str(error.get("message", "")).lower()) is not None


def _retry_after(response: httpx.Response) -> float:
    text = response.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() else 0.0
