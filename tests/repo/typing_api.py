"""Never run: mypy --strict and pyright read it, and fail where a public type changes."""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from collections.abc import Awaitable, Generator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, assert_type

import aiohttp
import httpx
import httpx2
import mcp
import requests

import x402_client
import x402_client.adapters
import x402_client.agents
import x402_client.aiohttp
import x402_client.buyer
import x402_client.core
import x402_client.httpx
import x402_client.httpx2
import x402_client.ledgers
import x402_client.ledgers.redis
import x402_client.ledgers.sqlite
import x402_client.mcp
import x402_client.policy
import x402_client.requests
from x402_client import (
    Allowance,
    Approval,
    Buyer,
    Exposure,
    Hold,
    Limit,
    Money,
    Offer,
    Outcome,
    Policy,
    Quote,
    Receipt,
    SignIn,
    Statement,
    Token,
    Wallet,
    errors,
    otel,
    outcome,
    receipt,
)
from x402_client.adapters import Exchange
from x402_client.agents import (
    AsyncTools,
    Tools,
    as_langchain,
    as_openai_agents,
    as_pydantic_ai,
    as_smolagents,
    payable_tool,
    tools,
)
from x402_client.buyer import AllowanceBalance, Payer, Scope
from x402_client.buyer.answers import Answers, AsyncAnswers
from x402_client.core import (
    AllowanceMark,
    AllowanceRecord,
    AllowanceTerms,
    Approver,
    Ask,
    AsyncCourier,
    Attempt,
    Authorization,
    BodyDigest,
    Busy,
    Courier,
    Delivery,
    EvmSigner,
    Failure,
    Fetch,
    HttpRequest,
    Ledger,
    LedgerExtras,
    Order,
    Purchase,
    Reply,
    Scheme,
    SettlementReader,
    Sign,
    Signed,
    SignTyped,
    SolanaSigner,
    Spending,
    TypedData,
    body_digest,
)
from x402_client.discovery import AsyncListings, Listing, Listings, adiscover, discover
from x402_client.events import Event
from x402_client.ledgers import MemoryLedger, RedisLedger, SqliteLedger
from x402_client.sandbox import Sandbox, Settlement, Visit
from x402_client.schemes.exact_evm import ExactEvm
from x402_client.signers import ContractSigner, SafeSigner

MoneyState = Literal["untouched", "held", "spent", "unknown"]


class Demo:
    name = "demo"

    def is_address(self, text: str) -> bool:
        return bool(text)

    def canonical(self, address: str) -> str:
        return address


class Voucher:
    name, family = "voucher", Demo()

    def objection(self, offer: Offer) -> str | None:
        return None

    def remark(self, offer: Offer) -> str | None:
        return None

    def sign(self, offer: Offer, validity: int) -> Generator[Ask[Any], Any, Signed]:
        given = yield from Sign("demo", b"")
        assert_type(given.signature, bytes)
        return Signed({}, "nonce", "payer", 1)


def amounts() -> None:
    assert_type(Money("0.10") + Money(2) - Money(Decimal("1.5"), "EUR"), Money)
    assert_type(Money("1").units, int)
    assert_type(Money("1").amount, Decimal)
    assert_type(Money("1").currency, str)
    assert_type(Token("base", "0x", "USDC", 6, "USD Coin", "2", "USD").price(1), Money)
    Limit(per_request="0.50", per_hour=2, per_day=["5", Money("3 EUR")], max_payments=["30/minute"], total=Decimal(1))
    Money(0.1)  # type: ignore[arg-type]
    Limit(per_day=0.1)  # type: ignore[arg-type]
    Limit(per_dya="5")  # type: ignore[arg-type]


