"""Every kind of open payment, stopped or not, before and after its expiry, with a chain that answers and without.

A model's tools and the ledger's lists say the same of it, before a call and after it.
"""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from x402_client.agents import tools
from x402_client.agents.advice import MOST_PRESENTED

from .running import in_process
from .test_one_advice import NO_CHAIN, STOPS, Walk, _Dumb, stopped, walk

__all__ = ["walk"]

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("short_pauses")]

#: The fault that a seller has each time, the price, and how often it is called before.
KINDS: dict[str, tuple[str, str, int]] = {
    "no answer": ("drop-before-settling", "0.01", 1),
    "no answer, time and again": ("drop-before-settling", "0.01", 4),
    "refused": ("402-again", "0.01", 1),
    "refused, time and again": ("402-again", "0.01", 4),
    "an error": ("error-before-settling", "0.01", 1),
    "paid, no answer": ("drop-after-settling", "0.01", 1),
    "paid, an error": ("work-fails", "0.01", 1),
    "paid, the seller says no": ("work-says-no", "0.01", 1),
    "paid, another 402": ("402-after-settling", "0.01", 1),
    "paid, broken off": ("truncated-body", "0.01", 1),
    "paid, led on": ("redirect-after-paying", "0.01", 1),
    "paid, led to another host": ("redirect-to-another-host-after-paying", "0.01", 1),
    "the wallet is empty": ("", "400", 1),
}
#: What a model does where the lists name a step. A payment that was presented often needs a person.
NEXT = {
    "wait": {"repeat"},
    "repeat": {"repeat"},
    "fund": {"ask a person"},
    "look there": {"ask a person"},
    "ask the seller": {"ask a person"},
    "ask the chain": {"repeat", "ask a person"},
    "unfreeze": {"ask a person"},
    "allow": {"ask a person"},
}


@pytest.mark.parametrize("answers", [True, False], ids=["the chain answers", "no chain"])
@pytest.mark.parametrize("seconds", [0, 100, 5_000], ids=["live", "just expired", "expired"])
@pytest.mark.parametrize("kind", KINDS)
def test_tools_and_lists_say_the_same_of_an_open_payment(walk: Walk, kind: str, seconds: int, answers: bool) -> None:
    fault, price, times = KINDS[kind]
    url = walk.url = walk.seller.sell("/goods", price, fault=[fault] * 80 if fault else None)
    reader = None
    own = _tools(walk, reader)
    first: dict[str, Any] = {}
    for _ in range(times):
        first = own.paid_fetch(url)
    if not walk.buyer().holds():
        assert kind == "paid, led on"  # the tools follow it, and the content came
        return
    assert _said(walk, own, url) == (first["money"], first["next"])
    walk.later(seconds)
    if not answers:
        reader = _Dumb()
        walk.env["X402_RPC"] = NO_CHAIN
    for name in STOPS:
        with stopped(walk, name):
            own = _tools(walk, reader)
            said = _said(walk, own, url, name != "another host frozen")
            if name != "another host frozen":
                found = own.paid_fetch(url)
                assert (found["money"], found["next"], said[1]) == (*said, "ask a person"), (name, found)
                assert found["error"] == ("Frozen" if STOPS[name][0] else "HostNotAllowed")
                assert _said(walk, own, url, True) == said
    _check_a_call(walk, _tools(walk, reader), url, in_vain=seconds == 5_000 and not answers)


def _check_a_call(walk: Walk, own: Any, url: str, in_vain: bool) -> None:
    """See that a call that brings nothing says what all places say after it, and what they said before it."""
    before = _said(walk, own, url)
    [hold] = walk.buyer().holds()
    found = own.paid_fetch(url)
    now = walk.buyer().holds()
    if hold.id not in [one.id for one in now]:
        assert found["ok"] or [one.id for one in now]  # the chain showed it unused: the same call bought anew
        return
    after = _said(walk, own, url)
    assert (found["money"], found["next"]) == after, found
    if in_vain and found["money"] != "spent":
        assert found["next"] == "ask a person"  # the same call would ask the chain in vain again
    if found["next"] != before[1] and after[0] == before[0] and now[0].tries + 1 < MOST_PRESENTED:
        # Only a call learns that no chain answers, and what the seller says once more.
        last = now[0].last
        assert last is not None
        assert last.untold or (hold.last is not None and last[1:3] != hold.last[1:3]), (found, hold, now)


def _tools(walk: Walk, reader: Any) -> Any:
    more = {} if reader is None else {"reader": reader}
    client = httpx.Client(timeout=5)
    walk.stop.append(client.close)
    return tools(client, walk.buyer(breaker_after=None, **more), hosts=["127.0.0.1"])


def _said(walk: Walk, own: Any, url: str, is_stopped: bool = False) -> tuple[str, str]:
    """Return what is said of the one open payment: its money, and what a model does. All places agree."""
    [listed] = json.loads(in_process(["ledger", "holds", "--json"], walk.env).out)["holds"]
    shown = json.loads(in_process(["ledger", "show", listed["hold"], "--offline", "--json"], walk.env).out)
    status = json.loads(in_process(["status", "--offline", "--json"], walk.env).out)["unresolved"]
    quote = json.loads(in_process(["quote", url, "--json"], walk.env).out)["unresolved"]
    for one in (shown, *status, quote):
        assert (one["step"], one["advice"]) == (listed["step"], listed["advice"])
    [known], asked = own.budget()["unresolved"], own.quote(url)
    assert asked["unresolved_payment"] == known
    assert known["payment"] in " ".join(asked["reasons"]) or known["next"] == "repeat"
    again = ("presents that payment again", "given back and paid anew")
    assert any(one in " ".join(asked["reasons"]) for one in again) is (known["next"] == "repeat")
    assert (known["payment"], known["money"], asked["would_pay"]) == (listed["hold"], listed["money"], None)
    often = shown["presented"] >= MOST_PRESENTED and known["next"] == "ask a person"
    expected = {"ask a person"} if is_stopped else NEXT[listed["step"]]
    assert often or known["next"] in expected, (listed["step"], known)
    return known["money"], known["next"]
