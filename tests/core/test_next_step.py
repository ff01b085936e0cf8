"""What to do about a payment goes by what its seller said of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from x402_client.core.last_answer import with_last
from x402_client.core.next_step import next_step
from x402_client.ledgers.conformance.ledger import order, purchase
from x402_client.model.holds import Authorization, Hold

ORDER = order(purchase("a"))
HOLD = Hold("1", ORDER.purchase, ORDER.offer, ORDER.price, 0.0, "signed")


def spent_and_told(said: str) -> Hold:
    """Return a payment that the chain shows as taken, after a 402 with these words."""
    signed = Authorization("0x1", "0x2", 2**31, ("PAYMENT-SIGNATURE", "eA=="), {})
    return with_last(HOLD.but(authorization=signed), "spent", 402, said)


@pytest.mark.parametrize("spelled", [str, str.upper, str.capitalize])
@pytest.mark.parametrize(
    ("said", "was_used"),
    [
        ("FiatTokenV2: authorization is used or canceled", True),
        ("nonce already used", True),
        ("invalid_exact_evm_nonce_used", True),
        ("payment_used_before", True),
        ("used", True),
        ("settlement refused", False),
        ("payment_refused", False),
        ("unused facilitator", False),
        ("the settlement was paused", False),
        ("failure caused by the node", False),
    ],
)
def test_a_seller_says_that_a_payment_was_used_by_that_word_alone(
    said: str, was_used: bool, spelled: Callable[[str], str]
) -> None:
    advice = next_step(spent_and_told(spelled(said)))
    assert advice.case == ("denied" if was_used else "owed")
    assert ("The seller says that the payment was used" in advice.todo) is was_used


@pytest.mark.parametrize("just", [True, False])
@pytest.mark.parametrize(("no_end", "case"), [(True, "no end"), (False, "expired")])
def test_what_has_no_end_that_a_chain_can_show_is_not_sent_to_wait_for_it(no_end: bool, case: str, just: bool) -> None:
    signed = Authorization("0x1", "0x2", 1, ("PAYMENT-SIGNATURE", "eA=="), {"no_end": no_end})
    found = next_step(HOLD.but(authorization=signed), expired=True, just_expired=just)
    assert found.case == ("just expired" if just and not no_end else case)
    assert ("never that it was not" in found.todo) is no_end


def test_a_word_in_camel_case_is_one() -> None:
    assert next_step(spent_and_told("AuthorizationUsed")).case == "denied"
    assert next_step(spent_and_told("PaymentRefused")).case == "owed"
