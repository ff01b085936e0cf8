"""The first steps of a program under a new name, in every order. A forked child begins under one."""

from __future__ import annotations

import itertools
from typing import Any, TypeVar

from x402_client.ledgers.conformance.ledger import RECEIPT, order, purchase, signed
from x402_client.ledgers.served.ledger import ServedLedger
from x402_client.ledgers.served.protocol import Request
from x402_client.model.holds import Attempt

L = TypeVar("L", bound=ServedLedger)

STEPS = ("beat", "looks", "reserve", "claim")
PAIRS = [*itertools.product(STEPS, STEPS)]


def quiet(ledger: L) -> L:
    """Return a ledger without a heart: it makes only the steps that a test makes."""
    ledger._steps._claimed = lambda: None
    return ledger


def buys(ledger: ServedLedger, name: str) -> None:
    attempt = Attempt()
    hold: Any = ledger.reserve(order(purchase(name)), attempt)
    ledger.close(ledger.record(hold, signed(name)), "spent", RECEIPT)
    attempt.end()


def renamed(ledger: ServedLedger) -> str:
    """Let a ledger begin under a new name, as in a forked child. Return the name before."""
    buys(ledger, "old")
    name = ledger._claims.owner
    ledger._build(ledger._steps)
    quiet(ledger)
    return name


def steps_together(ledger: ServedLedger, *kinds: str) -> None:
    """Prove each step before the first is sent, and send the latest first."""
    for steps, ask in reversed([_begun(ledger, kind) for kind in kinds]):
        try:
            while True:
                ask = steps.send(ledger._connection.send(ask))
        except StopIteration:
            pass


def _begun(ledger: ServedLedger, kind: str) -> tuple[Any, Any]:
    """Begin a step, up to the command with its proof, and send nothing."""
    if kind == "beat":
        steps: Any = ledger._steps.beat("default")
    elif kind == "reserve":
        steps = ledger._steps.reserve(order(purchase("new")), Attempt())
    elif kind == "claim":
        steps = ledger._steps.claim(purchase("new"), Attempt())
    else:
        steps = ledger._steps.holds("default")
    ask = next(steps)
    while not isinstance(ask, Request):
        ask = steps.send(ledger._connection.send(ask))
    assert ask.said
    return steps, ask
