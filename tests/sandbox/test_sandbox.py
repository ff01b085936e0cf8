"""The sandbox as its users see it: what it sells, to whom, what it counts, and that it goes away without a trace."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import httpx
import pytest
from solders.keypair import Keypair

import x402_client.httpx
from tests.adapters.one_request import SHELLS, Ask, name_of
from x402_client import Limit, Money, Policy, Token, Wallet, errors, receipt
from x402_client.model.money import Amount
from x402_client.sandbox import FAULTS, TEST_EVM_KEYS, TEST_SOLANA_KEYS, TOKENS, Sandbox
from x402_client.sandbox.accounts import accounts_of

POLICY = Policy(per_request="0.05")
REAL_KEY = "0x" + "46" * 32  # made by hand and not by a sandbox


def get(sandbox: Sandbox, url: str, policy: Policy = POLICY, **settings: Any) -> httpx.Response:
    with x402_client.httpx.wrap(httpx.Client(), sandbox.buyer(policy, **{"repeat": (), **settings})) as client:
        return client.get(url)


# --- buying


@pytest.mark.parametrize("ask", SHELLS, ids=name_of)
@pytest.mark.parametrize("way", ["/evm", "/solana", "/v1/evm", "/v1/solana", "/v1-caip2/solana"])
def test_every_shell_pays_on_every_way(sandbox: Sandbox, ask: Ask, way: str) -> None:
    buyer = sandbox.buyer(POLICY, repeat=())
    response = ask(buyer, "POST", f"{sandbox.url}{way}/weather", json={"city": "Lisbon"})
    assert response.json() == {"paid": "0.01 USD", "received": 17 + (ask in SHELLS[4:]), "content": "worth it"}
    [done] = sandbox.settlements
    [hold] = buyer.history()
    found = receipt(response)
    assert found is not None
    assert (found.transaction, found.payer) == (done.transaction, done.payer)
    assert (done.nonce, done.price, done.path) == (hold.nonce, Money("0.01"), "/weather")
    assert hold.money == "spent"
    assert sandbox.balance(buyer) == Money("199.99")
    assert sandbox.balance(done.pay_to) == sandbox.earned == Money("0.01")
    assert sandbox.paid(buyer) == sandbox.settlements
    assert sandbox.settled(hold) == sandbox.settled(done.nonce) == done
    assert sandbox.settled("0x") is None
    assert [(visit.payment, visit.status) for visit in sandbox.visits] == [(None, 402), (done.nonce, 200)]


def test_a_body_in_chunks_arrives_whole(sandbox: Sandbox) -> None:
    with x402_client.httpx.wrap(httpx.Client(), sandbox.buyer(POLICY, repeat=())) as client:
        response = client.post(sandbox.url + "/weather", content=(b"x" * 1000 for _ in range(50)))
    assert response.json()["received"] == 50_000


@pytest.mark.parametrize("content", ["a poem", b"\x00\xff", {"a": [1]}, ["a"], 7])
def test_any_content_is_sold(sandbox: Sandbox, content: Any) -> None:
    url = sandbox.sell("/poem", "0.02", content=content)
    response = get(sandbox, url)
    found: Any = response.json() if isinstance(content, (dict, list, int)) else response.content
    assert found == (content.encode() if isinstance(content, str) else content)


def test_selling_anew_changes_the_terms(sandbox: Sandbox) -> None:
    url = sandbox.sell("/poem", "0.02", chains="solana", version=1)
    assert get(sandbox, url).json()["paid"] == "0.02 USD"
    sandbox.sell("/poem", Money("0.03"))
    assert get(sandbox, url).json()["paid"] == "0.03 USD"
    sandbox.free("/poem")
    assert get(sandbox, url).json() == {"free": True}
    assert [done.network.partition(":")[0] for done in sandbox.settlements] == ["solana", "eip155"]


def test_terms_that_changed_between_asking_and_paying_are_not_settled(sandbox: Sandbox) -> None:
    url = sandbox.sell("/poem", "0.02")

    def rise(event: Any) -> None:
        if type(event).__name__ == "Presented":
            sandbox.sell("/poem", "0.03")

    with pytest.raises(errors.PaymentRejected, match="terms that are not on offer"):
        get(sandbox, url, on_event=rise)
    assert sandbox.settlements == []


def test_goods_may_be_called_as_a_way_of_selling_is(sandbox: Sandbox) -> None:
    url = sandbox.sell("/v1/messages", "0.02")
    assert get(sandbox, url).json()["paid"] == "0.02 USD"
    assert "X-PAYMENT-RESPONSE" in get(sandbox, sandbox.url + "/v1/v1/messages").headers
    assert get(sandbox, sandbox.fault_url("redirect-before-paying", "/v1/messages")).status_code == 307


def test_a_sellers_memo_is_asked_for_and_paid_with(sandbox: Sandbox) -> None:
    url = sandbox.sell("/order", "0.02", chains=["solana"], memo="order 7 of the café")
    assert get(sandbox, url).status_code == 200


@pytest.mark.parametrize("way", ["/evm", "/solana"])
def test_a_seller_that_remembers_delivers_again(sandbox: Sandbox, way: str) -> None:
    buyer = sandbox.buyer(POLICY, repeat=())
    url = f"{sandbox.url}/redeliver{way}/fault/drop-after-settling/weather"
    with x402_client.httpx.wrap(httpx.Client(), buyer) as client:
        with pytest.raises(errors.PaymentOutcomeUnknown):
            client.get(url)
        assert client.get(url).json()["content"] == "worth it"
    assert len(sandbox.settlements) == 1
    assert [hold.money for hold in buyer.history()] == ["spent"]


def test_fifty_buy_at_once(sandbox: Sandbox) -> None:
    buyer = sandbox.buyer(POLICY, repeat=())
    with x402_client.httpx.wrap(httpx.Client(), buyer) as client, ThreadPoolExecutor(10) as pool:
        urls = [f"{sandbox.url}/{'solana' if n % 2 else 'evm'}/weather?n={n}" for n in range(50)]
        assert {response.status_code for response in pool.map(client.get, urls)} == {200}
    assert len(sandbox.settlements) == len({done.nonce for done in sandbox.settlements}) == 50
    assert sandbox.earned == buyer.spent() == Money("0.50")


# --- faults in order


def test_faults_come_in_the_order_they_were_ordered_in(sandbox: Sandbox) -> None:
    url = sandbox.sell("/poem", "0.02", fault=["402-again", None, "error-after-settling", "wrong-token"])
    with x402_client.httpx.wrap(httpx.Client(), sandbox.buyer(POLICY, repeat=())) as client:
        with pytest.raises(errors.PaymentRejected):
            client.get(url)
        assert client.get(url).status_code == 200
        assert client.get(url + "?another").status_code == 502
        with pytest.raises(errors.NoAcceptableOffer):
            client.get(url + "?third")
        assert client.get(url + "?third").status_code == 200
    found = [visit.fault for visit in sandbox.visits if visit.fault]
    assert found == ["402-again", "error-after-settling", "wrong-token"]


def test_an_order_for_the_whole_sandbox_meets_whatever_comes_next(sandbox: Sandbox) -> None:
    sandbox.order("error-after-settling")
    assert get(sandbox, sandbox.url + "/report").status_code == 502
    assert get(sandbox, sandbox.url + "/report").status_code == 200


def test_nothing_goes_wrong_at_the_sound_address(sandbox: Sandbox) -> None:
    sandbox.sell("/poem", "0.02", fault="error-after-settling")
    sandbox.order("error-after-settling")
    assert get(sandbox, sandbox.url + "/sound/poem").status_code == 200
    assert get(sandbox, sandbox.url + "/poem").status_code == 502


def test_a_fault_that_is_sold_strikes_each_payment_once(sandbox: Sandbox) -> None:
    url = sandbox.sell("/poem", "0.02", fault="error-before-settling")
    buyer = sandbox.buyer(POLICY, repeat=())
    with x402_client.httpx.wrap(httpx.Client(), buyer) as client:
        assert [client.get(url).status_code for _ in range(4)] == [500, 200, 500, 200]
    assert len(sandbox.settlements) == 2


def test_a_buyer_without_guard_really_loses_to_pay_to_zero(sandbox: Sandbox) -> None:
    """The chain is not there to protect anybody: what was signed is moved."""
    from eth_account import Account

    from tests.real.by_hand import Authorization, quote

    key = sandbox.key("evm", "1")
    account = Account.from_key(key)
    url = sandbox.fault_url("pay-to-zero", "/report")
    terms = quote(httpx.get(url))
    [offer] = [one for one in terms["accepts"] if one["network"].startswith("eip155:")]
    assert int(offer["payTo"], 16) == 0
    signed = Authorization(offer, account.address)
    domain = {"name": "Sandbox USDC", "version": "1"}
    assert offer["extra"] == domain
    signature = sign_on_sandbox(account, signed)
    payment = {
        "x402Version": 2,
        "accepted": offer,
        "payload": {"signature": signature, "authorization": signed.message()},
    }
    answer = httpx.get(url, headers={"PAYMENT-SIGNATURE": sealed(payment)})
    assert answer.status_code == 200
    assert sandbox.balance(account.address) == Money("0.95")
    assert sandbox.balance(offer["payTo"]) == Money("0.05")


def sign_on_sandbox(account: Any, signed: Any) -> str:
    from x402_client.schemes.exact_evm import typed_data

    document = typed_data(TOKENS[0], signed.message()).full()
    return "0x" + bytes(account.sign_typed_data(full_message=document).signature).hex()


def sealed(document: Any) -> str:
    from base64 import b64encode

    return b64encode(json.dumps(document).encode()).decode()


# --- nothing real


def test_a_real_key_gets_no_money_and_no_buyer(sandbox: Sandbox) -> None:
    for wallet in (Wallet(evm=REAL_KEY), Wallet(solana=Keypair())):
        with pytest.raises(errors.ConfigurationError, match="throw-away keys only"):
            sandbox.buyer(wallet=wallet)
        with pytest.raises(errors.ConfigurationError, match="throw-away keys only"):
            sandbox.fund(wallet, 1)


@pytest.mark.parametrize("wallet", [lambda: Wallet(evm=REAL_KEY), lambda: Wallet(solana=Keypair())])
def test_a_payment_of_a_real_key_is_refused(sandbox: Sandbox, wallet: Callable[[], Wallet]) -> None:
    """Told that the sandbox's tokens are good, it would sign; the chains do not take it."""
    stranger = wallet()
    for network, address in accounts_of(stranger):
        sandbox._shop.chain(network).fund(address, 10**6)
    from x402_client import Buyer

    buyer = Buyer(stranger, Policy(per_request="0.05", tokens=TOKENS), ledger=":memory:", rpc=sandbox.rpc)
    client = x402_client.httpx.wrap(httpx.Client(), buyer)
    with client, pytest.raises(errors.PaymentRejected, match="throw-away keys only"):
        client.get(sandbox.url + "/weather")
    buyer.close()
    assert sandbox.settlements == []


