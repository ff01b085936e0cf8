"""Reports a request and its payment: as text while it happens, or as one JSON object at its end."""

from __future__ import annotations

from typing import Any

from ..errors import X402Error
from ..events import Answered, Delivered, Event, LedgerStarted, Presented, Warned
from ..model.holds import Hold, Outcome
from ..model.money import Money
from ..model.offers import words
from ..signers.play_keys import takes_play_keys
from .buying import left_in_words, number
from .exits import Code
from .money_labels import network_name
from .requests_made import CliRequest, shown_url
from .screen import say, seller_text, show_json, waiting


class Watching:
    """A listener to the buyer's events. It knows whether a payment left, and shows that work is going on."""

    again: bool
    delivered: bool

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self.presented: Hold | None = None
        self.again = self.delivered = False
        self._sign: Any = None

    def __call__(self, event: Event) -> None:
        if isinstance(event, Presented):
            self.presented, self.again = event.hold, event.again
            self._start(event)
        elif isinstance(event, Answered):
            self.stop()
        elif isinstance(event, Delivered):
            self.delivered = True
        elif isinstance(event, Warned) and not self.quiet:
            say(words(event.problem, 500), "yellow")
        elif isinstance(event, LedgerStarted) and not self.quiet:
            say(f"A new ledger begins: {event.url}", "dim")

    def _start(self, event: Presented) -> None:
        if self.quiet:
            return
        if event.again:
            say(f"Presenting an earlier payment of {event.hold.price} again; nothing more is paid.")
        self._sign = waiting(f"{event.hold.price} presented to {event.hold.host}; waiting for its answer")
        self._sign.__enter__()

    def stop(self) -> None:
        """Take away the sign that work is going on."""
        sign, self._sign = self._sign, None
        if sign is not None:
            sign.__exit__(None, None, None)


class Report:
    """The report on one request."""

    host: Any
    method: str

    def __init__(self, request: CliRequest, as_json: bool) -> None:
        import httpx

        url = httpx.URL(request.url)
        self.as_json = as_json
        self.method, self.host = request.method, url.host
        self.url: str = shown_url(url)
        self.status: int | None = None
        self.outcome: Outcome | None = None
        self.error: X402Error | None = None
        self.left: dict[str, Money] = {}

    def answered(self, status: int, outcome: Outcome | None) -> None:
        """Note that the answer's head came."""
        self.status, self.outcome = status, outcome

    def failed(self, error: X402Error) -> None:
        """Note that the request ended in one of our errors."""
        self.error = error

    def code(self) -> Code:
        """Return the exit code of the answer."""
        if self.status is None or self.status < 400:
            return Code.OK
        if self.outcome is None:
            return Code.HTTP
        return Code.UNDELIVERED if self.outcome.money == "spent" else Code.UNKNOWN

    def trouble(self) -> str:
        """Return the message about an answer of 400 or more."""
        answered = f"{self.host} answered {self.status}"
        if self.outcome is None:
            unpaid = " This 402 does not speak x402, so there was nothing to pay." if self.status == 402 else ""
            return f"{answered}.{unpaid} Nothing was paid."
        took = "took" if self.outcome.money == "spent" else "has"
        return (
            f"{answered}, and {took} the payment of {self.outcome.hold.price}. The same command again presents "
            "the same payment and does not pay twice."
        )

    def tell(self, code: Code, message: str) -> None:
        """Write the final report."""
        if self.as_json:
            show_json(self.document(code, message), stderr=True)
        elif self.outcome is not None and code in (Code.OK, Code.PIPE):
            self._tell_paid(self.outcome)

    def _tell_paid(self, paid: Outcome) -> None:
        offer, receipt = paid.offer, paid.receipt
        token = offer.token.symbol if offer.token else words(offer.asset, 60)
        say(
            f"Paid {paid.hold.price} ({token} on {network_name(offer.network)}) to {words(offer.pay_to, 60)}."
            + (f" Left: {left_in_words(self.left)}." if self.left else ""),
            "green",
        )
        if receipt is None:
            say("The seller sent no receipt.", "yellow")
        else:
            say(f"Receipt: transaction {seller_text(receipt.transaction)}", "dim")
        for mismatch in paid.mismatches:
            say(f"The receipt does not fit what was signed: {words(mismatch, 300)}", "yellow")

    def document(self, code: Code, message: str) -> dict[str, Any]:
        """Return the report as a JSON object."""
        error = self.error
        hold = self.outcome.hold if self.outcome else (error.hold if error else None)
        money = self.outcome.money if self.outcome else (error.money if error else "untouched")
        return {
            "exit": int(code),
            "method": self.method,
            "url": self.url,
            "status": self.status,
            "money": money,
            "error": None if code is Code.OK else {"kind": type(error).__name__ if error else None, "message": message},
            "payment": payment(hold) if hold is not None and money != "untouched" else None,
            "receipt": _receipt(self.outcome),
            "left": {window: str(money) for window, money in self.left.items()} or None,
        }


def payment(hold: Hold) -> dict[str, Any]:
    """Return a hold as JSON."""
    offer = hold.offer
    return {
        "hold": hold.id,
        "price": number(hold.price),
        "currency": hold.price.currency,
        "token": offer.token.symbol if offer.token else None,
        "asset": offer.asset,
        "amount": str(offer.amount),
        "network": offer.network,
        "test_money": takes_play_keys(offer.network),
        "pay_to": offer.pay_to,
        "nonce": hold.nonce,
        "again": hold.tries > 0,
    }


def _receipt(paid: Outcome | None) -> dict[str, Any] | None:
    if paid is None or paid.receipt is None:
        return None
    found = paid.receipt
    return {
        "success": found.success,
        "transaction": found.transaction,
        "network": found.network,
        "payer": found.payer,
        "mismatches": list(paid.mismatches),
    }
