"""What no payment can reach in a policy, and what changes nothing, is in the log when a buyer is built."""

from __future__ import annotations

import itertools
import re
import warnings
from pathlib import Path
from typing import Any

import pytest

from x402_client import Buyer, Limit, Policy, Token, Wallet, events
from x402_client.chains.tokens import KNOWN
from x402_client.model.budgets import BUDGET_WINDOWS
from x402_client.model.networks import short_name
from x402_client.policy.oversights import oversights

KEY = "0x" + "46" * 32
#: What is said of an amount above every per_request of one dollar.
STOPPED = "no single payment can be that high, as per_request stops it at 1.00 USD."
HOST, OTHER, WILD = "api.example.com", "b.example", "*.example.com"


def said(**keywords: Any) -> list[str]:
    return list(oversights(Policy(**keywords)))


@pytest.mark.parametrize("window", [window.keyword for window in BUDGET_WINDOWS])
@pytest.mark.parametrize("name", ["per_request", "approve_above", "accept_loss"])
def test_an_amount_of_one_payment_above_a_budget_is_told_for_every_window(name: str, window: str) -> None:
    [remark] = said(**{name: "2", window: "1"})
    assert remark.startswith(f"{name} is 2.00 USD, and the budget (")
    assert "is 1.00 USD: no single payment can be that high, as that budget stops it at 1.00 USD." in remark
    assert said(**{name: "1", window: "1"}) == []
    assert said(**{name: "2 EUR", window: ["1", "9 EUR"]}) == []


def test_a_host_is_held_against_its_own_budgets_and_those_of_all() -> None:
    [own] = said(per_request="9", hosts={HOST: Limit(per_request="2", per_hour="1")})
    [of_all] = said(per_day="5", hosts={HOST: Limit(per_request="10")})
    assert own.startswith(f"hosts['{HOST}']: per_request is 2.00 USD, and the budget (hour) is 1.00 USD")
    assert of_all.startswith(f"hosts['{HOST}']: per_request is 10.00 USD, and the budget (day) is 5.00 USD")
    assert said(per_request="0.10", hosts={HOST: Limit(per_day="0.05")}) == []


@pytest.mark.parametrize("window", [window.keyword for window in BUDGET_WINDOWS])
def test_a_ceiling_above_a_budget_is_told_for_every_window(window: str) -> None:
    [overall] = said(upto="2", **{window: "1"})
    [host] = said(per_request="0.10", hosts={HOST: Limit(upto="2", **{window: "1"})})
    [of_all] = said(hosts={HOST: Limit(upto="2")}, **{window: "1"})
    assert overall.startswith("upto is 2.00 USD, and the budget (")
    assert host.startswith(f"hosts['{HOST}']: upto is 2.00 USD, and the budget (")
    assert of_all.startswith(f"hosts['{HOST}']: upto is 2.00 USD, and the budget (")
    assert said(upto="1", **{window: "1"}) == said(upto="2 EUR", **{window: "1"}) == []


@pytest.mark.parametrize("name", ["approve_above", "accept_loss", "upto"])
def test_an_amount_above_every_per_request_is_told(name: str) -> None:
    assert said(per_request="1", **{name: "2"}) == [f"{name} is 2.00 USD, and per_request is 1.00 USD: {STOPPED}"]
    [remark] = said(per_request="1", hosts={HOST: Limit(per_request="1.5")}, **{name: "2"})
    assert remark.startswith(f"{name} is 2.00 USD, and per_request is 1.50 USD")
    for silent in (
        {"per_request": "2"},
        {"per_request": "1", "hosts": {HOST: Limit(per_request="3")}},
        {"per_request": "1 EUR", "per_day": "3"},
        {"per_day": "3", "hosts": {HOST: Limit(per_request="1")}},
    ):
        assert said(**{name: "2"}, **silent) == []


def test_a_host_s_ceiling_is_held_against_its_own_per_request() -> None:
    [remark] = said(per_request="9", hosts={HOST: Limit(upto="2", per_request="1")})
    assert remark == f"hosts['{HOST}']: upto is 2.00 USD, and per_request is 1.00 USD: {STOPPED}"
    assert said(per_request="1", hosts={HOST: Limit(upto="2"), WILD: Limit(per_request="3")}) == []


