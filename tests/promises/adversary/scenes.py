"""The scenes of the themes: a few events each, in the order in which they matter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from .chain import EARLY
from .events import (
    Call,
    Clone,
    Empty,
    Endpoint,
    Event,
    Evict,
    GoOn,
    Keep,
    LetGo,
    Look,
    LoseLog,
    Mark,
    OpenOtherwise,
    Plan,
    PutBack,
    Reconcile,
    Restart,
    SettleLate,
    Skew,
    Together,
    Wait,
    WriteOff,
)
from .machines import RING

if TYPE_CHECKING:
    from .generate import Drawing


def _keep(draw: Drawing) -> list[Event]:
    lost = _lost(draw)
    pushing = [draw.call(program=1, other=True) for _ in range(draw.rng.choice((0, 2, 4)))]
    return [Keep(), *lost, PutBack(), *pushing, draw.again()]


def _keep_long(draw: Drawing) -> list[Event]:
    return [Keep(), *_lost(draw), PutBack(), GoOn(1, draw.rng.choice((RING // 4, 2 * RING, 2 * RING))), draw.again()]


def _lost(draw: Drawing) -> list[Call]:
    return [draw.call(failing=True, program=0) for _ in range(draw.rng.choice((1, 1, 2)))]


def _clone(draw: Drawing) -> list[Event]:
    lost = _lost(draw)
    both = tuple(replace(draw.again(), program=program) for program in range(2))
    return [*lost, Clone(), Together(both) if draw.rng.random() < 0.5 else both[1], draw.again()]


def _lose_log(draw: Drawing) -> list[Event]:
    return [LoseLog(draw.call(failing=True)), draw.again()]


def _fold(draw: Drawing) -> list[Event]:
    return [LoseLog(draw.call(failing=True), folded=True), draw.again()]


def _old(draw: Drawing) -> list[Event]:
    """Give a payment back when its day is over, and that of a later one is not."""
    lost = draw.call(failing=True, program=0)
    lost, again = replace(lost, plan=replace(lost.plan, settles="never")), draw.again()
    return [lost, Wait(50_000), draw.call(other=True), Wait(50_000), again, draw.call(other=True)]


def _evict(draw: Drawing) -> list[Event]:
    return [Evict(draw.rng.randrange(40)), draw.again()]


def _empty(draw: Drawing) -> list[Event]:
    return [Empty(), draw.again()]


def _must(draw: Drawing) -> list[Event]:
    program = draw.rng.randrange(2)
    return [draw.call(failing=True), Empty(), Restart(program), replace(draw.again(), program=program)]


def _witness(draw: Drawing) -> list[Event]:
    asked = [draw.call(failing=True, program=0) for _ in range(draw.rng.choice((2, 3, 4)))]
    return [Endpoint(0, "lies"), *(event for call in asked for event in (call, Wait(700)))]


def _both(draw: Drawing) -> list[Event]:
    again = draw.again()
    first = replace(draw.call(failing=True), thing=again.thing)
    first = replace(first, plan=replace(first.plan, terms=draw.rng.choice(("both", "v1", "v2"))))
    return [first, replace(again, plan=Plan(terms=draw.rng.choice(("both", "v1", "v2"))))]


def _loss(draw: Drawing) -> list[Event]:
    return [draw.call(failing=True, program=0), Wait(700), replace(draw.again(), plan=Plan(pays=("402",)))]


def _skew(draw: Drawing) -> list[Event]:
    rng = draw.rng
    skewed = Skew(rng.choice((0, 100, 780, 4_000, -100, -780, 100_000)))
    if rng.random() < 0.5:
        return [skewed]
    stubborn = Plan(pays=("402", "goods"), settles=rng.choice(("never", "before")))
    failing = draw.call(failing=True, program=0)
    failing = replace(failing, plan=replace(failing.plan, settles=rng.choice(("never", "after"))))
    return [failing, skewed, replace(draw.again(), plan=stubborn)]


def _early(draw: Drawing) -> list[Event]:
    """Set the clock ahead to about the end of a payment, where no endpoint speaks."""
    failing = draw.call(failing=True, program=0)
    failing = replace(failing, plan=replace(failing.plan, settles=draw.rng.choice(("never", "after"))))
    silent = [Endpoint(which, draw.rng.choice(("silent", "garbage"))) for which in range(2)]
    again = replace(draw.again(), plan=Plan(pays=("402", "goods"), settles="never"))
    return [*silent, failing, Skew(draw.rng.choice((50, 65, 100, 140, 170, 200))), again]


def _reader(draw: Drawing) -> list[Event]:
    """Ask a reader that fails, or that is early beside a clock that is fast."""
    rng, failing = draw.rng, draw.call(failing=True, program=0)
    if rng.random() < 0.4:
        return [Endpoint(0, rng.choice(("silent", "garbage"))), failing, Wait(900), draw.again(), Endpoint(0, "true")]
    failing = replace(failing, plan=replace(failing.plan, settles="never"))
    return [Skew(EARLY), failing, Wait(rng.choice((65, 90, 140))), draw.again()]


def _endpoint(draw: Drawing) -> list[Event]:
    """Change the chain's endpoints. Not both of them lie."""
    rng = draw.rng
    mood = rng.choice(("true", "silent", "garbage", "lies"))
    changed: list[Event] = [Endpoint(0, mood)]
    if mood != "lies" and rng.random() < 0.6:
        changed.append(Endpoint(1, mood))
    if rng.random() < 0.4:
        return changed
    return [draw.call(failing=True), *changed, Wait(700), draw.again()]


