"""The tree of errors: whose fault, what happened to the money, and how to find one inside what an SDK raised."""

from __future__ import annotations

import pickle
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from x402_client import Money, errors
from x402_client.errors import X402Error, find
from x402_client.ledgers.conformance.fixtures import order, purchase
from x402_client.model.holds import Hold

UNTOUCHED, HELD, SPENT, UNKNOWN = "untouched", "held", "spent", "unknown"
TREE: dict[str, tuple[str, str]] = {
    "X402Error": ("Exception", UNTOUCHED),
    "QuoteError": ("X402Error", UNTOUCHED),
    "MalformedQuote": ("QuoteError", UNTOUCHED),
    "UnsupportedVersion": ("QuoteError", UNTOUCHED),
    "PaymentRefused": ("X402Error", UNTOUCHED),
    "NoAcceptableOffer": ("PaymentRefused", UNTOUCHED),
    "OverLimit": ("PaymentRefused", UNTOUCHED),
    "TooExpensive": ("OverLimit NoAcceptableOffer", UNTOUCHED),
    "AllowanceEnded": ("OverLimit", UNTOUCHED),
    "SameRequest": ("OverLimit", UNTOUCHED),
    "HostNotAllowed": ("PaymentRefused", UNTOUCHED),
    "ApprovalDenied": ("PaymentRefused", UNTOUCHED),
    "Frozen": ("PaymentRefused", UNTOUCHED),
    "PaymentNotSent": ("X402Error", UNTOUCHED),
    "SigningError": ("PaymentNotSent", UNTOUCHED),
    "ChainUnavailable": ("PaymentNotSent", UNTOUCHED),
    "LedgerUnavailable": ("PaymentNotSent", UNTOUCHED),
    "InsufficientFunds": ("PaymentNotSent", UNTOUCHED),
    "BodyNotReplayable": ("PaymentNotSent", UNTOUCHED),
    "PaymentRejected": ("X402Error", HELD),
    "PaymentOutcomeUnknown": ("X402Error", UNKNOWN),
    "PaidNotDelivered": ("X402Error", SPENT),
    "AlreadyPaid": ("X402Error", SPENT),
    "DiscoveryUnavailable": ("X402Error", UNTOUCHED),
    "ConfigurationError": ("X402Error", UNTOUCHED),
}
HOLD = Hold("1", purchase(), order().offer, Money("0.01"), 0.0)
KINDS = [getattr(errors, name) for name in TREE]
POINTER = "More: x402 manual "


def test_the_tree_is_whole() -> None:
    defined = {k for k, v in vars(errors).items() if isinstance(v, type) and issubclass(v, BaseException)}
    assert defined == set(TREE)


@pytest.mark.parametrize("name", TREE)
def test_whose_fault_and_what_happened_to_the_money(name: str) -> None:
    parents, money = TREE[name]
    kind = getattr(errors, name)
    assert [base.__name__ for base in kind.__bases__] == parents.split()
    assert kind("what was found").money == money
    assert kind.__doc__


def test_the_drawing_at_the_top_is_the_tree() -> None:
    drawn = re.findall(r"^[│├└─ ]*([A-Z]\w+)(?=  |$|\n| )", (errors.__doc__ or "").split("\n\n")[1], re.MULTILINE)
    assert sorted(drawn) == sorted(TREE)


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_takes_the_same_facts_and_can_be_pickled(kind: type[X402Error]) -> None:
    bare = kind("said")
    assert bare.args == ("said",)
    assert (bare.hold, bare.offer, bare.response, str(bare)) == (None, None, None, f"said. {POINTER}{kind.manual_page}")
    full = kind("said", hold=HOLD, offer=HOLD.offer, response="r")
    again = pickle.loads(pickle.dumps(full))
    assert (again.hold, again.offer, again.response, again.args) == (full.hold, HOLD.offer, "r", ("said",))
    assert str(again) == str(full) == str(bare)
    assert type(again) is kind


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("money", [None, "untouched", "held", "spent", "unknown"])
def test_an_errors_hold_says_of_the_money_what_the_error_says(kind: type[X402Error], money: Any) -> None:
    error = kind("said")
    error.hold = HOLD
    if money is not None:
        error.money = money
    assert error.hold is not None
    assert error.hold.money == error.money
    assert error.hold.but(money="held") == HOLD
    assert pickle.loads(pickle.dumps(error)).hold.money == error.money


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        (errors.NoAcceptableOffer, {"reasons": ("a", "b")}),
        (errors.OverLimit, {"limit": Money("1"), "asked": Money("2"), "spent": Money("0"), "resets_at": None}),
        (errors.OverLimit, {"host": "*.example.com", "window": "day", "allowance": None}),
        (errors.HostNotAllowed, {"resets_at": None}),
        (errors.Frozen, {"allowance": "run-42"}),
        (errors.HostNotAllowed, {"resets_at": datetime(2030, 1, 1, tzinfo=UTC)}),
        (errors.TooExpensive, {"limit": Money("1"), "asked": Money("2"), "reasons": ("a",), "spent": None}),
        (errors.PaymentOutcomeUnknown, {"wait_until": None}),
        (errors.AlreadyPaid, {"receipt": "r"}),
    ],
)
def test_facts_of_their_own_survive_a_pickle(kind: type[X402Error], facts: dict[str, Any]) -> None:
    error = pickle.loads(pickle.dumps(kind("said", **facts)))
    assert {name: getattr(error, name) for name in facts} == facts


