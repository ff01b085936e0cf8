"""What a model is told to do next, for every class of errors and every state of the money."""

from __future__ import annotations

import contextlib
import inspect
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest

from tests.ledgers.redis.server import Server as Redis
from tests.wire.terms import KEY
from x402_client import Buyer, Money, Wallet, errors
from x402_client import httpx as face
from x402_client.agents import arguments, results, tools
from x402_client.agents.advice import MOST_PRESENTED, Next, next_after, next_after_status
from x402_client.agents.asking import Answer
from x402_client.agents.hosts import NotFetched
from x402_client.buyer.environment import no_wallet
from x402_client.core.error_names import name_of
from x402_client.core.last_answer import with_last
from x402_client.core.next_step import next_step
from x402_client.errors import MoneyState, X402Error
from x402_client.ledgers.conformance.fixtures import order, purchase
from x402_client.ledgers.refusals import check_key
from x402_client.model.holds import Attempt, Authorization, Hold, LastAnswer, Outcome
from x402_client.sandbox import FAULTS, Sandbox

KINDS: list[type[X402Error]] = [
    kind for name in errors.__all__ if inspect.isclass(kind := getattr(errors, name)) and issubclass(kind, X402Error)
]
AHEAD = datetime.now(UTC) + timedelta(minutes=5)
HOLD = Hold("1", purchase(), order().offer, Money("0.01"), 0.0, "signed")
REPEAT, STOP, PERSON = "repeat", "stop", "ask a person"

#: For each class, as it is raised: with the money of its class.
NEXT: dict[str, str] = {
    "X402Error": PERSON, "QuoteError": STOP, "MalformedQuote": STOP, "UnsupportedVersion": STOP, "PaymentRefused": STOP,
    "NoAcceptableOffer": STOP, "OverLimit": PERSON, "TooExpensive": STOP, "HostNotAllowed": STOP,
    "ApprovalDenied": STOP, "Frozen": PERSON, "PaymentNotSent": REPEAT, "SigningError": PERSON,
    "ChainUnavailable": REPEAT, "LedgerUnavailable": PERSON, "InsufficientFunds": PERSON, "BodyNotReplayable": STOP,
    "PaymentRejected": REPEAT, "PaymentOutcomeUnknown": PERSON, "PaidNotDelivered": PERSON, "AlreadyPaid": STOP,
    "DiscoveryUnavailable": REPEAT, "ConfigurationError": PERSON,
}  # fmt: skip


def test_every_class_has_its_advice() -> None:
    advice = {kind.__name__: next_after(kind("said")) for kind in KINDS}
    assert {name: advice[name] for name in NEXT} == NEXT
    assert set(advice.values()) <= set(get_args(Next))


def test_a_payment_that_can_still_settle_is_presented_by_the_same_call() -> None:
    assert next_after(errors.PaymentOutcomeUnknown("said", wait_until=AHEAD)) == REPEAT
    assert next_after(errors.PaymentOutcomeUnknown("said", wait_until=None)) == PERSON


def test_a_refusal_that_tells_of_an_earlier_payment_is_for_a_person() -> None:
    for kind in (errors.PaymentRefused, errors.HostNotAllowed, errors.Frozen):
        refusal = kind("said")
        refusal.hold, refusal.money = HOLD, "held"
        assert next_after(refusal) == PERSON


def test_an_empty_wallet_is_for_a_person_to_fill() -> None:
    error = errors.PaymentRejected("Send USDC on base to 0x2 first; `x402 wallet balance` shows it.", hold=HOLD)
    assert next_after(error) == REPEAT
    error.hold = HOLD.but(last=LastAnswer("held", 402, "insufficient_funds", short=True))
    found = results.failed(error)
    assert (found["next"], found["money"]) == (PERSON, "held")
    assert found["says"] == "Send USDC on base to 0x2 first. Tell the user: it is the payment 1 in the ledger."


@pytest.mark.parametrize("tries", range(3, 9))
def test_a_payment_that_is_refused_time_and_again_is_repeated_at_a_time_and_not_before(tries: int) -> None:
    soon = Authorization("0x1", "0x2", int(datetime.now(UTC).timestamp()) + 60, ("", ""))
    last = LastAnswer("held", 402, "no")
    hold = HOLD.but(authorization=soon, tries=tries, last=last)
    found = results.failed(errors.PaymentRejected(f"It was refused. {next_step(hold)}", hold=hold))
    assert found["next"] == REPEAT
    assert re.search(
        r"Make the same call again in (5\d|6[01]) seconds, not before: it asks the chain first", found["says"]
    )
    assert "after that time" not in found["says"]


