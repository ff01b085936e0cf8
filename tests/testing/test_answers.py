"""Answers for mocks: every HTTP library's mock takes them, and a wrapped client pays for them."""

from __future__ import annotations

import base64
import itertools
import json
import re
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest

import x402_client
import x402_client.httpx
import x402_client.httpx2
from x402_client import Buyer, Policy, Token, Wallet, outcome, receipt
from x402_client.errors import ConfigurationError, PaymentRejected
from x402_client.model.offers import Quote
from x402_client.testing import MockedAnswer, payment_required, payment_response
from x402_client.wire.bounds import DEFAULT
from x402_client.wire.read import read_quote

URL = "https://api.example.com/sky"
PAGE = Path(x402_client.__file__).parent / "manual" / "testing.md"
#: Where nothing listens: no test here asks a chain.
NETWORKS = ("base", "base-sepolia", "polygon", "avalanche", "solana", "solana-devnet")
PLAY = Token("eip155:99999", "0x" + "77" * 20, "PLAY", 18, "Play", "1", currency="EUR")


def read(answer: MockedAnswer) -> Quote:
    headers = httpx.Headers(answer.headers)
    found = read_quote(headers.get, answer.body, URL, DEFAULT)
    assert found is not None
    return found


def buyer(**policy: Any) -> Buyer:
    limits = {"per_request": ["0.10", "0.10 EUR"], "per_day": "5"}
    wallet = Wallet(evm="0x" + "46" * 32, solana=b"\x01" * 32)
    return Buyer(
        wallet, Policy(**limits, **policy), ledger=":memory:", rpc=dict.fromkeys(NETWORKS, "http://127.0.0.1:9")
    )


def client(payer: Buyer, *answers: MockedAnswer) -> httpx.Client:
    first, last = answers[0], answers[-1]

    def seller(request: httpx.Request) -> httpx.Response:
        return httpx.Response(
            **(last if {"PAYMENT-SIGNATURE", "X-PAYMENT"} & set(map(str.upper, request.headers)) else first)
        )

    inner = httpx.MockTransport(seller)
    return x402_client.httpx.wrap(httpx.Client(transport=inner), payer)


@pytest.mark.parametrize(("version", "header"), [(1, None), (2, "PAYMENT-REQUIRED")])
def test_each_version_has_its_terms_in_its_own_place(version: Any, header: str | None) -> None:
    answer = payment_required("0.25", description="the sky", url=URL, version=version)
    assert answer.status == 402
    assert ("PAYMENT-REQUIRED" in answer.headers) == (header is not None)
    terms = json.loads(answer.body if header is None else base64.b64decode(answer.headers[header]))
    assert (terms["x402Version"], terms["error"]) == (version, "payment required")
    (offer,) = terms["accepts"]
    assert offer["maxAmountRequired" if version == 1 else "amount"] == "250000"
    assert offer["network"] == ("base" if version == 1 else "eip155:8453")
    assert offer["extra"] == {"name": "USD Coin", "version": "2"}
    assert (offer if version == 1 else terms["resource"])["description"] == "the sky"
    assert (offer["resource"] if version == 1 else terms["resource"]["url"]) == URL
    assert read(answer).faults == ()


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("network", ["base", "eip155:8453", "base-sepolia", "polygon", "solana", "solana-devnet"])
def test_the_offer_is_acceptable_on_each_network(network: str, version: Any) -> None:
    unpaid = payment_required("0.01", network=network, version=version)
    terms = x402_client.httpx.quote(client(buyer(), unpaid), "GET", URL)
    assert terms.reasons == ()
    assert terms.choice is not None
    assert terms.choice.price is not None
    assert terms.choice.price.units == 10_000


@pytest.mark.parametrize(
    ("network", "version"),
    [("base", 1), ("base", 2), ("base-sepolia", 2), ("avalanche", 1), ("solana", 2), ("solana-devnet", 2)],
)
def test_a_payment_for_it_is_spent(network: str, version: Any) -> None:
    unpaid = payment_required("0.01", network=network, version=version)
    paid = payment_response("clear", network=network, version=version)
    with client(buyer(), unpaid, paid) as paying:
        response = paying.get(URL)
    found, proof = outcome(response), receipt(response)
    assert response.text == "clear"
    assert found is not None
    assert (found.money, found.mismatches) == ("spent", ())
    assert proof is not None
    assert proof.transaction