def building() -> Buyer:
    policy = Policy(
        per_request="0.10",
        per_minute=1,
        per_hour="1",
        per_day=["5", "4 EUR"],
        per_month=Decimal(9),
        total=Money(90),
        max_payments="30/minute",
        hosts={"api.example.com": Limit(per_day="1", pay_ahead="same body"), "bad.example": "deny"},
        only_listed_hosts=False,
        networks=["base", "solana"],
        assets=("USDC",),
        tokens=[Token("base", "0x")],
        pay_to="0x",
        approve_above="1",
        accept_loss="0",
        pay_ahead=True,
        http_hosts=["localhost"],
        validity=600,
        allow_zero=False,
        check_funds=False,
        permits=True,
        sign_in="paid",
        seller_keys=["did:web:keys.example"],
    )
    assert_type(Wallet.from_env(), Wallet)
    assert_type(Policy.from_env(), Policy)
    assert_type(Buyer.from_env(purse="a", policy=Policy.from_env(), rpc={"base": "https://a.example"}), Buyer)
    Buyer.from_env(pruse="a")  # type: ignore[call-arg]
    Buyer.from_env(purse=5)  # type: ignore[arg-type]
    Buyer(Wallet.from_env(), legder="a.db")  # type: ignore[arg-type]
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
    Wallet(evm=ContractSigner("0x", lambda document: b"", deploy=("0x", b""), blocking=False))
    Wallet(evm=ContractSigner("0x", sign_digest=lambda digest: digest.hex()))
    assert_type(SafeSigner("0x", [b"", "0x", OwnSigner()], deploy=("0x", "0x")).address, str)
    ContractSigner("0x", sign=5)  # type: ignore[arg-type]
    Buyer(Wallet(further={"demo": object()}), schemes=[ExactEvm("0x"), Voucher()])
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
    assert_type(buyer.unfreeze(), tuple[str, ...])
    assert_type(buyer.freezes(), tuple[str, ...])
    assert_type(buyer.exposures(), tuple[Exposure, ...])
    assert_type(buyer.close(), None)
    assert_type(hold.nonce, str | None)
    assert_type((hold.url, hold.host), tuple[str, str])
    assert_type((hold.allowance, hold.path), tuple[str | None, tuple[str, ...]])


async def awaiting(buyer: Buyer, hold: Hold) -> None:
    assert_type(await buyer.aspent(), Money)
    assert_type(await buyer.aremaining(), Money | None)
    assert_type(await buyer.aholds(), tuple[Hold, ...])
    assert_type(await buyer.ahistory(), tuple[Hold, ...])
    assert_type(await buyer.aexposures(), tuple[Exposure, ...])
    assert_type(await buyer.awrite_off(hold), Hold)


def scopes(buyer: Buyer, quote: Quote) -> None:
    with buyer.purchase(key="order-42", per_request="0.50", quote=quote) as scope:
        assert_type(scope.run(len, "abc"), int)


def allowances(buyer: Buyer) -> None:
    run = buyer.allowance(
        "1.00", minutes=60, name="run-42", hosts=["a.example"], per_request=["0.10", Money("1 EUR")]
    )  # fmt: skip
    assert_type(run, Allowance)
    assert_type(run.allowance(Decimal("0.5"), minutes=0.5), Allowance)
    assert_type((run.spent, run.remaining, run.name), tuple[Money, Money, str])
    assert_type((run.amounts, run.parent, run.until), tuple[tuple[Money, ...], Allowance | None, datetime | None])
    assert_type((run.holds(), run.history(5)), tuple[tuple[Hold, ...], tuple[Hold, ...]])
    assert_type(run.balance("EUR"), AllowanceBalance)
    assert_type(run.close(), None)
    assert_type(run.freeze(), None)
    assert_type(run.unfreeze(), None)
    assert_type(run.purchase(key="order-42"), Scope)
    assert_type(run.run(len, "abc"), int)
    with run as entered:
        assert_type(entered, Allowance)
    payer: Payer = run
    assert_type(x402_client.httpx.wrap(httpx.Client(), payer), httpx.Client)
    x402_client.requests.wrap(requests.Session(), run)
    x402_client.httpx.PaymentTransport(run)
    Exchange(run)
    buyer.allowance(0.1)  # type: ignore[arg-type]
    buyer.allowance("1", hours=1)  # type: ignore[call-arg]


async def async_allowances(buyer: Buyer, session: aiohttp.ClientSession) -> None:
    run = await buyer.aallowance("1.00")
    assert_type(await run.aallowance("0.50", name="step"), Allowance)
    assert_type((await run.aspent(), await run.aremaining()), tuple[Money, Money])
    assert_type(await run.abalance(), AllowanceBalance)
    assert_type((await run.aholds(), await run.ahistory()), tuple[tuple[Hold, ...], tuple[Hold, ...]])
    assert_type(await run.aclose(), None)
    await run.afreeze()
    await run.aunfreeze()
    x402_client.aiohttp.wrap(session, run)


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


