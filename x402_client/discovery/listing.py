"""``Listing``: one thing for sale, as a facilitator wrote it down, and what the policy made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from urllib.parse import urlsplit

from ..model.money import Money
from ..model.offers import Offer, line, words

Kind = Literal["http", "mcp"]


@dataclass(frozen=True, slots=True, repr=False)
class Listing:
    """One thing for sale, in the words of a stranger. The seller's own 402 decides what it costs and who is paid.

    Texts are one line each, bounded and printable. Do not let a model take them for instructions.

    Attributes:
        url: The URL that sells it. A part like ``:city`` stands for a value of yours where ``template`` is True.
        kind: ``"http"`` for an endpoint, ``"mcp"`` for a tool of an MCP server.
        method: The method to ask it with, or "" where the list does not say.
        tool: The name of the MCP tool, or "".
        name: The name of the service, in its own words, or "".
        description: The seller's words for what is sold, or "".
        tags: The seller's keywords.
        mime_type: The type of the answer, in the seller's words, or "".
        updated: When the list was last told of it. None: it does not say.
        offers: The ways to pay that were listed, each with its price and the reason against it.
        choice: The offer that would be paid if the seller asked for it now. None: none, or there was no policy.
            What is left of budgets and allowances was not looked at.
        refusal: The reason against the seller's host or its URL as a whole, or "".
        faults: Entries that could not be read, one line each.
        schema: The JSON Schema of its arguments, as far as the list says. Empty: it does not say.
        example: An example of its arguments, as the list has it.
        template: True if the URL has parts that stand for values.
        facilitator: The facilitator whose list it is from.
        version: The version of the protocol. None: it does not say.
    """

    url: str
    kind: Kind = "http"
    method: str = ""
    tool: str = ""
    name: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    mime_type: str = ""
    updated: datetime | None = None
    offers: tuple[Offer, ...] = ()
    choice: Offer | None = None
    refusal: str = ""
    faults: tuple[str, ...] = ()
    schema: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)
    example: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)
    template: bool = False
    facilitator: str = ""
    version: int | None = None

    @property
    def host(self) -> str:
        """Return the host that sells it."""
        return urlsplit(self.url).hostname or ""

    @property
    def price(self) -> Money | None:
        """Return what would be paid, else the lowest listed price, in the currency of the first that is known.

        It may be out of date.
        """
        if self.choice is not None:
            return self.choice.price
        known = [offer.price for offer in self.offers if offer.price is not None]
        alike = [price for price in known if price.currency == known[0].currency]
        return min(alike, default=None)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Return why it would not be paid, or why its other offers would not: one line each."""
        host = (self.refusal,) if self.refusal else ()
        refused = (f"offer {offer.position} ({offer}): {offer.reason}" for offer in self.offers if offer.reason)
        return (*host, *refused, *self.faults)

    def __repr__(self) -> str:
        price = "" if self.price is None else f", {self.price}"
        said = f', says "{words(self.description, 40)}"' if self.description else ""
        return line(f"<Listing {self.tool or self.method} {words(self.url, 70)}{price}{said}>".replace("  ", " "))
