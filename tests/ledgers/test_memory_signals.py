"""A signal handler that raises wherever CPython may call one amid a step of the ledger in memory."""

from __future__ import annotations

import contextlib
import dis
import linecache
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from itertools import count
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

import pytest

import x402_client.ledgers
from x402_client.errors import AlreadyPaid, OverLimit
from x402_client.model import attempt as attempts
from x402_client.model.budgets import Cap
from x402_client.model.holds import CEILING, Attempt, Authorization, Hold, Order

from .test_memory import Clocked, order, spent

#: What is interrupted: all that is written for the ledger, and an attempt as it ends.
_LEDGERS = Path(x402_client.ledgers.__file__).parent
_FILES = (str(_LEDGERS), attempts.__file__)
#: CPython looks for signals at the begin of a function, after a call, and where a loop goes on.
_CALLS = {"CALL", "CALL_FUNCTION_EX", "CALL_KW"}
#: Accounts that together count everything.
EACH = (("a.example", "b.example"), ("",), ("*.example",), ("a.example:443", "b.example"))
#: A pattern of which most scenes have no account.
_LATER = "a.example:443"
_CAPS = (Cap("", "day", "USD", 100), Cap("*.example", "hour", "USD", 100), Cap("", "minute", None, 50))


class Rings:
    """Raises KeyboardInterrupt at one of the moments at which the interpreter may call a signal handler."""

    def __init__(self, moment: int) -> None:
        self.left = moment
        self.place = ""

    def __call__(self, frame: Any, event: str, _: object) -> Any:
        code = frame.f_code
        if event == "call":
            if not code.co_filename.startswith(_FILES):
                return None
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        elif event != "opcode" or frame.f_lasti not in looks_in(code):
            return self
        self.left -= 1
        if self.left == 0:
            self.place = f"{code.co_qualname}, line {frame.f_lineno}"
            raise KeyboardInterrupt
        return self


@cache
def looks_in(code: CodeType) -> frozenset[int]:
    """Return where the code stands after a look for signals.

    A "with" is left under its own line, and there no handler is called before its lock is released.
    """
    found, before, line = set(), "", 0
    for each in dis.get_instructions(code):
        line = each.starts_line or line
        if before in _CALLS and not linecache.getline(code.co_filename, line).lstrip().startswith("with "):
            found.add(each.offset)
        if each.opname == "JUMP_BACKWARD":
            found.add(each.argval)
        before = each.opname
    return frozenset(found)


def interrupted(step: Callable[[], object], moment: int) -> str:
    """Return where a step was interrupted. "": it ended before that moment."""
    rings, before = Rings(moment), sys.gettrace()
    sys.settrace(rings)
    try:
        step()
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(before)
    return rings.place


class Scene(NamedTuple):
    """A step to interrupt, the attempt that takes it, and the payment that was signed before."""

    step: Callable[[], object]
    attempt: Attempt
    signed: Any = None


def signature(nonce: str, kind: str = "") -> Authorization:
    made = Authorization(nonce, "0xp", 99, ("PAYMENT", "x"))
    return replace(made, kind=kind) if kind else made


class Ledger(Clocked):
    """A ledger with what is in flight in it all the time."""

    def __init__(self) -> None:
        super().__init__()
        self.live = Attempt()
        self.signed = self.record(reserved(self, wanted("in flight"), self.live), signature("0x0"))


def wanted(name: str = "p", keyed: bool = False, host: str = "a.example") -> Order:
    return order(name, 3, _CAPS, keyed=keyed, host=host)


def by_one_wallet(asked: Order) -> Order:
    return asked._replace(purchase=replace(asked.purchase, payers=("0xp",)))


def reserved(ledger: Ledger, asked: Order, attempt: Attempt) -> Hold:
    hold = ledger.reserve(asked, attempt)
    assert isinstance(hold, Hold)
    return hold


def unresolved(ledger: Ledger, keyed: bool, kind: str = "") -> Scene:
    attempt = Attempt()
    hold = ledger.record(reserved(ledger, wanted(keyed=keyed), attempt), signature("0x1", kind))
    attempt.end()
    return Scene(lambda: None, attempt, hold)


def reserving(ledger: Ledger, keyed: bool) -> Scene:
    attempt = Attempt()
    return Scene(lambda: ledger.reserve(wanted(keyed=keyed), attempt), attempt)


def reserving_what_is_signed(ledger: Ledger, keyed: bool) -> Scene:
    attempt = Attempt()
    asked = wanted(keyed=keyed)._replace(signed=signature("0x1"))
    return Scene(lambda: ledger.reserve(asked, attempt), attempt)


def recording(ledger: Ledger, keyed: bool) -> Scene:
    attempt = Attempt()
    hold = reserved(ledger, wanted(keyed=keyed), attempt)
    return Scene(lambda: ledger.record(hold, signature("0x1")), attempt)


