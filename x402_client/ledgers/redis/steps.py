"""Steps of the Redis ledger, as flows: what the server is asked, and what its answers mean. No I/O happens here."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar
from weakref import WeakKeyDictionary

from ...core.asks import Ask
from ...errors import LedgerUnavailable, MoneyState, X402Error
from ...model.budgets import WINDOWS
from ...model.holds import Attempt, Authorization, Busy, Hold, Order, Purchase, Spending
from ...model.hosts import Pattern
from ...model.offers import Receipt
from .. import refusals
from ..rows import receipt_text
from ..windows import BUCKETS, Window
from . import script
from .claims import Claim, Claims

T = TypeVar("T")
Steps = Generator[Ask[Any], Any, T]
log = logging.getLogger("x402_client")

_UNTRUSTED = {
    "lost": "is empty, and it was not when this program last used it: it restarted without its data, or was flushed",
    "other": "is another one than this program used before; the address leads to a different server or dataset",
    "older": "went back to an older state than this program has seen: it restarted from an old copy, or a replica "
    "took over before it had everything",
}


@dataclass(slots=True)
class KnownPurse:
    """State of a purse that this program has seen. A server that shows an older state is not trusted."""

    identity: str
    seq: int


class LedgerSteps:
    """Steps of one ledger object, for sync and async callers alike."""

    def __init__(self, where: str, lease: float, claims: Claims, claimed: Callable[[], None]) -> None:
        self._where, self._lease = where, int(lease * script.MICROSECONDS)
        self._claims, self._claimed = claims, claimed
        self._looked = False
        self.known: dict[str, KnownPurse] = {}
        #: True if some purse was used for the first time: its budgets start at zero.
        self.fresh = False
        #: Since which step an attempt waits for proof that other attempts live.
        self._waiting: WeakKeyDictionary[Attempt, int] = WeakKeyDictionary()

    def reserve(self, order: Order, attempt: Attempt) -> Steps[Hold | Busy]:
        if order.price.units > script.LARGEST:
            raise self._too_large(order)
        row = script.new_row(order, secrets.randbits(63))
        said = {"row": row, "caps": script.caps(order), "headroom": str(script.LARGEST - order.price.units)}
        answer = yield from self._claiming(order.purchase, attempt, "reserve", said)
        if isinstance(answer, (Hold, Busy)):
            return answer
        status, facts = answer[0], answer[-1]
        if status == "new":
            return Hold(row["id"], order.purchase, order.offer, order.price, int(facts) / script.MICROSECONDS)
        if status == "over":
            raise refusals.over_limit(order, [_exceeded(order, *found) for found in facts])
        raise self._too_large(order)

    def claim(self, purchase: Purchase, attempt: Attempt) -> Steps[Hold | Busy | None]:
        answer = yield from self._claiming(purchase, attempt, "claim", {})
        return answer if isinstance(answer, (Hold, Busy)) else None

    def record(self, hold: Hold, authorization: Authorization) -> Steps[Hold]:
        said = script.signed_facts(hold, authorization) | {"id": hold.id}
        purchase = hold.purchase
        answer = yield from self._ask(purchase.purse, "record", **said, patterns=script.patterns(purchase.origin))
        if answer[0] == "frozen":
            refusals.check_frozen([answer[2]], purchase)
        if answer[0] != "ok":
            raise refusals.hold_is_gone()
        return hold.but(authorization=authorization, state="signed")

    def release(self, hold: Hold) -> Steps[None]:
        answer = yield from self._ask(hold.purchase.purse, "release", id=hold.id)
        if answer[2] != "signed":  # else an attempt holds it still, and gives it up by ending
            self._claims.drop_hold(hold.id)

    def close(self, hold: Hold, money: MoneyState, receipt: Receipt | None) -> Steps[None]:
        purse = hold.purchase.purse
        said = {"id": hold.id, "money": money, "receipt": receipt_text(receipt) or ""}
        yield from self._ask(purse, "close", **said)
        self._claims.drop_hold(hold.id)

    def write_off(self, hold: Hold) -> Steps[Hold]:
        answer = yield from self._ask(hold.purchase.purse, "write_off", id=hold.id)
        if answer[0] != "hold":
            raise refusals.nothing_to_write_off(hold)
        return script.read_row(answer[2])

    def conclude(self, hold: Hold, settled: bool) -> Steps[bool]:
        answer = yield from self._ask(hold.purchase.purse, "conclude", id=hold.id, settled="1" if settled else "")
        return bool(answer[2])

    def spent(self, question: Spending) -> Steps[int]:
        stem = script.stem(question.account, question.currency)
        answer = yield from self._ask(question.purse, "spent", stem=stem, window=question.window)
        return int(answer[2])

    def holds(self, purse: str) -> Steps[tuple[Hold, ...]]:
        answer = yield from self._ask(purse, "holds")
        return tuple(map(script.read_row, answer[2]))

    def history(self, limit: int, purse: str) -> Steps[tuple[Hold, ...]]:
        answer = yield from self._ask(purse, "history", limit=max(0, limit))
        return tuple(map(script.read_row, answer[2]))

    def freeze(self, pattern: str, thaw: bool = False) -> Steps[None]:
        """Freeze first for purses to come, then in each that exists. A failure in one purse stops no other."""
        name = pattern if pattern == "*" else str(Pattern.parse(pattern))
        op = "unfreeze" if thaw else "freeze"
        purses = yield from script.everywhere(f"{op}_all", {"pattern": name})
        failure: X402Error | None = None
        for purse in sorted({*purses, *self.known}):
            try:
                yield from self._ask(purse, op, pattern=name)
            except X402Error as problem:
                failure = problem
        if failure is not None:
            raise failure

    def freezes(self) -> Steps[tuple[str, ...]]:
        return tuple(sorted((yield from script.everywhere("frozen", {}))))

    def beat(self, purse: str) -> Steps[None]:
        """Renew the lease. Claims that ended go along, as with every step."""
        answer = yield from self._ask(purse, "beat")
        if answer[2]:  # another program waits for proof, and only what is written after this answer is one
            yield from self._ask(purse, "beat")

    def leave(self) -> Steps[None]:
        """Give up every claim, and do not wait for the lease to run out."""
        self._claims.give_all_up()
        for purse in self._claims.purses:
            yield from self._ask(purse, "leave")

    def _claiming(self, purchase: Purchase, attempt: Attempt, op: str, said: dict[str, Any]) -> Steps[Any]:
        yield from self._ready(purchase.purse)
        claim = self._claims.open(purchase, attempt)
        self._claimed()
        try:
            answer = yield from self._step(purchase.purse, op, said | self._about(purchase, claim, attempt))
            if answer[0] == "hold":
                hold = script.read_row(answer[2])
                claim.hold = hold.id
                return hold
        except BaseException:
            self._claims.fail(claim)
            raise
        if answer[0] == "new":
            claim.hold = said["row"]["id"]
            return answer
        self._claims.drop(claim)
        return self._obstacle(answer, purchase, attempt)

    def _about(self, purchase: Purchase, claim: Claim, attempt: Attempt) -> dict[str, Any]:
        return {
            "token": claim.token,
            "purchase": purchase.id,
            "request": purchase.request,
            "keyed": "1" if purchase.keyed else "",
            "patterns": script.patterns(purchase.origin),
            "since": self._waiting.get(attempt, 0),
        }

    def _obstacle(self, answer: Any, purchase: Purchase, attempt: Attempt) -> Any:
        """Return or raise what stands in the way of a new hold; else return the answer as it is."""
        status = answer[0]
        if status == "busy":
            self._waiting.setdefault(attempt, answer[1])
            return Busy(script.read_row(answer[2]))
        if status == "frozen":
            refusals.check_frozen([answer[2]], purchase)
        if status == "void":
            raise LedgerUnavailable("The payment was given up before the Redis ledger answered. Nothing was sent.")
        if status in ("paid", "foreign"):
            hold = script.read_row(answer[2])
            refusals.check_key(hold, purchase)
            raise refusals.already_paid(hold)
        return answer

    def _ask(self, purse: str, op: str, **said: Any) -> Steps[Any]:
        yield from self._ready(purse)
        return (yield from self._step(purse, op, said))

    def _ready(self, purse: str) -> Steps[None]:
        """Join the purse if it is new."""
        if purse not in self.known:
            yield from self._join(purse)

    def _join(self, purse: str) -> Steps[None]:
        if not self._looked:
            self._check((yield from script.ServerInfo()))
            self._looked = True
        frozen = yield from script.everywhere("enroll", {"purse": purse})
        said = {"candidate": secrets.token_hex(16), "patterns": frozen}
        answer = yield from self._step(purse, "join", said)
        self.fresh = self.fresh or answer[3] == "1"
        self.known.setdefault(purse, KnownPurse(answer[2], answer[1]))

    def _step(self, purse: str, op: str, said: dict[str, Any]) -> Steps[Any]:
        known = self.known.get(purse)
        # Read before the claims are looked at: the server takes it for the moment of that look.
        seen = known.seq if known else 0
        ended = self._claims.ended(purse)
        common = {
            "identity": known.identity if known else "",
            "seen": seen,
            "owner": self._claims.owner,
            "lease": self._lease,
            "gives": [claim.given_up for claim in ended],
            "since": 0,
        }
        answer = yield from script.request(purse, op, common | said)
        if answer[0] in _UNTRUSTED:
            self._distrust(purse, answer[0])
        if known is not None:
            known.seq = max(known.seq, answer[1])
        self._claims.drop(*ended)
        return answer

    def _distrust(self, purse: str, why: str) -> NoReturn:
        self._claims.forget(purse)
        raise LedgerUnavailable(
            f"The Redis ledger at {self._where} {_UNTRUSTED[why]}. Payments it had counted may be missing, so "
            "nothing is paid from it. Restore its data; or, once you know what was paid, restart this program to go "
            "on with what is there."
        )

    def _check(self, facts: dict[str, Any]) -> None:
        policy = facts.get("maxmemory_policy")
        if policy != "noeviction":
            raise LedgerUnavailable(
                f"The Redis server at {self._where} may forget what was paid when its memory is full "
                f"(maxmemory-policy is {policy or 'not told'}); set it to noeviction. Nothing is paid until then."
            )
        if not facts.get("aof_enabled"):
            log.warning(
                "The Redis server at %s has appendonly off: what it counted since its last snapshot is lost when it "
                "stops.",
                self._where,
            )

    def _too_large(self, order: Order) -> LedgerUnavailable:
        return LedgerUnavailable(
            f"A sum with {order.price} in it is larger than the Redis ledger can count (2**63 millionths). "
            "Nothing was paid."
        )


def _exceeded(order: Order, position: int, flat: list[str]) -> refusals.Exceeded:
    cap = order.caps[position - 1]
    kept = dict(zip(flat[::2], flat[1::2], strict=True))
    counted, length = int(kept.get("t", 0)), WINDOWS[cap.window]
    window = Window(length)
    for number in sorted(int(name) for name in kept if name.isdigit()):
        window.add(int(kept[str(number)]), number * ((length or 0) // BUCKETS))
    asked = 1 if cap.currency is None else order.price.units
    return refusals.Exceeded(cap, counted, window.fits_at(counted + asked - cap.most))