def _crowd(draw: Drawing) -> list[Event]:
    return [Together(tuple(draw.call(crowd=True) for _ in range(draw.rng.choice((2, 4, 6)))))]


def _ahead(draw: Drawing) -> list[Event]:
    """Remember the terms of a place, and be led there after a payment."""
    known, paid = draw.again(), draw.again()
    led = draw.rng.choice(("302 common", "303 common"))
    return [replace(known, plan=Plan((led,))), replace(paid, plan=Plan(pays=(f"to {led}",)))]


def _patterns(draw: Drawing) -> list[Event]:
    return [draw.buys(wallet) for wallet in draw.rng.choice(((1, 0, 1, 0), (0, 1, 1, 0), (1, 0, 1, 1, 0)))]


def _foreign(draw: Drawing) -> list[Event]:
    return [draw.call(failing=True), Wait(700), draw.again()]


def _give_up(draw: Drawing) -> list[Event]:
    return [WriteOff()]


def _allowances(draw: Drawing) -> list[Event]:
    """Stop an allowance in a way that there is, open it otherwise, or let go of it. Then pay under it again."""
    rng, place = draw.rng, draw.rng.randint(1, len(draw.tree))
    program = rng.randrange(2) if draw.shared else 0
    again = replace(draw.again(), under=rng.choice((place, draw.under())), program=program)
    kind = rng.random()
    if kind < 0.35:
        return [Mark(place, "close", program), *_then(draw, place, program), again]
    if kind < 0.6:
        marks = rng.choice((("freeze",), ("freeze", "unfreeze"), ("freeze", "close", "unfreeze")))
        return [*(Mark(place, how, program) for how in marks), *_then(draw, place, program), again]
    if kind < 0.75:
        opened, ending = rng.choice(((0, 0), (100, 0), (0, -100)))
        seconds = rng.choice((200, 4_000))
        short = next((number for number, one in enumerate(draw.tree, 1) if one.minutes == 2), place)
        again = replace(again, under=short, around=0, plan=Plan())
        first: list[Event] = [*([Skew(opened)] if opened else []), again, *([Skew(ending)] if ending else [])]
        return [*first, Wait(200 if opened or ending else seconds), again]
    if kind < 0.9:
        return [OpenOtherwise(place, rng.choice(("amount", "minutes", "hosts", "parent", "most")), program), again]
    return [again, LetGo(program), replace(again, under=draw.under())]


def _then(draw: Drawing, place: int, program: int) -> list[Event]:
    """Draw what may bring back what was stopped."""
    unfrozen = Mark(place, "unfreeze", program)
    tries: tuple[list[Event], ...] = ([], [], [unfrozen], [Restart(program)], [LetGo(program)])
    return draw.rng.choice(tries)


def _dying(draw: Drawing, call: Call) -> Call:
    """Return a call of another program that is killed at a moment, most of which are before its answer."""
    return replace(call, where="dies", stop="read", at=draw.rng.randint(1, 40))


def _sign_in(draw: Drawing) -> list[Event]:
    """Buy, or fail to; then sign in for the same, and ask for it once more."""
    rng = draw.rng
    first, again, last = draw.call(failing=True), draw.again(), draw.again()
    if rng.random() < 0.8:
        first = replace(first, plan=Plan(pays=(rng.choice(("500", "402", "cut", "drop", "goods")),)), stop="read")
    kind, opens = rng.choice(("plain", "words", "again", draw.sign())), rng.choice(("goods", "pieces", "cut", "402"))
    sound = replace(again, plan=Plan(signs=(kind,), opens=(opens, "goods"), alone=rng.random() < 0.3))
    chances: tuple[list[Event], ...] = ([], [], [Wait(rng.choice((61, 250, 700)))], [SettleLate()])
    between = rng.choice(chances)
    if draw.shared and rng.random() < 0.25:
        return [first, *between, _dying(draw, sound), sound, last]
    if rng.random() < 0.3:
        return [first, *between, Together((sound, replace(sound, client=last.client))), last]
    return [first, *between, sound, last]