def releasing(ledger: Ledger, keyed: bool) -> Scene:
    attempt = Attempt()
    hold = reserved(ledger, wanted(keyed=keyed), attempt)
    return Scene(lambda: ledger.release(hold), attempt)


def claiming(ledger: Ledger, keyed: bool) -> Scene:
    attempt, before = Attempt(), unresolved(ledger, keyed)
    return Scene(lambda: ledger.reserve(wanted(keyed=keyed), attempt), attempt, before.signed)


def asking_what_is_too_much(ledger: Ledger, keyed: bool, most: int = 1) -> Scene:
    """By a policy with a pattern that has no account yet."""
    reserved(ledger, wanted("a payment counted before", host="b.example"), ledger.live)
    caps, attempt = (*_CAPS, Cap(_LATER, "day", "USD", most)), Attempt()

    def step() -> None:
        with contextlib.suppress(OverLimit):
            ledger.reserve(wanted(keyed=keyed)._replace(caps=caps), attempt)

    return Scene(step, attempt)


def opening_an_account(ledger: Ledger, keyed: bool) -> Scene:
    return asking_what_is_too_much(ledger, keyed, 100)


def making_room(ledger: Ledger, keyed: bool) -> Scene:
    """What another call reserved that ended is in the way."""
    left, attempt, few = Attempt(), Attempt(), (Cap("", "day", "USD", 12),)
    reserved(ledger, order("left", 7, few), left)
    left.end()
    return Scene(lambda: ledger.reserve(order("another", 7, few), attempt), attempt)


def looking(ledger: Ledger, keyed: bool) -> Scene:
    before = unresolved(ledger, keyed)
    return before._replace(step=ledger.holds)


def closing(ledger: Ledger, keyed: bool, kind: str = "") -> Scene:
    attempt = Attempt()
    hold = ledger.record(reserved(ledger, wanted(keyed=keyed), attempt), signature("0x1", kind))
    return Scene(lambda: ledger.close(hold, "spent", None), attempt, hold)


def closing_a_ceiling(ledger: Ledger, keyed: bool) -> Scene:
    return closing(ledger, keyed, CEILING)


def freeing_a_ceiling(ledger: Ledger, keyed: bool) -> Scene:
    done = closing(ledger, keyed, CEILING)
    done.step()
    return done._replace(step=lambda: ledger.conclude(done.signed, False))


def settling_a_ceiling(ledger: Ledger, keyed: bool) -> Scene:
    before = unresolved(ledger, keyed, CEILING)
    told = replace(before.signed, charged=1)
    return before._replace(step=lambda: ledger.conclude(told, True))


def ending(ledger: Ledger, keyed: bool) -> Scene:
    before = closing(ledger, keyed)
    return before._replace(step=before.attempt.end)


def writing_off(ledger: Ledger, keyed: bool) -> Scene:
    before = unresolved(ledger, keyed)
    return before._replace(step=lambda: ledger.write_off(before.signed))


def giving_back(ledger: Ledger, keyed: bool) -> Scene:
    before = unresolved(ledger, keyed)
    return before._replace(step=lambda: ledger.conclude(before.signed, False), signed=None)


def settling(ledger: Ledger, keyed: bool) -> Scene:
    before = unresolved(ledger, keyed)
    return before._replace(step=lambda: ledger.conclude(before.signed, True))


def claiming_among_others(ledger: Ledger, keyed: bool) -> Scene:
    """Of eighteen: three of another wallet, one that was never signed, and some in flight."""
    live, asked = [Attempt() for _ in range(18)], wanted()
    holds = []
    for number, each in enumerate(live):
        ledger.time += 0.001
        holds.append(reserved(ledger, asked._replace(payer="0xother" if number < 3 else "0xp"), each))
    for number, hold in enumerate(holds):
        if number != 3:
            ledger.record(hold, signature(f"0x{number}"))
    for each in live[:6]:
        each.end()
    alone, attempt = by_one_wallet(asked), Attempt()

    def step(_: list[Attempt] = live) -> Hold:
        return reserved(ledger, alone, attempt)

    return Scene(step, attempt, holds[4])


def sums(ledger: Ledger) -> set[int]:
    """What counts, wherever it counts. One number, if nothing is amiss."""
    return {sum(spent(ledger, name, window) for name in names) for names in EACH for window in ("day", "total")}


def payments(ledger: Ledger) -> set[int]:
    """The number of payments that count, wherever there is an account for it."""
    found = [[ledger._accounts.get(("default", name, None)) for name in names] for names in EACH]
    return {sum(each.roll("total", ledger.time) for each in known if each) for known in found if known[0]}


def listed(ledger: Ledger) -> int:
    """What counts by the lists."""
    return sum(hold.price.units for hold in (*ledger.holds(), *ledger.history(99)))