@pytest.fixture(params=["a file", "a server"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "a file":
        yield str(tmp_path / "spend.db")
        return
    server = Redis(tmp_path)
    yield server.url
    server.kill()


@pytest.mark.parametrize("others", [(), ("bank",), ("bank", "till")])
def test_a_ledger_or_a_purse_that_has_to_be_there_is_missed_in_words_for_a_model(
    place: str, others: tuple[str, ...]
) -> None:
    for purse in others:
        with contextlib.closing(Buyer(Wallet(evm=KEY), ledger=place, purse=purse, on_event=bool)) as buyer:
            buyer.ledger.reserve(order(purchase(purse=purse)), Attempt())
    with pytest.raises(errors.LedgerUnavailable) as raised:
        Buyer(Wallet(evm=KEY), ledger=place, purse="shop", must_exist=True, rpc={}).spent()
    found = results.failed(raised.value)
    assert (found["next"], found["money"]) == (PERSON, "untouched")
    assert "must_exist" not in found["says"]
    assert "Nothing is paid" in found["says"]
    assert all(purse in found["says"] for purse in others)


def test_a_pause_passes_by_itself_so_the_model_repeats_later() -> None:
    pause = "Payments to a.example are paused until 2030-01-01 00:00:00 UTC. Buyer(breaker_after=...) sets it."
    for seconds, when in ((59.5, "60 seconds"), (1, "1 second"), (-5, "1 second")):
        found = results.failed(errors.HostNotAllowed(pause, resets_at=datetime.now(UTC) + timedelta(seconds=seconds)))
        assert (found["next"], found["money"]) == (REPEAT, "untouched")
        assert found["says"] == (
            "Payments to a.example are paused until 2030-01-01 00:00:00 UTC. "
            f"Make the same call again in {when}, not before."
        )


def test_a_request_that_was_bought_too_often_is_stopped_and_says_when_it_is_bought_anew() -> None:
    for seconds, when in ((59.5, "60 seconds"), (1, "1 second"), (None, "")):
        resets_at = None if seconds is None else datetime.now(UTC) + timedelta(seconds=seconds)
        found = results.failed(errors.SameRequest("1 is counted. Nothing was paid.", resets_at=resets_at))
        anew = f" It can be bought anew in {when}." if when else ""
        assert found["next"] == STOP
        assert found["says"] == f"1 is counted. Nothing was paid. Use what it brought before.{anew}"


def test_a_wallet_that_is_missing_is_told_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command, for once: the model passes it on to the person who types it."""
    for others in ({}, {"EVM_PRIVATE_KEY": "0x1"}):
        for name, value in others.items():
            monkeypatch.setenv(name, value)
        found = results.failed(errors.SigningError(f"{no_wallet()} Nothing was sent."))
        assert (found["next"], found["money"]) == (PERSON, "untouched")
        assert found["says"] == (
            "There is no wallet to pay with. Nothing was paid. Tell the user: x402 wallet new, typed in a terminal, "
            "makes a wallet. Start this program again after that."
        )


def test_a_key_of_another_request_is_no_case_for_a_repeat() -> None:
    with pytest.raises(errors.PaymentRefused) as raised:
        check_key(HOLD, purchase("another"))
    found = results.failed(raised.value)
    assert (found["next"], found["money"]) == (STOP, "untouched")
    assert "Nothing was paid. Repeat that one as it was." in found["says"]
    assert "key of its own" not in found["says"]


@pytest.mark.parametrize("money", get_args(MoneyState))
@pytest.mark.parametrize("wait_until", [None, AHEAD, AHEAD - timedelta(hours=1)])
@pytest.mark.parametrize("kind", KINDS)
def test_no_advice_loses_money_or_asks_for_it_again(kind: type[X402Error], wait_until: Any, money: MoneyState) -> None:
    """Classes answer for one state each; an error may still know better, like "spent" where the chain showed it."""
    error = kind("said")
    error.money = money
    if isinstance(error, errors.PaymentOutcomeUnknown):
        error.wait_until = wait_until
    advice = next_after(error)
    assert advice in get_args(Next)
    if money in ("held", "unknown") and not isinstance(error, errors.AlreadyPaid):
        # a payment of this call is out: only the same call presents it again, and a person knows what a model cannot
        assert advice in (REPEAT, PERSON)
    if money == "spent":
        waits = isinstance(error, errors.PaymentRejected)
        waits = waits or (isinstance(error, errors.PaymentOutcomeUnknown) and wait_until is not None)
        assert advice == (REPEAT if waits else STOP if isinstance(error, errors.AlreadyPaid) else PERSON)
    if isinstance(error, errors.PaymentRefused) and money == "untouched":
        assert advice != REPEAT


@pytest.mark.parametrize("kind", KINDS)
def test_a_result_is_written_as_json_and_has_all_that_was_promised(kind: type[X402Error]) -> None:
    found = results.failed(kind("It was found. Nothing was paid."))
    says = found.pop("says")
    assert json.loads(json.dumps(found)) == found == {
        "ok": False, "error": kind.__name__, "money": kind("").money, "next": next_after(kind("")),
    }  # fmt: skip
    assert says.startswith("It was found. Nothing was paid.")
    if issubclass(kind, errors.PaymentRefused):
        assert says != "It was found. Nothing was paid."  # what to do follows


def test_a_class_of_another_package_or_of_a_face_is_named_by_the_nearest_of_ours() -> None:
    class Mine(errors.OverLimit):
        """One of a user's."""

    assert (name_of(Mine("said")), next_after(Mine("said"))) == ("OverLimit", PERSON)
    joined: Any = face.OutcomeUnknownReadTimeout("said")  # type: ignore[attr-defined]
    joined.wait_until = AHEAD
    assert (name_of(joined), next_after(joined)) == ("PaymentOutcomeUnknown", REPEAT)


def test_an_error_of_ours_inside_of_anothers_is_found() -> None:
    try:
        try:
            raise errors.Frozen("Payments are stopped.")
        except errors.Frozen as ours:
            raise RuntimeError("wrapped") from ours
    except RuntimeError as outer:
        found = results.failed(outer)
    assert (found["error"], found["next"]) == ("Frozen", PERSON)


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (httpx.ReadTimeout("slow"), ("ReadTimeout", "untouched", REPEAT)),
        (TimeoutError(), ("TimeoutError", "unknown", REPEAT)),
        (ConnectionResetError("reset"), ("ConnectionResetError", "unknown", REPEAT)),
        (FileNotFoundError("hook"), ("FileNotFoundError", "unknown", PERSON)),
        (NotFetched("no"), ("NotFetched", "untouched", STOP)),
        (KeyError("x"), ("KeyError", "unknown", PERSON)),
    ],
)
def test_a_failure_that_is_not_ours_is_judged_by_its_kind(failure: Exception, expected: tuple[str, ...]) -> None:
    found = results.failed(failure)
    assert (found["error"], found["money"], found["next"]) == expected


