"""A purchase is what the caller asked for: it is named by the first request of the call, and paid to who asked."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.wire.terms import KEY, ORIGIN, URL, entry, entry_v1
from x402_client import Buyer, Limit, Policy, Wallet, events
from x402_client.core import asks
from x402_client.core.call import Call, HttpRequest
from x402_client.core.delivery import deliver
from x402_client.core.digests import BodyDigest, body_digest
from x402_client.core.drive import run
from x402_client.core.flow import inspect
from x402_client.core.purchase_name import is_key_of, is_request_of, purchase_of
from x402_client.errors import (
    AlreadyPaid,
    BodyNotReplayable,
    HostNotAllowed,
    MalformedQuote,
    PaidNotDelivered,
    PaymentOutcomeUnknown,
    PaymentRefused,
    X402Error,
)
from x402_client.model.hosts import Origin
from x402_client.model.offers import Quote
from x402_client.policy.choice import Mandate

from .scripted_flow import Ground, asking, called, paid, reply

PRICE = 10_000
ELSEWHERE = Origin("https", "elsewhere.example", 443)
HOSTS = {"elsewhere.example": Limit(per_day="1")}
LISTED = Policy(per_request="0.10", per_day="0.05", hosts=HOSTS)
RULES = Buyer(Wallet(evm=KEY), Policy(per_day="1"), ledger=":memory:").rules


def led(origin: Origin = ORIGIN, first: str = "GET /start", **more: Any) -> Call:
    """A call that a redirect led to an origin."""
    fresh = len(first) + id(more)
    return called(first, origin, **{"came_from": ORIGIN, "hop": f"GET /hop?{fresh}", **more})


def unresolved(ground: Ground, **how: Any) -> asks.Send:
    with pytest.raises(PaymentOutcomeUnknown):
        ground.pay(led(**how), Send=TimeoutError())
    [send] = ground.all(asks.Send)
    assert isinstance(send, asks.Send)
    return send


# --- the name


def named(call: Call, body: BodyDigest) -> Any:
    return run(purchase_of(call, RULES), lambda ask: body)


ONE, OTHER = body_digest(b"one"), body_digest(b"other")


def test_the_name_is_that_of_version_0_1_where_nothing_changed() -> None:
    found = named(called("GET\nhttps://a.example\n/x?q\n"), ONE)
    request = hashlib.sha256(b"GET\nhttps://a.example\n/x?q\n\0" + hashlib.sha256(b"one").digest()).hexdigest()
    assert found.request == request
    assert found.id == hashlib.sha256(f"request 7 default {request}".encode()).hexdigest()
    assert found.former is None
    keyed = named(called("GET\nhttps://a.example\n/x?q\n", key="k"), ONE)
    assert keyed.id == hashlib.sha256(b"key 7 default k").hexdigest()
    assert (keyed.request, keyed.former) == (request, None)


@pytest.mark.parametrize("key", [None, "order-42"])
def test_a_redirect_changes_no_name_and_the_former_one_is_that_of_the_hop(key: str | None) -> None:
    plain, here = named(called("A", key=key), ONE), body_digest(b"")
    found = named(called("A", key=key, body=ONE, hop="B"), here)
    assert (found.id, found.request) == (plain.id, plain.request)
    old = named(called("B", key=key), here)
    assert found.former == (old.id, old.request)
    again = named(called("A", key=key, hop="A"), ONE)
    assert again.former is None


def test_a_body_that_went_on_unread_is_digested_where_it_is_read() -> None:
    assert named(called("A", hop="B"), ONE).id == named(called("A"), ONE).id != named(called("A"), OTHER).id


def test_the_rules_of_a_digest_change_the_former_name_alone() -> None:
    found = named(called("A"), BodyDigest(ONE.digest, OTHER.digest))
    assert found.id == named(called("A"), ONE).id
    assert found.former == (named(called("A"), OTHER).id, named(called("A"), OTHER).request)


def test_a_body_without_a_digest_is_refused_at_the_402() -> None:
    ground, gone = Ground(), BodyNotReplayable("gone")
    with pytest.raises(BodyNotReplayable):
        ground.pay(led(body=gone))
    assert ground.names == ["Peek"]
    with pytest.raises(MalformedQuote):
        ground.pay(led(body=gone), reply(402, {"x402Version": 2}))


class Several(dict[str, str]):
    def getall(self, name: str, default: list[str]) -> list[str]:
        return [self[name], "second"] if name in self else default


SENT: dict[str, tuple[Mapping[str, Any], ...]] = {
    "none": ({},),
    "another": ({"x-tenant": "b"}, {"x-tenant": b"b"}),
    "one": ({"x-tenant": "a"}, {"x-tenant": b"a"}, {"x-tenant": "a", "cookie": "1"}),
    "two": (Several({"x-tenant": "a"}),),
    "two at once": ({"x-tenant": "a\0second, b"},),
}


def test_headers_are_part_of_a_name_where_the_buyer_says_so() -> None:
    found: dict[str, str] = {}
    for name, sent in SENT.items():
        for headers in sent:
            request = HttpRequest("GET", ORIGIN, "/x", headers)
            assert request.identity() == f"GET\n{ORIGIN}\n/x\n"
            assert found.setdefault(name, request.identity(["x-tenant"])) == request.identity(["x-tenant"])
            assert "second" not in found[name]
    assert len(set(found.values())) == len(SENT)
    assert HttpRequest("GET", ORIGIN, "/x", {"range": b"bytes=0-1"}).identity().endswith("\nbytes=0-1")


# --- the payee


def test_one_call_is_one_purchase_wherever_it_is_led_on_its_payees_origin() -> None:
    ground = Ground()
    first = unresolved(ground)
    for _ in range(3):
        with pytest.raises(PaymentOutcomeUnknown):
            ground.pay(led())
        assert ground.all(asks.Send)[0].header == first.header
    assert ground.pay(led(), Send=paid()).status == 200
    assert ground.spent == PRICE


def test_two_calls_that_are_led_to_one_place_are_two_purchases() -> None:
    ground = Ground()
    first = unresolved(ground, hop="GET /hop")
    ground.pay(led(first="GET /other", hop="GET /hop"), Send=paid())
    assert ground.all(asks.Send)[0].header != first.header
    assert ground.spent == 2 * PRICE


def test_under_a_key_the_first_request_counts() -> None:
    ground = Ground()
    first = unresolved(ground, key="k")
    with pytest.raises(PaymentRefused, match="another request"):
        ground.pay(led(first="GET /other", key="k"), Send=paid())
    call = led(key="k")
    answer = ground.pay(call)
    assert ground.all(asks.Send)[0].header == first.header
    assert answer.outcome is not None
    run(deliver(call, answer.outcome), ground.answer)
    with pytest.raises(AlreadyPaid):
        ground.pay(led(key="k"))


#: What the chain says of the payment, and how a call ends that is led to another origin.
LED: dict[str, tuple[type[X402Error], str, bool]] = {
    "open": (PaymentOutcomeUnknown, "unknown", True),
    "early": (PaymentOutcomeUnknown, "unknown", True),
    "unknown": (PaymentOutcomeUnknown, "unknown", False),
    "settled": (PaidNotDelivered, "spent", False),
}
TERMS = {"good": asking(), "dear": asking(entry(amount="99999999")), "broken": reply(402, {"x402Version": 2})}


@pytest.mark.parametrize("policy", [LISTED, None], ids=["listed", "unlisted"])
@pytest.mark.parametrize("first", TERMS.values(), ids=TERMS)
@pytest.mark.parametrize("fate", LED)
def test_led_to_another_origin_a_call_presents_and_signs_nothing(
    policy: Policy | None, first: asks.Reply, fate: str
) -> None:
    ground = Ground(policy, on_refusal="return")
    unresolved(ground)
    kind, money, waits = LED[fate]
    for _ in range(2):
        call = led(ELSEWHERE)
        with pytest.raises(kind) as caught:
            ground.pay(call, first, Send=paid(), Settlement=fate)
        assert "https://elsewhere.example" in str(caught.value)
        assert str(ORIGIN) in str(caught.value)
        assert caught.value.money == money
        [hold] = ground.ledger.holds()
        assert caught.value.hold.id == hold.id
        assert caught.value.hold.authorization.header == ("", "")
        assert (getattr(caught.value, "wait_until", None) is not None) == waits
        assert not {"Send", "SignTyped"} & set(ground.names)
        assert (call.attempt.alive, call.paid, ground.spent) == (False, None, PRICE)
    assert ground.pay(led(), Send=paid(), Settlement="open").status == 200, "its payee gets it as ever"


def test_led_to_another_origin_what_is_proven_unused_makes_room() -> None:
    ground = Ground(LISTED)
    first = unresolved(ground)
    answer = ground.pay(led(ELSEWHERE), Send=paid(), Settlement="not_settled")
    assert answer.outcome is not None
    assert answer.outcome.hold.purchase.origin == ELSEWHERE
    assert ground.all(asks.Send)[0].header != first.header
    assert ground.spent == PRICE
    unlisted = Ground()
    unresolved(unlisted)
    with pytest.raises(HostNotAllowed):
        unlisted.pay(led(ELSEWHERE), Settlement="not_settled")
    assert (unlisted.spent, unlisted.ledger.holds()) == (0, ())


@pytest.mark.parametrize("fate", ["settled", "unknown"])
def test_led_to_another_origin_an_accepted_loss_is_written_off(fate: str) -> None:
    ground = Ground(Policy(per_day="1", accept_loss="0.01", hosts=HOSTS))
    unresolved(ground)
    answer = ground.pay(led(ELSEWHERE), Send=paid(), Settlement=fate)
    assert answer.outcome is not None
    assert answer.outcome.hold.purchase.origin == ELSEWHERE
    assert [type(event) for event in ground.told if isinstance(event, events.WrittenOff)] == [events.WrittenOff]
    assert ground.spent == 2 * PRICE
    unlisted = Ground(Policy(per_day="1", accept_loss="0.01"), on_refusal="return")
    unresolved(unlisted)
    with pytest.raises(HostNotAllowed) as caught:
        unlisted.pay(led(ELSEWHERE), Send=paid(), Settlement=fate)
    assert isinstance(caught.value.__cause__, PaidNotDelivered | PaymentOutcomeUnknown)
    assert caught.value.hold is not None


def test_a_place_that_is_refused_has_nothing_to_tell_of_other_purchases() -> None:
    ground = Ground()
    unresolved(ground)
    for call in (led(ELSEWHERE, first="GET /other"), led(Origin("http", "api.example.com", 80), first="GET /x")):
        with pytest.raises(HostNotAllowed):
            ground.pay(call)
    denied = Ground(Policy(per_day="1", hosts={"api.example.com": "deny"}), ground.ledger)
    with pytest.raises(HostNotAllowed, match="denied"):
        denied.pay(led())
    with pytest.raises(HostNotAllowed, match="denied"):
        denied.pay(called("GET /start"))
    assert denied.all(asks.Claim) == []


# --- two challenges in one 402

V1, V2 = {"body": {"x402Version": 1, "accepts": [entry_v1()]}}, {"x402Version": 2, "accepts": [entry()]}
MPP = {"www_authenticate": 'Payment id="x", method="tempo", intent="charge", request="e30"'}
CHALLENGES: dict[str, asks.Reply] = {
    "version 1": reply(402, V1["body"]),
    "version 2": reply(402, b"", payment_required=V2),
    "both": reply(402, V1["body"], payment_required=V2),
    "version 2 and another protocol": reply(402, b"", payment_required=V2, **MPP),
    "version 1 and another protocol": reply(402, V1["body"], **MPP),
    "both and another protocol": reply(402, V1["body"], payment_required=V2, **MPP),
    "a broken one and a sound one": reply(402, V1["body"], payment_required={"x402Version": 2, "accepts": []}),
}


@pytest.mark.parametrize("then", CHALLENGES)
@pytest.mark.parametrize("first", CHALLENGES)
def test_challenges_of_one_purchase_may_change_from_try_to_try(first: str, then: str) -> None:
    ground = Ground()
    with pytest.raises(PaymentOutcomeUnknown):
        ground.pay(called(), CHALLENGES[first], Send=TimeoutError())
    [sent] = ground.all(asks.Send)
    for name in (then, first, then):
        with pytest.raises(PaymentOutcomeUnknown):
            ground.pay(called(), CHALLENGES[name])
        assert [send.header for send in ground.all(asks.Send)] == [sent.header]
    assert ground.pay(called(), CHALLENGES[then], Send=paid()).status == 200
    assert ground.all(asks.Send)[0].header == sent.header
    assert ground.spent == PRICE


# --- a quote is for one request


def quoted(call: Call, ground: Ground) -> Quote:
    found = run(inspect(call, asking(), ground.rules), ground.answer)
    assert found is not None
    return found


def test_frozen_terms_pay_the_request_that_was_asked_about_and_no_other() -> None:
    ground = Ground()
    quote = quoted(led(), ground)
    assert quote.choice is not None
    for call in (led(first="POST /start"), led(first="GET /other"), called("GET /elsewhere")):
        call.mandate = Mandate(quote=quote)
        with pytest.raises(PaymentRefused, match="asked for another request"):
            ground.pay(call)
        again = run(inspect(call, asking(), ground.rules), ground.answer)
        assert again is not None
        assert again.choice is None
        assert "asked for another request" in again.reasons[0]
    assert ground.spent == 0
    assert ground.pay(led(quote=quote)).status == 200


def test_a_quote_that_a_program_made_itself_goes_by_its_url() -> None:
    ground = Ground()
    choice = quoted(called(), ground).choice
    with pytest.raises(PaymentRefused, match="asked for another request"):
        ground.pay(called(quote=Quote("https://api.example.com/other", choice=choice)))
    assert ground.pay(called(quote=Quote(URL, choice=choice))).status == 200


def test_an_unresolved_payment_is_presented_whatever_the_quote() -> None:
    ground = Ground()
    first = unresolved(ground)
    with pytest.raises(PaymentOutcomeUnknown):
        ground.pay(led(quote=Quote("https://api.example.com/other")))
    assert ground.all(asks.Send)[0].header == first.header


# --- a purchase that a ledger knows, and a request that is made once more


def test_a_known_purchase_is_told_from_others_by_its_request() -> None:
    asked = HttpRequest.of("POST", "https://api.example.com/a?b=c%41", {"Range": "bytes=0-9"})
    body = body_digest(b"{}", "application/json")
    call = Call("POST", asked.origin, URL, asked.identity(), body=body)
    known = run(purchase_of(call, RULES), lambda ask: body)
    assert is_request_of(known, asked, body)
    assert not is_request_of(known, asked._replace(target="/a?b=d"), body)
    assert not is_request_of(known, asked._replace(headers={}), body)
    assert not is_request_of(known, asked, body_digest(b"[]"))
    old = replace(known, request=hashlib.sha256(asked.former_identity().encode() + b"\0" + body.former).hexdigest())
    assert is_request_of(old, asked, body)


def test_a_tool_call_is_named_by_its_endpoint_and_not_by_the_id_of_a_session() -> None:
    tool = body_digest(b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"now"}}', "application/json")
    other = body_digest(b'{"jsonrpc":"2.0","id":1,"method":"ping"}', "application/json")

    def named(target: str, body: BodyDigest = tool, endpoint: str | None = None) -> str:
        asked = HttpRequest.of("POST", f"https://api.example.com{target}", {"Range": "bytes=0-9"})
        call = Call("POST", asked.origin, URL, asked.identity(), endpoint=endpoint)
        known = run(purchase_of(call, RULES), lambda ask: body)
        assert endpoint is not None or is_request_of(known, asked, body)
        return known.request

    places = ["/m", "/m?", "/m?session_id=1", "/m?sessionId=2", "/m?SESSIONID", "/m?session-id=3"]
    assert len({named(place) for place in places}) == 1
    assert named("/m?a=b&session_id=1&c=d") == named("/m?a=b&c=d&session_id=2") != named("/m?a=b&session_id=1")
    assert len({named(place) for place in ("/m", "/m?session_ids=1", "/m?x=session_id", "/n?session_id=1")}) == 4
    assert named("/m?session_id=1", other) != named("/m?session_id=2", other)
    assert named("/m?session_id=1", endpoint="/sse") == named("/sse")
    assert named("/m?session_id=1", other, endpoint="/sse") == named("/m?session_id=1", other)


def test_a_known_purchase_is_told_from_others_by_its_key() -> None:
    asked = HttpRequest.of("GET", "https://api.example.com/a")
    plain = Call("GET", asked.origin, URL, asked.identity())
    keyed = Call("GET", asked.origin, URL, asked.identity(), Mandate(key="order-7"))
    body = body_digest(b"")
    without, under = (run(purchase_of(call, RULES), lambda ask: body) for call in (plain, keyed))
    assert (is_key_of(without, None), is_key_of(without, "order-7")) == (True, False)
    assert [is_key_of(under, key) for key in ("order-7", "order-8", None)] == [True, False, False]
