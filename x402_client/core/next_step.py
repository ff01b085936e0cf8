"""Says what to do about a payment, in one table: errors, lists, quotes and the agents' tools all read it here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, NamedTuple

from ..model.holds import MARGIN, OFTEN_PRESENTED, Hold, moment
from ..model.networks import short_name
from .empty_wallet import where_to_send
from .last_answer import is_by_receipt, place_led_to
from .stops import FREE, Stops

#: What a payment is, as far as it decides what to do. "open" to "worn" have not expired or are known to be paid.
Case = Literal[
    "delivered", "written off", "released", "never signed", "in flight",
    "open", "short", "refused", "owed", "denied", "just expired", "expired", "no end",
]  # fmt: skip
#: What to do, in a word: for programs, and for tests that compare what two places say.
Step = Literal[
    "nothing", "wait", "repeat", "fund", "look there", "ask the seller", "ask the chain", "unfreeze", "allow",
]  # fmt: skip
#: The one step of each case, unless something comes before it: see ``step_of``.
STEPS: Mapping[Case, Step] = {
    "delivered": "nothing",
    "written off": "nothing",
    "released": "nothing",
    "never signed": "nothing",
    "in flight": "wait",
    "open": "repeat",
    "short": "fund",
    "refused": "wait",
    "owed": "repeat",
    "denied": "ask the seller",
    "just expired": "ask the chain",
    "expired": "ask the chain",
    "no end": "ask the chain",
}
#: The cases whose next step presents the payment, so that what stops that comes first. Waiting for its end, asking the
#: chain or the seller, and a look at another place need no stop to be lifted.
_PRESENTING: frozenset[Case] = frozenset({"open", "short", "owed"})


class Words(NamedTuple):
    """Names of the steps: in Python, or in a command."""

    again: str = "Make the same request again"
    write_off: str = "buyer.write_off(error.hold)"
    reconcile: str = "buyer.reconcile()"
    #: How the chain is asked about a payment that expired just now, and about one that expired before.
    ask_now: str = "{reconcile} asks it, and so does the same request"
    ask: str = (
        "Ask the chain whether it was paid: {reconcile}. Unused, it is given back, and the same request buys anew; "
        "paid, the same request presents it once more."
    )
    nonce: str = "error.hold.nonce names the payment"
    rpc: str = "Buyer(rpc=...)"
    #: What may happen at a place that an answer led to.
    there: str = "A client that pays may pay anew there."
    #: What lifts a freeze that keeps the payment from being presented, by the name of the freeze.
    unfreeze: str = "buyer.unfreeze({!r})"

    def filled(self) -> Words:
        """Return the words with the name of ``reconcile`` in those that have it."""
        ask_now, ask = (said.format(reconcile=self.reconcile) for said in (self.ask_now, self.ask))
        return self._replace(ask_now=ask_now, ask=ask)


PYTHON = Words().filled()
#: What a model reads instead: it can call no method, and its own call asks the chain by itself.
MODEL = PYTHON._replace(
    ask_now="The same call asks it",
    ask="Once the chain can tell: if it was not used, it is given back, and the same call buys anew; if it was paid, "
    "the same call presents it once more.",
)
#: How the table says in Python that a payment is better left alone until it has expired.
AFTER_THAT_TIME = f"{PYTHON.again} after that time"
_BY_CHAIN = "The chain shows that it was paid, so the content is owed."
_BY_RECEIPT = "The seller's receipt says that it was paid{named}, so the content is owed; no chain has shown it."
_SELLER = "sk the seller for the content or the money; {nonce}. {write_off} gives the purchase up, so that the same "
_SELLER += "request buys anew."
_GIVE_UP = "{write_off} gives the purchase up, so that the same request buys anew, but it {settle}: then both are paid."
_LIVE, _OVER = _GIVE_UP.replace("{settle}", "may still settle"), _GIVE_UP.replace("{settle}", "may have settled")
_ANEW = "The same request buys anew."
#: What the same request does after a payment under a purchase key ended.
_KEYED: Mapping[Case, str] = {
    "delivered": "Under its key nothing is bought again: the same request ends in AlreadyPaid. Without that key, or "
    "under a new one, it is a new purchase.",
    "written off": "The same request buys anew, under its key too, unless a later payment under that key was "
    "delivered.",
}
_KNOWN: Mapping[Case, str] = {
    "refused": "The chain has not shown that the money was taken.",
    "short": "The wallet had too little for it at the last try.",
}
_TODO: Mapping[Case, str] = {
    "delivered": "Nothing: the content came. {after}",
    "written off": "Nothing: it was given up, and counts as spent. {after}",
    "released": f"Nothing: it was given back. {_ANEW}",
    "never signed": "Nothing: its call ended before it was signed, so nothing left. The next payment that needs its "
    "price gets it.",
    "in flight": "Wait: a call is paying it at this moment, and its price is counted. If that call or its program ends "
    "without the content, one that was signed is unresolved, and the same request presents it again; one that was not "
    "is given back.",
    "open": "{again}: it presents the same payment, never a second one, and after that time it asks the chain first. "
    f"{_LIVE}",
    "short": "{send} {again}: it presents the same payment, never a second one, and after that time it asks the chain "
    f"first. {_LIVE}",
    "refused": "{often} before then will hardly help. {again} after that time: it asks the chain first, which may "
    "take two minutes more, and gives a payment back that was not used, so that the same request buys anew. "
    f"{_LIVE}",
    "owed": f"{{again}}: it presents the same payment, never a second one. If that brings nothing, a{_SELLER}",
    "denied": f"{{hopeless}} A{_SELLER}",
    "just expired": "It expired just now, and the chain may already tell whether it was paid. {ask_now}. If it cannot "
    f"tell yet, as its confirmed blocks have to pass that time, ask again after {{later}}. {_OVER}",
    "expired": "{ask} Where the chain cannot tell, name endpoints of {network} that answer, of different operators, in "
    f"{{rpc}}, or look the payment up: {{nonce}}. {_OVER}",
    "no end": "No endpoint of {network} answered as it was signed. So the chain can show that it was paid, and never "
    "that it was not: it counts as long as its window lasts. {reconcile} asks, or look the payment up: {nonce}. "
    f"{_OVER}",
}


class Advice(NamedTuple):
    """Case of a payment, a sentence on it, and what to do about it."""

    case: Case
    #: A sentence on what is known. "": the state says it all.
    known: str
    todo: str
    #: What to do, in a word.
    step: Step

    def __str__(self) -> str:
        return f"{self.known} {self.todo}".lstrip()


#: What sellers say of a payment that they took before. "Refused" and "unused" are other words.
_USED = "already|Already|ALREADY|(?<![A-Za-z])used|Used|(?<![A-Za-z])USED"
#: What sellers say of a payment that expired.
_LATE = "(?i)valid_?before|expire|deadline|too_?late"
#: Answers that may be others soon.
_PASSING = (408, 425, 429)


def step_of(hold: Hold, expired: bool = False, just_expired: bool = False, stops: Stops = FREE) -> Step:
    """Return what to do about a payment, in a word.

    What keeps it from being presented comes before the steps that present it, and before no other one.
    """
    case = case_of(hold, expired, just_expired)
    if STEPS[case] == "nothing" or case == "in flight":
        return STEPS[case]
    if place_led_to(hold):
        return "look there"
    if case in _PRESENTING and not stops.is_free:
        return "unfreeze" if stops.frozen else "allow"
    return STEPS[case]


def next_step(
    hold: Hold, expired: bool = False, just_expired: bool = False, words: Words = PYTHON, stops: Stops = FREE
) -> Advice:
    """Return what to do about a payment.

    Args:
        hold: The payment, with the ``money`` and the last answer that were told of it.
        expired: True if it can settle no more. Default: False.
        just_expired: True if it expired too recently for the chain to tell. Default: False.
        words: What the steps are called. Default: as in Python, beside an error.
        stops: What keeps it from being presented. Default: nothing.
    """
    case = case_of(hold, expired, just_expired)
    later = moment(hold.authorization.expires + MARGIN) if hold.authorization is not None else None
    facts = words.filled()._asdict() | {
        "after": _KEYED.get(case, _ANEW) if hold.purchase.keyed else _ANEW,
        "often": _often(hold),
        "hopeless": _hopeless(hold, expired),
        "later": f"{later:%Y-%m-%d %H:%M:%S} UTC" if later else "that",
        "network": _network(hold),
        "send": where_to_send(hold) if case == "short" else "",
    }
    todo = _TODO[case].format_map(facts)
    if case in _PRESENTING:
        todo = f"{_stopped_first(stops, words)}{todo}"
    elif STEPS[case] != "nothing":
        todo += _stopped_besides(case, stops, words)
    if STEPS[case] != "nothing" and case != "in flight":
        todo = f"{_led(hold, words)}{todo}"
    if case == "in flight" and expired:
        todo += " Its payment has expired meanwhile: if that program hangs, end it."
    step = step_of(hold, expired, just_expired, stops)
    return Advice(case, _paid(hold) if case in ("owed", "denied") else _KNOWN.get(case, ""), todo, step)


def _stopped_first(stops: Stops, words: Words) -> str:
    """Return what keeps a payment from being presented, and what lifts that; "" if nothing does."""
    frozen = f"It is frozen, so nothing presents it: {lifts(stops, words)} that first. Then: "
    denied = f"{stops.denied} So nothing presents it under that policy: change the policy first. Then: "
    return (frozen if stops.frozen else "") + (denied if stops.denied else "")


def _stopped_besides(case: Case, stops: Stops, words: Words) -> str:
    """Return what the same request does under a stop, where something else comes next; "" if nothing stops it."""
    said = ""
    if stops.frozen:
        alone = "the word of one endpoint alone gives nothing back, and " if case in ("expired", "just expired") else ""
        said = f" It is frozen: {alone}the same request is refused until {lifts(stops, words)} that."
    if stops.denied:
        said += f" {stops.denied} So the same request is refused under that policy."
    return said


def lifts(stops: Stops, words: Words = PYTHON) -> str:
    """Return what lifts the freezes, as the beginning of a sentence."""
    named = " and ".join(words.unfreeze.format(one) for one in stops.frozen)
    return f"{named} {'lifts' if len(stops.frozen) == 1 else 'lift'}"


def _led(hold: Hold, words: Words) -> str:
    """Return where an answer of the seller's led, and what to do about that; "" if none led anywhere."""
    place = place_led_to(hold)
    if not place:
        return ""
    query = " (with a query that is not kept)" if place.endswith("?...") else ""
    asked = "Ask there first, by itself: the content may be there, free."
    closed = f"If it is, {words.write_off} closes this payment, which stays counted as spent."
    return f"The seller's answer led to {place}{query}. {asked} {closed} {words.there} If it is not there: "


