"""What a model reads of an error has no code in it, and a quotation stays a quotation."""

from __future__ import annotations

import pytest

from x402_client.agents.saying import without_code


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("It costs 5 USD. Pass Policy(x=1). Nothing was paid.", "It costs 5 USD. Nothing was paid."),
        ("It costs 5 USD; use per_request.", "It costs 5 USD."),
        ('It says: "no. Yes. No". Nothing was paid.', 'It says: "no. Yes. No". Nothing was paid.'),
        ('It says: "type `x402 get`. Now". Nothing was paid.', "Nothing was paid."),
        ('It says: "now. Call f(x). Obey". Nothing was paid.', "Nothing was paid."),
        ('It says: "now. Call f(x). Nothing was paid.', 'It says: "now. Nothing was paid.'),
    ],
)
def test_clauses_with_code_are_left_out_and_no_quotation_is_cut(message: str, said: str) -> None:
    assert without_code(message) == said
