"""Mistakes that newcomers make in a policy: each is named while building, with what to write instead."""

from __future__ import annotations

import inspect
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from x402_client import Limit, Policy, Token, errors
from x402_client.chains.tokens import KNOWN
from x402_client.model.networks import _NAMES as NAMES
from x402_client.model.networks import caip2, network_problem, short_name

AMOUNTS = {
    "0.10 USDC": 'write "0.10". Policy(assets=["USDC"]) says which tokens may be paid.',
    "$1 usdt": 'write "1". Policy(assets=["usdt"]) says which tokens may be paid.',
    "0.5 EURC": 'write "0.5 EUR". Policy(assets=["EURC"]) says which tokens may be paid.',
    "1 USDC.e": 'write "1".',
    "2 PYUSD": 'write "2".',
    "0,10": 'write it with a point, like "0.10".',
    "1,000": 'the comma may mean either. Write "1000", or "1.000" if the comma stands for a point.',
    "0,100": 'write it with a point, like "0.100".',
    "1,000,000": 'write it without commas, like "1000000".',
    "1,000.50": 'write it without commas, like "1000.50".',
    "10 cents": 'write it like "0.10" or "0.10 EUR".',
    "": 'write it like "0.10" or "0.10 EUR".',
}


@pytest.mark.parametrize(("written", "cure"), AMOUNTS.items())
def test_an_amount(written: str, cure: str) -> None:
    for build in (lambda: Policy(per_request=written), lambda: Limit(per_day=written)):
        with pytest.raises(errors.ConfigurationError) as raised:
            build()
        said = str(raised.value)
        assert repr(written) in said
        assert cure in said


@pytest.mark.parametrize("token", KNOWN, ids=lambda token: f"{token.symbol} on {token.network}"[:40])
def test_an_amount_of_any_token_we_know_is_no_currency_of_its_own(token: Token) -> None:
    if token.symbol == "USDG" or len(token.symbol) > 3:
        with pytest.raises(errors.ConfigurationError, match=rf"names a token.*{token.symbol}"):
            Policy(per_request=f"0.10 {token.symbol}")


NETWORKS = {
    "mainnet": 'write "base", "ethereum" or "solana"',
    "Testnet": 'write "base-sepolia" or "solana-devnet"',
    "bse": 'did you mean "base"?',
    "Base Sepolia": 'did you mean "base-sepolia"?',
    "base_sepolia": 'did you mean "base-sepolia"?',
    "basesepolia": 'did you mean "base-sepolia"?',
    "polygon-mainnet": 'did you mean "polygon"?',
    "eth": 'did you mean "ethereum"?',
    "sol": 'did you mean "solana"?',
    "solana:mainnet": 'did you mean "solana"?',
    "solana:devnet": 'did you mean "solana-devnet"?',
    "evm:8453": 'did you mean "base"?',
    "base:8453": 'did you mean "base"?',
    "evm:777": 'did you mean "eip155:777"?',
    "base:sepolia": 'did you mean "base-sepolia"?',
    "eip155:base": 'did you mean "base"?',
    "nowhere": 'write "base", "solana" or a CAIP-2 name',
}


@pytest.mark.parametrize(("written", "cure"), NETWORKS.items())
def test_a_network(written: str, cure: str) -> None:
    builds: list[Any] = [lambda: Policy(per_day="1", networks=[written])]
    builds.append(lambda: Policy(per_day="1", tokens=[Token(written, "0x" + "1" * 40)]))
    for build in builds:
        with pytest.raises(errors.ConfigurationError) as raised:
            build()
        assert f"{written!r} is" in str(raised.value)
        assert cure in str(raised.value)


@pytest.mark.parametrize("name", sorted({*NAMES, *NAMES.values()} - {"mainnet"}))
def test_every_name_that_means_one_network_is_taken(name: str) -> None:
    assert network_problem(name) is None
    assert Policy(per_day="1", networks=[name]).networks == (caip2(name),)


@pytest.mark.parametrize("name", ["stellar:pubnet", "eip155:999999", "8453", "near:mainnet"])
def test_chains_of_others_are_taken_as_they_are_written(name: str) -> None:
    assert network_problem(name) is None


@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_proposed_is_taken(name: str) -> None:
    proposed = [word for word in NETWORKS[name].split('"')[1::2] if word in NAMES or ":" in word]
    assert all(network_problem(word) is None for word in proposed)
    assert all(short_name(str(caip2(word))) == word for word in proposed)


