"""``x402 quote``: shows what a URL would cost, which offer would be chosen, and why not the others. It never pays."""

from __future__ import annotations

from typing import Annotated, Any

import httpx
import typer

from ...buyer.buyer import Buyer
from ...core.amounts import lost_with
from ...errors import (
    AlreadyPaid,
    HostNotAllowed,
    OverLimit,
    PaymentOutcomeUnknown,
    PaymentRefused,
    SameRequest,
    X402Error,
)
from ...httpx import quote as ask_terms
from ...httpx import wrap
from ...model.budgets import left_in_words
from ...model.holds import Hold
from ...model.money import Money
from ...model.offers import Offer, Quote, words
from ...model.sandbox_settings import NOT_READ, is_unread
from ...schemes.by_permit2 import no_permit
from ...signers.contract import ContractSigner
from .. import in_flight, options, wallets
from ..buying import (
    Choices,
    LedgerForLooking,
    amount,
    buying,
    ledger_for_looking,
    left,
    payer_of,
)
from ..earlier import origin_of, presented_again
from ..exits import Code, code_of
from ..export import row
from ..in_use import with_options
from ..money_labels import PAID_FIRST, TEST_MONEY
from ..offer_rows import add_row, is_play_money, offer_document
from ..open_ledger import all_stops, denial, lift, stops
from ..own_words import in_own_words
from ..requests_made import CliRequest, cli_request, no_answer, redirect_of
from ..running import Stop, asking
from ..screen import put, say, seller_text, show, show_json, table, waiting
from ..too_expensive import as_option
from ..vocabulary import advice, advised

#: Why an offer is not paid at this moment, in short.
_OBSTACLES: dict[type[X402Error], str] = {
    OverLimit: "over the budget",
    SameRequest: "bought too often",
    HostNotAllowed: "paused",
    PaymentOutcomeUnknown: "its key is in use",
    AlreadyPaid: "its key was paid before",
    PaymentRefused: "by its key",
}


@asking
def quote(
    url: options.Url,
    method: options.Method = None,
    data: options.Data = None,
    header: options.Headers = None,
    location: Annotated[bool, typer.Option("-L", "--location", help="Follow redirects.")] = False,
    most: Annotated[
        options.MaybeText, typer.Option("--max", metavar="AMOUNT", help="Judge as `get --max` would.")
    ] = None,
    as_json: options.AsJson = False,
    key: options.Key = None,
    policy: options.PolicyFile = None,
    ledger: options.LedgerAt = None,
    must_exist: options.MustExist = False,
    purse: options.Purse = "default",
    under: options.Under = None,
    wallet: options.WalletAt = None,
    timeout: options.Timeout = 30.0,
) -> None:
    """Say what URL costs: every offer, which one would be paid, and why the others would not. Never pays.

    The request is made once, without a payment. Exits with 3 where nothing would be paid, and with 22 where the server
    answers with an error, as `get` would.
    """
    choices = Choices(policy, ledger, purse, wallet, None, (), amount(most), must_exist, under=under)
    with cli_request(url, method, data, header) as request:
        report = request_quote(request, choices, location, timeout, key)
    if as_json:
        show_json(report.document())
    else:
        report.show()
    report.end(as_json)


def dry_run(
    request: CliRequest, choices: Choices, as_json: bool, follow: bool, timeout: float, key: str | None, agreed: bool
) -> None:
    """Run ``get --dry-run``. stdout stays empty, since there is no body.

    ``agreed``: the options agree to a payment, so that no person is asked about it.
    """
    report = request_quote(request, choices, follow, timeout, key)
    report.need_wallet()
    if as_json:
        show_json({"dry_run": True, **report.document()}, stderr=True)
    else:
        for said in report.foreseen(agreed):
            say(said)
        for said in report.in_flight():
            say(said, "yellow")
    report.end(as_json)


