"""Where a challenge is signed: about the seller that asked and about now alone, and where the policy says so."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.terms import ORIGIN, challenge
from x402_client import Limit, Policy
from x402_client.errors import ConfigurationError
from x402_client.model.hosts import Origin
from x402_client.policy.sign_in import challenge_objection
from x402_client.wire.sign_in import read_sign_in, sign_in_text

NOW = 1_800_000_000.0
ADDRESS = "0x" + "ab" * 20


def objection(origin: Origin = ORIGIN, now: float = NOW, **changes: Any) -> str | None:
    found = read_sign_in(challenge(**{"issued": NOW, **changes}))
    assert found is not None
    return challenge_objection(found, origin, now)


def at(seconds: float) -> str:
    return datetime.fromtimestamp(NOW + seconds, UTC).isoformat()


@pytest.mark.parametrize(("origin", "changes"), [
    (ORIGIN, {}),
    (ORIGIN, {"domain": "api.example.com:443"}),
    (ORIGIN, {"domain": "API.example.com", "uri": "https://API.example.com:443"}),
    (Origin("http", "127.0.0.1", 80), {"domain": "127.0.0.1:80", "uri": "http://127.0.0.1/x", "resources": []}),
    (Origin("http", "localhost", 4021), {"domain": "localhost", "uri": "http://localhost:4021/x", "resources": []}),
    (Origin("https", "::1", 443), {"domain": "[::1]:443", "uri": "https://[::1]/", "resources": []}),
])  # fmt: skip
def test_a_challenge_about_the_seller_that_asked_is_signed(origin: Origin, changes: dict[str, Any]) -> None:
    assert objection(origin, **changes) is None


@pytest.mark.parametrize("changes", [
    {"domain": "bank.example"},
    {"domain": "example.com"},
    {"domain": "api.example.com:8443"},
    {"domain": "api.example.com."},
    {"domain": "api.example.com@bank.example"},
    {"uri": "https://bank.example/"},
    {"uri": "https://api.example.com.bank.example/"},
    {"uri": "https://api.example.com:8443/"},
    {"uri": "http://api.example.com/"},
    {"uri": "https://api.example.com@bank.example/"},
    {"uri": "https://user:key@api.example.com/"},
    {"uri": "https://bank.example\\@api.example.com/"},
    {"uri": "https:///weather"},
    {"uri": "https://api.example.com:99999/"},
    {"uri": "https://[::1/"},
    {"uri": "api.example.com"},
    {"uri": "javascript://api.example.com/%0aalert(1)"},
    {"resources": ["https://bank.example/"]},
    {"resources": ["urn:recap:eyJhdHQiOnt9fQ"]},
])  # fmt: skip
def test_a_challenge_about_another_place_is_never_signed(changes: dict[str, Any]) -> None:
    assert objection(**changes) is not None


def test_an_mcp_server_without_an_address_has_no_host_to_name() -> None:
    assert "no host" in str(objection(Origin.of_server("reports"), domain="mcp:reports"))


@pytest.mark.parametrize(("now", "changes", "why"), [
    (NOW + 299, {}, None),
    (NOW + 301, {}, "more than five minutes ago"),
    (NOW - 59, {}, None),
    (NOW - 61, {}, "still to come"),
    (NOW, {"expirationTime": at(1)}, None),
    (NOW, {"expirationTime": at(0)}, "it ended at"),
    (NOW, {"notBefore": at(60)}, None),
    (NOW, {"notBefore": at(61)}, "it begins at"),
    (NOW, {"notBefore": at(-60)}, None),
    (NOW, {"issuedAt": "2026-13-01T00:00:00Z"}, "no calendar"),
    (NOW, {"issuedAt": "0001-01-01T00:00:00+23:59"}, "no calendar"),
    (NOW, {"expirationTime": "2027-02-30T00:00:00Z"}, "no calendar"),
    (NOW, {"notBefore": "2027-02-30T00:00:00Z"}, "no calendar"),
])  # fmt: skip
def test_a_challenge_is_signed_in_its_time(now: float, changes: dict[str, Any], why: str | None) -> None:
    found = objection(now=now, **changes)
    assert found is None if why is None else why in str(found)


def test_what_could_not_be_read_keeps_its_reason() -> None:
    assert objection(nonce="x").startswith("its challenge cannot be read")  # type: ignore[union-attr]


# --- any challenge that a seller can write

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=40) | st.sampled_from(
    ["api.example.com", "https://api.example.com/x", "1", at(0), "a\nURI: https://bank.example", "\r\nNonce: 12345678"]
)
HOSTILE = st.dictionaries(
    st.sampled_from(
        ["domain", "uri", "version", "nonce", "issuedAt", "expirationTime", "notBefore", "statement", "requestId"]
    ),
    TEXT | st.none() | st.integers() | st.lists(TEXT, max_size=2),
    max_size=4,
) | st.fixed_dictionaries({"resources": st.lists(TEXT, max_size=3)})
_LINES = (
    "URI: ", "Version: ", "Chain ID: ", "Nonce: ", "Issued At: ", "Expiration Time: ", "Not Before: ", "Request ID: ",
    "Resources:", "- ",
)  # fmt: skip


@given(HOSTILE, st.sampled_from(["eip155:8453", "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"]))
def test_what_is_signed_names_this_seller_once_and_nothing_else(changes: dict[str, Any], network: str) -> None:
    said = challenge(NOW, (network,), **changes)
    found = read_sign_in(said)
    assert found is not None
    if challenge_objection(found, ORIGIN, NOW) is not None:
        return
    text = sign_in_text(found, network, ADDRESS)
    first, account, empty, *rest = text.split("\n")
    assert first.lower().startswith(("api.example.com wants you to sign in with", "api.example.com:443 wants you to"))
    assert (account, empty) == (ADDRESS, "")
    if found.statement:
        assert rest.pop(0) == found.statement
    while rest[0] == "":
        rest.pop(0)
    assert all(line.startswith(_LINES) for line in rest)
    for name in _LINES[:5]:
        assert sum(line.startswith(name) for line in rest) == 1
    links = [line.partition(" ")[2] for line in rest if line.startswith(("URI: ", "- "))]
    assert all(link.lower().startswith("https://api.example.com") for link in links)


@given(
    st.binary(max_size=200) | st.text(max_size=50) | st.lists(st.integers(), max_size=3) | st.dictionaries(TEXT, TEXT)
)
def test_no_declaration_of_any_shape_raises(declared: Any) -> None:
    found = read_sign_in({"sign-in-with-x": declared})
    assert found is not None
    assert found.reason is not None


# --- the policy


@pytest.mark.parametrize(("host", "mode"), [
    ("api.example.com", "never"), ("x.example.com", "always"), ("other.dev", "paid"), ("plain.dev", "paid"),
])  # fmt: skip
def test_the_most_exact_entry_that_says_so_decides(host: str, mode: str) -> None:
    hosts = {
        "*.example.com": Limit(sign_in="always"), "api.example.com": Limit(sign_in="never"),
        "plain.dev": Limit(per_day="1"),
    }  # fmt: skip
    assert Policy(per_day="1", hosts=hosts).signs_in(Origin("https", host, 443)) == mode


def test_a_policy_and_a_file_say_the_same(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text('per_day = "5"\nsign_in = "always"\n[hosts."a.example"]\nsign_in = "never"\n', "utf-8")
    policy = Policy.from_file(file)
    assert policy.sign_in == "always"
    assert policy.signs_in(Origin("https", "a.example", 443)) == "never"
    assert "sign_in='always'" in repr(policy)
    assert repr(Limit(sign_in="never")) == "Limit(sign_in='never')"
    assert Limit(sign_in="never") != Limit()
    assert Limit(**Limit(sign_in="never", per_day="1").keywords) == Limit(sign_in="never", per_day="1")


@pytest.mark.parametrize("build", [Policy, Limit])
def test_other_words_are_refused(build: Any) -> None:
    with pytest.raises(ConfigurationError, match='sign_in is "paid", "always" or "never", not'):
        build(per_day="1", sign_in=secrets.token_hex(2))


@pytest.mark.parametrize("written", ["sign_in = true", '[hosts."a.example"]\nsign_in = "sometimes"'])
def test_a_mistake_in_a_file_is_named(tmp_path: Path, written: str) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(f'per_day = "5"\n{written}\n', "utf-8")
    with pytest.raises(ConfigurationError, match="sign_in"):
        Policy.from_file(file)