def _paid(hold: Hold) -> str:
    """Return who says that a payment was paid: the chain, or the seller's receipt alone."""
    if not is_by_receipt(hold):
        return _BY_CHAIN
    transaction = hold.last.transaction if hold.last is not None else ""
    return _BY_RECEIPT.format(named=f", in transaction {transaction}" if transaction else "")


def case_of(hold: Hold, expired: bool = False, just_expired: bool = False) -> Case:
    """Return what a payment is, as far as it decides what to do about it."""
    if hold.state == "delivered" or hold.state == "released":
        return hold.state
    if hold.state == "written_off":
        return "written off"
    if hold.state == "reserved" and hold.in_flight is False:
        return "never signed"
    if hold.state != "signed" or hold.in_flight:
        return "in flight"
    if hold.money == "spent":
        return "denied" if _is_denied(hold, expired) else "owed"
    if expired:
        if not has_end(hold):
            return "no end"
        return "just expired" if just_expired else "expired"
    if hold.last is not None and hold.last.short:
        return "short"
    return "refused" if _status(hold) == 402 and hold.tries + 1 >= OFTEN_PRESENTED else "open"


def has_end(hold: Hold) -> bool:
    """Return False if no look at the chain can show that a payment settles no more. That it settled can be shown."""
    return hold.authorization is None or not hold.authorization.evidence.get("no_end")


