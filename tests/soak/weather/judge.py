"""Every promise, held against the evidence: the words of the chain, the witness and the ledger, and no other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .evidence import Evidence, Seen

#: Seconds by which a signature may be older than its reservation, on a busy machine: windows are looked at so much
#: shorter. A payment counts from its reservation on.
SLACK = 5.0
#: How long a Solana payment is taken to be alive: its blockhash may have been this much short of its minute already.
_SOLANA_LIFE = 30.0
#: What the last look at a steady process may find more of than the early ones. Pools of connections, to Redis and to
#: the chain, grow to as many as were ever in use at once; what leaks with each payment or failure goes far beyond.
_ROOM = {"files": 16, "sockets": 16, "threads": 8, "tasks": 4, "memory": 40 * 1024}
NEXT_STEPS = ("Make the same request again", "buyer.write_off", "Name endpoints", "try again when it")
#: Of what is over, these say that nothing was paid.
_UNPAID = ("refused", "later")
#: Seconds between a signature and its arrival from which on a clock must have been wrong.
_WRONG = 30


@dataclass(frozen=True)
class Found:
    """A broken promise."""

    rule: str
    fleet: str
    order: str
    words: str


Rule = Callable[[Evidence], Iterator[tuple[str, str]]]


def settled_twice(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """One for each purchase; one more for each loss that the policy accepted."""
    for order, seen in evidence.by_order.items():
        paid = {one.nonce for one in seen if one.settles_as in evidence.used}
        given_up = sum((evidence.ledger or {}).get(nonce) == "written_off" for nonce in {one.nonce for one in seen})
        if len(paid) > 1 + given_up:
            yield order, f"{len(paid)} payments settled"
    times = Counter(one.nonce for one in evidence.settled if one.payer == evidence.payer)
    yield from (("", f"{nonce} settled {many} times") for nonce, many in times.items() if many > 1)


def signed_again(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """A second payment for an order while the first can settle, or after it did."""
    for order, seen in evidence.by_order.items():
        first: Seen | None = None
        for one in sorted(seen, key=lambda one: one.at):
            if first is not None and one.nonce != first.nonce and not _over(evidence, first, one):
                yield order, f"{one.nonce} was signed while {first.nonce} was open"
            first = one
        digests = Counter(nonce for nonce, _ in {(one.nonce, one.digest) for one in seen})
        yield from ((order, f"{nonce} came in two forms") for nonce, many in digests.items() if many > 1)


def _over(evidence: Evidence, first: Seen, later: Seen) -> bool:
    if (evidence.ledger or {}).get(first.nonce) == "written_off":
        return True
    return first.settles_as not in evidence.used and _dead_at(evidence, first) <= later.at


def _dead_at(evidence: Evidence, one: Seen) -> float:
    """The real time from which it could not settle any more."""
    if one.expires is None:
        return min(one.at + _SOLANA_LIFE, evidence.leapt_at if one.phase == "weather" else float("inf"))
    after_the_leap = max(one.expires - evidence.leap, evidence.leapt_at)
    return min(one.expires, after_the_leap) if one.phase == "weather" else after_the_leap


def over_budget(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """What was handed out, and settled or could settle: never more than the budgets, at any moment.

    Before the leap only: then the chain is set forward, and the ledger's clock, which cannot be set, is not.
    """
    fleet = evidence.fleet
    seen = [one for one in evidence.seen if one.phase == "weather"]
    yield from _beyond(evidence, seen, None, fleet.total, "in all")
    if "clock jumps" in fleet.fates or evidence.emptied_at:
        return  # when it signed, these buyers' payments do not tell
    yield from _beyond(evidence, seen, 60, fleet.per_minute, "in a minute")
    for door in {one.door for one in seen}:
        at_door = [one for one in seen if one.door == door]
        yield from _beyond(evidence, at_door, 60, fleet.host_minute, f"in a minute at {door}")


def _beyond(
    evidence: Evidence, seen: list[Seen], window: float | None, most: int, where: str
) -> Iterator[tuple[str, str]]:
    each = sorted({one.nonce: one for one in reversed(seen)}.values(), key=signed_at)
    for last in each:
        now = signed_at(last)
        since = 0.0 if window is None else now - window + SLACK
        counts = [one for one in each if since < signed_at(one) <= now and _alive(evidence, one, now)]
        if (units := sum(one.amount for one in counts)) > most:
            yield last.order, f"{units} were handed out {where}; {most} are allowed"
            return


def _alive(evidence: Evidence, one: Seen, now: float) -> bool:
    return one.settles_as in evidence.used or now < _dead_at(evidence, one)


def signed_at(one: Seen) -> float:
    """As was signed: payments are valid for a minute. On Solana, and where a clock was wrong, when it came."""
    if one.expires is None or abs(one.expires - 60 - one.at) > _WRONG:
        return one.at
    return min(one.at, one.expires - 59)


def ledger_below_chain(evidence: Evidence) -> Iterator[tuple[str, str]]:
    for settled, counted in evidence.samples:
        if counted < settled:
            yield "", f"the ledger counted {counted} when the chain had settled {settled}"
    if evidence.ledger is not None:
        known = {one.settles_as: one for one in evidence.seen}
        for nonce in evidence.used:
            if nonce not in known:
                yield "", f"{nonce} settled and never passed the gateway"
            elif known[nonce].nonce not in evidence.ledger:
                yield known[nonce].order, f"{nonce} settled and the ledger does not know it"


def unexplained(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """A fleet whose ledger was emptied cannot end anything: all that is asked of it is that it pays nothing more."""
    for order, last in evidence.orders.items() if evidence.emptied_at is None else ():
        words = _unexplained(evidence, order, last)
        if words:
            yield order, words


def _unexplained(evidence: Evidence, order: str, last: dict[str, object]) -> str:
    seen = evidence.by_order.get(order, [])
    paid = [one for one in seen if one.settles_as in evidence.used]
    kind, words = last.get("kind"), str(last.get("words", ""))
    if kind in ("content", "paid before"):
        return ""
    if kind == "not delivered":
        return "" if paid else "said to be paid, and the chain has nothing"
    if kind in _UNPAID:
        fine = _accounted(last, evidence.ledger, paid)
        return "" if fine else f"{kind}, and it was paid: {words}"
    if kind == "open":
        return "" if any(step in words for step in NEXT_STEPS) and _kept(evidence, seen) else f"no way on: {words}"
    return f"it never ended: {kind or 'killed'} {words}"


def _accounted(last: dict[str, object], ledger: dict[str, str] | None, paid: list[Seen]) -> bool:
    """Nothing was paid; or what an earlier try paid was given up, or waits in the ledger."""
    if ledger is None:
        return not paid
    return last["money"] == "untouched" and all(one.nonce in ledger for one in paid)


def _kept(evidence: Evidence, seen: list[Seen]) -> bool:
    return evidence.ledger is None or not seen or any(one.nonce in evidence.ledger for one in seen)


def paid_when_empty(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """From a ledger that forgot everything nothing more is paid, and everybody is told."""
    if evidence.emptied_at is not None:
        if not any("LedgerUnavailable" in str(last.get("words")) for last in evidence.orders.values()):
            yield "", "nobody was told that the ledger cannot be trusted"
        for one in evidence.seen:
            if signed_at(one) > evidence.emptied_at + SLACK:
                yield one.order, f"{one.nonce} was signed after the ledger was emptied"


def leaks(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Between the looks at a process that was never killed; and nothing is connected once all is closed."""
    for journal in evidence.journals:
        looks = [line for line in journal if line.get("look") == "open"]
        early = looks[: len(looks) // 2]
        for what, room in _ROOM.items() if early else ():
            before = max(look[what] for look in early)
            if looks[-1][what] > before + room:
                yield "", f"{what}: {before} at first, {looks[-1][what]} in the end"
        for line in journal:
            if line.get("look") == "closed" and line["sockets"]:
                yield "", f"{line['sockets']} sockets are open after everything was closed"


RULES: dict[str, Rule] = {
    "settled twice": settled_twice,
    "signed again while the first could settle": signed_again,
    "over budget": over_budget,
    "ledger below the chain": ledger_below_chain,
    "paid from an emptied ledger": paid_when_empty,
    "ends without an explanation": unexplained,
    "leaks": leaks,
}


def judged(evidence: Evidence) -> list[Found]:
    found = ((name, *one) for name, rule in RULES.items() for one in rule(evidence))
    return [Found(name, evidence.fleet.name, order, words) for name, order, words in found]