def test_well_known_test_keys_are_taken(sandbox: Sandbox) -> None:
    wallet = Wallet(evm=TEST_EVM_KEYS[1], solana=TEST_SOLANA_KEYS[1])
    sandbox.fund(wallet, "0.02")
    assert get(sandbox, sandbox.url + "/solana/weather", wallet=wallet).status_code == 200
    assert get(sandbox, sandbox.url + "/evm/weather", wallet=wallet).status_code == 200
    assert sandbox.balance(wallet) == Money("0.02")


@pytest.mark.parametrize("name", ["base", "base-sepolia", "solana-mainnet", "eip155:1", "nonsense", ""])
def test_real_networks_are_not_sold_on(sandbox: Sandbox, name: str) -> None:
    with pytest.raises(errors.ConfigurationError, match="only its own networks"):
        sandbox.sell("/poem", 1, chains=name)
    with pytest.raises(errors.ConfigurationError, match="only its own networks"):
        sandbox.key(name)


def test_its_tokens_are_on_no_real_chain(sandbox: Sandbox) -> None:
    assert all(token == TOKENS[1] or token.network == "eip155:402402402402" for token in sandbox.tokens)
    with x402_client.httpx.wrap(httpx.Client(), sandbox.buyer(POLICY, repeat=())) as client:
        terms = x402_client.httpx.quote(client, "GET", sandbox.url + "/weather")
    assert {offer.network for offer in terms.offers} == set(sandbox.rpc) == {token.network for token in TOKENS}


