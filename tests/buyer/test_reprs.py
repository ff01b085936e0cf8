"""A buyer and its wallet fit on two lines, with addresses and without keys."""

from __future__ import annotations

from typing import Any

import pytest

from x402_client import Buyer, Limit, Policy, Wallet
from x402_client.buyer import Reconciled
from x402_client.ledgers.conformance.fixtures import order, purchase
from x402_client.model.holds import Hold

KEY, SEED = "46" * 32, b"\x46" * 32


class Signer:
    """A signer of a further family with an address of any length."""

    def __init__(self, address: str) -> None:
        self.address = address

    def sign(self, data: object) -> bytes:
        return b""


LONG = [Signer("x" * 5_000), Signer("a\nb\x1b[31m" * 99)]
WALLETS: list[dict[str, Any]] = [
    {"evm": KEY},
    {"solana": SEED},
    {"evm": KEY, "solana": SEED},
    {"evm": KEY, "solana": SEED, "further": {"stellar": LONG[0], "aptos": LONG[1]}},
]
HOSTS = {f"{'a' * 60}{number}.example": Limit(per_day="1") for number in range(100)}
POLICIES = [Policy(per_day="1"), Policy(per_day=["1", "2 EUR"], hosts=HOSTS, networks=["base", "solana"])]


@pytest.mark.parametrize("keys", WALLETS, ids=range(len(WALLETS)))
@pytest.mark.parametrize("policy", POLICIES, ids=["short", "long"])
def test_they_fit_and_show_no_key(keys: dict[str, Any], policy: Policy) -> None:
    wallet = Wallet(**keys)
    buyer = Buyer(wallet, policy, ledger=":memory:")
    for shown in (repr(wallet), repr(buyer), repr(policy)):
        assert len(shown) <= 160
        assert shown.isprintable()
        assert "4646" not in shown


def test_what_they_say() -> None:
    wallet = Wallet(evm=KEY)
    assert repr(wallet) == "Wallet(evm=0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F)"
    shown = repr(Buyer(wallet, Policy(per_day="1"), ledger=":memory:"))
    assert shown == "<Buyer 0x9d8A62…855A4F, Policy(per_day='1.00 USD')>"
    hold = Hold("1", purchase(), order().offer, order().price, 0.0)
    assert repr(Reconciled((hold, hold), (), (hold,))) == "<Reconciled: 2 released, 0 settled, 1 unknown, 0 live>"
    found = repr(Reconciled(not_expired=(hold,)))
    assert found == "<Reconciled: 0 released, 0 settled, 0 unknown, 0 live, 1 not expired>"
