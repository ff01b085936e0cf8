"""A price above the most that one payment may cost: what decides, and what to type."""

from __future__ import annotations

from pathlib import Path

import pytest

from x402_client import Money, errors
from x402_client.cli.buying import Choices
from x402_client.cli.too_expensive import as_option, with_cure
from x402_client.policy.no_choice import RAISE_POLICY


@pytest.mark.parametrize(
    ("most", "policy", "said"),
    [
        (None, False, "That is the limit without a policy file; --max 0.50 allows this one."),
        ("0.05", False, "--max decides; --max 0.50 allows this one."),
        ("0.10 EUR", True, "--max decides; --max 0.50 allows this one, as far as the policy file policy.toml does."),
        (None, True, "The policy file policy.toml decides; a higher per_request there allows this one."),
    ],
)
def test_too_expensive_names_what_decides(most: str | None, policy: bool, said: str) -> None:
    message = f"One payment may cost 0.10 USD. {RAISE_POLICY} Nothing was paid."
    error = errors.TooExpensive(message, asked=Money("0.50"), limit=Money("0.10"))
    choices = Choices(Path("policy.toml") if policy else None, most=None if most is None else Money(most))
    assert with_cure(error, choices) == f"One payment may cost 0.10 USD. {said} Nothing was paid."


def test_a_price_is_named_as_max_takes_it() -> None:
    written = [as_option(Money(text)) for text in ("0.5", "0.5 USD (test)", "0.5 EUR")]
    assert written == ["0.50", "0.50", "'0.50 EUR'"]