# --- a policy, made fit


def test_a_policy_keeps_its_limits_and_learns_the_sandboxs_tokens(sandbox: Sandbox) -> None:
    mine = Token("base", "0x" + "1" * 40)
    strict = Policy(per_request="0.02", networks=["base"], assets=["EURC", "USDC"], tokens=[mine])
    fit = sandbox.policy(strict)
    assert (len(strict.tokens), strict.networks, strict.assets) == (1, ("eip155:8453",), ("EURC", "USDC"))
    assert fit.assets == strict.assets
    assert fit.overall is strict.overall
    assert fit.assets == strict.assets
    assert get(sandbox, sandbox.url + "/weather", strict).status_code == 200
    with pytest.raises(errors.TooExpensive):
        get(sandbox, sandbox.url + "/report", strict)


def test_assets_that_leave_usdc_out_refuse_the_sandbox_too(sandbox: Sandbox) -> None:
    euros = Policy(per_request="0.02", assets=["EURC"])
    assert sandbox.policy(euros).assets == ("EURC",)
    with pytest.raises(errors.NoAcceptableOffer, match=r"USDC is not among the allowed assets \(EURC\)"):
        get(sandbox, sandbox.url + "/weather", euros)
    assert sandbox.settlements == []


def test_a_preference_among_the_chains_holds(sandbox: Sandbox) -> None:
    get(sandbox, sandbox.url + "/weather", Policy(per_request="0.05", networks=["solana-devnet"]))
    assert sandbox.settlements[0].network == TOKENS[1].network