async def mcp_sessions(session: mcp.ClientSession, client: mcp.Client, buyer: Buyer) -> None:
    assert_type(x402_client.mcp.wrap(session, buyer), mcp.ClientSession)
    assert_type(x402_client.mcp.wrap(client, buyer, name="reports"), mcp.Client)
    assert_type(await x402_client.mcp.quote(session, "weather", {"city": "Bern"}), Quote)
    result = await session.call_tool("weather", {"city": "Bern"})
    assert_type(x402_client.mcp.outcome(result), Outcome | None)
    assert_type(x402_client.mcp.receipt(result), Receipt | None)
    x402_client.mcp.wrap(session, buyer, 5)  # type: ignore[arg-type]


async def async_quotes(client: httpx.AsyncClient) -> None:
    asked: Awaitable[Quote] = x402_client.httpx.quote(client, "GET", "https://a.example")
    assert_type(await asked, Quote)


def quotes(quote: Quote) -> None:
    assert_type(quote.offers, tuple[Offer, ...])
    assert_type(quote.choice, Offer | None)
    assert_type(quote.reasons, tuple[str, ...])
    assert_type(quote.free, bool)
    assert_type(quote.sign_in, SignIn | None)
    if quote.sign_in is not None:
        assert_type(quote.sign_in.reason, str | None)
        assert_type(quote.sign_in.networks, tuple[str, ...])
    for offer in quote.offers:
        assert_type((offer.price, offer.reason, offer.amount), tuple[Money | None, str | None, int])
        assert_type(offer.signed, Statement | None)


def receipts(response: httpx.Response) -> None:
    found = receipt(response)
    assert_type(found, Receipt | None)
    if found is not None:
        assert_type((found.success, found.transaction, found.network), tuple[bool, str, str])
        assert_type((found.payer, found.amount), tuple[str | None, int | None])
        if found.signed is not None:
            assert_type((found.signed.signer, found.signed.vouched), tuple[str, bool])
            assert_type(found.signed.problems, tuple[str, ...])


def outcomes(one: httpx.Response, two: httpx2.Response, three: requests.Response, failure: Exception) -> None:
    for found in (outcome(one), outcome(two), outcome(three), outcome(failure)):
        assert_type(found, Outcome | None)
        if found is not None:
            assert_type(found.accept(), bool)
            assert_type(found.reject(), bool)
        if found is not None:
            assert_type(found.money, MoneyState)
            assert_type(found.hold, Hold)
            assert_type(found.hold.nonce, str | None)
            assert_type((found.offer, found.receipt), tuple[Offer, Receipt | None])
            assert_type(found.mismatches, tuple[str, ...])
    assert_type(x402_client.httpx.outcome(one), Outcome | None)
    assert_type(x402_client.httpx2.outcome(two), Outcome | None)
    assert_type(x402_client.requests.outcome(three), Outcome | None)
    assert_type(x402_client.requests.receipt(three), Receipt | None)
    _ = outcome(one).money  # type: ignore[union-attr]


def failures(problem: Exception) -> None:
    found = errors.find(problem)
    assert_type(found, errors.X402Error | None)
    if found is not None:
        assert_type(found.money, MoneyState)
        assert_type((found.hold, found.offer), tuple[Hold | None, Offer | None])
        if found.hold is not None:
            assert_type(found.hold.nonce, str | None)
            assert_type(found.hold.price, Money)
        _ = found.hold.nonce  # type: ignore[union-attr]
    if isinstance(found, errors.OverLimit):
        assert_type(
            (found.limit, found.asked, found.spent), tuple[Money | int | None, Money | int | None, Money | int | None]
        )
        assert_type(found.resets_at, datetime | None)
        assert_type(found.host, str | None)
        assert_type(found.window, str | None)
    if isinstance(found, errors.HostNotAllowed):
        assert_type(found.resets_at, datetime | None)
    if isinstance(found, errors.NoAcceptableOffer):
        assert_type(found.reasons, tuple[str, ...])
    if isinstance(found, errors.PaymentOutcomeUnknown):
        assert_type(found.wait_until, datetime | None)
    if isinstance(found, errors.AlreadyPaid):
        assert_type(found.receipt, Receipt | None)
    errors.TooExpensive("dear", reasons=("one",), limit=Money(1), asked=Money(2), offer=None, response=None)
    errors.PaymentRejected("no", hold="hold")  # type: ignore[arg-type]
    errors.AlreadyPaid("twice", receipt="receipt")  # type: ignore[arg-type]
    errors.TooExpensive("dear", nonsense=1)  # type: ignore[call-arg]


