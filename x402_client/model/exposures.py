"""The record of what a wallet's signatures and allowances could still take, beside its payments."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from .money import Money, Token
from .networks import short_name
from .offers import brief, line


@dataclass(frozen=True, slots=True, repr=False)
class Exposure:
    """An amount of a wallet's token that a contract may take, or could if a signature was used.

    Attributes:
        kind: ``"allowance"``: the chain has it, and it has no end. ``"permit"``: it was signed, and no chain has seen
            it yet; it dies at ``until``.
        token: The token, with its network.
        payer: The account whose money it is, in small letters.
        spender: The contract that may take it.
        amount: The most that it may take, in the token's smallest units. None: the chain could not be read.
        since: When a permit or a payment by it was first signed here. An allowance may be older. None: none was signed
            here, and somebody else made the allowance.
        until: When it ends. None: it does not end by itself.
        why: How it came about.
        todo: How it ends.
    """

    kind: Literal["allowance", "permit"]
    token: Token
    payer: str
    spender: str
    amount: int | None
    since: datetime | None
    until: datetime | None
    why: str
    todo: str

    @property
    def network(self) -> str:
        """Return the network, by its CAIP-2 name."""
        return self.token.network

    @property
    def price(self) -> Money | None:
        """Return the amount in money. None: the chain could not be read."""
        return None if self.amount is None else self.token.price(self.amount)

    @property
    def written(self) -> str:
        """Return the amount in whole tokens, for a person."""
        name = self.token.symbol or brief(self.token.address)
        if self.amount is None:
            return f"an unknown amount of {name}"
        amount = "an unlimited amount of" if self.amount >= UNLIMITED else self.token.whole(self.amount)
        return f"{amount} {name}"

    def __repr__(self) -> str:
        end = "no end" if self.until is None else f"until {self.until:%Y-%m-%d %H:%M} UTC"
        where = short_name(self.network)
        return line(f"<Exposure: {self.kind} of {self.written} on {where} to {brief(self.spender)}, {end}>")


#: Amounts from here on are written as "unlimited".
UNLIMITED = 2**159
