"""A mistaken ``hosts`` of a policy is answered by what to write, and that can be written."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from x402_client import Limit, Policy
from x402_client.errors import ConfigurationError

WORDS = {"Limit": Limit, "Policy": Policy}
NAMES = st.lists(st.from_regex(r"(\*\.)?[a-z]{1,5}\.example", fullmatch=True), min_size=1, max_size=5, unique=True)


def said_of(**wrong: Any) -> str:
    with pytest.raises(ConfigurationError) as refused:
        Policy(per_day="1", **wrong)
    return refused.value.args[0]


def written(said: str) -> Policy:
    """The policy that a message says to write."""
    rule = re.search(r'[Ww]rite ("deny"|Limit\(.*?\))(?:[.,]|$)', said)
    if rule:
        return Policy(per_day="1", hosts={"a.example": eval(rule[1], WORDS)})
    keywords = re.search(r"[Ww]rite (only_listed_hosts=.*|hosts=.*)\.$", said)
    assert keywords, f"it says nothing to write: {said}"
    made: Policy = eval(f'Policy(per_day="1", {keywords[1]})', WORDS)
    return made


RULES: list[Any] = [
    "allow", "ok", "", True, False, None, object(), Limit, Policy(per_day="2"), ["deny"], 0.5, -0.5, 0, "0.10", "1 EUR",
    5, {"per_day": "1"}, {}, {"limit": 5}, "5/day", "30/minute", "5/decade",
]  # fmt: skip


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule)[:20])
def test_any_rule_that_is_none_is_answered_by_one(rule: Any) -> None:
    said = said_of(hosts={"a.example": rule})
    assert said.startswith("hosts['a.example'] is a Limit(...) or \"deny\", not ")
    written(said)


@pytest.mark.parametrize("rule", ["Deny", "DENY", "denied", "block", "blocked", "never", "forbidden", "exclude"])
def test_a_word_that_forbids_a_host_is_answered_by_deny(rule: str) -> None:
    assert list(written(said_of(hosts={"a.example": rule})).hosts.values()) == ["deny"]


@pytest.mark.parametrize("rule", ["allow", True])
def test_who_would_allow_a_host_learns_which_are_allowed(rule: Any) -> None:
    assert "A host that is not listed is paid too" in said_of(hosts={"a.example": rule})


@given(
    names=NAMES,
    kind=st.sampled_from([list, tuple, set, frozenset]),
    keyword=st.sampled_from(["hosts", "only_listed_hosts"]),
)
def test_a_list_of_hosts_is_answered_by_how_to_pay_these_alone(names: list[str], kind: Any, keyword: str) -> None:
    made = written(said_of(**{keyword: kind(names)}))
    assert made.only_listed_hosts
    assert {str(one) for one in made.hosts} == set(sorted(names)[:3])
    assert "only_listed_hosts=True" in repr(made)


@pytest.mark.parametrize(
    "hosts",
    ["api.example.com", "deny", "x", 5, Limit(per_day="2"), [("a.example", Limit())], ["https://a.example/"], [5]],
)
def test_any_hosts_that_are_no_table_are_answered_by_one(hosts: Any) -> None:
    written(said_of(hosts=hosts))