SHORTER_AND_LONGER = list(itertools.combinations([window.keyword for window in BUDGET_WINDOWS], 2))


@pytest.mark.parametrize(("shorter", "longer"), SHORTER_AND_LONGER)
def test_a_budget_above_that_of_a_longer_window_is_told(shorter: str, longer: str) -> None:
    told = f"{shorter} is 2.00 USD, and {longer} is 1.00 USD: {shorter} changes nothing."
    assert said(**{shorter: "2", longer: "1"}) == [told]
    assert said(per_request="1", hosts={HOST: Limit(**{shorter: "2", longer: "1"})}) == [f"hosts['{HOST}']: {told}"]
    for silent in ({shorter: "1", longer: "2"}, {shorter: "1", longer: "1"}, {shorter: "2", longer: "1 EUR"}):
        assert said(**silent) == []


@pytest.mark.parametrize(
    ("shorter", "longer"), list(itertools.combinations([window.name for window in BUDGET_WINDOWS], 2))
)
def test_a_number_of_payments_above_that_of_a_longer_window_is_told(shorter: str, longer: str) -> None:
    told = f"max_payments is 2/{shorter}, and 1/{longer}: 2/{shorter} changes nothing."
    assert said(max_payments=[f"2/{shorter}", f"1/{longer}"]) == [told]
    assert said(per_day="1", hosts={HOST: Limit(max_payments=[f"1/{longer}", f"2/{shorter}"])}) == [
        f"hosts['{HOST}']: {told}"
    ]
    assert said(max_payments=[f"1/{shorter}", f"1/{longer}"]) == []


@pytest.mark.parametrize("keyword", ["per_request", *(window.keyword for window in BUDGET_WINDOWS)])
def test_a_limit_of_zero_is_told(keyword: str) -> None:
    assert said(**{keyword: "0"}) == [f"{keyword} is 0.00 USD: nothing is paid in USD."]
    assert said(**{keyword: ["0 EUR", "1"]}) == [f"{keyword} is 0.00 EUR: nothing is paid in EUR."]
    assert said(total="1", hosts={HOST: Limit(**{keyword: "0"})}) == [
        f"hosts['{HOST}']: {keyword} is 0.00 USD: nothing is paid there. \"deny\" would say so."
    ]
    assert said(**{keyword: "0"}, allow_zero=True) == said(**{keyword: "0.000001"}) == []


def test_no_payment_of_a_window_is_told_and_a_host_that_may_cost_more_than_nothing_is_not() -> None:
    assert said(max_payments="0/day") == ["max_payments is 0/day: nothing is paid."]
    assert said(per_request="0", hosts={HOST: Limit(per_request="1")}) == []
    assert said(per_request="0", hosts={HOST: Limit(per_request="1 EUR")}) != []


def test_networks_without_a_known_token_are_told() -> None:
    network = "eip155:424242"
    told = f"networks names {network}, where no token is known: nothing is paid there. Policy(tokens=...) adds one."
    assert said(per_day="1", networks=[network]) == said(per_day="1", networks=["base", network]) == [told]
    assert said(per_day="1", networks=[network], tokens=[Token(network, EVM_PAYEE, "FOO")]) == []


def test_a_token_that_no_network_has_is_told() -> None:
    foo = Token("polygon", EVM_PAYEE, "FOO")
    assert said(per_day="1", networks=["base"], tokens=[foo]) == [
        "tokens has FOO on polygon, and networks does not name that network: it is never paid with."
    ]
    assert said(per_day="1", networks=["base", "polygon"], tokens=[foo]) == said(per_day="1", tokens=[foo]) == []


SOLANA_SEED = bytes(range(1, 33))


