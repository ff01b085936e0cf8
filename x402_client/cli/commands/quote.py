"""``x402 quote``: shows what a URL would cost, which offer would be chosen, and why not the others. It never pays."""

from __future__ import annotations

from typing import Annotated, Any

import httpx
import typer

from ...buyer.buyer import Buyer
from ...httpx import quote as ask_terms
from ...httpx import wrap
from ...model.money import Money
from ...model.offers import Offer, Quote, words
from ...signers.play_keys import takes_play_keys
from .. import options, wallets
from ..buying import Choices, amount, buying, ledger_for_looking, left, left_in_words, number
from ..exits import Code
from ..money_labels import TEST_MONEY, network_name
from ..own_words import in_own_words
from ..requests_made import CliRequest, cli_request
from ..running import Stop, asking
from ..screen import put, say, seller_text, show, show_json, table, waiting


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
    policy: options.PolicyFile = None,
    ledger: options.LedgerAt = None,
    purse: options.Purse = "default",
    wallet: options.WalletAt = None,
    timeout: options.Timeout = 30.0,
) -> None:
    """Say what URL costs: every offer, which one would be paid, and why the others would not. Never pays.

    The request is made once, without a payment. Exits with 3 where nothing would be paid, as `get` would.
    """
    choices = Choices(policy, ledger, purse, wallet, None, (), amount(most))
    with cli_request(url, method, data, header) as request:
        report = request_quote(request, choices, location, timeout)
    if as_json:
        show_json(report.document())
    else:
        report.show()
    if report.refusal:
        raise Stop(Code.REFUSED, "" if as_json else report.refusal)


def dry_run(request: CliRequest, choices: Choices, as_json: bool, follow: bool, timeout: float) -> None:
    """Run ``get --dry-run``. stdout stays empty, since there is no body."""
    report = request_quote(request, choices, follow, timeout)
    if as_json:
        show_json({"dry_run": True, **report.document()}, stderr=True)
    elif report.quote.choice is not None:
        choice = report.quote.choice
        label = f", {TEST_MONEY}" if takes_play_keys(choice.network) else ""
        say(f"Would pay {choice.price}: {choice}{label}. Nothing was paid, and no funds were looked at.")
    elif report.quote.free:
        say(f"Free: it answered {report.quote.status} without asking for a payment.")
    if report.refusal:
        raise Stop(Code.REFUSED, "" if as_json else report.refusal)


class QuoteReport:
    """A quote, and the answer of our budgets to it."""

    found: wallets.Found
    quote: Quote

    def __init__(self, quote: Quote, buyer: Buyer, found: wallets.Found) -> None:
        self.quote, self.found = quote, found
        host = httpx.URL(quote.url).host
        choice = quote.choice
        self.left: dict[str, Money] = left(buyer, host, choice.price.currency) if choice and choice.price else {}
        self.refusal: str = self._refusal(host)

    def _refusal(self, host: str) -> str:
        if self.quote.free:
            return ""
        if not self.quote.offers and not self.quote.faults:
            return f"{host} answered 402 without x402 terms: there is nothing that could be paid."
        choice = self.quote.choice
        if choice is None or choice.price is None:
            return "No offer would be paid."
        short = {window: money for window, money in self.left.items() if money < choice.price}
        return f"The budget does not suffice: {left_in_words(short)} left for {choice.price}." if short else ""

    def show(self) -> None:
        """Show it as a table."""
        quote = self.quote
        if quote.free:
            show(f"{quote.url} is free: it answered {quote.status} without asking for a payment.")
            return
        show(f"{quote.url} asks for a payment" + (f" (x402 version {quote.version})." if quote.version else "."))
        for name, text in (("It describes itself as", quote.description), ("It says", quote.error)):
            if text:
                show(f"{name}: {seller_text(text)}", "dim")
        rows = table("", "offer", "price", "token", "network", "pays", "verdict", right=("price",))
        for offer in quote.offers:
            _row(rows, offer, chosen=offer.position == (quote.choice.position if quote.choice else 0))
        if quote.offers:
            put(rows)
        for fault in quote.faults:
            show(fault, "yellow")
        if self.left:
            show(f"Left before it: {left_in_words(self.left)}.", "dim")
        if self.found.no_wallet:
            say("There is no wallet here: the offers are judged as if there were one with money in it.", "dim")
        elif quote.choice is not None:
            say("The wallet's funds were not looked at; `x402 doctor URL` looks.", "dim")

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        quote = self.quote
        return {
            "url": quote.url,
            "status": quote.status,
            "free": quote.free,
            "version": quote.version,
            "description": quote.description,
            "error": quote.error,
            "choice": quote.choice.position if quote.choice else None,
            "offers": [offer_document(offer) for offer in quote.offers],
            "faults": list(quote.faults),
            "left": {window: str(money) for window, money in self.left.items()},
            "refusal": self.refusal or None,
            "funds": "not looked at",
            "wallet": None if self.found.no_wallet else self.found.source,
        }


def request_quote(request: CliRequest, choices: Choices, follow: bool, timeout: float) -> QuoteReport:
    """Make one request, without a payment, and return its quote."""
    with buying(choices, ledger=ledger_for_looking(choices.ledger)) as (buyer, found):
        with wrap(httpx.Client(timeout=timeout, follow_redirects=follow), buyer) as client:
            try:
                with buyer.purchase(per_request=choices.most), waiting(f"Asking {httpx.URL(request.url).host}"):
                    quote = ask_terms(client, request.method, request.url, **request.keywords)
            except httpx.HTTPError as failure:
                said = f"{type(failure).__name__}: {failure}" if str(failure) else type(failure).__name__
                raise Stop(Code.UNREACHABLE, f"{httpx.URL(request.url).host} did not answer ({said}).") from None
        return QuoteReport(quote, buyer, found)


def _row(rows: Any, offer: Offer, chosen: bool) -> None:
    from rich.text import Text

    token = offer.token.symbol if offer.token else words(offer.asset, 60)
    price = str(offer.price) if offer.price is not None else f"{offer.amount} units"
    reason = in_own_words(words(offer.reason, 300)) or "would not be paid"
    verdict = Text("would be paid", "green") if chosen else Text(reason, "dim")
    cells = (f"{offer.position}.", words(offer.scheme, 40), price, token, network_name(offer.network))
    rows.add_row(Text("→" if chosen else "", "green"), *(Text(c) for c in (" ".join(cells[:2]), *cells[2:])),
                 Text(words(offer.pay_to, 60)), verdict)  # fmt: skip


def offer_document(offer: Offer) -> dict[str, Any]:
    """Return an offer as JSON."""
    return {
        "position": offer.position,
        "scheme": offer.scheme,
        "network": offer.network,
        "asset": offer.asset,
        "token": offer.token.symbol if offer.token else None,
        "amount": str(offer.amount),
        "price": number(offer.price) if offer.price else None,
        "currency": offer.price.currency if offer.price else None,
        "pay_to": offer.pay_to,
        "test_money": takes_play_keys(offer.network),
        "reason": None if offer.reason is None else in_own_words(offer.reason),
    }
