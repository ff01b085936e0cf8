"""Facts of Solana that a payment needs, cached: recent blockhashes, and mints.

A blockhash is valid for 150 slots, 60 to 90 seconds. Each is used for a third of that. The next one is fetched in the
background while the last is still good, so only the first payment waits for the chain.

A seller's hint comes without the last height at which it is valid. A bound on it is known all the same: a hint is no
newer than the chain was when it came, and the chain is no further than its last known height and the slots that can
have passed since, by a clock that cannot be set.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from ..errors import ChainUnavailable
from ..guards.forks import in_each_child
from ..guards.handlers import Stopped, as_stop, raise_callers_stop
from ..guards.steady_clock import steady
from ..guards.threads import is_ending, start
from .rpc import Rpc

T = TypeVar("T")
#: The most seconds that a blockhash's 150 slots have taken in practice.
LIFE_SECONDS = 90
#: Seconds after which the next blockhash is fetched, and for which one is used.
_REFRESH_AFTER, _USED_FOR = 12.0, 25.0
#: Sellers' hints that are remembered, and seconds for which one is used.
_HINTS, _HINT_USED_FOR = 256, 30.0
#: Seconds after which it is asked anew how far the chain is: beside a payment with a hint, and in its way.
_TIP_RENEWED_AFTER, _TIP_USED_FOR = 30.0, 60.0
#: Seconds that a payment with a hint waits for that answer, and for which none waits after one waited in vain.
_TIP_PATIENCE, _TIP_REST = 3.0, 60.0
#: Slots that pass in a second, at the very most: the chain is made for 2.5.
_SLOTS_A_SECOND = 5
#: Slots by which the endpoint that was asked may be behind. A node that is further behind calls itself unhealthy.
_BEHIND = 150
#: Who waits for another caller's answer looks for it this often, in seconds, at first and at last.
_FIRST_PAUSE, _LAST_PAUSE = 0.001, 0.02


class Blockhash(NamedTuple):
    """Blockhash, and the last block height at which a transaction with it can land (None: not known)."""

    value: str
    last_valid_height: int | None
    seen: float
    #: A slot that the chain had reached before a payment with it is signed. None: not known.
    slot: int | None = None
    #: A height that the last valid one of a seller's hint is not above. None: not known.
    height_bound: int | None = None


class Mint(NamedTuple):
    """Token program of a mint, and its decimals."""

    program: str
    decimals: int


class _Fetch:
    """Question that is under way, for all who ask the same.

    It has no lock and no event: a signal handler that raises inside of one of those would leave it taken for ever.
    """

    __slots__ = ("answer", "failure")

    def __init__(self) -> None:
        self.answer: Any = None
        self.failure: Exception | None = ChainUnavailable("The call that asked the chain was interrupted. Try again.")


class SolanaChain:
    """Solana network, as a payment sees it."""

    def __init__(self, rpc: Rpc) -> None:
        self.rpc = rpc
        self._latest: Blockhash | None = None
        self._in_vain_until = -math.inf
        in_each_child(self, SolanaChain._start_anew)
        self._mints: dict[str, Mint] = {}
        self._hints: OrderedDict[str, float] = OrderedDict()

    def _start_anew(self) -> None:
        self._lock = threading.Lock()
        self._renewing = False
        self._fetches: dict[Any, _Fetch] = {}

    def blockhash(self) -> Blockhash | None:
        """Return the latest usable blockhash, without asking the chain. Renew an ageing one in the background."""
        latest = self._latest
        age = steady() - latest.seen if latest else _USED_FOR
        if age >= _USED_FOR:
            return None
        if age >= _REFRESH_AFTER:
            self._renew()
        return latest

    def fetch_blockhash(self) -> Blockhash:
        """Return a usable blockhash, from the chain if needed. Payments that ask at the same time share one answer."""
        return self.blockhash() or self._shared("blockhash", self._fetch_blockhash)

    def fresh_hint(self, value: str) -> Blockhash | None:
        """Return a seller's hint, unless it is known to be old. Some sellers give the same one for minutes."""
        now = steady()
        with self._lock:
            first = self._hints.setdefault(value, now)
            while len(self._hints) > _HINTS:
                self._hints.popitem(last=False)
        latest = self._latest
        if latest is not None and latest.value == value:
            return latest if now - latest.seen < _USED_FOR else None
        return Blockhash(value, None, first) if now - first < _HINT_USED_FOR else None

    def needs_tip(self) -> bool:
        """Return True if it has to be asked how far the chain is, to bound a hint. Renew what ages in the background.

        Where no endpoint is known, or none answered a moment ago, nothing is asked: a hint can be paid without.
        """
        now, latest = steady(), self._latest
        if not self.rpc.urls or now < self._in_vain_until:
            return False
        age = now - latest.seen if latest else _TIP_USED_FOR
        if _TIP_RENEWED_AFTER <= age < _TIP_USED_FOR:
            self._renew()
        return age >= _TIP_USED_FOR

    def fetch_tip(self) -> None:
        """Ask how far the chain is. Payments that ask at the same time share one answer; without one they go on."""
        if self.needs_tip():
            try:
                self._shared("tip", self._fetch_tip)
            except Exception as failure:  # of any kind: where HTTP is mocked, what is not expected is another
                raise_callers_stop(failure)

    def bounded(self, hint: Blockhash) -> Blockhash:
        """Return a hint that was just given, with what is known of its last valid height. An old tip bounds it, too."""
        latest = self._latest
        if latest is None or hint.last_valid_height is not None:
            return hint
        if latest.value == hint.value:
            return latest
        assert latest.last_valid_height is not None
        passed = math.ceil(max(0.0, steady() - latest.seen) * _SLOTS_A_SECOND)
        bound = latest.last_valid_height + passed + _BEHIND
        return Blockhash(hint.value, None, hint.seen, latest.slot, bound)

    def mint(self, address: str) -> Mint | None:
        """Return a mint if it is known, without asking the chain."""
        return self._mints.get(address)

    def fetch_mint(self, address: str) -> Mint:
        """Return a mint. The chain is asked once for each."""
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
        """Return the balance of each token account. None if there is no such account."""
        found = self.rpc.call("getMultipleAccounts", accounts, {"encoding": "jsonParsed", "commitment": "confirmed"})
        values = found.get("value") if isinstance(found, dict) else None
        if not isinstance(values, list) or len(values) != len(accounts):
            raise ChainUnavailable("The endpoint's answer about token accounts makes no sense.")
        return [_token_balance(value) for value in values]

    def _fetch_tip(self) -> Blockhash:
        try:
            return self._fetch_blockhash(_TIP_PATIENCE, once=True)
        except Exception as failure:
            raise_callers_stop(failure)
            self._in_vain_until = steady() + _TIP_REST
            self._renew()  # with more patience, and nothing waits for it
            raise

    def _fetch_blockhash(self, seconds: float | None = None, once: bool = False) -> Blockhash:
        asked = steady()
        answer = self.rpc.call("getLatestBlockhash", {"commitment": "confirmed"}, seconds=seconds, once=once)
        found = self._value(answer)
        value, height = found.get("blockhash"), found.get("lastValidBlockHeight")
        context = answer.get("context")
        slot = context.get("slot") if isinstance(context, dict) else None
        if not isinstance(value, str) or type(height) is not int:
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
        try:
            start(threading.Thread(target=self._renew_quietly, name="x402-blockhash", daemon=True))
        except RuntimeError as failure:  # a payment that finds no usable blockhash asks itself
            self._renewing = False
            raise_callers_stop(failure)
        except BaseException:
            self._renewing = False
            raise

    def _renew_quietly(self) -> None:
        # A failure here does no harm: a payment that finds no usable blockhash asks itself, and says what failed.
        try:
            self._shared("blockhash", self._fetch_blockhash)
        except Exception:
            self._in_vain_until = steady() + _TIP_REST
        finally:
            self._renewing = False

    def _shared(self, name: Any, fetch: Callable[[], T]) -> T:
        """Fetch, or wait for the answer of another caller that fetches the same."""
        mine, is_mine = _Fetch(), False
        try:
            with self._lock:
                running = self._fetches.get(name)
                if running is None:
                    # Between these two lines Python runs no handler of a signal: that comes after a call.
                    self._fetches[name] = mine
                    is_mine = True
            if running is not None:
                return self._waited(name, running)  # type: ignore[no-any-return]
            mine.answer, mine.failure = fetch(), None
            return mine.answer  # type: ignore[no-any-return]
        except Exception as failure:
            if is_mine and not isinstance(as_stop(failure), Stopped):  # the caller's own stop is for this thread only
                mine.failure = failure
            raise
        finally:
            if is_mine:
                del self._fetches[name]  # with no call before it, so that no signal comes between

    def _waited(self, name: Any, running: _Fetch) -> Any:
        """Wait for the answer of another caller."""
        pause = _FIRST_PAUSE
        while self._fetches.get(name) is running:
            if is_ending():  # the thread that fetches it is gone
                raise ChainUnavailable("The program is ending, and the chain is not asked any more.")
            time.sleep(pause)
            pause = min(pause * 2, _LAST_PAUSE)
        if running.failure is not None:
            raise running.failure
        return running.answer


def _token_balance(account: Any) -> int | None:
    if account is None:
        return None
    try:
        return int(account["data"]["parsed"]["info"]["tokenAmount"]["amount"])
    except (KeyError, TypeError, ValueError):
        return None
