"""One paid request, row by row: which asks are made in which order, what is returned, what happened to the money."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.wire.terms import SELLER, USDC, decoded, entry, entry_v1
from x402_client import Money, Policy, events
from x402_client.core import asks
from x402_client.core.delivery import deliver
from x402_client.core.digests import BodyDigest, body_digest
from x402_client.core.drive import run
from x402_client.core.flow import pay
from x402_client.errors import (
    ApprovalDenied,
    BodyNotReplayable,
    ChainUnavailable,
    Frozen,
    HostNotAllowed,
    LedgerUnavailable,
    MalformedQuote,
    NoAcceptableOffer,
    OverLimit,
    PaymentRefused,
    SigningError,
    TooExpensive,
    UnsupportedVersion,
)
from x402_client.model.hosts import Origin

from .scripted_flow import SIGNER, Ground, asking, called, paid, reply

PRICE = 10_000
BEFORE = ["Peek", "Digest", "Reserve"]
WHOLE = [*BEFORE, "LeftAlone", "SignTyped", "Record", "Send"]


def test_a_payment_by_hand() -> None:
    ground, call = Ground(), called()
    first = asking()
    flow = pay(call, first, ground.rules)
    peek = next(flow)
    assert isinstance(peek, asks.Peek)
    assert peek.reply is first
    assert isinstance(flow.send(first.native), asks.Digest)
    assert isinstance(flow.send(body_digest(b"")), asks.Join)
    reserve = flow.send(asks.Joined(None))
    assert isinstance(reserve, asks.Reserve)
    assert reserve.order.price == Money("0.01 USD (test)")
    assert [str(cap) for cap in reserve.order.caps] == ["0.05 USD (test) per day"]
    assert reserve.attempt is call.attempt
    rest = flow.send(ground.answer(reserve))
    assert isinstance(rest, asks.LeftAlone)
    assert rest.origin is call.origin
    sign = flow.send(None)
    assert isinstance(sign, asks.SignTyped)
    full = sign.data.full()
    assert (full["domain"]["verifyingContract"], full["message"]["to"], full["message"]["value"]) == (
        USDC,
        SELLER,
        PRICE,
    )
    record = flow.send(ground.answer(sign))
    assert isinstance(record, asks.Record)
    told = flow.send(ground.answer(record))
    assert isinstance(told, asks.Tell)
    assert isinstance(told.event, events.Presented)
    assert not told.event.again
    assert told.event.hold.authorization is not None
    assert told.event.hold.authorization.header == ("", "")
    send = flow.send(None)
    assert isinstance(send, asks.Send)
    assert send.header == record.authorization.header
    assert call.paid is not None
    answer = paid()
    told = flow.send(answer)
    assert isinstance(told, asks.Tell)
    assert isinstance(told.event, events.Answered)
    with pytest.raises(StopIteration) as end:
        flow.send(None)
    assert end.value.value is answer
    assert answer.outcome is not None
    assert (answer.outcome.money, answer.outcome.mismatches) == ("spent", ())
    assert call.attempt.alive  # until the body was read
    assert decoded(send.header[1])["payload"]["authorization"]["from"] == SIGNER.address


@pytest.mark.parametrize("status", [200, 201, 204, 206])
def test_paid_and_delivered(status: int) -> None:
    ground, call = Ground(), called()
    answer = ground.pay(call, Send=paid(status))
    assert ground.names == WHOLE
    assert ground.spent == PRICE
    [hold] = ground.ledger.holds()
    assert hold.state == "signed"
    assert answer.outcome is not None
    run(deliver(call, answer.outcome), ground.answer)
    assert not call.attempt.alive
    assert ground.ledger.holds() == ()
    [done] = ground.ledger.history(9)
    assert (done.state, done.money, done.id) == ("delivered", "spent", hold.id)
    assert ground.spent == PRICE
    assert [type(event) for event in ground.told] == [events.Presented, events.Answered, events.Delivered]


def test_version_1_is_paid_in_its_own_header() -> None:
    ground = Ground()
    ground.pay(called(), asking(entry_v1(), version=1))
    [send] = ground.all(asks.Send)
    assert send.header[0] == "X-PAYMENT"


@pytest.mark.parametrize(
    ("first", "asked"),
    [
        (reply(402, {"error": "quota"}), ["Peek"]),
        (reply(402, b"L402", www_authenticate="L402"), ["Peek"]),
        (reply(402), ["Peek"]),
    ],
)
def test_a_402_without_x402_goes_back_untouched(first: asks.Reply, asked: list[str]) -> None:
    ground = Ground()
    assert ground.pay(called(), first) is first
    assert ground.names == asked
    assert ground.told == []
    assert ground.pay(called(paid=None), first) is first


def test_a_quote_that_makes_no_sense() -> None:
    ground, call = Ground(), called()
    with pytest.raises(MalformedQuote) as caught:
        ground.pay(call, reply(402, {"x402Version": 2}))
    assert caught.value.money == "untouched"
    assert ground.names == ["Peek", "Digest", "Claim"]
    assert not call.attempt.alive
    with pytest.raises(MalformedQuote):
        ground.pay(called(), reply(402, {"x402Version": 2}), Digest=BodyNotReplayable("gone"))


#: The look for an unresolved payment of the same request, of which a refusal tells.
LOOK = ["Freezes", "Digest", "Holds"]
REFUSED: dict[str, tuple[Policy, Origin, asks.Reply, type[PaymentRefused], list[str]]] = {
    "host": (
        Policy(per_day="1", hosts={"api.example.com": "deny"}),
        Origin("https", "api.example.com", 443),
        asking(),
        HostNotAllowed,
        ["Peek", *LOOK],
    ),
    "plain http": (
        Policy(per_day="1"),
        Origin("http", "api.example.com", 80),
        asking(),
        HostNotAllowed,
        ["Peek", *LOOK],
    ),
    "offers": (
        Policy(per_day="1", networks=["base"]),
        Origin("https", "a.example", 443),
        asking(),
        NoAcceptableOffer,
        ["Peek", "Digest", "Claim"],
    ),
    "price": (
        Policy(per_request="0.009"),
        Origin("https", "a.example", 443),
        asking(),
        TooExpensive,
        ["Peek", "Digest", "Claim"],
    ),
    "too large to echo": (
        Policy(per_day="1"),
        Origin("https", "a.example", 443),
        asking(entry(), extensions={"bazaar": "x" * 40_000}),
        NoAcceptableOffer,
        ["Peek", "Digest", "Claim"],
    ),
    "budget": (
        Policy(per_day="0.009"),
        Origin("https", "a.example", 443),
        asking(),
        OverLimit,
        [*BEFORE, "Expired"],
    ),
}


@pytest.mark.parametrize("on_refusal", ["raise", "return"])
@pytest.mark.parametrize(("policy", "origin", "first", "kind", "asked"), REFUSED.values(), ids=REFUSED)
def test_refusals(
    policy: Policy, origin: Origin, first: asks.Reply, kind: type[PaymentRefused], asked: list[str], on_refusal: str
) -> None:
    ground, call = Ground(policy, on_refusal=on_refusal), called(origin=origin)
    if on_refusal == "return":
        assert ground.pay(call, first) is first
        assert type(first.refusal) is kind
        assert json.loads(first.body or b"")["error"] == {"type": "payment_refused", "message": str(first.refusal)}
        first.refusal = first.body = None  # other tests share it
    else:
        with pytest.raises(kind) as caught:
            ground.pay(call, first)
        assert caught.value.money == "untouched"
        assert type(caught.value) is kind
    assert ground.names == asked
    [told] = ground.told
    assert isinstance(told, events.Refused)
    assert "Nothing was paid" in told.reason
    assert ground.spent == 0
    assert not call.attempt.alive


def test_a_redirect_to_a_place_that_is_not_listed() -> None:
    with pytest.raises(HostNotAllowed, match="A redirect led"):
        Ground().pay(called(came_from=Origin("https", "other.example", 443)))


def test_a_body_that_is_gone_is_not_paid_for() -> None:
    ground = Ground()
    with pytest.raises(BodyNotReplayable):
        ground.pay(called(), Digest=BodyNotReplayable("gone"))
    assert ground.names == ["Peek", "Digest"]


def test_frozen() -> None:
    ground = Ground()
    ground.ledger.freeze("*.example.com")
    with pytest.raises(Frozen):
        ground.pay(called())
    assert ground.spent == 0


# --- approval

ASKING = Policy(per_request="0.10", approve_above="0.005")


def test_who_approves_sees_what_is_paid() -> None:
    ground = Ground(ASKING, approve=lambda approval: True)
    ground.pay(called(), asking(entry(), resource={"description": "the\nweather"}))
    assert ground.names == [*BEFORE, "LeftAlone", "Approve", "SignTyped", "Record", "Send"]
    [ask] = ground.all(asks.Approve)
    assert (ask.approval.price, ask.approval.host, ask.approval.description) == (
        Money("0.01 USD (test)"), "api.example.com", "the weather",
    )  # fmt: skip


@pytest.mark.parametrize("on_refusal", ["raise", "return"])
@pytest.mark.parametrize("remark", ["", "Silence."])
def test_approval_denied_gives_the_budget_back(remark: str, on_refusal: str) -> None:
    ground, first = Ground(ASKING, approve=lambda approval: True, on_refusal=on_refusal), asking()
    denied = asks.Approved(False, 1.0, remark)
    if on_refusal == "return":
        assert ground.pay(called(), first, Approve=denied) is first
    else:
        with pytest.raises(ApprovalDenied, match=remark or "The approver said no") as caught:
            ground.pay(called(), first, Approve=denied)
        assert caught.value.hold is not None
        assert caught.value.offer is not None
    assert ground.names == [*BEFORE, "LeftAlone", "Approve", "Release"]
    assert ground.spent == 0


SLOWLY = asks.Approved(True, 31.0)


def test_terms_are_looked_at_again_after_a_slow_approval() -> None:
    ground = Ground(ASKING, approve=lambda approval: True)
    cheaper = asking(entry(amount="1", payTo="0x" + "0" * 40), entry(amount="9000"))
    answer = ground.pay(called(), Approve=SLOWLY, LookAgain=cheaper)
    assert ground.names == [*BEFORE, "LeftAlone", "Approve", "LookAgain", "Peek", "SignTyped", "Record", "Send"]
    [send] = ground.all(asks.Send)
    assert decoded(send.header[1])["accepted"]["amount"] == "9000"
    assert answer.outcome is not None
    assert answer.outcome.offer.amount == 9000
    assert ground.spent == PRICE  # as much as was reserved


@pytest.mark.parametrize(
    ("again", "kind"),
    [
        (asking(entry(amount="10001")), NoAcceptableOffer),
        (asking(entry(payTo="0x" + "ab" * 20)), NoAcceptableOffer),
        (reply(402, {"x402Version": 7, "accepts": []}), UnsupportedVersion),
        (TimeoutError("the network's own"), TimeoutError),
    ],
)
def test_terms_that_changed_meanwhile_are_not_paid(again: Any, kind: type[Exception]) -> None:
    ground, call = Ground(ASKING, approve=lambda approval: True), called()
    with pytest.raises(kind):
        ground.pay(call, Approve=SLOWLY, LookAgain=again)
    assert ground.names[-1] == "Release"
    assert ground.spent == 0
    assert not call.attempt.alive
    assert ground.all(asks.SignTyped) == []


@pytest.mark.parametrize("again", [reply(200), reply(404), reply(402, {"error": "quota"})])
@pytest.mark.parametrize("release", [None, LedgerUnavailable("gone")])
def test_what_became_free_is_handed_over(again: asks.Reply, release: Any) -> None:
    ground, call = Ground(ASKING, approve=lambda approval: True), called()
    if release is not None:
        ground.scripted[asks.Release] = release
    assert ground.pay(call, Approve=SLOWLY, LookAgain=again) is again
    assert not call.attempt.alive
    assert again.outcome is None
    assert ground.spent == (PRICE if release else 0)
    assert len(ground.told) == (1 if release else 0)


# --- signing and recording


@pytest.mark.parametrize(
    ("name", "failure", "kind"),
    [
        ("SignTyped", SigningError("no"), SigningError),
        ("SignTyped", OSError("usb"), SigningError),
        ("SignTyped", asks.SignatureGiven(b"\0" * 65), SigningError),
        ("SignTyped", ChainUnavailable("base did not answer."), ChainUnavailable),
        ("Record", LedgerUnavailable("disk", wrote_nothing=True), LedgerUnavailable),
        ("Record", OSError("disk"), OSError),
    ],
)
def test_what_fails_before_it_leaves_gives_the_budget_back(name: str, failure: Any, kind: type[Exception]) -> None:
    ground, call = Ground(), called()
    with pytest.raises(kind) as caught:
        ground.pay(call, **{name: failure})
    assert ground.names[-2:] == [name, "Release"]
    assert (ground.spent, ground.ledger.holds(), call.attempt.alive) == (0, (), False)
    if isinstance(caught.value, SigningError | LedgerUnavailable | ChainUnavailable):
        [told] = [event for event in ground.told if isinstance(event, events.Warned)]
        assert told.problem == str(caught.value)
        assert caught.value.money == "untouched"
        assert caught.value.hold.offer is caught.value.offer
        assert "OSError" in str(caught.value) or not isinstance(failure, OSError)


def test_one_failure_of_a_chain_is_told_to_each_call_about_its_own_payment() -> None:
    shared = ChainUnavailable("base did not answer.")
    for _ in range(2):
        ground = Ground()
        with pytest.raises(ChainUnavailable) as caught:
            ground.pay(called(), SignTyped=shared)
        assert caught.value.args[0] == "base did not answer. Nothing was paid."
        assert caught.value.hold.id == ground.all(asks.Release)[0].hold.id
        assert caught.value.__cause__ is shared


def test_a_budget_that_cannot_be_given_back_is_told_and_reaped() -> None:
    ground = Ground()
    with pytest.raises(SigningError):
        ground.pay(called(), SignTyped=OSError(), Release=LedgerUnavailable("disk"))
    not_given_back, not_sent = [str(event) for event in ground.told if isinstance(event, events.Warned)]
    assert "not given back yet" in not_given_back
    assert "Nothing was sent" in not_sent
    assert ground.spent == PRICE
    del ground.scripted[asks.SignTyped]
    for i in range(5):
        ground.pay(called(f"GET /{i}"))
    assert ground.spent == 5 * PRICE


@pytest.mark.parametrize("on_refusal", ["raise", "return"])
def test_a_freeze_between_signing_and_sending_always_raises(on_refusal: str) -> None:
    ground = Ground(on_refusal=on_refusal)

    def freeze(ask: asks.Record) -> Any:
        ground.ledger.freeze("*")
        return ground.ledger.record(ask.hold, ask.authorization)

    with pytest.raises(Frozen):
        ground.pay(called(), Record=freeze)
    assert ground.all(asks.Send) == []
    assert ground.spent == 0


def test_the_sellers_own_idea_of_the_domain_is_told() -> None:
    ground = Ground()
    ground.pay(called(), asking(entry(extra={"name": "Evil", "version": "9"})))
    [told, *_] = ground.told
    assert isinstance(told, events.Warned)
    assert "'Evil', '9'" in told.problem
    [sign] = ground.all(asks.SignTyped)
    assert sign.data.full()["domain"]["name"] == "USDC"


@pytest.mark.parametrize(
    "first", [asking(), asking(entry(amount="5000000")), reply(402, {"x402Version": 2})], ids=["good", "dear", "broken"]
)
def test_a_request_that_carries_its_payment_in_its_body_gets_its_402_back(first: asks.Reply) -> None:
    ground, call = Ground(), called()
    assert ground.pay(call, first, Digest=BodyDigest(b"a tool", b"", tool=True, hands_off=True)) is first
    assert ground.names == ["Peek", "Digest"]
    assert (call.tool, call.attempt.alive, ground.spent) == (True, False, 0)
