"""Permits in the command: what is asked for, what would be signed, what was, and what is left of it."""

from __future__ import annotations

import base64
import json
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

import x402_client.httpx
from tests.chains.scripted_rpc import Scripted, result
from x402_client import Policy, Wallet
from x402_client.chains.public_endpoints import PUBLIC
from x402_client.sandbox import Sandbox

from .running import in_process
from .test_decode import decoded, facts, levels

WAY = "/sponsored/permit2/weather"


@pytest.fixture
def poor(seller: Sandbox, given: dict[str, str]) -> dict[str, str]:
    seller.approve(Wallet(evm=given["X402_EVM_KEY"]), "0")
    return given


def test_quote_and_doctor_say_what_would_be_signed(seller: Sandbox, poor: dict[str, str]) -> None:
    ran = in_process(["quote", seller.url + WAY], poor)
    assert "a permit (EIP-2612) of exactly this amount is signed with the payment" in " ".join(ran.text.split())
    said = json.loads(in_process(["quote", "--json", seller.url + WAY], poor).out)
    assert (said["offers"][0]["permit2"], said["offers"][0]["sponsoring"]) == (True, ["eip2612GasSponsoring"])
    ran = in_process(["doctor", seller.url + WAY], poor)
    assert (ran.code, "a permit of exactly 0.01 is signed" in " ".join(ran.text.split())) == (0, True)
    ran = in_process(["doctor", f"{seller.url}/permit2/weather"], poor)
    assert ran.code != 0
    assert "the seller takes no permit" in " ".join(ran.text.split())


def test_status_shows_what_is_left(seller: Sandbox, poor: dict[str, str]) -> None:
    seller.approve(Wallet(evm=poor["X402_EVM_KEY"]), "0.03")
    assert in_process(["get", "--yes", seller.url + WAY], poor).code == 0
    ran = in_process(["status"], poor)
    text = " ".join(ran.text.split())
    assert "Could be taken besides 0.02 USDC of 0x" in text
    assert "by Permit2" in text
    said = json.loads(in_process(["status", "--json"], poor).out)
    [one] = said["exposures"]
    assert (one["kind"], one["amount"], one["until"]) == ("allowance", "20000", None)
    assert one["spender"] == "0x000000000022D473030F116dDEE9F6B43aC78BA3"
    [unread] = json.loads(in_process(["status", "--json", "--offline"], poor).out)["exposures"]
    assert unread["amount"] is None


def test_offline_no_public_endpoint_is_asked_what_is_left(
    seller: Sandbox, poor: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seller.approve(Wallet(evm=poor["X402_EVM_KEY"]), "0.03")
    assert in_process(["get", "--yes", seller.url + WAY], poor).code == 0
    with Scripted(result(hex(402402402402))) as public:
        monkeypatch.setitem(PUBLIC, "eip155:402402402402", (public.url,))
        before = set(threading.enumerate())
        [unread] = json.loads(in_process(["status", "--json", "--offline"], poor).out)["exposures"]
        for thread in set(threading.enumerate()) - before:
            thread.join(10)
        assert (unread["amount"], public.asked) == (None, [])


def test_status_shows_what_another_program_left(seller: Sandbox, poor: dict[str, str]) -> None:
    assert json.loads(in_process(["status", "--json"], poor).out)["exposures"] == []
    seller.approve(Wallet(evm=poor["X402_EVM_KEY"]), "0.02")
    [one] = json.loads(in_process(["status", "--json"], poor).out)["exposures"]
    assert (one["kind"], one["amount"], one["since"], one["until"]) == ("allowance", "20000", None, None)
    assert "the sandbox approved it" in one["why"]
    assert one["advice"].startswith("nothing; ")
    assert "Could be taken besides 0.02 USDC of 0x" in " ".join(in_process(["status"], poor).text.split())


def test_a_hostile_ask_is_named(seller: Sandbox, poor: dict[str, str]) -> None:
    url = f"{seller.url}/sponsored/permit2/fault/unlimited-approval/weather"
    ran = in_process(["quote", url], poor)
    assert ran.code != 0
    assert (
        "asks for a permit with amount"
        in json.loads(in_process(["quote", "--json", url], poor).out)["offers"][0]["reason"]
    )


def heads_of(seller: Sandbox) -> tuple[str, str]:
    """The headers of terms and of a payment with a permit."""
    buyer, seen = seller.buyer(Policy(per_request="1")), list[httpx.Request]()
    seller.approve(buyer, "0")
    hooks: dict[str, Any] = {"request": [seen.append]}
    inner = httpx.HTTPTransport()
    kept: list[str] = []

    class Keeping(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            kept.extend(value for name, value in request.headers.items() if name == "payment-signature")
            return inner.handle_request(request)

    with inner, x402_client.httpx.wrap(httpx.Client(transport=Keeping(), event_hooks=hooks), buyer) as client:
        assert client.get(seller.url + WAY).status_code == 200
    return httpx.get(seller.url + WAY).headers["payment-required"], kept[0]


def test_decode_reads_a_permit_and_finds_what_does_not_fit(seller: Sandbox) -> None:
    asked, paid = heads_of(seller)
    assert any("a permit with the payment" in line for line in levels(decoded(asked, 0), "note"))
    found = decoded(paid, 0)
    good = json.loads(base64.b64decode(paid))
    info = good["extensions"]["eip2612GasSponsoring"]["info"]
    assert facts(found)["permit signed by"].startswith(info["from"])
    assert "lets Permit2 take 10000 once it is used" in facts(found)["permit"]
    assert info["signature"][2:20] not in json.dumps(found)
    for change, place in (
        ({"amount": str(2**256 - 1)}, "amount"),
        ({"spender": "0x" + "6" * 40}, "spender"),
        ({"asset": "0x" + "6" * 40}, "asset"),
        ({"deadline": "99999999999"}, "deadline"),
        ({"nonce": "5"}, "signature"),
        ({"amount": 7}, "extensions.eip2612GasSponsoring.info:"),
    ):
        forged = {**good, "extensions": {"eip2612GasSponsoring": {"info": {**info, **change}}}}
        blob = base64.b64encode(json.dumps(forged).encode()).decode()
        assert any(place in line for line in levels(decoded(blob, 1), "wrong")), change


def test_decode_names_what_no_honest_seller_asks_for(seller: Sandbox) -> None:
    url = f"{seller.url}/sponsored/permit2/fault/permit-to-another/weather"
    found = decoded(httpx.get(url).headers["payment-required"], 1)
    assert any("no honest seller asks for it" in line for line in levels(found, "wrong"))


def test_a_policy_without_permits_says_so(tmp_path: Path, given: dict[str, str]) -> None:
    file = tmp_path / "policy.toml"
    file.write_text('per_day = "1"\npermits = false\n', "utf-8")
    assert "none is signed: Permit2 needs an allowance" in in_process(["policy", "check", str(file)], given).text