def test_hosts_are_not_softened(sandbox: Sandbox) -> None:
    with pytest.raises(errors.HostNotAllowed):
        get(sandbox, sandbox.url + "/weather", Policy(only_listed_hosts=True, hosts={"a.example": Limit(per_day=1)}))


# --- mistakes


@pytest.mark.parametrize(
    "path", ["poem", "/", "", "/fault/x", "/rpc/x", "/sound/x", "/poem?a=1", "/about", "/discovery/x"]
)
def test_paths_that_cannot_be_sold(sandbox: Sandbox, path: str) -> None:
    with pytest.raises(errors.ConfigurationError, match="cannot be sold"):
        sandbox.sell(path, "0.01")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"fault": "typo"}, "There is no fault 'typo'; there are wrong-token"),
        ({"fault": ["slow", "typo"]}, "There is no fault"),
        ({"version": 3}, "versions 1 and 2"),
        ({"chains": []}, "chains is empty"),
        ({"price": 0.1}, "floats round"),
    ],
)
def test_mistakes_in_selling(sandbox: Sandbox, wrong: dict[str, Any], words: str) -> None:
    price: Amount = wrong.pop("price", "0.01")
    with pytest.raises(errors.ConfigurationError, match=words):
        sandbox.sell("/poem", price, **wrong)
    with pytest.raises(errors.ConfigurationError, match="There is no fault"):
        sandbox.fault_url("typo")
    with pytest.raises(errors.ConfigurationError, match="There is no fault"):
        sandbox.order("typo")
    with pytest.raises(ValueError, match="forwards"):
        sandbox.advance(-1)


