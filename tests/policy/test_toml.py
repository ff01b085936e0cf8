"""``Policy.from_file``: the keywords as TOML, and every mistake with its line and field."""

from __future__ import annotations

import inspect
import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from x402_client import Limit, Policy, Token
from x402_client.errors import ConfigurationError
from x402_client.model.hosts import Origin
from x402_client.model.money import Money
from x402_client.policy.toml import LIMIT, POLICY, TOKEN, lines_of, policy_of

WHOLE = """\
# What the weather agent may spend
per_request = "0.10"
per_minute = 1
per_hour = "2"
per_day = ["5", "3 EUR"]
per_month = "50"
total = "100"
max_payments = ["30/minute", "1000/day"]
only_listed_hosts = true
networks = ["base", "solana"]
assets = ["USDC"]
pay_to = "0x1111111111111111111111111111111111111111"
approve_above = "0.05"
accept_loss = "0"
pay_ahead = false
http_hosts = ["printer.lan"]
validity = 300
allow_zero = true
check_funds = true

[hosts]
"bad.example" = "deny"

[hosts."api.example.com"]
per_request = "0.50"
per_hour = "2"

[[tokens]]
network = "base"
address = "0x2222222222222222222222222222222222222222"
symbol = "FOO"
decimals = 18
name = "Foo"
version = "1"
currency = "EUR"
"""


def test_the_keys_are_the_keywords() -> None:
    def keywords(kind: type) -> set[str]:
        return set(inspect.signature(kind).parameters) - {"further"}

    assert set(POLICY) == keywords(Policy)
    assert set(LIMIT) == keywords(Limit)
    assert set(TOKEN) == keywords(Token)


