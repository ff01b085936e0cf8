"""Every matching entry of ``hosts`` counts: a more exact one never opens what a wildcard closes."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from x402_client import Buyer, Limit, Money, Policy, Wallet
from x402_client.errors import HostNotAllowed, OverLimit
from x402_client.ledgers.memory import MemoryLedger
from x402_client.model.holds import Attempt, Order, Purchase
from x402_client.model.hosts import Origin, Pattern
from x402_client.model.offers import Offer
from x402_client.policy.policy import admit

KEY = "0x" + "46" * 32
ESCAPE = {"*.example.dev": Limit(per_day="1"), "a.example.dev": Limit(per_request="0.20")}


def order(number: int, origin: Origin, price: Money, policy: Policy) -> Order:
    """An order as the flow makes it."""
    purchase = Purchase(f"{number}", f"{number}", False, "GET", f"{origin}/", origin)
    offer = Offer(1, 2, "exact", "eip155:8453", price.units, "0x", "0x", price=price)
    return Order(purchase, offer, price, policy.caps(origin, price.currency))


def paid(policy: Policy, payments: list[tuple[Origin, Money]]) -> list[tuple[Origin, Money]]:
    """The payments that the policy and a ledger let through."""
    ledger, through = MemoryLedger(), []
    attempts = [Attempt() for _ in payments]  # one that ends gives its unsigned hold back
    for number, (origin, price) in enumerate(payments):
        try:
            admit(policy, origin)
            most = policy.per_request(origin, price.currency)
            if not policy.limits_currency(origin, price.currency) or (most is not None and price > most):
                continue
            ledger.reserve(order(number, origin, price, policy), attempts[number])
        except (OverLimit, HostNotAllowed):
            continue
        through.append((origin, price))
    return through


def test_a_wildcards_budget_holds_for_the_names_below_it() -> None:
    origin = Origin.of("https", "a.example.dev", None)
    policy = Policy(per_day="100", hosts=ESCAPE)
    through = paid(policy, [(origin, Money("0.20"))] * 15)
    assert sum(price.units for _, price in through) == 1_000_000


def test_the_most_exact_entry_that_sets_a_per_request_decides_for_each_currency() -> None:
    policy = Policy(
        per_request=["0.01", "0.02 EUR"],
        hosts={
            "*.dev": Limit(per_request=["0.03", "0.04 EUR", "0.05 CHF"]),
            "*.example.dev": Limit(per_request="0.06 EUR"),
            "a.example.dev": Limit(per_day="1"),
        },
    )
    origin = Origin.of("https", "a.example.dev", None)
    found = [policy.per_request(origin, currency) for currency in ("USD", "EUR", "CHF", "GBP", "EUR (test)")]
    assert found == [Money("0.03"), Money("0.06 EUR"), Money("0.05 CHF"), None, Money("0.06 EUR (test)")]


@pytest.mark.parametrize(
    ("hosts", "denied"),
    [
        ({"*.example.dev": "deny", "a.example.dev": Limit(per_day="1")}, False),
        ({"*.example.dev": Limit(per_day="1"), "a.example.dev": "deny"}, True),
        ({"*.example.dev": "deny", "a.example.dev:8443": Limit(per_day="1")}, True),
    ],
)
def test_the_most_exact_entry_alone_decides_to_deny(hosts: dict[str, Any], denied: bool) -> None:
    policy, origin = Policy(per_day="1", hosts=hosts), Origin.of("https", "a.example.dev", None)
    if denied:
        with pytest.raises(HostNotAllowed, match="denied by the policy"):
            admit(policy, origin)
    else:
        admit(policy, origin)


HOSTS = ["a.example.dev", "b.example.dev", "x.a.example.dev", "example.dev", "a.dev", "127.0.0.1", "::1", "bücher.dev"]
PATTERNS = [
    *HOSTS, "*.example.dev", "*.a.example.dev", "*.dev", "A.Example.DEV:8443", "*.example.dev:8443", "[::1]:8443",
    "xn--bcher-kva.dev:443", "127.1",
]  # fmt: skip
amounts = st.sampled_from(
    ["0", "0.000001", "0.25", "1", ["0.5", "0.3 EUR"], "0.7 EUR", "0.4 USD (test)", ["1", "0.2 USD (test)"]]
)
limits = st.builds(
    Limit,
    per_request=st.none() | amounts,
    per_hour=st.none() | amounts,
    per_day=st.none() | amounts,
    total=st.none() | amounts,
    max_payments=st.sampled_from([None, "0/day", "2/hour", "3/total"]),
)
maps = st.dictionaries(st.sampled_from(PATTERNS), limits | st.just("deny"), max_size=5)
payments = st.lists(
    st.tuples(
        st.sampled_from(HOSTS).flatmap(
            lambda host: st.sampled_from([443, 8443]).map(lambda port: Origin.of("https", host, port))
        ),
        st.tuples(st.sampled_from([1, 100_000, 250_000, 1_000_000]), st.sampled_from(["USD", "EUR", "USD (test)"])).map(
            lambda money: Money.of_units(*money)
        ),
    ),
    max_size=25,
)


def unique(hosts: dict[str, Any]) -> dict[str, Any]:
    """The entries without those that are another spelling of one before."""
    seen: dict[Pattern, str] = {}
    for name in hosts:
        seen.setdefault(Pattern.parse(name), name)
    return {name: hosts[name] for name in seen.values()}


@given(maps, payments, st.sampled_from([{"per_day": "2"}, {"per_day": ["2", "1 EUR"], "per_request": "0.5"}]))
def test_no_budget_of_any_entry_that_matches_is_exceeded(
    hosts: dict[str, Any], asked: list[tuple[Origin, Money]], overall: dict[str, Any]
) -> None:
    hosts = unique(hosts)
    sums: dict[tuple[str, str], int] = defaultdict(int)
    counts: dict[str, int] = defaultdict(int)
    for origin, price in paid(Policy(hosts=hosts, **overall), asked):
        for name in ["", *(name for name in hosts if Pattern.parse(name).matches(origin))]:
            sums[name, price.currency] += price.units
            counts[name] += 1
    for (name, currency), handed_out in sums.items():
        rule = hosts[name] if name else Limit(**overall)
        if rule == "deny":  # an exact entry may allow what a wildcard denies
            continue
        for written in (value for key, value in rule.keywords.items() if key not in ("per_request", "max_payments")):
            named = {money.currency: money.units for money in map(Money, written)}
            most = named.get(currency, named.get(currency.removesuffix(" (test)")))
            assert most is None or handed_out <= most, (name, currency)
        for written in rule.keywords.get("max_payments", ()):
            assert counts[name] <= int(written.partition("/")[0])


def test_what_remains_at_a_host_is_the_least_of_every_entry() -> None:
    hosts = {"*.dev": Limit(per_day="3"), "*.example.dev": Limit(per_day="1"), "a.example.dev": Limit(per_day="2")}
    buyer = Buyer(Wallet(evm=KEY), Policy(per_day="9", hosts=hosts), ledger=":memory:")
    left = {name: buyer.remaining(name) for name in ("a.example.dev", "*.example.dev", "b.dev", "*.dev", "c.org")}
    assert [str(money) for money in left.values()] == ["1.00 USD", "1.00 USD", "3.00 USD", "3.00 USD", "9.00 USD"]


def test_what_a_wildcard_has_left_is_not_what_one_name_below_it_has() -> None:
    hosts = {"*.dev": Limit(per_day="3"), "any.dev": Limit(per_day="1")}
    buyer = Buyer(Wallet(evm=KEY), Policy(per_day="9", hosts=hosts), ledger=":memory:")
    assert (buyer.remaining("*.dev"), buyer.remaining("any.dev")) == (Money("3"), Money("1"))


class Unasked(dict[Pattern, Any]):
    """Entries that are looked up one by one. To go through all of them is a failure."""

    def __iter__(self) -> Any:
        raise AssertionError("A payment went through all entries.")

    keys = values = items = __iter__


def test_no_entry_of_another_host_is_asked() -> None:
    hosts = {f"*.h{number}.example": Limit(per_day="1") for number in range(1_000)}
    policy = Policy(per_day="5", hosts={**hosts, "a.h7.example:443": Limit(per_request="1"), "a.h7.example": "deny"})
    vars(policy)["_hosts"] = Unasked(policy._hosts)
    found = [str(pattern) for pattern, _ in policy.rules(Origin("https", "a.h7.example", 443))]
    assert found == ["a.h7.example:443", "a.h7.example", "*.h7.example"]


@given(st.lists(st.sampled_from(["a", "b", ""]), min_size=1, max_size=4), st.sampled_from([80, 443]))
def test_an_origin_is_covered_by_its_patterns_and_by_no_other(labels: list[str], port: int) -> None:
    origin = Origin("https", ".".join(labels), port)
    known = set(Pattern.all_for(origin.host, port))
    names = [origin.host, *(f"*.{name}" for name in ("a", "b", "a.b", "b.a", "b.b.a", "a.", ".a", ""))]
    for pattern in (Pattern(name, of) for name in names for of in (None, 80, 443)):
        assert (pattern in known) == pattern.matches(origin)
