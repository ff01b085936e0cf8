"""A session that pays over an HTTP client that pays, too: one call is one payment, in whichever way it is asked for."""

from __future__ import annotations

import base64
import json
from typing import Any

import anyio
import httpx
import httpx2
import pytest
from mcp import MCPError

from x402_client import Buyer, Policy, outcome
from x402_client.adapters.sockets import straight_to_here
from x402_client.errors import HostNotAllowed, PaymentRejected
from x402_client.httpx2 import wrap as wrap_http
from x402_client.mcp import quote, wrap
from x402_client.model.hosts import Origin
from x402_client.sandbox import Sandbox

from .mcp_sessions import over_http
from .mcp_shop import Shop, Web, fetch, lost

pytestmark = pytest.mark.anyio
BERN = {"city": "Bern"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def shop_of(sandbox: Sandbox, **more: Any) -> Shop:
    sandbox.sell("/weather", "0.01")
    return Shop(sandbox.url, **more)


async def test_a_seller_that_asks_by_http_is_paid_by_the_http_client(mcp_sandbox: Sandbox, mcp_buyer: Buyer) -> None:
    with Web(shop_of(mcp_sandbox, by_http=True)) as web:
        async with (
            wrap_http(httpx2.AsyncClient(), mcp_buyer) as http_client,
            over_http(f"{web.url}/mcp", http_client) as session,
        ):
            result = await wrap(session, mcp_buyer).call_tool("weather", BERN)
    assert json.loads(result.content[0].text)["content"] == "worth it"  # type: ignore[union-attr]
    assert result.meta is not None
    assert result.meta["x402"]["money"] == "spent"
    assert len(mcp_sandbox.paid(mcp_buyer)) == len(mcp_buyer.history()) == 1


async def test_a_payment_in_the_body_is_not_paid_by_http_again(mcp_sandbox: Sandbox, mcp_buyer: Buyer) -> None:
    shop = shop_of(mcp_sandbox)

    class AsksTwice(Web):
        """Asks for the first call by a result, and by HTTP where the payment comes."""

        def post(self, handler: Any) -> None:
            self.shop.by_http = bool(self.shop.calls)
            super().post(handler)

    with AsksTwice(shop) as web:
        async with (
            wrap_http(httpx2.AsyncClient(), mcp_buyer) as http_client,
            over_http(f"{web.url}/mcp", http_client) as session,
        ):
            with pytest.raises(PaymentRejected) as caught:
                await wrap(session, mcp_buyer).call_tool("weather", BERN)
    assert caught.value.hold is not None
    [hold] = mcp_buyer.holds()
    assert (caught.value.hold.nonce, str(mcp_buyer.spent()), mcp_sandbox.paid(mcp_buyer)) == (
        hold.nonce,
        "0.01 USD",
        [],
    )


async def test_a_tool_that_was_paid_by_http_is_not_paid_again_for_its_result(
    mcp_sandbox: Sandbox, mcp_buyer: Buyer
) -> None:
    shop = shop_of(mcp_sandbox, by_http=True)
    _, headers, _ = fetch(f"{mcp_sandbox.url}/weather", 2, None)
    terms = json.loads(base64.b64decode(headers["payment-required"]))
    asks = {"result": {"isError": True, "structuredContent": terms, "content": []}}
    shop.tools["weather"] = lambda params: asks
    with Web(shop) as web:
        async with (
            wrap_http(httpx2.AsyncClient(), mcp_buyer) as http_client,
            over_http(f"{web.url}/mcp", http_client) as session,
        ):
            wrap(session, mcp_buyer)
            with pytest.raises(PaymentRejected, match="one call pays at most once") as caught:
                await session.call_tool("weather", BERN)
            assert caught.value.hold is not None
            [hold] = mcp_buyer.holds()
            assert caught.value.hold.nonce == hold.nonce
            assert "The first payment stays open: the same call presents it again" in str(caught.value)
    assert len(mcp_sandbox.paid(mcp_buyer)) == 1
    assert mcp_buyer.history() == ()


class AfterPayment(Web):
    """A server that asks by HTTP 402, takes any payment, and then answers in its own way."""

    def __init__(self, shop: Shop, path: str, answer: Any) -> None:
        super().__init__(shop)
        self.path, self.made = path, answer
        self.presented: list[str] = []

    def post(self, handler: Any) -> None:
        header = handler.headers.get("payment-signature")
        self.shop.by_http = header is None
        if header is not None:
            self.presented.append(header)
            self.shop.tools["weather"] = lambda params: self.made
        handler.path = self.path if handler.path == "/mcp" else handler.path
        super().post(handler)


FAILS = {"result": {"isError": True, "content": [{"type": "text", "text": "No such city."}]}}
BREAKS = {"error": {"code": -32603, "message": "Internal error"}}
GOOD = {"result": {"content": [{"type": "text", "text": "Sun."}]}}


@pytest.mark.parametrize("path", ["/mcp", "/events"])
@pytest.mark.parametrize("wraps_session", [True, False])
@pytest.mark.parametrize("answer", [FAILS, BREAKS], ids=["isError", "error"])
async def test_an_error_after_a_payment_by_http_is_no_delivery(
    mcp_sandbox: Sandbox, mcp_buyer: Buyer, path: str, wraps_session: bool, answer: Any
) -> None:
    with AfterPayment(shop_of(mcp_sandbox), path, answer) as web:
        async with (
            wrap_http(httpx2.AsyncClient(), mcp_buyer) as http_client,
            over_http(f"{web.url}/mcp", http_client) as session,
        ):
            if wraps_session:
                wrap(session, mcp_buyer)
            told = [await _told(session) for _ in range(2)]
            [hold] = mcp_buyer.holds()
            assert (str(mcp_buyer.spent()), mcp_buyer.history()) == ("0.01 USD", ())
            if wraps_session:
                assert [one is not None and (one.money, one.hold.nonce) for one in told] == [
                    ("unknown", hold.nonce),
                ] * 2
            web.made = GOOD
            assert not (await session.call_tool("weather", BERN)).is_error
    assert len(set(web.presented)) == 1
    assert len(web.presented) == 3
    assert ([one.nonce for one in mcp_buyer.history()], mcp_buyer.holds()) == ([hold.nonce], ())


JSON, EVENTS = "Content-Type: application/json", "Content-Type: text/event-stream"
RESULT = '{"jsonrpc": "2.0", "id": ID, "result": {"content": [{"type": "text", "text": "Sun."}]}}'
NOTE = 'data: {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": 9, "progress": 1}}\n\n'
#: Answers of 2xx with no result that a session could return: status, type, body.
BROUGHT_NOTHING: dict[str, tuple[int, str, bytes]] = {
    "no events": (200, EVENTS, b""),
    "a notification": (200, EVENTS, NOTE.encode()),
    "half an event": (200, EVENTS, f"{NOTE}data: {RESULT}".encode()),
    "an event of another name": (200, EVENTS, f"event: other\ndata: {RESULT}\n\n".encode()),
    "half of the JSON": (200, JSON, RESULT[:40].encode()),
    "nothing": (200, JSON, b""),
    "accepted": (202, JSON, b""),
    "no content": (204, "X-None: 1", b""),
    "a page": (200, "Content-Type: text/html", b"<html>"),
    "no type": (200, "X-None: 1", RESULT.encode()),
    "a null": (200, JSON, b'{"jsonrpc": "2.0", "id": ID, "result": null}'),
    "no such result": (200, JSON, RESULT.replace('"text": "Sun."', '"image": 1').encode()),
    "a batch": (200, JSON, f"[{RESULT}]".encode()),
    "bad UTF-8": (200, JSON, RESULT.encode().replace(b"Sun", b"\xe9")),
    "too deep": (200, JSON, RESULT.replace('"content"', f'"a": {"[" * 250}{"]" * 250}, "content"').encode()),
    "too many digits": (200, JSON, RESULT.replace('"content"', f'"a": {"9" * 5_000}, "content"').encode()),
    "events in JSON": (200, JSON, f"data: {RESULT}\n\n".encode()),
}


class Raw(AfterPayment):
    """Answers the first payment with these very bytes, and later ones with a result."""

    def __init__(self, shop: Shop, raw: tuple[int, str, bytes]) -> None:
        super().__init__(shop, "/mcp", GOOD)
        self.raw = raw

    def post(self, handler: Any) -> None:
        if not handler.headers.get("payment-signature") or self.presented:
            return super().post(handler)
        self.presented.append(handler.headers["payment-signature"])
        number = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))["id"]
        status, kind, body = self.raw
        handler.close_connection = True
        head = f"HTTP/1.1 {status} OK\r\n{kind}\r\nConnection: close\r\n\r\n"
        handler.wfile.write(head.encode() + body.replace(b"ID", str(number).encode()))
        return None


