"""Never run: mypy --strict reads it, and fails where a public type changes."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, assert_type

import aiohttp
import httpx
import httpx2
import requests

import x402_client.aiohttp
import x402_client.httpx
import x402_client.httpx2
import x402_client.requests
from x402_client import Buyer, Limit, Money, Policy, Token, Wallet, errors, otel, receipt
from x402_client.events import Event
from x402_client.model.holds import Hold, Outcome
from x402_client.model.offers import Offer, Quote, Receipt
from x402_client.model.signing import Approval
from x402_client.sandbox import Sandbox, Settlement, Visit


def amounts() -> None:
    assert_type(Money("0.10") + Money(2) - Money(Decimal("1.5"), "EUR"), Money)
    assert_type(Money("1").units, int)
    assert_type(Money("1").amount, Decimal)
    assert_type(Money("1").currency, str)
    assert_type(Token("base", "0x", "USDC", 6, "USD Coin", "2", "USD").price(1), Money)
    Limit(per_request="0.50", per_hour=2, per_day=["5", Money("3 EUR")], max_payments=["30/minute"], total=Decimal(1))
    Money(0.1)  # type: ignore[arg-type]
    Limit(per_day=0.1)  # type: ignore[arg-type]


def building() -> Buyer:
    policy = Policy(
        per_request="0.10",
        per_minute=1,
        per_hour="1",
        per_day=["5", "4 EUR"],
        per_month=Decimal(9),
        total=Money(90),
        max_payments="30/minute",
        hosts={"api.example.com": Limit(per_day="1"), "bad.example": "deny"},
        only_listed_hosts=False,
        networks=["base", "solana"],
        assets=("USDC",),
        tokens=[Token("base", "0x")],
        pay_to="0x",
        approve_above="1",
        accept_loss="0",
        pay_ahead=False,
        http_hosts=["localhost"],
        validity=600,
        allow_zero=False,
        check_funds=False,
    )
    assert_type(Wallet.from_env(), Wallet)
    assert_type(Wallet.from_keystore("wallet", passphrase="words"), Wallet)
    assert_type(Wallet.from_keystore(Path("wallet.json")), Wallet)
    assert_type(Wallet.from_mnemonic("twelve words"), Wallet)
    assert_type(Policy.from_file("policy.toml"), Policy)
    assert_type(Policy.from_file(Path("policy.toml")), Policy)
    Policy(per_day=0.5)  # type: ignore[arg-type]
    Policy("0.10")  # type: ignore[call-arg]

    def sync_approver(approval: Approval) -> bool:
        assert_type(approval.price, Money)
        return approval.host == "api.example.com"

    async def async_approver(approval: Approval) -> bool:
        return True

    Buyer(Wallet(evm="0x"), approve=async_approver)
    return Buyer(
        wallet=Wallet(evm=b"", solana=None),
        policy=policy,
        ledger=":memory:",
        purse="default",
        rpc={"base": "https://a.example", "solana": ["https://b.example"]},
        reader=None,
        settle_timeout=None,
        approve=sync_approver,
        on_event=print,
        on_refusal="return",
        approve_timeout=None,
        terms_age=30,
    )


def asking(buyer: Buyer, hold: Hold) -> None:
    assert_type(buyer.spent(), Money)
    assert_type(buyer.spent("api.example.com", window="hour", currency="EUR"), Money)
    assert_type(buyer.remaining(), Money | None)
    assert_type(buyer.holds(), tuple[Hold, ...])
    assert_type(buyer.history(limit=5), tuple[Hold, ...])
    assert_type(buyer.write_off(hold), Hold)
    assert_type(buyer.freeze("*"), None)
    assert_type(buyer.unfreeze(), None)
    assert_type(buyer.close(), None)
    assert_type(hold.nonce, str | None)
    assert_type((hold.url, hold.host), tuple[str, str])


async def awaiting(buyer: Buyer, hold: Hold) -> None:
    assert_type(await buyer.aspent(), Money)
    assert_type(await buyer.aremaining(), Money | None)
    assert_type(await buyer.aholds(), tuple[Hold, ...])
    assert_type(await buyer.ahistory(), tuple[Hold, ...])
    assert_type(await buyer.awrite_off(hold), Hold)


def scopes(buyer: Buyer, quote: Quote) -> None:
    with buyer.purchase(key="order-42", per_request="0.50", quote=quote) as scope:
        assert_type(scope.run(len, "abc"), int)


def clients(buyer: Buyer) -> None:
    assert_type(x402_client.httpx.wrap(httpx.Client(), buyer), httpx.Client)
    assert_type(x402_client.httpx.wrap(httpx.AsyncClient(), buyer), httpx.AsyncClient)
    assert_type(x402_client.httpx2.wrap(httpx2.Client(), buyer), httpx2.Client)
    assert_type(x402_client.httpx2.wrap(httpx2.AsyncClient(), buyer), httpx2.AsyncClient)
    assert_type(x402_client.requests.wrap(requests.Session(), buyer), requests.Session)
    httpx.Client(transport=x402_client.httpx.PaymentTransport(buyer, httpx.HTTPTransport()))
    httpx.AsyncClient(transport=x402_client.httpx.AsyncPaymentTransport(buyer))
    requests.Session().mount("https://", x402_client.requests.PaymentAdapter(buyer))
    assert_type(x402_client.httpx.quote(httpx.Client(), "GET", "https://a.example"), Quote)
    assert_type(x402_client.requests.quote(requests.Session(), "GET", "https://a.example"), Quote)


async def aiohttp_sessions(session: aiohttp.ClientSession, response: aiohttp.ClientResponse, buyer: Buyer) -> None:
    assert_type(x402_client.aiohttp.wrap(session, buyer), aiohttp.ClientSession)
    assert_type(await x402_client.aiohttp.quote(session, "GET", "https://a.example", timeout=None), Quote)
    assert_type(x402_client.aiohttp.receipt(response), Receipt | None)
    assert_type(x402_client.aiohttp.outcome(response), Outcome | None)
    x402_client.aiohttp.wrap(httpx.AsyncClient(), buyer)  # type: ignore[arg-type]


async def async_quotes(client: httpx.AsyncClient) -> None:
    asked: Awaitable[Quote] = x402_client.httpx.quote(client, "GET", "https://a.example")
    assert_type(await asked, Quote)


def quotes(quote: Quote) -> None:
    assert_type(quote.offers, tuple[Offer, ...])
    assert_type(quote.choice, Offer | None)
    assert_type(quote.reasons, tuple[str, ...])
    assert_type(quote.free, bool)
    for offer in quote.offers:
        assert_type((offer.price, offer.reason, offer.amount), tuple[Money | None, str | None, int])


def receipts(response: Any, outcome: Outcome) -> None:
    found = receipt(response)
    assert_type(found, Receipt | None)
    if found is not None:
        assert_type((found.success, found.transaction, found.network), tuple[bool, str, str])
        assert_type((found.payer, found.amount), tuple[str | None, int | None])
    assert_type(outcome.money, Literal["untouched", "held", "spent", "unknown"])
    assert_type(outcome.hold, Hold)


def failures(problem: Exception) -> None:
    found = errors.find(problem)
    assert_type(found, errors.X402Error | None)
    if found is not None:
        assert_type(found.money, Literal["untouched", "held", "spent", "unknown"])
    if isinstance(found, errors.OverLimit):
        assert_type(found.limit, Money | int | None)
        assert_type(found.resets_at, datetime | None)
    if isinstance(found, errors.NoAcceptableOffer):
        assert_type(found.reasons, tuple[str, ...])
    if isinstance(found, errors.PaymentOutcomeUnknown):
        assert_type(found.wait_until, datetime | None)


def sandboxes(policy: Policy) -> None:
    with Sandbox(port=0, slow=1.5, redeliver=True) as sandbox:
        assert_type(sandbox.sell("/a", "0.01", content={"a": 1}, fault=["slow", None], chains="evm", version=1), str)
        assert_type(sandbox.free("/b", b"bytes"), str)
        assert_type(sandbox.buyer(policy, wallet=sandbox.wallet(5, solana=False), ledger="a.db"), Buyer)
        assert_type(sandbox.key("solana"), str)
        assert_type(sandbox.settlements, list[Settlement])
        assert_type(sandbox.visits, list[Visit])
        assert_type(sandbox.balance("0x"), Money)
        assert_type(sandbox.rpc, dict[str, str])
        assert_type(sandbox.tokens, tuple[Token, ...])
        sandbox.order("slow", None)
        sandbox.advance(60)
        sandbox.sell("/a", 0.1)  # type: ignore[arg-type]


def watching(event: Event) -> None:
    Buyer(Wallet(evm="0x"), on_event=otel.listener(watching))
    assert_type((event.method, event.url), tuple[str, str])
