"""``x402 search``: sellers in the lists of facilitators, judged by the policy. It never pays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Optional

import typer

from ...buyer import settings
from ...buyer.environment import FACILITATOR_VARIABLE
from ...discovery import FACILITATORS, Listing, Listings, discover
from ...model.counts import counted
from ...model.offers import Offer, words
from .. import options
from ..buying import Choices, amount, buying, number
from ..money_labels import network_name
from ..offer_rows import offer_document
from ..own_words import in_own_words
from ..requests_made import whole_url
from ..running import asking
from ..screen import put, say, seller_text, show_json, table, waiting

_DESCRIPTION, _REASON = 120, 200


@asking
def search(
    query: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Argument(metavar="WORD", show_default=False, help="What to look for. Without it, all is listed."),
    ] = None,
    facilitator: Annotated[
        options.MaybeTexts,
        typer.Option(
            "--facilitator",
            envvar=FACILITATOR_VARIABLE,
            metavar="URL",
            help="Whose list to search. May be repeated. Else: the public lists of Coinbase and PayAI.",
        ),
    ] = None,
    network: Annotated[
        options.MaybeTexts,
        typer.Option(
            "--network", metavar="NAME", help="Only what can be paid on it: base, solana, ... May be repeated."
        ),
    ] = None,
    most: Annotated[options.MaybeText, typer.Option("--max", metavar="AMOUNT", help="Only what costs no more.")] = None,
    kind: Annotated[
        options.MaybeText,
        typer.Option("--kind", metavar="http|mcp", help="Only endpoints, or only tools of MCP servers."),
    ] = None,
    payable: Annotated[
        bool, typer.Option("--payable", help="Only what your policy and your wallet would pay.")
    ] = False,
    limit: Annotated[int, typer.Option("-n", "--limit", metavar="NUMBER", min=1, help="The most to show.")] = 20,
    as_json: options.AsJson = False,
    policy: options.PolicyFile = None,
    wallet: options.WalletAt = None,
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout", metavar="SECONDS", callback=options.a_quantity, help="How long a page of a list may take."
        ),
    ] = 15.0,
) -> None:
    """Search what is sold for x402, and say what would be paid. Never pays.

    Prices, addresses and descriptions are as strangers wrote them into the list. They may be out of date, or lies:
    `quote` asks the seller itself, and `get` goes by that alone.
    """
    choices = Choices(policy, wallet=wallet, most=amount(most))
    with _listings(choices, " ".join(query or ()), facilitator, network, kind, timeout) as (found, no_wallet):
        shown = _first(found, limit, payable)
    if as_json:
        show_json(_document(found, shown))
        return
    _show(found, shown, no_wallet)


@contextmanager
def _listings(
    choices: Choices,
    query: str,
    facilitators: list[str] | None,
    networks: list[str] | None,
    kind: Any,
    timeout: float,
) -> Iterator[tuple[Listings, bool]]:
    with buying(choices, ledger=settings.ledger(":memory:")) as (buyer, wallet):
        found = discover(
            query, facilitator=map(whole_url, facilitators or FACILITATORS), network=networks or None,
            max_price=choices.most, kind=kind, buyer=buyer, timeout=timeout,
        )  # fmt: skip
        yield found, wallet.no_wallet


def _first(found: Listings, limit: int, payable: bool) -> list[Listing]:
    shown: list[Listing] = []
    with waiting("Asking the facilitators"):
        for listing in found:
            if listing.choice is not None or not payable:
                shown.append(listing)
            if len(shown) == limit:
                break
    return shown


def _show(found: Listings, shown: list[Listing], no_wallet: bool) -> None:
    if shown:
        put(_table(shown))
        say("Prices and words are as listed; the seller's own 402 decides. Ask it: x402 quote URL", "dim")
    else:
        say("Nothing was found.")
    if no_wallet:
        say("There is no wallet here: the offers are judged as if there were one with money in it.", "dim")
    if found.skipped:
        count = counted(found.skipped, "entry", "entries")
        say(f"Left out, as it makes no sense: {count}. The first: {words(found.faults[0], _REASON)}", "dim")
    for failure in found.failures:
        say(f"Not searched: {words(failure, _REASON)}", "yellow")


def _table(shown: list[Listing]) -> Any:
    from rich.text import Text

    rows = table("", "sold at", "price", "network", "it says", "verdict", right=("price",))
    for listing in shown:
        chosen, said = listing.choice is not None, listing.description or listing.name
        rows.add_row(
            Text("→" if chosen else "", "green"),
            Text(words(" ".join(part for part in (listing.tool or listing.method, listing.url) if part), 400)),
            Text("" if listing.price is None else str(listing.price)),
            Text(", ".join(dict.fromkeys(network_name(offer.network) for offer in _offers(listing)))),
            Text(seller_text(said, _DESCRIPTION) if said else "", "dim"),
            Text("would be paid", "green") if chosen else Text(_reason(listing), "dim"),
        )
    return rows


def _offers(listing: Listing) -> tuple[Offer, ...]:
    """Return the offer that would be paid, else all of them."""
    return (listing.choice,) if listing.choice is not None else listing.offers


def _reason(listing: Listing) -> str:
    """Return one reason against it: that against its host, else that against an offer, one with a price first."""
    offers = sorted(listing.offers, key=lambda offer: offer.price is None)
    reasons = (listing.refusal, *(offer.reason or "" for offer in offers), *listing.faults)
    return in_own_words(words(next((reason for reason in reasons if reason), ""), _REASON))


def _document(found: Listings, shown: list[Listing]) -> dict[str, Any]:
    return {
        "listings": [_listing(listing) for listing in shown],
        "skipped": found.skipped,
        "faults": list(found.faults),
        "failures": list(found.failures),
        "partial": found.partial,
    }


def _listing(listing: Listing) -> dict[str, Any]:
    price = listing.price
    return {
        "url": listing.url,
        "kind": listing.kind,
        "method": listing.method or None,
        "tool": listing.tool or None,
        "name": listing.name,
        "description": listing.description,
        "tags": list(listing.tags),
        "price": None if price is None else number(price),
        "currency": None if price is None else price.currency,
        "would_be_paid": listing.choice is not None,
        "choice": listing.choice.position if listing.choice else None,
        "refusal": in_own_words(listing.refusal) or None,
        "offers": [offer_document(offer) for offer in listing.offers],
        "faults": list(listing.faults),
        "schema": listing.schema,
        "example": listing.example,
        "template": listing.template,
        "updated": listing.updated.isoformat() if listing.updated else None,
        "facilitator": listing.facilitator,
    }