@pytest.mark.parametrize("wraps_session", [True, False])
@pytest.mark.parametrize("case", BROUGHT_NOTHING)
async def test_an_answer_without_a_result_is_no_delivery(
    mcp_sandbox: Sandbox, mcp_buyer: Buyer, case: str, wraps_session: bool
) -> None:
    results: list[Any] = []
    holds = []
    with Raw(shop_of(mcp_sandbox), BROUGHT_NOTHING[case]) as web:
        for _ in range(2):
            async with (
                wrap_http(httpx2.AsyncClient(), mcp_buyer) as http_client,
                over_http(f"{web.url}/mcp", http_client, read_timeout_seconds=5) as session,
            ):
                if wraps_session:
                    wrap(session, mcp_buyer)
                results.append(await _made(session))
            holds.append((len(mcp_buyer.holds()), len(mcp_buyer.history())))
    assert isinstance(results[0], Exception)
    assert not wraps_session or outcome(results[0]) is not None
    assert not isinstance(results[1], Exception)
    assert (len(web.presented), len(set(web.presented)), holds) == (2, 1, [(1, 0), (0, 1)])


async def _made(session: Any) -> Any:
    try:
        return await session.call_tool("weather", BERN)
    except Exception as failure:
        return failure


async def test_what_mcp_does_not_take_is_no_delivery_though_it_is_a_result(
    mcp_sandbox: Sandbox, mcp_buyer: Buyer
) -> None:
    shop = shop_of(mcp_sandbox, schemas={"weather": {"type": "object", "required": ["sky"]}})
    with AfterPayment(shop, "/mcp", {"result": {"content": [], "structuredContent": {}}}) as web:
        async with (
            wrap_http(httpx2.AsyncClient(), mcp_buyer) as http_client,
            over_http(f"{web.url}/mcp", http_client) as session,
        ):
            wrap(session, mcp_buyer)
            failure = await _made(session)
            assert (type(failure), getattr(outcome(failure), "money", None)) == (RuntimeError, "unknown")
            [hold] = mcp_buyer.holds()
            web.made = {"result": {"content": [], "structuredContent": {"sky": "blue"}}}
            assert not (await session.call_tool("weather", BERN)).is_error
    assert ([one.nonce for one in mcp_buyer.history()], mcp_buyer.holds()) == ([hold.nonce], ())


