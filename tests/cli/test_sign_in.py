"""Sign-ins in the command: what get, quote, doctor and decode say of them, and that they cost nothing."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import httpx

from x402_client import Policy
from x402_client.httpx import wrap
from x402_client.sandbox import Sandbox

from .running import in_process


def test_get_pays_once_and_signs_in_after_that(seller: Sandbox, given: dict[str, str]) -> None:
    url, before = seller.sell("/signed/poem", "0.02", content="Roses", sign_in=True), len(seller.settlements)
    first, again = (in_process(["get", url, "--yes"], given) for _ in range(2))
    assert (first.text, again.text, again.code) == ("Roses", "Roses", 0)
    assert "Signed in as 0x" in again.err
    assert "Nothing was paid." in again.err
    assert "Paid" not in again.err
    assert len(seller.settlements) == before + 1
    told = json.loads(in_process(["get", url, "--json"], given).err)
    assert (told["money"], told["payment"], told["left"]) == ("untouched", None, None)
    assert told["signed_in"].startswith("0x")
    dry = in_process(["get", url, "--dry-run"], given)
    assert "Would sign in first" in dry.err


def test_get_says_that_a_sign_in_opened_nothing(seller: Sandbox, given: dict[str, str]) -> None:
    in_process(["get", f"{seller.url}/weather", "--yes"], given)
    ran = in_process(["get", f"{seller.url}/fault/sign-in-refused/weather", "--yes"], given)
    assert "opened nothing; paying instead." in ran.err
    assert ran.code == 0


def test_a_page_without_a_price_opens_or_says_why_not(seller: Sandbox, given: dict[str, str], tmp_path: Path) -> None:
    url = seller.sell_nothing("/signed/job", content="done")
    assert in_process(["get", url], given).text == "done"
    shown = in_process(["quote", url], given)
    assert "asks for a sign-in, and no payment" in shown.text
    assert "A sign-in comes first. It costs nothing, and shows the seller the wallet's address." in shown.text
    assert shown.code == 0
    file = tmp_path / "never.toml"
    file.write_text('per_day = "5"\nsign_in = "never"\n', "utf-8")
    refused = in_process(["get", url, "--policy", str(file)], given)
    assert refused.code == 3
    assert "opens by a sign-in of the wallet, and none opened it" in refused.err
    told = json.loads(in_process(["quote", url, "--json", "--policy", str(file)], given).out)
    assert (told["offers"], "never" in told["sign_in"]["reason"]) == ([], True)
    assert "opens by a sign-in alone, and none would be signed" in told["refusal"]


def test_quote_and_doctor_say_what_comes_first(seller: Sandbox, given: dict[str, str]) -> None:
    url = seller.fault_url("sign-in-foreign-domain")
    assert "No sign-in: it is for 'bank.example'" in in_process(["quote", url], given).text
    examined = in_process(["doctor", url], given)
    assert examined.code == 1
    assert "it is for 'bank.example'" in examined.text
    url = seller.sell_nothing("/signed/job", content="done")
    examined = in_process(["doctor", url], given)
    assert (examined.code, "would be signed first: it costs nothing" in examined.text) == (0, True)


def header(url: str, seller: Sandbox) -> str:
    """The header of a sign-in of ours."""
    seen: list[str] = []
    buyer = seller.buyer(Policy(per_request="0.05"))

    class Seeing(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            seen.append(request.headers.get("sign-in-with-x", ""))
            return super().handle_request(request)

    with wrap(httpx.Client(transport=Seeing()), buyer) as client:
        client.get(url)
    return next(filter(None, seen))


def test_decode_reads_a_sign_in_and_checks_its_signature(seller: Sandbox, given: dict[str, str]) -> None:
    sent = header(seller.sell_nothing("/signed/job", content="done"), seller)
    ran = in_process(["decode", f"SIGN-IN-WITH-X: {sent}"], given)
    said = json.loads(base64.b64decode(sent))
    assert ran.code == 0
    assert f"{said['address']} on sandbox" in ran.text
    assert "signed by" in ran.text
    assert said["signature"] not in ran.text
    for changes, why in (
        ({"statement": "Pay."}, "it is not by"),
        ({"signature": 7}, "it is missing, or no text"),
        ({"signature": "zz"}, "it is not by"),
        ({"nonce": "x"}, "its nonce is 'x'"),
        ({"chainId": "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1", "type": "ed25519"}, "it is not by"),
    ):
        wrong = in_process(["decode", json.dumps({**said, **changes})], given)
        assert (wrong.code, why in wrong.text) == (1, True)


def test_decode_checks_a_sign_in_on_solana(given: dict[str, str]) -> None:
    vectors = json.loads((Path(__file__).parents[1] / "wire" / "sign_in_vectors.json").read_text("utf-8"))
    for one in vectors:
        kind = "eip191" if one["chainId"].startswith("eip155") else "ed25519"
        said = {**one["info"], "type": kind, **{name: one[name] for name in ("chainId", "address", "signature")}}
        ran = in_process(["decode", json.dumps(said)], given)
        assert (ran.code, "signed by" in ran.text) == (0, True)
