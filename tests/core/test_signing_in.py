"""Signing in before a payment: where it happens, what it costs, and every way in which it does not happen."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest

from tests.wire.terms import NETWORK, URL, challenge, decoded, entry
from x402_client import Limit, Policy, events
from x402_client.core import asks
from x402_client.core.delivery import deliver
from x402_client.core.digests import BodyDigest
from x402_client.core.drive import run
from x402_client.core.flow import inspect, pay
from x402_client.errors import (
    AlreadyPaid,
    BodyNotReplayable,
    LedgerUnavailable,
    NoAcceptableOffer,
    PaymentOutcomeUnknown,
    SigningError,
)
from x402_client.model.holds import Hold, LastAnswer
from x402_client.model.hosts import Origin
from x402_client.policy.allowances import AllowanceRules, AllowanceTerms

from .scripted_flow import SIGNER, Ground, asking, called, paid, reply

BASE = "eip155:8453"
SOLANA = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"
POLICY = {"per_request": "0.10", "per_day": "0.05"}
SIGNED_IN = ["Peek", "Bought", "Digest", "SignText", "Send"]
PAID = ["Peek", "Digest", "Reserve", "LeftAlone", "SignTyped", "Record", "Send"]


def signs(**changes: Any) -> asks.Reply:
    """A 402 with offers and a challenge."""
    return asking(extensions=challenge(**changes))


def alone(**changes: Any) -> asks.Reply:
    """A 402 that asks for no money: "accepts: [] is a legal quote"."""
    return reply(402, {"x402Version": 2, "accepts": [], "extensions": challenge(**changes)})


def bought(ground: Ground, state: str = "delivered") -> Hold:
    """A purchase of this request, as the ledger keeps it."""
    call = called()
    ground.scripted.pop(asks.Bought, None)
    if state != "delivered":
        with pytest.raises(PaymentOutcomeUnknown):
            ground.pay(call, Send=TimeoutError())
        hold: Hold = ground.ledger.holds()[0]
    else:
        answer = ground.pay(call, Send=paid())
        assert answer.outcome is not None
        run(deliver(call, answer.outcome), ground.answer)
        hold = ground.ledger.history(1)[0]
    ground.scripted[asks.Bought] = hold
    return hold


def opened(ground: Ground, first: asks.Reply | None = None, status: int = 200, **call: Any) -> asks.Reply:
    """One request whose sign-in is answered with this status."""
    return ground.pay(called(**call), first or signs(), Send=reply(status))


def paid_for(ground: Ground, first: asks.Reply | None = None, **call: Any) -> str:
    """One request that is paid without a sign-in. Return the reason that its quote has against it."""
    answer = ground.pay(called(**call), first or signs(), Send=paid())
    assert (answer.status, ground.names[-len(PAID) + 1 :]) == (200, PAID[1:])
    assert ground.all(asks.SignText) == []
    quote = run(inspect(called(**call), first or signs(), ground.rules), ground.answer)
    assert quote is not None
    assert quote.sign_in is not None
    assert quote.reasons[-1] == f"sign-in: {quote.sign_in.reason}"
    return str(quote.sign_in.reason)


def test_what_was_bought_before_opens_by_a_signature_and_costs_nothing() -> None:
    ground = Ground()
    bought(ground)
    before = ground.spent
    answer = opened(ground)
    assert ground.names == [*SIGNED_IN, "Claim"]
    [ask] = ground.all(asks.Bought)
    assert (str(ask.origin), ask.url, ask.payers) == ("https://api.example.com", URL, (SIGNER.address.lower(),))
    [sent] = ground.all(asks.Send)
    name, value = sent.header
    assert name == "SIGN-IN-WITH-X"
    said = decoded(value)
    assert (said["address"], said["chainId"], said["type"]) == (SIGNER.address, NETWORK, "eip191")
    outcome = answer.outcome
    assert outcome is not None
    assert (outcome.money, outcome.signed_in, str(outcome.hold.price)) == ("untouched", SIGNER.address, "0.00 USD")
    assert (outcome.hold.state, outcome.offer.scheme, outcome.accept()) == ("signed_in", "sign-in-with-x", False)
    assert (ground.spent, ground.ledger.holds()) == (before, ())
    assert [str(event) for event in ground.told] == [f"sign-in GET {URL} 200 as {SIGNER.address} on {NETWORK}"]


def test_nothing_is_signed_where_nothing_was_bought() -> None:
    ground = Ground()
    assert "has bought nothing from this seller yet" in paid_for(ground)


def test_a_seller_that_asks_for_nothing_else_is_signed_in_to() -> None:
    ground = Ground()
    assert opened(ground, alone()).outcome is not None
    assert ground.names == [*SIGNED_IN, "Claim"]


@pytest.mark.parametrize("hosts", [{}, {"api.example.com": Limit(sign_in="always")}, {"*.com": Limit(per_day="1")}])
def test_a_policy_may_say_always(hosts: dict[str, Limit]) -> None:
    always = "paid" if hosts.get("api.example.com") else "always"
    ground = Ground(Policy(**POLICY, sign_in=always, hosts=hosts))
    assert opened(ground).outcome is not None
    assert ground.names[:5] == SIGNED_IN


def test_a_policy_may_say_never() -> None:
    policy = Policy(**POLICY, sign_in="always", hosts={"api.example.com": Limit(sign_in="never")})
    ground = Ground(policy)
    bought(ground)
    assert paid_for(ground) == 'the policy has sign_in="never" for this seller'
    with pytest.raises(NoAcceptableOffer) as refused:
        opened(Ground(policy), alone())
    assert refused.value.args[0] == (
        f"{URL} asks for no money; it opens by a sign-in of the wallet, and none opened it: the policy has "
        'sign_in="never" for this seller. Nothing was paid.'
    )
    assert refused.value.reasons == ('sign-in: the policy has sign_in="never" for this seller',)
    assert refused.value.money == "untouched"


def test_a_402_to_a_sign_in_is_paid_under_its_own_terms() -> None:
    ground = Ground()
    bought(ground)
    dearer = asking(entry(amount="20000"), extensions=challenge())
    answer = ground.pay(called(), signs(), Send=[dearer, paid()])
    assert ground.names == [*SIGNED_IN, *PAID[:1], *PAID[2:]]
    assert [ask.order.price.units for ask in ground.all(asks.Reserve)] == [20_000]
    assert answer.outcome is not None
    assert (answer.outcome.money, answer.outcome.signed_in) == ("spent", "")
    assert "402 as" in str(ground.told[0])
    assert str(ground.told[0]).endswith(", and opened nothing")


@pytest.mark.parametrize("again", [reply(402, b"no terms"), asking(), reply(402, {"x402Version": 9, "accepts": [{}]})])
def test_a_402_without_a_challenge_or_terms_is_paid_too(again: asks.Reply) -> None:
    ground = Ground()
    bought(ground)
    answer = ground.pay(called(), signs(), Send=[again, paid()])
    assert answer.outcome is not None
    assert answer.outcome.money == "spent"


@pytest.mark.parametrize("status", [400, 401, 403, 431])
def test_an_answer_that_refuses_the_sign_in_itself_leaves_the_payment(status: int) -> None:
    ground = Ground()
    bought(ground)
    answer = ground.pay(called(), signs(), Send=[reply(status), paid()])
    assert answer.outcome is not None
    assert answer.outcome.money == "spent"
    assert len(ground.all(asks.Send)) == 2


@pytest.mark.parametrize("status", [304, 307, 404, 409, 429, 500])
def test_any_other_answer_is_the_sellers_and_costs_nothing(status: int) -> None:
    ground = Ground()
    bought(ground)
    answer = opened(ground, status=status)
    assert answer.status == status
    assert answer.outcome is not None
    names = SIGNED_IN + ["Claim"] * (status >= 400)  # of a payment that is unresolved, if there is one
    assert (answer.outcome.money, ground.names) == ("untouched", names)


@pytest.mark.parametrize("status", [400, 401, 403])
def test_where_nothing_can_be_paid_each_answer_but_a_402_is_handed_over(status: int) -> None:
    ground = Ground()
    assert opened(ground, alone(), status=status).status == status
    with pytest.raises(NoAcceptableOffer, match="the seller answered 402 to it"):
        ground.pay(called(), alone(), Send=alone())


def test_the_account_that_paid_is_the_one_that_signs() -> None:
    ground = Ground()
    hold = bought(ground)
    for chains, signed_on in (((BASE, NETWORK), NETWORK), ((BASE, SOLANA), BASE)):
        opened(ground, signs(chains=chains))
        assert decoded(ground.all(asks.Send)[0].header[1])["chainId"] == signed_on
    assert hold.offer.network == NETWORK


def test_without_a_purchase_the_users_order_of_networks_decides() -> None:
    ground = Ground(Policy(**POLICY, networks=["base-sepolia", "base"]))
    opened(ground, alone(chains=(BASE, NETWORK)))
    assert decoded(ground.all(asks.Send)[0].header[1])["chainId"] == NETWORK
    opened(Ground(), alone(chains=(BASE, NETWORK)))


def test_a_chain_without_a_key_or_beside_the_policy_signs_nothing() -> None:
    said = "the wallet has no key that signs a text for one of its chains, or the policy pays on none of them"
    for ground, chains in ((Ground(), (SOLANA,)), (Ground(Policy(**POLICY, networks=["base-sepolia"])), (BASE,))):
        assert paid_for(ground, signs(chains=chains)) == said


def test_a_challenge_is_signed_once() -> None:
    ground = Ground()
    bought(ground)
    first = signs()
    opened(ground, first)
    assert paid_for(ground, first) == "this same challenge was signed before, and a sign-in is for one use"


@pytest.mark.parametrize(("asked", "offers"), [(signs, 1), (alone, 0)])
def test_of_two_calls_at_once_one_signs_a_challenge(asked: Callable[[], asks.Reply], offers: int) -> None:
    ground = Ground()
    hold, first = bought(ground), asked()

    def judged_at_once(ask: asks.Bought) -> Hold:
        ground.scripted[asks.Bought] = hold
        other = run(pay(called(), first, ground.rules), ground.answer)
        assert other.outcome is not None
        assert other.outcome.signed_in
        return hold

    with nullcontext() if offers else pytest.raises(SigningError, match="was signed before"):
        answer = ground.pay(called(), first, Bought=judged_at_once, Send=[reply(200), paid()])
        assert answer.outcome is not None
        assert answer.outcome.money == "spent"
    assert (len(ground.all(asks.SignText)), len(ground.all(asks.Send))) == (1, 1 + offers)


@pytest.mark.parametrize(("changes", "why"), [
    ({"domain": "bank.example", "uri": "https://bank.example/"}, "it is for 'bank.example'"),
    ({"statement": "a\nURI: https://bank.example"}, "cannot be read: its statement has line breaks"),
    ({"issued": 1.0}, "more than five minutes ago"),
])  # fmt: skip
def test_a_challenge_that_is_not_sound_is_not_signed(changes: dict[str, Any], why: str) -> None:
    ground = Ground()
    bought(ground)
    assert why in paid_for(ground, signs(**changes))


def test_a_sign_in_of_the_callers_own_is_left_alone() -> None:
    ground = Ground()
    bought(ground)
    said = "the request has a sign-in of its own already"
    assert paid_for(ground, no_sign_in=said) == said


def test_an_allowance_for_other_hosts_signs_nothing_here() -> None:
    ground = Ground()
    bought(ground)
    terms = AllowanceTerms("run", "allowance run", ("1",), hosts=("other.example",))
    call = called()
    call.mandate = call.mandate.__class__(allowances=(AllowanceRules.of(terms),))
    quote = run(inspect(call, signs(), ground.rules), ground.answer)
    assert quote is not None
    assert quote.sign_in is not None
    assert "run" in str(quote.sign_in.reason)


def test_a_ledger_that_cannot_be_asked_signs_nothing() -> None:
    ground = Ground()
    quote = run(inspect(called(), signs(), ground.rules), ground.answer)
    ground.scripted[asks.Bought] = LedgerUnavailable("It is locked.")
    quote = run(inspect(called(), signs(), ground.rules), ground.answer)
    assert quote is not None
    assert quote.reasons == ("sign-in: the ledger cannot say what was bought here: It is locked.",)


def test_a_signer_that_fails_leaves_the_payment_and_is_told() -> None:
    ground = Ground()
    bought(ground)
    answer = ground.pay(called(), signs(), SignText=RuntimeError("no"), Send=paid())
    assert answer.outcome is not None
    assert answer.outcome.money == "spent"
    assert str(ground.told[0]).endswith("No sign-in: Signing in failed with RuntimeError. Nothing was sent.")
    with pytest.raises(SigningError):
        ground.pay(called(), alone(), SignText=SigningError("It was refused."))
    assert ground.all(asks.Send) == []


def test_a_signature_by_another_key_does_not_leave() -> None:
    ground = Ground()
    bought(ground)
    ground.pay(called(), signs(), SignText=asks.SignatureGiven(b"\x01" * 65, trusted=False), Send=paid())
    assert [ask.header[0] for ask in ground.all(asks.Send)] == ["PAYMENT-SIGNATURE"]
    assert "is not by" in str(ground.told[0])


def test_a_failure_on_the_way_is_the_librarys_own_and_nothing_was_paid() -> None:
    ground = Ground()
    bought(ground)
    call = called()
    with pytest.raises(ConnectionError):
        ground.pay(call, signs(), Send=ConnectionError("reset"))
    assert (call.attempt.alive, ground.ledger.holds(), ground.all(asks.Reserve)) == (False, (), [])


def test_a_body_that_cannot_be_sent_again_signs_nothing() -> None:
    ground = Ground()
    bought(ground)
    with pytest.raises(BodyNotReplayable):
        ground.pay(called(), signs(), Digest=BodyNotReplayable("It can be read once."))
    assert ground.names == ["Peek", "Bought", "Digest", "Digest"]


def test_a_tool_call_that_carries_its_own_payment_is_left_alone() -> None:
    ground = Ground()
    bought(ground)
    first = signs()
    answer = ground.pay(called(), first, Digest=BodyDigest(b"1" * 32, b"1" * 32, tool=True, hands_off=True))
    assert answer is first
    assert ground.all(asks.SignText) == []


# --- an unresolved payment of the same request


@pytest.mark.parametrize(("seen", "money"), [(asks.Seen(False), "unknown"), (asks.Seen(True), "spent")])
def test_a_2xx_delivers_the_unresolved_payment_and_its_amount_stays_counted(seen: asks.Seen, money: str) -> None:
    ground = Ground()
    hold = bought(ground, "signed")
    call = called()
    answer = ground.pay(call, signs(), Send=reply(200), LookNow=seen)
    outcome = answer.outcome
    assert outcome is not None
    assert (outcome.hold.id, outcome.money, outcome.signed_in) == (hold.id, money, SIGNER.address)
    assert len(ground.all(asks.Send)) == 1
    run(deliver(call, outcome), ground.answer)
    [past] = ground.ledger.history(5)
    assert (past.id, past.state, past.money) == (hold.id, "delivered", money)
    assert past.last is not None
    assert past.last.said == f"a sign-in as {SIGNER.address} brought the content"
    assert (ground.ledger.holds(), ground.spent) == ((), 10_000)


@pytest.mark.parametrize("by_chain", [False, True])
def test_a_sign_in_takes_back_nothing_that_was_shown_paid(by_chain: bool) -> None:
    ground = Ground()
    hold = bought(ground, "signed")
    ground.ledger.note(hold, LastAnswer("spent", 502, "", "0x1", by_chain=by_chain))
    outcome = ground.pay(called(), signs(), Send=reply(200), LookNow=asks.Seen(False)).outcome
    assert outcome is not None
    assert (outcome.money, outcome.hold.money) == ("spent", "spent")
    [open_yet] = ground.ledger.holds()
    assert open_yet.last is not None
    assert (open_yet.told.money, open_yet.last.by_chain, open_yet.last.transaction) == ("spent", by_chain, "0x1")


def test_one_that_the_chain_showed_paid_is_not_asked_about_again() -> None:
    ground = Ground()
    hold = bought(ground, "signed")
    assert ground.ledger.conclude(hold, True)
    answer = opened(ground)
    assert answer.outcome is not None
    assert (answer.outcome.money, ground.all(asks.LookNow)) == ("spent", [])


def test_one_that_a_sign_in_does_not_open_is_presented_again() -> None:
    ground = Ground()
    hold = bought(ground, "signed")
    answer = ground.pay(called(), signs(), Send=[signs(), paid()])
    assert answer.outcome is not None
    assert (answer.outcome.hold.id, len(ground.ledger.holds())) == (hold.id, 1)
    assert [ask.header[0] for ask in ground.all(asks.Send)] == ["SIGN-IN-WITH-X", "PAYMENT-SIGNATURE"]
    assert ground.all(asks.SignTyped) == []


@pytest.mark.parametrize("failure", [LedgerUnavailable("It is locked."), AlreadyPaid("Under this key.")])
def test_an_answer_is_not_lost_to_a_ledger_that_says_no(failure: Exception) -> None:
    ground = Ground()
    bought(ground)
    answer = ground.pay(called(), signs(), Send=reply(200), Claim=failure)
    assert answer.outcome is not None
    assert answer.outcome.money == "untouched"
    warned = [event for event in ground.told if isinstance(event, events.Warned)]
    assert len(warned) == isinstance(failure, LedgerUnavailable)


def test_the_payment_to_another_seller_stays_as_it_is() -> None:
    ground = Ground()
    hold = bought(ground, "signed")
    elsewhere = Origin("https", "other.example", 443)
    first = alone(domain="other.example", uri="https://other.example/", resources=[])
    answer = ground.pay(called(origin=elsewhere), first, Send=reply(200), Bought=None)
    assert answer.outcome is not None
    assert answer.outcome.money == "untouched"
    assert [(one.id, one.in_flight) for one in ground.ledger.holds()] == [(hold.id, False)]


# --- quotes


def test_a_quote_says_that_a_sign_in_would_come_first() -> None:
    ground = Ground()
    bought(ground)
    quote = run(inspect(called(), signs(), ground.rules), ground.answer)
    assert quote is not None
    assert quote.sign_in is not None
    assert (quote.sign_in.reason, quote.choice is not None, quote.reasons) == (None, True, ())
    assert "sign-in first" in repr(quote)
    assert ground.all(asks.SignText) == []


def test_a_place_that_is_refused_signs_nothing() -> None:
    ground = Ground(Policy(**POLICY, hosts={"api.example.com": "deny"}, sign_in="always"))
    quote = run(inspect(called(), signs(), ground.rules), ground.answer)
    assert quote is not None
    assert quote.sign_in is not None
    assert "denied" in str(quote.sign_in.reason)
    with pytest.raises(Exception, match="denied"):
        opened(ground, alone())
    assert ground.all(asks.SignText) == []
