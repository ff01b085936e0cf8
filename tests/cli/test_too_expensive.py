"""A price above the most that one payment may cost: what decides, and what to type."""

from __future__ import annotations

from pathlib import Path

import pytest

from x402_client import Money, errors
from x402_client.cli.buying import Choices
from x402_client.cli.too_expensive import as_option, with_cure
from x402_client.policy.cures import RAISE_HOST, RAISE_POLICY


@pytest.mark.parametrize(
    ("most", "policy", "said"),
    [
        (None, False, "That is the limit without a policy file; --max 0.50 allows this one, within 5.00 USD per day."),
        ("0.05", False, "--max decides; --max 0.50 allows this one, within 5.00 USD per day."),
        ("0.10 EUR", True, "--max decides; --max 0.50 allows this one, as far as the policy file policy.toml does."),
        (None, True, "The policy file policy.toml decides; a higher per_request there allows this one."),
    ],
)
def test_too_expensive_names_what_decides(most: str | None, policy: bool, said: str) -> None:
    message = f"One payment may cost 0.10 USD. {RAISE_POLICY} allows it. Nothing was paid."
    error = errors.TooExpensive(message, asked=Money("0.50"), limit=Money("0.10"))
    choices = Choices(Path("policy.toml") if policy else None, most=None if most is None else Money(most))
    assert with_cure(error, choices) == f"One payment may cost 0.10 USD. {said} Nothing was paid."


def test_a_price_is_named_as_max_takes_it() -> None:
    written = [as_option(Money(text)) for text in ("0.5", "0.5 USD (test)", "0.5 EUR")]
    assert written == ["0.50", "0.50", "'0.50 EUR'"]


@pytest.mark.parametrize(
    "ending",
    [
        "",
        ", as far as the other limits do",
        " only together with more than 0.02 USD per hour and 0.30 USD per day for x.dev",
    ],
)
@pytest.mark.parametrize("entry", ["", "x.dev", "*.0.0.1"])
def test_the_other_limits_are_named_beside_the_policy_file(entry: str, ending: str) -> None:
    python = RAISE_HOST.format(entry) if entry else RAISE_POLICY
    error = errors.TooExpensive(f"Too much. {python} allows it{ending}. Nothing was paid.", asked=Money("0.50"))
    place = f'[hosts."{entry}"] in the' if entry else "The"
    assert with_cure(error, Choices(Path("policy.toml"))) == (
        f"Too much. {place} policy file policy.toml decides; a higher per_request there allows this one{ending}. "
        "Nothing was paid."
    )