def check_same(ledger: Ledger, scene: Scene, keyed: bool) -> None:
    """Let the same request be made again, and see that it is the same payment."""
    attempt, known = Attempt(), scene.signed
    past = {hold.id for hold in ledger.history(99)}
    waiting = [hold.id for hold in ledger.holds() if hold.state == "signed" and not hold.in_flight]
    if known is not None:
        assert (known.id in past) is not (known.id in waiting), "it is in one list"
    asked = wanted(keyed=keyed)
    if not keyed and scene.signed and len(waiting) > 1:
        asked = by_one_wallet(asked)
        waiting = [hold.id for hold in ledger.holds() if hold.id in waiting and hold.payer == "0xp"]
    try:
        again = reserved(ledger, asked, attempt)
    except AlreadyPaid as paid:
        assert known is not None and paid.hold is not None  # noqa: PT017, PT018
        assert paid.hold.id == known.id  # noqa: PT017
    else:
        assert again.id == waiting[0] if waiting else again.state == "reserved"
        ledger.release(again)
        attempt.end()


SCENES = (
    reserving, reserving_what_is_signed, asking_what_is_too_much, opening_an_account, making_room, recording, releasing,
    claiming, claiming_among_others, looking, closing, closing_a_ceiling, ending, writing_off, giving_back, settling,
    freeing_a_ceiling, settling_a_ceiling,
)  # fmt: skip
TAKING = (reserving, reserving_what_is_signed, opening_an_account)
#: These are asked for again, as a reconcile does.
ASKED_AGAIN = (freeing_a_ceiling, settling_a_ceiling)
#: Where a sum may be left with too much. It counts too little nowhere.
_SUMS = ("Account.", "Window.", "count_less", "settle", "OwedInMemory.conclude")
CASES = (
    *((scene, False, 0) for scene in SCENES),
    *((scene, True, 0) for scene in (reserving, reserving_what_is_signed, claiming, closing, writing_off)),
    # In another second, sums are moved on.
    *((scene, False, 90) for scene in (reserving, making_room, releasing, looking, giving_back, *ASKED_AGAIN)),
)
#: What may be the first call after an interruption.
NEXT: tuple[Callable[[Ledger], object], ...] = (
    lambda ledger: ledger.reserve(wanted("next"), ledger.live),
    lambda ledger: ledger.claim(wanted("next").purchase, ledger.live),
    lambda ledger: ledger.close(ledger.signed, "spent", None),
    lambda ledger: ledger.release(reserved(ledger, wanted("next", host="b.example"), ledger.live)),
    lambda ledger: ledger.conclude(ledger.signed, False),
    lambda ledger: ledger.check(wanted("next")),
    Ledger.holds,
    lambda ledger: ledger.history(9),
    spent,
)


def begin(scene: Callable[[Ledger, bool], Scene], keyed: bool, later: int) -> tuple[Ledger, Scene]:
    ledger = Ledger()
    now = scene(ledger, keyed)
    ledger.time += later
    return ledger, now


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of a generator that is closed
@pytest.mark.parametrize(("scene", "keyed", "later"), CASES)
def test_a_step_that_a_signal_interrupts_is_taken_or_is_not(
    scene: Callable[[Ledger, bool], Scene], keyed: bool, later: int
) -> None:
    for moment in count(1):
        ledger, now = begin(scene, keyed, later)
        place = interrupted(now.step, moment)
        now.attempt.end()
        if scene in ASKED_AGAIN:
            now.step()
        NEXT[moment % len(NEXT)](ledger)
        for _ in range(2):
            assert min(sums(ledger)) >= listed(ledger), place
            check_same(ledger, now, keyed)
            ledger._reap(ledger._rows.values())
            if not place.startswith(_SUMS) or (scene in TAKING and place.startswith("Account.add,")):
                assert sums(ledger) == {listed(ledger)}, place
                assert payments(ledger) == {len(ledger.holds()) + len(ledger.history(99))}, place
            assert all(hold.in_flight or hold.state == "signed" for hold in ledger.holds()), place
        if not place:
            break
    assert moment > 5


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("scene", "keyed", "later"), CASES)
def test_a_second_signal_interrupts_the_next_call(
    scene: Callable[[Ledger, bool], Scene], keyed: bool, later: int
) -> None:
    """Then a sum may count too much, and never too little."""
    place = "somewhere"
    for moment in count(1, 5):
        ledger, now = begin(scene, keyed, later)
        place = interrupted(now.step, moment)
        now.attempt.end()
        if scene in ASKED_AGAIN:
            now.step()
        place += " and " + interrupted(partial(NEXT[moment % len(NEXT)], ledger), moment * 7 % 61 + 1)
        for _ in range(2):
            assert min(sums(ledger)) >= listed(ledger), place
            assert min(payments(ledger)) >= len(ledger.holds()) + len(ledger.history(99)), place
            check_same(ledger, now, keyed)
        if place.startswith(" and"):
            break
