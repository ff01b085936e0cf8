"""The budget that a model is told: numbers of payments, what is stopped, and the payments that a person has to see."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from x402_client import Buyer, Limit, Policy
from x402_client.sandbox import Sandbox

from .clients import Toolbox

HERE = ["127.0.0.1"]
#: The buyer itself, or an allowance of it: both tell the same.
PAYERS: dict[str, Callable[[Buyer], Any]] = {
    "a buyer": lambda buyer: buyer,
    "an allowance": lambda buyer: buyer.allowance("1", name="run"),
    "an allowance inside of one": lambda buyer: buyer.allowance("1", name="run").allowance("0.50"),
}


@pytest.fixture(params=PAYERS)
def payer(request: pytest.FixtureRequest) -> Callable[[Buyer], Any]:
    return PAYERS[request.param]


def test_a_number_of_payments_is_told_until_it_is_used_up(
    box: Toolbox, seller: Sandbox, payer: Callable[[Buyer], Any]
) -> None:
    url = seller.sell("/poem", "0.02")
    buyer = seller.buyer(Policy(per_day="5", max_payments=["2/hour", "9/day"]))
    own = box.tools(payer(buyer), hosts=HERE)
    left = [own.budget()["payments_left"]]
    while own.paid_fetch(url)["ok"]:
        left.append(own.budget()["payments_left"])
    assert left == [{"hour": 2, "day": 9}, {"hour": 1, "day": 8}, {"hour": 0, "day": 7}]
    assert own.paid_fetch(url)["error"] == "OverLimit"


def test_a_number_of_payments_to_a_host_is_told_until_it_is_used_up(
    box: Toolbox, seller: Sandbox, payer: Callable[[Buyer], Any]
) -> None:
    url = seller.sell("/poem", "0.02")
    here = url.removeprefix("http://").partition("/")[0]
    hosts = {here: Limit(max_payments="2/hour"), "127.0.0.1": Limit(max_payments=["3/hour", "9/day"])}
    buyer = seller.buyer(Policy(per_day="5", hosts=hosts))
    own = box.tools(payer(buyer), hosts=HERE)
    left = [own.budget()]
    while own.paid_fetch(url)["ok"]:
        left.append(own.budget())
    assert [one["payments_left_at"] for one in left] == [
        {here: {"hour": 2 - paid}, "127.0.0.1": {"hour": 3 - paid, "day": 9 - paid}} for paid in range(3)
    ]
    assert all("payments_left" not in one for one in left)
    assert own.paid_fetch(url)["error"] == "OverLimit"


def test_payments_to_other_hosts_leave_a_hosts_number_as_it_is(box: Toolbox, seller: Sandbox) -> None:
    url = seller.sell("/poem", "0.02")
    hosts = {"localhost": Limit(max_payments="2/hour"), "127.0.0.1": Limit(max_payments="1/hour")}
    own = box.tools(seller.buyer(Policy(per_day="5", max_payments="5/day", hosts=hosts)), hosts=[*hosts])
    for _ in range(3):
        own.paid_fetch(url)
        own.paid_fetch(url.replace("127.0.0.1", "localhost"))
    told = own.budget()
    assert told["payments_left"] == {"day": 2}
    assert told["payments_left_at"] == {"localhost": {"hour": 0}, "127.0.0.1": {"hour": 0}}


@pytest.mark.parametrize("asked", [None, ["*.example"]])
def test_the_numbers_of_ten_hosts_are_told_and_none_of_a_server_that_no_url_asks(
    box: Toolbox, seller: Sandbox, asked: list[str] | None
) -> None:
    limit = Limit(max_payments="1/hour")
    hosts = {"mcp:reports": limit, **{f"h{number}.example": limit for number in range(12)}}
    told = box.tools(seller.buyer(Policy(per_day="5", hosts=hosts)), hosts=asked).budget()
    assert len(told["payments_left_at"]) == 10
    assert told["payments_left_at_more"] == 2
    assert "mcp:reports" not in told["payments_left_at"]


def test_payments_without_an_answer_count_in_that_number(box: Toolbox, seller: Sandbox) -> None:
    url = seller.sell("/poem", "0.02", fault="drop-after-settling")
    own = box.tools(seller.buyer(Policy(max_payments="2/hour", per_day="5"), repeat=()), hosts=HERE)
    own.paid_fetch(url)
    assert own.budget()["payments_left"] == {"hour": 1}


def test_what_is_not_limited_or_stopped_is_not_told(box: Toolbox, seller: Sandbox) -> None:
    elsewhere = {"api.example.com": Limit(max_payments="5/hour"), "127.0.0.1": Limit(per_day="1"), "b.example": "deny"}
    buyer = seller.buyer(Policy(per_day="5", hosts=elsewhere))
    told = box.tools(buyer, hosts=HERE).budget()
    assert told.keys() == {"ok", "left", "spent", "per_payment", "unresolved_payments", "payments_in_flight"}


def test_freezes_are_told(box: Toolbox, seller: Sandbox, payer: Callable[[Buyer], Any]) -> None:
    buyer = seller.buyer(Policy(per_day="5"))
    own = box.tools(payer(buyer), hosts=HERE)
    buyer.freeze("127.0.0.1")
    assert own.budget()["frozen"] == ["127.0.0.1"]
    buyer.freeze("*")
    assert sorted(own.budget()["frozen"]) == ["*", "127.0.0.1"]


def test_a_seller_that_is_left_alone_is_told_with_the_time_until_which(
    box: Toolbox, seller: Sandbox, payer: Callable[[Buyer], Any]
) -> None:
    buyer = seller.buyer(Policy(per_day="5"), breaker_after=1, breaker_rest=600, repeat=())
    own = box.tools(payer(buyer), hosts=HERE)
    own.paid_fetch(f"{seller.url}/fault/drop-before-settling/weather", method="POST")
    [(place, until)] = own.budget()["paused_until"].items()
    assert place == seller.url
    there = datetime.strptime(until, "%Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC)
    assert 500 < (there - datetime.now(UTC)).total_seconds() < 601


@pytest.mark.parametrize(("act", "state"), [("freeze", "frozen"), ("close", "closed")])
def test_an_allowance_that_pays_nothing_more_says_so(box: Toolbox, seller: Sandbox, act: str, state: str) -> None:
    allowance = seller.buyer(Policy(per_day="5")).allowance("1", name="run")
    own = box.tools(allowance, hosts=HERE)
    assert "allowance" not in own.budget()
    getattr(allowance, act)()
    assert own.budget()["allowance"] == state


def test_a_payment_that_a_person_has_to_see_is_named(box: Toolbox, seller: Sandbox) -> None:
    url = seller.sell("/poem", "0.02", fault="drop-after-settling")
    buyer = seller.buyer(Policy(per_day="5"), repeat=())
    own = box.tools(buyer, hosts=HERE)
    own.paid_fetch(url)
    [hold] = buyer.holds()
    fact = {"payment": hold.id, "host": "127.0.0.1", "price": "0.02 USD", "money": "spent", "next": "repeat"}
    told = own.budget()
    assert (told["unresolved_payments"], told["unresolved"]) == (1, [fact])
    assert own.quote(url)["unresolved_payment"] == fact


@pytest.mark.parametrize("number", [10, 11, 13])
def test_a_list_that_is_cut_says_how_many_more_there_are(plain: Toolbox, seller: Sandbox, number: int) -> None:
    buyer = seller.buyer(Policy(per_day="5"), repeat=(), breaker_after=None)
    own = plain.tools(buyer, hosts=HERE)
    for n in range(number):
        own.paid_fetch(seller.sell(f"/{n}", "0.01", fault="drop-before-settling"))
        buyer.freeze(f"{n}.example")
    told = own.budget()
    more = number - 10
    for name in ("unresolved", "frozen"):
        assert (len(told[name]), told.get(f"{name}_more", 0)) == (10, more), name
    assert told["unresolved_payments"] == number


@pytest.mark.parametrize("can_ask", [True, False])
@pytest.mark.parametrize(
    ("settings", "above"),
    [
        ({}, "0.00 USD"), ({"approve_above": "0.02"}, "0.02 USD"), ({"approve_above": "0.10"}, None),
        ({"approve_above": "0.02 EUR"}, "0.00 USD"),
    ],
)  # fmt: skip
def test_a_budget_tells_above_which_price_a_person_is_asked(
    box: Toolbox, seller: Sandbox, settings: dict[str, str], above: str | None, can_ask: bool
) -> None:
    """Where none can be asked, that is the most that a payment may cost."""

    class Approver:
        cannot_ask = "" if can_ask else "there is none"

        def __call__(self, approval: object) -> bool:
            return can_ask

    buyer = seller.buyer(Policy(per_request="0.10", per_day="5", **settings), approve=Approver())  # type: ignore[arg-type]
    own = box.tools(buyer, hosts=["127.0.0.1"])
    told = own.budget()
    assert told["per_payment"] == ("0.10 USD" if can_ask or above is None else above)
    assert told.get("asks_above") == (above if can_ask else None)
    quoted = own.quote(seller.sell("/poem", "0.05"))
    asks = above not in (None, "0.10 USD")
    assert quoted["would_pay"] == (None if asks and not can_ask else "0.05 USD")
    assert quoted.get("would_ask_for_approval") == (True if asks and can_ask else None)
