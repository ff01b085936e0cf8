"""Families of chains: the two that ship, one of somebody else's, and those of which nothing is known."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.buyer.vouchers import GOLD, SELLER, Demo
from tests.wire.terms import BASE_USDC, ORIGIN
from x402_client import Money, Token
from x402_client.chains.evm import checksum
from x402_client.chains.families import EVM, FAMILIES, SOLANA, ChainFamily, Families
from x402_client.chains.settlement import ChainReader
from x402_client.chains.tokens import KNOWN, Tokens
from x402_client.errors import ConfigurationError
from x402_client.model import networks
from x402_client.model.holds import Authorization, Hold, Purchase
from x402_client.model.networks import SOLANA_DEVNET
from x402_client.model.offers import Offer
from x402_client.testing import FamilyConformance

MINTS = ("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v", "Es9vMFrzaCERmJfrF4H2FYD4KCoNkY11McCe8BenwNYB")
ONE, OTHER = checksum("0x" + "ab" * 20), checksum("0x" + "cd" * 20)


class TestEvm(FamilyConformance):
    def make(self) -> ChainFamily:
        return EVM

    def network(self) -> str:
        return "eip155:8453"

    def accounts(self) -> Sequence[Sequence[str]]:
        return [[one, one.lower(), "0x" + one[2:].upper(), "0X" + one[2:].lower()] for one in (ONE, OTHER)]

    def strangers(self) -> Sequence[str]:
        return [ONE + "0", ONE[:-1], ONE[2:], "0x" + ONE[2:].swapcase(), "0x" + "g" * 40, *MINTS]


class TestSolana(FamilyConformance):
    def make(self) -> ChainFamily:
        return SOLANA

    def network(self) -> str:
        return SOLANA_DEVNET

    def accounts(self) -> Sequence[Sequence[str]]:
        return [[mint] for mint in MINTS]

    def strangers(self) -> Sequence[str]:
        return [ONE, MINTS[0][:-3], MINTS[0] + "1", MINTS[0] + " ", "0OIl" * 11]


class TestDemo(FamilyConformance):
    def make(self) -> ChainFamily:
        return Demo()

    def network(self) -> str:
        return "demo:1"

    def accounts(self) -> Sequence[Sequence[str]]:
        return [[SELLER, SELLER.upper()], [GOLD]]

    def strangers(self) -> Sequence[str]:
        return [SELLER[1:], SELLER + "0", ONE, MINTS[0]]


# --- one definition


@given(st.sampled_from(["eip155:8453", "eip155:1", SOLANA_DEVNET, "demo:1", "x:y", ""]), st.text() | st.just(ONE))
def test_the_core_and_the_families_have_one_rule(network: str, text: str) -> None:
    assert FAMILIES.canonical(network, text) == networks.canonical(network, text)
    for other in (text, text.lower(), text.upper()):
        assert FAMILIES.same_account(network, text, other) == networks.same_account(network, text, other)


@pytest.mark.parametrize("token", KNOWN, ids=str)
def test_every_token_of_the_table_is_one_of_its_family(token: Token) -> None:
    FAMILIES.check_token(token)
    assert networks.may_be_address(token.network, token.address)
    assert Tokens().find(token.network, FAMILIES.canonical(token.network, token.address)) is token


def test_a_shape_says_no_only_where_a_family_says_no() -> None:
    for text in ("", "0x", ONE, ONE.lower(), ONE + "0", MINTS[0]):
        assert networks.may_be_address("eip155:1", text) or not EVM.is_address(text)
        assert networks.may_be_address("demo:1", text)


# --- a family of which nothing is known


UNKNOWN = ("demo:1", "stellar:pubnet", "aptos:1", "solanas:1", "eip1559:1", "hedera:mainnet")


@pytest.mark.parametrize("network", UNKNOWN)
def test_nothing_is_assumed_of_an_unknown_family(network: str) -> None:
    assert FAMILIES.of(network) is None
    assert FAMILIES.look(network) is None
    for text in ("", ONE, MINTS[0]):
        assert FAMILIES.is_address(network, text) is None
        assert FAMILIES.canonical(network, text) == text
    assert not FAMILIES.same_account(network, ONE, ONE.lower())
    FAMILIES.check_token(Token(network, "any word", "X"))
    vouched = Tokens([Token(network, ONE, "X")])
    assert vouched.find(network, ONE) is not None
    assert vouched.find(network, ONE.lower()) is None


class Settled:
    """An endpoint on which everything has settled and everything has expired, of every family."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def each(self, network: str) -> list[Any]:
        return [self]

    def call(self, method: str, *_: Any) -> Any:
        self.asked.append(method)
        said = {"eth_call": "0x" + "0" * 63 + "1", "getSignaturesForAddress": [], "getFirstAvailableBlock": 0}
        said["isBlockhashValid"] = {"value": False}
        return said.get(method, 10**9)


