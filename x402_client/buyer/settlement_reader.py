"""Asks the chain about payments without an answer: when to ask, and which answer to believe."""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Callable, Iterable
from typing import Any

from ..core.asks import Seen
from ..guards.handlers import raise_callers_stop
from ..model.holds import MARGIN, Fate, Hold, Settled
from .looks import Looks, ended
from .settings import is_async

log: logging.Logger = logging.getLogger("x402_client")
#: Seconds that a request waits for the chain's answer. ``reconcile`` takes the time it needs.
PATIENCE = 10.0
#: Seconds that a request waits for it after an answer that leaves open what became of the money.
AT_ONCE = 2.0
#: Seconds that further requests do not ask, after one waited in vain: a refusal over a limit has to be quick.
_REST = 60.0
_SLOW = 1.0
#: Answers that may give budget back, as a charge of a ceiling does.
_MAKE_ROOM = ("not_settled", "one_says_not")


class Reader:
    """A settlement reader as requests use it: bounded in time. An answer that does not come in time is "unknown".

    ``balance`` reads what the account of a hold's payer holds of its token; None: it cannot be told.
    """

    reader: Any

    def __init__(self, reader: Any, balance: Callable[[Hold], int | None] | None = None) -> None:
        self.reader, self._balance = reader, balance
        self._resting_until = 0.0
        self._looks = Looks()

    def fate(self, hold: Hold) -> Fate:
        """Return the fate of one payment. Of one that is known as settled, nothing is asked."""
        if not due(hold):
            return "settled" if _is_over(hold) else "open"
        return fate_of(self.reader, hold, self._answer(hold, time.monotonic() + PATIENCE))

    async def afate(self, hold: Hold) -> Fate:
        """Async twin of ``fate``."""
        if not due(hold):
            return "settled" if _is_over(hold) else "open"
        return fate_of(self.reader, hold, await self._aanswer(hold, PATIENCE))

    def fates(self, holds: Iterable[Hold]) -> list[tuple[Hold, Fate]]:
        """Return the answers about several payments that came in time."""
        found: list[tuple[Hold, Fate]] = []
        started = time.monotonic()
        if started < self._resting_until:
            return found
        for hold in holds:
            if time.monotonic() - started >= PATIENCE:
                break
            _keep(found, *self._told(hold, started + PATIENCE))
        self._rest_after(started, found)
        return found

    async def afates(self, holds: Iterable[Hold]) -> list[tuple[Hold, Fate]]:
        """Async twin of ``fates``."""
        found: list[tuple[Hold, Fate]] = []
        started = time.monotonic()
        if started < self._resting_until:
            return found
        for hold in holds:
            left = started + PATIENCE - time.monotonic()
            if left <= 0:
                break
            _keep(found, *(await self._atold(hold, left)))
        self._rest_after(started, found)
        return found

    def see(self, hold: Hold, funds: bool) -> Seen:
        """Look at the chain at once, for a short time. Where nothing can be asked, it takes none."""
        until = time.monotonic() + AT_ONCE
        balance = self._begin_balance(hold) if funds else None
        seen = Seen(False)
        if can_look(self.reader, hold):
            seen = _seen(*self._told(hold, until))
            if hold.is_open_ceiling and not seen.settled:  # taken, it may be, and nothing shows how much of it
                seen.settled = self._answer(hold, until) == "settled"
        if balance is not None:
            balance.over.wait(max(0.0, until - time.monotonic()))
            seen.balance = balance.answer
        return seen

    async def asee(self, hold: Hold, funds: bool) -> Seen:
        """Async twin of ``see``."""
        import anyio

        until = time.monotonic() + AT_ONCE
        balance = self._begin_balance(hold) if funds else None
        seen = Seen(False)
        if can_look(self.reader, hold):
            seen = _seen(*(await self._atold(hold, AT_ONCE)))
            if hold.is_open_ceiling and not seen.settled and not is_async(self.reader.read):
                seen.settled = await self._aanswer(hold, max(0.0, until - time.monotonic())) == "settled"
        if balance is not None:
            with anyio.move_on_after(max(0.0, until - time.monotonic())):
                await ended(balance)
            seen.balance = balance.answer
        return seen

    def _begin_balance(self, hold: Hold) -> Any:
        read_balance = self._balance
        if read_balance is None:
            return None
        return self._looks.in_thread(("balance", hold.id), hold.offer.network, lambda: read_balance(hold), AT_ONCE)

    def _told(self, hold: Hold, until: float) -> tuple[Hold, Fate]:
        """Return a hold and its fate: of a ceiling, what was taken of it, too."""
        if not hold.is_open_ceiling:
            return hold, fate_of(self.reader, hold, self._answer(hold, until))
        look = self._looks.in_thread(
            ("ceiling", hold.id), hold.offer.network, lambda: learn(self.reader, hold), PATIENCE
        )
        if look is None or not look.over.wait(max(0.0, until - time.monotonic())):
            return hold, "unknown"
        return look.answer or (hold, "unknown")

    async def _atold(self, hold: Hold, seconds: float) -> tuple[Hold, Fate]:
        import anyio

        if not hold.is_open_ceiling or is_async(self.reader.read):
            return hold, fate_of(self.reader, hold, await self._aanswer(hold, seconds))
        look = self._looks.in_thread(
            ("ceiling", hold.id), hold.offer.network, lambda: learn(self.reader, hold), PATIENCE
        )
        if look is not None:
            with anyio.move_on_after(seconds):
                await ended(look)
        return (look and look.answer) or (hold, "unknown")

    def _answer(self, hold: Hold, until: float) -> Settled:
        look = self._looks.in_thread(hold.id, hold.offer.network, lambda: read(self.reader, hold), PATIENCE)
        if look is None or not look.over.wait(max(0.0, min(until, look.began + PATIENCE) - time.monotonic())):
            return "unknown"
        return look.answer or "unknown"

    async def _aanswer(self, hold: Hold, seconds: float) -> Settled:
        import anyio

        name, network = hold.id, hold.offer.network
        answer: Settled | None = None
        with anyio.move_on_after(seconds):
            if is_async(self.reader.read):
                answer = await self._looks.in_task(name, network, lambda: aread(self.reader, hold), PATIENCE)
            else:
                look = self._looks.in_thread(name, network, lambda: read(self.reader, hold), PATIENCE)
                if look is not None:
                    await ended(look)
                    answer = look.answer
        return answer or "unknown"

    def _rest_after(self, started: float, found: list[tuple[Hold, Fate]]) -> None:
        slow = time.monotonic() - started > _SLOW
        if slow and not any(answer in _MAKE_ROOM or hold.charged is not None for hold, answer in found):
            self._resting_until = time.monotonic() + _REST


