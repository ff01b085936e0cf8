"""The words for payments, one set for all commands, exports and the manual: states, money, and what to do."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass

from ..core import HttpRequest, body_digest, is_request_of
from ..core.empty_wallet import where_to_send
from ..model.holds import OFTEN_PRESENTED, Hold, moment
from ..model.offers import words
from ..signers.play_keys import takes_play_keys
from .exits import Code
from .in_use import with_options
from .money_labels import TEST, TEST_MONEY
from .running import Stop

#: The states of a payment. One that was released is gone from the ledger.
STATES = ("in flight", "unresolved", "lost", "delivered", "written off")
MONEY = ("held", "spent", "unknown")
_SHORTEST_ID = 8


def state_of(hold: Hold) -> str:
    """Return the state of a payment: one of ``STATES``, or "released"."""
    if hold.state in ("delivered", "written_off", "released"):
        return hold.state.replace("_", " ")
    if hold.state == "reserved" or hold.in_flight:
        return "in flight"
    return "lost" if hold.money == "spent" and is_expired(hold) else "unresolved"


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


def price_of(hold: Hold) -> str:
    """Return the price. One in test money says so."""
    return f"{hold.price}" + (f", {TEST_MONEY}" if is_test(hold) and "(test)" not in hold.price.currency else "")


def short_price_of(hold: Hold) -> str:
    """Return the price for a narrow column."""
    return f"{hold.price}" + (f", {TEST}" if is_test(hold) and "(test)" not in hold.price.currency else "")


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
    return f"{last.status}" + (f', "{words(last.said, 200)}"' if last.said else "")


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


#: What sellers say of a payment that they took before.
_USED = re.compile("already|used", re.IGNORECASE)
_AGAIN = "Make the same request again: it presents the same payment, and never pays twice."


def advice(hold: Hold) -> Advice:
    """Return what the state of a payment means, and what to do about it."""
    found = _advice(hold)
    return Advice(found.state, with_options(found.todo))


def _advice(hold: Hold) -> Advice:
    state, signed = state_of(hold), hold.authorization
    if state == "delivered":
        return Advice("delivered", "Nothing: the content came. The same request buys anew.")
    if state == "written off":
        return Advice("written off", "Nothing: it was given up, and counts as spent. The same request buys anew.")
    if state == "in flight" or signed is None:
        return Advice("in flight", "Nothing: it is being paid just now. Look again in a minute.")
    until = f"{moment(signed.expires):%Y-%m-%d %H:%M:%S} UTC"
    if state == "lost":
        return Advice(
            "lost: settled, nothing delivered",
            f"The chain shows that it was paid. {_refused_often(hold) or f'{_AGAIN} Else {_ask_seller(hold)}'}",
        )
    if hold.money == "spent":
        else_ = "" if _refused_often(hold) else f" Else {_ask_seller(hold)}"
        return Advice("unresolved, paid", f"The content is owed. {_retry(hold)}{else_}")
    if not is_expired(hold):
        return Advice(f"unresolved, can settle until {until}", _empty_wallet(hold) or _retry(hold))
    return Advice(
        f"unresolved, expired {until}",
        "Ask the chain whether it was paid: `x402 ledger reconcile`. Unpaid, it is given back; paid, the same request "
        "presents it again.",
    )


def _refused_often(hold: Hold) -> str:
    """Return what to do about a payment that the seller refused time and again; "" if it did not."""
    if hold.last is None or hold.last.status != 402:
        return ""
    often = f"It was presented {hold.tries + 1} times, and another time"
    if hold.tries + 1 < OFTEN_PRESENTED:
        if hold.money != "spent" or not _USED.search(hold.last.said):
            return ""
        often = "The seller says that the payment was used, and another time"
    if hold.money != "spent":
        return (
            f"{often} before then will hardly help. The chain has not shown that the money was taken. Ask it after "
            f"that time, `x402 ledger reconcile`: what was not used is given back. Or give it up: {_write_off(hold)}"
        )
    asked = _ask_seller(hold)
    return f"{often} will hardly help: many sellers answer a payment once. {asked[0].upper()}{asked[1:]}"


def _empty_wallet(hold: Hold) -> str:
    """Return what to do about a payment that failed because there was too little in the wallet; "" if it was not."""
    if hold.last is None or not hold.last.short:
        return ""
    return f"The wallet had too little for it at the last try. {where_to_send(hold)} {_AGAIN}"


def _write_off(hold: Hold) -> str:
    return f"`x402 ledger write-off {hold.id}`"


def _ask_seller(hold: Hold) -> str:
    return f"ask the seller for the content or the money, or give it up: {_write_off(hold)}"


def _retry(hold: Hold) -> str:
    often = _refused_often(hold)
    if often:
        return often
    if is_tool_call(hold):
        return _AGAIN
    retry, told, lost = f"x402 ledger retry {hold.id}", [], []
    if not _is_whole(hold):
        retry, told, lost = f"{retry} 'URL?QUERY' -d BODY", ["with its query and body"], ["query", "body"]
    if hold.purchase.keyed:
        retry, told, lost = f"{retry} --key KEY", [*told, "under its key"], [*lost, "key"]
    if not told:
        return f"{_AGAIN} Or: `{retry}`."
    kept = " and ".join(told)
    return (
        f"Make the same request again in your program, {kept}: it presents the same payment, and never pays twice. The "
        f"ledger keeps no {' and no '.join(lost)}, so give the command what it was: `{retry}`."
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
