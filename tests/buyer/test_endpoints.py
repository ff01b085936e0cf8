"""The endpoints that a user names: over which way, and what is read from them about a token that is vouched for."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from dataclasses import replace
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from solders.pubkey import Pubkey

import x402_client.httpx
from tests.adapters.one_request import SHELLS, Ask, name_of
from tests.chains.scripted_rpc import Scripted, result
from x402_client import Buyer, Limit, Policy, Token, Wallet, errors
from x402_client.chains.public_endpoints import PUBLIC
from x402_client.chains.tokens import KNOWN
from x402_client.model.networks import SOLANA, SOLANA_DEVNET, SOLANA_TESTNET
from x402_client.sandbox import TOKENS, Sandbox
from x402_client.testing import payment_required, payment_response

POLICY = Policy(per_request="0.05", per_day="1")
EVM, SOLANAS = TOKENS


def build(url: str | list[str], **policy: Any) -> Buyer:
    return Buyer(Wallet(evm="11" * 32), Policy(per_day="1", **policy), ledger=":memory:", rpc={"base": url})


@pytest.mark.parametrize(
    "url",
    ["http://node.internal:8545", "http://10.0.0.7/", "http://node.internal/v2/a-secret-key", "HTTP://EXAMPLE.com",
     ["https://node.example.com", "http://node.example.com"]],
)  # fmt: skip
def test_plain_http_to_an_endpoint_elsewhere_needs_the_users_word(url: Any) -> None:
    with pytest.raises(errors.ConfigurationError) as raised:
        build(url)
    assert "Policy(http_hosts=[" in str(raised.value)
    assert "a-secret-key" not in str(raised.value)
    host = str(raised.value).partition("http_hosts=['")[2].partition("'")[0]
    build(url, http_hosts=[host])


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:8545", "http://localhost:8545", "http://[::1]:8545", "http://node.localhost", "http://127.1:8545",
     "https://node.example.com/v2/key"],
)  # fmt: skip
def test_this_machine_and_https_do_not(url: str) -> None:
    build(url)


@given(st.sampled_from(["http", "https"]), st.sampled_from(["node.example.com", "10.1.2.3", "127.0.0.1", "localhost"]))
def test_nobody_on_the_way_speaks_for_a_chain(scheme: str, host: str) -> None:
    from x402_client.buyer import settings

    safe = scheme == "https" or host in ("127.0.0.1", "localhost")
    with nullcontext() if safe else pytest.raises(errors.ConfigurationError):
        settings.endpoints({"base": f"{scheme}://{host}:8545"})


@pytest.mark.parametrize("url", ["http://node.example.com:99999", "ftp://127.0.0.1", "127.0.0.1:1", "http://:8545", ""])
def test_what_is_no_url_is_named(url: str) -> None:
    with pytest.raises(errors.ConfigurationError, match=r"rpc maps networks to URLs|lacks https://"):
        build(url)


# --- a token that the user vouches for


def told_decimals(decimals: int, chain: str) -> Token:
    token = EVM if chain == "evm" else SOLANAS
    return replace(token, decimals=decimals, symbol="PLAY")  # the table has the one on Solana, under its own symbol


@pytest.mark.parametrize("chain", ["evm", "solana"])
@pytest.mark.parametrize("ask", SHELLS, ids=name_of)
def test_wrong_decimals_are_refused_by_name_before_anything_is_signed(chain: str, ask: Ask) -> None:
    """With 18 for 6, $10,000 would count as $0.000001."""
    policy = Policy(per_request="0.05 USD", per_day="1", tokens=[told_decimals(6, chain)])
    vars(policy)["tokens"] = (told_decimals(18, chain),)  # a policy refuses it for a mint of the table by itself
    with Sandbox() as seller:
        buyer = Buyer(seller.wallet("1"), policy, ledger=":memory:", rpc=seller.rpc)
        with pytest.raises(errors.SigningError, match=r"has 6 decimals on .* and 18 in Policy\(tokens=") as raised:
            ask(buyer, "GET", f"{seller.url}/{chain}/weather")
        assert raised.value.money == "untouched"
        assert (buyer.holds(), seller.settlements) == ((), [])
        assert buyer.spent().units == 0


@pytest.mark.parametrize("chain", ["evm", "solana"])
def test_right_decimals_are_read_once(chain: str) -> None:
    policy = Policy(per_request="0.05", per_day="1", tokens=[told_decimals(6, chain)])
    with Sandbox() as seller:
        buyer = Buyer(seller.wallet("1"), policy, ledger=":memory:", rpc=seller.rpc)
        asked: list[str] = []
        real = buyer.endpoints.of(EVM.network if chain == "evm" else SOLANAS.network)
        ask = real.call
        real.call = lambda method, *params, **more: (asked.append(method), ask(method, *params, **more))[1]  # type: ignore[method-assign]
        with x402_client.httpx.wrap(httpx.Client(), buyer) as client:
            for _ in range(3):
                assert client.get(f"{seller.url}/{chain}/weather").status_code == 200
        assert asked.count("eth_call" if chain == "evm" else "getAccountInfo") == 1


def test_without_an_endpoint_the_users_word_counts() -> None:
    policy = Policy(per_request="0.05", per_day="1", tokens=[told_decimals(6, "evm")])
    with Sandbox() as seller:
        buyer = Buyer(seller.wallet("1"), policy, ledger=":memory:")
        with x402_client.httpx.wrap(httpx.Client(), buyer) as client:
            assert client.get(f"{seller.url}/evm/weather").status_code == 200


@pytest.mark.parametrize("answer", [result("0x"), result(None), result("0x" + "z" * 64)])
def test_an_endpoint_that_does_not_tell_the_decimals_refuses_the_payment(answer: Any) -> None:
    policy = Policy(per_request="0.05", per_day="1", tokens=[told_decimals(6, "evm")])
    chain_id = result(hex(int(EVM.network.partition(":")[2])))
    with Sandbox() as seller, Scripted(eth_chainId=chain_id, eth_call=answer) as endpoint:
        buyer = Buyer(seller.wallet("1"), policy, ledger=":memory:", rpc={EVM.network: endpoint.url})
        with x402_client.httpx.wrap(httpx.Client(), buyer) as client, pytest.raises(errors.ChainUnavailable):
            client.get(f"{seller.url}/evm/weather")
        assert seller.settlements == []


MINTS = {token.address for token in KNOWN if token.network.startswith("solana:")}


@pytest.mark.parametrize("network", [SOLANA, SOLANA_DEVNET, SOLANA_TESTNET])
@pytest.mark.parametrize("mint", sorted(MINTS))
def test_a_mint_is_vouched_for_where_it_is_at_home(mint: str, network: str) -> None:
    """A Solana transaction names no network: "devnet" with mainnet's mint and blockhash would be real money."""
    at_home = network in {token.network for token in KNOWN if token.address == mint}
    policy = Policy(per_day="1", tokens=[Token(network, mint, "USDC")])
    with nullcontext() if at_home else pytest.raises(errors.ConfigurationError, match="is a mint of"):
        Buyer(Wallet(solana=bytes(range(32))), policy, ledger=":memory:")