def test_the_receipt_says_what_it_is_told_to_say() -> None:
    payer = buyer()
    address = payer.wallet.addresses["eip155"]
    paid = payment_response(b"\x00", transaction="0xabc", payer=address, receipt={"amount": "10000"})
    with client(payer, payment_required(), paid) as paying:
        found = receipt(paying.get(URL))
    assert found is not None
    assert (found.transaction, found.payer, found.amount, found.success) == ("0xabc", address, 10_000, True)


def test_a_receipt_of_another_network_is_a_mismatch() -> None:
    with client(buyer(), payment_required(), payment_response(network="polygon")) as paying:
        found = outcome(paying.get(URL))
    assert found is not None
    assert found.money == "unknown"
    assert "eip155:137" in found.mismatches[0]


def test_a_no_is_a_rejection() -> None:
    no = payment_response(status=402, receipt={"success": False, "errorReason": "invalid_payload"})
    with client(buyer(), payment_required(), no) as paying, pytest.raises(PaymentRejected, match="invalid_payload"):
        paying.get(URL)


def test_further_offers_differ_where_they_say_so() -> None:
    also: Any = [
        {"network": "solana", "amount": "0.02"},
        {"asset": "EURC"},
        {"scheme": "upto"},
        {"pay_to": "0x" + "a" * 40},
    ]
    offers = read(payment_required(Decimal("0.01"), timeout=90, extra={"memo": "1"}, also=also)).offers
    assert [offer.amount for offer in offers] == [10_000, 20_000, 10_000, 10_000, 10_000]
    assert [offer.network.partition(":")[0] for offer in offers] == ["eip155", "solana", "eip155", "eip155", "eip155"]
    assert len({offer.asset for offer in offers}) == 3
    assert [offer.scheme for offer in offers] == ["exact", "exact", "exact", "upto", "exact"]
    assert offers[4].pay_to == "0x" + "a" * 40
    assert {offer.timeout for offer in offers} == {90}
    assert all(offer.extra["memo"] == "1" for offer in offers)


def test_a_token_of_ones_own_is_priced_by_its_decimals() -> None:
    unpaid, paid = payment_required("0.05 EUR", asset=PLAY), payment_response(network=PLAY.network)
    assert read(unpaid).offers[0].amount == 5 * 10**16
    payer = buyer(tokens=[PLAY])
    with client(payer, unpaid, paid) as paying:
        assert paying.get(URL).status_code == 200
    assert str(payer.spent(currency="EUR")) == "0.05 EUR"


def test_a_network_of_another_family_needs_an_address() -> None:
    token = Token("stellar:pubnet", "CCW67", "USDC", 7)
    (offer,) = read(payment_required("0.01", asset=token, pay_to="GABC", extra={"a": 1})).offers
    assert (offer.network, offer.amount, offer.pay_to, dict(offer.extra)) == (
        "stellar:pubnet",
        100_000,
        "GABC",
        {"a": 1},
    )
    with pytest.raises(ConfigurationError, match="pass pay_to="):
        payment_required("0.01", asset=token)
    assert payment_response(network="stellar:pubnet").status == 200


def test_version_1_writes_a_long_name_where_it_is_asked_for() -> None:
    (offer,) = read(payment_required(network="eip155:84532", version=1)).offers
    assert (offer.written_network, offer.network) == ("eip155:84532", "eip155:84532")


def test_extensions_are_part_of_version_2() -> None:
    assert read(payment_required(extensions={"bazaar": {"info": {}}})).extensions == {"bazaar": {"info": {}}}


def test_the_factory_brings_a_new_blockhash_each_time() -> None:
    first, second = (read(payment_required(network="solana")).offers[0].extra for _ in range(2))
    assert first["recentBlockhash"] != second["recentBlockhash"]


