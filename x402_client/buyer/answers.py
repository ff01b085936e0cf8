"""Answers the flow's asks, sync and async. Plumbing: a decision made here is a mistake."""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from typing import Any, TypeVar

from ..core import CheckOrder, Freezes, asks
from ..core.drive import is_coming
from ..core.ports import AsyncCourier, Courier
from ..errors import ConfigurationError
from ..guards.handlers import as_stop, raise_callers_stop
from ..guards.threads import start
from ..guards.tracebacks import forget_frames
from ..ledgers.extras import check_order, note, owed_in
from ..model.counts import counted
from ..model.holds import Fate, Hold
from ..model.networks import EVM_FAMILY, SOLANA_FAMILY
from ..signers.contract import ContractSigner
from ..signers.evm import LocalEvmSigner, read_any_signature
from ..signers.further import read_signature as read_further_signature
from ..signers.solana import LocalSolanaSigner
from ..signers.solana import read_signature as read_solana_signature
from .bought import abought_at, bought_at
from .late_notes import running_loop
from .ledger_calls import acall_ledger, call_ledger, start_ledger_call
from .pending_ends import ended, raise_if_delivered, without
from .services import Services, log
from .settings import is_async
from .settlement_reader import to_ask

T = TypeVar("T")


class Answers:
    """Answers to a flow's asks, for sync clients."""

    __slots__ = ("_courier", "_services")

    def __init__(self, services: Services, courier: Courier) -> None:
        self._services, self._courier = services, courier

    def __call__(self, ask: asks.Ask[Any]) -> Any:
        return _SYNC[type(ask)](self, ask)

    def _ledger(self, question: Any) -> Any:
        return call_ledger(self._services.ledger, _LEDGER[type(question)], question)

    def _join(self, question: asks.Join) -> asks.Joined:
        in_thread = threading.get_ident() != threading.main_thread().ident
        return self._services.running.join(question, self._courier, in_thread)

    def _reserve(self, question: asks.Reserve) -> Any:
        self._services.ends.make_room()
        held = raise_if_delivered(self._ledger(question))
        self._services.tell_news()
        return held

    def _claim(self, question: asks.Claim | CheckOrder) -> Any:
        self._services.ends.write_loose()
        return raise_if_delivered(self._ledger(question))

    def _note(self, question: asks.Note) -> Any:
        return self._services.ends.note(question) if question.now else self._ledger(question)

    def _holds(self, question: asks.Holds | asks.Expired) -> tuple[Hold, ...]:
        services, ends = self._services, ended()
        return without(ends, call_ledger(services.ledger, lambda ledger: ledger.holds(services.purse)))

    def _expired(self, question: asks.Expired) -> list[tuple[Hold, Fate]]:
        services = self._services
        owed = call_ledger(services.ledger, owed_in, services.purse)
        return services.settlement.fates(to_ask(services.settlement.reader, self._holds(question), owed))

    def _sign(self, ask: Any) -> asks.SignatureGiven:
        signer, asked, read = _signing(self._services, ask)
        started = time.monotonic()
        returned = _signer_method(signer, ask)(asked)
        if is_coming(returned):
            getattr(returned, "close", bool)()  # or Python warns of a coroutine that was never awaited
            raise ConfigurationError("The wallet's signer is async and the client is not; use an async client.")
        return _signature_given(signer, returned, read, started)

    def _send(self, question: asks.Send) -> asks.Reply:
        self._services.sending = object()
        try:
            return self._courier.send(question.header)
        except BaseException as failure:
            stop = as_stop(failure)
            if stop is not failure:
                raise stop from None
            forget_frames(failure)  # the frames have the payment in their variables
            raise

    def _approve(self, ask: asks.Approve) -> asks.Approved:
        started = time.monotonic()
        approver, limit = self._services.approver, self._services.approve_timeout
        assert approver is not None
        said: list[asks.Approved] = []
        context = copy_context()
        # In a thread of its own: an answer that does not come has to mean no.
        thread = threading.Thread(
            target=lambda: said.append(_judge_answer(lambda: context.run(approver, ask.approval))), daemon=True
        )
        try:
            start(thread)
        except RuntimeError as failure:
            return _timed(_approver_failed(failure), started)
        thread.join(limit)
        return _timed(said[0] if said else _no_answer(limit), started)