class QuoteReport:
    """A quote, and the answers of our ledger to it: its freezes and its budgets."""

    found: wallets.Found
    quote: Quote
    looked: LedgerForLooking

    def __init__(
        self,
        quote: Quote,
        buyer: Buyer,
        found: wallets.Found,
        looked: LedgerForLooking,
        choices: Choices,
        *,
        keyed: bool = False,
    ) -> None:
        self.quote, self.found, self.looked, self._choices = quote, found, looked, choices
        #: Where the answer leads, if it is a redirect that was not followed.
        self.leads_to = ""
        payee, choice = origin_of(quote.url), quote.choice
        self.left: dict[str, Money] = left(buyer, payee, choice.price.currency) if choice and choice.price else {}
        self.frozen: tuple[str, ...] = stops(looked.frozen, payee)
        #: Why the policy does not pay there; "" if it does.
        self.denied: str = denial(buyer.policy, payee)
        self._policy, self._is_contract = buyer.policy, isinstance(buyer.wallet.evm, ContractSigner)
        #: True if it is a sandbox's, whose settings were not read here.
        self.unread: bool = is_unread(quote.offers, buyer.policy.tokens)
        #: Why the chosen offer would not be paid after all, in short; "" if it would.
        self.obstacle: str = ""
        self.code: Code = Code.OK
        #: The earlier payment that the same request would present again, so that nothing new would be paid.
        self.holds: tuple[Hold, ...] = () if looked.problem else buyer.holds()
        self._is_keyed = keyed
        self.presents: Hold | None = self._unresolved()
        #: Payments that other calls of the same request are making at this moment.
        self.same: list[Hold] = [hold for hold in self.holds if hold.id in quote.in_flight]
        self.refusal: str = "" if quote.status != 402 else self._refusal(httpx.URL(quote.url).host)
        if self.refusal and self.code is Code.OK:
            self.code = Code.REFUSED
        elif quote.status != 402 and quote.status >= 400:
            self.code = Code.HTTP

    @property
    def signs_in(self) -> bool:
        """Return True if a sign-in comes before any payment."""
        return self.quote.sign_in is not None and self.quote.sign_in.reason is None

    def _unresolved(self) -> Hold | None:
        return next((hold for hold in self.holds if hold.id == self.quote.unresolved), None)

    @property
    def lifts(self) -> list[str]:
        """Return the commands that lift the freezes which stop payments there."""
        return [lift(pattern, self._choices.ledger) for pattern in self.frozen]

    def in_flight(self) -> list[str]:
        """Return what is to be said of payments in flight: of the same request, and of all that are counted."""
        said = [with_options(in_flight.told(self.holds, wait=False))] if in_flight.told(self.holds) else []
        if self.same and not self._is_keyed:
            said.append(
                f"This very request is being paid at this moment: {', '.join(hold.id for hold in self.same)}. Wait for "
                "that call: paid before it ends, this is a purchase of its own."
            )
        return said

    def _refusal(self, host: str) -> str:
        if self.presents is not None and not self.frozen and self.quote.refusal is None:
            self.obstacle = "the earlier payment comes first"
            return ""
        if self.signs_in:
            self.obstacle = "a sign-in comes first" if self.quote.offers else ""
            return ""
        if not self.quote.offers and self.quote.sign_in is not None:
            return f"{host} opens by a sign-in alone, and none would be signed: {self.quote.sign_in.reason}."
        if not self.quote.offers and not self.quote.faults:
            return f"{host} answered 402 without x402 terms: there is nothing that could be paid."
        choice = self.quote.choice
        found = self.quote.refusal
        if (choice is None or choice.price is None) and not isinstance(found, (AlreadyPaid, PaymentOutcomeUnknown)):
            return f"No offer would be paid. {self._frozen()}".rstrip()
        if self.frozen:
            self.obstacle = "frozen"
            return f"{self._frozen()} Nothing would be paid."
        if self.looked.problem:
            self.code, self.obstacle = Code.NOT_SENT, "the ledger cannot be used"
            return self.looked.problem
        if found is None:
            return ""
        self.code, self.obstacle = code_of(found), _OBSTACLES.get(type(found), "refused now")
        return in_own_words(str(found.args[0]))

    def _frozen(self) -> str:
        """Return what is frozen, and what lifts that; "" if nothing stops payments there."""
        return all_stops(self.frozen, self.lifts, self.denied) if self.frozen else ""

    @property
    def pays(self) -> bool:
        """Return True if a new payment would be made, and at once."""
        pays = self.quote.status == 402 and self.quote.choice is not None and not self.refusal
        return pays and self.presents is None and not self.signs_in

    @property
    def asks_first(self) -> str:
        """Return that a person is asked before the choice is paid, and how; "" if the policy has none asked."""
        price = None if self.quote.choice is None else self.quote.choice.price
        if not self.pays or price is None or not self._policy.needs_approval(price):
            return ""
        agrees = f"--yes agrees, or --max {as_option(price)}"
        return f"By the policy's approve_above a person is asked first: `x402 get` asks at a terminal; {agrees}."

    def need_wallet(self) -> None:
        """Refuse a new payment for want of a wallet, as the run does of which this is the trial."""
        if self.found.no_wallet and self.pays:
            self.refusal, self.code = in_own_words(NOT_READ) if self.unread else wallets.no_wallet(), Code.USAGE

    def foreseen(self, agreed: bool) -> list[str]:
        """Return what the run would do of which this is the trial."""
        choice = self.quote.choice
        if self.quote.status != 402:
            return [self.asks_nothing()]
        if self.presents is not None:
            return [*self.presented(), "Nothing was presented by this command."]
        if self.signs_in:
            return [
                "Would sign in first, which costs nothing and shows the seller the wallet's address. Nothing was sent."
            ]
        if choice is None:
            return [words(in_own_words(reason), 500) for reason in self.quote.reasons]
        label = f", {TEST_MONEY}" if is_play_money(choice) else ""
        if self.code is Code.USAGE:
            return [f"There is no wallet here: with one, it would pay {choice.price}: {choice}{label}."]
        if self.refusal:
            return []
        asked = [] if agreed or not self.asks_first else [self.asks_first]
        return [f"Would pay {choice.price}: {choice}{label}. Nothing was paid, and no funds were looked at.", *asked]

    def end(self, quiet: bool) -> None:
        """End the command with a refusal, if there is one."""
        if self.code is not Code.OK:
            raise Stop(self.code, "" if quiet else self.refusal)

    def asks_nothing(self) -> str:
        """Return the line on an answer that asked for no payment."""
        url, status = self.quote.url, self.quote.status
        if status < 300:
            return f"{url} is free: it answered {status} without asking for a payment."
        leads = f" It leads to {self.leads_to}; -L follows it." if self.leads_to else ""
        return f"{url} asks for no payment: it answered {status}.{leads}"

    def show(self) -> None:
        """Show it as a table."""
        quote = self.quote
        if quote.status != 402:
            show(self.asks_nothing())
            return
        asks = "a payment" if quote.offers or quote.faults or quote.sign_in is None else "a sign-in, and no payment"
        show(f"{quote.url} asks for {asks}" + (f" (x402 version {quote.version})." if quote.version else "."))
        for name, text in (("It describes itself as", quote.description), ("It says", quote.error)):
            if text:
                show(f"{name}: {seller_text(text)}", "dim")
        rows = table("", "offer", "price", "token", "network", "paid to", "pays", right=("price",))
        for offer in quote.offers:
            chosen = offer.position == (quote.choice.position if quote.choice else 0)
            add_row(rows, offer, chosen, self.obstacle)
        if quote.offers:
            put(rows)
        for fault in quote.faults:
            show(fault, "yellow")
        self._show_sign_in()
        if self.presents is not None:
            for line in self.presented():
                show(line, "yellow")
            return
        if quote.choice is not None and quote.choice.upfront:
            show(f"Offer {quote.choice.position} is {PAID_FIRST}.", "yellow")
        if quote.choice is not None and quote.choice.is_ceiling:
            said = "has a ceiling: the seller says after its work what it takes of it"
            show(f"Offer {quote.choice.position} {said}.", "yellow")
        if quote.choice is not None and quote.choice.by_permit2:
            show(f"Offer {quote.choice.position} {self._by_permit2(quote.choice)}", "yellow")
        if self.left and not self.looked.problem:
            show(f"Left before it: {left_in_words(self.left)}.", "dim")
        for said in self.in_flight():
            show(said, "yellow")
        if self.asks_first:
            show(self.asks_first, "yellow")
        if self.unread:
            say(in_own_words(NOT_READ), "yellow")
        if self.found.no_wallet:
            say("There is no wallet here: the offers are judged as if there were one with money in it.", "dim")
        elif quote.choice is not None:
            say("The wallet's funds were not looked at; `x402 doctor URL` looks.", "dim")

    def _by_permit2(self, offer: Offer) -> str:
        """Return what a payment by Permit2 needs, and what is done where it is not there."""
        lacking = no_permit(offer, self._policy.permits, self._is_contract)
        then = lacking or "Without one, a permit (EIP-2612) of exactly this amount is signed with the payment."
        return f"is paid by Permit2, from an allowance of the wallet's token. {in_own_words(then)}"

    def _show_sign_in(self) -> None:
        challenge = self.quote.sign_in
        if challenge is None:
            return
        if challenge.statement:
            show(f"Its sign-in says: {seller_text(challenge.statement)}", "dim")
        if challenge.reason is None:
            show("A sign-in comes first. It costs nothing, and shows the seller the wallet's address.", "yellow")
        else:
            show(f"No sign-in: {in_own_words(words(challenge.reason, 300))}.", "dim")

    def presented(self) -> list[str]:
        """Return what is to be said of the earlier payment of the same request, and what to do about it."""
        if self.presents is None:
            return []
        said = advice(self.presents, self.lifts, denied=self.denied)
        accepts = self._policy.accepts_loss(lost_with(self.presents))
        earlier = presented_again(self.presents, self.quote.url, bool(self.frozen), bool(self.denied), accepts)
        return [earlier, f"It is {said.state}. To do: {said.todo}"]

    def unresolved(self) -> dict[str, Any] | None:
        """Return the earlier payment of the same request, and what to do about it, as JSON."""
        if self.presents is None:
            return None
        return row(self.presents) | advised(self.presents, self.lifts, self.denied)

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        quote = self.quote
        return {
            "url": quote.url,
            "status": quote.status,
            "free": quote.free,
            "location": self.leads_to or None,
            "version": quote.version,
            "description": quote.description,
            "error": quote.error,
            "choice": quote.choice.position if quote.choice else None,
            "offers": [offer_document(offer) for offer in quote.offers],
            "faults": list(quote.faults),
            "sign_in": None
            if quote.sign_in is None
            else {
                "networks": list(quote.sign_in.networks),
                "statement": quote.sign_in.statement,
                "reason": None if quote.sign_in.reason is None else in_own_words(quote.sign_in.reason),
            },
            "left": {window: str(money) for window, money in self.left.items()} if not self.looked.problem else {},
            "frozen": list(self.frozen),
            "refusal": self.refusal or None,
            "unresolved": self.unresolved(),
            "in_flight": in_flight.document(self.holds) | {"same_request": [hold.id for hold in self.same]},
            "asks_first": bool(self.asks_first),
            "funds": "not looked at",
            "wallet": None if self.found.no_wallet else self.found.source,
        }


def request_quote(
    request: CliRequest, choices: Choices, follow: bool, timeout: float, key: str | None = None
) -> QuoteReport:
    """Make one request, without a payment, and return its quote."""
    looked = ledger_for_looking(choices)
    host, answers = httpx.URL(request.url).host, list[httpx.Response]()
    with buying(choices, ledger=looked.port) as (buyer, found):
        client = httpx.Client(timeout=timeout, follow_redirects=follow, event_hooks={"response": [answers.append]})
        with wrap(client, payer_of(buyer, choices)):
            try:
                with buyer.purchase(key=key, per_request=choices.most), waiting(f"Asking {host}"):
                    quote = ask_terms(client, request.method, request.url, **request.keywords)
            except httpx.HTTPError as failure:
                raise Stop(Code.UNREACHABLE, no_answer(host, failure)) from None
        report = QuoteReport(quote, buyer, found, looked, choices, keyed=key is not None)
        report.leads_to = redirect_of(answers[-1])
        return report
