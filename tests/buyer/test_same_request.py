"""``Policy(same_request="2/hour")``: a program that buys one thing again and again is stopped, or a person is asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import x402_client.httpx
from x402_client import Approval, Buyer, Policy
from x402_client.errors import ApprovalDenied, ConfigurationError, OverLimit, SameRequest
from x402_client.ledgers.sqlite import SqliteLedger
from x402_client.ledgers.sqlite.clock import LedgerClock
from x402_client.sandbox import Sandbox

DAMPED = Policy(per_request="0.10", per_day="5", same_request="2/hour")


@pytest.fixture(scope="module")
def seller() -> Iterator[Sandbox]:
    with Sandbox() as seller:
        yield seller


def ask(buyer: Buyer, seller: Sandbox, path: str = "/weather", method: str = "GET") -> httpx.Response:
    with x402_client.httpx.wrap(httpx.Client(), buyer) as client:
        return client.request(method, seller.url + path)


def test_a_loop_is_stopped_and_other_requests_are_not(seller: Sandbox) -> None:
    buyer = seller.buyer(DAMPED)
    for _ in range(2):
        ask(buyer, seller)
    for _ in range(2):
        with pytest.raises(SameRequest) as refused:
            ask(buyer, seller)
    over = refused.value
    assert isinstance(over, OverLimit)
    assert (over.limit, over.asked, over.spent, over.money, over.allowance) == (2, 1, 2, "untouched", None)
    assert over.resets_at is not None
    assert "the limit of 2 payments per hour for the same request: 2 are counted" in over.args[0]
    assert "a key of its own for each purchase" in over.args[0]
    ask(buyer, seller, "/weather?other=1")
    assert len(buyer.history()) == 3


def test_a_key_says_that_it_is_another_purchase(seller: Sandbox) -> None:
    buyer = seller.buyer(DAMPED)
    for number in range(4):
        with buyer.purchase(key=f"order-{number}"):
            ask(buyer, seller)
    assert len(buyer.history()) == 4


def test_it_holds_in_every_process_and_opens_again_with_time(seller: Sandbox, tmp_path: Path) -> None:
    at = [1_790_000_000.0]

    def buyer() -> Buyer:
        clock = LedgerClock(lambda: at[0], lambda: at[0], lambda: "boot")
        return seller.buyer(DAMPED, ledger=SqliteLedger(tmp_path / "spend.db", clock=clock))

    for _ in range(2):
        ask(buyer(), seller)
    with pytest.raises(SameRequest):
        ask(buyer(), seller)
    at[0] += 3_661
    assert ask(buyer(), seller).status_code == 200


def test_the_next_one_asks_the_approver_whatever_it_costs(seller: Sandbox) -> None:
    asked: list[Approval] = []
    answers = [True, False, True]

    def approve(approval: Approval) -> bool:
        asked.append(approval)
        return answers.pop(0)

    buyer = seller.buyer(DAMPED.but(approve_above="1"), approve=approve)
    for _ in range(3):
        assert ask(buyer, seller).status_code == 200
    assert [one.repeats for one in asked] == [
        'The same request was paid 2 times already; the policy has same_request="2/hour".'
    ]
    assert "paid 2 times already" in repr(asked[0])
    with pytest.raises(ApprovalDenied):
        ask(buyer, seller)
    assert ask(buyer, seller).status_code == 200
    assert [one.repeats[17:30] for one in asked] == ["was paid 2 ti", "was paid 3 ti", "was paid 3 ti"]
    assert len(buyer.history()) == 4


def test_an_approver_widens_no_other_limit(seller: Sandbox) -> None:
    buyer = seller.buyer(
        DAMPED.but(per_request="0.02", per_day="0.02", approve_above="0.02"), approve=lambda approval: True
    )
    for _ in range(2):
        ask(buyer, seller)
    with pytest.raises(OverLimit) as refused:
        ask(buyer, seller)
    assert not isinstance(refused.value, SameRequest)
    assert "0.02 USD per day" in refused.value.args[0]


def test_what_pays_ahead_is_damped_too(seller: Sandbox) -> None:
    buyer = seller.buyer(DAMPED.but(pay_ahead=True))
    with x402_client.httpx.wrap(httpx.Client(), buyer) as client:
        for _ in range(2):
            client.get(seller.url + "/weather")
        with pytest.raises(SameRequest):
            client.get(seller.url + "/weather")
    assert len(buyer.history()) == 2


def test_a_refusal_can_come_back_as_the_402(seller: Sandbox) -> None:
    buyer = seller.buyer(DAMPED, on_refusal="return")
    assert [ask(buyer, seller).status_code for _ in range(3)] == [200, 200, 402]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("5", '"5/hour"'),
        (5, '"5/hour"'),
        ("5/week", '"5/hour"'),
        ("5/total", "a window that rolls over"),
        (["5/hour", "6/hour"], "names hour twice"),
        ([], "names no number"),
    ],
)
def test_how_it_is_written(written: Any, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Policy(per_day="5", same_request=written)


def test_it_stands_in_policies_and_in_their_files(tmp_path: Path) -> None:
    policy = Policy(per_day="5", same_request=["5/hour", "20/day"])
    assert dict(policy.same_request) == {"hour": 5, "day": 20}
    assert dict(policy.but(per_day="6").same_request) == {"hour": 5, "day": 20}
    assert "same_request=['5/hour', '20/day']" in repr(policy)
    file = tmp_path / "policy.toml"
    file.write_text('per_day = "5"\nsame_request = ["5/hour", "20/day"]\n')
    assert dict(Policy.from_file(file).same_request) == {"hour": 5, "day": 20}
    file.write_text('per_day = "5"\nsame_request = 5\n')
    with pytest.raises(ConfigurationError, match="line 2: same_request: is written like"):
        Policy.from_file(file)
    with pytest.raises(ConfigurationError, match="limits nothing"):
        Policy(same_request="5/hour")