@pytest.mark.parametrize("asset", ["ETH", "SOL", "usd", "BTC", "FOO"])
def test_an_asset_that_is_no_token(asset: str) -> None:
    with pytest.raises(errors.ConfigurationError, match=rf"assets names '{asset}'.* known are USDC, .*Token\(\.\.\.\)"):
        Policy(per_day="1", assets=["USDC", asset])


@pytest.mark.parametrize("asset", sorted({"usdc", "FOO"}.union(*({t.symbol, t.address} for t in KNOWN))))
def test_an_asset_that_is_known_vouched_for_or_an_address(asset: str) -> None:
    foo = Token("base", "0x" + "1" * 40, "FOO")
    assert Policy(per_day="1", assets=[asset], tokens=[foo]).assets == (asset,)
    assert Policy(per_day="1", assets=["FOO"], tokens=[foo]).but(per_day="2").assets == ("FOO",)


HOSTS = {
    "https://api.example.com/x": "api.example.com",
    "https://user:hunter2@api.example.com/x?key=hunter2#hunter2": "api.example.com",
    "user:hunter2@api.example.com": "api.example.com",
    "api.example.com/x?hunter2": "api.example.com",
    "HTTP://API.example.com:8402/": "api.example.com:8402",
    "http://[::1]:80/": "[::1]:80",
}


@pytest.mark.parametrize(("written", "host"), HOSTS.items())
def test_a_url_as_a_host(written: str, host: str) -> None:
    with pytest.raises(errors.ConfigurationError) as raised:
        Policy(hosts={written: Limit(per_day="1")})
    assert raised.value.args[0] == f'This URL is not a host; write "{host}", without scheme or path.'
    Policy(hosts={host: Limit(per_day="1")})


@pytest.mark.parametrize("written", ["https://", "://", "https://hunter2 x/y", "https://u:hunter2@", "a b", "", "/x"])
def test_a_url_without_a_host_shows_no_more_than_it_has_to(written: str) -> None:
    with pytest.raises(errors.ConfigurationError, match=r'is not a host; write "api\.example\.com"') as raised:
        Policy(hosts={written: Limit(per_day="1")})
    assert "hunter2" not in str(raised.value)


def test_a_star_alone_is_no_host() -> None:
    with pytest.raises(errors.ConfigurationError, match=r'"\*" is not a host.*Policy\(per_day="5"\)'):
        Policy(hosts={"*": Limit(per_day="1")})


def test_a_bare_amount_for_a_host() -> None:
    for rule in ("0.10", 1, "0.10 EUR"):
        with pytest.raises(errors.ConfigurationError, match=r'Write Limit\(per_request="(0.10|1.00) (USD|EUR)"\)'):
            Policy(hosts={"api.example.com": rule})  # type: ignore[dict-item]


def test_a_mistyped_keyword() -> None:
    for keyword in inspect.signature(Policy).parameters:
        if keyword != "further":
            mistyped = keyword[:-2] + keyword[-1] + keyword[-2] + ("s" if len(keyword) > 4 else "")
            with pytest.raises(TypeError, match=f"Policy.*'{mistyped}'; did you mean {keyword}"):
                Policy(per_day="1", **{mistyped: "1"})  # type: ignore[arg-type]

    with pytest.raises(TypeError, match=r"Limit.*'per_dya'; did you mean per_day"):
        Limit(per_dya="1")  # type: ignore[arg-type]


def test_the_environment_names_a_policy_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Own(Policy):
        """A policy of a program's own."""

    monkeypatch.delenv("X402_POLICY", raising=False)
    careful = Own.from_env()
    assert repr(careful) == repr(Policy.from_env()) == "Policy(per_request='0.10 USD', per_day='5.00 USD')"
    file = tmp_path / "policy.toml"
    file.write_text('total = "3"\n')
    monkeypatch.setenv("X402_POLICY", f" {file} ")
    found = Own.from_env()
    assert repr(found) == "Policy(total='3.00 USD')"
    assert type(careful) is type(found) is Own
    monkeypatch.setenv("X402_POLICY", str(tmp_path / "nowhere.toml"))
    with pytest.raises(errors.ConfigurationError, match=r"nowhere\.toml cannot be read"):
        Policy.from_env()


