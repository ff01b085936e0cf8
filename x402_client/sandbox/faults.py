"""Faults that can be ordered, each with the buyer's reaction to it. The tests try every one."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from ..chains.evm import ZERO
from .answers import Answer, Manner, page, redirect, sealed, silence
from .play_money import EVM
from .terms import RECEIPT

if TYPE_CHECKING:
    from .sale import Sale

Offer = dict[str, Any]
_BOMB = 32 * 1024 * 1024
_TEN_YEARS = 315_360_000


@dataclass(frozen=True, slots=True)
class Fault:
    """Fault of the seller. Exactly one of ``terms``, ``ask`` and ``pay`` is set, and causes it.

    Attributes:
        name: Its name, for orders and URLs.
        does: What the seller does.
        outcome: The reaction of ``x402_client``.
        terms: Alters each offer of the 402.
        ask: Answers a request without payment, instead of the 402.
        pay: Answers a payment, when it is first presented.
        sticky: True if it happens each time that a payment is presented, not only the first time.
    """

    name: str
    does: str
    outcome: str
    terms: Callable[[Offer], Offer] | None = None
    ask: Callable[[Sale], Answer] | None = None
    pay: Callable[[Sale], Answer] | None = None
    sticky: bool = False

    @property
    def on_payment(self) -> bool:
        """Return True if it happens when a payment arrives, and not when the price is asked."""
        return self.pay is not None


def _pays(name: str, does: str, outcome: str, pay: Callable[[Sale], Answer], sticky: bool = False) -> Fault:
    return Fault(name, does, outcome, pay=pay, sticky=sticky)


def _settled(end: Callable[[Sale], Answer]) -> Callable[[Sale], Answer]:
    """Return a function that settles the payment and then answers with ``end``. A bad payment is refused as usual."""

    def pay(sale: Sale) -> Answer:
        problem = sale.settle()
        return sale.refuse(problem) if problem else end(sale)

    return pay


def _work_fails(status: int) -> Callable[[Sale], Answer]:
    """Return a function for a seller that was paid upfront, and whose own work then ends with ``status``."""
    return _settled(lambda sale: page("Something failed.", status, {RECEIPT[sale.version]: sealed(sale.receipt())}))


def _silent(manner: Manner) -> Callable[[Sale], Answer]:
    return lambda sale: silence(manner)


def _error(status: int) -> Callable[[Sale], Answer]:
    return lambda sale: page("Something failed.", status)


def _refused(reason: str) -> Callable[[Sale], Answer]:
    return lambda sale: sale.refuse(reason)


def _dearer(sale: Sale) -> Answer:
    return sale.refuse("the price has risen", twice=True)


def _receipt_text(text: str | None) -> Callable[[Sale], Answer]:
    return lambda sale: sale.deliver(receipt_text=text)


def _receipt(**changes: Any) -> Callable[[Sale], Answer]:
    return _settled(lambda sale: sale.deliver(receipt={**sale.receipt(), **changes}))


def _with_manner(manner: Manner) -> Callable[[Sale], Answer]:
    def end(sale: Sale) -> Answer:
        whole = sale.deliver()
        return Answer(whole.status, whole.body, whole.headers, manner)

    return _settled(end)


def _slow(sale: Sale) -> Answer:
    whole = sale.deliver()
    return Answer(whole.status, whole.body, whole.headers, wait=sale.slow)


def _other_payer(sale: Sale) -> Answer:
    stranger = "0x" + "5" * 40 if sale.network == EVM else "SysvarC1ock11111111111111111111111111111111"
    return sale.deliver(receipt={**sale.receipt(), "payer": stranger})


def _late_charge(sale: Sale) -> Answer:
    """Deliver with a charge of zero, and settle the same payment for the whole ceiling."""
    problem = sale.problem()
    if problem:
        return sale.refuse(problem)
    answer = sale.deliver(receipt=sale.pretend(0, ""))
    sale.take_all()
    return answer


def _wrong_charge(sale: Sale) -> Answer:
    problem = sale.problem()
    if problem:
        return sale.refuse(problem)
    sale.take_all()
    return sale.deliver(receipt=sale.pretend(1, "0x" + "12" * 32))


def _permit_alone(sale: Sale) -> Answer:
    sale.execute_permit()
    return page("Something failed.", 500)


def _bomb(sale: Sale) -> Answer:
    return Answer(402, _compressed(), {"Content-Type": "application/json", "Content-Encoding": "gzip"})


@cache
def _compressed() -> bytes:
    return gzip.compress(b'{"x402Version": 1, "accepts": [' + b" " * _BOMB, 6)


def _dripped(sale: Sale) -> Answer:
    whole = sale.ask()
    return Answer(whole.status, whole.body, whole.headers, "endless")


def _domain(offer: Offer) -> Offer:
    return {**offer, "extra": {**offer["extra"], "name": "Dollar of somebody else", "version": "9"}}


def _other_token(offer: Offer) -> Offer:
    other = "0x" + "6" * 40 if offer["asset"].startswith("0x") else "So11111111111111111111111111111111111111112"
    return {**offer, "asset": other}


def _lookalike(offer: Offer) -> Offer:
    """Change the last character of the address, and nothing else."""
    last = "2" if offer["asset"][-1] != "2" else "3"
    return {**offer, "asset": offer["asset"][:-1] + last}


def _to_zero(offer: Offer) -> Offer:
    return {**offer, "payTo": ZERO if offer["payTo"].startswith("0x") else "1" * 32}


def _no_facilitator(offer: Offer) -> Offer:
    return {**offer, "extra": {**offer["extra"], "facilitatorAddress": ZERO}}


def _another_spender(offer: Offer) -> Offer:
    return {**offer, "extra": {**offer["extra"], "spender": "0x" + "6" * 40}}


def _barter(offer: Offer) -> Offer:
    return {**offer, "scheme": "barter"}


def _priced(amount: str) -> Callable[[Offer], Offer]:
    return lambda offer: {**offer, **{n: amount for n in ("amount", "maxAmountRequired") if n in offer}}


def _challenges(**changes: Any) -> Callable[[Sale], Answer]:
    """Return a function that asks with a sign-in challenge, of which some fields are others."""
    return lambda sale: sale.ask(challenge=lambda info: {**info, **changes})


def _signs_offers(alter: Any = None, forged: bool = False) -> Callable[[Sale], Answer]:
    """Return a function that asks with signed offers that are altered, or whose signature fits no key."""
    return lambda sale: sale.ask(signs=lambda accepts: sale.signed_offers(accepts, alter, forged))


def _signs_receipt(alter: Any = None, forged: bool = False) -> Callable[[Sale], Answer]:
    return _settled(lambda sale: sale.deliver(receipt=sale.signed_receipt(sale.receipt(), alter, forged)))


_PAYS = "paid each time, and no sign-in is signed"
_TAMPERED = "NoAcceptableOffer, nothing signed; paid once by version 1, which has no signed offers"
_ABOUT_TERMS = (
    Fault("wrong-token", "asks for an unknown token", "NoAcceptableOffer, nothing signed", terms=_other_token),
    Fault("swapped-token", "asks for a false copy of the token", "NoAcceptableOffer, nothing signed", terms=_lookalike),
    Fault("pay-to-zero", "asks to pay the zero address", "NoAcceptableOffer, nothing signed", terms=_to_zero),
    Fault(
        "forged-domain",
        "names another EIP-712 domain for the token",
        "paid once under the token's own domain, with a warning",
        terms=_domain,
    ),
    Fault(
        "ten-year-validity",
        "asks for a payment that is valid for ten years",
        "paid once, valid for ten minutes at most",
        terms=lambda offer: {**offer, "maxTimeoutSeconds": _TEN_YEARS},
    ),
    Fault("price-over-limit", "asks for a million", "TooExpensive, nothing signed", terms=_priced("1000000000000")),
    Fault(
        "facilitator-zero",
        "names the zero address as the facilitator of a ceiling",
        "NoAcceptableOffer for a ceiling, nothing signed; paid once where the price is fixed",
        terms=_no_facilitator,
    ),
    Fault(
        "another-spender",
        "asks for another contract as Permit2's spender",
        "NoAcceptableOffer by Permit2, nothing signed; paid once in other ways",
        terms=_another_spender,
    ),
    Fault(
        "unlimited-approval",
        "asks for a permit of an unlimited amount",
        "NoAcceptableOffer by Permit2, nothing signed; paid once in other ways",
        ask=lambda sale: sale.ask(permit={"amount": str(2**256 - 1)}),
    ),
    Fault(
        "permit-to-another",
        "asks for a permit to another contract than Permit2",
        "NoAcceptableOffer by Permit2, nothing signed; paid once in other ways",
        ask=lambda sale: sale.ask(permit={"spender": "0x" + "6" * 40}),
    ),
    Fault("unknown-scheme", "asks for another scheme", "NoAcceptableOffer, nothing signed", terms=_barter),
    Fault(
        "garbage-402",
        "a 402 whose terms cannot be read",
        "MalformedQuote, nothing signed",
        ask=lambda sale: page('{"x402Version": 2, "accepts": [', 402, {"PAYMENT-REQUIRED": "%%% not base64 %%%"}),
    ),
    Fault(
        "version-3",
        "a 402 of a later version",
        "UnsupportedVersion, nothing signed",
        ask=lambda sale: page({"x402Version": 3, "accepts": [{}]}, 402),
    ),
    Fault("not-x402", "a 402 that is not about x402", "the 402 itself", ask=lambda sale: page("Pay your bill.", 402)),
    Fault("dripped-402", "a 402 that never ends", "MalformedQuote after a bounded time, nothing signed", ask=_dripped),
    Fault("gzip-bomb-402", "a 402 of 32 MiB in 32 KiB", "the 402 itself, unread", ask=_bomb),
    Fault(
        "sign-in-foreign-domain",
        "asks for a sign-in at another host",
        _PAYS,
        ask=_challenges(domain="bank.example", uri="https://bank.example/", resources=[]),
    ),
    Fault(
        "sign-in-expired",
        "asks for a sign-in that is over",
        _PAYS,
        ask=_challenges(issuedAt="2020-01-01T00:00:00Z", expirationTime="2020-01-01T00:05:00Z"),
    ),
    Fault(
        "sign-in-line-break",
        "hides further lines in the words of a sign-in",
        _PAYS,
        ask=_challenges(statement="Sign in.\n\nURI: https://bank.example"),
    ),
    Fault(
        "sign-in-used-challenge",
        "asks for the same sign-in each time",
        "paid once, and one sign-in at most",
        ask=_challenges(nonce="0123456789abcdef0123456789abcdef"),
    ),
    Fault(
        "sign-in-refused",
        "asks for a payment again after each sign-in",
        "paid each time, after one sign-in",
        ask=_challenges(),
    ),
    Fault(
        "offer-contradicts",
        "signs an offer for another payee than that of its terms",
        _TAMPERED,
        ask=_signs_offers(lambda said: {**said, "payTo": "0x" + "5" * 40}),
    ),
    Fault("offer-forged", "has an offer whose signature fits no key", _TAMPERED, ask=_signs_offers(forged=True)),
    Fault(
        "redirect-before-paying",
        "redirects on this host before asking",
        "paid once, where the redirect leads",
        ask=lambda sale: redirect(sale.plain_path, 307),
    ),
    Fault(
        "redirect-to-another-host",
        "redirects to another host before asking",
        "HostNotAllowed unless the policy lists that host",
        ask=lambda sale: redirect(sale.elsewhere + sale.plain_path, 307),
    ),
)

_AGAIN = "the same request again presents the same payment"
_UNKNOWN = f"PaymentOutcomeUnknown while no answer comes; {_AGAIN}"
_REJECTED = f"PaymentRejected while it is refused; {_AGAIN}"
_ERROR = f"the error page while nothing better comes; {_AGAIN}"
_DOUBTED = "delivered, with .money unknown"
_OWN = "settles and delivers; the receipt"

_ABOUT_PAYMENTS = (
    _pays("drop-before-settling", "closes the connection, settles nothing", _UNKNOWN, _silent("dropped")),
    _pays("drop-after-settling", "settles, then closes the connection", _UNKNOWN, _settled(_silent("dropped"))),
    _pays("reset-before-settling", "resets the connection, settles nothing", _UNKNOWN, _silent("reset")),
    _pays("reset-after-settling", "settles, then resets the connection", _UNKNOWN, _settled(_silent("reset"))),
    _pays("hang-before-settling", "never answers, settles nothing", _UNKNOWN, _silent("silent")),
    _pays("hang-after-settling", "settles, then never answers", _UNKNOWN, _settled(_silent("silent"))),
    _pays("slow", "settles, and takes its time to answer", "paid once", _settled(_slow)),
    _pays(
        "permit-without-payment",
        "submits the permit that comes along, takes nothing, and answers 500",
        f"{_ERROR}, and buyer.exposures() shows the allowance that is left",
        _permit_alone,
    ),
    _pays("error-before-settling", "500, settles nothing", _ERROR, _error(500)),
    _pays("error-after-settling", "settles, then 502", _ERROR, _settled(_error(502))),
    _pays(
        "work-fails", "settles, then 500 with the receipt", f"the error page, .money spent; {_AGAIN}", _work_fails(500)
    ),
    _pays("work-says-no", "settles, then 409", _ERROR, _settled(_error(409))),
    _pays("402-again", "402 with the same terms, settles nothing", _REJECTED, _refused("facilitator_unavailable")),
    _pays("402-after-settling", "settles, then 402", _REJECTED, _settled(_refused("settlement_timeout"))),
    _pays("price-rises-after-settling", "settles, then 402 with twice the price", _REJECTED, _settled(_dearer)),
    _pays("price-rises", "402 with twice the price, settles nothing", _REJECTED, _dearer, sticky=True),
    _pays("receipt-wrong-payer", f"{_OWN} names another payer", _DOUBTED, _settled(_other_payer)),
    _pays("receipt-wrong-amount", f"{_OWN} names another amount", _DOUBTED, _receipt(amount="1")),
    _pays(
        "late-charge",
        "delivers and says that nothing was charged, and takes all after that",
        f"{_DOUBTED}; a ceiling is held, and counts whole until the chain shows the charge",
        _late_charge,
    ),
    _pays(
        "wrong-charge",
        "takes all, and says that one unit was charged",
        f"{_DOUBTED}; of a ceiling, what the chain shows counts",
        _wrong_charge,
    ),
    _pays("receipt-wrong-network", f"{_OWN} names another network", _DOUBTED, _receipt(network="eip155:1")),
    _pays("receipt-failed", f"{_OWN} says it failed", _DOUBTED, _receipt(success=False, errorReason="settle_error")),
    _pays(
        "signed-receipt-other-url",
        f"{_OWN} is signed for another URL",
        "paid once, with a warning",
        _signs_receipt(lambda said: {**said, "resourceUrl": "https://other.example/"}),
    ),
    _pays(
        "signed-receipt-forged",
        f"{_OWN} has a signature that fits no key",
        "paid once, with a warning",
        _signs_receipt(forged=True),
    ),
    _pays("receipt-garbage", f"{_OWN} cannot be read", _DOUBTED, _settled(_receipt_text("%%% not base64 %%%"))),
    _pays("receipt-missing", "settles and delivers without a receipt", _DOUBTED, _settled(_receipt_text(None))),
    _pays(
        "redirect-after-paying",
        "settles, then redirects to the content on this host",
        "paid once, content delivered",
        _settled(lambda sale: sale.redirect("/thanks")),
    ),
    _pays(
        "redirect-to-another-host-after-paying",
        "settles, then redirects to another host, which asks for money again",
        "PaymentRejected; nothing is signed twice",
        _settled(lambda sale: sale.redirect(sale.elsewhere + sale.plain_path)),
    ),
    _pays(
        "truncated-body",
        "settles, and breaks off in the middle of the content",
        f"the HTTP library's own error; {_AGAIN}",
        _with_manner("truncated"),
    ),
    _pays("dripped-body", "settles, and sends the content slowly", "paid once", _with_manner("dripped")),
)

#: By name, in the order of the index page.
FAULTS: Mapping[str, Fault] = {fault.name: fault for fault in (*_ABOUT_TERMS, *_ABOUT_PAYMENTS)}
