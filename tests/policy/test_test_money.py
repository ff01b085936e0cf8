"""Test money is kept apart: dollars limit it too, in accounts of its own."""

from __future__ import annotations

from typing import Any

import pytest

from x402_client import Buyer, Limit, Money, Policy, Token, Wallet
from x402_client.chains.tokens import KNOWN
from x402_client.errors import ConfigurationError, OverLimit
from x402_client.ledgers.memory import MemoryLedger
from x402_client.model.holds import Attempt
from x402_client.model.hosts import Origin
from x402_client.model.networks import TEST_NETWORKS, short_name
from x402_client.policy.choice import Mandate

from ..wire.terms import BASE_USDC, entry
from .test_choice import judged
from .test_every_entry import KEY, order

ORIGIN = Origin.of("https", "api.example.com", None)
ON_BASE = {"network": "base", "asset": BASE_USDC}


def test_the_tokens_of_test_networks_are_test_money_and_no_others() -> None:
    words = ("testnet", "devnet", "sepolia", "amoy", "fuji", "apothem")
    for token in KNOWN:
        name = short_name(token.network)
        is_test = any(word in name for word in words) or token.network in ("eip155:2201", "eip155:72344")
        assert token.currency.endswith(" (test)") == is_test, name
    assert len(TEST_NETWORKS) >= 15


@pytest.mark.parametrize(
    ("network", "said", "currency"),
    [
        ("base", {}, "USD"),
        ("base-sepolia", {}, "USD (test)"),
        ("devnet", {}, "USD (test)"),
        ("eip155:84532", {"currency": "EUR"}, "EUR"),
        ("base-sepolia", {"currency": "usd (TEST)"}, "USD (test)"),
        ("eip155:1337", {}, "USD"),
    ],
)
def test_a_vouched_token_counts_by_its_network_unless_it_names_its_currency(
    network: str, said: dict[str, Any], currency: str
) -> None:
    assert Token(network, "0x" + "ab" * 20, **said).currency == currency


@pytest.mark.parametrize("text", ["5 USD (test)", "5 usd(TEST)", "5USD  (Test)"])
def test_test_money_is_named_in_words(text: str) -> None:
    assert Money(text) == Money("5", "USD (test)") == Money.of_units(5_000_000, "USD (test)")
    assert str(Money(text)) == "5.00 USD (test)"


@pytest.mark.parametrize("text", ["5 (test)", "$5 (test)", "5 USD test", "5 USD (test) (test)", "5 USD (real)"])
def test_other_words_are_no_currency(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is not an amount of money"):
        Money(text)


def test_a_dollar_limits_test_money_apart() -> None:
    policy, ledger = Policy(per_day="5"), MemoryLedger()
    attempts = [Attempt() for _ in range(10)]
    for number, currency in enumerate(["USD", "USD (test)"] * 5):
        ledger.reserve(order(number, ORIGIN, Money("1", currency), policy), attempts[number])
    for currency in ("USD", "USD (test)"):
        with pytest.raises(OverLimit) as refused:
            ledger.reserve(order(99, ORIGIN, Money.of_units(1, currency), policy), Attempt())
        assert refused.value.limit == Money("5", currency)
    buyer = Buyer(Wallet(evm=KEY), policy, ledger=ledger)
    assert (buyer.spent(), buyer.spent(currency="usd (test)")) == (Money("5"), Money("5 USD (test)"))
    assert (buyer.remaining(), buyer.remaining(currency="USD (test)")) == (Money("0"), Money("0 USD (test)"))


def test_an_amount_that_names_test_money_limits_only_that() -> None:
    policy = Policy(per_request="1 USD (test)", per_day="2 USD (test)")
    assert [str(cap) for cap in policy.caps(ORIGIN, "USD (test)")] == ["2.00 USD (test) per day"]
    assert (policy.limits_currency(ORIGIN, "USD (test)"), policy.limits_currency(ORIGIN, "USD")) == (True, False)
    both = Policy(per_day=["5", "2 USD (test)"])
    caps = [str(cap) for currency in ("USD", "USD (test)") for cap in both.caps(ORIGIN, currency)]
    assert caps == ["5.00 USD per day", "2.00 USD (test) per day"]


@pytest.mark.parametrize(
    ("above", "asked"), [("0.01", False), ("0.009", True), ("9 EUR", True), (["0", "1 USD (test)"], False)]
)
def test_approve_above(above: Any, asked: bool) -> None:
    assert Policy(per_day="1", approve_above=above).needs_approval(Money("0.01 USD (test)")) is asked


@pytest.mark.parametrize(("accepted", "price", "yes"), [
    ("0.01", "0.01 USD (test)", True), ("0.01", "0.02 USD (test)", False), ("0.01 EUR", "0.01 USD (test)", False),
    ("0.01 USD (test)", "0.01 USD (test)", True), ("0.01 USD (test)", "0.01", False),
])  # fmt: skip
def test_accept_loss(accepted: str, price: str, yes: bool) -> None:
    assert Policy(per_day="1", accept_loss=accepted).accepts_loss(Money(price)) is yes


@pytest.mark.parametrize(("said", "own", "chosen"), [
    ({"per_request": "0.01"}, None, True),
    ({"per_request": "0.009"}, None, False),
    ({"per_request": "1", "hosts": {"api.example.com": Limit(per_request="0.001")}}, None, False),
    ({"per_request": "1"}, "0.01", True),
    ({"per_request": "1"}, "0.009", False),
    ({"per_request": "1"}, "0", False),
    ({"per_request": "1"}, "1 USD (test)", True),
    ({"per_request": "1"}, "1 EUR", False),
])  # fmt: skip
def test_per_request_and_the_callers_own_cap(said: dict[str, Any], own: str | None, chosen: bool) -> None:
    mandate = Mandate(per_request=None if own is None else Money(own))
    assert (judged(Policy(**said), entry(), mandate=mandate).choice is not None) is chosen


def test_a_cap_in_test_money_pays_no_real_money() -> None:
    mandate = Mandate(per_request=Money("1 USD (test)"))
    assert judged(Policy(per_request="1"), entry(**ON_BASE), mandate=mandate).choice is None


def test_real_dollars_come_before_test_money() -> None:
    choice = judged(Policy(per_request="1"), entry(amount="1"), entry(amount="2", **ON_BASE)).choice
    assert choice is not None
    assert choice.network == "eip155:8453"