class OwnCourier:
    """One for a client that has no face."""

    def __init__(self) -> None:
        self.request = HttpRequest.of("GET", "https://a.example")

    def send(self, header: tuple[str, str] | None) -> Reply:
        return Reply(200, {"a": "b"}.get, object())

    def peek(self, reply: Reply) -> bytes | None:
        return None

    def digest(self) -> BodyDigest:
        return body_digest(b"")

    def hand_over(self, reply: Reply, delivery: Delivery | None) -> tuple[int, Outcome | None]:
        assert_type(reply.outcome, Outcome | None)
        return reply.status, reply.outcome

    def let_go(self, kept: Any) -> None: ...

    def failed(self, failure: Exception) -> Failure:
        return "timeout"


class OwnAsyncCourier:
    """One for an async client that has no face."""

    def __init__(self) -> None:
        self.request = HttpRequest.of("GET", "https://a.example")

    async def send(self, header: tuple[str, str] | None) -> Reply:
        return Reply(200, {"a": "b"}.get, object())

    async def peek(self, reply: Reply) -> bytes | None:
        return None

    async def digest(self) -> BodyDigest:
        return body_digest(iter([b"", b""]), "application/json")

    async def hand_over(self, reply: Reply, delivery: Delivery | None) -> int:
        return reply.status

    async def let_go(self, kept: Any) -> None: ...

    def failed(self, failure: Exception) -> Failure:
        return "lost"


async def own_clients(buyer: Buyer, sync_one: OwnCourier, async_one: OwnAsyncCourier) -> None:
    courier: Courier = sync_one
    async_courier: AsyncCourier = async_one
    assert_type(buyer.answers(sync_one), Answers)
    assert_type(buyer.answers(async_one), AsyncAnswers)
    assert_type((buyer.answers(courier), buyer.answers(async_courier)), tuple[Answers, AsyncAnswers])
    Exchange(buyer).send(sync_one)
    await Exchange(buyer, is_async=True).asend(async_one)
    Exchange(buyer).send(async_one)  # type: ignore[arg-type]
    await Exchange(buyer).asend(sync_one)  # type: ignore[arg-type]
    buyer.answers(object())  # type: ignore[call-overload]


class OwnLedger:
    """One that keeps nothing."""

    def reserve(self, order: Order, attempt: Attempt) -> Hold | Busy:
        assert_type((order.purchase, order.offer, order.price), tuple[Purchase, Offer, Money])
        return Hold("1", order.purchase, order.offer, order.price, 0.0)

    def claim(self, purchase: Purchase, attempt: Attempt) -> Hold | Busy | None:
        return None

    def record(self, hold: Hold, authorization: Authorization) -> Hold:
        return hold.but(authorization=authorization)

    def release(self, hold: Hold) -> None: ...

    def close(self, hold: Hold, money: errors.MoneyState, receipt: Receipt | None) -> None: ...

    def write_off(self, hold: Hold) -> Hold:
        return hold

    def conclude(self, hold: Hold, settled: bool) -> bool:
        return True

    def spent(self, question: Spending) -> int:
        return 0

    def holds(self, purse: str = "default") -> tuple[Hold, ...]:
        return ()

    def history(self, limit: int, purse: str = "default") -> tuple[Hold, ...]:
        return ()

    def freeze(self, pattern: str) -> None: ...

    def unfreeze(self, pattern: str) -> None: ...

    def freezes(self) -> tuple[str, ...]:
        return ()

    def open_allowance(self, terms: AllowanceTerms) -> AllowanceRecord:
        return AllowanceRecord(terms, 0.0, None)

    def mark_allowance(self, purse: str, account: str, mark: AllowanceMark) -> bool:
        return False

    def allowances(self, purse: str = "default", accounts: tuple[str, ...] = ()) -> tuple[AllowanceRecord, ...]:
        return ()


class OwnScheme:
    """One that signs typed data."""

    name = "own"
    family = "eip155"

    def objection(self, offer: Offer) -> str | None:
        return None

    def remark(self, offer: Offer) -> str | None:
        return None

    def sign(self, offer: Offer, validity: int) -> Generator[Ask[Any], Any, Signed]:
        height = yield from Fetch(lambda: 7)
        assert_type(height, int)
        given = yield from SignTyped(TypedData(b"", dict))
        assert_type((given.signature, given.trusted, given.seconds), tuple[bytes, bool, float])
        return Signed({}, "nonce", "payer", validity)


class OwnSigner:
    """One whose signatures come later."""

    address = "0x"

    async def sign_typed_data(self, full_message: dict[str, Any]) -> bytes:
        return b""

    async def sign_message(self, message: bytes) -> str:
        return ""


