"""The records of the ledger: purchases, holds, authorizations, outcomes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, Literal, NamedTuple

from ..errors import MoneyState
from .allowances import allowance_name, called
from .attempt import Attempt as Attempt
from .budgets import Cap
from .counts import counted
from .elsewhere import InParts
from .hosts import Origin
from .last_answers import LastAnswer as LastAnswer
from .money import Money
from .offers import Offer, Receipt, brief, line, words
from .spending import LedgerBusy as LedgerBusy
from .spending import Spending as Spending

#: "released" stands in errors and results alone: what was given back is gone from a ledger.
#: "signed_in" stands in outcomes alone: nothing was reserved, and the seller took a sign-in instead of a payment.
HoldState = Literal["reserved", "signed", "delivered", "written_off", "released", "signed_in"]
#: Seconds after a payment's expiry before a "not settled" counts that does not come from the chain itself.
MARGIN = 120
#: Presentations from which on one more, if the seller refuses it, will hardly bring the content.
OFTEN_PRESENTED = 4
#: The expiry of a signature that the chain never forgets: the last second that can be written as a date.
NEVER = 253_402_300_799
#: The kind of a signature that lets the seller take any amount up to a ceiling, once.
CEILING = "ceiling"
#: The kind of a ceiling of which the chain showed what was taken: nothing more can be.
CHARGED = "charged"
#: A reader's answer about a payment. "live": a chain's own clock is before the expiry, so it can still settle.
Settled = Literal["settled", "not_settled", "live", "unknown"]
#: The fate of a payment. "open": by our clock it can still settle. "early": it expired too recently for a proof that
#: it is unused. "one_says_not": it did not settle, by the word of a single witness. "one_says_charge": only a part of
#: its ceiling was taken, by such a word.
Fate = Literal["open", "early", "settled", "not_settled", "one_says_not", "one_says_charge", "live", "unknown"]


@dataclass(frozen=True, slots=True, repr=False)
class Purchase:
    """A purchase: what the caller asked for. The same request is the same one, unless the caller's key says otherwise.

    ``id`` and ``request`` are digests. URL queries, bodies and keys never leave the process that saw them. ``url`` and
    ``origin`` are those of the payee, which asked for money; redirects may have led there.
    """

    id: str
    request: str
    keyed: bool
    method: str
    url: str
    origin: Origin
    purse: str = "default"
    #: The accounts of the wallet that buys, as ``payer_name`` writes them. Empty: any.
    payers: tuple[str, ...] = field(default=(), compare=False)
    #: ``id`` and ``request`` as version 0.1 made them, if they differ. Older rows are found under these too.
    former: tuple[str, str] | None = field(default=None, compare=False, repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """Return every id under which a ledger may know this purchase, the present one first."""
        return (self.id,) if self.former is None or self.former[0] == self.id else (self.id, self.former[0])

    def __repr__(self) -> str:
        return line(f"<Purchase {self.id[:16]}: {_asked(self)}{', keyed' if self.keyed else ''}>")

    def is_request_of(self, known: Purchase) -> bool:
        """Return True if a purchase in a ledger stands for the same request as this one."""
        return known.request == self.request or (self.former is not None and known.request == self.former[1])

    def is_paid_by(self, payer: str) -> bool:
        """Return True if this wallet may present a hold of ``payer``. "" is a payer that was never noted.

        The rule: "an unresolved hold is claimed only if its payer is one of this wallet's addresses".
        """
        return not payer or not self.payers or payer in self.payers


def _asked(purchase: Purchase) -> str:
    return f"{words(purchase.method, 20)} {words(purchase.url, 60)}"


def payer_name(address: str) -> str:
    """Return the one spelling of an account that pays: addresses in hexadecimal are written in either case."""
    return address.lower() if address[:2] in ("0x", "0X") else address


@dataclass(frozen=True, slots=True, repr=False)
class Authorization:
    """The record of a signature that can move money. The header is worth money until it expires, so it is never shown.

    The rule: "kind, ceiling, what proves it used (a nonce, a bit, a channel), when the chain forgets it, or never".
    """

    nonce: str
    payer: str
    #: When the chain forgets the signature, in seconds since 1970; ``NEVER`` if it does not.
    expires: int
    header: tuple[str, str] = field(repr=False, compare=False)
    #: The facts by which a reader finds the payment on its chain. ``payment_id`` is in here where the seller promised
    #: to recognise the same payment by it. Nothing in here can be spent.
    evidence: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    #: What was signed: "transfer" moves exactly the offer's amount, "ceiling" any part of it, once.
    kind: str = "transfer"
    #: The most that it can move, in the token's smallest unit. None: the offer's amount.
    ceiling: int | None = None
    #: What shows on the chain that it was used: "nonce", "bit", "channel".
    proof: str = "nonce"

    def __repr__(self) -> str:
        until = "for ever" if self.expires >= NEVER else f"until {_time(self.expires)}"
        return line(f"<Authorization {brief(self.nonce)} by {brief(self.payer)}, {words(self.kind, 20)}, good {until}>")

    @property
    def shown(self) -> Authorization:
        """Return a copy without the header."""
        return Authorization(*_shown_facts(self), self.kind, self.ceiling, self.proof)

    def __reduce__(self) -> tuple[Any, ...]:
        nonce, payer, expires, header, evidence = _shown_facts(self)
        return (Authorization, (nonce, payer, expires, header, dict(evidence), self.kind, self.ceiling, self.proof))


def _shown_facts(signed: Authorization) -> tuple[str, str, int, tuple[str, str], Mapping[str, Any]]:
    return signed.nonce, signed.payer, signed.expires, ("", ""), signed.evidence


@dataclass(frozen=True, slots=True, repr=False)
class Hold:
    """Our reservation of budget for one purchase, with its state and its payment.

    Attributes:
        id: Its name in the ledger.
        purchase: What was asked for.
        offer: The offer that is paid.
        price: What it costs.
        created: When it was reserved, in seconds since 1970; 0.0 in the outcome of a sign-in.
        state: ``"reserved"``, ``"signed"``, ``"delivered"`` or ``"written_off"``. On errors and in what
            ``reconcile`` returns also ``"released"``: given back, and gone from the ledger. On the outcome of a sign-in
            ``"signed_in"``: no ledger has it, and its price is zero.
        money: What happened to the money.
        authorization: What was signed. None: nothing yet.
        receipt: The seller's receipt. None: none came.
        tries: The number of times that another attempt took it over.
        payer: The account that pays. An EVM address is in small letters; ``receipt.payer`` is as the seller wrote it,
            so compare its ``lower()``.
        last: The last answer that brought no content. None: there was none, or the ledger keeps none.
        in_flight: True while an attempt presents it, in a list of holds. None: this is not known.
        path: The accounts of the allowances in which it counts, from the root down. Empty: it is under none.
        used: The millionths that count in each of them, with this one, right after it was reserved. Empty: not known.
        charged: The most that was taken of a ceiling, as the chain shows, in the token's smallest units. None: unknown.
            A ledger keeps it in millionths, rounded up.
    """

    id: str
    purchase: Purchase
    offer: Offer
    price: Money
    created: float
    state: HoldState = "reserved"
    money: MoneyState = "held"
    authorization: Authorization | None = None
    receipt: Receipt | None = None
    tries: int = 0
    payer: str = ""
    last: LastAnswer | None = field(default=None, repr=False, compare=False)
    in_flight: bool | None = field(default=None, repr=False, compare=False)
    path: tuple[str, ...] = ()
    used: tuple[int, ...] = field(default=(), repr=False, compare=False)
    charged: int | None = field(default=None, repr=False, compare=False)

    def __repr__(self) -> str:
        state = self.state.replace("_", " ")
        when = "" if self.state == "signed_in" else f", {_time(self.created)}"
        facts = f"{self.price} for {_asked(self.purchase)}, {state}, money {self.money}{when}"
        facts += f", {called(words(self.allowance, 60), quoted=False)}" if self.allowance else ""
        return line(f"<Hold {words(self.id, 20)}: {facts}>")

    @property
    def nonce(self) -> str | None:
        """Return the value that identifies the payment on its chain, as it stands in the payment."""
        return self.authorization.nonce if self.authorization else None

    @property
    def is_ceiling(self) -> bool:
        """Return True if what was signed let the seller take any part of the offer's price, also if it took it."""
        return self.authorization is not None and self.authorization.kind in (CEILING, CHARGED)

    @property
    def is_open_ceiling(self) -> bool:
        """Return True for a ceiling of which the chain has not shown what was taken: any part of it may be, yet."""
        return self.authorization is not None and self.authorization.kind == CEILING

    @property
    def charge(self) -> Money | None:
        """Return the most that was taken of a ceiling, as the chain shows. None: not known."""
        if self.charged is not None:
            return _worth(self.offer, self.charged)
        return self.price if self.authorization is not None and self.authorization.kind == CHARGED else None

    @property
    def url(self) -> str:
        """Return the URL that asked for the payment, without its query."""
        return self.purchase.url

    @property
    def host(self) -> str:
        """Return the host that was connected to."""
        return self.purchase.origin.host

    @property
    def allowance(self) -> str | None:
        """Return the name of the allowance that it was made under. None: it was made under none."""
        return allowance_name(self.path[-1]) if self.path else None

    @property
    def shown(self) -> Hold:
        """Return a copy without the header that is worth money: for outcomes, errors and lists."""
        return self.shown_as() if self.authorization and self.authorization.header[1] else self

    def shown_as(self, **changes: Any) -> Hold:
        """Return a copy without that header and with ``changes`` made.

        Args:
            changes: Fields, with their new values.
        """
        signed = self.authorization and self.authorization.shown
        return self.but(authorization=signed, **changes)

    @property
    def told(self) -> Hold:
        """Return a copy with the ``money`` that the last error about it told. What is signed and silent is "unknown".

        For lists: a ledger itself says "held" of all that can settle yet.
        """
        if self.state != "signed" or self.money != "held":
            return self
        return self.but(money=self.last.money if self.last is not None else "unknown")

    def but(self, **changes: Any) -> Hold:
        """Return a copy with ``changes`` made.

        Args:
            changes: Fields, with their new values.
        """
        facts = list(_facts(self))
        for name, value in changes.items():
            facts[_PLACES[name]] = value
        return Hold(*facts)