@pytest.mark.parametrize("money", ["held", "unknown", "spent"])
def test_a_paid_answer_that_leads_where_no_tool_may_ask_is_for_a_person(money: MoneyState) -> None:
    failure: Any = NotFetched("It redirects to a private address.")
    failure.outcome = Outcome(money, with_last(HOLD, money, 302, leads_to="http://10.0.0.1/poem"), HOLD.offer)
    found = results.failed(failure)
    assert (found["money"], found["next"]) == (money, PERSON)
    assert "Its answer led to http://10.0.0.1/poem: the content may be there, free." in found["says"]
    assert ("It was paid for before that." in found["says"]) is (money == "spent")
    assert "the same call again" not in found["says"]


#: Words that say that the money was taken.
TAKEN = re.compile(r"(?<!Nothing )(?<!nothing new )(?<!whether it )\b(?:was|were) paid\b|\bcall paid\b")


@pytest.mark.parametrize("times", [1, 4])
@pytest.mark.parametrize("fault", [name for name in FAULTS if FAULTS[name].pay and "hang" not in name])
def test_paid_is_said_of_money_that_was_taken_alone(seller: Sandbox, fault: str, times: int) -> None:
    with httpx.Client(timeout=5) as client:
        own = tools(client, seller.buyer(breaker_after=None, repeat=()), hosts=["127.0.0.1"])
        url = seller.sell("/poem", "0.02", fault=[fault] * 12)
        for _ in range(times):
            found = own.paid_fetch(url)
    if found.get("money") != "spent" and not (found["ok"] and "money" not in found):
        assert not TAKEN.search(found.get("says", "")), found
        assert found.get("paid") is None
        assert not found["ok"] or found["presented"] == "0.02 USD"


@pytest.mark.parametrize(
    ("status", "money", "advice"),
    [(404, None, STOP), (402, None, STOP), (429, None, REPEAT), (503, None, REPEAT), (500, "held", REPEAT),
     (404, "held", REPEAT), (404, "unknown", REPEAT), (404, "spent", PERSON), (503, "spent", REPEAT)],
)  # fmt: skip
def test_an_answer_that_is_no_content_is_judged_by_status_and_money(status: int, money: Any, advice: str) -> None:
    paid = None if money is None else Outcome(money, HOLD, HOLD.offer)
    assert next_after_status(status, paid) == advice


def test_an_allowance_that_is_used_up_is_not_raised_but_followed_by_another() -> None:
    found = results.failed(errors.OverLimit("It is over. Nothing was paid.", allowance="run-42"))
    assert (found["next"], found["says"]) == (
        PERSON,
        "It is over. Nothing was paid. Only the user can open another allowance.",
    )