def _keep(found: list[tuple[Hold, Fate]], hold: Hold, fate: Fate) -> None:
    if fate not in ("unknown", "early", "open"):
        found.append((hold, fate))


def _seen(hold: Hold, fate: Fate) -> Seen:
    return Seen(fate in ("settled", "one_says_charge"), None, hold.charged, fate)


def can_look(reader: Any, hold: Hold) -> bool:
    """Return False where a look cannot bring anything: the default reader without an endpoint for the network."""
    chain = _chain_reader(reader)
    return chain is None or chain.can_look(hold)


def failures_of(reader: Any, holds: Iterable[Hold]) -> tuple[str, ...]:
    """Return which endpoints gave no answer about holds, in a sentence each; none for a reader that is not ours."""
    chain = _chain_reader(reader)
    return () if chain is None else tuple(dict.fromkeys(said for hold in holds for said in chain.failures(hold)))


def fate_of(reader: Any, hold: Hold, answer: Settled) -> Fate:
    """Return the fate that a reader's answer means for a payment.

    The rule: "A single witness's 'not settled' gives back, in a window, no more than that window's tightest overall
    limit"; "a `reader=` of the user's own is the user's word". Nothing that is told later takes back that it settled.
    """
    if answer == "not_settled" and _is_settled(hold):
        return "open"
    if answer == "unknown":
        return "early" if expired_recently(hold) else "unknown"
    return "one_says_not" if answer == "not_settled" and _is_one_witness(reader, hold) else answer


def learn(reader: Any, hold: Hold) -> tuple[Hold, Fate]:
    """Return a hold and its fate, as a sync reader tells them now: of a ceiling, with what was taken of it.

    A used nonce with its transfer is final at once, also before the expiry. That only a part was taken is "not settled"
    for the rest: so a single witness's word for it is bounded like that, unless the seller's receipt says the same.
    """
    charged = read_charge(reader, hold) if hold.is_open_ceiling else None
    if charged is not None:
        alone = _is_one_witness(reader, hold) and (hold.receipt is None or hold.receipt.amount != charged)
        return hold.but(charged=charged), "one_says_charge" if alone else "settled"
    if not has_expired(hold) or _is_settled(hold):
        return hold, "open"
    return hold, fate_of(reader, hold, read(reader, hold))


async def alearn(reader: Any, hold: Hold) -> tuple[Hold, Fate]:
    """Async twin of ``learn``."""
    import anyio.to_thread

    if is_async(reader.read):
        if not has_expired(hold) or _is_settled(hold):
            return hold, "open"
        return hold, fate_of(reader, hold, await aread(reader, hold))
    return await anyio.to_thread.run_sync(learn, reader, hold, abandon_on_cancel=True)


