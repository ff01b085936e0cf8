"""The running calls of this process that may be joined: calls of sync clients in threads that a caller can give up.

Strategy: a call that could be abandoned is entered under its ledger and purchase once its 402 was read, and leaves at
its end. Joiners look from time to time, so that sync and async ones wait alike and no thread has to wake another. All
other running calls and the latest deliveries are known, too: a call that is overdue before its 402 was read leaves the
purchase to its caller's repeat.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, NamedTuple

from ..core.asks import Join, Joined
from ..ledgers.extras import place_of

if TYPE_CHECKING:
    from ..core.ports import Ledger
    from ..model.holds import Attempt, Hold, Outcome, Purchase

Key = tuple[Hashable, str]
#: The purchases that are remembered after their delivery.
_REMEMBERED = 1000


class Delivered(NamedTuple):
    """A delivery of one purchase to one wallet: when its call began and was overdue, and until when."""

    key: Key
    purchase: Purchase
    started: float
    overdue_at: float | None
    until: float
    outcome: Outcome


class _Registry:
    """The calls of this process that may be joined, by ledger and purchase."""

    def __init__(self) -> None:
        #: Ends come from anywhere, also from the garbage collector in the middle of a look-up.
        self.lock = threading.RLock()
        self.calls: dict[Key, list[RunningCall]] = {}
        #: By id, every call until it was delivered or failed, also those that none can join.
        self.running: weakref.WeakValueDictionary[int, RunningCall] = weakref.WeakValueDictionary()
        #: By ledger, purchase and wallet, the oldest first: the delivery whose call began last, and the latest one to a
        #: call that was overdue.
        self.delivered: OrderedDict[tuple[Key, tuple[str, ...]], Delivered] = OrderedDict()
        self.late: OrderedDict[tuple[Key, tuple[str, ...]], Delivered] = OrderedDict()


_registry = _Registry()
if hasattr(os, "register_at_fork"):
    # The threads stayed with the parent, and one of them may have had the lock.
    os.register_at_fork(after_in_child=_registry.__init__)  # type: ignore[misc]


class RunningCall:
    """The record of one call while it runs, or waits for the call that it joined."""

    __slots__ = (
        "__weakref__", "_key", "attempt", "behind", "followers", "headers_at", "hold", "limit", "outcome", "over",
        "overdue_at", "purchase", "started", "whole",
    )  # fmt: skip
    purchase: Purchase
    started: float

    def __init__(self, key: Key, purchase: Purchase, started: float, patience: float | None, whole: bool) -> None:
        self._key, self.purchase, self.started = key, purchase, started
        #: The time at which its caller's patience is over. None: never.
        self.limit: float | None = None if patience is None else started + patience
        #: The same, if its caller can give up on it: it runs in a thread.
        self.overdue_at: float | None = None
        #: True if its caller gets the answer with its whole body, and nothing before.
        self.whole: bool = whole
        #: When headers were here, of a call whose caller gets them before the body.
        self.headers_at: float | None = None
        self.hold: Hold | None = None
        self.outcome: Outcome | None = None
        #: The attempt by which a body is read that is still to come.
        self.attempt: weakref.ref[Attempt] | None = None
        self.over: bool = False
        #: The call that this one joined, and those that joined this one, in their order.
        self.behind: RunningCall | None = None
        self.followers: list[RunningCall] = []

    def delivered(self, outcome: Outcome) -> None:
        """Note that the answer reached the call. From now on nothing is overdue, also while the end is written."""
        with _registry.lock:
            self.outcome = outcome
            self._remember(outcome)
            self._leave()
            self.drop_header()

    def flow_ended(self, attempt: Attempt) -> None:
        """Note that headers are here, or the call's end if its attempt is over.

        The rule: "With headers here or its end pending nothing is overdue (an abandoned non-streaming requests body
        counts as still coming)".
        """
        with _registry.lock:
            self.attempt = weakref.ref(attempt)
            if not self.whole:
                self.headers_at = time.monotonic()
                self._leave_line()
        attempt.watch(self.end)
        if not attempt.alive:
            self.end()

    def end(self) -> None:
        """End the call, or leave the call that it joined."""
        if self.outcome is not None and self.behind is None:
            self.over = True  # it left when it was delivered
            return
        with _registry.lock:
            self.over = True
            self._leave()
            first, self.behind = self.behind, None
            if first is not None and self in first.followers:
                first.followers.remove(self)
                first.drop_header()
            self.drop_header()

    def drop_header(self) -> None:
        """Drop the header of a call that is over, unless it was delivered and somebody is joined."""
        delivered = self.outcome is not None
        if (self.over or delivered) and not (delivered and self.followers):
            self.hold = None

    @property
    def runs(self) -> bool:
        """Return True until the call was delivered or failed. One that was garbage-collected failed."""
        if self.over or self.outcome is not None:
            return False
        attempt = None if self.attempt is None else self.attempt()
        return self.attempt is None or (attempt is not None and attempt.alive)

    def is_overdue(self, purchase: Purchase, now: float) -> bool:
        """Return True if the same request has to join this call."""
        late = self.overdue_at is not None and now > self.overdue_at
        return late and self.runs and _one_wallet(self.purchase, purchase)

    def repeats(self, first: RunningCall) -> bool:
        """Return True if this call began after the caller of the first one gave up on it, and does not wait for it."""
        return self.behind is not first and self.runs and _replaces(self, first)

    def enter(self) -> None:
        """Become known to others. They may join if the caller can give up on this call."""
        _registry.running[id(self)] = self
        if self.overdue_at is not None and self not in _registry.calls.get(self._key, ()):
            _registry.calls.setdefault(self._key, []).append(self)

    def line_up(self, first: RunningCall) -> None:
        """Wait for another call. Those that wait for this one line up behind it."""
        self._leave_line()
        for one in (self, *self.followers):
            one.behind = first
            first.followers.append(one)
        self.followers = []

    def take_over(self, first: RunningCall) -> None:
        """Take the place of a call that failed. Those that wait behind it wait for this one from now on."""
        self.followers = [other for other in first.followers if other is not self]
        for other in self.followers:
            other.behind = self
        self.behind, first.followers = None, []
        self.enter()

    def _remember(self, outcome: Outcome) -> None:
        here, name = self.headers_at or time.monotonic(), (self._key, self.purchase.payers)
        done = Delivered(self._key, self.purchase, self.started, self.overdue_at, here, outcome)
        before = _registry.delivered.get(name)
        _keep(_registry.delivered, name, done if before is None or before.started < self.started else before)
        if self.overdue_at is not None and here > self.overdue_at:
            _keep(_registry.late, name, done)

    def _leave(self) -> None:
        _registry.running.pop(id(self), None)
        self._leave_line()

    def _leave_line(self) -> None:
        if self.overdue_at is None:  # then none could join it
            return
        calls = _registry.calls.get(self._key)
        if calls is not None and self in calls:
            calls.remove(self)
            if not calls:
                del _registry.calls[self._key]


class RunningCalls:
    """The running calls of all buyers of this process that share a ledger."""

    __slots__ = ("_place", "_settle_timeout")

    def __init__(self, ledger: Ledger, settle_timeout: float | None) -> None:
        self._place = place_of(ledger)
        self._settle_timeout = settle_timeout

    def join(self, ask: Join, courier: Any, in_thread: bool) -> Joined:
        """Return the overdue call that a call has to wait for, or enter it among those that may be joined."""
        mine: Any = ask.running
        if mine is None:
            mine = self._record((self._place, ask.purchase.id), ask, courier, in_thread)
        with _registry.lock:
            done = None
            if mine.behind is None:
                done = _delivered_meanwhile(mine)
                if done is not None:
                    return Joined(mine, "delivered", done.outcome.hold.shown, done.outcome)
                done = self._place_behind(mine, ask.purchase)
            return _look(mine) if done is None else Joined(mine, "replaced", done.outcome.hold.shown, done.outcome)

    def _record(self, key: Key, ask: Join, courier: Any, in_thread: bool) -> RunningCall:
        # The rule: "the read time-out its caller set (none, or only the library's default: settle_timeout)".
        patience = getattr(courier, "read_timeout", None)
        if patience is None:
            patience = self._settle_timeout
        record = RunningCall(key, ask.purchase, ask.started, patience, bool(getattr(courier, "reads_whole", False)))
        record.overdue_at = record.limit if in_thread else None
        return record

    def _place_behind(self, mine: RunningCall, purchase: Purchase) -> Delivered | None:
        """Put a call behind the overdue one that the fewest wait for, or let it be a purchase of its own.

        Return the delivery that took its place, if there was one: then it is neither.
        """
        now = time.monotonic()
        calls = [call for call in _registry.calls.get(mine._key, ()) if call is not mine]
        overdue = [call for call in calls if call.is_overdue(purchase, now)]
        if not overdue and mine.is_overdue(purchase, now):
            # It is overdue itself before it has reserved anything. Its caller's repeat is under way, or was delivered.
            overdue = [call for call in _running_under(mine._key) if call is not mine and call.repeats(mine)]
            done = None if overdue else _delivered_instead_of(mine)
            if done is not None:
                return done
        if overdue:
            chosen = min(overdue, key=lambda call: len(call.followers))
            # A joiner that presents a delivered payment stands first in a line. The new call goes to the line's end.
            mine.line_up(chosen.behind or chosen)
        else:
            mine.enter()
        return None


def _keep(known: OrderedDict[Any, Delivered], name: Hashable, done: Delivered) -> None:
    known[name] = done
    known.move_to_end(name)
    if len(known) > _REMEMBERED:
        known.popitem(last=False)


def _running_under(key: Key) -> list[RunningCall]:
    # The references are copied at once: the garbage collector may end a call in the middle of a look-up.
    calls = [found() for found in _registry.running.valuerefs()]
    return [call for call in calls if call is not None and call._key == key]


def _delivered_instead_of(mine: RunningCall) -> Delivered | None:
    known = list(_registry.delivered.values())
    return next((one for one in known if one.key == mine._key and _replaces(one, mine)), None)


def _delivered_meanwhile(mine: RunningCall) -> Delivered | None:
    """Return the delivery to an overdue call that came after its caller gave up on it and made this call.

    It came before this call's 402 was read, so that nothing was there to join and the header is gone. It is paid all
    the same: "all else AlreadyPaid".
    """
    done = _registry.late.get((mine._key, mine.purchase.payers))
    return done if done is not None and done.until > mine.started and _replaces(mine, done) else None


def _replaces(later: RunningCall | Delivered, first: RunningCall | Delivered) -> bool:
    """Return True if a call of one wallet began after the caller of the first one gave up on it."""
    begun = first.overdue_at is not None and later.started > first.overdue_at
    return begun and _one_wallet(later.purchase, first.purchase)


def _look(mine: RunningCall) -> Joined:
    first = mine.behind
    if first is None:
        return Joined(mine)
    my_turn = first.followers[0] is mine
    seconds = float("inf") if mine.limit is None else mine.limit - time.monotonic()
    given_up = mine.overdue_at is not None and seconds <= 0  # its caller's repeat may claim the payment meanwhile
    if first.outcome is None and not first.runs and my_turn and not given_up:
        mine.take_over(first)
        return Joined(mine)
    shown = first.hold and first.hold.shown
    if first.outcome is None:
        return Joined(mine, "running", shown, None, seconds)
    if my_turn:
        mine.hold = first.hold
        mine.enter()
    return Joined(mine, "delivered" if my_turn else "queued", shown, first.outcome, seconds)


def _one_wallet(one: Purchase, other: Purchase) -> bool:
    """Return True if one wallet makes both purchases: another's payment is neither presented nor waited for."""
    return not one.payers or not other.payers or not set(one.payers).isdisjoint(other.payers)
