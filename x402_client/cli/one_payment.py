"""All that a ledger knows of one payment, as lines for a person and as a document for a program."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..core.last_answer import is_by_receipt, place_led_to
from ..model.allowances import allowance_name
from ..model.holds import CHARGED, Hold, LastAnswer, moment
from ..model.offers import words
from ..model.statements import Statement
from .explorers import account_link, transaction_link
from .export import row
from .money_labels import network_name
from .transactions import Transaction, is_owed
from .vocabulary import advice, advised, answer_of, is_expired, price_of

_MONEY = {
    "held": "counted; the seller said no, and could still take it until it expires",
    "held, expired": "counted; the seller said no, and it has expired: the chain tells whether it was taken before",
    "spent": "paid, or counted as paid",
    "chain": "paid, as the chain shows",
    "receipt": "paid, as the seller's receipt says; no chain has shown it",
    "unknown": "counted; it is not known yet whether it was taken",
    "unknown, delivered": "counted; no receipt proves that it was taken, and of what was delivered no chain is asked",
}
_NAMED_BY = {
    "receipt": "by the seller's receipt",
    "answer": "by an answer of the seller's that brought no content",
    "chain": "by the chain",
}
_NOT_KNOWN = "not known: the seller named none, and {}; the nonce names the payment on the chain"
_RESERVED = "counted while it is being paid"
_UNSIGNED = "counted until the next payment needs it"
#: A seller that pays every payment back, so that it can be tried for nothing.
_ECHO = ("x402.payai.network",)
_REFUND = (
    "A refund is a transfer of its own, back to your account. The ledger does not see it: budgets go on counting "
    "this payment."
)


def _of_ceiling(hold: Hold) -> str:
    """Return what is known of a ceiling: the most that was taken, or that it all counts."""
    if hold.authorization is not None and hold.authorization.kind == CHARGED:
        return f"{hold.offer.price}; the chain shows that at most {hold.price} of it was taken"
    return f"{hold.offer.price}; it counts whole until the chain shows what was taken: `x402 ledger reconcile` looks"


def rows_of(
    hold: Hold, frozen: tuple[str, ...], found: Transaction, lifts: Iterable[str] = (), denied: str = ""
) -> Iterator[tuple[str, str]]:
    """Yield what is known of a payment: names, and values for a person.

    ``lifts`` lift the freezes. ``denied`` says why the policy does not pay there.
    """
    facts, said = row(hold), advice(hold, lifts, denied=denied)
    yield "hold", hold.id
    yield "state", said.state
    yield "money", f"{facts['money']}: {_of_money(hold, facts['money'])}"
    yield "price", price_of(hold)
    yield "token", f"{facts['token_amount']} {words(facts['token'], 60)} on {network_name(hold.offer.network)}"
    yield "request", f"{hold.purchase.method} {hold.url}" + (" (under a key)" if hold.purchase.keyed else "")
    if hold.path:
        names = (words(allowance_name(account), 100) for account in reversed(hold.path))
        yield "allowance", ", inside ".join(names)
    yield "paid to", words(hold.offer.pay_to, 100) + (", before delivery" if hold.offer.upfront else "")
    yield "paid by", facts["payer"] or hold.payer or "not signed yet"
    yield "time", _time(hold.created)
    if hold.authorization is not None:
        if hold.offer.is_ceiling:
            yield "ceiling", _of_ceiling(hold)
        yield "expires", _time(hold.authorization.expires)
        yield "nonce", hold.authorization.nonce
    if found.name:
        yield "transaction", f"{found.name} ({_NAMED_BY[found.by]})"
    elif is_owed(hold):
        yield "transaction", _NOT_KNOWN.format("no chain was asked (--offline)" if found.by else "no endpoint shows it")
    yield from _links(hold, found.name)
    yield from _signed(hold)
    yield "the seller", answer_of(hold) or _silence(hold)
    if hold.tries:
        yield "presented", f"{_presented(hold)} times: the same payment each time"
    refund = _refund(hold)
    if refund:
        yield "refund", refund
    if frozen:
        yield "frozen", f"by {', '.join(frozen)}: it is not presented until that is lifted"
    yield "to do", said.todo


def _of_money(hold: Hold, money: str) -> str:
    if hold.state == "reserved":
        return _UNSIGNED if hold.in_flight is False else _RESERVED
    if hold.state == "signed" and money == "spent":
        return _MONEY["receipt" if is_by_receipt(hold) else "chain"]
    if hold.state == "delivered" and money == "unknown":
        return _MONEY["unknown, delivered"]
    expired = money == "held" and hold.state == "signed" and is_expired(hold)
    return _MONEY["held, expired" if expired else money]


def _time(seconds: float) -> str:
    """Return a time as messages write it."""
    return f"{moment(seconds):%Y-%m-%d %H:%M:%S} UTC"


def _links(hold: Hold, transaction: str) -> Iterator[tuple[str, str]]:
    link = transaction_link(hold, transaction)
    if link:
        yield "explorer", link
    elif hold.authorization is not None and account_link(hold):
        yield "explorer", f"{account_link(hold)} (the account that pays)"


def _signed(hold: Hold) -> Iterator[tuple[str, str]]:
    """Yield who signed the offer and the receipt. `x402 ledger export` has the whole of both, for others to check."""
    proof = None if hold.receipt is None else hold.receipt.signed
    for name, signed in (("signed offer", hold.offer.signed), ("signed receipt", proof)):
        if signed is not None:
            yield name, signer_of(signed) + "".join(f"; {words(problem, 200)}" for problem in signed.problems)


_SIGNED_BY: Mapping[str, str] = {
    "payee": "by {}, the account that is paid",
    "trusted": "by {}, a key that the policy trusts",
    "stranger": "by {}, a key that nothing here vouches for: it proves nothing by itself",
    "forged": "the signature does not fit {}",
    "unchecked": "not checked",
}


def signer_of(signed: Statement) -> str:
    """Return who signed a statement, in words."""
    return _SIGNED_BY[signed.signed_by].format(words(signed.signer, 100) or "any key")


def _silence(hold: Hold) -> str:
    if hold.state == "delivered":
        return "delivered, without a receipt"
    return "nothing that was kept"


def _presented(hold: Hold) -> int:
    """Return how many attempts presented the payment."""
    return 0 if hold.authorization is None else hold.tries + 1


def _refund(hold: Hold) -> str:
    """Return what a buyer should know where money may come back."""
    if hold.host in _ECHO:
        return f"This seller pays every payment back. {_REFUND}"
    told = hold.receipt is not None and any("refund" in str(name).lower() for name in hold.receipt.raw)
    return f"The receipt speaks of a refund. {_REFUND}" if told else ""


def _last_answer(hold: Hold, last: LastAnswer) -> dict[str, Any]:
    return {
        "money": last.money,
        "status": last.status,
        "said": last.said,
        "by_chain": last.by_chain,
        "leads_to": place_led_to(hold) or None,
    }


def document(
    hold: Hold, frozen: tuple[str, ...], found: Transaction, lifts: Iterable[str] = (), denied: str = ""
) -> dict[str, Any]:
    """Return all of it as JSON: the columns of an export, and more."""
    last, receipt = hold.last, hold.receipt
    return row(hold) | {
        "transaction": found.name,
        "transaction_by": found.by if found.name else None,
        "keyed": hold.purchase.keyed,
        "presented": _presented(hold),
        "allowances": [words(allowance_name(account), 100) for account in hold.path],
        "explorer": transaction_link(hold, found.name) or account_link(hold) or None,
        "last_answer": None if last is None else _last_answer(hold, last),
        "receipt": None
        if receipt is None
        else {"success": receipt.success, "transaction": words(receipt.transaction, 200), "error": receipt.error},
        "refund": _refund(hold) or None,
        "frozen": list(frozen),
        **advised(hold, lifts, denied),
    }
