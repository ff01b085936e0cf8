"""Slips of newcomers at the faces that could cost money or would fail inside: each is told, with what to write."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest

import x402_client.httpx
import x402_client.mcp
from x402_client import Buyer, Policy, agents, errors, outcome
from x402_client.buyer.scopes import PurchaseWarning
from x402_client.sandbox import Sandbox


@pytest.fixture(scope="module")
def seller() -> Iterator[Sandbox]:
    with Sandbox() as seller:
        yield seller


@pytest.fixture
def buyer(seller: Sandbox) -> Buyer:
    return seller.buyer(Policy(per_request="0.05", per_day="1"))


@pytest.mark.parametrize("name", ["X402", "x-402", "x_402", "X-402", "x402_client", "x402-buyer"])
def test_a_misspelt_extension_is_refused_as_its_key_would_be_lost(seller: Sandbox, buyer: Buyer, name: str) -> None:
    paid = len(seller.settlements)
    with x402_client.httpx.wrap(httpx.Client(), buyer) as client:
        with pytest.raises(errors.ConfigurationError, match='did you mean "x402"'):
            client.get(f"{seller.url}/weather", extensions={name: {"key": "order-42"}})
        assert len(seller.settlements) == paid
        assert client.get(f"{seller.url}/weather", extensions={"x402": {"key": "order-42"}}).status_code == 200


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
@pytest.mark.parametrize(
    ("own", "said"),
    [
        ({"keey": "s3cret"}, 'not "keey"; did you mean key?'),
        ({"Key": "s3cret"}, 'not "Key"; did you mean key?'),
        ({"key": "s3cret", "per_reqest": "1"}, 'not "per_reqest"; did you mean per_request?'),
        ({"max_amount": "0.10"}, 'not "max_amount"; did you mean per_request'),
        ({"quotes": None}, 'not "quotes"; did you mean quote?'),
        ({"nonsense": 1}, 'not "nonsense".'),
        ({5: 1}, 'not "5".'),
        ("s3cret", 'not str; write extensions={"x402": {"key": "order-42"}}'),
        ([("key", "s3cret")], "not list; write"),
    ],
)
def test_a_misspelt_word_of_a_requests_terms_is_named(
    seller: Sandbox, buyer: Buyer, library: str, own: Any, said: str
) -> None:
    face, native = import_module(f"x402_client.{library}"), import_module(library)
    with face.wrap(native.Client(), buyer) as client, pytest.raises(errors.ConfigurationError) as refused:
        client.get(f"{seller.url}/weather", extensions={"x402": own})
    assert said in str(refused.value)
    assert "s3cret" not in str(refused.value)


#: Terms that a scope may have. Without any, it limits nothing and names nothing.
TERMS = {"key": {"key": "order-42"}, "cap": {"per_request": "0.01"}, "both": {"key": "o", "per_request": "0.01"}}


@pytest.mark.parametrize("terms", TERMS.values(), ids=TERMS)
def test_a_scope_that_is_never_entered_is_told(buyer: Buyer, terms: dict[str, str]) -> None:
    for payer in (buyer, buyer.allowance("1")):
        with pytest.warns(PurchaseWarning, match="was never entered"):
            payer.purchase(**terms)


@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize("terms", TERMS.values(), ids=TERMS)
def test_a_payment_beside_a_scope_that_waits_to_be_entered_is_told_at_once(
    seller: Sandbox, terms: dict[str, str], ahead: bool
) -> None:
    buyer = seller.buyer(Policy(per_request="0.05", pay_ahead=ahead))
    with x402_client.httpx.wrap(httpx.Client(), buyer) as client:
        client.get(f"{seller.url}/weather")
        waiting = buyer.purchase(**terms)
        client.get(f"{seller.url}/free")
        x402_client.httpx.quote(client, "GET", f"{seller.url}/weather")
        with pytest.warns(PurchaseWarning, match="waits to be entered") as told:
            client.get(f"{seller.url}/weather")
        assert len(told) == 1
        client.get(f"{seller.url}/weather")
        with waiting:
            client.get(f"{seller.url}/weather")


def test_a_scope_that_was_used_or_has_no_terms_is_not(seller: Sandbox, buyer: Buyer) -> None:
    buyer.purchase()
    with x402_client.httpx.wrap(httpx.Client(), buyer) as client:
        with buyer.purchase(key="a"):
            client.get(f"{seller.url}/weather")
        buyer.purchase(key="b").run(client.get, f"{seller.url}/weather")
        later, other = buyer.purchase(key="c"), seller.buyer(Policy(per_day="1")).purchase(key="d")
        with buyer.purchase(key="e"):
            client.get(f"{seller.url}/weather")
        client.get(f"{seller.url}/weather", extensions={"x402": {"key": "f"}})
        with ThreadPoolExecutor(1) as thread:
            thread.submit(client.get, f"{seller.url}/weather").result()
        with later:
            client.get(f"{seller.url}/weather")
        other.run(bool)
    gc.collect()


def test_what_is_given_in_a_wrong_place_is_told(seller: Sandbox, buyer: Buyer, tmp_path: Path) -> None:
    with x402_client.httpx.wrap(httpx.Client(), buyer) as client:
        answer = client.get(f"{seller.url}/weather")
        given = answer, outcome(answer)
        for one in given:
            with pytest.raises(errors.ConfigurationError, match=r"that is outcome\(it\)\.hold"):
                buyer.write_off(one)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"find takes an exception, not Response; of a response, outcome\(it\)"):
            errors.find(answer)  # type: ignore[arg-type]
        with pytest.raises(errors.ConfigurationError, match=r"Client is no sync transport; wrap\(client, buyer\)"):
            x402_client.httpx.PaymentTransport(buyer, client)  # type: ignore[arg-type]
    for path in ({"per_day": "1"}, 0, None, Policy(per_day="1")):
        with pytest.raises(
            errors.ConfigurationError, match=r"takes the path of a file, not \w+; in code write Policy\("
        ):
            Policy.from_file(path)  # type: ignore[arg-type]
    (tmp_path / "policy.toml").write_text('per_day = "1"')
    assert repr(Policy.from_file(tmp_path / "policy.toml")) == repr(Policy(per_day="1"))
    with pytest.raises(errors.ConfigurationError, match=r"write assets=\['USDC'\]"):
        Policy(per_day="1", tokens=["USDC"])  # type: ignore[list-item]
    with pytest.raises(errors.ConfigurationError, match=r"write Buyer\(wallet, Policy\("):
        Buyer(buyer.wallet, buyer.wallet)  # type: ignore[arg-type]


@pytest.mark.parametrize("limit", ["10", -1, 1.5, None, True, "api.example.com"])
def test_a_history_takes_a_whole_number(buyer: Buyer, limit: Any) -> None:
    for asked in (buyer, buyer.allowance("1")):
        with pytest.raises(errors.ConfigurationError, match=r"like history\(20\)"):
            asked.history(limit)
    with pytest.raises(errors.ConfigurationError, match=r"like history\(20\)"):
        asyncio.run(buyer.ahistory(limit))


@pytest.mark.parametrize("session", [None, "https://api.example.com/mcp", object(), httpx.AsyncClient])
def test_a_quote_of_what_is_no_session(session: Any) -> None:
    with pytest.raises(errors.ConfigurationError, match=r"quote takes an mcp\.ClientSession"):
        asyncio.run(x402_client.mcp.quote(session, "weather", {}))


def test_tools_without_a_facilitator(buyer: Buyer) -> None:
    with httpx.Client() as client, pytest.raises(errors.ConfigurationError, match="facilitator is a URL or a list"):
        agents.tools(client, buyer, facilitator=None)  # type: ignore[call-overload]


def test_a_buyer_that_was_closed_opens_again(seller: Sandbox, buyer: Buyer) -> None:
    """Its docstring and the manual say so: ``freeze`` is what stops payments."""
    with x402_client.httpx.wrap(httpx.Client(), buyer) as client:
        buyer.close()
        assert client.get(f"{seller.url}/weather").status_code == 200
        assert str(buyer.spent()) == "0.01 USD"
        buyer.freeze("*")
        buyer.close()
        with pytest.raises(errors.Frozen):
            client.get(f"{seller.url}/weather")
