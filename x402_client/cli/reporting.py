"""Reports a request and its payment: as text while it happens, or as one JSON object at its end."""

from __future__ import annotations

from typing import Any

import httpx

from ..core.error_names import library_name, name_of
from ..core.last_answer import with_last
from ..core.receipt_check import says_pending
from ..errors import OverLimit, X402Error, find
from ..events import Answered, Concluded, Delivered, Event, LedgerStarted, Presented, SignedIn, Warned
from ..model.budgets import left_in_words
from ..model.holds import Hold, Outcome
from ..model.money import Money
from ..model.offers import words
from ..receipts import outcome as outcome_of
from ..signers.play_keys import takes_play_keys
from .buying import number
from .exits import Code
from .in_use import with_options
from .money_labels import network_name
from .own_words import in_own_words
from .requests_made import CliRequest, redirect_of, shown_url
from .screen import say, seller_text, show_json, waiting
from .vocabulary import advice, amount_of, shown_by

#: How this command presents a payment again.
SAME_COMMAND = "Run the same command again"
#: Seconds after which a seller that was paid and does not answer is told of, where there is no terminal.
_SILENT = 5.0
_RECEIPTS = ("payment-response", "x-payment-response")


class Watching:
    """A listener to the buyer's events. It knows whether a payment left, and shows that work is going on."""

    again: bool
    delivered: bool

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self.presented: Hold | None = None
        self.again = self.delivered = False
        self._sign: Any = None
        self._gave_back = False
        #: A warning that is not said yet: it may be the error of which the command tells at its end.
        self._warning = ""

    def __call__(self, event: Event) -> None:
        self._say_warning()
        if isinstance(event, Presented):
            self._start(event)
            self.presented, self.again = event.hold, event.again
        elif isinstance(event, Answered):
            self.stop()
        elif isinstance(event, SignedIn) and event.status == 402 and not self.quiet:
            say(f"A sign-in as {event.account} opened nothing; paying instead.", "dim")
        elif isinstance(event, Concluded):
            self._say_given_back(event)
        elif isinstance(event, Delivered):
            self.delivered = True
        elif isinstance(event, Warned):
            self._warning = event.problem
            if not event.method:  # it is about the buyer, and no error of this request
                self._say_warning()
        elif isinstance(event, LedgerStarted) and not self.quiet:
            say(f"A new {'purse' if event.is_purse else 'ledger'} begins: {event.url}", "dim")

    def _say_given_back(self, event: Concluded) -> None:
        if event.settled or event.hold.charge is not None or self.quiet:
            return
        self._gave_back = True
        say(f"An earlier payment of {event.hold.price} for {event.hold.url} expired unused, and was given back.")

    def _start(self, event: Presented) -> None:
        if self.quiet:
            return
        if self.presented is not None and self.presented.id == event.hold.id:
            say(f"No content came. Presenting the same payment of {amount_of(event.hold)} again; nothing more is paid.")
        elif event.again:
            say(f"Presenting an earlier payment of {amount_of(event.hold)} again; nothing more is paid.")
        elif self._gave_back:
            say(f"Presenting a new payment of {event.hold.price}.")
        self._sign = waiting(f"{event.hold.price} presented to {event.hold.host}; waiting for its answer", _SILENT)
        self._sign.__enter__()

    def stop(self) -> None:
        """Take away the sign that work is going on."""
        sign, self._sign = self._sign, None
        if sign is not None:
            sign.__exit__(None, None, None)

    def end(self, error: X402Error | None) -> None:
        """Take that sign away, and say the last warning unless it is the error that ends the command."""
        self.stop()
        problem = self._warning.partition(" More: x402 manual")[0]
        if error is not None and problem and problem in str(error):
            self._warning = ""
        self._say_warning()

    def _say_warning(self) -> None:
        problem, self._warning = self._warning, ""
        if problem and not self.quiet:
            say(words(in_own_words(problem), 500), "yellow")


