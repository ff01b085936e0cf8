"""The oracles' chain: it verifies signatures with eth_account, and keeps nonces as the token's contract does."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from eth_account import Account
from eth_account.messages import encode_typed_data

from tests.adapters.cash_register import NETWORK, PAY_TO, USDC, signer
from x402_client.model.holds import Hold
from x402_client.sandbox.jsonrpc import answer
from x402_client.schemes.permit2 import PERMIT2, SPENDERS, typed_data

from . import solana
from .broken import SIGNED_ANEW, Broken
from .clock import Clock
from .permits import Permit, Permits

#: The keys of two wallets, and their addresses.
KEYS = ("0x" + "42" * 32, "0x" + "43" * 32)
WALLETS: tuple[str, ...] = tuple(Account.from_key(key).address for key in KEYS)
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
    expires: float
    #: The call that handed it over first, the thing that one asked for, and the host that asked for money.
    call: int
    thing: tuple[int, int]
    host: str
    handed: float
    #: True if any part of the amount can be taken. Once it settled, the amount is what was.
    ceiling: bool = False
    settled: float | None = None
    #: A seller said of it what is not true.
    lied: bool = False
    #: The header that it came in, True if Permit2 takes it from an allowance, and the permit that came along.
    header: str = ""
    by_permit2: bool = False
    permit: Permit | None = None


class Chain:
    """Payments by nonce. Safe between threads."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self.payments: dict[str, Payment] = {}
        self.moods = ["true", "true"]
        self.foreign = False
        self.permits, self.slots = Permits(clock), solana.Slots(clock)

    def begin(self, foreign: bool, approved: int | None, behind: int) -> None:
        """Begin a script."""
        self.payments, self.moods, self.foreign = {}, ["true", "true"], foreign
        self.permits.begin(approved)
        self.slots.begin(behind)

    @property
    def speaks(self) -> bool:
        """Return True if an endpoint tells the truth."""
        return "true" in self.moods and not self.foreign

    def handed(self, header: str, call: int, thing: tuple[int, int], host: str) -> Payment:
        """Note a payment as it arrives at a seller. One that is not good is a failure of the machine."""
        whole: Any = json.loads(base64.b64decode(header, validate=True))
        if "transaction" in whole["payload"]:
            return self._handed_on_solana(solana.opened(whole["payload"]["transaction"]), header, call, thing, host)
        signed, signature = _opened(whole)
        with self.lock:
            found = self.payments.get(signed["nonce"])
            if found is None:
                by_permit2 = "permitted" in signed
                known = _permit(signed, signature) if by_permit2 else _transfer(signed, signature)
                found = Payment(signed["nonce"], signed["from"], *known[:2], call, thing, host, self.clock.chain())
                found.ceiling, found.header, found.by_permit2 = known[2], header, by_permit2
                found.permit = self.permits.handed(whole, signed, call) if by_permit2 else None
                self.payments[signed["nonce"]] = found
            return _unchanged(found, header, call)

    def _handed_on_solana(
        self, signed: solana.Signed, header: str, call: int, thing: tuple[int, int], host: str
    ) -> Payment:
        with self.lock:
            found = self.payments.get(signed.memo)
            if found is None:
                expires, handed = signed.expires, self.clock.chain()
                found = Payment(signed.memo, signed.payer, signed.amount, expires, call, thing, host, handed)
                found.header = header
                self.payments[signed.memo] = found
            return _unchanged(found, header, call)

    def lives(self, payment: Payment) -> bool:
        """Return True if a payment can settle yet."""
        return payment.settled is None and self.clock.chain() < payment.expires

    def settle(self, payment: Payment, charge: int | None = None, permit: str = "with") -> bool:
        """Settle as the token does: once, and before the expiry. A charge of nothing of a ceiling is no transaction.

        ``permit`` says what becomes of the permit that came along: it is submitted with the payment, alone, or never.
        """
        with self.lock:
            if not self.lives(payment) or (payment.ceiling and charge == 0):
                return False
            if permit != "never":
                self.permits.submit(payment.permit)
            taken = charge if payment.ceiling and charge is not None else payment.amount
            if permit == "alone" or (payment.by_permit2 and not self.permits.take(payment.payer, taken)):
                return False
            payment.settled = self.clock.chain()
            if payment.ceiling and charge is not None:
                payment.amount = charge
            return True

    def settle_late(self, permit: str = "with") -> None:
        """Settle all that can be."""
        for payment in list(self.payments.values()):
            self.settle(payment, permit=permit)

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
        on_solana = self.slots.methods(lambda: list(self.payments.values()), mood)
        if self.foreign:
            on_solana["getGenesisHash"] = lambda: solana.FOREIGN
        return {
            "eth_chainId": lambda: hex(chain),
            "net_version": lambda: str(chain),
            "eth_blockNumber": lambda: hex(self._head(mood)),
            "eth_getBlockByNumber": lambda tag, full=False: self._block(tag, mood),
            "eth_call": lambda call, tag="latest": self._call(call, tag, mood),
            "eth_getLogs": lambda wanted: self._logs(wanted, mood),
            "eth_getTransactionByHash": self._transaction,
            **on_solana,
        }

    def _logs(self, wanted: dict[str, Any], mood: str) -> list[dict[str, str]]:
        """Return the token's transfers from one account in a range of blocks. A liar shows none, or little of each."""
        first, last, payer = int(wanted["fromBlock"], 16), int(wanted["toBlock"], 16), wanted["topics"][1][-40:]
        if mood == "little":
            mine = [one for one in list(self.payments.values()) if one.ceiling and one.payer[2:].lower() == payer]
            return [{"data": f"0x{1:064x}", "transactionHash": _hash(one)} for one in mine]
        settled = [one for one in list(self.payments.values()) if one.settled is not None and mood == "true"]
        return [
            {"data": f"0x{one.amount:064x}", "transactionHash": _hash(one)}
            for one in settled
            if one.payer[2:].lower() == payer and first <= _BLOCK + int(one.settled or 0) <= last
        ]

    def _transaction(self, name: str) -> dict[str, str] | None:
        found = next((one for one in list(self.payments.values()) if _hash(one) == name), None)
        return None if found is None else {"input": f"0x00000000{int(found.nonce, 0):064x}"}

    def _bits(self, data: str, block: int, mood: str) -> str:
        """Return a word of an account's bits."""
        payer, word = data[34:74], int(data[74:138], 16)
        bits = 0
        for one in list(self.payments.values()):
            if one.nonce.isdigit() and one.payer[2:].lower() == payer and int(one.nonce) >> 8 == word:
                bits |= int(self._shows(one, block, mood)) << (int(one.nonce) & 0xFF)
        return f"0x{bits:064x}"

    def _shows(self, payment: Payment | None, block: int, mood: str) -> bool:
        if mood == "little" and payment is not None and payment.ceiling:
            return not self.foreign
        used = payment is not None and payment.settled is not None and payment.settled <= block - _BLOCK + 1
        return used and mood == "true" and not self.foreign

    def _head(self, mood: str) -> int:
        late = 100_000 if mood == "lies" else 0  # a liar's chain is far ahead
        return _BLOCK + int(self.clock.chain()) + late

    def _block(self, tag: str, mood: str) -> dict[str, Any]:
        number = self._head(mood) if tag in ("latest", "safe", "finalized") else int(tag, 16)
        return {"number": hex(number), "timestamp": hex(number - _BLOCK), "hash": "0x" + f"{number:064x}"}

    def _call(self, call: dict[str, str], tag: str, mood: str) -> str:
        data = str(call.get("data") or call.get("input"))
        block = self._head(mood) if tag in ("latest", "safe", "finalized", "pending") else int(tag, 16)
        if str(call["to"]).lower() == PERMIT2.lower():
            return self._bits(data, block, mood)
        if str(call["to"]).lower() != USDC.lower():
            return "0x"
        told = self.permits.answer(data)
        if told is not None:
            return told
        if data.startswith("0x313ce567"):
            return f"0x{6:064x}"
        if data.startswith("0x70a08231"):
            return f"0x{10**12:064x}"
        return f"0x{int(self._shows(self.payments.get('0x' + data[74:138]), block, mood)):064x}"


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