def test_the_calls_own_cap_is_told_from_the_policys() -> None:
    too_dear = errors.TooExpensive("No offer was acceptable.", limit=Money("0.05"), asked=Money("1"))
    by_call = results.failed(too_dear, Money("0.05"))
    assert (by_call["next"], by_call["says"]) == (
        STOP, "It costs 1.00 USD, and max_usd of this call allows 0.05 USD. Nothing was paid.",
    )  # fmt: skip
    for by_policy in (results.failed(too_dear, Money("0.50")), results.failed(too_dear)):
        assert (by_policy["next"], by_policy["says"]) == (
            STOP,
            "It costs 1.00 USD, and one payment may cost 0.05 USD. Nothing was paid. Only the user can raise this "
            "limit.",
        )


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ("All payments are frozen; buyer.unfreeze('*') lifts it. Nothing was sent.",
         "All payments are frozen. Nothing was sent. Only the user can lift this."),
        ("Stopped. `x402 ledger unfreeze` lifts it.", "Stopped. Only the user can lift this."),
        ("Write Policy(hosts=...).", "Only the user can lift this."),
        ("Raise per_request. Nothing was paid.", "Nothing was paid. Only the user can lift this."),
        ("It said (as ever): no; and no again.", "It said (as ever): no; and no again. Only the user can lift this."),
    ],
)  # fmt: skip
def test_a_model_is_told_no_python_and_no_commands(message: str, says: str) -> None:
    assert results.failed(errors.Frozen(message))["says"] == says


@pytest.mark.parametrize("kind", [errors.PaymentRejected, errors.PaymentOutcomeUnknown])
def test_a_payment_that_was_presented_often_needs_a_person(kind: Any) -> None:
    """The rule of a loop: a seller that brought nothing in ten presentations is not asked again by a model."""
    text = "Nothing came. Make the same request again: it presents the same payment. buyer.write_off(x) ends it."
    error = kind(text, hold=HOLD.but(tries=MOST_PRESENTED - 2))
    error.wait_until = AHEAD
    found = results.failed(error)
    assert (found["next"], found["says"]) == (
        REPEAT, "Nothing came. Make the same call again: it presents the same payment.",
    )  # fmt: skip
    error.hold = HOLD.but(tries=MOST_PRESENTED - 1)
    found = results.failed(error)
    assert (found["next"], found["says"]) == (
        PERSON,
        "Nothing came. It was presented 10 times. Do not repeat it. Tell the user: it is the payment 1 in the ledger.",
    )


@pytest.mark.parametrize("status", [404, 503])
def test_an_answer_to_a_payment_that_was_presented_often_needs_a_person(status: int) -> None:
    worn = Outcome("unknown", HOLD.but(tries=MOST_PRESENTED), HOLD.offer)
    assert next_after_status(status, worn) == PERSON
    assert (
        "Tell the user: payment 1" in results.answered(Answer(status, "https://a.example/", outcome=worn), "a")["says"]
    )
    failure: Any = NotFetched("It redirects to a private address.")
    failure.outcome = worn
    assert (results.failed(failure)["next"], "Tell the user" in results.failed(failure)["says"]) == (PERSON, True)


def test_a_mistake_in_an_argument_is_one_whatever_caused_it() -> None:
    with pytest.raises(NotFetched) as mistake:
        arguments.most("abc")
    assert mistake.value.__context__ is not None
    found = results.failed(mistake.value)
    assert (found["error"], found["money"], found["next"]) == ("NotFetched", "untouched", STOP)


def test_a_sentence_that_hangs_on_one_about_a_repeat_goes_with_it() -> None:
    last, soon = LastAnswer("held", 402, "no"), int(datetime.now(UTC).timestamp()) + 60
    hold = HOLD.but(authorization=Authorization("0x1", "0x2", soon, ("", "")), tries=MOST_PRESENTED, last=last)
    says = results.failed(errors.PaymentRejected(f"It was refused. {next_step(hold)}", hold=hold))["says"]
    assert says.endswith(
        "and another time before then will hardly help. Do not repeat it. Tell the user: it is the payment 1 in the "
        "ledger."
    )


@pytest.mark.parametrize("size", [10, 900, 1_000, 5_000])
@pytest.mark.parametrize("tries", [0, MOST_PRESENTED])
def test_what_a_person_needs_is_said_after_any_words_of_a_sellers(size: int, tries: int) -> None:
    """The payment is named at the end, and is there however long the rest is."""
    error = errors.PaidNotDelivered("x" * size + ". Nothing came.", hold=HOLD.but(id="abcdef012345", tries=tries))
    found = results.failed(error)
    assert (found["next"], found["money"]) == (PERSON, "spent")
    assert found["says"].endswith("Tell the user: it is the payment abcdef012345 in the ledger.")
    assert len(found["says"]) <= 1_000


def test_what_an_error_says_is_bounded() -> None:
    found = results.failed(errors.MalformedQuote("x\n\x1b" * 5_000))
    assert len(found["says"]) <= 1_000
    assert found["says"].isprintable()
