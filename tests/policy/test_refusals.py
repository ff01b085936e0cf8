"""Every reason not to pay: which place, which offer, and what the refusal says."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.terms import BASE_EURC, BASE_USDC, KEY, ORIGIN, PAYER, SELLER, USDC, entry, quoted
from x402_client import Buyer, Limit, Money, Policy, Token, Wallet
from x402_client.errors import HostNotAllowed, NoAcceptableOffer, OverLimit, TooExpensive
from x402_client.model.hosts import Origin
from x402_client.model.offers import Quote
from x402_client.policy.allowances import AllowanceRules, terms_from
from x402_client.policy.choice import Mandate, choose, pick
from x402_client.policy.no_choice import refuse
from x402_client.policy.policy import admit
from x402_client.wire.bounds import DEFAULT

OPEN = Policy(per_request="1")
NONE = Mandate()
UNKNOWN = "0x" + "ab" * 20


def judged(policy: Policy, *entries: Any, origin: Origin = ORIGIN, mandate: Mandate = NONE, version: int = 2) -> Quote:
    """The entries as one quote, judged for a wallet with an EVM key."""
    means = Buyer(Wallet(evm=KEY), policy).rules.means
    quote = quoted(*entries, version=version)
    found = choose(quote, policy, origin, means, mandate, DEFAULT)
    assert pick(quote, policy, origin, means, mandate, DEFAULT) == found.choice, "what is paid is what a quote says"
    return found


def refusal(quote: Quote, policy: Policy, mandate: Mandate = NONE) -> NoAcceptableOffer:
    assert quote.choice is None
    return refuse(quote, policy, ORIGIN, mandate)


REASONS: dict[str, tuple[Policy, dict[str, Any], str]] = {
    "network": (
        Policy(per_request="1", networks=["base"]),
        {},
        "network base-sepolia is not among the allowed ones (base)",
    ),
    "network, and unknown token": (
        Policy(per_request="1", networks=["base"]),
        {"asset": UNKNOWN},
        "network base-sepolia",
    ),
    "asset": (
        Policy(per_request="1", assets=["EURC", UNKNOWN]),
        {},
        "USDC is not among the allowed assets (EURC, 0xabab",
    ),
    "pay_to": (Policy(per_request="1", pay_to=UNKNOWN), {}, f"it pays {SELLER}, which is not an address pinned"),
    "unknown token": (OPEN, {"asset": UNKNOWN}, "is not a token this buyer knows; Policy(tokens=[Token(...)]) vouches"),
    "unknown symbol": (OPEN, {"asset": "DOGE"}, "DOGE on base-sepolia is not a token this buyer knows"),
    "unknown network": (OPEN, {"network": "moon"}, "on moon is not a token this buyer knows"),
    "a token of another network": (OPEN, {"asset": BASE_USDC}, "is not a token this buyer knows"),
    "scheme": (OPEN, {"scheme": "barter"}, "payment scheme 'barter' is not supported"),
    "scheme in other letters": (OPEN, {"scheme": "EXACT"}, "payment scheme 'EXACT' is not supported"),
    "no key": (
        OPEN,
        {"network": "solana", "asset": "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"},
        "the wallet has no key for solana",
    ),
    "transfer method": (
        OPEN,
        {"extra": {"assetTransferMethod": "erc7710"}},
        "transfer method 'erc7710' is not supported: it spends by a delegation that the account granted before",
    ),
    "a channel": (OPEN, {"scheme": "batch-settlement"}, "'batch-settlement' is not supported: it locks a deposit in"),
    "auth-capture": (OPEN, {"scheme": "auth-capture"}, "'auth-capture' is not supported: it locks the money in an esc"),
    "a promise": (OPEN, {"scheme": "deferred"}, "'deferred' is not supported: it is a promise to pay later"),
    "a ceiling on Solana": (
        OPEN,
        {"scheme": "upto", "network": "solana", "asset": "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"},
        "'upto' is not supported on solana: it locks the whole ceiling in a payment channel",
    ),
    "a ceiling by delegation": (
        OPEN,
        {"scheme": "upto", "extra": {"assetTransferMethod": "erc7710"}},
        "transfer method 'erc7710' is not supported: it spends by a delegation that the account granted before",
    ),
    "odd transfer method": (OPEN, {"extra": {"assetTransferMethod": ["eip3009"]}}, "transfer method '[’eip3009’]'"),
    "escrow": (
        OPEN,
        {"extra": {"paymentFlow": "escrow"}},
        "payment flow 'escrow' is not supported: it locks money away before delivery, and the seller says later how "
        "much of it comes back; `exact` has no such flow",
    ),
    "payment flow": (
        OPEN,
        {"extra": {"paymentFlow": "later"}},
        "payment flow 'later' is not supported; authorization and upfront are",
    ),
    "Circle's Gateway": (
        OPEN,
        {"extra": {"name": "GatewayWalletBatched", "verifyingContract": USDC}},
        "it pays through Circle's Gateway (GatewayWalletBatched), which is not supported: it draws on a deposit",
    ),
    "payTo zero": (OPEN, {"payTo": "0x" + "0" * 40}, "payTo is the zero address"),
    "payTo the buyer": (OPEN, {"payTo": PAYER.lower()}, "payTo is the buyer itself"),
    "payTo the token": (OPEN, {"payTo": USDC}, "payTo is the token's own contract"),
    "payTo by symbol's token": (OPEN, {"payTo": USDC, "asset": "USDC"}, "payTo is the token's own contract"),
    "payTo with a wrong checksum": (OPEN, {"payTo": USDC[:-1] + "E"}, "is not an address, or its checksum is wrong"),
    "payTo too short": (OPEN, {"payTo": SELLER[:-1]}, "is not an address"),
    "payTo a name": (OPEN, {"payTo": "vitalik.eth"}, "payTo 'vitalik.eth' is not an address"),
    "payTo of words": (OPEN, {"payTo": 'x\' is fine. Pay "it"'}, "payTo 'x’ is fine. Pay ’it’' is not an address"),
    "network of words": (Policy(per_request="1", networks=["base"]), {"network": "a b"}, "network 'a b' is not among"),
    "payTo with a line break": (OPEN, {"payTo": SELLER + "\n"}, "is not an address"),
    "zero": (OPEN, {"amount": "0"}, "it asks for nothing, and a payment of zero is signed only under"),
    "a currency without a limit": (
        OPEN,
        {"network": "base", "asset": BASE_EURC},
        'no limit of the policy for this host is in EUR; name one, for example per_request="0.10 EUR"',
    ),
    "too dear": (OPEN, {"amount": "1000001"}, "it costs 1.000001 USD (test); one payment may cost 1.00 USD (test)"),
    "beyond all numbers": (OPEN, {"amount": str(2**256 - 1)}, "one payment may cost 1.00 USD (test)"),
    "too large to echo": (OPEN, {"extra": {"blob": "x" * 20_000}}, "echoed in a header of about"),
}


@pytest.mark.parametrize(("policy", "changes", "reason"), REASONS.values(), ids=REASONS)
def test_an_offer_is_refused_for_its_reason(policy: Policy, changes: dict[str, Any], reason: str) -> None:
    quote = judged(policy, entry(**changes))
    [offer] = quote.offers
    assert reason in (offer.reason or "")
    [line] = quote.reasons
    assert line.startswith("offer 1 (")
    error = refusal(quote, policy)
    assert error.reasons == quote.reasons
    assert reason in str(error)
    assert error.args[0].endswith("Nothing was paid.")
    assert error.money == "untouched"
    assert isinstance(error, TooExpensive) is ("one payment may cost" in reason)


def test_a_token_without_its_domain_cannot_be_signed() -> None:
    policy = Policy(per_request="1", tokens=[Token("base-sepolia", UNKNOWN, "MINE")])
    assert "no EIP-712 name and version" in (judged(policy, entry(asset=UNKNOWN)).offers[0].reason or "")


def test_a_vouched_token_is_paid() -> None:
    token = Token("base-sepolia", UNKNOWN, "MINE", 18, "Mine", "1", "EUR")
    policy = Policy(per_request="1 EUR", tokens=[token])
    quote = judged(policy, entry(asset=UNKNOWN.upper().replace("0X", "0x"), amount=str(10**18)))
    assert quote.choice is not None
    assert quote.choice.price == Money("1 EUR")


def test_sellers_do_not_become_usdc_by_saying_so() -> None:
    quote = judged(OPEN, entry(asset=UNKNOWN, extra={"name": "USDC", "version": "2"}))
    assert quote.choice is None


@pytest.mark.parametrize("pinned", [SELLER, SELLER.upper().replace("0X", "0x"), [UNKNOWN, SELLER]])
def test_a_pinned_recipient_is_paid_in_any_letters(pinned: Any) -> None:
    assert judged(Policy(per_request="1", pay_to=pinned), entry()).choice is not None


def test_zero_is_signed_where_the_user_allows_it() -> None:
    assert judged(Policy(per_request="1", allow_zero=True), entry(amount="0")).choice is not None


def test_too_expensive_is_both_over_a_limit_and_no_acceptable_offer() -> None:
    policy = Policy(per_request="0.01")
    quote = judged(policy, entry(amount="30000"), entry(amount="20000"), entry(amount="1", scheme="barter"), 7)
    error = refusal(quote, policy)
    assert isinstance(error, TooExpensive)
    assert isinstance(error, OverLimit)
    assert (error.limit, error.asked, error.spent, error.resets_at) == (
        Money("0.01 USD (test)"), Money("0.02 USD (test)"), None, None,
    )  # fmt: skip
    assert (error.host, error.window, error.allowance) == (None, None, None)
    assert error.offer is quote.offers[1]
    assert len(error.reasons) == 4
    assert "No offer of the 4" in str(error)


def test_the_price_is_only_named_as_the_reason_if_it_is_the_only_one() -> None:
    policy = Policy(per_request="0.01")
    error = refusal(judged(policy, entry(amount="20000", payTo="0x" + "0" * 40)), policy)
    assert not isinstance(error, OverLimit)


def test_a_thousand_reasons_make_a_short_message() -> None:
    error = refusal(judged(OPEN, *[entry(scheme="barter")] * 500), OPEN)
    assert len(error.reasons) == 500
    assert "offers 1 to 500 (barter on base-sepolia, 0.01 USD (test)): payment scheme 'barter'" in str(error)
    unlike = refusal(judged(OPEN, *[entry(scheme=f"scheme{n}") for n in range(500)]), OPEN)
    assert len(unlike.reasons) == 500
    assert "; and 490 more. Nothing was paid." in str(unlike)
    assert len(str(unlike)) < 2_000


def test_offers_that_are_refused_alike_are_told_together() -> None:
    policy = Policy(per_request="0.01", networks=["base"])
    abroad = [entry(network=name) for name in ("polygon", "sei", "polygon", "avalanche")]
    dear = [entry(network="base", asset=BASE_USDC, amount=amount) for amount in ("20000", "30000")]
    error = refusal(judged(policy, abroad[0], dear[0], *abroad[1:], dear[1]), policy)
    assert len(error.reasons) == 6
    unknown = f"10000 units of {USDC}"
    assert error.args[0].partition("acceptable: ")[2] == (
        f"offers 1, 3, 4 and 5 (exact on polygon, {unknown}; exact on sei, {unknown}; ...): only these networks are "
        "allowed: base; offers 2 and 6 (exact on base, 0.02 USD; exact on base, 0.03 USD): one payment may cost "
        "0.01 USD. A higher per_request in the Policy allows it. Nothing was paid."
    )
    assert isinstance(error, TooExpensive)


def test_a_long_list_of_positions_is_cut() -> None:
    policy = Policy(per_request="0.01")
    mixed = [entry(scheme="barter" if n % 2 else f"scheme{n}") for n in range(30)]
    assert "offers 2, 4, 6, 8, 10, 12, 14, 16, 18, 20 and 5 more (barter on" in str(
        refusal(judged(policy, *mixed), policy)
    )


def test_a_reason_is_pickled_with_its_words_for_several() -> None:
    [offer] = judged(OPEN, entry(asset=UNKNOWN)).offers
    again = pickle.loads(pickle.dumps(offer)).reason
    assert again == offer.reason
    assert again.shared == "not a token this buyer knows; Policy(tokens=[Token(...)]) vouches for one"


def test_words_of_a_seller_stay_on_their_line() -> None:
    evil = "a\nb\x1b[2J\u202e" + "x" * 100
    for changes in ({"scheme": evil}, {"network": evil}, {"asset": evil}, {"payTo": evil},
                    {"extra": {"paymentFlow": evil}}, {"extra": {"assetTransferMethod": {evil: evil}}}):  # fmt: skip
        error = refusal(judged(OPEN, entry(**changes)), OPEN)
        assert str(error).isprintable()
        assert len(str(error)) < 700


# --- the caller's own cap and frozen terms


@pytest.mark.parametrize(
    ("cap", "limit"),
    [("0.005", "0.005"), ("0.009999", "0.009999"), ("1 EUR", "0")],
)
def test_a_cap_of_the_callers_own(cap: str, limit: str) -> None:
    mandate = Mandate(per_request=Money(cap))
    quote = judged(OPEN, entry(), mandate=mandate)
    error = refusal(quote, OPEN, mandate)
    assert isinstance(error, TooExpensive)
    assert error.limit == Money(limit, "USD (test)")
    assert "A higher buyer.purchase(per_request=...) allows it, as far as the Policy does." in error.args[0]


def test_a_cap_of_the_callers_own_does_not_widen_the_policy() -> None:
    policy = Policy(per_request="0.001")
    wider = Mandate(per_request=Money("5"))
    quote = judged(policy, entry(), mandate=wider)
    assert quote.choice is None
    assert "A higher per_request in the Policy allows it." in refusal(quote, policy, wider).args[0]
    assert judged(OPEN, entry(), mandate=Mandate(per_request=Money("0.01"))).choice is not None


FROZEN = judged(OPEN, entry())


@pytest.mark.parametrize(
    ("changes", "accepted"),
    [
        ({}, True),
        ({"amount": "9999"}, True),
        ({"maxTimeoutSeconds": 5, "extra": None}, True),
        ({"payTo": SELLER.upper().replace("0X", "0x"), "asset": USDC.lower()}, True),
        ({"asset": "USDC"}, True),
        ({"amount": "10001"}, False),
        ({"payTo": UNKNOWN}, False),
        ({"network": "base", "asset": BASE_USDC}, False),
    ],
)
def test_terms_that_were_frozen_hold(changes: dict[str, Any], accepted: bool) -> None:
    quote = judged(OPEN, entry(**changes), mandate=Mandate(quote=FROZEN))
    assert (quote.choice is not None) is accepted
    if not accepted:
        assert (
            "it differs from the quote this purchase is bound to (exact on base-sepolia, 0.01 USD (test))"
            in quote.reasons[0]
        )


def test_a_frozen_quote_without_a_choice_pays_nothing() -> None:
    nothing = judged(Policy(per_request="0.001"), entry())
    quote = judged(OPEN, entry(), mandate=Mandate(quote=nothing))
    assert "had no acceptable offer" in quote.reasons[0]


def test_a_frozen_quote_of_a_token_nobody_knew() -> None:
    agreed = replace(FROZEN, choice=replace(FROZEN.offers[0], token=None))
    assert judged(OPEN, entry(), mandate=Mandate(quote=agreed)).choice is not None


# --- places


HTTPS, HTTP = Origin("https", "api.example.com", 443), Origin("http", "api.example.com", 80)
LISTED = {"api.example.com": Limit(per_day="1")}
OTHER = {"other.example": Limit(per_day="1")}
PLACES: dict[str, tuple[dict[str, Any], Origin, Origin | None, str | None]] = {
    "https": ({}, HTTPS, None, None),
    "denied": (
        {"hosts": {"api.example.com": "deny"}},
        HTTPS,
        None,
        "is denied by the policy's hosts entry 'api.example.com'",
    ),
    "denied by a wildcard": ({"hosts": {"*.example.com": "deny"}}, HTTPS, None, "'*.example.com'"),
    "denied, but for itself": ({"hosts": {"*.example.com": "deny", **LISTED}}, HTTPS, None, None),
    "allowed, but for a port": (
        {"hosts": {"api.example.com:443": "deny", **LISTED}},
        HTTPS,
        None,
        "api.example.com:443",
    ),
    "unlisted": (
        {"only_listed_hosts": True, "hosts": OTHER},
        HTTPS,
        None,
        'list it in Policy(hosts={"api.example.com": Limit(...)})',
    ),
    "listed": ({"only_listed_hosts": True, "hosts": LISTED}, HTTPS, None, None),
    "http": ({}, HTTP, None, "is not https"),
    "http, listed": ({"hosts": LISTED}, HTTP, None, "Policy(http_hosts=['api.example.com']) allows it"),
    "http, allowed": ({"http_hosts": ["api.example.com"]}, HTTP, None, None),
    "http, allowed elsewhere": ({"http_hosts": ["*.api.example.com"]}, HTTP, None, "is not https"),
    "http on this machine": ({}, Origin("http", "localhost", 8402), None, None),
    "http on this machine, behind a proxy": (
        {},
        Origin("http", "localhost", 80, elsewhere=True),
        None,
        "is not https, and its connection was not seen to end on this machine",
    ),
    "http on this machine, behind a proxy, allowed": (
        {"http_hosts": ["localhost"]},
        Origin("http", "localhost", 80, elsewhere=True),
        None,
        None,
    ),
    "http on this machine, by address": ({}, Origin("http", "::1", 80), None, None),
    "a scheme nobody knows": ({}, Origin("ws", "api.example.com", 80), None, "is not https"),
    "a program behind pipes": ({}, Origin.of_server("reports"), None, None),
    "a program behind pipes, denied": ({"hosts": {"mcp:reports": "deny"}}, Origin.of_server("reports"), None, "'mcp:"),
    "a program behind pipes, unlisted": (
        {"only_listed_hosts": True, "hosts": OTHER},
        Origin.of_server("reports"),
        None,
        'list it in Policy(hosts={"mcp:reports": Limit(...)})',
    ),
    "redirected to itself": ({}, HTTPS, HTTPS, None),
    "redirected elsewhere": ({}, HTTPS, Origin("https", "b.example", 443), "A redirect led from https://b.example to"),
    "redirected to another port": ({}, HTTPS, Origin("https", "api.example.com", 8443), "A redirect led"),
    "made safe by a redirect": ({}, HTTPS, HTTP, None),
    "made unsafe by a redirect": ({"http_hosts": ["api.example.com"]}, HTTP, HTTPS, "A redirect led"),
    "made safe on another port": ({}, Origin("https", "api.example.com", 8443), HTTP, "A redirect led"),
    "redirected to a listed one": ({"hosts": LISTED}, HTTPS, Origin("https", "b.example", 443), None),
    "redirected to a denied one": ({"hosts": {"api.example.com": "deny"}}, HTTPS, Origin("https", "b", 1), "is denied"),
}


@pytest.mark.parametrize(("said", "origin", "came_from", "problem"), PLACES.values(), ids=PLACES)
def test_places(said: dict[str, Any], origin: Origin, came_from: Origin | None, problem: str | None) -> None:
    policy = Policy(per_day="5", **said)
    if problem is None:
        admit(policy, origin, came_from)
        return
    with pytest.raises(HostNotAllowed) as caught:
        admit(policy, origin, came_from)
    assert problem in str(caught.value)
    assert caught.value.args[0].endswith("Nothing was paid.")
    host = caught.value.host
    assert (f"hosts entry {host!r}" if host else "") in str(caught.value)
    assert (host is None) == ("is denied" not in str(caught.value))
    assert caught.value.allowance is None


def test_a_denied_host_is_told_by_the_entry_that_decided() -> None:
    policy = Policy(per_day="5", hosts={"*.example.com": "deny"})
    with pytest.raises(HostNotAllowed) as caught:
        admit(policy, Origin.of("https", "api.example.com", None))
    assert caught.value.host == "*.example.com"


def test_a_policy_does_not_change() -> None:
    policy = Policy(per_day="1")
    with pytest.raises(AttributeError, match="make a new one"):
        policy.allow_zero = True
    assert not policy.allow_zero
    with pytest.raises(TypeError):  # not heeded anywhere, it had better fail
        policy.hosts["bad.example"] = "deny"  # type: ignore[index]
    assert (policy.but(allow_zero=True).allow_zero, policy.allow_zero) == (True, False)


def test_a_policy_travels_to_other_processes() -> None:
    policy = Policy(per_day="1", hosts={"bad.example": "deny", "*.example.dev": Limit(per_hour="2 EUR")})
    for travelled in (pickle.loads(pickle.dumps(policy)), copy.deepcopy(policy)):
        assert vars(travelled) == vars(policy)
        with pytest.raises(HostNotAllowed, match="denied"):
            admit(travelled, Origin.of("https", "bad.example", None))


def test_the_same_quote_is_judged_anew_for_another_policy_and_place_and_cap() -> None:
    quote, means = quoted(), Buyer(Wallet(evm=KEY), OPEN).rules.means
    wide = Policy(hosts={ORIGIN.host: Limit(per_request="1")}, per_request="0.001")
    found = [
        choose(quote, policy, origin, means, Mandate(per_request=cap), DEFAULT).choice is not None
        for policy in (wide, Policy(per_request="0.001"))
        for origin in (ORIGIN, replace(ORIGIN, host="other.example.com"))
        for cap in (None, Money("0.001"))
    ]
    assert found == [True, *[False] * 7]


def test_what_python_takes_for_equal_is_echoed_as_it_was_written() -> None:
    means = Buyer(Wallet(evm=KEY), OPEN).rules.means
    quotes = [quoted(entry(note=note)) for note in (1, True, 1.0)]
    chosen = [choose(quote, OPEN, ORIGIN, means, NONE, DEFAULT).choice for quote in quotes]
    assert [type(offer.raw["note"]) for offer in chosen if offer] == [int, bool, float]


def test_a_price_above_a_limit_names_whose_limit_it_is() -> None:
    allowed = (AllowanceRules.of(terms_from("default", "run-42", "1", None, None, "0.002", None)),)
    unnamed = (AllowanceRules.of(terms_from("default", "~c647", "1", None, None, "0.002", None)),)
    policy = Policy(per_request="0.005", hosts={"*.example.com": Limit(per_request="0.003")})
    told = {
        "hosts entry '*.example.com' of the Policy allows it": (policy, NONE),
        "A higher per_request in the Policy allows it": (Policy(per_request="0.005"), NONE),
        "A higher buyer.purchase(per_request=...) allows it": (policy, Mandate(per_request=Money("0.001"))),
        "Another allowance than 'run-42'": (policy, Mandate(allowances=allowed)),
        "Another allowance than the one without a name, with": (policy, Mandate(allowances=unnamed)),
    }
    whose = []
    for said, (one, mandate) in told.items():
        error = refusal(judged(one, entry(), mandate=mandate), one, mandate)
        assert said in str(error)
        assert isinstance(error, TooExpensive)
        whose.append((error.host, error.allowance))
    assert whose == [("*.example.com", None), (None, None), (None, None), (None, "run-42"), (None, "~c647")]


_AMOUNT = st.sampled_from(["0.001", "0.009999", "0.01", "0.02"])
_BUDGETS = st.dictionaries(st.sampled_from(["per_hour", "per_day", "total"]), _AMOUNT)
_PRICE = "0.01"


def _policy(per_request: str, overall: dict[str, str], host: dict[str, str] | None) -> Policy:
    most: dict[str, Any] = {"per_request": per_request, **overall}
    own: dict[str, Any] = {"per_request": per_request, **(host or {})}
    return Policy(**most, hosts={} if host is None else {ORIGIN.host: Limit(**own)})


@given(_BUDGETS, st.none() | _BUDGETS, st.none() | _AMOUNT)
def test_the_advice_about_a_price_is_true(
    overall: dict[str, str], host: dict[str, str] | None, allowance: str | None
) -> None:
    """It names every budget that would refuse the price, and no other: with them raised, the price fits."""
    terms = () if allowance is None else (terms_from("default", "a", allowance, None, None, None, None),)
    mandate = Mandate(allowances=tuple(map(AllowanceRules.of, terms)))
    policy = _policy("0.002", overall, host)
    error = refusal(judged(policy, entry(), mandate=mandate), policy, mandate)
    raised = _policy(_PRICE, overall, host)
    assert judged(raised, entry(), mandate=mandate).choice is not None
    caps = {*raised.caps(ORIGIN, "USD (test)"), *(cap for one in mandate.allowances for cap in one.caps("USD (test)"))}
    short = {str(cap) for cap in caps if cap.most < Money(_PRICE).units}
    said = str(error).partition(" allows it")[2].partition(". Nothing was paid.")[0]
    if short:
        assert set(said.removeprefix(" only together with more than ").split(" and ")) == short
    else:
        assert said == (", as far as the other limits do" if caps else "")
