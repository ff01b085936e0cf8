"""Facts of Solana that a payment needs, kept warm: recent blockhashes, and mints.

A blockhash can be used for 150 slots, 60 to 90 seconds. One is used for a third of that and fetched anew in the
background while it is still good, so that a payment waits for the chain only the first time.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, NamedTuple, TypeVar

from ..errors import ChainUnavailable, X402Error
from ..guards.forks import in_each_child
from .rpc import Rpc

T = TypeVar("T")
#: The longest that a blockhash's 150 slots have taken in practice.
LIFE_SECONDS = 90
_REFRESH_AFTER = 12.0
_USED_FOR = 25.0
_HINTS = 256
_HINT_USED_FOR = 30.0


class Blockhash(NamedTuple):
    """A blockhash, and the last block height at which a transaction that names it can land (None: not known)."""

    value: str
    last_valid_height: int | None
    seen: float
    #: The slot that the chain was at when it gave this one; None: a seller's hint.
    slot: int | None = None


class Mint(NamedTuple):
    """A mint's token program, and its decimals."""

    program: str
    decimals: int


class SolanaChain:
    """One Solana network, as a payment sees it."""

    def __init__(self, rpc: Rpc) -> None:
        self.rpc = rpc
        self._latest: Blockhash | None = None
        in_each_child(self, SolanaChain._start_anew)
        self._mints: dict[str, Mint] = {}
        self._hints: OrderedDict[str, float] = OrderedDict()

    def _start_anew(self) -> None:
        self._lock = threading.Lock()
        self._renewing = False
        self._fetches: dict[Any, Future[Any]] = {}

    def blockhash(self) -> Blockhash | None:
        """Return the latest that can still be used, without asking the chain. Renew an ageing one in the background."""
        latest = self._latest
        age = time.monotonic() - latest.seen if latest else _USED_FOR
        if age >= _USED_FOR:
            return None
        if age >= _REFRESH_AFTER:
            self._renew()
        return latest

    def fetch_blockhash(self) -> Blockhash:
        """Ask the chain. Payments that ask at the same time share one answer."""
        return self.blockhash() or self._shared("blockhash", self._fetch_blockhash)

    def fresh_hint(self, value: str) -> Blockhash | None:
        """Return a seller's hint, unless we know that it is old: some sellers hand out the same one for minutes."""
        now = time.monotonic()
        with self._lock:
            first = self._hints.setdefault(value, now)
            while len(self._hints) > _HINTS:
                self._hints.popitem(last=False)
        latest = self._latest
        if latest is not None and latest.value == value:
            return latest if now - latest.seen < _USED_FOR else None
        return Blockhash(value, None, first) if now - first < _HINT_USED_FOR else None

    def mint(self, address: str) -> Mint | None:
        """Return what is known of a mint, without asking the chain."""
        return self._mints.get(address)

    def fetch_mint(self, address: str) -> Mint:
        """Ask the chain, once for each mint."""
        return self._mints.get(address) or self._shared(address, lambda: self._fetch_mint(address))

    def units_needed(self, transaction: str) -> int:
        """Return the compute units that a transaction takes. The chain simulates it without its signatures."""
        options = {"sigVerify": False, "replaceRecentBlockhash": True, "encoding": "base64"}
        found = self._value(self.rpc.call("simulateTransaction", transaction, options))
        units = found.get("unitsConsumed")
        if found.get("err") is not None or not isinstance(units, int):
            raise ChainUnavailable("The payment cannot be simulated, so its cost in compute units is not known.")
        return units

    def balances(self, accounts: list[str]) -> list[int | None]:
        """Return the balances of token accounts; None where there is no such account."""
        found = self.rpc.call("getMultipleAccounts", accounts, {"encoding": "jsonParsed", "commitment": "confirmed"})
        values = found.get("value") if isinstance(found, dict) else None
        if not isinstance(values, list) or len(values) != len(accounts):
            raise ChainUnavailable("The endpoint's answer about token accounts makes no sense.")
        return [_token_balance(value) for value in values]

    def _fetch_blockhash(self) -> Blockhash:
        asked = time.monotonic()
        answer = self.rpc.call("getLatestBlockhash", {"commitment": "confirmed"})
        found = self._value(answer)
        value, height = found.get("blockhash"), found.get("lastValidBlockHeight")
        context = answer.get("context")
        slot = context.get("slot") if isinstance(context, dict) else None
        if not isinstance(value, str) or not isinstance(height, int):
            raise ChainUnavailable("The endpoint's answer about the latest blockhash makes no sense.")
        self._latest = Blockhash(value, height, asked, slot if type(slot) is int else None)
        return self._latest

    def _fetch_mint(self, address: str) -> Mint:
        found = self._value(self.rpc.call("getAccountInfo", address, {"encoding": "jsonParsed"}))
        try:
            mint = Mint(str(found["owner"]), int(found["data"]["parsed"]["info"]["decimals"]))
        except (KeyError, TypeError, ValueError):
            raise ChainUnavailable(f"{address} is not a token's mint on this network.") from None
        self._mints[address] = mint
        return mint

    def _value(self, found: Any) -> dict[str, Any]:
        value = found.get("value") if isinstance(found, dict) else None
        if not isinstance(value, dict):
            raise ChainUnavailable("The endpoint's answer makes no sense.")
        return value

    def _renew(self) -> None:
        with self._lock:
            if self._renewing:
                return
            self._renewing = True
        threading.Thread(target=self._renew_quietly, name="x402-blockhash", daemon=True).start()

    def _renew_quietly(self) -> None:
        # The one at hand is good for a while yet; a payment that finds none asks by itself, and says what failed.
        try:
            with contextlib.suppress(X402Error):
                self._shared("blockhash", self._fetch_blockhash)
        finally:
            self._renewing = False

    def _shared(self, name: Any, fetch: Callable[[], T]) -> T:
        """Fetch, or wait for the answer of a caller that is fetching the same."""
        mine: Future[T] = Future()
        with self._lock:
            running: Future[T] | None = self._fetches.get(name)
            if running is None:
                self._fetches[name] = mine
        if running is not None:
            return running.result()
        try:
            mine.set_result(fetch())
        except BaseException as failure:
            mine.set_exception(failure)
        finally:
            with self._lock:
                del self._fetches[name]
        return mine.result()


def _token_balance(account: Any) -> int | None:
    if account is None:
        return None
    try:
        return int(account["data"]["parsed"]["info"]["tokenAmount"]["amount"])
    except (KeyError, TypeError, ValueError):
        return None
