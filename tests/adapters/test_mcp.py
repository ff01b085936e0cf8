"""Tools of MCP servers are paid in every dialect and over every transport, once, and what came is told."""

from __future__ import annotations

import asyncio
import base64
import copy
import functools
import json
import logging
import pickle
from typing import Any

import anyio
import pytest
from mcp import Client, MCPError, types

from x402_client import Buyer, Limit, Policy, errors, outcome, receipt
from x402_client.errors import (
    BodyNotReplayable,
    ConfigurationError,
    OverLimit,
    PaymentOutcomeUnknown,
    PaymentRejected,
    TooExpensive,
)
from x402_client.mcp import quote, wrap
from x402_client.sandbox import Sandbox

from .mcp_sessions import DIALECTS, NAME, connected, over_memory
from .mcp_shop import Shop, Web, crashed, failed, fetch, lost, without_receipt

pytestmark = pytest.mark.anyio
TRANSPORTS = ("memory", "mcp", "events", "sse", "stdio")
BERN = {"city": "Bern"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def shop_of(sandbox: Sandbox, dialect: str = "specification", **more: Any) -> Shop:
    spoken = DIALECTS[dialect]
    sandbox.sell("/weather", "0.01", version=spoken.version)
    return Shop(sandbox.url, spoken, **more)


def words_of(result: Any) -> str:
    return str(result.content[0].text)


def only_one_payment(shop: Shop, sandbox: Sandbox, buyer: Buyer) -> bool:
    """Whether one authorization was shown, in however many ways, and settled."""
    shown = {json.dumps(one, sort_keys=True) for one in shop.payments}
    return len(shown) == 1 and len(sandbox.paid(buyer)) == 1


# --- what is paid


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_every_dialect_is_paid_once(mcp_sandbox: Sandbox, mcp_buyer: Buyer, dialect: str) -> None:
    shop = shop_of(mcp_sandbox, dialect)
    async with over_memory(shop) as session:
        result = await wrap(session, mcp_buyer, NAME).call_tool("weather", BERN)
    [done] = mcp_sandbox.paid(mcp_buyer)
    assert json.loads(words_of(result))["content"] == "worth it"
    found, proof = outcome(result), receipt(result)
    assert found is not None
    assert proof is not None
    assert (found.money, proof.transaction) == ("spent", done.transaction)
    told = {"money": "spent", "transaction": done.transaction, "network": done.network, "amount": "0.01 USD"}
    assert result.meta is not None
    assert result.meta["x402"] == told
    assert (str(mcp_buyer.spent()), mcp_buyer.holds()) == ("0.01 USD", ())
    assert only_one_payment(shop, mcp_sandbox, mcp_buyer)
    assert len(shop.payments) <= 2


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_every_transport_is_paid_once(mcp_sandbox: Sandbox, mcp_buyer: Buyer, transport: str) -> None:
    shop = shop_of(mcp_sandbox)
    async with connected(transport, shop, "specification") as session:
        result = await wrap(session, mcp_buyer, NAME).call_tool("weather", BERN)
        assert outcome(await session.call_tool("free")) is None
    assert result.meta is not None
    assert result.meta["x402"]["money"] == "spent"
    assert len(mcp_sandbox.paid(mcp_buyer)) == 1
    [hold] = mcp_buyer.history()
    assert hold.url.endswith("#weather")
    assert hold.host == ("mcp:reports" if transport in ("memory", "stdio") else "127.0.0.1")


async def test_results_dump_and_copy_as_ever(mcp_sandbox: Sandbox, mcp_buyer: Buyer) -> None:
    async with over_memory(shop_of(mcp_sandbox)) as session:
        result = await wrap(session, mcp_buyer, NAME).call_tool("weather", BERN)
    again = types.CallToolResult.model_validate_json(result.model_dump_json(by_alias=True))
    assert (again.meta, again.content) == (result.meta, result.content)
    assert type(result.meta["x402"]) is dict
    assert outcome(again) is None
    for one in (copy.copy(result), copy.deepcopy(result), result.model_copy(), pickle.loads(pickle.dumps(result))):
        assert outcome(one) == outcome(result)


async def test_clients_of_mcp_are_wrapped_too(mcp_sandbox: Sandbox, mcp_buyer: Buyer) -> None:
    shop = shop_of(mcp_sandbox)
    with Web(shop) as web:
        client = wrap(Client(f"{web.url}/mcp", mode="legacy"), mcp_buyer)
        assert isinstance(client, Client)
        async with client:
            assert outcome(await client.call_tool("weather", BERN)) is not None
    assert mcp_buyer.history()[0].host == "127.0.0.1"


async def test_a_session_stays_what_it_was(mcp_sandbox: Sandbox, mcp_buyer: Buyer) -> None:
    async with over_memory(shop_of(mcp_sandbox)) as session:
        before, named = type(session), repr(type(session))
        assert wrap(session, mcp_buyer, NAME) is session
        assert wrap(wrap(session, mcp_buyer, NAME), mcp_buyer, NAME) is session
        assert isinstance(session, before)
        assert repr(type(session)) == named
        assert session.call_tool.__doc__ == before.call_tool.__doc__
        result = await session.call_tool("weather", BERN)
    assert outcome(result) is not None
    assert len(mcp_sandbox.paid(mcp_buyer)) == 1


# --- what is not paid


async def test_a_result_that_is_no_error_is_never_paid(mcp_sandbox: Sandbox, mcp_buyer: Buyer) -> None:
    shop = shop_of(mcp_sandbox)
    _, headers, _ = fetch(f"{mcp_sandbox.url}/weather", 2, None)
    terms = json.loads(base64.b64decode(headers["payment-required"]))
    shop.tools["quotes"] = lambda params: {
        "result": {
            "structuredContent": terms,
            "content": [{"type": "text", "text": json.dumps(terms)}],
            "_meta": {"x402/error": terms, "x402": {"money": "spent", "amount": "9 USD"}, "other": 1},
        }
    }
    async with over_memory(shop) as session:
        result = await wrap(session, mcp_buyer, NAME).call_tool("quotes")
    assert outcome(result) is None
    assert result.meta == {"x402/error": terms, "other": 1}  # the name of our word is ours
    assert mcp_buyer.spent().units == 0


@pytest.mark.parametrize(
    "made",
    [
        {"isError": True, "content": [{"type": "text", "text": "No such city."}]},
        {"isError": True, "content": [], "structuredContent": {"x402Version": 2, "error": "PRICE_COMPUTE_FAILED"}},
    ],
)
async def test_a_tools_own_error_comes_back_as_it_is(mcp_sandbox: Sandbox, mcp_buyer: Buyer, made: Any) -> None:
    shop = shop_of(mcp_sandbox, tools={"odd": lambda params: {"result": made}})
    async with over_memory(shop) as session:
        result = await wrap(session, mcp_buyer, NAME).call_tool("odd")
    assert result.model_dump(by_alias=True, exclude_none=True, mode="json") == {**made, "resultType": "complete"}


async def test_an_error_of_the_protocol_comes_back_as_it_is(mcp_sandbox: Sandbox, mcp_buyer: Buyer) -> None:
    shop = shop_of(mcp_sandbox, tools={"odd": crashed, "link": lambda params: URL_WANTED})
    async with over_memory(shop) as session:
        for tool in ("odd", "link"):
            with pytest.raises(MCPError) as caught:
                await wrap(session, mcp_buyer, NAME).call_tool(tool)
            assert errors.find(caught.value) is None
    assert mcp_buyer.holds() == ()


URL_WANTED = {"error": {"code": -32042, "message": "Look here", "data": {"elicitations": []}}}


async def test_a_payment_by_hand_is_left_alone(mcp_sandbox: Sandbox, mcp_buyer: Buyer) -> None:
    shop = shop_of(mcp_sandbox)
    async with over_memory(shop) as session:
        mine: Any = {"x402/payment": {"mine": True}}
        result = await wrap(session, mcp_buyer, NAME).call_tool("weather", BERN, meta=mine)
    assert result.is_error
    assert [meta for _, _, meta in shop.calls] == [mine]


async def test_the_policy_says_no(mcp_sandbox: Sandbox, mcp_buyer: Buyer) -> None:
    async with over_memory(shop_of(mcp_sandbox)) as session:
        wrap(session, mcp_buyer, NAME)
        with pytest.raises(TooExpensive) as caught:
            await session.call_tool("yacht")
        assert caught.value.money == "untouched"
        assert isinstance(caught.value.response, types.CallToolResult)
    denied = mcp_sandbox.buyer(Policy(per_day="1", hosts={"mcp:reports": "deny"}))
    async with over_memory(shop_of(mcp_sandbox)) as session:
        with pytest.raises(errors.HostNotAllowed, match="'mcp:reports'"):
            await wrap(session, denied, NAME).call_tool("weather")


async def test_limits_and_freezes_go_by_the_name(mcp_sandbox: Sandbox) -> None:
    buyer = mcp_sandbox.buyer(Policy(per_day="1", hosts={"mcp:reports": Limit(per_day="0.01")}))
    async with over_memory(shop_of(mcp_sandbox)) as session, over_memory(shop_of(mcp_sandbox)) as other:
        wrap(session, buyer, "Reports")
        await session.call_tool("weather", BERN)
        assert str(buyer.remaining("mcp:reports")) == "0.00 USD"
        assert str(buyer.spent("mcp:reports")) == "0.01 USD"
        with pytest.raises(OverLimit):
            await session.call_tool("weather", {"city": "Basel"})
        await wrap(other, buyer, "other").call_tool("weather", BERN)
        buyer.freeze("mcp:other")
        with pytest.raises(errors.Frozen):
            await other.call_tool("weather", {"city": "Basel"})


async def test_a_refusal_is_handed_back_if_the_buyer_wants_that(mcp_sandbox: Sandbox) -> None:
    buyer = mcp_sandbox.buyer(Policy(per_request="0.05"), on_refusal="return")
    async with over_memory(shop_of(mcp_sandbox)) as session, over_memory(shop_of(mcp_sandbox, "error 402")) as other:
        result = await wrap(session, buyer, NAME).call_tool("yacht")
        with pytest.raises(MCPError) as caught:
            await wrap(other, buyer, NAME).call_tool("yacht")
    assert result.is_error
    assert json.loads(words_of(result))["error"]["type"] == "payment_refused"
    assert "one payment may cost 0.05 USD" in words_of(result)
    assert result.meta is not None
    assert result.meta["x402"]["money"] == "untouched"
    assert isinstance(errors.find(caught.value), TooExpensive)
    assert result.model_dump_json()


async def test_a_quote_pays_nothing(mcp_sandbox: Sandbox, mcp_buyer: Buyer) -> None:
    shop = shop_of(mcp_sandbox)
    async with over_memory(shop) as session:
        with pytest.raises(ConfigurationError, match="not wrapped"):
            await quote(session, "weather")
        wrap(session, mcp_buyer, NAME)
        found = await quote(session, "weather", BERN)
        assert found.choice is not None
        assert (str(found.choice.price), found.url) == ("0.01 USD", "mcp:reports#weather")
        assert (await quote(session, "free")).free
        shop.tools["broken"] = lambda params: failed({"result": {}})
        without = await quote(session, "broken")
        assert (without.free, without.choice, without.status) == (False, None, 500)
        assert "it answered 500 ('No such city.') and asked for no payment" in repr(without)
        with pytest.raises(MCPError):
            await quote(session, "odd" if shop.tools.setdefault("odd", crashed) else "")
        assert shop.payments == []
        with mcp_buyer.purchase(quote=found, key="once"):
            assert outcome(await session.call_tool("weather", BERN)) is not None
            with pytest.raises(errors.AlreadyPaid):
                await session.call_tool("weather", BERN)
        other = await quote(session, "weather", {"city": "Basel"})
        with mcp_buyer.purchase(quote=other), pytest.raises(errors.PaymentRefused):
            await session.call_tool("report", BERN)


@pytest.mark.parametrize("arguments", [{"n": float("nan")}, {"n": object()}])
async def test_arguments_without_a_name_are_not_paid_for(
    mcp_sandbox: Sandbox, mcp_buyer: Buyer, arguments: Any
) -> None:
    shop = shop_of(mcp_sandbox)
    async with over_memory(shop) as session:
        wrap(session, mcp_buyer, NAME)
        with pytest.raises((BodyNotReplayable, ValueError)):
            await session.call_tool("weather", arguments)
    assert shop.payments == []


# --- what goes wrong


@pytest.mark.parametrize("how", [lost, failed, crashed])
async def test_an_answer_that_brings_nothing_leaves_the_payment_to_the_next_call(
    redelivering: Sandbox, how: Any
) -> None:
    shop = shop_of(redelivering, faults=[how])
    buyer = redelivering.buyer(Policy(per_request="0.05", per_day="1"), settle_timeout=0.3)
    async with over_memory(shop, read_timeout_seconds=0.3) as session:
        wrap(session, buyer, NAME)
        if how is failed:
            result = await session.call_tool("weather", BERN)
            found = outcome(result)
            assert (result.is_error, words_of(result)) == (True, "No such city.")
        else:
            with pytest.raises(MCPError) as caught:
                await session.call_tool("weather", BERN)
            failure = caught.value
            assert isinstance(failure, PaymentOutcomeUnknown) is (how is lost)
            found = outcome(failure)
            if how is lost:
                assert failure.error.code == -32001
                assert failure.hold.nonce == buyer.holds()[0].nonce  # type: ignore[attr-defined]
                again = pickle.loads(pickle.dumps(failure))
                assert (type(again), again.error.code) == (type(failure), -32000)
        assert how is lost or (found is not None and found.money == "spent")
        [open_yet] = buyer.holds()
        result = await session.call_tool("weather", BERN)
    assert not result.is_error
    assert buyer.holds() == ()
    assert buyer.history()[0].nonce == open_yet.nonce
    assert only_one_payment(shop, redelivering, buyer)
    assert str(buyer.spent()) == "0.01 USD"


async def test_a_delivery_without_a_proof_is_a_delivery(mcp_sandbox: Sandbox, mcp_buyer: Buyer) -> None:
    shop = shop_of(mcp_sandbox, faults=[without_receipt])
    async with over_memory(shop) as session:
        result = await wrap(session, mcp_buyer, NAME).call_tool("weather", BERN)
    assert result.meta is not None
    assert result.meta["x402"] == {
        "money": "unknown", "transaction": None, "network": mcp_buyer.history()[0].offer.network, "amount": "0.01 USD",
    }  # fmt: skip
    assert (mcp_buyer.holds(), str(mcp_buyer.spent())) == ((), "0.01 USD")


async def test_the_callers_word_ends_a_purchase_whose_tool_failed(mcp_sandbox: Sandbox, mcp_buyer: Buyer) -> None:
    shop = shop_of(mcp_sandbox, faults=[failed])
    async with over_memory(shop) as session:
        found = outcome(await wrap(session, mcp_buyer, NAME).call_tool("weather", BERN))
    assert found is not None
    assert mcp_buyer.holds()
    assert found.accept()
    assert (mcp_buyer.holds(), len(mcp_buyer.history())) == ((), 1)


async def test_a_server_that_asks_again_and_again_sees_one_payment(mcp_sandbox: Sandbox, mcp_buyer: Buyer) -> None:
    shop = shop_of(mcp_sandbox)
    spoken = shop.dialect
    shop.dialect = spoken._replace(kind=tuple)  # reads nothing
    async with over_memory(shop) as session:
        wrap(session, mcp_buyer, NAME)
        for _ in range(3):
            with pytest.raises(PaymentRejected) as caught:
                await session.call_tool("weather", BERN)
            assert caught.value.money == "held"
    assert len({json.dumps(one, sort_keys=True) for one in shop.payments}) == 1
    assert len(shop.payments) == 6  # each time in both encodings
    assert len(mcp_buyer.holds()) == 1


async def test_a_server_that_read_the_payment_is_not_shown_it_in_another_encoding(
    mcp_sandbox: Sandbox, mcp_buyer: Buyer
) -> None:
    shop = shop_of(mcp_sandbox)
    mcp_sandbox.order("402-again")
    async with over_memory(shop) as session:
        with pytest.raises(PaymentRejected, match="facilitator_unavailable"):
            await wrap(session, mcp_buyer, NAME).call_tool("weather", BERN)
    assert len(shop.payments) == 1


async def test_a_cancelled_call_leaves_its_payment_to_the_next_one(redelivering: Sandbox) -> None:
    shop = shop_of(redelivering, faults=[lost])
    buyer = redelivering.buyer(Policy(per_request="0.05", per_day="1"))
    async with over_memory(shop) as session:
        wrap(session, buyer, NAME)
        async with anyio.create_task_group() as tasks:

            async def call() -> None:
                await session.call_tool("weather", BERN)

            tasks.start_soon(call)
            while not redelivering.paid(buyer):  # noqa: ASYNC110 - it is in another thread
                await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()
        assert len(buyer.holds()) == 1
        assert not (await session.call_tool("weather", BERN)).is_error
    assert only_one_payment(shop, redelivering, buyer)


async def test_the_same_calls_side_by_side_are_as_many_purchases(mcp_sandbox: Sandbox) -> None:
    buyer = mcp_sandbox.buyer(Policy(per_request="0.05", per_day="0.05"))
    refused: list[errors.X402Error] = []
    async with over_memory(shop_of(mcp_sandbox)) as session:
        wrap(session, buyer, NAME)

        async def call() -> None:
            try:
                await session.call_tool("weather", BERN)
            except OverLimit as failure:
                refused.append(failure)

        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(call)
    assert (len(mcp_sandbox.paid(buyer)), len(refused), str(buyer.spent())) == (5, 3, "0.05 USD")


# --- time


async def test_the_paid_call_may_take_as_long_as_a_settlement() -> None:
    with Sandbox(slow=0.6) as slow:
        buyer = slow.buyer(Policy(per_request="0.05", per_day="1"), settle_timeout=30)
        slow.order("slow")
        async with over_memory(shop_of(slow), read_timeout_seconds=0.3) as session:
            wrap(session, buyer, NAME)
            assert outcome(await session.call_tool("weather", BERN)) is not None
            slow.order("slow")
            assert outcome(await session.call_tool("weather", BERN, read_timeout_seconds=0.2)) is not None


async def test_who_waits_is_told_that_it_takes_longer(mcp_sandbox: Sandbox, mcp_buyer: Buyer) -> None:
    heard: list[tuple[float, float | None, str | None]] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, total, message))
        raise RuntimeError("a host that fails")

    async with over_memory(shop_of(mcp_sandbox)) as session:
        await wrap(session, mcp_buyer, NAME).call_tool("weather", BERN, progress_callback=hear)
        assert "asks to be paid" in str(heard[0])
        assert "on its way" in str(heard[1])
        heard.clear()
        await session.call_tool("free", progress_callback=hear)
    assert heard == []