class OwnReader:
    """One that knows nothing."""

    def read(self, hold: Hold) -> Literal["unknown"]:
        return "unknown"


def doors(approve: Approver) -> Buyer:
    schemes: list[Scheme] = [OwnScheme()]
    ledger: Ledger = OwnLedger()
    evm: EvmSigner = OwnSigner()
    solana: SolanaSigner = OwnSigner()
    reader: SettlementReader = OwnReader()
    return Buyer(Wallet(evm=evm, solana=solana), ledger=ledger, reader=reader, approve=approve, schemes=schemes)


def what_is_not_there() -> None:
    """A name that is loaded when it is asked for is typed, and any other is a mistake."""
    assert_type(x402_client.Money, type[Money])
    assert_type(x402_client.core.Hold, type[Hold])
    _ = x402_client.nonsense  # type: ignore[attr-defined]
    _ = x402_client.adapters.nonsense  # type: ignore[attr-defined]
    _ = x402_client.buyer.nonsense  # type: ignore[attr-defined]
    _ = x402_client.core.nonsense  # type: ignore[attr-defined]
    _ = x402_client.policy.nonsense  # type: ignore[attr-defined]
    _ = x402_client.ledgers.nonsense  # type: ignore[attr-defined]
    _ = x402_client.ledgers.redis.nonsense  # type: ignore[attr-defined]
    _ = x402_client.ledgers.sqlite.nonsense  # type: ignore[attr-defined]
    _ = errors.nonsense  # type: ignore[attr-defined]
    _ = x402_client.Buyer.nonsense  # type: ignore[attr-defined]


def ledgers() -> None:
    memory, file, server = MemoryLedger(), SqliteLedger("spend.db"), RedisLedger("redis://h")
    ports: list[Ledger] = [memory, file, server, server.asynchronous]
    extras: list[LedgerExtras] = [memory, file, server, server.asynchronous]
    for ledger in (None, "spend.db", Path("spend.db"), *ports):
        assert_type(Buyer(Wallet(evm="0x"), ledger=ledger).ledger, Ledger)
    assert_type([one.fresh for one in extras], list[bool])
    Buyer(Wallet(evm="0x"), ledger=5)  # type: ignore[arg-type]


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


async def giving_tools(buyer: Buyer, client: httpx.Client, other: httpx.AsyncClient) -> None:
    own = tools(client, buyer, hosts=["a.example"], facilitator="https://a", max_body=100, currency="EUR")
    assert_type(own, Tools)
    assert_type(own.paid_fetch("https://a", max_usd="0.05"), dict[str, Any])
    assert_type(tools(requests.Session(), buyer), Tools)
    assert_type(tools(httpx2.Client(), buyer), Tools)
    assert_type(tools(other, buyer), AsyncTools)
    assert_type(tools(aiohttp.ClientSession(), buyer), AsyncTools)
    assert_type(await tools(other, buyer).budget(), dict[str, Any])
    made = payable_tool(
        client, buyer, "https://a/{b}", {"properties": {}}, "0.05", method="POST", name="a", hosts=["a"]
    )
    for framework in (as_langchain, as_openai_agents, as_pydantic_ai, as_smolagents):
        assert_type(framework([made, *own]), list[Any])
    assert_type(x402_client.agents.wrap(object(), buyer), tuple[str, ...])
    tools("client", buyer)  # type: ignore[call-overload]


async def discovering(buyer: Buyer, policy: Policy) -> None:
    found = discover("weather", facilitator=["https://a"], network="base", max_price="0.05", kind="http", buyer=buyer)
    assert_type(found, Listings)
    for listing in found:
        assert_type(listing, Listing)
        assert_type(
            (listing.price, listing.choice, listing.reasons), tuple[Money | None, Offer | None, tuple[str, ...]]
        )
        assert_type((listing.kind, listing.updated), tuple[Literal["http", "mcp"], datetime | None])
    assert_type((found.skipped, found.faults, found.failures), tuple[int, tuple[str, ...], tuple[str, ...]])
    found_too = adiscover(policy=policy, limit=5, pages=2, timeout=3, headers={"a": "b"})
    assert_type(found_too, AsyncListings)
    assert_type([listing async for listing in found_too], list[Listing])
    discover(kind="ftp")  # type: ignore[arg-type]
    discover(max_price=0.05)  # type: ignore[arg-type]


def watching(event: Event) -> None:
    Buyer(Wallet(evm="0x"), on_event=otel.listener(watching))
    assert_type((event.method, event.url), tuple[str, str])
