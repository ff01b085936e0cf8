"""The words for payments, one set for all commands, exports and the manual: states, money, and what to do."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from ..core import HttpRequest, body_digest, is_request_of
from ..core.last_answer import is_by_receipt, place_led_to
from ..core.next_step import Case, Step, Words, next_step
from ..core.stops import Stops
from ..model.holds import MARGIN, Hold, moment
from ..model.offers import words
from ..signers.play_keys import takes_play_keys
from .exits import Code
from .in_use import with_options
from .money_labels import TEST, TEST_MONEY
from .running import Stop

#: The states of a payment. One that was released is gone from the ledger.
STATES = ("in flight", "never signed", "unresolved", "lost", "delivered", "written off")
MONEY = ("held", "spent", "unknown")
_SHORTEST_ID = 8


def state_of(hold: Hold) -> str:
    """Return the state of a payment: one of ``STATES``, or "released"."""
    if hold.state in ("delivered", "written_off", "released"):
        return hold.state.replace("_", " ")
    if hold.state == "reserved" and hold.in_flight is False:
        return "never signed"
    if hold.state == "reserved" or hold.in_flight:
        return "in flight"
    return "lost" if is_shown_paid(hold) and is_expired(hold) else "unresolved"


def is_shown_paid(hold: Hold) -> bool:
    """Return True if a payment without its content is paid as the chain shows it: a receipt alone does not show it."""
    return hold.told.money == "spent" and not is_by_receipt(hold)


def share_of(hold: Hold) -> str:
    """Return the column in which a payment's price is added up: its money, or "lost" or "written off"."""
    state = state_of(hold)
    return state if state in ("lost", "written off") else hold.told.money


def is_expired(hold: Hold) -> bool:
    """Return True if the payment cannot settle any more, by this machine's clock."""
    return hold.authorization is not None and hold.authorization.expires <= time.time()


def is_test(hold: Hold) -> bool:
    """Return True for test money, which is worth nothing."""
    return takes_play_keys(hold.offer.network)


def amount_of(hold: Hold) -> str:
    """Return the price. Of a ceiling any part may be taken, and what the chain shows of it is a bound."""
    if hold.charge is not None and not hold.is_open_ceiling and hold.price.units:
        return f"at most {hold.price}"
    return f"up to {hold.price}" if hold.is_open_ceiling else f"{hold.price}"


def price_of(hold: Hold) -> str:
    """Return the amount in words. One in test money says so."""
    return amount_of(hold) + (f", {TEST_MONEY}" if is_test(hold) and "(test)" not in hold.price.currency else "")


def short_price_of(hold: Hold) -> str:
    """Return the price for a narrow column."""
    return amount_of(hold) + (f", {TEST}" if is_test(hold) and "(test)" not in hold.price.currency else "")


def short_ids(holds: Iterable[Hold]) -> dict[str, str]:
    """Return the beginning of each hold's id that no other one has."""
    ids = [hold.id for hold in holds]
    for length in range(_SHORTEST_ID, 1 + max(map(len, ids), default=0)):
        if len({one[:length] for one in ids}) == len(ids):
            return {one: one[:length] for one in ids}
    return {one: one for one in ids}


def answer_of(hold: Hold) -> str:
    """Return what the seller said last, in one line; "" if nothing is known of it."""
    if hold.receipt is not None:
        return _receipt(hold)
    last = hold.last
    if last is None:
        return ""
    if last.status is None:
        said = words(last.said, 100)  # the name of a failure, or a few words of ours
        return said if " " in said else f"no answer ({said})" if said else "no answer"
    led = f", to {place_led_to(hold)}" if last.leads_to and 300 <= last.status < 400 else ""
    return f"{last.status}" + (f', "{words(last.said, 200)}"' if last.said else led)


def _receipt(hold: Hold) -> str:
    assert hold.receipt is not None
    if hold.receipt.success:
        return "a receipt: paid"
    said = words(hold.receipt.error, 200)
    return "a receipt: not paid" + (f', "{said}"' if said else "")


@dataclass(frozen=True, slots=True)
class Advice:
    """The state of a payment in words, and what can be done about it."""

    state: str
    todo: str
    #: What to do, in a word.
    step: Step

    @property
    def after(self) -> str:
        """Return the same where it is said already that there is nothing to do."""
        said = self.todo.removeprefix("Nothing: ")
        return said[:1].upper() + said[1:]


