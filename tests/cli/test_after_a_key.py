"""What is said of a payment under a purchase key that ended is what the same request then does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from x402_client.sandbox import Sandbox

from .running import Ran, in_process

#: What is done, in commands; ``--key`` is set apart.
ENDS: dict[str, tuple[str, ...]] = {
    "delivered": ("get",),
    "delivered by a retry": ("drop-before-settling", "retry"),
    "written off": ("drop-before-settling", "write-off"),
    "written off, and bought anew": ("drop-before-settling", "write-off", "get"),
}


def _shown(given: dict[str, str], hold: str) -> dict[str, Any]:
    return dict(json.loads(in_process(["ledger", "show", hold, "--offline", "--json"], given).out))


def _get(given: dict[str, str], url: str, key: str | None) -> Ran:
    return in_process(["get", "--yes", "--timeout", "5", url, *(["--key", key] if key else [])], given)


def _ids(given: dict[str, str]) -> list[str]:
    listed = json.loads(in_process(["ledger", "list", "--json"], given).out)
    return [one["hold"] for one in listed["payments"]]


def _reach(given: dict[str, str], seller: Sandbox, url: str, key: str | None, end: str) -> str:
    """Walk to an end. Return the first payment."""
    hold = ""
    for step in ENDS[end]:
        if step == "retry":
            ran = in_process(["ledger", "retry", hold, *(["--key", key] if key else [])], given)
            assert ran.code == 0, ran
        elif step == "write-off":
            assert in_process(["ledger", "write-off", hold, "--yes"], given).code == 0
        else:
            seller.order(*([step] * 3 if step != "get" else []))
            _get(given, url, key)
            [hold] = [hold] if hold else _ids(given)
    return hold


@pytest.mark.parametrize("key", [None, "k1"])
@pytest.mark.parametrize("end", ENDS)
def test_the_advice_says_what_the_same_request_does(
    seller: Sandbox, given: dict[str, str], end: str, key: str | None
) -> None:
    url = seller.sell(f"/keyed-{'-'.join(ENDS[end])}-{len(end)}-{key}", "0.01")
    hold = _reach(given, seller, url, key, end)
    shown, known = _shown(given, hold), len(_ids(given))
    said, is_paid = shown["advice"], end != "written off" and key is not None
    assert (shown["step"], shown["keyed"]) == ("nothing", key is not None)
    for command in ("retry", "write-off"):
        refused = in_process(["ledger", command, hold, *(["--yes"] if command == "write-off" else [])], given)
        assert said.removeprefix("Nothing: ")[1:] in " ".join(refused.err.split()), command
        assert "Nothing:" not in refused.err, command
    again = _get(given, url, key)
    assert (again.code, len(_ids(given)) - known) == ((9, 0) if is_paid else (0, 1)), again
    if end.startswith("delivered"):
        assert ("ends in AlreadyPaid" in said) is is_paid
        assert ("buys anew" in said) is not is_paid
    else:
        assert "The same request buys anew" in said
        assert ("under its key too, unless a later payment under that key was delivered" in said) is (key is not None)
    for other in (None, "another key"):  # without that key, or under a new one, it is a new purchase
        before = len(_ids(given))
        assert (_get(given, url, other).code, len(_ids(given)) - before) == (0, 1)


def test_an_unproven_delivery_under_a_key_does_not_promise_a_purchase(seller: Sandbox, given: dict[str, str]) -> None:
    for key in (None, "k1"):
        url = seller.sell(f"/unproven-{key}", "0.01", fault="receipt-missing")
        first, again = _get(given, url, key), _get(given, url, key)
        words = " ".join(first.err.split())
        assert ("The same command again buys anew." in words) is (key is None) is (again.code != 9)
        assert ("The same command again buys nothing: its key was paid." in words) is (again.code == 9)
