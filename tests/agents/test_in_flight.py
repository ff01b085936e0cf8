"""Where a payment is, and what a model is told of it: its quote, its call and its budget say the same next step.

It is in this process or in another one, under a key or under none, and its call runs, failed, or died with its program.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from x402_client import Buyer, Policy, Wallet
from x402_client.agents import tools
from x402_client.core import reserving
from x402_client.httpx import wrap
from x402_client.sandbox import Sandbox

#: A program that asks for a price under a key, or under none.
PROGRAM = """
import sys, httpx
from x402_client import Buyer
from x402_client.httpx import wrap
from contextlib import nullcontext
buyer = Buyer.from_env(breaker_after=None)
with wrap(httpx.Client(timeout=60), buyer) as client, buyer.purchase(key=sys.argv[2]) if sys.argv[2] else nullcontext():
    client.get(sys.argv[1])
"""
HANG, LOST = "hang-before-settling", "drop-before-settling"
PLACES, KEYS = ("here", "elsewhere"), (None, "order 1")
WAIT = "Make the same call again once that one has ended."


@contextmanager
def paying(settings: dict[str, str], buyer: Buyer, url: str, key: str | None, place: str, state: str) -> Iterator[None]:
    """Leave a payment in a state: its call runs on, or has failed, or its program was killed."""
    program: subprocess.Popen[bytes] | None = None
    if place == "elsewhere":
        program = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, url, key or ""], env=os.environ | settings, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        end = program.kill
    else:
        client = wrap(httpx.Client(timeout=60), buyer)

        def call() -> None:
            with suppress(Exception), buyer.purchase(key=key) if key else nullcontext():
                client.get(url)

        thread = threading.Thread(target=call, daemon=True)
        thread.start()
        if state == "over":
            thread.join(20)
        end = client.close
    deadline = time.monotonic() + 20
    while not [hold for hold in buyer.holds() if hold.state == "signed"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    if state == "over" and program is not None:
        program.kill()
        program.wait(10)
    if state == "over":
        while any(hold.in_flight for hold in buyer.holds()):
            assert time.monotonic() < deadline
            time.sleep(0.02)
    try:
        yield
    finally:
        end()
        if program is not None:
            program.wait(10)


@pytest.mark.parametrize("asked_under", [None, "order 1", "order 2"])
@pytest.mark.parametrize("state", ["running", "over"])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("key", KEYS)
def test_each_tool_says_the_same_of_a_payment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str | None, place: str, state: str, asked_under: str | None
) -> None:
    monkeypatch.setattr(reserving, "_PATIENCE", (0.05,))
    with Sandbox(slow=0.1) as seller:
        ledger = tmp_path / "ledger.db"
        policy, settings = Policy(per_request="0.10", per_day="5"), seller.environ | {"X402_LEDGER": str(ledger)}
        wallet = Wallet(evm=settings["X402_EVM_KEY"], solana=settings["X402_SOLANA_KEY"])
        buyer = seller.buyer(policy, ledger=ledger, wallet=wallet, breaker_after=None)
        fault = [HANG if state == "running" or place == "elsewhere" else LOST] * 3
        url = seller.sell("/goods", "0.01", fault=[*fault, *[None] * 9])
        with paying(settings, buyer, url, key, place, state), httpx.Client(timeout=5) as client:
            [hold] = buyer.holds()
            own: Any = tools(client, buyer, hosts=["127.0.0.1"])
            with buyer.purchase(key=asked_under) if asked_under else nullcontext():
                quoted, budget = own.quote(url), own.budget()
                seller.sell("/goods", "0.01")  # from here on the seller delivers
                found = own.paid_fetch(url)
            settled = len(seller.settlements)
        buyer.close()
    mine = key == asked_under
    told = " ".join(quoted["reasons"])
    if state == "running":
        assert (budget["payments_in_flight"], "so wait" in budget["says"]) == (1, True)
        if mine and key is not None:
            # The rule: "With a key, nobody else sends while it is in flight anywhere."
            assert (quoted["would_pay"], found["error"], settled) == (None, "PaymentOutcomeUnknown", 0)
            assert (found["money"], found["next"]) == ("unknown", "repeat")
            assert told.removeprefix("It would be refused now: ") == found["says"]
            assert (hold.id in told, told.endswith(WAIT), "Tell the user" in told) == (True, True, False)
        else:
            assert (quoted["would_pay"], found["ok"], settled) == ("0.01 USD", True, 1)
            assert ("wait for its answer" in told) is mine
        return
    [known] = budget["unresolved"]
    assert (known["payment"], known["next"]) == (hold.id, "repeat" if mine else "ask a person")
    assert (found["ok"], settled) == (True, 1)
    if mine:
        assert (quoted["would_pay"], quoted["unresolved_payment"]["next"]) == (None, "repeat")
        assert "paid_fetch presents that payment again and pays nothing new." in told
    else:
        assert (quoted["would_pay"], "unresolved_payment" in quoted) == ("0.01 USD", False)


def test_a_key_whose_price_is_being_asked_about_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is signed yet, so nothing expires."""
    monkeypatch.setattr(reserving, "_PATIENCE", (0.05,))
    asked, answer = threading.Event(), threading.Event()

    def approve(_: object) -> bool:
        asked.set()
        return answer.wait(20)

    with Sandbox() as seller, httpx.Client() as client, httpx.Client() as other:
        url, buyer = seller.sell("/goods", "0.01"), seller.buyer(Policy(per_day="5"), approve=approve)
        own: Any = tools(client, buyer, hosts=["127.0.0.1"])
        first: Any = tools(other, buyer, hosts=["127.0.0.1"])
        brought: list[Any] = []

        def call() -> None:
            with buyer.purchase(key="order 1"):
                brought.append(first.paid_fetch(url))

        thread = threading.Thread(target=call)
        thread.start()
        assert asked.wait(20)
        with buyer.purchase(key="order 1"):
            quoted, found = own.quote(url), own.paid_fetch(url)
            answer.set()
            thread.join()
            again = own.paid_fetch(url)
    assert (quoted["would_pay"], found["next"], found["says"].endswith(WAIT)) == (None, "repeat", True)
    assert quoted["reasons"][0].endswith(found["says"])
    assert (brought[0]["ok"], again["error"], again["next"]) == (True, "AlreadyPaid", "stop")