async def test_a_cancelled_call_left_its_answer_unseen(mcp_sandbox: Sandbox, mcp_buyer: Buyer) -> None:
    note = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "working"}}
    body = f"data: {json.dumps(note)}\n\ndata: {RESULT}\n\n".encode()
    scope = anyio.CancelScope()

    async def hear(params: Any) -> None:
        scope.cancel()

    with Raw(shop_of(mcp_sandbox), (200, EVENTS, body)) as web:
        async with (
            wrap_http(httpx2.AsyncClient(), mcp_buyer) as http_client,
            over_http(f"{web.url}/mcp", http_client, logging_callback=hear) as session,
        ):
            wrap(session, mcp_buyer)
            with scope:
                await session.call_tool("weather", BERN)
            assert scope.cancelled_caught
            assert (len(mcp_buyer.holds()), mcp_buyer.history()) == (1, ())
            await session.call_tool("weather", BERN)
    assert (len(set(web.presented)), mcp_buyer.holds()) == (1, ())


async def _told(session: Any) -> Any:
    try:
        result = await session.call_tool("weather", BERN)
    except MCPError as failure:
        return outcome(failure)
    assert result.is_error
    found = outcome(result)
    assert found is None or result.meta["x402"]["money"] == found.money
    return found


async def test_an_error_that_was_wanted_is_accepted_over_http_too(mcp_sandbox: Sandbox, mcp_buyer: Buyer) -> None:
    with AfterPayment(shop_of(mcp_sandbox), "/mcp", FAILS) as web:
        async with (
            wrap_http(httpx2.AsyncClient(), mcp_buyer) as http_client,
            over_http(f"{web.url}/mcp", http_client) as session,
        ):
            wrap(session, mcp_buyer)
            found = await _told(session)
            assert found.accept()
            await _told(session)
    assert len(set(web.presented)) == 2
    assert len(mcp_buyer.history()) == len(mcp_buyer.holds()) == 1