def _opened(whole: dict[str, Any]) -> tuple[dict[str, Any], str]:
    payload = whole["payload"]
    return payload.get("authorization") or payload["permit2Authorization"], payload["signature"]


def _unchanged(found: Payment, header: str, call: int) -> Payment:
    """Return a payment that came once more. The same one has the same header."""
    if found.header != header:
        raise Broken(SIGNED_ANEW, f"call {call} presents {found.nonce} in another header than call {found.call}")
    return found


def _transfer(signed: dict[str, Any], signature: str) -> tuple[int, int, bool]:
    """Return amount and expiry of a transfer by EIP-3009, and that no part of it can be taken."""
    assert signer(signed, signature) == signed["from"]
    assert signed["to"] == PAY_TO
    return int(signed["value"]), int(signed["validBefore"]), False


def _permit(signed: dict[str, Any], signature: str) -> tuple[int, int, bool]:
    """Return amount and expiry of a permission by Permit2, and True if any part of it can be taken."""
    ceiling = "facilitator" in signed["witness"]
    data = typed_data("upto" if ceiling else "exact", NETWORK[2], signed).full()
    assert Account.recover_message(encode_typed_data(full_message=data), signature=signature) == signed["from"]
    assert signed["witness"]["to"] == PAY_TO
    assert signed["spender"] == SPENDERS["upto" if ceiling else "exact"]
    # Permit2 takes it in the second of its deadline, too.
    return int(signed["permitted"]["amount"]), int(signed["deadline"]) + 1, ceiling


def _hash(payment: Payment) -> str:
    return "0x" + hashlib.sha256(payment.nonce.encode()).hexdigest()