class AsyncAnswers:
    """Answers to a flow's asks, for async clients. Calls that may block the loop run in a thread."""

    __slots__ = ("_courier", "_services")

    def __init__(self, services: Services, courier: AsyncCourier) -> None:
        self._services, self._courier = services, courier

    def __call__(self, ask: asks.Ask[Any]) -> Any:
        return _ASYNC[type(ask)](self, ask)

    def _ledger(self, question: Any) -> Any:
        _tie_to_loop(question)
        return start_ledger_call(self._services.ledger, _LEDGER[type(question)], question)

    def _reserve(self, question: asks.Reserve) -> Any:
        if self._services.ends.is_crowded:
            return self._reserve_later(question)
        held = self._ledger(question)
        if is_coming(held):
            return self._reserved(held)
        self._services.tell_news()
        return raise_if_delivered(held)

    async def _reserve_later(self, question: asks.Reserve) -> Any:
        await self._services.ends.amake_room()
        held = self._ledger(question)
        return await self._reserved(held) if is_coming(held) else raise_if_delivered(held)

    async def _reserved(self, coming: Awaitable[Any]) -> Any:
        held = await coming
        self._services.tell_news()
        return raise_if_delivered(held)

    def _claim(self, question: asks.Claim | CheckOrder) -> Any:
        if self._services.ends.has_loose:
            return self._claim_later(question)
        found = self._ledger(question)
        return self._claimed(found) if is_coming(found) else raise_if_delivered(found)

    async def _claim_later(self, question: asks.Claim | CheckOrder) -> Any:
        await self._services.ends.awrite_loose()
        found = self._ledger(question)
        return await self._claimed(found) if is_coming(found) else raise_if_delivered(found)

    async def _claimed(self, coming: Awaitable[Any]) -> Any:
        return raise_if_delivered(await coming)

    def _note(self, question: asks.Note) -> Any:
        return self._services.ends.note(question) if question.now else self._ledger(question)

    async def _holds(self, question: asks.Holds | asks.Expired) -> tuple[Hold, ...]:
        services, ends = self._services, ended()
        return without(ends, await acall_ledger(services.ledger, lambda ledger: ledger.holds(services.purse)))

    async def _expired(self, question: asks.Expired) -> list[tuple[Hold, Fate]]:
        services = self._services
        owed = await acall_ledger(services.ledger, owed_in, services.purse)
        found = await self._holds(question)
        return await services.settlement.afates(to_ask(services.settlement.reader, found, owed))

    def _in_time(self, coming: Awaitable[T]) -> Awaitable[T]:
        """Bound an awaitable by the library's own clock for the whole call, if it has one: a payment has left."""
        in_time = getattr(self._courier, "in_time", None)
        return coming if in_time is None else in_time(coming)

    def _sign(self, ask: Any) -> Any:
        signer, asked, read = _signing(self._services, ask)
        started = time.monotonic()
        sign = _signer_method(signer, ask)
        returned = _in_thread(sign, asked) if _blocks(signer) else sign(asked)
        if is_coming(returned):
            return self._signed(returned, signer, read, started)
        return _signature_given(signer, returned, read, started)

    async def _signed(self, coming: Any, signer: Any, read: Callable[[Any], bytes], started: float) -> Any:
        while is_coming(coming):  # a thread may bring another awaitable
            coming = await coming
        return _signature_given(signer, coming, read, started)

    async def _send(self, question: asks.Send) -> asks.Reply:
        self._services.sending = object()
        try:
            return await self._courier.send(question.header)
        except BaseException as failure:
            stop = as_stop(failure)
            if stop is not failure:
                raise stop from None
            forget_frames(failure)
            raise

    async def _approve(self, ask: asks.Approve) -> asks.Approved:
        import anyio

        started = time.monotonic()
        approver, limit = self._services.approver, self._services.approve_timeout
        assert approver is not None
        with anyio.move_on_after(limit):
            return _timed(await self._ask_approver(approver, ask), started)
        return _timed(_no_answer(limit), started)

    async def _ask_approver(self, approver: Callable[..., Any], ask: asks.Approve) -> asks.Approved:
        try:
            awaited = is_async(approver)
            answer = approver(ask.approval) if awaited else await _in_thread(approver, ask.approval)
            said = await answer if is_coming(answer) else answer
        except Exception as failure:
            return _approver_failed(failure)
        return _judge_answer(lambda: said)


