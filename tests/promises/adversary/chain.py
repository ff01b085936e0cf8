"""The oracles' chain: it verifies signatures with eth_account, and keeps nonces as the token's contract does."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.adapters.cash_register import NETWORK, PAY_TO, USDC, signer
from x402_client.model.holds import Hold
from x402_client.sandbox.jsonrpc import answer

from .clock import Clock

CHAIN, FOREIGN = int(NETWORK[2].partition(":")[2]), 5042002
_BLOCK = 20_000_000
#: Seconds by which a reader of the user's own is early.
EARLY = 100


@dataclass
class Payment:
    """One authorization that left the buyer's machine."""

    nonce: str
    payer: str
    amount: int
    expires: int
    #: The call that handed it over first, the thing that one asked for, and the host that asked for money.
    call: int
    thing: tuple[int, int]
    host: str
    handed: float
    settled: float | None = None
    #: A seller said of it what is not true.
    lied: bool = False


class Chain:
    """Payments by nonce. Safe between threads."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self.payments: dict[str, Payment] = {}
        self.moods = ["true", "true"]
        self.foreign = False

    @property
    def speaks(self) -> bool:
        """Return True if an endpoint tells the truth."""
        return "true" in self.moods and not self.foreign

    def handed(self, header: str, call: int, thing: tuple[int, int], host: str) -> Payment:
        """Note a payment as it arrives at a seller. One that is not good is a failure of the machine."""
        signed, signature = _opened(header)
        with self.lock:
            found = self.payments.get(signed["nonce"])
            if found is None:
                assert signer(signed, signature) == signed["from"]
                assert signed["to"] == PAY_TO
                found = self.payments[signed["nonce"]] = Payment(
                    signed["nonce"], signed["from"], int(signed["value"]), int(signed["validBefore"]),
                    call, thing, host, self.clock.chain(),
                )  # fmt: skip
            return found

    def lives(self, payment: Payment) -> bool:
        """Return True if a payment can settle yet."""
        return payment.settled is None and self.clock.chain() < payment.expires

    def settle(self, payment: Payment) -> bool:
        """Settle as the token does: once, and before the expiry."""
        with self.lock:
            if not self.lives(payment):
                return False
            payment.settled = self.clock.chain()
            return True

    def settle_late(self) -> None:
        """Settle all that can be."""
        for payment in list(self.payments.values()):
            self.settle(payment)

    # --- what an endpoint says

    def rpc(self, which: int, request: bytes) -> tuple[int, bytes]:
        """Answer a read as this endpoint does."""
        mood = self.moods[which]
        if mood == "silent":
            return 400, b""
        if mood == "garbage":
            return 200, b'{"jsonrpc": "2.0", "id": null, "result": "0x"}'
        return 200, answer(self._methods(mood), request)

    def _methods(self, mood: str) -> dict[str, Callable[..., Any]]:
        chain = FOREIGN if self.foreign else CHAIN
        return {
            "eth_chainId": lambda: hex(chain),
            "net_version": lambda: str(chain),
            "eth_blockNumber": lambda: hex(self._head(mood)),
            "eth_getBlockByNumber": lambda tag, full=False: self._block(tag, mood),
            "eth_call": lambda call, tag="latest": self._call(call, tag, mood),
        }

    def _head(self, mood: str) -> int:
        late = 100_000 if mood == "lies" else 0  # a liar's chain is far ahead
        return _BLOCK + int(self.clock.chain()) + late

    def _block(self, tag: str, mood: str) -> dict[str, Any]:
        number = self._head(mood) if tag in ("latest", "safe", "finalized") else int(tag, 16)
        return {"number": hex(number), "timestamp": hex(number - _BLOCK), "hash": "0x" + f"{number:064x}"}

    def _call(self, call: dict[str, str], tag: str, mood: str) -> str:
        data = str(call.get("data") or call.get("input"))
        if str(call["to"]).lower() != USDC.lower():
            return "0x"
        if data.startswith("0x313ce567"):
            return f"0x{6:064x}"
        if data.startswith("0x70a08231"):
            return f"0x{10**12:064x}"
        block = self._head(mood) if tag in ("latest", "safe", "finalized", "pending") else int(tag, 16)
        payment = self.payments.get("0x" + data[74:138])
        used = payment is not None and payment.settled is not None and payment.settled <= block - _BLOCK + 1
        shown = used and mood == "true" and not self.foreign
        return f"0x{int(shown):064x}"


class Reader:
    """A reader of the user's own. It takes a payment that is about to expire for one that has."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain

    def read(self, hold: Hold) -> str:
        """Return what became of a payment."""
        mood, signed = self._chain.moods[0], hold.authorization
        payment = self._chain.payments.get(signed.nonce if signed is not None else "")
        if payment is None or mood in ("silent", "garbage"):
            raise TimeoutError
        if payment.settled is not None:
            return "settled"
        return "not_settled" if payment.expires - EARLY < self._chain.clock.chain() else "live"


def _opened(header: str) -> tuple[dict[str, str], str]:
    found: Any = json.loads(base64.b64decode(header, validate=True))
    return found["payload"]["authorization"], found["payload"]["signature"]
