"""Which offer is chosen, which limits apply where, and what a policy refuses to be built from."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.terms import BASE_EURC, BASE_USDC, KEY, ORIGIN, SELLER, USDC, document, entry, quoted
from x402_client import Buyer, Limit, Money, Policy, Token, Wallet
from x402_client.errors import ConfigurationError
from x402_client.model.budgets import Cap
from x402_client.model.hosts import Origin
from x402_client.model.offers import Quote
from x402_client.policy import CAREFUL
from x402_client.policy.choice import Mandate, choose
from x402_client.wire.bounds import DEFAULT

from .test_refusals import judged

ON_BASE = {"network": "base", "asset": BASE_USDC}
EURO = {"network": "base", "asset": BASE_EURC}
UPFRONT = {"paymentFlow": "upfront"}
BY_PERMIT2 = {"assetTransferMethod": "permit2"}
CEILING = entry(scheme="upto", extra=BY_PERMIT2 | {"facilitatorAddress": SELLER})
BOTH = {"per_request": ["1", "1 EUR"]}


def chosen(policy: Policy, *entries: dict[str, Any]) -> int | None:
    quote = judged(policy, *entries)
    return quote.choice.position if quote.choice else None


@pytest.mark.parametrize(
    ("said", "entries", "position"),
    [
        ({}, [entry(amount="3"), entry(amount="2"), entry(amount="5")], 2),
        ({}, [entry(amount="2"), entry(amount="2", payTo="0x" + "ab" * 20)], 1),
        ({}, [entry(amount="1", scheme="upto"), entry(amount="2")], 2),
        ({}, [entry(amount="1", payTo="0x" + "0" * 40), entry(amount="2")], 2),
        ({"networks": ["base-sepolia", "base"]}, [entry(amount="1", **ON_BASE), entry(amount="9")], 2),
        ({"networks": ["base", "eip155:84532"]}, [entry(amount="1"), entry(amount="9", **ON_BASE)], 2),
        ({"networks": ["base"]}, [entry(amount="1"), entry(amount="9", **ON_BASE)], 2),
        ({"assets": ["EURC", "USDC"]} | BOTH, [entry(amount="1"), entry(amount="9", **EURO)], 2),
        ({"assets": [USDC.lower(), BASE_EURC]} | BOTH, [entry(amount="1", **EURO), entry(amount="9")], 2),
        ({"assets": ["usdc"]}, [entry(amount="1", **EURO), entry(amount="9", asset="USDC")], 2),
        ({"networks": ["base", "base-sepolia"], "assets": ["USDC", "EURC"]} | BOTH,
         [entry(amount="1"), entry(amount="9", **EURO), entry(amount="8", **ON_BASE)], 3),
        (BOTH, [entry(amount="1", **EURO), entry(amount="9")], 2),
        ({"per_request": "1 EUR"}, [entry(amount="1"), entry(amount="9", **EURO)], 2),
        ({}, [entry(extra=UPFRONT), entry()], 2),
        ({}, [entry(), entry(extra=UPFRONT)], 1),
        ({}, [entry(extra=UPFRONT), entry(extra=UPFRONT)], 1),
        ({}, [entry(extra=UPFRONT, amount="9999"), entry()], 1),
        ({"networks": ["base", "base-sepolia"]}, [entry(), entry(extra=UPFRONT, **ON_BASE)], 2),
        ({}, [entry(extra=BY_PERMIT2), entry()], 2),
        ({}, [entry(extra=BY_PERMIT2, amount="9999"), entry()], 1),
        ({"upto": "0.05"}, [CEILING, entry()], 2),
        ({"upto": "0.05"}, [CEILING, entry(amount="9999")], 2),
        ({"upto": "0.05"}, [CEILING, entry(amount="10001")], 1),
        ({"upto": "0.009999"}, [CEILING, entry(amount="10001")], 2),
    ],
)  # fmt: skip
def test_the_users_order_then_the_cheapest_then_the_sellers_order(
    said: dict[str, Any], entries: list[dict[str, Any]], position: int
) -> None:
    policy = Policy(**{"per_request": "1", **said})
    quote = judged(policy, *entries)
    assert quote.choice is quote.offers[position - 1]
    assert quote.choice.reason is None
    assert all(offer.reason for offer in quote.offers if offer is not quote.choice)
    assert len(quote.reasons) == len(entries) - 1


def test_why_an_eligible_offer_was_not_chosen() -> None:
    quote = judged(Policy(per_request="1"), entry(amount="20000"), entry(), entry())
    assert quote.offers[0].reason == "offer 2 is preferred (exact on base-sepolia, 0.01 USD (test))"
    assert quote.offers[2].reason == "offer 2 costs the same and comes first"
    quote = judged(Policy(per_request="1"), entry(extra=UPFRONT), entry())
    assert quote.offers[0].reason == "offer 2 costs the same and is not paid before delivery"


@pytest.mark.parametrize(
    ("agreed", "offered", "is_chosen"), [(True, True, True), (False, True, False), (True, False, True)]
)
def test_a_quote_of_an_offer_that_is_paid_after_delivery_pays_none_upfront(
    agreed: bool, offered: bool, is_chosen: bool
) -> None:
    policy = Policy(per_request="1")
    frozen = judged(policy, entry(extra=UPFRONT if agreed else {}))
    found = judged(policy, entry(extra=UPFRONT if offered else {}), mandate=Mandate(quote=frozen))
    assert (found.choice is not None) is is_chosen
    if not is_chosen:
        assert (found.offers[0].reason or "").startswith("it differs from the quote this purchase is bound to")


offers = st.builds(
    lambda network, amount, **more: entry(network=network[0], asset=network[1], amount=str(amount), **more),
    st.sampled_from([("base-sepolia", USDC), ("base", BASE_USDC), ("base", BASE_EURC), ("base", "0x" + "ab" * 20)]),
    st.one_of(st.integers(0, 60_000), st.integers(0, 2**256 - 1)),
    scheme=st.sampled_from(["exact"] * 5 + ["upto"]),
    payTo=st.sampled_from([SELLER, SELLER, "0x" + "ab" * 20, "0x" + "0" * 40]),
)
policies = st.fixed_dictionaries(
    {"per_request": st.sampled_from(["0.02", ["0.02", "0.03 EUR"]])},
    optional={
        "networks": st.lists(st.sampled_from(["base", "base-sepolia"]), min_size=1, unique=True),
        "assets": st.lists(st.sampled_from(["USDC", "EURC", USDC]), min_size=1, unique=True),
        "pay_to": st.sampled_from([SELLER, "0x" + "ab" * 20]),
        "allow_zero": st.booleans(),
        "hosts": st.sampled_from(
            [{"api.example.com": Limit(per_request="0.05")}, {"*.example.com": Limit(per_day="1")}]
        ),
    },
)


@given(policies, st.lists(offers, min_size=1, max_size=6), st.sampled_from([None, "0.01", "0.01 EUR"]))
def test_what_is_chosen_passes_every_rule(said: dict[str, Any], entries: list[Any], cap: str | None) -> None:
    policy = Policy(**said)
    mandate = Mandate(per_request=Money(cap) if cap else None)
    quote = judged(policy, *entries, mandate=mandate)
    assert all((offer.reason is None) is (offer is quote.choice) for offer in quote.offers)
    offer = quote.choice
    if offer is None:
        return
    assert offer.price is not None
    assert offer.token is not None
    own = {"api.example.com": "0.05"} if "api.example.com" in map(str, policy.hosts) else {}
    most = {"USD": Money(own.get("api.example.com", "0.02")), "EUR": Money("0.03 EUR")}[offer.price.currency[:3]]
    assert offer.price.units <= most.units
    own_cap = mandate.per_request
    assert own_cap is None or (own_cap.currency, True) == (most.currency, offer.price.units <= own_cap.units)
    assert most.currency == "USD" or isinstance(said["per_request"], list)
    assert offer.price or said.get("allow_zero")
    assert "networks" not in said or offer.network in policy.networks  # type: ignore[operator]
    assert "assets" not in said or {offer.token.symbol, offer.token.address} & set(said["assets"])
    assert "pay_to" not in said or offer.pay_to == said["pay_to"]
    assert (offer.scheme, offer.pay_to != "0x" + "0" * 40) == ("exact", True)


def worth(quote: Quote, said: dict[str, Any]) -> Any:
    """Return what the choice was made by: its price, and its network and token where the policy orders them."""
    offer = quote.choice
    if offer is None or offer.token is None:
        return None
    return (offer.price, offer.network if "networks" in said else "", offer.token.symbol if "assets" in said else "")


@given(policies, st.lists(offers, min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_the_sellers_order_breaks_ties_and_nothing_else(said: dict[str, Any], entries: list[Any], random: Any) -> None:
    policy = Policy(**said)
    shuffled = random.sample(entries, len(entries))
    assert worth(judged(policy, *entries), said) == worth(judged(policy, *shuffled), said)


def test_a_tie_goes_to_the_first_in_every_order() -> None:
    one, two = entry(payTo="0x" + "a1" * 20), entry(payTo="0x" + "b2" * 20)
    for order in itertools.permutations([one, two, entry(amount="20000")]):
        choice = judged(Policy(per_request="1"), *order).choice
        assert choice is not None
        assert choice.raw == next(e for e in order if e in (one, two))


# --- which limits apply where


HOSTS = {
    "api.example.com": Limit(per_request="0.50", per_hour="2"),
    "*.example.com": Limit(per_day="1", max_payments="3/minute"),
    "euro.example": Limit(per_request="1 EUR"),
    "bad.example": "deny",
}
POLICY = Policy(per_request="0.10", per_day="5", total=["50", "9 EUR"], hosts=HOSTS)


@pytest.mark.parametrize(
    ("host", "currency", "most"),
    [
        ("api.example.com", "USD", "0.50"),
        ("www.example.com", "USD", "0.10"),
        ("other.example", "USD", "0.10"),
        ("euro.example", "EUR", "1 EUR"),
        ("euro.example", "USD", "0.10"),
        ("other.example", "EUR", None),
        ("bad.example", "USD", "0.10"),
    ],
)
def test_a_hosts_per_request_replaces_the_overall_one(host: str, currency: str, most: str | None) -> None:
    found = POLICY.per_request(Origin.of("https", host, None), currency)
    assert found == (Money(most) if most else None)


@pytest.mark.parametrize(
    ("host", "currency", "own"),
    [
        (
            "api.example.com",
            "USD",
            [
                Cap("*.example.com", "day", "USD", 1_000_000),
                Cap("*.example.com", "minute", None, 3),
                Cap("api.example.com", "hour", "USD", 2_000_000),
            ],
        ),
        (
            "a.example.com",
            "USD",
            [Cap("*.example.com", "day", "USD", 1_000_000), Cap("*.example.com", "minute", None, 3)],
        ),
        ("a.example.com", "EUR", [Cap("*.example.com", "minute", None, 3)]),
        ("other.example", "USD", []),
        ("bad.example", "USD", []),
    ],
)
def test_a_hosts_budgets_come_on_top(host: str, currency: str, own: list[Cap]) -> None:
    overall = {
        "USD": [Cap("", "day", "USD", 5_000_000), Cap("", "total", "USD", 50_000_000)],
        "EUR": [Cap("", "total", "EUR", 9_000_000)],
    }[currency]
    assert list(POLICY.caps(Origin.of("https", host, None), currency)) == overall + own


@pytest.mark.parametrize(
    ("policy", "currency", "limited"),
    [
        (Policy(per_day="1"), "USD", True),
        (Policy(per_day="1"), "EUR", False),
        (Policy(max_payments="1/day"), "EUR", True),
        (Policy(per_day="1", hosts={"api.example.com": Limit(per_day="1 EUR")}), "EUR", True),
        (Policy(per_day="1", hosts={"api.example.com": Limit(max_payments="1/day")}), "EUR", False),
        (Policy(max_payments="1/day", hosts={"api.example.com": Limit(per_day="1 EUR")}), "USD", False),
        (Policy(per_day="1", hosts={"api.example.com": "deny"}), "USD", True),
    ],
)
def test_a_currency_without_any_limit_is_not_paid_in(policy: Policy, currency: str, limited: bool) -> None:
    assert policy.limits_currency(ORIGIN, currency) is limited


@pytest.mark.parametrize(
    ("above", "price", "asked"),
    [
        (None, "9", False),
        ("1", "1", False),
        ("1", "1.000001", True),
        ("0", "0.000001", True),
        ("0", "0", False),
        ("1", "0.01 EUR", True),
        (["1", "2 EUR"], "2 EUR", False),
    ],
)
def test_approval_is_needed_above_the_threshold(above: Any, price: str, asked: bool) -> None:
    assert Policy(per_day="9", approve_above=above).needs_approval(Money(price)) is asked


def test_the_careful_policy() -> None:
    assert repr(CAREFUL) == "Policy(per_request='0.10 USD', per_day='5.00 USD')"


def test_a_policy_shows_its_hosts() -> None:
    assert "hosts={'" in repr(POLICY)


# --- what users get wrong


MISTAKES: list[Any] = [
    ({}, "limits nothing"),
    ({"hosts": {"a.example": Limit()}}, "limits nothing"),
    ({"hosts": {"a.example": "deny"}}, "limits nothing"),
    ({"per_request": 0.1}, "per_request: .*floats round"),
    ({"per_day": "-5"}, "per_day: '-5' is not an amount"),
    ({"per_day": Decimal(-5)}, "zero or more"),
    ({"total": "abc"}, "total: 'abc'"),
    ({"per_day": Decimal("NaN")}, "finite"),
    ({"per_day": True}, "not True"),
    ({"per_day": []}, "names no amount"),
    ({"per_day": {"1": "2"}}, "is a str, an int or a Decimal"),
    pytest.param({"per_day": memoryview(b"1")}, "is a str, an int or a Decimal", id="a view of memory"),
    ({"max_payments": 30}, "30/minute"),
    ({"hosts": ["a.example"]}, "hosts maps names"),
    ({"hosts": {"a.example": "allow"}}, 'is a Limit\\(...\\) or "deny"'),
    ({"hosts": {"a.example": None}}, 'or "deny"'),
    ({"hosts": {"https://a.example/": "deny"}}, "without scheme or path"),
    ({"hosts": {"a.example": "deny", "A.example.": "deny"}}, "twice"),
    ({"only_listed_hosts": "yes"}, "True or False"),
    ({"networks": "base"}, r"write networks=\['base'\]"),
    ({"networks": ["bse"]}, "'bse' is not a network we know"),
    ({"networks": [8453]}, "networks holds names"),
    ({"networks": [""]}, "networks holds names"),
    ({"networks": 8453}, "networks is a list"),
    ({"assets": "USDC"}, r"write assets=\['USDC'\]"),
    ({"assets": [None]}, "assets holds names"),
    ({"tokens": Token("base", BASE_USDC)}, "tokens is a list"),
    ({"tokens": None}, "tokens is a list"),
    ({"tokens": [BASE_USDC]}, "tokens holds Token"),
    ({"tokens": [Token("bse", BASE_USDC)]}, "'bse' is not a network"),
    ({"tokens": [Token("base", "0x123")]}, "'0x123' is not an address on base"),
    ({"pay_to": 5}, "pay_to is a list"),
    ({"pay_to": []}, "pay_to is empty, so nothing would ever be paid"),
    ({"networks": []}, "networks is empty, so nothing would ever be paid"),
    ({"assets": ()}, r"assets is empty.* leave it out \(None\) to allow any"),
    ({"pay_to": [5]}, "pay_to holds names"),
    ({"approve_above": 0.5}, "floats round"),
    ({"accept_loss": 0.5}, "floats round"),
    ({"accept_loss": "-1"}, "not an amount"),
    ({"http_hosts": "a.example"}, r"write http_hosts=\['a.example'\]"),
    ({"http_hosts": ["http://a.example"]}, "not a host"),
    ({"validity": 59}, "60 to 86400"),
    ({"validity": 86_401}, "60 to 86400"),
    ({"validity": "600"}, "60 to 86400"),
    ({"validity": True}, "60 to 86400"),
    ({"validity": Decimal("NaN")}, "60 to 86400"),
    ({"allow_zero": 1}, "allow_zero is True or False"),
    ({"pay_ahead": "no"}, "pay_ahead is True or False"),
    ({"check_funds": None}, "check_funds is True or False"),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "said"), MISTAKES, ids=lambda value: str(value)[:40])
def test_every_mistake_is_named_while_building(wrong: dict[str, Any], said: str) -> None:
    more = {} if "limits nothing" in said else {"per_minute": "1"}
    with pytest.raises(ConfigurationError, match=said):
        Policy(**more, **wrong)


@pytest.mark.parametrize(
    ("accepted", "price", "yes"),
    [("0", "0.000001", False), ("0.01", "0.01", True), ("0.01", "0.010001", False), ("0.01 EUR", "0.01", False)],
)
def test_a_loss_is_accepted_up_to_an_amount_of_the_same_currency(accepted: str, price: str, yes: bool) -> None:
    assert Policy(per_day="1", accept_loss=accepted).accepts_loss(Money(price)) is yes


@given(st.dictionaries(
    st.sampled_from(["per_day", "max_payments", "hosts", "networks", "assets", "tokens", "pay_to", "validity",
                     "http_hosts", "approve_above", "allow_zero", "accept_loss"]),
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.decimals()
    | st.lists(st.text(max_size=5) | st.integers(), max_size=2)
    | st.dictionaries(st.text(max_size=5), st.text(max_size=5)),
))  # fmt: skip
def test_whatever_is_passed_a_policy_is_built_or_refused(said: dict[str, Any]) -> None:
    try:
        policy = Policy(per_request="1", **said)
    except ConfigurationError:
        return
    assert policy.per_request(ORIGIN, "USD") == Money("1")


def test_only_a_wallet_with_a_key_chooses() -> None:
    policy = Policy(per_request="1")
    rules = Buyer(Wallet(evm=KEY), policy).rules
    quote = quoted(*document()["accepts"])
    assert choose(quote, policy, ORIGIN, rules.means, Mandate(), DEFAULT).choice is not None
    assert quote.choice is None  # judging makes a new quote


# --- ceilings


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({}, "Policy(upto=...) names the highest ceiling to sign"),
        ({"upto": "0.009999"}, "ceilings up to 0.009999 USD (test) are signed"),
        ({"upto": "0.02 EUR"}, "Policy(upto=...) names the highest ceiling"),
        ({"upto": "0.02", "hosts": {"api.example.com": Limit(upto="0.001")}}, "ceilings up to 0.001 USD (test)"),
        ({"upto": "0.02", "per_request": "0.005"}, "one payment may cost 0.005"),
        ({"upto": "0.02"}, None),
        ({"upto": "0.01"}, None),
        ({"upto": "0.01 USD (test)"}, None),
        ({"hosts": {"api.example.com": Limit(upto="0.01")}}, None),
        ({"upto": "0.001", "hosts": {"*.example.com": Limit(upto="0.01")}}, None),
        ({"upto": "0.01", "hosts": {"api.example.com": Limit(per_day="1")}}, None),
    ],
)
def test_a_ceiling_is_signed_only_up_to_what_the_policy_names(said: dict[str, Any], why: str | None) -> None:
    quote = judged(Policy(**{"per_request": "1", **said}), CEILING)
    assert (quote.choice is None) is (why is not None)
    if why is not None:
        assert why in (quote.offers[0].reason or "")


def test_naming_a_ceiling_limits_nothing_else() -> None:
    with pytest.raises(ConfigurationError, match="limits nothing"):
        Policy(upto="0.05")
    policy = Policy(per_day="1", upto=["0.05", "0.04 EUR"])
    assert policy.but(per_day="2").upto(ORIGIN, "EUR") == Money("0.04 EUR")
    assert "upto=['0.05 USD', '0.04 EUR']" in repr(policy)
    assert Limit(upto="1") != Limit()
    with pytest.raises(ConfigurationError, match="smallest units"):
        Policy(per_day="1", upto=50_000)