def read_charge(reader: Any, hold: Hold) -> int | None:
    """Return what a reader says was taken of a ceiling, in the token's smallest units. None: it cannot tell."""
    tell = getattr(reader, "charge", None)
    try:
        found = None if tell is None or is_async(tell) else tell(hold)
    except Exception as failure:
        raise_callers_stop(failure)
        log.warning("The settlement reader failed", exc_info=failure)
        return None
    return found if type(found) is int and found >= 0 else None


def to_ask(reader: Any, holds: Iterable[Hold], owed: Iterable[Hold]) -> list[Hold]:
    """Return what the chain is asked about: expired payments without an answer, and the ceilings it can tell of.

    A ceiling is asked about before its expiry, too, whether it was delivered or not. What a call is paying at this
    moment is left to that call: a ledger concludes only what no attempt presents.
    """
    waiting = [hold for hold in holds if not is_in_flight(hold) and (due(hold) or _is_open_ceiling(reader, hold))]
    return [*waiting, *(hold for hold in owed if can_look(reader, hold))]


def _is_open_ceiling(reader: Any, hold: Hold) -> bool:
    """Return True for an unresolved ceiling of which a look at the chain may show what was taken."""
    return hold.state == "signed" and hold.is_open_ceiling and can_look(reader, hold)


def has_expired(hold: Hold) -> bool:
    """Return True if a signature can settle no more by our clock."""
    return hold.authorization is not None and hold.authorization.expires < time.time()


def due(hold: Hold) -> bool:
    """Return True if it is time to ask about a hold: it is signed, expired, and not known to be settled.

    The local clock decides when to ask, never the answer.
    """
    return hold.state == "signed" and hold.money != "spent" and has_expired(hold)


def _is_settled(hold: Hold) -> bool:
    """Return True for an unresolved payment that is known as settled: nothing that is told later takes that back."""
    return hold.state == "signed" and hold.money == "spent"


def _is_over(hold: Hold) -> bool:
    return _is_settled(hold) and has_expired(hold)


def is_in_flight(hold: Hold) -> bool:
    """Return True if a call is paying a hold at this moment.

    One whose call ended before it signed is not: its amount is free for the next payment. It may be listed until then.
    """
    return bool(hold.in_flight) or (hold.state == "reserved" and hold.in_flight is None)


def early(hold: Hold) -> bool:
    """Return True if it is too early to ask about a hold: it is unresolved, and can settle yet."""
    unresolved = hold.state == "signed" and not hold.in_flight and hold.money != "spent"
    return unresolved and not due(hold)


def expired_recently(hold: Hold) -> bool:
    """Return True if a payment expired too recently for a proof that it is unused."""
    return hold.authorization is not None and time.time() < hold.authorization.expires + MARGIN


def read(reader: Any, hold: Hold) -> Settled:
    """Return a reader's answer, as far as it is believed. A reader that fails gives "unknown"."""
    try:
        given = reader.read(hold)
    except Exception as failure:
        raise_callers_stop(failure)
        return _reader_failed(failure)
    return _believed(reader, hold, given)


async def aread(reader: Any, hold: Hold) -> Settled:
    """Async twin of ``read``. A sync reader runs in a thread."""
    import anyio.to_thread

    try:
        if is_async(reader.read):
            given = reader.read(hold)
        else:
            given = await anyio.to_thread.run_sync(reader.read, hold, abandon_on_cancel=True)
        given = await given if inspect.isawaitable(given) else given
    except Exception as failure:
        raise_callers_stop(failure)
        return _reader_failed(failure)
    return _believed(reader, hold, given)


def _reader_failed(failure: Exception) -> Settled:
    log.warning("The settlement reader failed", exc_info=failure)
    return "unknown"


def _chain_reader(reader: Any) -> Any:
    from ..chains.settlement import ChainReader  # a face alone does without

    return reader if isinstance(reader, ChainReader) else None


def _is_one_witness(reader: Any, hold: Hold) -> bool:
    chain = _chain_reader(reader)
    return chain is not None and bool(chain.is_one_witness(hold))


def _goes_by_the_chain(reader: Any, hold: Hold) -> bool:
    chain = _chain_reader(reader)
    return chain is not None and bool(chain.goes_by_the_chain(hold))


def _believed(reader: Any, hold: Hold, answer: Any) -> Settled:
    """Return the answer if it is believed, else "unknown". "Settled" is believed whenever it is seen.

    A reader that we did not write may judge too early: its "not settled" counts only well after the expiry.
    """
    if answer not in ("settled", "not_settled", "live"):
        return "unknown"
    assert hold.authorization is not None
    if answer == "not_settled" and expired_recently(hold) and not _goes_by_the_chain(reader, hold):
        return "unknown"
    return answer  # type: ignore[no-any-return]
