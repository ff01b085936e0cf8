"""Keys of the sandbox sign for no real network, by whatever way they came into a wallet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from eth_account import Account
from solders.keypair import Keypair

from tests.policy.test_choice import judged
from tests.wire.terms import BASE_USDC, entry
from x402_client import Buyer, Policy, Wallet
from x402_client.model.hosts import Origin
from x402_client.model.networks import SOLANA, SOLANA_DEVNET
from x402_client.policy.choice import Mandate, choose
from x402_client.sandbox import TEST_EVM_KEYS, TEST_SOLANA_KEYS, TOKENS, Sandbox
from x402_client.signers.evm import LocalEvmSigner
from x402_client.wire.bounds import DEFAULT

from ..wire.terms import document, read

ORIGIN = Origin.of("https", "api.example.com", None)
ON_SOLANA = {
    "asset": "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v",
    "payTo": "2wKupLR9q6wXYppw8Gr2NvWxKBUqm4PPJKkQfoxHDBg4",
    "extra": {"feePayer": "CKPKJWNdJEqa81x7CkZ14BVPiY6y16Sxs7owznqtWYp5"},
}


#: Everybody's who ever started Anvil or Hardhat.
ANVIL_2 = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"


class OnlyAnAddress:
    """A signer that shows no key."""

    address = Account.from_key(TEST_EVM_KEYS[2]).address

    def sign_typed_data(self, full_message: dict[str, Any], /) -> bytes:
        raise AssertionError("it was asked to sign")


def wallets() -> dict[str, Callable[[], Wallet]]:
    with Sandbox() as seller:
        evm, solana = seller.key("evm"), seller.key("solana")
    return {
        "well known": lambda: Wallet(evm=TEST_EVM_KEYS[0], solana=TEST_SOLANA_KEYS[0]),
        "well known, upper case": lambda: Wallet(evm=TEST_EVM_KEYS[3].upper().replace("0X", "0x")),
        "bytes": lambda: Wallet(
            evm=bytes.fromhex(TEST_EVM_KEYS[1][2:]), solana=bytes(Keypair.from_seed(TEST_SOLANA_KEYS[3]))
        ),
        "an account": lambda: Wallet(evm=Account.from_key(TEST_EVM_KEYS[0])),
        "an address": lambda: Wallet(evm=OnlyAnAddress()),
        "a keypair": lambda: Wallet(solana=Keypair.from_seed(TEST_SOLANA_KEYS[1])),
        "Hardhat's words": lambda: Wallet.from_mnemonic("test " * 11 + "junk"),
        "Anvil's second account": lambda: Wallet(evm=ANVIL_2),
        "made by a sandbox": lambda: Wallet(evm=evm, solana=solana),
    }


WALLETS = wallets()


def reasons(wallet: Wallet, *entries: dict[str, Any]) -> list[str | None]:
    buyer = Buyer(wallet, Policy(per_request="1", tokens=TOKENS), ledger=":memory:")
    quote = read(document(*entries))
    assert quote is not None
    found = choose(quote, buyer.policy, ORIGIN, buyer.means, Mandate(), DEFAULT)
    return [offer.reason for offer in found.offers]


@pytest.mark.parametrize("name", WALLETS)
def test_a_key_of_the_sandbox_signs_for_no_real_network(name: str) -> None:
    wallet = WALLETS[name]()
    on_base = entry(network="base", asset=BASE_USDC, extra={"name": "USD Coin", "version": "2"})
    entries = [on_base] if wallet.evm else []
    entries += [entry(network=SOLANA, **ON_SOLANA)] if wallet.solana else []
    for reason in reasons(wallet, *entries):
        assert reason is not None
        assert (
            "anybody may know the wallet's key, one of a sandbox or a development tool; pay with a key of your own"
            in reason
        )


@pytest.mark.parametrize("name", WALLETS)
def test_it_signs_on_test_networks_and_in_the_sandbox(name: str) -> None:
    wallet = WALLETS[name]()
    if wallet.evm is not None:
        token = TOKENS[0]
        own = entry(network=token.network, asset=token.address, extra={"name": token.name, "version": token.version})
        assert reasons(wallet, own) == [None]
        assert reasons(wallet, entry()) == [None]
    if wallet.solana is not None:
        assert reasons(wallet, entry(network=SOLANA_DEVNET, **{**ON_SOLANA, "asset": TOKENS[1].address})) == [None]


def test_other_keys_sign_everywhere() -> None:
    on_base = entry(network="base", asset=BASE_USDC, extra={"name": "USD Coin", "version": "2"})
    assert judged(Policy(per_request="1"), on_base).choice is not None
    assert not LocalEvmSigner.generate().is_play


def test_keys_of_the_sandbox_differ() -> None:
    with Sandbox() as seller:
        assert len({seller.key("evm") for _ in range(20)} | {seller.key("solana") for _ in range(20)}) == 40
