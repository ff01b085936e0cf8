"""``policy check`` shows every setting of a policy, as text and as JSON."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

import pytest

from x402_client import Limit, Policy
from x402_client.model.networks import _NAMES, short_name
from x402_client.policy.toml import POLICY
from x402_client.sandbox import Sandbox
from x402_client.signers.play_keys import takes_play_keys

from .running import in_process, terminal

ADDRESS = "0x" + "ab" * 20
#: A value of each field of a policy file that is not the usual one, as TOML, and what shows it.
SET: dict[str, tuple[str, str]] = {
    "per_request": ('"0.07"', "up to 0.07 USD a request"),
    "per_minute": ('"0.07"', "0.07 USD per minute"),
    "per_hour": ('"0.07"', "0.07 USD per hour"),
    "per_day": ('["0.07", "3 EUR"]', "3.00 EUR per day"),
    "per_month": ('"0.07"', "0.07 USD per month"),
    "total": ('"0.07"', "0.07 USD in total"),
    "max_payments": ('"7/minute"', "7 payments per minute"),
    "upto": ('"0.07"', "ceilings up to 0.07 USD"),
    "same_request": ('"7/hour"', "at most 7 per hour"),
    "hosts": ('{ "a.example" = "deny" }', "never paid"),
    "only_listed_hosts": ("true", "never paid"),
    "networks": ('["solana", "base"]', "solana, base"),
    "assets": ('["EURC"]', "EURC"),
    "tokens": (f'[{{ network = "polygon", address = "{ADDRESS}", symbol = "FOO" }}]', "FOO on polygon"),
    "pay_to": (f'"{ADDRESS}"', ADDRESS),
    "approve_above": ('"0.07"', "0.07 USD"),
    "accept_loss": ('"0.07"', "payments of up to 0.07 USD that brought nothing"),
    "pay_ahead": ("true", "what the same thing cost"),
    "http_hosts": ('["printer.lan"]', "printer.lan"),
    "validity": ("77", "77 seconds"),
    "allow_zero": ("true", "payments of zero"),
    "check_funds": ("true", "looked at on the chain"),
    "permits": ("false", "none is signed"),
    "sign_in": ('"always"', "each challenge is signed"),
    "seller_keys": (f'["{ADDRESS}"]', ADDRESS),
}
#: The same for fields of a host that mean something else there.
OF_HOST = {
    "sign_in": ('"never"', "no challenge is signed"),
    "pay_ahead": ('"same body"', "the same body alone is paid ahead"),
}


def parameters(kind: type) -> list[str]:
    """The keywords of a class, of which a new one has to be shown, too."""
    found = inspect.signature(kind).parameters.values()
    return [one.name for one in found if one.kind is one.KEYWORD_ONLY]


def checked(file: Path, text: str, *options: str) -> str:
    file.write_text(text, "utf-8")
    ran = in_process(["policy", "check", str(file), *options], {})
    assert ran.code == 0, ran.err
    return ran.text


def field_of(line: str) -> str:
    """A field as the only one of a policy, but for a limit that has to be."""
    return line if line.startswith("total") else f'total = "9"\n{line}'


@pytest.mark.parametrize("network", sorted(set(_NAMES.values())))
def test_a_test_network_is_marked_as_one(network: str, tmp_path: Path) -> None:
    shown = checked(tmp_path / "policy.toml", f'total = "9"\nnetworks = ["{network}", "base"]\n')
    assert (f"{short_name(network)} (test money)" in " ".join(shown.split())) == takes_play_keys(network)
    assert "base (test money)" not in shown


@pytest.mark.parametrize("name", parameters(Policy))
def test_every_field_of_a_policy_is_shown(name: str, tmp_path: Path) -> None:
    value, shown = SET[name]
    with_it = checked(tmp_path / "policy.toml", field_of(f"{name} = {value}\n"))
    assert shown in " ".join(with_it.split())
    assert shown not in " ".join(checked(tmp_path / "policy.toml", 'total = "9"\n').split())


@pytest.mark.parametrize("name", parameters(Limit))
def test_every_field_of_a_host_is_shown(name: str, tmp_path: Path) -> None:
    value, shown = OF_HOST.get(name, SET[name])
    text = f'total = "9"\npay_ahead = true\n[hosts."a.example"]\n{name} = {value}\n'
    [line] = [one for one in checked(tmp_path / "policy.toml", text).splitlines() if one.startswith("a.example")]
    assert shown in line


@pytest.mark.parametrize("name", parameters(Policy))
def test_every_field_of_a_policy_is_in_its_json(name: str, tmp_path: Path) -> None:
    def told(text: str) -> dict[str, Any]:
        document = json.loads(checked(tmp_path / "policy.toml", text, "--json"))
        assert document["file"] == str(tmp_path / "policy.toml")
        return dict(document["policy"])

    usual, found = told('total = "9"\n'), told(field_of(f"{name} = {SET[name][0]}\n"))
    assert sorted(found) == sorted(parameters(Policy)) == sorted(POLICY)
    assert {one for one in found if found[one] != usual[one]} - {"total"} == {name} - {"total"}
    assert found["total"] == (["0.07 USD"] if name == "total" else ["9.00 USD"])


@pytest.mark.parametrize("name", parameters(Limit))
def test_every_field_of_a_host_is_in_the_json(name: str, tmp_path: Path) -> None:
    value, _ = OF_HOST.get(name, SET[name])
    text = f'total = "9"\npay_ahead = true\n[hosts."a.example"]\n{name} = {value}\n'
    document = json.loads(checked(tmp_path / "policy.toml", text, "--json"))
    [(field, found)] = document["policy"]["hosts"]["a.example"].items()
    assert (field, bool(found)) == (name, True)


def test_amounts_of_the_json_have_their_currencies(tmp_path: Path) -> None:
    text = 'per_day = ["5", "3 EUR"]\naccept_loss = "0.02"\n[hosts."a.example"]\nper_request = 1\n'
    found = json.loads(checked(tmp_path / "policy.toml", text, "--json"))["policy"]
    assert (found["per_day"], found["accept_loss"]) == (["5.00 USD", "3.00 EUR"], "0.02 USD")
    assert found["hosts"] == {"a.example": {"per_request": ["1.00 USD"]}}


def test_all_of_them_together_fit_a_narrow_terminal(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    tables = ("hosts", "tokens")
    fields = [f"{name} = {value}" for name, (value, _) in SET.items() if name not in tables]
    host = [f"{name} = {OF_HOST.get(name, SET[name])[0]}" for name in parameters(Limit)]
    file.write_text("\n".join([*fields, '[hosts."a.example"]', *host]) + "\n", "utf-8")
    seen = terminal(["policy", "check", str(file)], {}, columns=60)
    assert seen.code == 0
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in seen.screen.splitlines()]
    assert max(map(len, lines)) <= 60
    said = " ".join(" ".join(lines).split())
    for name in parameters(Policy):
        assert name in tables or SET[name][1] in said


def test_json_of_a_seller_has_the_quote_and_the_remarks(seller: Sandbox, given: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(Path(given["X402_POLICY"]).read_text("utf-8").replace("[[tokens]]", 'total = "1"\n[[tokens]]', 1))
    for path, code in (("/weather", 0), ("/yacht", 3)):
        ran = in_process(["policy", "check", str(file), f"{seller.url}{path}", "--json"], given)
        document = json.loads(ran.out)
        assert (ran.code, document["quote"]["status"], bool(document["quote"]["refusal"])) == (code, 402, code == 3)
        assert any("changes nothing" in remark for remark in document["remarks"])
