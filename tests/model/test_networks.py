"""Version 1's words, everyday aliases and CAIP-2 are three spellings of one thing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from x402_client.model.networks import SOLANA, SOLANA_DEVNET, SOLANA_TESTNET, caip2, known_network, short_name
from x402_client.model.sandbox_settings import PLAY_NETWORK

CHAINS = {
    "base": 8453, "base-sepolia": 84532, "ethereum": 1, "polygon": 137, "polygon-amoy": 80002, "avalanche": 43114,
    "avalanche-fuji": 43113, "abstract": 2741, "abstract-testnet": 11124, "iotex": 4689, "sei": 1329,
    "sei-testnet": 1328, "peaq": 3338, "megaeth": 4326, "monad": 143, "monad-testnet": 10143, "stable": 988,
    "stable-testnet": 2201, "celo": 42220, "flare": 14, "arbitrum": 42161, "optimism": 10,
}  # fmt: skip


@pytest.mark.parametrize(("name", "chain_id"), CHAINS.items())
def test_version_1_names(name: str, chain_id: int) -> None:
    assert caip2(name) == caip2(name.upper()) == caip2(str(chain_id)) == caip2(f"eip155:{chain_id}")
    assert caip2(name) == f"eip155:{chain_id}"
    assert short_name(f"eip155:{chain_id}") == name
    assert known_network(f"eip155:{chain_id}")


@pytest.mark.parametrize(
    ("alias", "network"),
    [
        ("base-mainnet", "eip155:8453"),
        ("matic", "eip155:137"),
        ("solana", SOLANA),
        ("solana-mainnet", SOLANA),
        ("solana-mainnet-beta", SOLANA),
        ("mainnet-beta", SOLANA),
        (SOLANA, SOLANA),
        ("solana:4sGjMW1sUnHzSxGspuhpqLDx6wiyjNtZ", SOLANA),
        ("devnet", SOLANA_DEVNET),
        ("solana-devnet", SOLANA_DEVNET),
        ("solana-testnet", SOLANA_TESTNET),
        ("cosmos:hub", "cosmos:hub"),
        ("sandbox", PLAY_NETWORK),
    ],
)
def test_aliases(alias: str, network: str) -> None:
    assert caip2(alias) == network


def test_the_network_of_the_sandbox_has_a_name() -> None:
    assert short_name(PLAY_NETWORK) == "sandbox"


@pytest.mark.parametrize(
    "name",
    [
        "", "bse", "eip155:", "eip155:0", "eip155:08453", "eip155:x", "eip155:8453 ", "8453x", "٨", "0", "base ", "a:b",
        "eip155:" + "9" * 20, "solana:" + "x" * 33, "EIP155:1x", "base\n", "eip155:8453\n", "cosmos:hub\n",
    ],
)  # fmt: skip
def test_what_names_no_network(name: str) -> None:
    assert caip2(name) is None


@pytest.mark.parametrize("name", ["story", "educhain", "skale-base-sepolia"])
def test_names_that_sources_disagree_on_are_left_out(name: str) -> None:
    assert caip2(name) is None


def test_letters_of_a_caip2_reference_matter() -> None:
    assert caip2(SOLANA.lower()) != SOLANA
    assert short_name("cosmos:hub") == "cosmos:hub"
    assert not known_network("cosmos:hub")


@given(st.text(max_size=50))
def test_any_text_is_a_network_or_none_and_stays_it(text: str) -> None:
    found = caip2(text)
    assert found is None or caip2(found) == found
    assert isinstance(short_name(text), str)
