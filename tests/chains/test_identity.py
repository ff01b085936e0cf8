"""An endpoint says once which chain it is. Another chain's tells nothing, and no payment is built from it."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from x402_client import errors
from x402_client.chains.identity import named_by
from x402_client.chains.rpc import Endpoints
from x402_client.chains.settlement import ChainReader
from x402_client.chains.solana import SolanaChain
from x402_client.model.networks import SOLANA, SOLANA_DEVNET

from .scripted_rpc import Answer, Scripted, body, error, result, status
from .test_settlement import NETWORK, NO, SOME, YES, block

DEVNETS_HASH = "EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG"
MAINNETS_HASH = "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d"


def read(*endpoints: Scripted) -> str:
    return ChainReader(Endpoints({NETWORK: tuple(one.url for one in endpoints)})).read(SOME)


@pytest.mark.parametrize("used", [YES, NO])
@pytest.mark.parametrize(
    "says",
    [result("0x1"), result("0x2105"), result("84532"), result(84532), result(None), result("0x"), result([]),
     error(-32601, "no such method"), status(404), body(b"<html>")],
)  # fmt: skip
def test_another_chains_endpoint_cannot_tell(says: Answer, used: Answer) -> None:
    """One address is a token on several chains (Arc's USDC): what it says there is no answer here."""
    past = block(70, time.time())
    with Scripted(eth_chainId=says, eth_call=used, eth_getBlockByNumber=past) as foreign:
        assert read(foreign) == "unknown"
        with Scripted(eth_call=NO, eth_getBlockByNumber=past) as right:
            assert read(foreign, right) == "unknown"
    assert {asked["method"] for asked in foreign.asked} == {"eth_chainId"}


def test_it_is_asked_once() -> None:
    with Scripted(eth_call=NO, eth_getBlockByNumber=block(70, time.time())) as endpoint:
        endpoints = Endpoints({NETWORK: (endpoint.url,)})
        for _ in range(3):
            assert ChainReader(endpoints).read(SOME) == "not_settled"
            assert endpoints.of(NETWORK).call("eth_getBlockByNumber", "latest", False)
    assert [asked["method"] for asked in endpoint.asked].count("eth_chainId") == 1


def test_an_endpoint_that_is_put_right_is_believed_again() -> None:
    with Scripted(eth_chainId=result("0x1"), eth_call=YES) as endpoint:
        endpoints = Endpoints({NETWORK: (endpoint.url,)})
        assert ChainReader(endpoints).read(SOME) == "unknown"
        endpoint._by_method["eth_chainId"] = result(hex(84532))
        assert ChainReader(endpoints).read(SOME) == "settled"


def test_no_payment_is_built_from_another_networks_blockhash() -> None:
    latest = result({"value": {"blockhash": "hash", "lastValidBlockHeight": 5}, "context": {"slot": 3}})
    with Scripted(getGenesisHash=result(MAINNETS_HASH), getLatestBlockhash=latest) as endpoint:
        chain = SolanaChain(Endpoints({SOLANA_DEVNET: (endpoint.url,)}).of(SOLANA_DEVNET))
        with pytest.raises(errors.ChainUnavailable) as raised:
            chain.fetch_blockhash()
        assert f"it is an endpoint of solana ({SOLANA}), not of solana-devnet ({SOLANA_DEVNET})" in str(raised.value)
        endpoint._by_method["getGenesisHash"] = result(DEVNETS_HASH)
        assert chain.fetch_blockhash().value == "hash"


def test_where_one_endpoint_is_foreign_the_next_one_is_read() -> None:
    with Scripted(eth_chainId=result("0x1"), eth_call=YES) as foreign, Scripted(eth_call=NO) as right:
        rpc = Endpoints({NETWORK: (foreign.url, right.url)}).of(NETWORK)
        assert rpc.call("eth_call", {}, "latest") == "0x" + "0" * 64


@given(st.integers(1, 2**63))
def test_a_chains_number_is_its_reference(number: int) -> None:
    assert named_by("eip155:1", hex(number)) == f"eip155:{number}"


@given(st.text() | st.integers() | st.none() | st.binary())
def test_what_makes_no_sense_names_no_chain(answer: object) -> None:
    found = named_by(NETWORK, answer), named_by(SOLANA, answer)
    assert all(name is None or name.startswith(("eip155:", "solana:")) for name in found)
    assert found[0] is None or str(answer).startswith("0x")


def test_a_family_that_has_no_such_question_is_not_asked() -> None:
    with Scripted(result(7)) as endpoint:
        assert Endpoints({"stellar:pubnet": (endpoint.url,)}).of("stellar:pubnet").call("getLedger") == 7
    assert len(endpoint.asked) == 1
