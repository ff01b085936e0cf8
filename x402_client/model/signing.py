"""The records of signing: the data to sign, the signed payload, and the question to an approver."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .allowances import called
from .money import Money
from .offers import Offer, line, words


@dataclass(frozen=True, slots=True)
class TypedData:
    """EIP-712 data to sign. The signature is over ``digest``.

    ``full`` builds the whole document, for wallets that show it.
    """

    digest: bytes
    full: Callable[[], dict[str, Any]] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Signed:
    """A scheme's result: the payload for the wire, and what identifies it.

    ``kind``, ``ceiling`` and ``proof`` are as in ``Authorization``. ``remark`` is told, for a person. ``extensions``
    are added to what the seller declared of these, by name.
    """

    payload: Mapping[str, Any] = field(repr=False)
    nonce: str
    payer: str
    expires: int
    evidence: Mapping[str, Any] = field(default_factory=dict, repr=False)
    kind: str = "transfer"
    ceiling: int | None = None
    proof: str = "nonce"
    remark: str = ""
    extensions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, repr=False)
class Approval:
    """The question that an approver is asked to agree to.

    Attributes:
        price: What it costs.
        offer: The offer that would be paid.
        method: The request's method.
        url: The URL that asks for money, without its query.
        host: The host that asks for money.
        description: The seller's words for what is sold.
        allowance: The name of the allowance that it would be paid under. None: it is under none.
        repeats: Why it is asked also below the threshold: the same request was bought too often. Else "".
    """

    price: Money
    offer: Offer
    method: str
    url: str
    host: str
    description: str
    allowance: str | None = None
    repeats: str = ""

    def __repr__(self) -> str:
        said = f', for "{words(self.description, 60)}"' if self.description else ""
        said += ", paid before delivery" if self.offer.upfront else ""
        said += f", under {called(words(self.allowance, 60), quoted=False)}" if self.allowance else ""
        said += f". {self.repeats}" if self.repeats else ""
        return line(f"<Approval of {self.price} for {words(self.method, 20)} {words(self.url, 60)}{said}>")