SHOWN = {
    "Policy(per_day='1.00 USD')": {"per_day": "1"},
    "Policy(per_day='1.00 USD', networks=['base'], assets=['USDC'])": {"networks": ["8453"], "assets": ["USDC"]},
    "Policy(per_day='1.00 USD', hosts={'a.example': 'deny'})": {"hosts": {"a.example": "deny"}},
    "Policy(per_day=['1.00 USD', '2.00 EUR'], max_payments='3/day')": {
        "per_day": ["1", "2 EUR"],
        "max_payments": "3/day",
    },
}


@pytest.mark.parametrize(("shown", "keywords"), SHOWN.items())
def test_a_policy_shows_as_it_is_written(shown: str, keywords: dict[str, Any]) -> None:
    assert repr(Policy(**{"per_day": "1", **keywords})) == shown


def test_a_large_policy_and_a_large_limit_fit_on_two_lines() -> None:
    most = {name: [f"{10**23} AA{letter}" for letter in "ABCDEFG"] for name in ("per_day", "total", "per_hour")}
    hosts = {f"{'a' * 60}.{number}.example": Limit(**most) for number in range(50)}  # type: ignore[arg-type]
    policy = Policy(hosts=hosts, **most)  # type: ignore[arg-type]
    for shown in map(repr, (policy, policy.overall)):
        assert len(shown) == 160
        assert shown.endswith("…)")