class TheirSigner(errors.SigningError):
    """Somebody else's error."""


class Joined(errors.PaymentOutcomeUnknown, OSError):
    """One that is a library's own error, too."""


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (errors.OverLimit("Too much."), "Too much. More: x402 manual errors/over-limit"),
        (errors.TooExpensive("Too dear"), "Too dear. More: x402 manual errors/too-expensive"),
        (X402Error("Why?"), "Why? More: x402 manual errors/x402-error"),
        (TheirSigner("Gone!"), "Gone! More: x402 manual errors/signing-error"),
        (Joined("It left (so it is)"), "It left (so it is) More: x402 manual errors/payment-outcome-unknown"),
        (errors.ConfigurationError("one\ntwo."), "one\ntwo.\nMore: x402 manual errors/configuration-error"),
        (errors.Frozen(""), "More: x402 manual errors/frozen"),
    ],
)
def test_a_message_ends_with_the_page_of_the_manual(error: X402Error, shown: str) -> None:
    assert str(error) == shown
    assert str(pickle.loads(pickle.dumps(error))) == shown


def test_a_message_that_quotes_another_error_names_one_page() -> None:
    inner = errors.LedgerUnavailable("The disk is full.")
    outer = errors.PaymentOutcomeUnknown(f"It left, and then: {inner} Make the same request again.")
    assert outer.args == ("It left, and then: The disk is full. Make the same request again.",)
    assert str(outer).endswith(f" again. {POINTER}errors/payment-outcome-unknown")


def test_an_error_without_a_message_names_its_page_all_the_same() -> None:
    error = X402Error("x")
    error.args = ()
    assert str(error) == f"{POINTER}errors/x402-error"


def wrapped(error: BaseException, *, cause: bool) -> Exception:
    try:
        try:
            raise error
        except BaseException as inner:
            if cause:
                raise RuntimeError("an SDK") from inner
            raise RuntimeError("an SDK")  # noqa: B904
    except RuntimeError as outer:
        return outer


OURS = errors.Frozen("stopped")


@pytest.mark.parametrize(
    "outer",
    [
        OURS,
        wrapped(OURS, cause=True),
        wrapped(OURS, cause=False),
        wrapped(wrapped(OURS, cause=True), cause=False),
        ExceptionGroup("tasks", [ValueError(), wrapped(OURS, cause=True)]),
        BaseExceptionGroup("tasks", [KeyboardInterrupt(), ExceptionGroup("inner", [OURS])]),
    ],
)
def test_find_sees_through_what_others_wrapped(outer: BaseException) -> None:
    assert find(outer) is OURS


def test_find_hides_nothing_that_was_suppressed_with_from_none() -> None:
    def sdk() -> None:
        try:
            raise OURS
        except X402Error:
            raise RuntimeError("an SDK") from None

    with pytest.raises(RuntimeError) as caught:
        sdk()
    assert find(caught.value) is OURS


def test_find_takes_the_nearest() -> None:
    near = errors.SigningError("near")
    near.__cause__ = errors.ChainUnavailable("far")
    assert find(wrapped(near, cause=True)) is near


def test_find_ends_where_there_is_none() -> None:
    loop = ValueError()
    loop.__cause__ = other = TypeError()
    other.__context__ = loop
    assert find(loop) is None
    assert find(None) is None
    assert find(ValueError("no")) is None


class _Answer:
    """A response of requests, or with ``extensions`` one of httpx."""

    def __init__(self, refusal: object, in_extensions: bool) -> None:
        if in_extensions:
            self.extensions = {"x402_refusal": refusal}
        else:
            self.x402_refusal = refusal


@pytest.mark.parametrize("in_extensions", [True, False])
@pytest.mark.parametrize("hung", [errors.Frozen("stopped"), None, "words", ValueError("not ours")])
def test_a_refusal_hangs_on_the_response_of_what_was_raised(hung: object, in_extensions: bool) -> None:
    status_error = RuntimeError("402")
    status_error.response = _Answer(hung, in_extensions)  # type: ignore[attr-defined]
    outer = RuntimeError("the SDK's own")
    outer.__cause__ = status_error
    assert errors.find(outer) is (hung if isinstance(hung, errors.X402Error) else None)


def test_a_property_that_fails_is_not_asked() -> None:
    class Lazy(Exception):
        @property
        def response(self) -> object:
            raise RuntimeError("read it first")

    assert errors.find(Lazy()) is None