def _worth(offer: Offer, amount: int) -> Money | None:
    return None if offer.token is None else offer.token.price(amount)


#: Faster than ``dataclasses.replace``, which takes several times as long: each payment changes its hold several times.
_PLACES = {name: place for place, name in enumerate(Hold.__slots__)}
_facts = attrgetter(*Hold.__slots__)


class Charge:
    """The most that was taken of a ceiling, as the chain shows. ``on_chain`` is None until it was looked at."""

    __slots__ = ("on_chain",)

    def __init__(self) -> None:
        self.on_chain: Money | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Outcome(InParts):
    """The outcome that a paid response carries: what happened to the money, and the seller's receipt.

    Attributes:
        money: ``"spent"``, ``"held"`` or ``"unknown"``; ``"untouched"`` where a sign-in was answered and nothing paid.
        hold: The reservation, with its nonce and its price, as it was when the answer began: ``"signed"``, also after
            the body was read. ``buyer.history()`` has it as ``"delivered"``.
        offer: The offer that was paid.
        receipt: The seller's receipt. None: none came, or it could not be read.
        mismatches: Disagreements between the receipt and what was signed, one line each.
        own_word: Takes the word of ``accept`` and ``reject``. None in a copy from another process.
        signed_in: The account that signed in to get this answer. "": none did, it was paid.
        looked: The place for the charge that the chain shows. None: a fixed price was paid.
        extensions: What a facilitator says about extensions of the protocol (EXTENSION-RESPONSES), as it came. Empty:
            it says nothing that could be read.
    """

    money: MoneyState
    hold: Hold
    offer: Offer
    receipt: Receipt | None = None
    mismatches: tuple[str, ...] = ()
    #: Takes the caller's own word: True for ``accept``. It stays in the process that paid.
    own_word: Callable[[bool], bool] | None = field(default=None, repr=False, compare=False)
    signed_in: str = ""
    looked: Charge | None = field(default=None, repr=False, compare=False)
    extensions: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)

    def __post_init__(self) -> None:
        """Make the hold say of the money what the outcome says: a ledger's own word for it comes before the answer."""
        if self.hold.money != self.money:
            object.__setattr__(self, "hold", self.hold.but(money=self.money))

    @property
    def ceiling(self) -> Money | None:
        """Return the most that the seller may take, where it says the price after its work. None: a fixed price."""
        return self.offer.price if self.looked is not None else None

    @property
    def claimed(self) -> Money | None:
        """Return what the receipt says was taken of a ceiling. None: it does not say. It proves nothing."""
        said = None if self.receipt is None else self.receipt.amount
        return None if said is None or self.looked is None else _worth(self.offer, said)

    @property
    def charged(self) -> Money | None:
        """Return the most that was taken of a ceiling, as the chain shows. None: it has not shown that yet.

        It is looked up in the background. ``buyer.reconcile()`` looks, too.
        """
        return None if self.looked is None else self.looked.on_chain

    def __repr__(self) -> str:
        doubts = f", {counted(len(self.mismatches), 'mismatch', 'mismatches')}" if self.mismatches else ""
        receipt = "no receipt" if self.receipt is None else repr(self.receipt)[1:-1]
        receipt = f"signed in as {brief(self.signed_in)}" if self.signed_in else receipt
        asked = _asked(self.hold.purchase) + (", paid before delivery" if self.offer.upfront else "")
        price = f"{self.hold.price}" if self.looked is None else f"up to {self.ceiling}"
        return line(f"<Outcome: money {self.money}, {price} for {asked}, {receipt}{doubts}>")

    def accept(self) -> bool:
        """Say that you have what you wanted: the purchase is resolved now, and nothing that follows changes that.

        The same request is a new purchase from here on. Return True if that is so now, also if it was so before. Return
        False if this is a copy from another process, or the outcome of an error: nothing is recorded then.
        """
        return self.own_word is not None and self.own_word(True)

    def reject(self) -> bool:
        """Say that you have not what you wanted: the purchase stays unresolved, however its answer ends.

        The same request presents the same payment. Return True if it stays unresolved. Return False if that is too
        late: the answer was read to its end or closed before. Return False too if this is a copy from another process.
        """
        return self.own_word is not None and self.own_word(False)

    def __reduce__(self) -> tuple[Any, ...]:
        told = (self.money, self.hold, self.offer, self.receipt, self.mismatches)
        more = self.signed_in or self.looked is not None or self.extensions
        rest = (None, self.signed_in, self.looked, dict(self.extensions))
        return (Outcome, (*told, *rest) if more else told)


class Order(NamedTuple):
    """An order to the ledger: reserve this price for this purchase, under every cap that it has to fit."""

    purchase: Purchase
    offer: Offer
    price: Money
    caps: tuple[Cap, ...]
    #: The account that will pay, as ``payer_name`` writes it.
    payer: str = ""
    #: The accounts of the allowances in which it counts, from the root down.
    path: tuple[str, ...] = ()
    #: What was signed already. A new hold is recorded with it at once. A ledger may leave that to ``record``.
    signed: Authorization | None = None


class Busy(NamedTuple):
    """The ledger's answer while another attempt under the same key is running."""

    hold: Hold


def _time(seconds: float) -> str:
    return f"{moment(seconds):%Y-%m-%d %H:%M} UTC"


def moment(seconds: float | None) -> datetime | None:
    """Return seconds since 1970 as a ``datetime`` in UTC. None stays None."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
