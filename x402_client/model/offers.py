"""Our words for what the wire carries: Quote, Offer, Receipt."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from .counts import counted
from .money import Money, Token
from .networks import caip2, short_name
from .statements import Statement

if TYPE_CHECKING:
    from ..errors import X402Error


@dataclass(frozen=True, slots=True, repr=False)
class Offer:
    """One way to pay that the server named, and what the policy made of it.

    Attributes:
        position: Its place among the seller's offers, from 1.
        version: The version of the protocol it was made in.
        scheme: The payment scheme, as in ``exact``.
        network: The network, by its CAIP-2 name.
        amount: The amount in the token's smallest units.
        asset: The token, as the seller wrote it.
        pay_to: The address to pay.
        timeout: The seconds that the seller gives a payment. None: it did not say.
        token: The token as we know it. None: not known, or not judged yet.
        price: What it costs, in money. None: not known, or not judged yet.
        reason: The reason against it. None: it was chosen, or not judged yet.
        written_network: The network, as the seller wrote it.
        extra: Further facts that a scheme needs.
        raw: The whole entry, as it came.
        signed: The seller's own signature on these terms (offer-receipt), with what it is worth. None: there is none.
        sponsoring: The ways in which the seller pays the gas of an approval to Permit2, by extension, as it wrote them.
    """

    position: int
    version: int
    scheme: str
    network: str
    amount: int
    asset: str
    pay_to: str
    timeout: int | None = None
    token: Token | None = None
    price: Money | None = None
    reason: str | None = None
    written_network: str = field(default="", repr=False)
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)
    signed: Statement | None = field(default=None, repr=False, compare=False)
    sponsoring: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)

    def but(self, **changes: Any) -> Offer:
        """Return a copy with ``changes`` made.

        Args:
            changes: Fields, with their new values.
        """
        return Offer(**dict(zip(_FACTS, _facts(self), strict=True), **changes))

    def judged(self, token: Token | None, price: Money | None, reason: str | None) -> Offer:
        """Return a copy with token, price and reason set. Hot path: called once per offer.

        Args:
            token: The token as we know it.
            price: What it costs.
            reason: The reason against it. None: there is none.
        """
        return Offer(
            self.position, self.version, self.scheme, self.network, self.amount, self.asset, self.pay_to, self.timeout,
            token, price, reason, self.written_network, self.extra, self.raw, self.signed, self.sponsoring,
        )  # fmt: skip

    @property
    def upfront(self) -> bool:
        """Return True if the seller takes the money before it does its work, and not after it."""
        return bool(self.extra.get("paymentFlow") == "upfront")

    @property
    def is_ceiling(self) -> bool:
        """Return True if the amount is a ceiling: the seller says after its work how much of it is taken."""
        return self.scheme == "upto"

    @property
    def by_permit2(self) -> bool:
        """Return True if it is paid through Permit2, from an allowance that the owner gave it before."""
        return self.is_ceiling or self.extra.get("assetTransferMethod") == "permit2"

    def __repr__(self) -> str:
        reason = "" if self.reason is None else f", not chosen: {words(self.reason, _LINE)}"
        return line(f"<Offer {self.position}: {self} to {brief(self.pay_to)}{reason}>")

    def __str__(self) -> str:
        cost = (
            str(self.price) if self.price is not None else f"{counted(self.amount, 'unit')} of {term(self.asset, 60)}"
        )
        cost = f"up to {cost}" if self.is_ceiling else cost
        when = ", paid before delivery" if self.upfront else ""
        return f"{term(self.scheme, 40)} on {term(short_name(self.network), 60)}, {cost}{when}"


_FACTS = Offer.__slots__
_facts = attrgetter(*_FACTS)


@dataclass(frozen=True, slots=True, repr=False)
class SignIn:
    """A challenge of sign-in-with-x: a text about this seller that a wallet may sign instead of paying.

    Attributes:
        domain: The host that it names.
        uri: The URL that it names.
        nonce: The seller's value that makes it good for one use.
        issued: When it was made, as the seller wrote it.
        expires: When it ends, as the seller wrote it, or "".
        not_before: When it begins, as the seller wrote it, or "".
        statement: The seller's words in it, or "".
        request_id: The seller's name for the request, or "".
        resources: The URLs that it lists.
        networks: The chains whose accounts may sign in, by their CAIP-2 names.
        reason: Why it is not signed. None: it would be, before anything is paid; or it was not judged yet.
    """

    domain: str = ""
    uri: str = field(default="", repr=False)
    nonce: str = field(default="", repr=False)
    issued: str = ""
    expires: str = ""
    not_before: str = ""
    statement: str = ""
    request_id: str = field(default="", repr=False)
    resources: tuple[str, ...] = field(default=(), repr=False)
    networks: tuple[str, ...] = ()
    reason: str | None = None

    def refused(self, reason: str | None) -> SignIn:
        """Return the same challenge with this reason against it.

        Args:
            reason: Why it is not signed. None: it would be.
        """
        return replace(self, reason=reason)

    def __repr__(self) -> str:
        on = ", ".join(words(short_name(one), 40) for one in self.networks[:3])
        why = "" if self.reason is None else f", not signed: {words(self.reason, 120)}"
        return line(f"<SignIn {words(self.domain, 60)} on {on}{why}>")


@dataclass(frozen=True, slots=True, repr=False)
class Quote:
    """The whole 402, read. An answer that asked for no payment gives a quote without offers.

    Attributes:
        url: The URL that was asked.
        status: The status of the answer.
        version: The version of the protocol. None: it asked for no payment.
        offers: The ways to pay, each with its price and its reason.
        faults: Entries that could not be read, one line each.
        choice: The offer that would be paid. None: none of them.
        description: The seller's words for what is sold.
        error: The seller's words about the 402, or those of a tool that failed without asking for a payment.
        resource: The thing that is sold, as the seller wrote it.
        extensions: The protocol's extensions that the seller named.
        brief: True if the terms are short enough to be kept, in case the same are offered again.
        size: The bytes of terms that are longer, of which some are kept. 0: they are brief, or none are kept.
        request: A digest of the request, without its body. ``purchase(quote=...)`` pays no other one.
        unresolved: The id of an unresolved payment for the same request, as in ``buyer.holds()``. That payment would be
            presented again, unless ``refusal`` says that nothing is, and no offer paid. Default: there is none.
        in_flight: The ids of payments that other calls of the same request are making at this moment. A further call
            would be a purchase of its own. Default: there are none.
        sign_in: The challenge of sign-in-with-x, which may open what was bought before without a payment. None: the
            seller makes none.
        contradiction: How a signed offer in it contradicts the rest, so that none of it is paid. "": none does.
        refusal: The error that paying would raise at this moment: a limit that is used up, a freeze, a pause, a key in
            use, a host that is not paid, no offer that is acceptable; or that an unresolved payment would raise, which
            a freeze or the policy keeps from being presented. None: none would, a sign-in comes first, or the ledger
            could not be asked.
        asks_approval: True if ``Buyer(approve=...)`` would be asked before the choice is paid.
    """

    url: str
    status: int = 402
    version: int | None = None
    offers: tuple[Offer, ...] = ()
    #: Entries that could not be read, one line each.
    faults: tuple[str, ...] = ()
    choice: Offer | None = None
    description: str = ""
    error: str = ""
    resource: Mapping[str, Any] | None = field(default=None, repr=False, hash=False)
    extensions: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)
    #: True if the terms are short enough to be kept, in case the same are offered again.
    brief: bool = field(default=True, repr=False, compare=False)
    #: The bytes of terms that are longer, of which some are kept. 0: they are brief, or none are kept.
    size: int = field(default=0, repr=False, compare=False)
    #: A digest of the request that was asked about, without its body. ``purchase(quote=...)`` pays no other one.
    request: str = field(default="", repr=False, compare=False)
    #: The id of an unresolved payment for the same request. It would be presented again, and no offer paid.
    unresolved: str = field(default="", compare=False)
    #: The ids of payments that other calls of the same request are making at this moment.
    in_flight: tuple[str, ...] = field(default=(), compare=False)
    #: The challenge of sign-in-with-x. With it, a quote may be without offers: then it opens by a signature alone.
    sign_in: SignIn | None = None
    #: How a signed offer contradicts the rest. Such a 402 was changed on its way, and none of it is paid.
    contradiction: str = ""
    #: The error that paying, or presenting the unresolved payment, would raise at this moment.
    refusal: X402Error | None = field(default=None, repr=False, compare=False)
    #: True if an approver would be asked before the choice is paid.
    asks_approval: bool = field(default=False, repr=False, compare=False)

    @property
    def free(self) -> bool:
        """Return True if the server succeeded without asking for a payment. An error or a redirect is not free."""
        return 200 <= self.status < 300

    @property
    def reasons(self) -> tuple[str, ...]:
        """Return the reason against each offer that was not chosen, one line each.

        Unreadable entries come after these, and the reason against a sign-in comes last.
        """
        refused = (f"offer {o.position} ({o}): {o.reason}" for o in self.offers if o.reason)
        signs = () if self.sign_in is None or self.sign_in.reason is None else (f"sign-in: {self.sign_in.reason}",)
        return (*refused, *self.faults, *signs)

    def __repr__(self) -> str:
        offers = counted(len(self.offers), "offer")
        if self.status != 402:
            said = f" ({quoted(self.error, 60)})" if self.error else ""
            found = "free" if self.free else f"it answered {self.status}{said} and asked for no payment"
            return line(f"<Quote of {words(self.url, 60)}: {found}>")
        found = f"{offers}, {f'chosen: {self.choice}' if self.choice else 'none acceptable'}"
        if self.sign_in is not None:
            found += f", sign-in {'first' if self.sign_in.reason is None else 'not signed'}"
        if self.unresolved:
            again = " and would be presented again" if self.refusal is None else ""
            found = f"{offers}; payment {brief(self.unresolved)} is unresolved{again}"
        if self.refusal is not None:
            found += f"; refused now: {type(self.refusal).__name__}"
        if self.asks_approval:
            found += "; the approver is asked first"
        if self.in_flight:
            found += f"; in flight for the same request: {len(self.in_flight)}"
        return line(f"<Quote of {words(self.url, 60)}: {found}>")


@dataclass(frozen=True, slots=True, repr=False)
class Receipt:
    """The seller's claim about the settlement, in its own words. ``outcome.money`` tells what they are worth.

    Attributes:
        success: True if the seller says that the payment settled.
        transaction: The transaction on the chain, or "".
        network: The network, as the seller wrote it, or "".
        payer: The account that paid. None: it does not say.
        amount: The amount in the token's smallest units. None: it does not say.
        error: The seller's reason for a no, or "".
        raw: The whole receipt, as it came.
        signed: The receipt that the seller signed (offer-receipt), with what it is worth. None: it signed none.
    """

    success: bool
    transaction: str = ""
    network: str = ""
    payer: str | None = None
    amount: int | None = None
    error: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)
    signed: Statement | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        if not self.success:
            return line(f'<Receipt not settled: "{words(self.error, _LINE)}">')
        network = f" on {words(short_name(caip2(self.network) or self.network), 40)}" if self.network else ""
        return line(f"<Receipt settled: {brief(self.transaction) or 'no transaction named'}{network}>")


#: The most characters of the repr of an object: it fits on two lines of a terminal.
_LINE = 160
#: What a name of a network, a scheme, a token or an account looks like. It has room for no sentence.
_NAME = re.compile(r"[A-Za-z0-9:/.-]+", re.ASCII)


def line(shown: str) -> str:
    """Return a repr cut to the length of two lines of a terminal. The last character stays."""
    return shown if len(shown) <= _LINE else f"{shown[: _LINE - 2]}…{shown[-1]}"


def brief(text: object) -> str:
    """Return an address, a transaction or a nonce by its beginning and its end."""
    shown = text if isinstance(text, str) else ""
    return words(shown if len(shown) <= 20 else f"{shown[:8]}…{shown[-6:]}", 20)


def quoted(text: object, limit: int) -> str:
    """Return a seller's text in quotes that it cannot close, so that it does not read as ours."""
    shown = words(text, limit).replace("'", "’")
    return f"'{shown}'"


def term(text: object, limit: int) -> str:
    """Return a name that a seller wrote, such as a network's: as it is if it looks like one, else in quotes."""
    shown = words(text, limit)
    return shown if _NAME.fullmatch(shown.removesuffix("…")) else quoted(text, limit)


def words(text: object, limit: int) -> str:
    """Return a seller's text made safe to show, at most ``limit`` characters long.

    It is one line, printable, and without the quotes that we put around it.
    """
    if not isinstance(text, str):
        return ""
    shown = text[: limit + 1].replace('"', "'")
    if not shown.isprintable():
        shown = "".join(c if c.isprintable() else " " for c in shown)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"