def test_a_mint_that_nothing_is_known_of_is_the_users_to_vouch_for() -> None:
    Buyer(
        Wallet(solana=bytes(range(32))),
        Policy(per_day="1", tokens=[Token("devnet", str(Pubkey.new_unique()), "PLAY")]),
        ledger=":memory:",
    )


NO = {"success": False, "errorReason": "insufficient_funds"}


@pytest.mark.parametrize("ask", [True, False], ids=["public", "none"])
@pytest.mark.parametrize("answer", [payment_response(status=402, receipt=NO), {"status_code": 503}], ids=["no", "503"])
def test_without_any_endpoint_no_chain_is_asked(ask: bool, answer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def seller(request: httpx.Request) -> httpx.Response:
        return httpx.Response(**(answer if "PAYMENT-SIGNATURE" in request.headers else payment_required("0.01")))

    with Scripted(result(hex(8453))) as endpoint:
        monkeypatch.setitem(PUBLIC, "eip155:8453", (endpoint.url,))
        settings: dict[str, Any] = {} if ask else {"rpc": {}}
        buyer = Buyer(Wallet(evm="0x" + "46" * 32), ledger=":memory:", repeat=(), **settings)
        client = x402_client.httpx.wrap(httpx.Client(transport=httpx.MockTransport(seller)), buyer)
        with suppress(errors.PaymentRejected):
            client.get("https://seller.example/")
        assert bool(endpoint.asked) is ask
        assert [hold.money for hold in buyer.holds()] == ["held" if answer.get("status_code") == 402 else "unknown"]
        buyer.close()


def test_that_no_chain_is_asked_is_said(caplog: pytest.LogCaptureFixture) -> None:
    Buyer(Wallet(evm="11" * 32), ledger=":memory:", rpc={})
    assert [record.levelname for record in caplog.records if "no chain is asked" in record.getMessage()] == ["WARNING"]
    caplog.clear()
    Buyer(Wallet(evm="11" * 32), ledger=":memory:", rpc={"base": "https://node.example"})
    assert caplog.records == []


def test_what_needs_a_chain_says_how_to_name_one() -> None:
    def seller(request: httpx.Request) -> httpx.Response:
        return httpx.Response(**payment_required("0.01", network="solana", version=1))

    buyer = Buyer(Wallet(solana=bytes(range(32))), ledger=":memory:", rpc={})
    client = x402_client.httpx.wrap(httpx.Client(transport=httpx.MockTransport(seller)), buyer)
    with pytest.raises(errors.ChainUnavailable, match=r'No endpoint is known for solana .*Buyer\(rpc=\{"solana"'):
        client.get("https://seller.example/")


@pytest.mark.parametrize(
    "wrong",
    [
        "", [], 0, "https://node.example/hunter2", ["https://node.example/hunter2"], {5: "https://node.example/hunter2"},
        {"https://node.example/hunter2": "base"}, {"node.example/hunter2": "base"}, {"base": "ftp://node.example/hunter2"},
        {"base": ["https://node.example/hunter2", 3]},
    ],
)  # fmt: skip
def test_rpc_is_a_mapping_of_networks_and_no_url_is_shown(wrong: Any) -> None:
    with pytest.raises(errors.ConfigurationError, match="rpc maps networks to URLs") as raised:
        Buyer(Wallet(evm="11" * 32), ledger=":memory:", rpc=wrong)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("policy", "rpc", "told"),
    [
        (Policy(per_day="1", upto="0.05", networks=["radius", "base"]), {"base": "https://node.example"}, "radius"),
        (
            Policy(per_day="1", hosts={"a.example": Limit(upto="0.05")}, networks=["radius"]),
            {"base": "https://node.example"},
            "radius",
        ),
        (Policy(per_day="1", upto="0.05", networks=["radius"]), {"radius": "https://node.example"}, None),
        (Policy(per_day="1", upto="0.05", networks=["base", "solana"]), {"base": "https://node.example"}, None),
        (Policy(per_day="1", networks=["radius"]), {"base": "https://node.example"}, None),
    ],
)
def test_a_network_on_which_ceilings_count_whole_is_told_at_once(policy: Policy, rpc: Any, told: str | None) -> None:
    heard: list[Any] = []
    wallet = Wallet(evm="0x" + "46" * 32)
    Buyer(wallet, policy, ledger=":memory:", rpc=rpc, on_event=heard.append)
    found = [str(event) for event in heard if "counts whole" in str(event)]
    assert len(found) == (told is not None)
    assert told is None or f"No endpoint is known for {told}, so a ceiling" in found[0]
