"""What our own adapters do not keep yet, one by one. A strict xfail tells who mends it, and the line goes."""

from __future__ import annotations

from pathlib import Path

import pytest

_FIRST_REQUEST = "a purchase is named by the request that met the 402, and not by the first request of the call"
#: The test, and why it fails today in every adapter of ours.
NOT_YET = {
    "test_two_calls_that_are_led_to_one_address_are_two_purchases": _FIRST_REQUEST,
    "test_one_call_that_is_led_to_a_new_address_each_time_is_one_purchase": _FIRST_REQUEST,
    "test_a_body_belongs_to_the_purchase_where_a_redirect_drops_it": _FIRST_REQUEST,
    "test_a_call_whose_caller_gave_up_on_its_thread_is_joined_and_not_paid_again": "nothing is overdue yet",
    "test_silence_is_raised_as_the_librarys_own_error_too": "PaymentOutcomeUnknown is no error of the library",
    "test_a_broken_body_says_what_became_of_the_money": "an error of a paid body carries no outcome and no note",
}
OURS = [Path(__file__).with_name(f"test_{name}.py") for name in ("adapter_conformance", "own_client")]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is expected to fail, for our own adapters alone."""
    for item in items:
        name = getattr(item, "originalname", "")
        if item.path in OURS and name in NOT_YET:
            item.add_marker(pytest.mark.xfail(strict=True, reason=NOT_YET[name]))