class Report:
    """The report on one request."""

    host: Any
    method: str

    def __init__(self, request: CliRequest, as_json: bool) -> None:
        url = httpx.URL(request.url)
        self.as_json = as_json
        self.method, self.host = request.method, url.host
        self.url: str = shown_url(url)
        self.status: int | None = None
        self.outcome: Outcome | None = None
        self.error: X402Error | None = None
        self.left: dict[str, Money] = {}
        #: Where the answer leads, if it is a redirect that was not followed.
        self.leads_to: str = ""
        self._receipt_came = False
        #: The HTTP library's class of the error that ended it.
        self._library_error: str | None = None

    def answered(self, response: Any) -> None:
        """Note that the head of an httpx response came."""
        self.status, self.outcome = response.status_code, outcome_of(response)
        self.leads_to = redirect_of(response)
        hops = (response, *response.history)
        self._receipt_came = any(name in hop.headers for hop in hops for name in _RECEIPTS)

    def failed(self, failure: Exception) -> None:
        """Note that the request ended in an error, of ours or of the HTTP library."""
        self.error, self._library_error = find(failure), library_name(failure)

    def code(self) -> Code:
        """Return the exit code of the answer."""
        status = self.status or 0
        if self.outcome is None or self.outcome.money == "untouched":
            # A redirect that nothing followed brought no content. A 304 is what a conditional request asked for.
            return Code.OK if status < 300 or status == 304 else Code.HTTP
        if status < 300:
            return Code.OK
        return Code.UNDELIVERED if self.outcome.money == "spent" else Code.UNKNOWN

    def trouble(self) -> str:
        """Return the message about an answer of 300 or more."""
        answered = f"{self.host} answered {self.status}"
        if self.outcome is not None and self.outcome.money == "untouched":
            return f"{answered} to a sign-in.{self.led_on()} Nothing was paid."
        if self.outcome is None:
            unpaid = " This 402 does not speak x402, so there was nothing to pay." if self.status == 402 else ""
            return f"{answered}.{unpaid}{self.led_on()} Nothing was paid."
        took = "took" if self.outcome.money == "spent" else "has"
        first = ""
        if self.outcome.offer.upfront and self.outcome.money != "spent":
            first = " It takes the money before it delivers, so it may well be spent."
        receipt = self.outcome.receipt
        hold = self.outcome.hold
        if hold.last is None:
            hold = with_last(hold, self.outcome.money, self.status, receipt.error if receipt else "")
        again = SAME_COMMAND
        if self.leads_to:  # a payment that was taken is refused if it is presented once more
            again = "Run the same command with -L"
        said = advice(hold, again=again)
        return (
            f"{answered}, and {took} the payment of {hold.price}.{first} It is {said.state}. {said.todo}"
            f"{shown_by(hold, said)} More: x402 manual when-something-goes-wrong"
        )

    def led_on(self) -> str:
        """Return where a redirect leads that was not followed."""
        return f" It leads to {self.leads_to}; -L follows it." if self.leads_to else ""

    def tell(self, code: Code, message: str) -> str:
        """Write the final report. Return the message that is left to say, with commands as they are to be typed."""
        message = with_options(message)
        if self.as_json:
            show_json(self.document(code, message), stderr=True)
            return ""
        if self.outcome is not None and code in (Code.OK, Code.PIPE):
            self._tell_paid(self.outcome, _again(self.outcome) if code is Code.OK else "")
        return message

    def _tell_paid(self, paid: Outcome, then: str) -> None:
        if paid.signed_in:
            new = "new " if paid.money != "untouched" else ""
            say(f"Signed in as {paid.signed_in}. Nothing {new}was paid.", "green")
        if paid.money == "untouched":
            return
        offer, price = paid.offer, paid.hold.price
        token = offer.token.symbol if offer.token else words(offer.asset, 60)
        cost = f"{price}" if paid.ceiling is None else f"up to {paid.ceiling}"
        bought = f"{cost} ({token} on {network_name(offer.network, price)}) to {words(offer.pay_to, 60)}"
        left = f" Left: {left_in_words(self.left)}." if self.left else ""
        for doubt in self.doubts():
            say(doubt, "yellow")
        if offer.is_ceiling and paid.money != "unknown":
            said = "" if paid.claimed is None else f" The seller says that it took {paid.claimed}."
            counts = "All of it counts until the chain shows what was taken."
            if paid.charged is not None:
                counts = f"{paid.charged} of it counts: the chain shows that no more was taken."
            say(f"Paid {bought}.{said} {counts}{left}", "green")
        elif paid.money == "spent":
            first = ", before it delivered" if offer.upfront else ""
            say(f"Paid {bought}{first}.{left}", "green")
        else:
            say(f"It is not known whether {bought} was paid, so it stays counted.{left}", "yellow")
            say(with_options(f"`x402 ledger show {paid.hold.id}` shows the payment.{then}"), "yellow")
        if paid.receipt is not None and paid.receipt.transaction:
            say(f"Receipt: transaction {_named(paid.receipt.transaction)}", "dim")

    def doubts(self) -> list[str]:
        """Return what is wrong with the receipt of a paid answer."""
        if self.outcome is None or self.outcome.signed_in or (self.status or 0) >= 300:
            return []
        receipt = self.outcome.receipt
        if receipt is None:
            return ["The seller's receipt cannot be read." if self._receipt_came else "The seller sent no receipt."]
        found = [f"The receipt does not fit what was signed: {words(one, 300)}." for one in self.outcome.mismatches]
        if says_pending(receipt):
            found.append("The seller's receipt says that the payment is on its way.")
        elif not receipt.success:
            why = f": {seller_text(receipt.error)}" if receipt.error else ""
            found.append(f"The seller's receipt says that the payment failed{why}.")
        return found

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
            "location": self.leads_to or None,
            "money": money,
            "error": None if code is Code.OK else self._failure(message),
            "signed_in": self.outcome.signed_in or None if self.outcome else None,
            "payment": payment(hold) if hold is not None and money != "untouched" else None,
            "receipt": _receipt(self.outcome),
            "doubts": self.doubts(),
            "left": {window: str(money) for window, money in self.left.items()} or None,
        }

    def _failure(self, message: str) -> dict[str, str | int | None]:
        """Return the error as JSON: its class in ``errors``, and apart from it that of the HTTP library."""
        kind = None if self.error is None else name_of(self.error)
        return {"kind": kind, "library_error": self._library_error, "message": message} | _limit(self.error)


def _limit(error: X402Error | None) -> dict[str, str | int | None]:
    """Return the limit that refused, as JSON; nothing for any other error."""
    if not isinstance(error, OverLimit):
        return {}
    amounts = {"limit": error.limit, "asked": error.asked, "spent": error.spent}
    at = None if error.resets_at is None else f"{error.resets_at:%Y-%m-%dT%H:%M:%SZ}"
    place = {"resets_at": at, "host": error.host, "window": error.window, "allowance": error.allowance}
    return {name: str(one) if isinstance(one, Money) else one for name, one in amounts.items()} | place


def _again(paid: Outcome) -> str:
    """Return what the same command does after its payment was delivered."""
    if paid.hold.purchase.keyed:
        return " The same command again buys nothing: its key was paid."
    return " The same command again buys anew."


def _named(transaction: str) -> str:
    """Return a seller's name of a transaction. It is quoted if it could be taken for words of ours."""
    return transaction if transaction.isalnum() and len(transaction) <= 100 else seller_text(transaction)


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
        "upfront": offer.upfront,
        "ceiling": offer.is_ceiling,
        "charged": None if hold.charge is None else number(hold.charge),
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
        "amount": None if found.amount is None else str(found.amount),
        "mismatches": list(paid.mismatches),
    }