def test_what_is_not_there_is_not_found(sandbox: Sandbox) -> None:
    for path in ("/nothing", "/fault/typo", "/fault", "/v1/nothing", "/favicon.ico"):
        assert httpx.get(sandbox.url + path).status_code == 404
    assert sandbox.visits == []


@pytest.mark.parametrize(
    "payment",
    ["", "%%%", "e30=", sealed([1]), sealed({"accepted": 5}), sealed({"accepted": {"network": "solana:x"}})],
)
def test_a_payment_that_makes_no_sense_is_refused(sandbox: Sandbox, payment: str) -> None:
    for header in ("PAYMENT-SIGNATURE", "X-PAYMENT"):
        for way in ("", "/v1", "/solana", "/v1/solana", "/fault/slow"):
            answer = httpx.get(f"{sandbox.url}{way}/weather", headers={header: payment})
            assert answer.status_code == 402
    assert sandbox.settlements == []


@pytest.mark.parametrize(
    "head", ["Content-Length: many", "Content-Length: 500\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\nzz\r\n"]
)
def test_a_request_that_makes_no_sense_is_hung_up_on(sandbox: Sandbox, head: str) -> None:
    with socket.create_connection(("127.0.0.1", int(sandbox.url.rpartition(":")[2]))) as line:
        line.sendall(f"POST /weather HTTP/1.1\r\n{head}\r\n\r\n".encode())
        line.shutdown(socket.SHUT_WR)
        assert line.recv(1000) == b""


def test_a_port_that_is_taken_is_said(sandbox: Sandbox) -> None:
    port = int(sandbox.url.rpartition(":")[2])
    for taken in (port, 2**20):
        with pytest.raises(errors.ConfigurationError, match=f"cannot listen on port {taken}"):
            Sandbox(port=taken)


# --- pages


def test_the_index_lists_what_is_sold_and_every_fault(sandbox: Sandbox) -> None:
    sandbox.sell("/poem", "0.02")
    text = httpx.get(sandbox.url).text
    assert f"{sandbox.url}/poem" in text
    assert "0.02 USD" in text
    for fault in FAULTS.values():
        assert sandbox.fault_url(fault.name, "") in text
        assert fault.outcome in text


def test_a_program_elsewhere_learns_all_it_needs(sandbox: Sandbox) -> None:
    """From addresses alone: the tokens, the endpoints, a wallet; and then what was paid."""
    from x402_client import Buyer

    about = httpx.get(sandbox.url + "/about").json()
    keys = httpx.post(sandbox.url + "/wallet").json()
    tokens = [Token(**token) for token in about["tokens"]]
    wallet = Wallet(evm=keys["evm"]["key"], solana=keys["solana"]["key"])
    buyer = Buyer(wallet, Policy(per_request="0.05", tokens=tokens), ledger=":memory:", rpc=about["rpc"])
    with x402_client.httpx.wrap(httpx.Client(), buyer) as client:
        client.get(sandbox.url + "/evm/weather")
        client.get(sandbox.url + "/solana/weather")
    buyer.close()
    paid = httpx.get(sandbox.url + "/settlements").json()
    assert [one["amount"] for one in paid] == ["10000", "10000"]
    assert [one["payer"] for one in paid] == [keys["evm"]["address"], keys["solana"]["address"]]
    assert about["faults"] == list(FAULTS)


