"""MCP servers that cheat and lie: nothing is paid beyond the policy, or twice, and none of their words are kept."""

from __future__ import annotations

import inspect
import json
import logging
import traceback
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import anyio
import pytest

from x402_client import Buyer, Policy, errors, outcome
from x402_client.adapters.mcp_calls import ToolCall
from x402_client.mcp import wrap
from x402_client.sandbox import Sandbox
from x402_client.wire.bounds import DEFAULT

from .mcp_sessions import NAME, over_memory
from .mcp_shop import Json, Shop

pytestmark = pytest.mark.anyio
BERN = {"city": "Bern"}
DEEP: Any = {}
for _ in range(150):
    DEEP = {"more": DEEP}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def altered(**changes: Any) -> Callable[[Json], Json]:
    return lambda terms: {**terms, **changes}


def offered(**changes: Any) -> Callable[[Json], Json]:
    return lambda terms: {**terms, "accepts": [{**offer, **changes} for offer in terms["accepts"]]}


TERMS: dict[str, tuple[Callable[[Json], Json], type[Exception] | None]] = {
    "another version": (altered(x402Version=9), errors.UnsupportedVersion),
    "no version": (altered(x402Version="two"), errors.MalformedQuote),
    "no offers": (altered(accepts=[]), errors.MalformedQuote),
    "offers that are none": (altered(accepts=[5, "x", None]), errors.MalformedQuote),
    "a thousand and one": (altered(accepts=[{}] * 1001), errors.MalformedQuote),
    "an extension that would have to be echoed": (
        altered(extensions={"more": "x" * 20_000}),
        errors.NoAcceptableOffer,
    ),
    "nested deeply": (altered(more=DEEP), None),
    "endless": (altered(more="x" * DEFAULT.terms_body), None),
    "to nobody": (offered(payTo="0x" + "0" * 40), errors.NoAcceptableOffer),
    "in another token": (offered(asset="0x" + "6" * 40), errors.NoAcceptableOffer),
    "too dear": (offered(amount="51000"), errors.TooExpensive),
}


@pytest.mark.parametrize(("alter", "error"), TERMS.values(), ids=TERMS)
async def test_terms_that_must_not_be_signed(
    mcp_sandbox: Sandbox, mcp_buyer: Buyer, alter: Callable[[Json], Json], error: type[Exception] | None
) -> None:
    shop = Shop(mcp_sandbox.url, alter=alter)
    mcp_sandbox.sell("/weather", "0.01")
    async with over_memory(shop) as session:
        wrap(session, mcp_buyer, NAME)
        if error is not None:
            with pytest.raises(error) as caught:
                await session.call_tool("weather", BERN)
            assert errors.find(caught.value).money == "untouched"  # type: ignore[union-attr]
            assert shop.payments == []
        else:  # what is too large is the tool's own error
            with anyio.fail_after(20):
                result = await session.call_tool("weather", BERN)
            assert result.is_error
            assert outcome(result) is None
    assert mcp_sandbox.paid(mcp_buyer) == []


async def test_what_a_seller_calls_its_resource_decides_nothing(mcp_sandbox: Sandbox, mcp_buyer: Buyer) -> None:
    mcp_sandbox.sell("/weather", "0.01")
    other = altered(resource={"url": "https://bank.example/vault", "description": "x" * 5_000})
    shop = Shop(mcp_sandbox.url, alter=other)
    async with over_memory(shop) as session:
        assert outcome(await wrap(session, mcp_buyer, NAME).call_tool("weather", BERN)) is not None
    assert shop.payments[0]["resource"]["url"] == "https://bank.example/vault"
    assert (mcp_buyer.history()[0].host, mcp_buyer.history()[0].url) == ("mcp:reports", "mcp:reports#weather")


async def test_another_payee_and_another_price_change_nothing_about_what_was_signed(
    mcp_sandbox: Sandbox, mcp_buyer: Buyer
) -> None:
    mcp_sandbox.sell("/weather", "0.01")
    shop = Shop(mcp_sandbox.url)
    deaf = shop.dialect._replace(kind=tuple)
    changes = [offered(), offered(payTo="0x" + "7" * 40), offered(amount="50000"), offered(payTo="0x" + "8" * 40)]
    async with over_memory(shop) as session:
        wrap(session, mcp_buyer, NAME)
        for alter in changes:
            shop.dialect, shop.alter = deaf, alter
            with pytest.raises(errors.PaymentRejected):
                await session.call_tool("weather", BERN)
    assert len({json.dumps(one, sort_keys=True) for one in shop.payments}) == 1
    assert str(mcp_buyer.spent()) == "0.01 USD"


