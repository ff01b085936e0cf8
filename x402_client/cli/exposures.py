"""Asks within a time what permits and allowances could still take, and draws it for `x402 status`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from ..buyer.answers import ledger_answers
from ..buyer.buyer import Buyer
from ..buyer.exposures import Seen, judge, known_permits
from ..chains.rpc import Endpoints
from ..core.asks import Ask, Fetch
from ..core.drive import run
from ..model.exposures import Exposure
from .money_labels import network_name
from .screen import facts, show

#: Exposures that are told one by one.
_LISTED = 5


def exposures_of(buyer: Buyer, seconds: float) -> tuple[Exposure, ...]:
    """Return what can still be taken. The chains may take these seconds together; with none, they are not asked."""
    inner, until = ledger_answers(buyer.ledger), time.monotonic() + seconds

    def answer(ask: Ask[Any]) -> Any:
        return _in_time(ask.read, until) if isinstance(ask, Fetch) else inner(ask)

    asked = buyer.endpoints if seconds else Endpoints({}, public=False)
    return run(judge(known_permits(buyer.services), buyer.policy, buyer.services, asked), answer)


def _in_time(read: Callable[[], Seen], until: float) -> Seen:
    """Return what a chain says in time. A daemon asks: a chain that stays silent must not keep the command waiting."""
    answers: SimpleQueue[Seen] = SimpleQueue()
    Thread(target=lambda: answers.put(read()), daemon=True).start()
    try:
        return answers.get(timeout=max(0.0, until - time.monotonic()))
    except Empty:
        return {}


def draw_exposures(found: Iterable[Exposure]) -> None:
    """Show each exposure with its reason and its end."""
    listed = list(found)
    for one in listed[:_LISTED]:
        show(f"  {one.written} of {one.payer}, on {network_name(one.network)}", "yellow")
        kind = "allowance" if one.kind == "allowance" else "permit, not used yet"
        facts([("    is", f"{kind}, to {one.spender}"), ("    why", one.why), ("    to do", one.todo)])
    if len(listed) > _LISTED:
        show(f"  and {len(listed) - _LISTED} more", "cyan")


def document(one: Exposure) -> dict[str, Any]:
    """Return an exposure as JSON."""
    return {
        "kind": one.kind,
        "network": one.network,
        "asset": one.token.address,
        "token": one.token.symbol or None,
        "payer": one.payer,
        "spender": one.spender,
        "amount": None if one.amount is None else str(one.amount),
        "since": None if one.since is None else f"{one.since:%Y-%m-%dT%H:%M:%SZ}",
        "until": None if one.until is None else f"{one.until:%Y-%m-%dT%H:%M:%SZ}",
        "why": one.why,
        "advice": one.todo,
    }