# --- secrecy


@pytest.mark.parametrize("transport", ["mcp", "sse", "stdio"])
async def test_no_log_of_mcp_shows_a_payment(
    mcp_sandbox: Sandbox, mcp_buyer: Buyer, transport: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    shop = shop_of(mcp_sandbox, "agents" if transport == "sse" else "specification")
    async with connected(transport, shop, "specification") as session:
        result = await wrap(session, mcp_buyer, NAME).call_tool("weather", BERN)
    found = outcome(result)
    assert found is not None
    assert len(mcp_sandbox.paid(mcp_buyer)) == 1
    text = "\n".join(record.getMessage() for record in caplog.records)
    assert "weather" in text or transport == "stdio"
    assert "signature" not in text.lower().replace("payment-signature", "")
    assert "validBefore" not in text
    for payment in shop.payments:
        assert payment["payload"]["signature"] not in text


async def test_no_traceback_has_a_payment_in_its_variables(mcp_sandbox: Sandbox, mcp_buyer: Buyer) -> None:
    shop = shop_of(mcp_sandbox, faults=[crashed])
    async with over_memory(shop) as session:
        with pytest.raises(MCPError) as caught:
            await wrap(session, mcp_buyer, NAME).call_tool("weather", BERN)
    signature = shop.payments[0]["payload"]["signature"]
    trace = caught.value.__traceback__
    while trace is not None:
        if "tests" not in trace.tb_frame.f_code.co_filename:
            assert signature not in repr(trace.tb_frame.f_locals)
        trace = trace.tb_next
    assert signature not in str(caught.value) + repr(caught.value) + "".join(caught.value.__notes__)


# --- whom


async def test_a_server_without_an_address_needs_a_name(mcp_sandbox: Sandbox, mcp_buyer: Buyer) -> None:
    async with over_memory(shop_of(mcp_sandbox)) as session:
        for name, said in ((None, 'name="reports"'), ("a.b", "is not a name"), ("", "not empty"), ("ftp://a", "URL")):
            with pytest.raises(ConfigurationError, match=said):
                wrap(session, mcp_buyer, name)
        wrap(session, mcp_buyer, "https://api.example.com/mcp")
        with pytest.raises(ConfigurationError, match="pays https://api"):
            wrap(session, mcp_buyer, NAME)
        with pytest.raises(ConfigurationError, match="another buyer"):
            wrap(session, mcp_sandbox.buyer(), "https://api.example.com/mcp")
    for other in (object(), mcp_buyer):
        with pytest.raises(ConfigurationError, match="wrap takes an"):
            wrap(other, mcp_buyer)


async def test_an_address_that_is_seen_wins(mcp_sandbox: Sandbox, mcp_buyer: Buyer) -> None:
    async with connected("stdio", shop_of(mcp_sandbox), "specification") as session:
        with pytest.raises(ConfigurationError, match="behind pipes"):
            wrap(session, mcp_buyer)
        with pytest.raises(ConfigurationError, match="behind pipes"):
            wrap(session, mcp_buyer, "https://api.example.com/mcp")
    async with connected("mcp", shop_of(mcp_sandbox), "specification") as session:
        with pytest.raises(ConfigurationError, match=r"connected to http://127.0.0.1:\d+, and name= says https://api"):
            wrap(session, mcp_buyer, "https://api.example.com/mcp")
        wrap(session, mcp_buyer, "a label")
        await session.call_tool("weather", BERN)
    assert mcp_buyer.history()[0].host == "127.0.0.1"


# --- what is rarer


async def test_a_second_call_pays_in_its_first_request_if_the_policy_says_so(mcp_sandbox: Sandbox) -> None:
    buyer = mcp_sandbox.buyer(Policy(per_request="0.05", per_day="1", pay_ahead=True))
    shop = shop_of(mcp_sandbox, "agents")
    async with over_memory(shop) as session:
        wrap(session, buyer, NAME)
        for city in ("Bern", "Basel", "Chur"):
            assert outcome(await session.call_tool("weather", {"city": city})) is not None
        calls = [(tool, bool(meta)) for tool, _, meta in shop.calls]
        assert calls == [("weather", False), *[("weather", True)] * 3]
        await session.call_tool("report", BERN)  # has terms of its own
        assert not shop.calls[4][2]
    assert sorted(str(done.price) for done in mcp_sandbox.paid(buyer)) == [*["0.01 USD"] * 3, "0.05 USD"]


async def test_content_that_mcp_does_not_take_is_mcps_own_error(mcp_sandbox: Sandbox, mcp_buyer: Buyer) -> None:
    shop = shop_of(mcp_sandbox)
    shop.schemas = {name: {"type": "object", "required": ["rain"]} for name in ("weather", "bare")}
    shop.tools["bare"] = lambda params: {"result": {"content": []}}
    async with over_memory(shop) as session:
        wrap(session, mcp_buyer, NAME)
        with pytest.raises(RuntimeError, match="output schema") as caught:
            await session.call_tool("weather", BERN)
        found = outcome(caught.value)
        assert found is not None
        assert found.money == "spent"
        assert len(mcp_buyer.holds()) == 1
        with pytest.raises(RuntimeError):
            await session.call_tool("bare")
    assert "presents the same payment again" in caught.value.__notes__[0]


MODERN = types.DiscoverResult.model_validate({
    "supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}, "serverInfo": {"name": "shop", "version": "1"},
    "resultType": "complete", "ttlMs": 0, "cacheScope": "private",
})  # fmt: skip


async def test_a_result_that_asks_the_user_for_something_is_not_the_end(redelivering: Sandbox) -> None:
    buyer = redelivering.buyer(Policy(per_request="0.05", per_day="1"))
    wanted = {"result": {"resultType": "input_required", "requestState": "half way"}}
    shop = shop_of(redelivering, faults=[lambda answer: wanted])
    async with over_memory(shop) as session:
        session.adopt(MODERN)
        wrap(session, buyer, NAME)
        result: Any = await session.call_tool("weather", BERN, allow_input_required=True)
        assert (result.request_state, len(buyer.holds())) == ("half way", 1)
        found = outcome(result)
        assert found is not None
        assert found.money == "unknown"
        assert not (await session.call_tool("weather", BERN)).is_error
    assert only_one_payment(shop, redelivering, buyer)
    assert buyer.holds() == ()


async def test_a_client_and_its_session_may_both_be_wrapped(mcp_sandbox: Sandbox, mcp_buyer: Buyer) -> None:
    with Web(shop_of(mcp_sandbox)) as web:
        async with wrap(Client(f"{web.url}/mcp", mode="legacy"), mcp_buyer) as client:
            wrap(client.session, mcp_buyer)
            result = await client.call_tool("weather", BERN)
    assert outcome(result) is not None
    assert result.meta is not None
    assert result.meta["x402"]["money"] == "spent"
    assert len(mcp_sandbox.paid(mcp_buyer)) == 1


async def test_what_another_library_put_on_a_session_is_called_too(mcp_sandbox: Sandbox, mcp_buyer: Buyer) -> None:
    heard: list[str] = []
    async with over_memory(shop_of(mcp_sandbox)) as session:
        inner = session.call_tool

        async def loud(name: str, arguments: Any = None, read_timeout_seconds: Any = None, *, meta: Any = None) -> Any:
            heard.append(name)
            return await inner(name, arguments, read_timeout_seconds, meta=meta)

        session.call_tool = loud  # type: ignore[assignment,method-assign]
        assert outcome(await wrap(session, mcp_buyer, NAME).call_tool("weather", BERN)) is not None
    assert heard == ["weather", "weather"]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_method_that_returns_a_task_pays_too(
    mcp_sandbox: Sandbox, mcp_buyer: Buyer, anyio_backend: str
) -> None:
    async with connected("memory", shop_of(mcp_sandbox), "specification") as session:
        inner = session.call_tool

        @functools.wraps(inner)
        def traced(*args: Any, **keywords: Any) -> asyncio.Task[Any]:
            return asyncio.create_task(inner(*args, **keywords))

        session.call_tool = traced  # type: ignore[method-assign]
        assert outcome(await wrap(session, mcp_buyer, NAME).call_tool("weather", BERN)) is not None


@pytest.mark.parametrize("anyio_backend", ["trio"])
@pytest.mark.parametrize("transport", ["memory", "mcp"])
async def test_trio_will_do(mcp_sandbox: Sandbox, mcp_buyer: Buyer, transport: str, anyio_backend: str) -> None:
    async with connected(transport, shop_of(mcp_sandbox), "specification") as session:
        assert outcome(await wrap(session, mcp_buyer, NAME).call_tool("weather", BERN)) is not None
    assert mcp_buyer.history()[0].host == ("mcp:reports" if transport == "memory" else "127.0.0.1")