def advice(hold: Hold, lifts: Iterable[str] = (), again: str = "", denied: str = "") -> Advice:
    """Return what the state of a payment means, and what to do about it.

    ``lifts`` are the commands that lift the freezes it is under. ``again`` says how it is presented again, where that
    is not by a program. ``denied`` says why the policy does not pay there.
    """
    told, just, stops = hold.told, _is_just_expired(hold), Stops(tuple(lifts), denied)
    found = next_step(told, is_expired(hold), just, _words(hold, again), stops)
    return Advice(_state(told, found.case), with_options(str(found)), found.step)


def shown_by(hold: Hold, said: Advice) -> str:
    """Return which command shows a payment, as a further sentence; "" if the advice names it."""
    command = f"x402 ledger show {hold.id}"
    return "" if command in said.todo else f" `{command}` shows it."


def advised(hold: Hold, lifts: Iterable[str] = (), denied: str = "") -> dict[str, str]:
    """Return the same as JSON: the state in words, what to do in a word, and in words."""
    said = advice(hold, lifts, denied=denied)
    return {"state_in_words": said.state, "step": said.step, "advice": said.todo}


def _words(hold: Hold, again: str) -> Words:
    return Words(
        again=again or _again(hold),
        write_off=f"`x402 ledger write-off {hold.id}`",
        reconcile="`x402 ledger reconcile`",
        nonce=f"`x402 ledger show {hold.id}` has its nonce",
        rpc="--rpc",
        there="With neither --yes nor --max, `x402 get` pays nothing unasked there; with one, it may pay anew.",
        unfreeze="`{}`",
    )


def _state(hold: Hold, case: Case) -> str:
    if case == "in flight":
        return f"in flight since {moment(hold.created):%Y-%m-%d %H:%M:%S} UTC"
    if case in ("delivered", "written off", "released", "never signed"):
        return case
    if hold.authorization is None:
        return "unresolved"
    until = f"{moment(hold.authorization.expires):%Y-%m-%d %H:%M:%S} UTC"
    if is_shown_paid(hold):
        return "lost: settled, nothing delivered" if is_expired(hold) else "unresolved, paid"
    if hold.money == "spent":
        return "unresolved, paid by the seller's receipt" + (f", expired {until}" if is_expired(hold) else "")
    return f"unresolved, expired {until}" if is_expired(hold) else f"unresolved, can settle until {until}"


def _is_just_expired(hold: Hold) -> bool:
    signed = hold.authorization
    return signed is not None and signed.expires <= time.time() < signed.expires + MARGIN


def _again(hold: Hold) -> str:
    """Return how a payment is presented again: by its program, or by a command where that can make the request."""
    if is_tool_call(hold):
        return "Make the same call again in your program"
    retry, told, lost = f"x402 ledger retry {hold.id}", [], []
    if not _is_whole(hold):
        # A GET has rarely a body. One that had is refused without it, as another request.
        retry = f"{retry} 'URL?QUERY'{'' if hold.purchase.method == 'GET' else ' -d BODY'}"
        told, lost = ["with the query, body and Range header that it had"], ["query", "body", "Range header"]
    if hold.purchase.keyed:
        retry, told, lost = f"{retry} --key KEY", [*told, "under its key"], [*lost, "key"]
    if not told:
        return f"Make the same request again, or `{retry}`"
    return (
        f"Make the same request again, {' and '.join(told)}, or `{retry}` with what it was (the ledger "
        f"keeps no {' and no '.join(lost)})"
    )


def _is_whole(hold: Hold) -> bool:
    """Return True if what a ledger keeps of a request is all of it: it had neither query nor body, nor was led on."""
    asked = HttpRequest.of(hold.purchase.method, hold.url)
    return is_request_of(hold.purchase, asked, body_digest(b""))


def is_tool_call(hold: Hold) -> bool:
    """Return True if a payment was for a tool of an MCP session: such a URL has the tool behind a ``#``."""
    return "#" in hold.url


def unresolved(holds: Iterable[Hold]) -> list[Hold]:
    """Return the payments that a person has to look after."""
    return [hold for hold in holds if state_of(hold) in ("unresolved", "lost")]


def word_of(given: str, known: tuple[str, ...], option: str) -> str:
    """Return the word that an option names: "written-off" and "written_off" are "written off"."""
    word = given.strip().lower().replace("-", " ").replace("_", " ")
    if word not in known:
        raise Stop(Code.USAGE, f"{option} is one of {', '.join(known)}, not {given!r}.")
    return word
