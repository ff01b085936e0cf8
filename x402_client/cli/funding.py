"""Says how a wallet gets its money: which address, which network and token, how much, and what comes next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..buyer.wallet import Wallet
from ..chains.tokens import Tokens
from ..model.money import Token
from ..model.networks import EVM_FAMILY, SOLANA_FAMILY, family_of, short_name
from ..signers.play_keys import is_play_signer, takes_play_keys
from .exits import Code
from .money_labels import network_name
from .network_names import network_named
from .running import Stop

FAUCET = "https://faucet.circle.com"
AMOUNT = "1 to 5"
#: The networks that are named to begin with: real money and test money, for each family of keys.
_REAL = {EVM_FAMILY: "base", SOLANA_FAMILY: "solana"}
_TEST = {EVM_FAMILY: "base-sepolia", SOLANA_FAMILY: "solana-devnet"}
_PLAY = (
    "These are throw-away keys of a sandbox, with invented money on them. Never send them real money: anybody who has "
    "the sandbox's settings can take it."
)


@dataclass(frozen=True, slots=True)
class Place:
    """A place to send money to: our account, and the token that it takes there."""

    token: Token
    owner: str

    @property
    def test_money(self) -> bool:
        """Return True if the money there is worth nothing."""
        return takes_play_keys(self.token.network)

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "network": self.token.network,
            "network_name": short_name(self.token.network),
            "token": self.token.symbol,
            "asset": self.token.address,
            "address": self.owner,
            "test_money": self.test_money,
            "faucet": FAUCET if self.test_money else None,
            "amount": AMOUNT,
        }


def places(owners: dict[str, str], names: Sequence[str] = ()) -> list[Place]:
    """Return where to send money: on the networks that are named, else on the usual ones of each family."""
    usual = [named[family] for named in (_REAL, _TEST) for family in owners if family in named]
    return [_place(owners, name) for name in names or usual]


def _place(owners: dict[str, str], name: str) -> Place:
    token = Tokens().find(network_named(name), "USDC")
    if token is None:
        raise Stop(Code.USAGE, f"No USDC is known on {name!r}; `x402 tokens` lists the networks that have some.")
    owner = owners.get(family_of(token.network))
    if owner is None:
        raise Stop(Code.USAGE, f"This wallet has no key for {name}; `x402 wallet new NAME` makes one for every chain.")
    return Place(token, owner)


def is_play_wallet(wallet: Wallet) -> bool:
    """Return True if a key of this wallet was made by a sandbox."""
    return any(is_play_signer(wallet.signer(family)) for family in wallet.addresses)


def play_warning() -> str:
    """Return the sentence for a wallet that must never get real money."""
    return _PLAY


def advice(found: Sequence[Place], name: str) -> Iterator[tuple[str, str]]:
    """Give the lines of advice, each with its style."""
    real, test = [p for p in found if not p.test_money], [p for p in found if p.test_money]
    if real:
        to = "to one of these" if len(real) > 1 else "here"
        yield f"To pay with real money, send {AMOUNT} USDC {to}:", "bold"
        yield from _lines(real)
        yield "Send no more than you can afford to lose.", ""
        yield "No coins for fees are needed: sellers pay those.", ""
        yield "`x402 tokens` lists other networks, and each contract.", ""
    if test:
        yield f"Test money is free: ask {FAUCET} for USDC:", "bold"
        yield from _lines(test)
    yield from next_commands(name)


def next_commands(name: str) -> Iterator[tuple[str, str]]:
    """Give the commands for a wallet that has money in it, each with its style."""
    named = "" if name in ("", "default") else f" {name}"
    yield "Then:", "bold"
    yield f"  x402 wallet balance{named}", ""
    yield f"  x402 get URL{f' --wallet{named}' if named else ''}", ""


def _lines(found: Sequence[Place]) -> Iterator[tuple[str, str]]:
    for place in found:
        yield f"  {place.owner}", "green"
        yield f"    on {network_name(place.token.network)}", ""
