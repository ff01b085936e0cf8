"""A small JSON-RPC reader: several endpoints, patience with busy ones, bounds on what they send.

It blocks; async clients have it run in a worker thread. URLs often carry a key in their path, so only hosts are shown.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..errors import ChainUnavailable, MalformedQuote
from ..wire.json_text import load
from ..wire.models import words
from ..wire.networks import SOLANA, SOLANA_DEVNET, SOLANA_TESTNET, short_name

if TYPE_CHECKING:
    import httpx

#: Public endpoints of well-known networks. They are slow and ration callers: a program in earnest names its own.
PUBLIC = {
    "eip155:1": ("https://ethereum-rpc.publicnode.com",),
    "eip155:10": ("https://mainnet.optimism.io",),
    "eip155:137": ("https://polygon-rpc.com",),
    "eip155:8453": ("https://mainnet.base.org",),
    "eip155:42161": ("https://arb1.arbitrum.io/rpc",),
    "eip155:43114": ("https://api.avax.network/ext/bc/C/rpc",),
    "eip155:84532": ("https://sepolia.base.org",),
    SOLANA: ("https://api.mainnet-beta.solana.com",),
    SOLANA_DEVNET: ("https://api.devnet.solana.com",),
    SOLANA_TESTNET: ("https://api.testnet.solana.com",),
}
_PAUSES = (0.2, 0.5, 1.0)
_LONGEST_PAUSE = 3.0
_MOST_BYTES = 4 * 1024 * 1024
_TIMEOUT = 10.0
_DEPTH = 48


class Rpc:
    """One network's endpoints. Safe between threads, and after a fork."""

    def __init__(self, network: str, urls: Sequence[str] = ()) -> None:
        self.network = network
        self._urls = tuple(urls) or PUBLIC.get(network, ())
        self._lock = threading.Lock()
        self._clients: dict[int, httpx.Client] = {}
        self._numbers = itertools.count(1)

    def call(self, method: str, *params: Any) -> Any:
        """The result of one read. ChainUnavailable when no endpoint gave it."""
        if not self._urls:
            raise ChainUnavailable(
                f"No endpoint is known for {short_name(self.network)}; name one with "
                f'Buyer(rpc={{"{short_name(self.network)}": "https://..."}}).'
            )
        problem = "no answer"
        for pause in (*_PAUSES, None):
            waits = []
            for url in self._urls:
                try:
                    return self._ask(url, method, params)
                except _Failed as failure:
                    problem = f"{urlsplit(url).hostname}: {failure}"
                    waits += [failure.wait] if failure.passing else []
            if pause is None or not waits:
                break
            time.sleep(min(max(pause, *waits), _LONGEST_PAUSE))
        raise ChainUnavailable(f"{short_name(self.network)} did not answer {method} ({problem}).")

    def _ask(self, url: str, method: str, params: tuple[Any, ...]) -> Any:
        number = next(self._numbers)
        question = {"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)}
        answer = self._post(url, question)
        if not isinstance(answer, dict) or answer.get("id") != number:
            raise _Failed("its answer is not JSON-RPC")
        error = answer.get("error")
        if error is not None:
            said = error.get("message") if isinstance(error, dict) else None
            raise _Failed(f"it says {words(said, 120)!r}", passing=_rationed(error))
        if "result" not in answer:
            raise _Failed("its answer has no result")
        return answer["result"]

    def _post(self, url: str, question: dict[str, Any]) -> Any:
        import httpx

        try:
            with self._client().stream("POST", url, json=question) as response:
                if response.status_code != 200:
                    raise _Failed(f"HTTP {response.status_code}", _busy(response.status_code), _retry_after(response))
                body = bytearray()
                for chunk in response.iter_bytes(64 * 1024):
                    body += chunk
                    if len(body) > _MOST_BYTES:
                        raise _Failed(f"more than {_MOST_BYTES} bytes")
            return load(bytes(body), _DEPTH)
        except httpx.HTTPError as failure:
            raise _Failed(type(failure).__name__, passing=True) from failure
        except MalformedQuote:
            raise _Failed("its answer is not JSON") from None

    def _client(self) -> httpx.Client:
        """One for each process: a connection must not be shared across a fork."""
        with self._lock:
            client = self._clients.get(os.getpid())
            if client is None:
                import httpx

                client = self._clients[os.getpid()] = httpx.Client(timeout=_TIMEOUT)
                weakref.finalize(self, client.close)  # a buyer that nobody closes leaves no sockets behind
            return client

    def close(self) -> None:
        """Close the connections of this process."""
        with self._lock:
            client = self._clients.pop(os.getpid(), None)
        if client is not None:
            client.close()


class Endpoints:
    """The endpoints of every network, made when first asked for."""

    def __init__(self, urls: dict[str, tuple[str, ...]]) -> None:
        self._urls = urls
        self._rpcs: dict[tuple[str, str], Rpc] = {}

    def of(self, network: str) -> Rpc:
        """The reader of one network."""
        return self._made((network, ""), self._urls.get(network, ()))

    def each(self, network: str) -> list[Rpc]:
        """A reader for every single endpoint of a network: witnesses that are asked one by one."""
        urls = self._urls.get(network) or PUBLIC.get(network) or ()
        return [self._made((network, url), (url,)) for url in urls]

    def _made(self, name: tuple[str, str], urls: tuple[str, ...]) -> Rpc:
        found = self._rpcs.get(name)
        return found or self._rpcs.setdefault(name, Rpc(name[0], urls))

    def __iter__(self) -> Iterator[Rpc]:
        return iter(list(self._rpcs.values()))


class _Failed(Exception):
    """One endpoint did not give the answer; ``passing`` if asking again may help."""

    def __init__(self, problem: str, passing: bool = True, wait: float = 0.0) -> None:
        super().__init__(problem)
        self.passing, self.wait = passing, wait


def _busy(status: int) -> bool:
    return status == 429 or status >= 500


def _rationed(error: Any) -> bool:
    """Some endpoints say "too many requests" in a body under a status of 200."""
    if not isinstance(error, dict):
        return False
    said = str(error.get("message", "")).lower()
    return error.get("code") in (429, -32005, -32429) or "rate" in said or "too many" in said


def _retry_after(response: httpx.Response) -> float:
    text = response.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() else 0.0