async def test_what_one_way_left_open_the_other_presents(redelivering: Sandbox) -> None:
    buyer = redelivering.buyer(Policy(per_request="0.05", per_day="1"))
    shop = shop_of(redelivering, faults=[lost])
    with Web(shop) as web:
        with pytest.raises(BaseExceptionGroup) as caught:
            async with over_http(f"{web.url}/mcp") as session:
                await wrap(session, buyer).call_tool("weather", BERN)
        found = outcome(caught.value)
        assert found is not None
        assert found.money == "unknown"
        [open_yet] = buyer.holds()
        shop.by_http = True
        async with (
            wrap_http(httpx2.AsyncClient(), buyer) as http_client,
            over_http(f"{web.url}/mcp", http_client) as session,
        ):
            result = await wrap(session, buyer).call_tool("weather", BERN)
    assert not result.is_error
    assert (buyer.holds(), buyer.history()[0].nonce) == ((), open_yet.nonce)
    assert len(redelivering.paid(buyer)) == 1


async def test_a_quote_pays_neither_way(mcp_sandbox: Sandbox, mcp_buyer: Buyer) -> None:
    with Web(shop_of(mcp_sandbox, by_http=True)) as web:
        async with (
            wrap_http(httpx2.AsyncClient(), mcp_buyer) as http_client,
            over_http(f"{web.url}/mcp", http_client) as session,
        ):
            found = await quote(wrap(session, mcp_buyer), "weather", BERN)
    assert found.choice is not None
    assert (str(found.choice.price), mcp_buyer.spent().units) == ("0.01 USD", 0)


async def test_plain_http_to_this_machine_is_paid_if_it_goes_there_straight(
    mcp_sandbox: Sandbox, mcp_buyer: Buyer
) -> None:
    with Web(shop_of(mcp_sandbox)) as web:
        mounts = {"all://": httpx2.AsyncHTTPTransport()}
        async with (
            httpx2.AsyncClient(mounts=mounts) as http_client,
            over_http(f"{web.url}/mcp", http_client) as session,
        ):
            assert outcome(await wrap(session, mcp_buyer).call_tool("weather", BERN)) is not None
        async with (
            httpx2.AsyncClient(transport=Unknown()) as http_client,
            over_http(f"{web.url}/mcp", http_client) as session,
        ):
            with pytest.raises(HostNotAllowed, match="not seen to end on this machine"):
                await wrap(session, mcp_buyer).call_tool("weather", BERN)


class Unknown(httpx2.AsyncBaseTransport):
    """A transport that may lead anywhere."""

    def __init__(self) -> None:
        self.inner = httpx2.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return await self.inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self.inner.aclose()


@pytest.mark.parametrize(
    ("client", "host", "straight"),
    [
        (httpx.AsyncClient(), "127.0.0.1", True),
        (httpx2.AsyncClient(), "127.0.0.1", True),
        (httpx2.AsyncClient(), "localhost", True),
        (httpx2.AsyncClient(), "a.localhost", False),
        (httpx2.AsyncClient(proxy="http://127.0.0.1:9"), "127.0.0.1", False),
        (httpx2.AsyncClient(transport=Unknown()), "127.0.0.1", False),
        (httpx2.AsyncClient(transport=httpx2.MockTransport(lambda request: httpx2.Response(200))), "a.localhost", True),
        (object(), "127.0.0.1", False),
        (None, "127.0.0.1", False),
    ],
)
def test_what_a_clients_settings_say_of_its_way(client: Any, host: str, straight: bool) -> None:
    assert straight_to_here(client, Origin.of("http", host, 8402)) is straight