def _is_denied(hold: Hold, expired: bool) -> bool:
    """Return True if the seller keeps the money and said no, so that another time will hardly help.

    A 402 may come before the content if the money was under way. So the first ones alone do not say no.
    """
    status = _status(hold)
    if status is None or status < 300 or status >= 500 or status in _PASSING:
        return False
    if status < 400:  # one that leads nowhere is the seller's last word; another one has a place to look at
        return not place_led_to(hold)
    often = hold.tries + 1 >= OFTEN_PRESENTED
    return status != 402 or often or expired or (hold.last is not None and re.search(_USED, hold.last.said) is not None)


def _status(hold: Hold) -> int | None:
    return hold.last.status if hold.last is not None else None


def _often(hold: Hold) -> str:
    """Return how often it was presented, if that is why another time will not help; else what the seller said."""
    if hold.tries + 1 >= OFTEN_PRESENTED:
        return f"It was presented {hold.tries + 1} times, and another time"
    if hold.last is not None and re.search(_USED, hold.last.said):
        return "The seller says that the payment was used, and another time"
    return f"The seller answered {_status(hold)} to it, and another time"


def _hopeless(hold: Hold, expired: bool) -> str:
    """Return why another time will not help with a seller that keeps the money and says no."""
    if expired and hold.last is not None and re.search(_LATE, hold.last.said):
        return "The seller refuses it because it has expired, so another time will not help."
    return f"{_often(hold)} will hardly help: many sellers answer a payment once."


def _network(hold: Hold) -> str:
    network = hold.offer.network
    return network if short_name(network) == network else f"{short_name(network)} ({network})"
