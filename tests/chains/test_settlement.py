"""Did it settle? On a real chain, past expiry and before; and from endpoints that lie, lag, garble and contradict."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import anyio
import httpx
import pytest
from eth_account import Account

import x402_client.httpx
from tests.promises.broken_connection import BreaksAroundPayments
from tests.real.world import World
from x402_client import Buyer, Policy, Wallet, errors
from x402_client.chains import rpc as module
from x402_client.chains.rpc import Endpoints
from x402_client.chains.settlement import ChainReader
from x402_client.chains.tokens import Tokens
from x402_client.model.holds import Authorization, Hold, Purchase
from x402_client.model.hosts import Origin
from x402_client.model.offers import Offer

from .scripted_rpc import Answer, Scripted, body, error, result, status

NETWORK = "eip155:84532"
TOKEN = Tokens().find(NETWORK, "USDC")
assert TOKEN is not None
YES, NO = result("0x" + "0" * 63 + "1"), result("0x" + "0" * 64)


@pytest.fixture(autouse=True)
def _no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSES", (0.01,))


def hold(payer: str, nonce: str, expires: float) -> Hold:
    purchase = Purchase("id", "request", False, "GET", "http://seller/", Origin("http", "seller", 80))
    offer = Offer(1, 2, "exact", NETWORK, 10_000, TOKEN.address, payer, token=TOKEN, price=TOKEN.price(10_000))
    signed = Authorization(nonce, payer, int(expires), ("X-PAYMENT", ""))
    return Hold("1", purchase, offer, TOKEN.price(10_000), time.time(), "signed", authorization=signed)


def read(this: Hold, *endpoints: Scripted) -> str:
    urls = tuple(endpoint.url for endpoint in endpoints)
    return ChainReader(Endpoints({NETWORK: urls})).read(this)


def block(number: int, timestamp: float) -> Answer:
    return result({"number": hex(number), "timestamp": hex(int(timestamp))})


SOME = hold(Account.create().address, "0x" + "11" * 32, time.time() - 100)


def test_used_is_settled() -> None:
    with Scripted(eth_call=YES) as endpoint:
        assert read(SOME, endpoint) == "settled"
    [identity, asked] = endpoint.asked
    assert identity["method"] == "eth_chainId"
    data = asked["params"][0]["data"]
    assert data.startswith("0xe94a0102" + "0" * 24)
    assert data.endswith("11" * 32)
    assert asked["params"][0]["to"] == TOKEN.address


def test_unused_in_a_deep_block_past_expiry_is_not_settled() -> None:
    with Scripted(eth_call=NO, eth_getBlockByNumber=block(70, time.time())) as endpoint:
        assert read(SOME, endpoint) == "not_settled"
    assert [asked["params"][-1] for asked in endpoint.asked if asked["method"] == "eth_call"] == ["latest", hex(70)]


EXPIRES = SOME.authorization.expires  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("head", "deep", "expected"),
    [
        (-100, -700, "live"),
        (-1, -100, "live"),
        # The token takes it while a block's timestamp is before ``validBefore``: it can not be mined any more.
        (0, -100, "unknown"),
        (100, -100, "unknown"),
        (100, 0, "unknown"),
        (200, 1, "not_settled"),
    ],
)
def test_the_chains_own_clock_tells_what_lives(head: float, deep: float, expected: str) -> None:
    def blocks(asked: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        return block(70, EXPIRES + (deep if asked["params"][0] == "safe" else head))(asked)

    with Scripted(eth_call=NO, eth_getBlockByNumber=blocks) as endpoint:
        assert read(SOME, endpoint) == expected


def test_a_node_without_the_safe_tag_is_asked_for_a_block_well_behind_its_head() -> None:
    now = time.time()

    def blocks(asked: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        tag = asked["params"][0]
        if tag == "safe":
            return error(-32602, "unknown tag")(asked)
        return block(1_000 if tag == "latest" else int(tag, 16), now)(asked)

    with Scripted(eth_call=NO, eth_getBlockByNumber=blocks) as endpoint:
        assert read(SOME, endpoint) == "not_settled"
    assert endpoint.asked[-1]["params"][-1] == hex(1_000 - 64)


GARBAGE = [
    body(b""),
    body(b"<html>"),
    result(None),
    result("0x"),
    result("0x" + "f" * 64),
    result("0x1"),
    result({"a": 1}),
    result(True),
    status(503),
    error(-32000, "header not found"),
]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_tells_nothing(garbage: Answer) -> None:
    with Scripted(eth_call=garbage, eth_getBlockByNumber=block(70, time.time())) as endpoint:
        assert read(SOME, endpoint) == "unknown"


@pytest.mark.parametrize(
    "garbage",
    [*GARBAGE, result({"number": "0x46"}), result({"number": "70", "timestamp": "soon"}), block(1, 2**90)],
)
def test_garbage_about_blocks_tells_nothing(garbage: Answer) -> None:
    with Scripted(eth_call=NO, eth_getBlockByNumber=garbage) as endpoint:
        assert read(SOME, endpoint) == "unknown"


def test_all_witnesses_have_to_say_no_and_one_may_say_yes() -> None:
    past = block(70, time.time())
    with (
        Scripted(eth_call=NO, eth_getBlockByNumber=past) as no,
        Scripted(eth_call=NO, eth_getBlockByNumber=past) as no_too,
        Scripted(eth_call=NO, eth_getBlockByNumber=block(9, 9)) as lagging,
        Scripted(eth_call=YES) as yes,
        Scripted(status(404)) as down,
    ):
        assert read(SOME, no, no_too) == "not_settled"
        assert read(SOME, no, lagging) == read(SOME, lagging, no) == "live", "no loss is accepted on a contradiction"
        assert read(SOME, lagging, down) == "live"
        assert read(SOME, no, down) == "unknown"
        assert read(SOME, no, yes) == "settled"
        assert read(SOME, down, yes) == "settled"


def test_without_an_endpoint_or_a_signature_nothing_is_known() -> None:
    elsewhere = SOME.but(offer=Offer(1, 2, "exact", "eip155:999999", 1, "0x", "0x"))
    assert ChainReader(Endpoints({})).read(elsewhere) == "unknown"
    assert ChainReader(Endpoints({})).read(SOME.but(authorization=None)) == "unknown"


def reconcile(buyer: Buyer) -> Any:
    return buyer.reconcile()


def areconcile(buyer: Buyer) -> Any:
    return anyio.run(buyer.areconcile)


@pytest.mark.parametrize(
    ("arrives", "ask_chain"),
    [
        pytest.param(arrives, ask_chain, marks=pytest.mark.slow if arrives is (ask_chain is areconcile) else ())
        for arrives in (True, False)
        for ask_chain in (reconcile, areconcile)
    ],
)
def test_on_a_real_chain(
    own_world: World, arrives: bool, ask_chain: Callable[[Buyer], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    seller, account = own_world.seller("fastapi-v2"), own_world.buyer()
    buyer = Buyer(Wallet(evm=account), Policy(per_request="1", per_day="1"), rpc={"base-sepolia": own_world.chain.url})
    with (
        x402_client.httpx.wrap(httpx.Client(transport=BreaksAroundPayments(arrives)), buyer) as client,
        pytest.raises(errors.PaymentOutcomeUnknown) as raised,
    ):
        client.get(seller.url("/paid"))
    [unresolved] = buyer.holds()
    assert raised.value.hold.id == unresolved.id
    assert buyer.reader.read(unresolved) == ("settled" if arrives else "live"), "not yet expired"
    assert ask_chain(buyer).released == (), "an authorization that can still settle is not asked about"

    own_world.chain.advance(700)
    moved = time.time() + 700
    monkeypatch.setattr(time, "time", lambda: moved)
    found = ask_chain(buyer)
    if arrives:
        assert [one.id for one in found.settled] == [unresolved.id]
        assert [one.money for one in buyer.holds()] == ["spent"]
        assert buyer.spent(currency="USD (test)").units == 10_000
    else:
        assert [one.id for one in found.released] == [unresolved.id]
        assert buyer.holds() == ()
        assert buyer.spent(currency="USD (test)").units == 0


@pytest.mark.parametrize(
    ("answer", "late", "expected"),
    [
        ("settled", 1, "settled"),
        ("unknown", 1000, "unknown"),
        ("nonsense", 1000, "unknown"),
        (None, 1000, "unknown"),
        ("not_settled", 1, "unknown"),
        ("not_settled", 1000, "released"),
    ],
)
def test_a_reader_of_ones_own_is_believed_with_a_margin(answer: Any, late: float, expected: str) -> None:
    class Reader:
        def read(self, this: Hold) -> Any:
            return answer

    class AsyncReader:
        async def read(self, this: Hold) -> Any:
            return answer

    for reader, ask_chain in ((Reader(), reconcile), (Reader(), areconcile), (AsyncReader(), areconcile)):
        buyer = Buyer(Wallet(evm="11" * 32), Policy(per_request="1"), reader=reader, ledger=":memory:")
        expired = hold(Account.create().address, "0x" + "22" * 32, time.time() - late)
        unresolved(buyer, expired)
        found = ask_chain(buyer)
        assert len(getattr(found, expected)) == 1
        assert len(found.released + found.settled + found.unknown) == 1


def unresolved(buyer: Buyer, like: Hold) -> None:
    from x402_client.model.holds import Attempt, Order

    attempt = Attempt()
    reserved = buyer.ledger.reserve(Order(like.purchase, like.offer, like.price, ()), attempt)
    buyer.ledger.record(reserved, like.authorization)
    attempt.end()


def test_a_reader_is_checked_when_building() -> None:
    with pytest.raises(errors.ConfigurationError, match="reader"):
        Buyer(Wallet(evm="11" * 32), reader=lambda this: "settled")
