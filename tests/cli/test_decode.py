"""``x402 decode``: every header of both versions, as the sandbox and our own buyer write them, and what is wrong."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.wire.terms import SELLER, document, encoded, entry, entry_v1
from x402_client import Policy
from x402_client.chains.contract_accounts import Undeployed
from x402_client.chains.contract_accounts import wrap as wrap_signature
from x402_client.httpx import wrap
from x402_client.sandbox import Sandbox

from .running import in_process, process

Heads = dict[str, str]


@pytest.fixture(scope="module")
def heads(seller: Sandbox) -> dict[str, Heads]:
    """What goes over the wire in one purchase of each kind."""
    found = {}
    buyer = seller.buyer(Policy(per_request="1", upto="1"))
    for path in (
        "/evm/weather",
        "/solana/weather",
        "/v1/evm/weather",
        "/v1/solana/weather",
        "/v1-caip2/solana/weather",
        "/permit2/weather",
        "/upto/weather",
    ):
        seen: Heads = {}

        def note(request: httpx.Request, seen: Heads = seen) -> None:
            seen.update({n: v for n, v in request.headers.items() if n in ("payment-signature", "x-payment")})

        class Noting(httpx.HTTPTransport):
            def handle_request(self, request: httpx.Request) -> httpx.Response:
                note(request)
                return super().handle_request(request)

        with wrap(httpx.Client(transport=Noting()), buyer) as client:
            asked = httpx.get(seller.url + path)
            seen["terms"] = asked.headers.get("payment-required") or asked.text
            answer = client.get(seller.url + path)
            seen |= {n: v for n, v in answer.headers.items() if n in ("payment-response", "x-payment-response")}
        found[path] = seen
    return found


def decoded(blob: str, code: int) -> dict[str, Any]:
    ran = in_process(["decode", "--json", "-"], {}, blob.encode())
    assert ran.code == code, ran.text + ran.err
    [found] = json.loads(ran.out)
    return dict(found)


def levels(found: dict[str, Any], level: str) -> list[str]:
    return [f"{finding['where']}: {finding['text']}" for finding in found["findings"] if finding["level"] == level]


def facts(found: dict[str, Any]) -> dict[str, str]:
    return {fact["name"]: fact["value"] for fact in found["facts"]}


BY_PERMIT = ["/permit2/weather", "/upto/weather"]
PATHS = [
    *BY_PERMIT,
    "/evm/weather",
    "/solana/weather",
    "/v1/evm/weather",
    "/v1/solana/weather",
    "/v1-caip2/solana/weather",
]


@pytest.mark.parametrize("path", PATHS)
def test_terms_payment_and_receipt_are_read(heads: dict[str, Heads], path: str) -> None:
    for name, blob in heads[path].items():
        found = decoded(blob, 0)
        expected = {"terms": "payment terms", "payment-signature": "a payment", "x-payment": "a payment"}
        assert found["what"] == expected.get(name, "a receipt")
        assert levels(found, "wrong") == []


@pytest.mark.parametrize("path", ["/evm/weather"])
def test_an_evm_payment_shows_what_was_signed_and_by_whom(heads: dict[str, Heads], path: str) -> None:
    blob = heads[path]["payment-signature"]
    payload = json.loads(base64.b64decode(blob))["payload"]
    found = decoded(blob, 0)
    shown = facts(found)
    assert shown["from"] == payload["authorization"]["from"]
    assert shown["to"] == payload["authorization"]["to"]
    assert shown["nonce"] == payload["authorization"]["nonce"]
    assert payload["signature"][2:20] not in json.dumps(found)


@pytest.mark.parametrize("path", BY_PERMIT)
def test_a_payment_by_permit2_shows_what_was_signed_and_by_whom(heads: dict[str, Heads], path: str) -> None:
    good = json.loads(base64.b64decode(heads[path]["payment-signature"]))
    found = decoded(json.dumps(good), 0)
    shown, signed = facts(found), good["payload"]["permit2Authorization"]
    assert (shown["from"], shown["to"], shown["nonce"]) == (signed["from"], signed["witness"]["to"], signed["nonce"])
    assert shown["signed by"].startswith(signed["from"])
    assert good["payload"]["signature"][2:20] not in json.dumps(found)
    cases: dict[str, dict[str, Any]] = {
        "the official contract of": {"spender": "0x" + "1" * 40},
        "it is not the offer's payTo": {"witness": {**signed["witness"], "to": "0x" + "1" * 40}},
        "it is not the amount of the offer": {"permitted": {**signed["permitted"], "amount": "1"}},
        "it is not the offer's asset": {"permitted": {**signed["permitted"], "token": "0x" + "1" * 40}},
        "are whole numbers, written as text": {"nonce": "0x12"},
        "it is not by": {"nonce": "7"},
    }
    for said, change in cases.items():
        forged = {**good, "payload": {**good["payload"], "permit2Authorization": {**signed, **change}}}
        assert any(said in line for line in levels(decoded(json.dumps(forged), 1), "wrong")), said


def test_a_known_token_is_checked_against_its_domain() -> None:
    from x402_client import Buyer, Wallet
    from x402_client.sandbox import TEST_EVM_KEYS

    sent: list[str] = []

    def sell(request: httpx.Request) -> httpx.Response:
        sent.extend(v for n, v in request.headers.items() if n == "payment-signature")
        return httpx.Response(402, headers={"PAYMENT-REQUIRED": encoded(document(entry()))})

    buyer = Buyer(Wallet(evm=TEST_EVM_KEYS[0]), Policy(per_request="1"), ledger=":memory:")
    with (
        wrap(httpx.Client(transport=httpx.MockTransport(sell)), buyer) as client,
        pytest.raises(Exception, match="again"),
    ):
        client.get("https://api.example.com/")
    good = json.loads(base64.b64decode(sent[0]))
    assert buyer.wallet.evm is not None
    assert facts(decoded(sent[0], 0))["signed by"] == f"{buyer.wallet.evm.address}, for USDC on base-sepolia"
    signed = good["payload"]["authorization"]
    cases = {
        "10001 was signed, and the offer asks 10000": {"value": "10001"},
        "it is not the offer's payTo": {"to": "0x" + "1" * 40},
        "it has expired": {"validBefore": "1"},
        "it is not valid yet": {"validAfter": str(2**34)},
        "it is not 0x and 64 hex digits": {"nonce": "0x12"},
        "it is not a whole number": {"value": "-5"},
        "it is not an address": {"from": "me"},
    }
    for said, change in cases.items():
        forged = {**good, "payload": {**good["payload"], "authorization": {**signed, **change}}}
        assert any(said in line for line in levels(decoded(json.dumps(forged), 1), "wrong")), said
    forged["payload"] = {**good["payload"], "authorization": {**signed, "nonce": "0x" + "0" * 64}}
    assert any("payload.signature: it is not by" in line for line in levels(decoded(json.dumps(forged), 1), "wrong"))


@pytest.mark.parametrize("wrapped", [False, True], ids=["there", "not there yet"])
def test_a_contracts_signature_is_called_one_and_not_shown(heads: dict[str, Heads], wrapped: bool) -> None:
    given = json.loads(base64.b64decode(heads["/evm/weather"]["payment-signature"]))
    signature, factory = b"\x07" * 130, "0x4e1DCf7AD4e460CfD30791CCC4F9c8a4f820ec67"
    signature = wrap_signature(Undeployed(factory, b"make", signature)) if wrapped else signature
    given["payload"]["signature"] = "0x" + signature.hex()
    found = decoded(json.dumps(given), 0)
    assert facts(found)["signature"].startswith(f"{len(signature)} bytes, not shown")
    [note] = [line for line in levels(found, "note") if "EIP-1271" in line]
    assert (factory in note) is wrapped
    assert "0707" not in json.dumps(found)


@pytest.mark.parametrize("path", [path for path in PATHS if "solana" in path])
def test_a_solana_payment_shows_its_instructions(seller: Sandbox, heads: dict[str, Heads], path: str) -> None:
    seen = heads[path]
    blob = seen.get("payment-signature") or seen["x-payment"]
    transaction = json.loads(base64.b64decode(blob))["payload"]["transaction"]
    found = decoded(blob, 0)
    shown = facts(found)
    said = " ".join(f"{name} {value}" for name, value in shown.items())
    assert "compute limit 20000 units" in said
    assert "transfer 0.01 USDC from " in said
    assert ("memo '" in said) == (path != "/v1/solana/weather")
    assert "(the fee payer does so at the end)" in shown["not signed yet"]
    assert shown["signed by"].startswith(shown["paid by"])
    assert transaction[:40] not in json.dumps(found)


def test_a_solana_payment_that_pays_somebody_else_is_told(heads: dict[str, Heads]) -> None:
    good = json.loads(base64.b64decode(heads["/solana/weather"]["payment-signature"]))
    cases = {
        "its destination is not the token account of the offer's payTo": {
            "payTo": good["accepted"]["extra"]["feePayer"]
        },
        "it transfers 10000, and the offer asks 9999": {"amount": "9999"},
        "it transfers another token": {"asset": "So11111111111111111111111111111111111111112"},
        "its fee payer is not the offer's": {"extra": {"feePayer": good["accepted"]["payTo"]}},
    }
    for said, change in cases.items():
        forged = {**good, "accepted": {**good["accepted"], **change}}
        assert any(said in line for line in levels(decoded(json.dumps(forged), 1), "wrong")), said
    raw = bytearray(base64.b64decode(good["payload"]["transaction"]))
    raw[70] ^= 1  # inside of the buyer's signature
    forged = {**good, "payload": {"transaction": base64.b64encode(bytes(raw)).decode()}}
    assert any("is not by it" in line for line in levels(decoded(json.dumps(forged), 1), "wrong"))
    forged = {**good, "payload": {"transaction": "bm90IG9uZQ=="}}
    assert any("not the base64 of a Solana" in line for line in levels(decoded(json.dumps(forged), 1), "wrong"))


V1 = {"version": 1}
BY_PERMIT2 = {"assetTransferMethod": "permit2"}
CEILING = BY_PERMIT2 | {"facilitatorAddress": SELLER}
FEES = {"feePayer": "EwWqGE4ZFKLofuestmU4LDdK7XM1N4ALgdZccwYugwGd"}
MINT = "4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU"
ON_SOLANA = entry(
    network="solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1", asset=MINT, payTo="BPFLoaderUpgradeab1e11111111111111111111111"
)
#: A document of terms, the level of what is found, and its words.
DEVIATIONS: dict[str, tuple[Any, str, str]] = {
    "no version": (document(version=None), "wrong", "x402Version: it has to be the number"),
    "another version": (document(entry(), version=3), "wrong", "version 3 is not known"),
    "no offers": ({"x402Version": 2, "accepts": []}, "wrong", "accepts: it is missing or empty"),
    "an offer that is none": (document("x"), "wrong", "offer 1: it is not an object"),
    "no scheme": (document(entry(scheme=...)), "wrong", "offer 1.scheme: it is missing"),
    "no amount": (document(entry(amount=...)), "wrong", "offer 1.amount: it is missing"),
    "a number": (document(entry(amount=10000)), "tolerated", "offer 1.amount: it is a number"),
    "no number": (document(entry(amount="0x10")), "wrong", "offer 1.amount: '0x10' is not a whole number"),
    "a leading zero": (document(entry(amount="010")), "wrong", "'010' is not a whole number"),
    "too large": (document(entry(amount="9" * 79)), "wrong", "it is out of range"),
    "nothing": (document(entry(amount="0")), "note", "it is zero"),
    "two amounts": (document(entry(maxAmountRequired="2")), "wrong", "differ, so the price has two meanings"),
    "version 1's word": (document(entry(amount=..., maxAmountRequired="2")), "tolerated", "version 2 calls it amount"),
    "a short network": (document(entry(network="base-sepolia")), "tolerated", "names networks by CAIP-2: eip155:84532"),
    "no network": (document(entry(network="moon")), "wrong", "'moon' names no network"),
    "a rare network": (document(entry(network="eip155:77")), "note", "is not in our table"),
    "a long network": (document(entry_v1(network="eip155:84532"), **V1), "tolerated", "by a word: base-sepolia"),
    "a symbol": (document(entry(asset="USDC")), "tolerated", "it is a symbol"),
    "an unknown token": (document(entry(asset="0x" + "7" * 40)), "note", "is no token that we know there"),
    "no token": (document(entry(asset="0x036cbD53842c5426634e7929541eC2318f3dCF7e")), "wrong", "checksum is wrong"),
    "nobody": (document(entry(payTo="0x" + "0" * 40)), "wrong", "it is the zero address"),
    "no address": (document(entry(payTo="me")), "wrong", "me is not an address there"),
    "the token": (document(entry(payTo=entry()["asset"])), "wrong", "it is the token itself"),
    "no time": (document(entry(maxTimeoutSeconds=0)), "tolerated", "no time to settle"),
    "ten years": (document(entry(maxTimeoutSeconds=315_360_000)), "tolerated", "ten minutes at most"),
    "text for time": (document(entry(maxTimeoutSeconds="60")), "wrong", "not a whole number of seconds"),
    "time is missing": (document(entry(maxTimeoutSeconds=...)), "tolerated", "maxTimeoutSeconds: it is missing"),
    "another domain": (document(entry(extra={"name": "USD", "version": "2"})), "tolerated", "own is 'USDC'"),
    "no domain": (document(entry(extra=None)), "tolerated", "EIP-712 name is missing"),
    "odd extra": (document(entry(extra=[1])), "wrong", "extra: it is not an object"),
    "permit2": (document(entry(extra=BY_PERMIT2)), "note", "it is paid by Permit2, from an allowance"),
    "another spender": (document(entry(extra=BY_PERMIT2 | {"spender": SELLER})), "wrong", "the official contract"),
    "erc7710": (document(entry(extra={"assetTransferMethod": "erc7710"})), "note", "'erc7710' is not supported"),
    "escrow": (document(entry(extra={"paymentFlow": "escrow"})), "note", "'escrow' is not supported: it locks money"),
    "upfront": (document(entry(extra={"paymentFlow": "upfront"})), "note", "the offer is paid before delivery"),
    "upfront on Solana": (document(ON_SOLANA | {"extra": FEES | {"paymentFlow": "upfront"}}), "note", "paid before"),
    "escrow on Solana": (document(ON_SOLANA | {"extra": FEES | {"paymentFlow": "escrow"}}), "note", "'escrow' is not"),
    "gateway": (document(entry(extra={"name": "GatewayWalletBatched"})), "note", "Circle's Gateway"),
    "a ceiling": (document(entry(scheme="upto", extra=CEILING)), "note", "the amount is a ceiling"),
    "no facilitator": (document(entry(scheme="upto", extra=BY_PERMIT2)), "wrong", "no account could settle this"),
    "zero facilitator": (
        document(entry(scheme="upto", extra=BY_PERMIT2 | {"facilitatorAddress": "0x" + "0" * 40})), "wrong",
        "the zero address",
    ),
    "batches": (document(entry(scheme="batch-settlement")), "note", "'batch-settlement' is not supported here: it"),
    "an escrow's scheme": (document(entry(scheme="auth-capture")), "note", "not supported here: it locks the money"),
    "a ceiling on Solana": (document(ON_SOLANA | {"scheme": "upto"}), "note", "it locks the whole ceiling in a"),
    "barter": (document(entry(scheme="barter")), "note", "no scheme that we know"),
    "no fee payer": (document(entry(network="solana", asset="USDC", payTo="x", extra={})), "wrong", "feePayer: it is"),
    "no resource": (document(entry()), "tolerated", "resource: it is missing"),
    "a resource without a url": (document(entry(), resource={}), "tolerated", "resource.url: it is missing"),
    "odd extensions": (document(entry(), extensions=[]), "tolerated", "extensions: it is not an object"),
    "version 1 without words": (document(entry_v1(mimeType=...), **V1), "tolerated", "mimeType: it is missing"),
    "a large offer": (document(entry(extra={"x": "y" * 9000})), "wrong", "has to echo it in a header"),
}  # fmt: skip


@pytest.mark.parametrize("name", DEVIATIONS)
def test_every_deviation_is_named(name: str) -> None:
    terms, level, said = DEVIATIONS[name]
    found = decoded(encoded(terms), 1 if level == "wrong" else 0)
    assert any(said in line for line in levels(found, level)), found["findings"]


def test_all_that_is_wrong_is_told_not_only_the_first() -> None:
    terms = document(entry(payTo="me", amount="-1"), entry(network="moon"), version=7)
    assert len(levels(decoded(encoded(terms), 1), "wrong")) == 4


_PADDED = next(text for n in range(3) if (text := encoded(document(entry(), error="a" * n))).endswith("="))
#: Texts around the JSON, the level of what is found, and its words.
WRAPPINGS = {
    "no base64": ("%%%", "wrong", "neither JSON nor base64"),
    "cut off": ("eyJ4N", "wrong", "the base64 is cut off"),
    "words": ("hello", "wrong", "this is neither JSON nor base64"),
    "no JSON": (base64.b64encode(b"hello").decode(), "wrong", "cannot be read"),
    "a list": ("[1]", "wrong", "it is not an object"),
    "something else": ('{"a": 1}', "wrong", "neither accepts"),
    "twice": ('{"success": true, "success": false}', "wrong", "'success' stands twice"),
    "NaN": ('{"success": true, "transaction": "0x", "network": "base", "amount": NaN}', "wrong", "NaN is no"),
    "deep": ("[" * 50_000, "wrong", "cannot be read"),
    "for URLs": (encoded(document(entry(), error="??>>~~")).translate({43: "-", 47: "_"}), "tolerated", "URLs"),
    "unpadded": (_PADDED.rstrip("="), "tolerated", "padding"),
    "split": (_PADDED[:40] + "\n" + _PADDED[40:], "tolerated", "white space"),
    "mark": (base64.b64encode(b"\xef\xbb\xbf" + json.dumps(document(entry())).encode()).decode(), "tolerated", "mark"),
    "a receipt of old": ('{"success": true, "txHash": "0x1", "networkId": "base"}', "tolerated", "calls it"),
    "a receipt of nothing": ('{"success": true, "payer": "0x"}', "wrong", "transaction: it is missing"),
    "an odd receipt": ('{"success": "yes"}', "wrong", "true or false"),
    "a failure": ('{"success": false, "transaction": "0x1"}', "note", "look at the chain"),
    "a payment of nothing": ('{"x402Version": 2, "payload": {}}', "wrong", "accepted: it is missing"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRAPPINGS)
def test_every_wrapping_is_looked_at(name: str) -> None:
    text, level, said = WRAPPINGS[name]
    found = decoded(text, 1 if level == "wrong" else 0)
    assert any(said in line for line in levels(found, level)), found["findings"]


def test_a_whole_answer_is_taken_apart() -> None:
    head = "HTTP/1.1 402 Payment Required\r\nPAYMENT-REQUIRED: {}\r\nContent-Type: application/json\r\n\r\n{}"
    answer = head.format(encoded(document(entry())), json.dumps(document(entry_v1(), version=1)))
    ran = in_process(["decode", "-"], {}, answer.encode())
    assert "PAYMENT-REQUIRED: payment terms" in ran.text
    assert "The body: payment terms" in ran.text
    assert in_process(["decode", "-"], {}, b" \n").code == 2


def test_what_a_seller_writes_cannot_paint_the_screen() -> None:
    nasty = "\x1b[31mred\x07\u202e[bold]bold[/bold]" + "x" * 2000
    ran = process(
        ["decode", encoded(document(entry(), error=nasty, resource={"url": nasty, "description": nasty}))], {}
    )
    assert "\x1b" not in ran.text
    assert "\x07" not in ran.text
    assert "\u202e" not in ran.text
    assert "[bold]bold[/bold]" in ran.text
    assert max(map(len, ran.text.splitlines())) < 500


TERMS = document(entry())
RECEIPT = {"success": True, "transaction": "0xfeed", "network": "base-sepolia", "payer": "0x" + "1" * 40}


@pytest.mark.parametrize(
    ("answer", "said", "sound"),
    [
        ({"isError": True, "structuredContent": TERMS}, "structuredContent", True),
        ({"jsonrpc": "2.0", "id": 1, "result": {"isError": True, "_meta": {"x402/error": TERMS}}}, "_meta[", True),
        ({"isError": True, "content": [{"type": "text", "text": json.dumps(TERMS)}]}, "the first content", True),
        ({"jsonrpc": "2.0", "id": 1, "error": {"code": 402, "data": TERMS}}, "a JSON-RPC error", True),
        ({"structuredContent": TERMS}, "isError: it is not true", False),
        ({"content": [], "_meta": {"x402/payment-response": RECEIPT}}, "a receipt in the result of an MCP tool", True),
        ({"content": [], "_meta": {"x402/payment-response": "eyJ4"}}, "not x402", False),
        ({"content": ["x"], "_meta": 5, "structuredContent": []}, "not x402", False),
        ({"jsonrpc": "2.0", "id": 1, "error": {"code": "x", "data": {}}}, "not x402", False),
        ({"jsonrpc": "2.0", "id": 1, "result": 5}, "not x402", False),
    ],
)
def test_the_answer_of_an_mcp_tool_is_read(answer: Any, said: str, sound: bool) -> None:
    ran = in_process(["decode", json.dumps(answer)], {})
    assert said.lower() in ran.out.decode().lower()
    assert ran.code == (0 if sound else 1)


def test_tokens_that_the_policy_vouches_for_are_known(seller: Sandbox, given: dict[str, str]) -> None:
    header = httpx.get(f"{seller.url}/evm/weather").headers["PAYMENT-REQUIRED"]
    assert "exact: 0.01 USDC on sandbox" in in_process(["decode", header], given).text
    named = in_process(["decode", header, "--policy", given["X402_POLICY"]], given | {"X402_POLICY": ""})
    assert "exact: 0.01 USDC on sandbox" in named.text
    assert "is no token that we know there" in in_process(["decode", header], given | {"X402_POLICY": ""}).text


def test_without_its_policy_file_the_rest_is_read(seller: Sandbox, given: dict[str, str], tmp_path: Path) -> None:
    header = httpx.get(f"{seller.url}/evm/weather").headers["PAYMENT-REQUIRED"]
    ran = in_process(["decode", header], given | {"X402_POLICY": str(tmp_path / "gone.toml")})
    assert (ran.code, "offer 1" in ran.text, "Its tokens are not known here." in ran.err) == (0, True, True)