def test_it_lists_what_it_sells_as_facilitators_do(sandbox: Sandbox) -> None:
    """Page by page, and by words; and the 402 has the same words."""
    url = sandbox.sell("/poem", "0.02", chains="solana", description="Four lines")
    sandbox.sell("/old", "0.03", version=1, description="An old thing")
    whole = httpx.get(sandbox.url + "/discovery/resources").json()
    assert [one["resource"].rpartition("/")[2] for one in whole["items"]] == [
        "weather",
        "report",
        "yacht",
        "poem",
        "old",
    ]
    part = httpx.get(sandbox.url + "/discovery/resources?limit=2&offset=3").json()
    assert [one["resource"].rpartition("/")[2] for one in part["items"]] == ["poem", "old"]
    assert part["pagination"] == {"limit": 2, "offset": 3, "total": 5}
    found = httpx.get(sandbox.url + "/discovery/search?query=lines").json()
    assert [(one["resource"], one["x402Version"]) for one in found["resources"]] == [(url, 2)]
    assert httpx.get(sandbox.url + "/discovery/search?query=lines&network=eip155:1&type=mcp").json()["resources"] == []
    terms = json.loads(base64.b64decode(httpx.get(url).headers["PAYMENT-REQUIRED"]))
    assert terms["accepts"] == found["resources"][0]["accepts"]
    assert terms["resource"]["description"] == "Four lines"
    assert httpx.get(sandbox.url + "/old").json()["accepts"][0]["description"] == "An old thing"


# --- coming and going


def test_it_leaves_no_thread_and_no_connection(sandbox: Sandbox) -> None:
    before = set(threading.enumerate())
    client = httpx.Client()
    with Sandbox() as own:
        x402_client.httpx.wrap(client, own.buyer(POLICY))
        client.get(own.url + "/solana/weather")  # the connection stays open
        hung = threading.Thread(target=lambda: get_quietly(own, own.fault_url("hang-after-settling")))
        hung.start()
        while len(own.settlements) < 2:
            hung.join(0.01)
    hung.join()
    left = set(threading.enumerate()) - before
    assert {thread.name for thread in left} <= {"x402-deadlines"}, "but for the watchdog that all clients share"
    with pytest.raises(httpx.HTTPError):
        client.get(own.url)
    client.close()
    own.close()


def get_quietly(sandbox: Sandbox, url: str) -> None:
    client = x402_client.httpx.wrap(httpx.Client(), sandbox.buyer(POLICY, repeat=()))
    with client, pytest.raises(errors.PaymentOutcomeUnknown):
        client.get(url)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_it_works_in_async_programs(backend: str) -> None:
    async def main() -> None:
        async with (
            Sandbox() as sandbox,
            x402_client.httpx.wrap(httpx.AsyncClient(), sandbox.buyer(POLICY, repeat=())) as client,
        ):
            async with anyio.create_task_group() as tasks:
                for n in range(10):
                    tasks.start_soon(client.get, f"{sandbox.url}/weather?n={n}")
            assert len(sandbox.settlements) == 10

    anyio.run(main, backend=backend)


def test_a_cancelled_program_still_closes_it() -> None:
    before = set(threading.enumerate())

    async def main(opened: asyncio.Event) -> None:
        async with Sandbox():
            opened.set()
            await asyncio.sleep(60)

    async def cancelled() -> None:
        opened = asyncio.Event()
        task = asyncio.create_task(main(opened))
        await opened.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert not {thread.name for thread in set(threading.enumerate()) - before if "x402" in thread.name}


def test_two_at_once_do_not_know_each_other(sandbox: Sandbox) -> None:
    with Sandbox() as other:
        wallet = other.wallet()
        with pytest.raises(errors.ConfigurationError):
            sandbox.buyer(wallet=wallet)
        get(other, other.url + "/weather", wallet=wallet)
        assert (len(other.settlements), len(sandbox.settlements)) == (1, 0)


def test_it_says_what_it_is(sandbox: Sandbox) -> None:
    assert repr(sandbox) == f"Sandbox({sandbox.url}, 0 settlements)"