def test_a_file_says_what_the_keywords_say(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_bytes(b"\xef\xbb\xbf" + WHOLE.replace("\n", "\r\n").encode())
    found = Policy.from_file(file)
    same = Policy(
        per_request="0.10", per_minute=1, per_hour="2", per_day=["5", "3 EUR"], per_month="50", total="100",
        max_payments=["30/minute", "1000/day"], networks=["base", "solana"], assets=["USDC"],
        hosts={"bad.example": "deny", "api.example.com": Limit(per_request="0.50", per_hour="2")},
    )  # fmt: skip
    for facts in ("overall", "hosts", "networks", "assets"):
        assert getattr(found, facts) == getattr(same, facts)
    assert found.only_listed_hosts
    assert found.allow_zero
    assert found.check_funds
    assert found.validity == 300
    assert found.pay_to == {"0x1111111111111111111111111111111111111111"}
    assert found.needs_approval(Money("0.06"))
    assert [token.symbol for token in found.tokens] == ["FOO"]
    assert found.per_request(Origin("https", "api.example.com", 443), "USD") == Money("0.50")
    assert Policy.from_file(str(file)).networks == found.networks


#: A policy, and the line, the field and some words of each mistake in it.
MISTAKES = {
    "a float": ("per_request = 0.10", [(1, "per_request", 'write per_request = "0.10"')]),
    "a float in a list": ('per_day = ["5",\n 0.5]', [(1, "per_day", "0.5 is a float")]),
    "a float elsewhere": ("validity = 60.0", [(1, "validity", "write a whole number")]),
    "no field": ('\n\nper_dya = "5"', [(3, "per_dya", "did you mean per_day?")]),
    "no field at all": ("colour = true", [(1, "colour", "known are per_request")]),
    "no amount": ('per_hour = "much"', [(1, "per_hour", "'much' is not an amount of money")]),
    "no amounts": ("per_hour = []", [(1, "per_hour", "is an amount in quotes")]),
    "a flag as an amount": ("total = true", [(1, "total", "not true")]),
    "a table as an amount": ("[total]\na = 1", [(1, "total", "not a table")]),
    "a date": ("per_day = 2026-01-01", [(1, "per_day", "not a date or time")]),
    "no count": ('max_payments = "30 a minute"', [(1, "max_payments", "30/minute")]),
    "a number as a count": ("max_payments = 30", [(1, "max_payments", "not 30")]),
    "no list": ('networks = "base"', [(1, "networks", "a list of names")]),
    "numbers as networks": ("networks = [8453]", [(1, "networks", 'holds names, not 8453; write "base".')]),
    "numbers as assets": ("assets = [1]", [(1, "assets", 'in quotes, like ["USDC"], not a list with 1 in it.')]),
    "an amount among amounts": ('total = ["5", true]', [(1, "total", "not a list with true in it.")]),
    "a rule that allows": (
        'hosts = {"a.com" = "allow"}',
        [(1, 'hosts."a.com"', """not listed is allowed, within the overall limits. To list it, write the heading"""
          """ [hosts."a.com"], and below it limits of its own, like per_day = "1".""")],
    ),
    "below a heading": (
        '[hosts]\nper_day = "5"', [(2, "hosts.per_day", "move it above the first heading, to the top of the file.")]
    ),
    "no network": ('networks = ["bse"]', [(1, "networks", "'bse' is not a network")]),
    "no flag": ('only_listed_hosts = "yes"', [(1, "only_listed_hosts", "true or false")]),
    "out of range": ("validity = 5", [(1, "validity", "60 to 86400")]),
    "no hosts": ('hosts = "deny"', [(1, "hosts", "table of hosts")]),
    "no host": ('[hosts]\n"a b" = "deny"', [(2, 'hosts."a b"', "is not a host")]),
    "no rule": ('[hosts]\n"a.example" = "dney"', [(2, 'hosts."a.example"', "'dney' is neither")]),
    "no rule but a number": ('[hosts]\n"a.example" = 5', [(2, 'hosts."a.example"', "5 is neither")]),
    "in a host": (
        '[hosts."a.example"]\n# so much\nper_day = "1"\nper_hour = "x"\nassets_ = ["base"]',
        [(4, 'hosts."a.example".per_hour', "'x'"), (5, 'hosts."a.example".assets_', "is no field here")],
    ),
    "dotted": ('hosts."a.example".per_day = "x"', [(1, 'hosts."a.example".per_day', "'x'")]),
    "inline": ('hosts = {"a.example" = {per_day = "x"}}', [(1, 'hosts."a.example".per_day', "'x'")]),
    "in a later table": ('[hosts."a.b".x]\ny = 1', [(1, 'hosts."a.b".x', "is no field here")]),
    "tokens that are none": ('tokens = ["USDC"]', [(1, "tokens[1]", "headed [[tokens]]")]),
    "no tokens": ("tokens = 1", [(1, "tokens", "[[tokens]]")]),
    "half a token": ('[[tokens]]\nnetwork = "base"', [(1, "tokens[1]", "needs address")]),
    "a token's field": (
        '[[tokens]]\nnetwork="base"\naddress="0x"\n[[tokens]]\nnetwork="base"\naddress="0x"\ndecimals="6"',
        [(1, "tokens[1]", "'0x' is not an address on base"), (7, "tokens[2].decimals", "a whole number")],
    ),
    "under a token": (
        '[[tokens]]\nnetwork="base"\n[tokens.deeper]\na=1',
        [(1, "tokens[1]", "needs address"), (3, "tokens[1].deeper", "no field")],
    ),
    "several": (
        'per_day = """\n5"""\nper_hour = 0.1\ntotal = \'x\'',
        [(3, "per_hour", "0.1 is a float"), (4, "total", "'x'")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_every_mistake_is_told_with_its_line_and_field(name: str) -> None:
    text, expected = MISTAKES[name]
    with pytest.raises(ConfigurationError) as caught:
        policy_of(text, "p.toml", Policy)
    told = caught.value.args[0].split("\n")
    assert len(told) == len(expected), told
    for line, (number, field, words) in zip(told, expected, strict=True):
        assert line.startswith(f"p.toml, line {number}: {field}: "), line
        assert words in line


#: What Python's users are told by Python's calls, keywords and values.
SAID_IN_PYTHON = (
    'per_request = "0.1 USDC"',
    '[hosts."a.example"]\nper_request = "0.1 USDC"',
    'per_day = "1"\n[hosts]\n"*" = "deny"',
    'per_day = "1"\n[hosts."*"]\nper_day = "5"',
    'per_day = "1"\nhttp_hosts = ["*"]',
    'per_day = "1"\nassets = ["FOO"]',
    'per_day = "1"\nassets = []',
    'per_day = "1"\nseller_keys = ["x"]',
    'networks = ["base"]',
    "per_request = 0.1",
)


@pytest.mark.parametrize("text", [*SAID_IN_PYTHON, *(text for text, _ in MISTAKES.values())])
def test_no_mistake_is_told_in_python(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        policy_of(text, "p.toml", Policy)
    assert not re.search(r"\b(Policy|Limit|Token)\(|\w=[\[\x22TF]|\bNone\b|\bTrue\b", caught.value.args[0])


#: A line that is not TOML, and what to write in its place. "": that cannot be told.
NOT_TOML = {
    "hosts = {pay_ahead = True, sign_in = FALSE}": "hosts = {pay_ahead = true, sign_in = false}",
    '"a.com" = {sign_in = "paid", upto = True}  # x': '"a.com" = {sign_in = "paid", upto = true}  # x',
    '*.example.com = "deny"': '"*.example.com" = "deny"',
    '*.example.com = {per_day = "1"}': '"*.example.com" = {per_day = "1"}',
    'https://a.com = "deny"': '"https://a.com" = "deny"',
    "[hosts.*.example.com]": '[hosts."*.example.com"]',
    "[hosts.a.com:8080]": '[hosts."a.com:8080"]',
    "networks = [base, solana]": 'networks = ["base", "solana"]',
    "per_day = $5": 'per_day = "5"',
    "per_day = 0,10  # a day": 'per_day = "0.10"',
    "per_day = 1,000": "",
    "per_day = \u201c5\u201d": 'per_day = "5"',
    'per_day: "5"': 'per_day = "5"',
    "per_day = 5 USD": 'per_day = "5 USD"',
    'per_day = "5': "",
    "x": "",
    "per_day = a\u0007": "",
}


@pytest.mark.parametrize("line", NOT_TOML)
def test_a_line_that_is_not_toml_is_told_with_what_to_write(line: str) -> None:
    with pytest.raises(ConfigurationError, match=r"p\.toml, line 2, ") as caught:
        policy_of(f"validity = 300\n{line}", "p.toml", Policy)
    written = NOT_TOML[line]
    assert caught.value.args[0].endswith(f"Write `{written}` there." if written else "."), caught.value.args[0]
    assert ("Write" in caught.value.args[0]) is bool(written)


def test_a_heading_without_a_name_is_told_what_to_name() -> None:
    with pytest.raises(ConfigurationError, match=r"A heading names something: write \[hosts\]"):
        policy_of('[]\nper_day = "5"', "p.toml", Policy)


def test_a_sound_line_is_not_blamed_for_an_earlier_one() -> None:
    with pytest.raises(ConfigurationError, match="this is not TOML") as caught:
        policy_of('networks = ["base"\nvalidity = 300', "p.toml", Policy)
    assert "Write" not in caught.value.args[0]


def test_a_long_line_is_shown_cut() -> None:
    with pytest.raises(ConfigurationError) as caught:
        policy_of(f"per_day = {'9' * 300}x", "p.toml", Policy)
    assert 'Write `per_day = "999' in caught.value.args[0]
    assert len(caught.value.args[0]) < 300


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"per_day = ", "line 1, at the end: this is not TOML"),
        (b'\nper_day = "5', "line 2, at the end: this is not TOML"),
        (b'per_day = "5"\nper_day = "6"', "line 2, at the end: this is not TOML"),
        (b"", "This policy limits nothing"),
        (b"only_listed_hosts = true", "p.toml: This policy limits nothing"),
        (b'per_day = "5"\nassets = ["\xff"]', "line 2: this is not UTF-8"),
        (b"#" * 300_000, "more than 262144 bytes"),
    ],
)
def test_a_file_that_is_no_policy_is_told(tmp_path: Path, data: bytes, said: str) -> None:
    file = tmp_path / "p.toml"
    file.write_bytes(data)
    with pytest.raises(ConfigurationError) as caught:
        Policy.from_file(file)
    assert said in str(caught.value)
    assert "p.toml" in str(caught.value)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nothing\.toml cannot be read: No such file or directory"):
        Policy.from_file(tmp_path / "nothing.toml")
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        Policy.from_file(tmp_path)
    with pytest.raises(ConfigurationError, match="that sandbox is not running any more"):
        Policy.from_file(tmp_path / "x402-sandbox-8ooculge" / "policy.toml")


_KEYS = st.sampled_from(["a", "b", '"c d"', "e.f", '"x.y"', "g.h.i"])
_VALUES = st.sampled_from(["1", '"]["', "'''\n[a]\n'''", "[1,\n 2, # [\n [3]]", "{z = 1}", '"""\n# """', "true"])
_LINES = st.one_of(
    st.tuples(_KEYS, _VALUES).map(" = ".join),
    _KEYS.map(lambda key: f"[{key}]  # a table"),
    _KEYS.map(lambda key: f"[[{key}]]"),
    st.sampled_from(["", "# [a]", '# a = """']),
)


@given(st.lists(_LINES, max_size=12))
def test_every_key_of_any_document_has_its_line(lines: list[str]) -> None:
    text = "\n".join(lines)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    found, written = lines_of(text), text.split("\n")

    def look(value: object, path: tuple[str | int, ...]) -> None:
        inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, deeper in inside:
            here = (*path, key)
            line = written[found[here] - 1]
            last = next(part for part in reversed(here) if isinstance(part, str))
            assert last in line, (text, here, line)
            look(deeper, here)

    look(document, ())