def hold(network: str, scheme: str = "exact", nonce: str = "0x" + "ab" * 32) -> Hold:
    offer = Offer(1, 2, scheme, network, 10_000, BASE_USDC, ONE)
    signed = Authorization(nonce, OTHER, 1, ("", ""), {"token_account": "a", "signature": "s", "last_valid_height": 1})
    return Hold(
        "a", Purchase("a", "a", False, "GET", "u", ORIGIN), offer, Money("0.01"), 0, "signed", "unknown", signed
    )


@pytest.mark.parametrize("network", UNKNOWN)
def test_an_unknown_family_is_never_looked_up_as_one_of_ours(network: str) -> None:
    """On Solana's endpoint a stranger's payment would be missing, which reads as "not settled"."""
    chain = Settled()
    reader = ChainReader(chain)  # type: ignore[arg-type]
    assert reader.read(hold(network)) == "unknown"
    assert chain.asked == []
    assert not reader.goes_by_the_chain(hold(network))


def test_the_families_that_ship_are_looked_up() -> None:
    for network, said in (("eip155:8453", "settled"), (SOLANA_DEVNET, "not_settled")):
        reader = ChainReader(Settled())  # type: ignore[arg-type]
        assert reader.read(hold(network)) == said
        assert reader.goes_by_the_chain(hold(network))
        assert reader.read(hold(network, scheme="upto")) == "unknown"


@pytest.mark.parametrize("nonce", ["", "0x", "0x01", "ab" * 32, "0x" + "ab" * 33, "0x" + "zz" * 32, MINTS[0]])
def test_a_token_is_asked_about_nonces_of_its_own_shape_only(nonce: str) -> None:
    chain = Settled()
    assert ChainReader(chain).read(hold("eip155:8453", nonce=nonce)) == "unknown"  # type: ignore[arg-type]
    assert chain.asked == []


# --- families of others


def test_a_family_that_ships_is_not_described_anew() -> None:
    for name in ("eip155", "solana"):
        with pytest.raises(ConfigurationError, match=f"{name!r} ships with the package"):
            Families([type("F", (Demo,), {"name": name})()])
    assert Families([EVM, SOLANA]).of("eip155:1") is EVM


def test_one_object_may_come_twice_and_two_may_not() -> None:
    demo = Demo()
    assert Families([demo, demo]).of("demo:7") is demo
    with pytest.raises(ConfigurationError, match="two objects"):
        Families([demo, Demo()])


def test_a_family_that_fails_is_compared_letter_by_letter() -> None:
    class Fails(Demo):
        def canonical(self, address: str) -> str:
            raise ValueError(address)

    families = Families([Fails()])
    assert families.same_account("demo:1", SELLER, SELLER)
    assert not families.same_account("demo:1", SELLER, SELLER.upper())


# --- what is loaded


def test_a_family_loads_what_it_is_asked_for() -> None:
    program = """
import sys
from x402_client.chains.families import FAMILIES
assert not FAMILIES.same_account("eip155:1", "0xA", "0xb") and FAMILIES.look("eip155:1") and FAMILIES.look("solana:1")
print(*[n for n in sys.modules if n.startswith("x402_client.chains") or n in ("solders", "httpx", "Crypto", "sha3")])
FAMILIES.is_address("eip155:1", "0x" + "aB" * 20)
print("solders" in sys.modules, "x402_client.chains.solana_address" in sys.modules)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    first, second = ran.stdout.splitlines()
    assert set(first.split()) == {"x402_client.chains", "x402_client.chains.families"}
    assert second == "False False"