@pytest.mark.parametrize(
    ("wallet", "networks", "has"),
    [
        ({"evm": KEY}, ["solana"], "EVM chains"),
        ({"solana": SOLANA_SEED}, ["base", "polygon"], "Solana"),
        ({"evm": KEY}, ["solana", "base"], ""),
        ({"evm": KEY, "solana": SOLANA_SEED}, ["solana"], ""),
        ({"evm": KEY}, None, ""),
    ],
)
def test_a_wallet_without_a_key_for_any_of_the_networks_is_told(
    wallet: dict[str, Any], networks: list[str] | None, has: str
) -> None:
    told: list[events.Event] = []
    Buyer(Wallet(**wallet), Policy(per_day="1", networks=networks), ledger=":memory:", on_event=told.append)
    names = ", ".join(networks or ())
    expected = f"networks names {names}, and the wallet has a key for {has} alone: nothing is paid."
    assert [one.problem for one in told if isinstance(one, events.Warned)] == ([expected] if has else [])


@pytest.mark.parametrize("assets", [["EURC"], ["0x60a3E35Cc302bFA44Cb288Bc5a4F316Fdb1adb42"]], ids=str)
def test_assets_that_are_on_none_of_the_networks_are_told(assets: list[str]) -> None:
    [remark] = said(per_day="1", networks=["solana", "polygon"], assets=assets)
    assert remark == (
        f"assets names {assets[0]}, and networks solana, polygon, where there is none of them: nothing is paid."
    )
    assert said(per_day="1", networks=["solana", "base"], assets=[assets[0].lower()]) == []
    assert said(per_day="1", networks=["solana"], assets=[*assets, "usdc"]) == []
    mine = Token("polygon", "0x" + "ab" * 20, "EURC", currency="EUR")
    assert said(per_day="1", networks=["polygon"], assets=["EURC"], tokens=[mine]) == []


EVM_PAYEE, SOLANA_PAYEE = "0x" + "ab" * 20, "2wKupLR9q6wXYppw8Gr2NvWxKBUqm4PPJKkQfoxHDBg4"


def test_recipients_of_no_network_are_told() -> None:
    [remark] = said(per_day="1", networks=["base", "polygon"], pay_to=SOLANA_PAYEE)
    assert (
        remark == "pay_to names no address that there could be on the networks named (base, polygon): nothing is paid."
    )
    [other] = said(per_day="1", networks=["solana"], pay_to=EVM_PAYEE)
    assert "(solana): nothing is paid" in other
    assert said(per_day="1", networks=["base", "solana"], pay_to=SOLANA_PAYEE) == []
    assert said(per_day="1", networks=["base"], pay_to=[SOLANA_PAYEE, EVM_PAYEE]) == []
    assert said(per_day="1", pay_to=SOLANA_PAYEE) == []


@pytest.mark.parametrize("network", sorted({token.network for token in KNOWN}))
def test_nothing_is_said_of_a_network_with_a_known_token(network: str) -> None:
    assert said(per_day="1", networks=[network]) == said(per_day="1", networks=[short_name(network)]) == []


def test_a_currency_of_no_known_token_is_told() -> None:
    told = "No known token counts in GBP, so an amount in it does nothing; Policy(tokens=...) adds one."
    assert said(per_day="1 GBP") == said(per_day=["1", "1 GBP"]) == [told]
    assert said(per_day="1", hosts={HOST: Limit(per_request="1 GBP")}) == [told]
    for name in ("approve_above", "accept_loss", "upto"):
        assert said(per_day="1", **{name: "1 GBP"}) == [told]
    assert said(per_day="1 GBP", tokens=[Token("base", EVM_PAYEE, "GBPX", currency="GBP")]) == []
    assert said(per_day=["1", "1 EUR", "1 USD (test)"]) == []