def _permits(draw: Drawing) -> list[Event]:
    """Sell by permits: to several at once, with a permit that is used alone, or one that is used late. Then look."""
    rng, look = draw.rng, Look(draw.rng.randrange(2) if draw.shared else 0)
    if draw.shared and rng.random() < 0.3:
        late: Event = rng.choice((SettleLate(), SettleLate("alone"), Wait(5), Wait(61), Wait(250)))
        return [_dying(draw, draw.call(failing=True)), look, late, draw.again(), look, draw.call(other=True), look]
    kind = rng.random()
    if kind < 0.3:
        at_once = tuple(draw.call(crowd=True) for _ in range(rng.choice((2, 2, 3))))
        return [Together(at_once), look, draw.again()]
    failing = draw.call(failing=True)
    if kind < 0.6:
        used = replace(failing, plan=replace(failing.plan, permit=rng.choice(("alone", "never"))))
        chances: tuple[list[Event], ...] = ([], [SettleLate("alone")], [Wait(rng.choice((61, 250)))])
        return [used, look, *rng.choice(chances), draw.again(), look]
    late = rng.choice((SettleLate(), SettleLate("alone"), Wait(61), Wait(250), Restart(rng.randrange(2))))
    lost = replace(failing, plan=replace(failing.plan, settles="never"))
    return [lost, look, late, rng.choice((draw.again(), draw.call(other=True))), look]


def _lost_ceilings(draw: Drawing) -> list[Event]:
    """Lose the answers to ceilings. Look before their deadline, perhaps by one endpoint that shows little of each."""
    rng, program = draw.rng, draw.rng.randrange(2) if draw.shared else 0
    look, late = Reconcile(program), SettleLate()
    lost = [draw.call(failing=True) for _ in range(rng.choice((1, 1, 2, 3)))]
    little = [Endpoint(0, "little")] if rng.random() < 0.4 else []
    chances: tuple[list[Event], ...] = (
        [], [look], [look], [late, look], [look, late], [late], [Wait(61), look], [Wait(700), look], [Restart(program)],
    )  # fmt: skip
    again = replace(draw.again(), plan=Plan(terms="upto", pays=(rng.choice(("goods", "402", "drop", "500")),)))
    return [*little, *lost, *rng.choice(chances), again, look, draw.call(other=True)]


def _solana(draw: Drawing) -> list[Event]:
    """Sign while the clock is wrong, lose the answer, put the clock right, and ask again."""
    rng, program = draw.rng, draw.rng.randrange(2) if draw.shared else 0
    failing = draw.call(failing=True, program=program)
    settles = rng.choice(("never", "never", "after"))
    failing = replace(failing, plan=replace(failing.plan, terms="solana", settles=settles))
    wrong, right = Skew(rng.choice((-300, -300, -3_600, -100, 0, 300))), Skew(rng.choice((0, 0, 0, -100, 300, 3_600)))
    chances: tuple[list[Event], ...] = ([], [Reconcile(program)], [Wait(5)], [Wait(61)], [Wait(200)], [SettleLate()])
    again = replace(draw.again(), plan=Plan(terms="solana", pays=("402", "goods"), settles="never"), program=program)
    return [wrong, failing, right, *rng.choice(chances), again]


#: Themes, how often they come up where a script is about them, and their scene. The first that comes up is drawn.
SCENES: tuple[tuple[str, float, Callable[[Drawing], list[Event]]], ...] = (
    ("keep", 0.3, _keep), ("keep long", 0.3, _keep_long), ("clone", 0.3, _clone), ("lose log", 0.25, _lose_log),
    ("fold", 0.25, _fold), ("old", 0.3, _old), ("evict", 0.2, _evict), ("empty", 0.15, _empty), ("must", 0.3, _must),
    ("witness", 0.5, _witness), ("both", 0.3, _both), ("loss", 0.3, _loss), ("skew", 0.3, _skew),
    ("early", 0.4, _early), ("reader", 0.4, _reader), ("endpoint", 0.3, _endpoint), ("crowd", 0.4, _crowd),
    ("ahead", 0.2, _ahead), ("patterns", 0.4, _patterns), ("foreign", 0.3, _foreign), ("give up", 0.15, _give_up),
    ("allowances", 0.3, _allowances), ("sign in", 0.35, _sign_in), ("permits", 0.45, _permits),
    ("lost ceilings", 0.5, _lost_ceilings), ("solana", 0.4, _solana),
)  # fmt: skip
