"""A whole number of a thousand or more was meant in a token's smallest units; ``Policy.but`` checks its words."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from enum import IntEnum
from inspect import signature
from pathlib import Path
from typing import Any

import httpx
import pytest

import x402_client.httpx
from x402_client import Buyer, Limit, Money, Policy, Token, Wallet, events
from x402_client.errors import ConfigurationError
from x402_client.policy.policy import CAREFUL

from .test_every_entry import KEY


class Atomic(IntEnum):
    TENTH = 100_000


def buyer(**settings: Any) -> Buyer:
    return Buyer(Wallet(evm=KEY), ledger=":memory:", **settings)


def through_httpx(amount: Any) -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(200))
    with x402_client.httpx.wrap(httpx.Client(transport=transport), buyer()) as client:
        client.get("https://a.example", extensions={"x402": {"per_request": amount}})


OF_ONE_PAYMENT: dict[str, Callable[[Any], Any]] = {
    "per_request": lambda amount: Policy(per_request=amount),
    "per_request in a list": lambda amount: Policy(per_request=["1 EUR", amount]),
    "approve_above": lambda amount: Policy(per_day="1", approve_above=amount),
    "accept_loss": lambda amount: Policy(per_day="1", accept_loss=amount),
    "a host's": lambda amount: Limit(per_request=amount),
    "a scope's": lambda amount: buyer().purchase(per_request=amount).run(bool),
    "a request's": through_httpx,
    "but": lambda amount: CAREFUL.but(per_request=amount),
}


@pytest.mark.parametrize("amount", [1_000, 100_000, 10**18, Atomic.TENTH])
@pytest.mark.parametrize("build", OF_ONE_PAYMENT.values(), ids=OF_ONE_PAYMENT)
def test_a_large_whole_number_is_refused_and_a_string_is_named(build: Callable[[Any], Any], amount: int) -> None:
    with pytest.raises(ConfigurationError, match="not a token's smallest units") as refused:
        build(amount)
    assert f'="{amount:d}"' in str(refused.value)


@pytest.mark.parametrize("amount", [0, 1, 999, "100000", "1000", Decimal(100_000), Money("5000")])
@pytest.mark.parametrize("build", OF_ONE_PAYMENT.values(), ids=OF_ONE_PAYMENT)
def test_what_was_meant_is_taken(build: Callable[[Any], Any], amount: Any) -> None:
    build(amount)


@pytest.mark.parametrize("amount", [True, 1000.0, b"1", None.__class__, 1 + 0j])
@pytest.mark.parametrize("build", OF_ONE_PAYMENT.values(), ids=OF_ONE_PAYMENT)
def test_other_kinds_are_no_amounts(build: Callable[[Any], Any], amount: Any) -> None:
    with pytest.raises(ConfigurationError):
        build(amount)


def test_the_message_says_what_the_number_is_in_dollars_and_what_was_probably_meant() -> None:
    with pytest.raises(ConfigurationError) as refused:
        Policy(per_request=100_000)
    assert refused.value.args[0] == (
        "per_request=100000 means 100000 US dollars. Amounts are whole dollars, not a token's smallest units: 100000 "
        'of those are "0.10" with six decimals. If you mean the dollars, write a string: per_request="100000".'
    )


def test_a_file_is_read_by_the_same_rule(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text('per_request = 100000\nper_day = 5000\n[hosts."a.example"]\nper_request = 1000\n', "utf-8")
    with pytest.raises(ConfigurationError) as refused:
        Policy.from_file(file)
    *lines, more = str(refused.value).splitlines()
    assert more == "More: x402 manual errors/configuration-error"
    assert [line.split(": ")[0].rpartition(", ")[2] for line in lines] == ["line 1", "line 4"]
    assert all("smallest units" in line for line in lines)


def test_a_budget_in_thousands_is_told_when_the_buyer_is_built() -> None:
    told: list[events.Event] = []
    policy = Policy(per_day=1_000, total=["9 EUR", 5_000], per_hour="800", hosts={"a.example": Limit(per_month=3_000)})
    buyer(policy=policy.but(validity=61), on_event=told.append)
    remarks = [str(event) for event in told if isinstance(event, events.Warned)]
    assert len(remarks) == 3
    assert all("smallest units" in remark for remark in remarks)
    assert [name in remark for name, remark in zip(("per_day=1000", "total=5000", "a.example"), remarks, strict=True)]
    told.clear()
    buyer(policy=Policy(per_day=999), on_event=told.append)
    assert told == []


# --- but


def everything() -> dict[str, Any]:
    return {
        "per_request": ["0.10", "0.20 EUR"], "per_minute": "1", "per_hour": 2, "per_day": Decimal(5), "per_month": "50",
        "total": Money("99"), "max_payments": ["30/minute", "5/total"], "same_request": "5/hour",
        "sign_in": "always", "seller_keys": ["0x" + "ef" * 20, "did:web:keys.example"],
        "hosts": {"[::1]:8402": Limit(per_day="1"),
        "*.example.dev": "deny", "bücher.example": Limit(per_request="1", max_payments="1/day")},
        "only_listed_hosts": True, "networks": ["base", "solana"], "assets": ["USDC"],
        "tokens": [Token("base", "0x" + "ab" * 20)], "pay_to": "0x" + "cd" * 20, "approve_above": ["1", "2 EUR"],
        "accept_loss": "0.01 EUR", "pay_ahead": True, "http_hosts": ["[::1]:8402", "*.internal"], "validity": 61,
        "allow_zero": True, "check_funds": True, "permits": False, "upto": ["0.05", "0.06 EUR"],
    }  # fmt: skip


def facts(policy: Policy) -> dict[str, Any]:
    return {name: value for name, value in vars(policy).items() if name != "_built"}


def test_nothing_is_lost_on_the_way() -> None:
    policy = Policy(**everything())
    assert set(everything()) == {
        name for name, one in signature(Policy).parameters.items() if one.kind is one.KEYWORD_ONLY
    }
    assert facts(policy.but()) == facts(policy)
    assert facts(policy.but().but(validity=61)) == facts(policy)


@pytest.mark.parametrize("changes", [
    {"per_day": "0.5"}, {"per_day": None}, {"hosts": {"a.example": Limit(per_day="1")}}, {"http_hosts": ["a.example"]},
    {"tokens": ()}, {"networks": None}, {"approve_above": None}, {"accept_loss": "0"}, {"max_payments": "1/hour"},
])  # fmt: skip
def test_what_is_changed_is_as_if_it_was_written_so(changes: dict[str, Any]) -> None:
    assert facts(Policy(**everything()).but(**changes)) == facts(Policy(**{**everything(), **changes}))


def test_new_values_are_checked_and_unknown_names_refused() -> None:
    for changes in ({"validity": 1}, {"hosts": {"https://a": "deny"}}, {"per_request": 0.1}, {"networks": "base"}):
        with pytest.raises(ConfigurationError):
            CAREFUL.but(**changes)
    for name in ("per_fortnight", "overall", "_hosts", "per_dy"):
        with pytest.raises(TypeError, match=name):
            CAREFUL.but(**{name: "1"})
    with pytest.raises(ConfigurationError, match="limits nothing"):
        CAREFUL.but(per_request=None, per_day=None)


def test_a_kind_of_policy_stays_one() -> None:
    class Mine(Policy):
        """A policy of somebody's own."""

    assert type(Mine(per_day="1").but(per_day="2")) is Mine


def test_a_number_beyond_all_money_is_a_mistake_too() -> None:
    with pytest.raises(ConfigurationError, match="is a mistake"):
        Policy(per_request=10**5_000)
