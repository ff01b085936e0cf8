"""The oracles' Solana: slots that come with the true time, blockhashes, and payments by their memo."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from solders.hash import Hash
from solders.keypair import Keypair
from solders.message import MessageV0, to_bytes_versioned
from solders.transaction import VersionedTransaction

from x402_client.model.networks import SOLANA

from .clock import Clock

if TYPE_CHECKING:
    from .chain import Payment

NETWORK = SOLANA
USDC = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"
#: The keys of two wallets, and their addresses.
KEYS = tuple(Keypair.from_seed(bytes([number]) * 32) for number in (0x42, 0x43))
WALLETS = tuple(str(key.pubkey()) for key in KEYS)
PAY_TO, FEE_PAYER = (str(Keypair.from_seed(bytes([number]) * 32).pubkey()) for number in (1, 2))
GENESIS = "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d"
FOREIGN = "4uhcVJyU9pJkvQyS88uRDiswHXSCkY3zQawwpjk2NsNY"
_SLOT_SECONDS, _LIFE, _FINAL = 0.4, 150, 32
#: Slots without a block: a height is no slot.
_SKIPPED = 12_000_000


class Signed(NamedTuple):
    """What a buyer signed: the memo, who pays how much, and the true time from which on it can never land."""

    memo: str
    payer: str
    amount: int
    expires: float


def opened(transaction: str) -> Signed:
    """Read a payment as a facilitator does. One that is not good is a failure of the machine."""
    whole = VersionedTransaction.from_bytes(base64.b64decode(transaction, validate=True))
    message = whole.message
    assert isinstance(message, MessageV0)
    payer = message.account_keys[1]
    assert whole.signatures[1].verify(payer, to_bytes_versioned(message))
    assert str(payer) in WALLETS
    *_, transfer, memo = message.instructions
    amount = int.from_bytes(bytes(transfer.data)[1:9], "little")
    last = _slot_of(str(message.recent_blockhash)) + _LIFE
    return Signed(bytes(memo.data).decode(), str(payer), amount, (last + 1) * _SLOT_SECONDS)


class Slots:
    """The chain's own clock, as endpoints see it that are so many slots behind."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self.behind = clock, 0

    def begin(self, behind: int) -> None:
        """Begin a script."""
        self.behind = behind

    def newest(self) -> str:
        """Return the blockhash of this moment, which no endpoint that is behind has seen."""
        return _blockhash(self._now())

    def methods(self, payments: Callable[[], Iterable[Payment]], mood: str) -> dict[str, Callable[..., Any]]:
        """Return what an endpoint answers. A liar's chain is far ahead, and shows nothing that landed."""

        def bank(options: Any = None) -> int:
            final = (options or {}).get("commitment", "finalized") == "finalized"
            return self._now() - self.behind - (_FINAL if final else 0) + (100_000 if mood == "lies" else 0)

        def latest(options: Any = None) -> Any:
            value = {"blockhash": _blockhash(bank(options)), "lastValidBlockHeight": bank(options) - _SKIPPED + _LIFE}
            return {"context": {"slot": bank(options)}, "value": value}

        def landed(account: str, options: Any = None) -> list[dict[str, Any]]:
            if mood != "true" or "before" in (options or {}):
                return []
            found = [one for one in payments() if one.settled is not None and one.payer in WALLETS]
            seen = [(int((one.settled or 0) / _SLOT_SECONDS), one.nonce) for one in found]
            return [
                {"signature": memo, "slot": slot, "err": None, "memo": f"[{len(memo)}] {memo}"}
                for slot, memo in sorted(seen, reverse=True)
                if slot <= bank(options)
            ]

        return {
            "getGenesisHash": lambda: GENESIS,
            "getFirstAvailableBlock": lambda: 0,
            "getSlot": bank,
            "getBlockHeight": lambda options=None: bank(options) - _SKIPPED,
            "getBlockTime": lambda slot: int(slot * _SLOT_SECONDS),
            "getLatestBlockhash": latest,
            "isBlockhashValid": lambda name, options=None: {"value": 0 <= bank(options) - _slot_of(name) <= _LIFE},
            "getSignaturesForAddress": landed,
        }

    def _now(self) -> int:
        return int(self._clock.chain() / _SLOT_SECONDS)


def _blockhash(slot: int) -> str:
    return str(Hash(slot.to_bytes(32, "big")))


def _slot_of(name: str) -> int:
    return int.from_bytes(bytes(Hash.from_string(name)), "big")