MISTAKES: dict[str, Callable[[], object]] = {
    "floats round": lambda: payment_required(0.01),  # type: ignore[arg-type]
    "pass asset=Token": lambda: payment_required(asset="DOGE"),
    "'base mainnet' is not a network we know": lambda: payment_required(network="base mainnet"),
    "'mainnet' is": lambda: payment_required(network="mainnet"),
    "network: 'bse' is not a network we know; did you mean \"base\"": lambda: payment_response(network="bse"),
    "version=3 is neither": lambda: payment_required(version=3),  # type: ignore[arg-type]
    "version='2' is neither": lambda: payment_response(version="2"),  # type: ignore[arg-type]
    "has no 'amuont'": lambda: payment_required(also=[{"amuont": "1"}]),
    "is not in USD": lambda: payment_required("0.01 EUR"),
    "has more decimals than the token, which has 2": lambda: payment_required(
        "0.001", asset=Token("base", "0x" + "77" * 20, decimals=2)
    ),
}


@pytest.mark.parametrize("words", MISTAKES)
def test_a_mistake_is_told_with_its_cure(words: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        MISTAKES[words]()


@pytest.mark.parametrize("content", [b"\x00\x01", "text", {"a": [1]}, [], None])
def test_content_is_sent_by_its_kind(content: Any) -> None:
    answer = payment_response(content, headers={"X-Mine": "1"})
    assert answer.headers["X-Mine"] == "1"
    response = httpx.Response(**answer)
    if isinstance(content, bytes):
        assert response.content == content
    elif isinstance(content, str):
        assert response.text == content
    else:
        assert response.json() == content


def test_it_unpacks_and_shows_no_body() -> None:
    answer = payment_response("long text")
    assert dict(answer) == {"status_code": 200, "headers": answer.headers, "content": b"long text"}
    assert len(answer) == len(dict(answer))
    assert repr(answer) == "MockedAnswer(200, 9 bytes)"
    assert answer.for_responses["content_type"] == "text/plain; charset=utf-8"
    assert "Content-Type" not in answer.for_responses["headers"]


async def _pay_async(library: Any, wrap: Any) -> Any:
    answers = itertools.cycle([payment_required("0.01"), payment_response("clear")])
    inner = library.MockTransport(lambda request: library.Response(**next(answers)))
    async with wrap(library.AsyncClient(transport=inner), buyer()) as paying:
        return await paying.get(URL)


@pytest.mark.parametrize(
    ("library", "wrap"),
    [(httpx, x402_client.httpx.wrap), (httpx2, x402_client.httpx2.wrap)],
    ids=["httpx", "httpx2"],
)
def test_an_async_client_pays_for_it(library: Any, wrap: Any) -> None:
    import asyncio

    assert asyncio.run(_pay_async(library, wrap)).text == "clear"


def fragments() -> dict[str, str]:
    """Return the page's tests with the mocks of other libraries, by the module that they need."""
    found = re.findall(r"^```py\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return {match[1]: text for text in found if (match := re.search(r"def test_with_(\w+)", text))}


FRAGMENTS = fragments()


def test_the_page_shows_every_library() -> None:
    assert set(FRAGMENTS) == {"respx", "pytest_httpx", "responses", "requests_mock", "aiohttp", "aioresponses"}


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Run the page's tests with every library that is here, as one file, and return what pytest said."""
    program = tmp_path_factory.mktemp("page") / "test_page.py"
    shared = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    here = [text for library, text in FRAGMENTS.items() if find_spec(library) is not None]
    program.write_text("\n\n".join((*shared, *here)), "utf-8")
    command = [sys.executable, "-m", "pytest", "-v", "-W", "error", "-p", "no:cacheprovider", "-k", "test_with_"]
    ran = subprocess.run([*command, str(program)], capture_output=True, text=True, timeout=120, cwd=program.parent)
    return ran.stdout + ran.stderr


@pytest.mark.parametrize("library", sorted(FRAGMENTS))
def test_the_tests_on_the_page_pass(library: str, request: pytest.FixtureRequest) -> None:
    if find_spec(library) is None:
        pytest.skip(f"there is no {library} here; the extra [test] has it")
    shown = request.getfixturevalue("shown")
    assert f"::test_with_{library} PASSED" in shown, shown
