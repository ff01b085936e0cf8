"""An offer by Permit2 that cannot be paid now: another one is taken, or the call waits a few seconds."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest

from tests.schemes.test_permit2 import EXTRA
from tests.schemes.test_permits import DOMAIN, TAKEN
from tests.wire.terms import entry, quoted
from x402_client.chains.token_permits import PermitFacts
from x402_client.core import asks
from x402_client.core.other_offers import _PATIENCE, another
from x402_client.errors import InsufficientFunds, PaymentNotSent, PaymentOutcomeUnknown, SigningError
from x402_client.events import Warned
from x402_client.model.budgets import PERMITS, purses_to_show
from x402_client.schemes.permits import KEY
from x402_client.schemes.token_domain import separator

from .scripted_flow import Ground, called, paid
from .scripted_flow import asking as asking_for
from .test_ceilings import ALLOWED, ENDPOINT

BY_PERMIT2 = entry(extra=EXTRA["exact"])
DEARER = entry(amount="20000")


def asking(*entries: dict[str, Any], extensions: Any = None) -> asks.Reply:
    return asking_for(*entries, extensions=TAKEN if extensions is None else extensions)


def ground(have: int = 0, nonce: int = 0, **scripted: Any) -> Ground:
    there = Ground(ALLOWED, **ENDPOINT)

    def fetch(ask: asks.Fetch[Any]) -> Any:
        named = ask.read.__code__.co_names
        if "_look_again" in named:  # no bit is set
            return have, [one for one in there.ledger.holds() if one.authorization]
        of_permits = "permit_facts" in named
        return PermitFacts(nonce, separator(*DOMAIN), int(time.time())) if of_permits else (100, have)

    there.scripted[asks.Fetch] = fetch
    there.scripted.update({getattr(asks, name): what for name, what in scripted.items()})
    return there


def lose_one(there: Ground) -> None:
    """A payment with its permit whose answer is lost."""
    there.scripted[asks.Send] = TimeoutError("lost")
    with pytest.raises(PaymentOutcomeUnknown):
        there.pay(called("GET /other"), asking(BY_PERMIT2))
    there.scripted[asks.Send] = lambda ask: paid()


def payment(there: Ground) -> dict[str, Any]:
    [sent] = there.all(asks.Send)
    found: dict[str, Any] = json.loads(base64.b64decode(sent.header[1]))
    return found


def test_a_permit_is_added_to_what_the_seller_declared() -> None:
    there = ground()
    declared = TAKEN | {"bazaar": {"info": {}}, "payment-identifier": {"info": {}}}
    there.pay(called(), asking(BY_PERMIT2, extensions=declared))
    sent = payment(there)["extensions"]
    assert sent[KEY]["info"]["description"] == "words"
    assert sent[KEY]["info"]["amount"] == "10000"
    assert sent[KEY]["schema"] == {}
    assert sent["bazaar"] == {"info": {}}
    assert sent["payment-identifier"]["info"]["id"].startswith("pay_")
    assert there.spent == 10_000
    kinds = [type(ask) for ask in there.asked]
    assert kinds.count(asks.Record) == 2
    assert kinds.index(asks.Record) < kinds.index(asks.Send)


@pytest.mark.parametrize("declared", [7, {"info": 7}, {}])
def test_an_extension_of_another_shape_takes_no_permit_or_a_plain_one(declared: Any) -> None:
    there = ground()
    if not isinstance(declared, dict):
        with pytest.raises(InsufficientFunds):
            there.pay(called(), asking(BY_PERMIT2, extensions={KEY: declared}))
        return
    there.pay(called(), asking(BY_PERMIT2, extensions={KEY: declared}))
    assert payment(there)["extensions"][KEY]["info"]["amount"] == "10000"


def test_offers_of_another_method_have_nothing_of_it() -> None:
    there = ground()
    there.pay(called(), asking(entry(), extensions=TAKEN))
    assert payment(there)["extensions"] == TAKEN


@pytest.mark.parametrize("extensions", [{}, {"erc20ApprovalGasSponsoring": {"info": {}}}])
def test_without_an_allowance_another_offer_is_paid(extensions: dict[str, Any]) -> None:
    there = ground()
    there.pay(called(), asking(BY_PERMIT2, DEARER, extensions=extensions))
    assert payment(there)["accepted"]["amount"] == "20000"
    assert there.spent == 20_000
    [warned] = [event for event in there.told if isinstance(event, Warned)]
    assert "approved 0 USDC" in warned.problem


def test_without_another_one_the_failure_is_told_and_the_budget_is_given_back() -> None:
    there = ground()
    with pytest.raises(InsufficientFunds) as refused:
        there.pay(called(), asking(BY_PERMIT2, entry(amount="90000000"), extensions={}))
    assert (there.spent, there.all(asks.Send), there.all(asks.Pause)) == (0, [], [])
    assert refused.value.offer is not None
    assert refused.value.offer.position == 1


def test_while_a_permit_is_under_way_another_offer_is_paid_at_once() -> None:
    there = ground()
    lose_one(there)
    there.pay(called(), asking(BY_PERMIT2, DEARER))
    assert payment(there)["accepted"]["amount"] == "20000"
    assert there.all(asks.Pause) == []


def test_else_it_waits_until_the_nonce_is_free_and_the_approver_is_asked_once() -> None:
    there = ground()
    lose_one(there)
    waits: list[float] = []

    def pause(ask: asks.Pause) -> None:
        waits.append(ask.seconds)
        if len(waits) == 3:
            [hold] = there.ledger.holds(PERMITS)
            there.ledger.conclude(hold, settled=False)
            there.ledger.write_off(next(one for one in there.ledger.holds() if one.authorization))

    there.scripted[asks.Pause] = pause
    there.pay(called(), asking(BY_PERMIT2))
    assert waits == [0.25] * 3
    assert KEY in payment(there)["extensions"]


def test_else_it_waits_a_few_seconds_and_names_the_deadline() -> None:
    there = ground()
    lose_one(there)
    with pytest.raises(PaymentNotSent, match="It is good until") as waits:
        there.pay(called(), asking(BY_PERMIT2))
    assert [ask.seconds for ask in there.all(asks.Pause)] == list(_PATIENCE)
    assert (waits.value.money, there.spent) == ("untouched", 10_000)
    assert waits.value.hold is not None
    assert waits.value.hold.state == "released"


def test_another_failure_leads_to_no_other_offer() -> None:
    there = ground(SignTyped=SigningError("no"))
    with pytest.raises(SigningError):
        there.pay(called(), asking(BY_PERMIT2, DEARER))
    assert there.spent == 0


def test_the_reason_stands_in_the_quote() -> None:
    there, quote = ground(), quoted(BY_PERMIT2, DEARER, extensions=TAKEN)
    failure = PaymentNotSent("it waits", offer=quote.offers[0])
    assert another(called(), quote, failure, there.rules) is None, "nothing may be done instead"
    failure.instead = "another"
    left = another(called(), quote, failure, there.rules)
    assert left is not None
    assert left.reasons[-1].endswith("it waits")
    failure.offer = None
    assert another(called(), quote, failure, there.rules) is None


def test_the_purse_of_permits_is_in_no_list() -> None:
    assert purses_to_show(["a", PERMITS]) == ("a",)
