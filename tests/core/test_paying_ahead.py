"""Paying ahead, step by step: what is in the way of it leaves nothing behind."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.wire.terms import entry
from x402_client import Policy
from x402_client.core import asks
from x402_client.core.call import Call
from x402_client.core.delivery import deliver
from x402_client.core.digests import BodyDigest, body_digest
from x402_client.core.drive import run
from x402_client.core.known_terms import Memory
from x402_client.core.paying_ahead import pay_ahead
from x402_client.errors import AlreadyPaid, Frozen, LedgerUnavailable, OverLimit, PaymentOutcomeUnknown

from .scripted_flow import Ground, asking, called, paid, reply

PRICE = 10_000


def learnt(ground: Ground, first: asks.Reply | None = None) -> Memory:
    """What one delivery taught."""
    memory = Memory()
    call = called("first", memory=memory)
    answer = ground.pay(call, first, Send=paid())
    assert answer.outcome is not None
    run(deliver(call, answer.outcome), ground.answer)
    return memory


def ahead(ground: Ground, memory: Memory, call: Call | None = None, **scripted: Any) -> asks.Reply | None:
    call = call or called(memory=memory)
    assert memory.knows(call.place)
    ground.asked.clear()
    for name, what in scripted.items():
        ground.scripted[getattr(asks, name)] = what
    return run(pay_ahead(call, ground.rules), ground.answer)


def test_all_that_is_asked() -> None:
    ground = Ground()
    memory = learnt(ground)
    call = called(memory=memory)
    answer = ahead(ground, memory, call)
    assert ground.names == ["LeftAlone", "Digest", "Reserve", "SignTyped", "Record", "Send"]
    assert answer is not None
    assert call.attempt.alive
    assert ground.spent == 2 * PRICE


@pytest.mark.parametrize(
    "in_the_way",
    [
        {"LeftAlone": datetime(2030, 1, 1, tzinfo=UTC)},
        {"Digest": OSError()},
        {"Digest": BodyDigest(b"a tool", b"", tool=True, hands_off=True)},
        {"Digest": BodyDigest(b"a message", b"")},
        {"Digest": body_digest(b"another body")},
        {"Reserve": OverLimit("full")},
        {"Reserve": Frozen("stop")},
        {"Reserve": AlreadyPaid("before")},
        {"Reserve": LedgerUnavailable("disk")},
        {"SignTyped": OSError()},
        {"Record": LedgerUnavailable("disk")},
        {"Record": Frozen("stop")},
    ],
)
def test_what_is_in_the_way_leaves_nothing_behind(in_the_way: dict[str, Any]) -> None:
    ground = Ground()
    memory = learnt(ground)
    call = called(memory=memory)
    if isinstance(in_the_way.get("Digest"), OSError):
        with pytest.raises(OSError):
            ahead(ground, memory, call, **in_the_way)
    else:
        assert ahead(ground, memory, call, **in_the_way) is None
    assert not call.attempt.alive
    assert ground.all(asks.Send) == []
    assert ground.spent == PRICE
    assert memory.knows(call.place), "nothing was held against the terms"


@pytest.mark.parametrize("killed", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("at", ["Reserve", "SignTyped", "Record", "Send"])
def test_an_interrupt_ends_the_attempt(at: str, killed: Any) -> None:
    ground = Ground()
    memory = learnt(ground)
    call = called(memory=memory)
    with pytest.raises(killed):
        ahead(ground, memory, call, **{at: killed()})
    assert not call.attempt.alive
    assert memory.knows(call.place) is not (at == "Send")


def test_one_that_is_unresolved_is_left_to_the_ordinary_way() -> None:
    ground = Ground()
    memory = learnt(ground)
    with pytest.raises(PaymentOutcomeUnknown):
        ground.pay(called(), Send=OSError())
    call = called(memory=memory)
    assert ahead(ground, memory, call, Send=paid()) is None
    assert ground.names == ["LeftAlone", "Digest", "Reserve"]
    assert not call.attempt.alive
    assert ground.pay(called(), Send=paid()).status == 200
    assert ground.spent == 2 * PRICE


def test_a_busy_key_is_left_to_the_ordinary_way() -> None:
    ground = Ground()
    memory = learnt(ground)
    other = called(key="k")
    ground.pay(other, Send=reply(200))
    assert ahead(ground, memory, called(key="k", memory=memory)) is None


def test_who_approves_everything_is_asked_the_ordinary_way() -> None:
    ground = Ground(approve=lambda asked: True)
    memory = learnt(ground)
    assert ahead(ground, memory) is None
    assert ground.names == []


def test_the_shortest_validity_is_signed() -> None:
    for validity in (60, 3_600):
        ground = Ground(Policy(per_day="1", validity=validity))
        memory = learnt(ground, asking(entry(maxTimeoutSeconds=3_600)))
        answer = ahead(ground, memory)
        assert answer is not None
        assert answer.outcome is not None
        ordinary = ground.ledger.history(1)[0].authorization
        signed = answer.outcome.hold.authorization
        assert ordinary is not None
        assert signed is not None
        assert round((ordinary.expires - signed.expires) / 60) == round((validity - 60) / 60)
