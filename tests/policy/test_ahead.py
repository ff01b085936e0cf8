"""For what a host's terms are paid ahead: written in Python and in a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from x402_client import Limit, Policy
from x402_client.errors import ConfigurationError
from x402_client.model.hosts import Origin


@pytest.mark.parametrize(("host", "any_body"), [
    ("x.example.com", True), ("api.example.com", False), ("b.example.com", True), ("other.dev", False),
    ("plain.dev", False),
])  # fmt: skip
def test_the_most_exact_entry_that_says_so_decides(host: str, any_body: bool) -> None:
    hosts = {
        "*.example.com": Limit(pay_ahead="any body"), "api.example.com": Limit(pay_ahead="same body"),
        "b.example.com": Limit(per_day="1"), "plain.dev": Limit(per_day="1"),
    }  # fmt: skip
    policy = Policy(per_day="1", pay_ahead=True, hosts=hosts)
    assert policy.pays_any_body_ahead(Origin("https", host, 443)) == any_body
    assert policy.but(per_day="2").pays_any_body_ahead(Origin("https", host, 443)) == any_body


def test_a_limit_is_made_again_of_its_keywords() -> None:
    limit = Limit(per_day="1", pay_ahead="any body")
    assert repr(limit) == "Limit(per_day='1.00 USD', pay_ahead='any body')"
    assert Limit(**limit.keywords) == limit != Limit(per_day="1")
    assert Limit(pay_ahead="any body").empty


def test_a_file_says_the_same(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text('per_day = "5"\npay_ahead = true\n[hosts."a.example"]\npay_ahead = "any body"\n', "utf-8")
    assert Policy.from_file(file).pays_any_body_ahead(Origin("https", "a.example", 443))


HOST = '[hosts."a.example"]\npay_ahead = '


@pytest.mark.parametrize("written", [
    f"pay_ahead = true\n{HOST}true", f'pay_ahead = true\n{HOST}"all"', f'{HOST}"any body"', 'pay_ahead = "any body"',
])  # fmt: skip
def test_what_else_is_written_is_a_mistake(tmp_path: Path, written: str) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(f'per_day = "5"\n{written}\n', "utf-8")
    with pytest.raises(ConfigurationError, match="pay_ahead"):
        Policy.from_file(file)


def test_a_policy_that_pays_nothing_ahead_takes_no_such_host() -> None:
    with pytest.raises(ConfigurationError, match=r"Policy\(pay_ahead=True\)"):
        Policy(per_day="5", hosts={"a.example": Limit(pay_ahead="any body")})
    with pytest.raises(ConfigurationError, match='"any body" or "same body", not True'):
        Limit(pay_ahead=True)  # type: ignore[arg-type]
