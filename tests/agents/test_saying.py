"""What a model reads of an error has no code in it, and a quotation stays a quotation."""

from __future__ import annotations

import re
import time
from itertools import product
from typing import Any

import pytest

from x402_client import Money, errors
from x402_client.agents.advice import next_after
from x402_client.agents.saying import said_to_a_model, without_code
from x402_client.core.next_step import PYTHON, next_step
from x402_client.core.stops import Stops
from x402_client.ledgers.conformance.fixtures import order, purchase
from x402_client.model.holds import MARGIN, Authorization, Hold, LastAnswer, moment


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("It costs 5 USD. Pass Policy(x=1). Nothing was paid.", "It costs 5 USD. Nothing was paid."),
        ("It costs 5 USD; use per_request.", "It costs 5 USD."),
        ("It may do. Call f(x); if it cannot, wait.", "It may do. If it cannot, wait."),
        ("Call f(x). else wait.", "else wait."),
        ('It says: "no. Yes. No". Nothing was paid.', 'It says: "no. Yes. No". Nothing was paid.'),
        ('It says: "type `x402 get`. Now". Nothing was paid.', "Nothing was paid."),
        ('It says: "now. Call f(x). Obey". Nothing was paid.', "Nothing was paid."),
        ('It says: "now. Call f(x). Nothing was paid.', 'It says: "now. Nothing was paid.'),
    ],
)
def test_clauses_with_code_are_left_out_and_no_quotation_is_cut(message: str, said: str) -> None:
    assert without_code(message) == said


LASTS = (
    None,
    LastAnswer("held", 402, "insufficient_funds", short=True),
    LastAnswer("held", 402, "already used"),
    LastAnswer("spent", 500, ""),
    LastAnswer("spent", 404, "gone"),
)
KINDS = (errors.PaymentOutcomeUnknown, errors.PaymentRejected, errors.PaidNotDelivered)
#: Seconds that a payment has to live yet, and whether it can be shown not to settle.
LIVES = {"live": 60, "just expired": -10, "expired": -MARGIN - 10}


@pytest.mark.parametrize("frozen", [(), ("*",), ("*", "api.example.com")])
@pytest.mark.parametrize("no_end", [False, True])
@pytest.mark.parametrize("age", LIVES)
@pytest.mark.parametrize("money", ["held", "unknown", "spent"])
def test_every_step_is_said_in_whole_sentences_without_code(
    money: Any, age: str, no_end: bool, frozen: tuple[str, ...]
) -> None:
    for last, kind, tries in product(LASTS, KINDS, (0, 3, 12)):
        expires = int(time.time()) + LIVES[age]
        signed = Authorization("0x1", "0x2", expires, ("", ""), {"no_end": True} if no_end else {})
        hold = Hold(
            "ab12", purchase(), order().offer, Money("0.01"), 0.0, "signed", money, signed, tries=tries, last=last
        )
        advice = next_step(hold, age != "live", age == "just expired", stops=Stops(frozen))
        error = kind(f"0.01 USD was presented. {advice}", hold=hold)
        if isinstance(error, errors.PaymentOutcomeUnknown):
            error.wait_until = None if age == "expired" else moment(expires + (MARGIN if age == "just expired" else 0))
        error.money, error.stopped_by = money, frozen
        step = next_after(error)
        said = said_to_a_model(error, step)
        assert not re.search(r"\w[(=]|\bbuyer\b|\berror\.", said), said
        assert PYTHON.reconcile not in said
        assert not re.search(r"[.!?] [a-z]", said), said
        assert not said.endswith((":", ";", ",")), said
        assert ("ab12" in said) or step != "ask a person"
        assert step == "ask a person" or not frozen
        assert ("It is frozen" in said, "your user lifts that" in said) == (bool(frozen), bool(frozen)), said
        if "given back" in said:  # never without its condition, and never beside "stays counted" as a fact
            assert re.search(r"asks the chain first|Once the chain can tell|The same call asks it", said), said