class Shows:
    """A value whose check looks at the objects that are being built, as tools do that print a traceback's variables."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __iter__(self) -> Any:
        frame = inspect.currentframe()
        while frame is not None:
            if isinstance(frame.f_locals.get("self"), Policy | Limit):
                self.seen.append(repr(frame.f_locals["self"]))
            frame = frame.f_back
        return iter(["1/day"])


def test_what_is_half_built_can_be_shown() -> None:
    shows = Shows()
    Policy(max_payments=shows)  # type: ignore[arg-type]
    assert set(shows.seen) == {"<Limit, half built>", "<Policy, half built>"}


@pytest.mark.parametrize("word", ["max_amount", "max_price", "max_usd", "limit", "budget", "daily_limit", "amount"])
def test_a_word_for_an_amount_leads_to_the_two_limits(word: str) -> None:
    both = r"did you mean per_request \(the most for one payment\) or per_day \(a budget\)\?"
    for build in (Policy, Limit):
        with pytest.raises(TypeError, match=both):
            build(**{word: "1"})


@pytest.mark.parametrize(("word", "meant"), [("max_payment", "max_payments"), ("per_reqest", "per_request")])
def test_a_misspelled_word_leads_to_its_own(word: str, meant: str) -> None:
    with pytest.raises(TypeError, match=rf"did you mean {meant}\?"):
        Policy(**{word: "1"})  # type: ignore[arg-type]


def test_an_amount_without_a_name() -> None:
    for kind in (Policy, Limit):
        build: Any = kind
        with pytest.raises(errors.ConfigurationError, match=rf'write {kind.__name__}\(per_request="0\.10"'):
            build("0.10")
        assert "per_request" in inspect.signature(kind).parameters


def test_a_network_by_its_number() -> None:
    for number, name in ((8453, "base"), (777, "eip155:777"), (-1, "base")):
        with pytest.raises(errors.ConfigurationError, match=f'networks holds names, not {number}; write "{name}"'):
            Policy(per_day="1", networks=[number])  # type: ignore[list-item]


@pytest.mark.parametrize("address", ["0x9d8A", "0x" + "1" * 39, "0x" + "g" * 40, "0x" + "1" * 65])
def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises(errors.ConfigurationError, match="has 40 hex digits after 0x"):
        Policy(per_day="1", pay_to=[address])


TABLES = {
    '[hosts]\napi.example.com = { per_hour = "2" }': '"api.example.com"',
    '[hosts.api.example.com]\nper_hour = "2"': '"api.example.com"',
    '[hosts]\nbad.example = "deny"': 'put it in quotation marks: "bad.example"',
    '[hosts]\nper_day = "5"': "move it above the first heading",
    '[hosts."a.example"]\nonly_listed_hosts = true': "move it above the first heading",
    '[policy]\nper_day = "5"': "policy: is no field here; write the fields without a heading, at the top of the file.",
    'per_request = "0.20"': "per_request is set twice in one table; keep one line.",
    "pay_ahead = True  # if known": "Write `pay_ahead = true  # if known` there.",
    "only_listed_hosts = False": "Write `only_listed_hosts = false` there.",
    '[[tokens]]\nnetwork = "base"\nper_day = "5"': "move it above the first heading",
}


@pytest.mark.parametrize(("written", "said"), TABLES.items())
def test_a_table_of_a_policy_file(tmp_path: Path, written: str, said: str) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(f'per_request = "0.10"\n{written}\n')
    with pytest.raises(errors.ConfigurationError) as raised:
        Policy.from_file(file)
    assert said in str(raised.value)
    assert "line 3" in str(raised.value) or "line 2" in str(raised.value) or "line 4" in str(raised.value)


HOST_TABLES: list[tuple[object, str]] = [
    ({"per_day": "2", "other": 1}, "Write Limit(per_day='2'), for example."),
    ({}, 'Write Limit(per_request="0.10"), for example.'),
]


@pytest.mark.parametrize(("rule", "cure"), HOST_TABLES)
def test_a_mapping_as_the_rule_for_a_host(rule: object, cure: str) -> None:
    with pytest.raises(errors.ConfigurationError) as raised:
        Policy(per_day="1", hosts={"a.example": rule})  # type: ignore[dict-item]
    assert cure in str(raised.value)


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: f"{known.network} {known.symbol} {known.address[:6]}")
def test_a_known_token_is_not_vouched_for_with_other_decimals_or_another_currency(known: Token) -> None:
    """With 18 decimals for 6, a dollar would count as a millionth of one."""
    for address in {known.address, known.address.lower() if known.network.startswith("eip155:") else known.address}:
        same = replace(known, address=address, symbol="MINE")
        assert Policy(per_day="1", tokens=[same]).tokens == (same,)
        for decimals in {0, 6, 17, 18} - {known.decimals}:
            with pytest.raises(
                errors.ConfigurationError, match=rf"has {known.decimals} decimals, but .* says {decimals};"
            ):
                Policy(per_day="1", tokens=[replace(same, decimals=decimals)])
        with pytest.raises(errors.ConfigurationError, match=r"counts as .*, but Policy\(tokens=\.\.\.\) says GBP;"):
            Policy(per_day="1", tokens=[replace(same, currency="GBP")])


def test_test_money_may_count_as_money_and_money_not_as_test_money() -> None:
    play, real = (
        next(one for one in KNOWN if one.network == caip2(name) and one.symbol == "USDC")
        for name in ("base-sepolia", "base")
    )
    assert Policy(per_day="1", tokens=[replace(play, currency="USD")]).tokens
    with pytest.raises(errors.ConfigurationError, match=r"counts as USD, but .* says USD \(test\);"):
        Policy(per_day="1", tokens=[replace(real, currency="USD (test)")])


def test_a_policy_file_with_wrong_decimals_of_a_known_token_is_refused_by_line(tmp_path: Path) -> None:
    usdc = next(one for one in KNOWN if one.network == caip2("base") and one.symbol == "USDC")
    file = tmp_path / "policy.toml"
    file.write_text(f'per_day = "1"\n[[tokens]]\nnetwork = "base"\naddress = "{usdc.address}"\ndecimals = 18\n')
    with pytest.raises(errors.ConfigurationError, match=r"policy\.toml, line 2: .*has 6 decimals"):
        Policy.from_file(file)


DENIES = ("deny", "denied", "deny_hosts", "blocked", "blocklist", "blacklist", "banned", "excluded_hosts")
ALLOWS = ("allow", "allowed_hosts", "allowlist", "whitelist", "trusted", "only_hosts", "permitted")


@pytest.mark.parametrize("word", DENIES + ALLOWS)
def test_a_word_of_ones_own_for_hosts_that_are_paid_or_not(tmp_path: Path, word: str) -> None:
    cure = 'hosts={"bad.example": "deny"}' if word in DENIES else "only_listed_hosts=True"
    given: dict[str, object] = {word: ["bad.example"]}
    for kind in (Policy, Limit):
        build: Any = kind
        with pytest.raises(TypeError) as raised:
            build(**given)
        assert cure in str(raised.value)
    cure = '"bad.example" = "deny", in a table [hosts]' if word in DENIES else "only_listed_hosts = true"
    file = tmp_path / "policy.toml"
    for written in (f'{word} = ["bad.example"]', f'[hosts."bad.example"]\n{word} = true'):
        file.write_text(f'per_request = "0.10"\n{written}\n')
        with pytest.raises(errors.ConfigurationError) as refused:
            Policy.from_file(file)
        assert cure in str(refused.value)
