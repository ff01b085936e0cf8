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
    "Anybody may know these keys: they are a sandbox's or a development tool's. Never send them real money: it can be "
    "taken by others."
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
    usual = [named[family] for named in (_TEST, _REAL) for family in owners if family in named]
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
    """Return True if anybody may know a key of this wallet."""
    return any(is_play_signer(wallet.signer(family)) for family in wallet.addresses)


def play_warning() -> str:
    """Return the sentence for a wallet that must never get real money."""
    return _PLAY


def advice(found: Sequence[Place], name: str) -> Iterator[tuple[str, str]]:
    """Give the lines of advice, each with its style."""
    real, test = [p for p in found if not p.test_money], [p for p in found if p.test_money]
    if test:
        yield f"Try it with test money first. It is free: ask {FAUCET} for USDC:", "bold"
        yield from _lines(test)
    if real:
        to = "to one of these" if len(real) > 1 else "here"
        yield f"To pay with real money, send {AMOUNT} USDC {to}:", "bold"
        yield from _lines(real)
        yield "Send no more than you can afford to lose.", ""
        yield "No coins for fees are needed: sellers pay those.", ""
        yield "`x402 tokens` lists other networks, and each contract.", ""
    yield from next_commands(name)


#: What leads from a wallet with money in it to the first payment.
_NEXT = (
    ("policy init", "  (writes a file of limits; without one: 0.10 USD a request, 5 USD a day)"),
    ("quote URL", "  (asks the price, and pays nothing)"),
    ("doctor URL", "  (examines a seller, and pays nothing)"),
    ("get URL", ""),
)


def next_commands(name: str) -> Iterator[tuple[str, str]]:
    """Give the commands for a wallet that has money in it, each with its style."""
    named = "" if name in ("", "default") else f" {name}"
    yield "Then:", "bold"
    yield f"  x402 wallet balance{named}", ""
    for command, does in _NEXT:
        yield f"  x402 {command}{f' --wallet{named}' if named and command != 'policy init' else ''}{does}", ""


def _lines(found: Sequence[Place]) -> Iterator[tuple[str, str]]:
    for place in found:
        yield f"  {place.owner}", "green"
        yield f"    on {network_name(place.token.network)}", ""