def _kind_of(courier: Courier | AsyncCourier, failure: Exception) -> asks.Failure:
    raise_callers_stop(failure)  # it may have come between two steps of the flow
    return courier.failed(failure)


def _tie_to_loop(question: Any) -> None:
    """Let an attempt be over once its event loop was closed: a call that was left in there never goes on.

    A client that can see more has said so before.
    """
    attempt, loop = getattr(question, "attempt", None), running_loop()
    # Another kind of loop ends its tasks before it goes.
    if attempt is not None and attempt.is_stranded is None and loop is not None:
        attempt.is_stranded = loop.is_closed


async def _pause(seconds: float) -> None:
    import anyio

    await anyio.sleep(seconds)


async def _in_thread(function: Callable[..., T], *arguments: Any) -> T:
    import anyio.to_thread

    # In a list: trio takes no function that returns an awaitable.
    [found] = await anyio.to_thread.run_sync(lambda: [function(*arguments)], abandon_on_cancel=True)
    return found


def _signing(services: Services, ask: Any) -> tuple[Any, Any, Callable[[Any], bytes]]:
    """Return the signer, the data it signs, and the function that reads what comes back."""
    family: str
    asked: Any
    if isinstance(ask, asks.SignTyped):
        family, asked = EVM_FAMILY, ask.data
    elif isinstance(ask, asks.SignMessage):
        family, asked = SOLANA_FAMILY, ask.message
    elif isinstance(ask, asks.SignText):
        family, asked = EVM_FAMILY, ask.text
    else:
        family, asked = ask.family, ask.data
    signer = services.wallet.needed_signer(family)
    read = signer.read_signature if isinstance(signer, ContractSigner) else _READS.get(family, read_further_signature)
    return signer, asked, read


def _signer_method(signer: Any, ask: Any) -> Callable[[Any], Any]:
    found: Callable[[Any], Any] = signer.sign_text if isinstance(ask, asks.SignText) else signer.sign
    return found


_READS = {EVM_FAMILY: read_any_signature, SOLANA_FAMILY: read_solana_signature}


def _blocks(signer: Any) -> bool:
    return bool(signer.blocking) and not signer.is_async


def _signature_given(signer: Any, returned: Any, read: Callable[[Any], bytes], started: float) -> asks.SignatureGiven:
    seconds = time.monotonic() - started
    if isinstance(signer, (LocalEvmSigner, LocalSolanaSigner)):
        return asks.SignatureGiven(returned, trusted=True, seconds=seconds)
    return asks.SignatureGiven(read(returned), trusted=False, seconds=seconds)


def _judge_answer(ask_approver: Callable[[], Any]) -> asks.Approved:
    try:
        said = ask_approver()
    except BaseException as failure:  # the thread is ours, and ends here in any case
        return _approver_failed(failure)
    if said is True:
        return asks.Approved(True, 0.0)
    remark = "The approver said no." if said is False else f"The approver returned {said!r}, and only True means yes."
    return asks.Approved(False, 0.0, remark)


def _approver_failed(failure: BaseException) -> asks.Approved:
    log.warning("The approver failed", exc_info=failure)
    return asks.Approved(False, 0.0, f"The approver failed with {type(failure).__name__}: {failure}.", failure)


def _no_answer(limit: float | None) -> asks.Approved:
    within = "" if limit is None else f" within {counted(limit, 'second')}"
    return asks.Approved(False, 0.0, f"The approver did not answer{within}.")


def _timed(said: asks.Approved, started: float) -> asks.Approved:
    return asks.Approved(said.yes, time.monotonic() - started, said.remark, said.failure)


_LEDGER: dict[type[Any], Callable[[Any, Any], Any]] = {
    asks.Reserve: lambda ledger, ask: ledger.reserve(ask.order, ask.attempt),
    asks.Claim: lambda ledger, ask: ledger.claim(ask.purchase, ask.attempt),
    asks.Record: lambda ledger, ask: ledger.record(ask.hold, ask.authorization),
    asks.Release: lambda ledger, ask: ledger.release(ask.hold),
    asks.Conclude: lambda ledger, ask: ledger.conclude(ask.hold, ask.settled),
    asks.WriteOff: lambda ledger, ask: ledger.write_off(ask.hold),
    asks.Note: lambda ledger, ask: note(ledger, ask.hold, ask.last),
    asks.AllowanceRecords: lambda ledger, ask: ledger.allowances(ask.purse, ask.accounts),
    Freezes: lambda ledger, ask: ledger.freezes(),
    CheckOrder: lambda ledger, ask: check_order(ledger, ask.order),
}