EMPTY: dict[str, tuple[dict[str, Any], str]] = {
    "beside limits for all": ({"per_day": "1", "hosts": {HOST: Limit()}}, "the limits for all hosts alone hold there"),
    "and nothing limits it": ({"hosts": {HOST: Limit(), OTHER: Limit(per_day="1")}}, "nothing is ever paid there"),
    "listed, and nothing limits it": (
        {"only_listed_hosts": True, "hosts": {HOST: Limit(), OTHER: Limit(per_day="1")}},
        "nothing is ever paid there",
    ),
    "below a host that is denied, and nothing limits it": (
        {"hosts": {HOST: Limit(), WILD: "deny", OTHER: Limit(per_day="1")}},
        "nothing is ever paid there",
    ),
    "listed": ({"per_day": "1", "only_listed_hosts": True, "hosts": {HOST: Limit()}}, ""),
    "let out of a wider deny": ({"per_day": "1", "hosts": {HOST: Limit(), WILD: "deny"}}, ""),
    "limited by a wider entry": (
        {"only_listed_hosts": True, "hosts": {HOST: Limit(), WILD: Limit(per_day="1")}},
        "",
    ),
    "with a ceiling": ({"per_day": "1", "hosts": {HOST: Limit(upto="1")}}, ""),
    "with a word on sign-ins": ({"per_day": "1", "hosts": {HOST: Limit(sign_in="never")}}, ""),
}


@pytest.mark.parametrize(("keywords", "words"), EMPTY.values(), ids=EMPTY)
def test_a_limit_that_limits_nothing_is_told_unless_it_lets_a_host_be_paid(
    keywords: dict[str, Any], words: str
) -> None:
    found = said(**keywords)
    assert len(found) == bool(words)
    assert all(one.startswith(f"hosts['{HOST}']: ") and words in one for one in found)


@pytest.mark.parametrize("hosts", [None, {}, {HOST: "deny"}, {HOST: "deny", WILD: "deny"}], ids=str)
def test_a_policy_that_could_pay_nothing_at_all_is_told(hosts: Any) -> None:
    assert said(per_day="1", only_listed_hosts=True, hosts=hosts) == [
        "only_listed_hosts pays no host that is not in hosts, and hosts has none that may be paid: none ever is."
    ]
    assert said(per_day="1", only_listed_hosts=True, hosts={HOST: Limit(per_day="1")}) == []


#: Policy files that contradict themselves, one for each kind of remark.
FILES = {
    "an amount in units": "per_day = 5000",
    "above a budget": 'per_request = "2"\nper_day = "1"',
    "never full": 'per_day = "2"\nper_month = "1"',
    "zero": 'per_day = "0"',
    "a host of zero": 'per_day = "1"\n[hosts."a.example"]\nper_day = "0"',
    "an empty host": 'per_day = "1"\n[hosts."a.example"]',
    "a host that nothing limits": '[hosts."a.example"]\n[hosts."b.example"]\nper_day = "1"',
    "a host above a budget": 'per_day = "1"\n[hosts."*.a.example"]\nper_request = "2"',
    "no host": 'per_day = "1"\nonly_listed_hosts = true',
    "a strange currency": 'per_day = "1 GBP"',
    "no token": 'per_day = "1"\nnetworks = ["eip155:424242"]',
    "no asset": 'per_day = "1"\nnetworks = ["solana"]\nassets = ["EURC"]',
    "a host in units": 'per_day = "1"\n[hosts."a.example"]\nper_hour = 70000',
}
_PYTHON = re.compile(r"\w\(|\w=\S|\[\x27")


@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
def test_of_a_policy_file_it_is_told_in_the_words_of_the_file(
    text: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(text)
    read = Policy.from_file(file)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Buyer(Wallet(evm=KEY, solana=SOLANA_SEED), read, ledger=":memory:")
    lines = [one.getMessage() for one in caplog.records]
    assert lines
    assert [one for one in lines if _PYTHON.search(one)] == []
    made = read.but()
    python = (*made.remarks, *oversights(made))
    assert len(python) == len(lines), "the same policy in Python is told as much"
    if "[hosts." in text:
        assert all('[hosts."' in one for one in lines)
        assert all("hosts['" in one for one in python)


def test_it_is_an_event_and_a_line_in_the_log_and_no_python_warning(caplog: pytest.LogCaptureFixture) -> None:
    told: list[events.Event] = []
    Buyer(Wallet(evm=KEY), Policy(per_request="2", per_day="1"), ledger=":memory:", on_event=told.append)
    assert ["no single payment can be that high" in str(one) for one in told] == [True]
    logged = [one.levelname for one in caplog.records if "no single payment can be that high" in one.message]
    assert logged == ["WARNING"]
    Buyer(Wallet(evm=KEY), Policy(per_request="2", per_day="1"), ledger=":memory:")