LIES: dict[str, tuple[Any, str]] = {
    "another payer": ({"payer": "0x" + "5" * 40}, "unknown"),
    "another network": ({"network": "eip155:1"}, "unknown"),
    "another amount": ({"amount": "1"}, "unknown"),
    "no transaction": ({"transaction": ""}, "unknown"),
    "a failure": ({"success": False, "errorReason": "no"}, "unknown"),
    "a novel": ({"transaction": "0x" + "a" * 20_000}, "unknown"),
    "nonsense": ("%%%", "unknown"),
    "a number": (5, "unknown"),
}


@pytest.mark.parametrize(("lie", "money"), LIES.values(), ids=LIES)
async def test_a_receipt_that_lies_proves_nothing(mcp_sandbox: Sandbox, mcp_buyer: Buyer, lie: Any, money: str) -> None:
    mcp_sandbox.sell("/weather", "0.01")

    def lies(answer: Json) -> Json:
        meta = answer["result"]["_meta"]
        for name, true in meta.items():
            meta[name] = {**true, **lie} if isinstance(lie, dict) else lie
        return answer

    async with over_memory(Shop(mcp_sandbox.url, faults=[lies])) as session:
        result = await wrap(session, mcp_buyer, NAME).call_tool("weather", BERN)
    found = outcome(result)
    assert found is not None
    assert found.money == money
    assert (mcp_buyer.holds(), str(mcp_buyer.spent())) == ((), "0.01 USD")
    assert len(result.model_dump_json()) < 60_000 or lie["transaction"]
    assert len(json.dumps(result.meta["x402"])) < 1_000


async def test_a_seller_that_repeats_the_payment_in_its_words_is_not_quoted(
    mcp_sandbox: Sandbox, mcp_buyer: Buyer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    mcp_sandbox.sell("/weather", "0.01")
    shop = Shop(mcp_sandbox.url)

    def repeats(terms: Json) -> Json:
        said = json.dumps(shop.payments[-1]["payload"]) if shop.payments else "pay"
        return {**terms, "error": said, "x402/payment-response": {"success": False, "errorReason": said}}

    shop.alter, shop.dialect = repeats, shop.dialect._replace(kind=tuple)
    async with over_memory(shop) as session:
        with pytest.raises(errors.PaymentRejected) as caught:
            await wrap(session, mcp_buyer, NAME).call_tool("weather", BERN)
    signature = shop.payments[-1]["payload"]["signature"]
    seen = "\n".join((str(caught.value), repr(caught.value.hold), *(one.getMessage() for one in caplog.records)))
    assert signature[2:60] not in seen


@pytest.mark.parametrize(
    ("given", "own", "settle", "paid"),
    [
        (None, None, 60, None),
        (5, None, 60, 60),
        (90, 5, 60, 90),
        (None, 5, 60, 60),
        (None, timedelta(seconds=5), 60, timedelta(seconds=60)),
        (timedelta(seconds=90), 5, 60, timedelta(seconds=90)),
        (5, 5, None, 5),
    ],
)
def test_the_patience_of_a_paid_call(
    given: Any, own: Any, settle: float | None, paid: Any, mcp_sandbox: Sandbox
) -> None:
    class Session:
        _session_read_timeout_seconds = own

        async def call_tool(self, name: str, read_timeout_seconds: Any = None) -> None: ...

    buyer = mcp_sandbox.buyer(Policy(per_day="1"), settle_timeout=settle)
    session = Session()
    bound = inspect.signature(session.call_tool).bind("weather", given)
    assert ToolCall(session.call_tool, bound, session, buyer)._patience(given) == paid


@pytest.mark.parametrize("code", [-32000, -32603, 402])
@pytest.mark.parametrize("says", ["message", "data", "neither"])
async def test_an_error_that_repeats_the_payment_is_shown_without_it(
    mcp_sandbox: Sandbox, mcp_buyer: Buyer, code: int, says: str
) -> None:
    shop = Shop(mcp_sandbox.url)
    mcp_sandbox.sell("/weather", "0.01")
    signed: list[str] = []

    def pays(params: Json) -> Json:
        payment = params["_meta"].get("x402/payment") if "_meta" in params else None
        if payment is None:
            return shop._sold("weather", None)
        signed.append(payment["payload"]["signature"])
        message = f"cannot verify {signed[0]}" if says == "message" else "cannot verify"
        return {"error": {"code": code, "message": message, "data": {"of": payment if says == "data" else "yours"}}}

    shop.tools["weather"] = pays
    async with over_memory(shop) as session:
        wrap(session, mcp_buyer, NAME)
        with pytest.raises(Exception) as caught:
            await session.call_tool("weather", BERN)
    failure: Any = caught.value
    shown = "".join(traceback.format_exception(failure))
    assert signed
    assert signed[0] not in shown + repr(failure) + repr(failure.args) + repr(failure.error) + repr(failure.__cause__)
    assert ("(the payment itself)" in repr(failure.error)) is (says != "neither")
    assert outcome(failure) is not None