_SYNC: dict[type[Any], Callable[[Any, Any], Any]] = {
    asks.Peek: lambda self, ask: self._courier.peek(ask.reply),
    asks.Digest: lambda self, ask: self._courier.digest(),
    asks.Send: Answers._send,
    asks.LookAgain: lambda self, ask: self._courier.send(None),
    asks.Failed: lambda self, ask: _kind_of(self._courier, ask.failure),
    asks.Pause: lambda self, ask: time.sleep(ask.seconds),
    asks.Tell: lambda self, ask: self._services.tell(ask.event),
    asks.SignTyped: Answers._sign,
    asks.SignMessage: Answers._sign,
    asks.SignText: Answers._sign,
    asks.Bought: lambda self, ask: bought_at(self._services, ask),
    asks.Sign: Answers._sign,
    asks.Fetch: lambda self, ask: ask.read(),
    asks.Approve: Answers._approve,
    asks.Join: Answers._join,
    asks.Settlement: lambda self, ask: self._services.settlement.fate(ask.hold),
    asks.LookNow: lambda self, ask: self._services.settlement.see(ask.hold, ask.funds),
    asks.Expired: Answers._expired,
    asks.Holds: Answers._holds,
    asks.LeftAlone: lambda self, ask: self._services.breaker.until(ask.origin),
    **dict.fromkeys(_LEDGER, Answers._ledger),
    asks.Note: Answers._note,
    asks.Reserve: Answers._reserve,
    asks.Claim: Answers._claim,
    CheckOrder: Answers._claim,
    asks.Close: lambda self, ask: self._services.ends.close(ask, self._services.tell),
    asks.LookLater: lambda self, ask: self._services.open_amounts.watch(
        ask.outcome, self._services.tell, ask.unresolved
    ),
}

_ASYNC: dict[type[Any], Callable[[Any, Any], Any]] = {
    **_SYNC,
    asks.Pause: lambda self, ask: self._in_time(_pause(ask.seconds)),
    asks.SignTyped: AsyncAnswers._sign,
    asks.SignMessage: AsyncAnswers._sign,
    asks.SignText: AsyncAnswers._sign,
    asks.Bought: lambda self, ask: abought_at(self._services, ask),
    asks.Sign: AsyncAnswers._sign,
    asks.Fetch: lambda self, ask: _in_thread(ask.read),
    asks.Approve: AsyncAnswers._approve,
    # Async callers cancel instead of giving up, so such a call is never overdue; it may join one that is.
    asks.Join: lambda self, ask: self._services.running.join(ask, self._courier, in_thread=False),
    asks.Send: AsyncAnswers._send,
    asks.Settlement: lambda self, ask: self._services.settlement.afate(ask.hold),
    asks.LookNow: lambda self, ask: self._in_time(self._services.settlement.asee(ask.hold, ask.funds)),
    asks.Expired: AsyncAnswers._expired,
    asks.Holds: AsyncAnswers._holds,
    **dict.fromkeys(_LEDGER, AsyncAnswers._ledger),
    asks.Note: AsyncAnswers._note,
    asks.Reserve: AsyncAnswers._reserve,
    asks.Claim: AsyncAnswers._claim,
    CheckOrder: AsyncAnswers._claim,
}


def ledger_answers(ledger: Any) -> Callable[[asks.Ask[Any]], Any]:
    """Return what answers a flow that speaks to a ledger and to no one else."""

    def answer(ask: asks.Ask[Any]) -> Any:
        if isinstance(ask, (asks.Tell, asks.LookLater)):
            return None
        if isinstance(ask, asks.Close):  # nothing waits here, so it is written now
            return call_ledger(ledger, lambda port: port.close(ask.hold, ask.money, ask.receipt))
        return call_ledger(ledger, _LEDGER[type(ask)], ask)

    return answer
