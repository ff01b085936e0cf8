"""Plays a script on a machine, checks the oracles after each event, and makes failing scripts shorter."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from unittest import mock

from tests.promises.moments import Points, watched
from x402_client import errors
from x402_client.chains import rpc as _rpc
from x402_client.chains.public_endpoints import PUBLIC
from x402_client.core import flow as _flow
from x402_client.core import other_offers as _other_offers
from x402_client.core import present as _present
from x402_client.model.holds import Spending

from . import events
from .acts import ACTS
from .books import Books, Made
from .broken import Broken
from .callers import End, make
from .chain import Chain
from .clock import Clock, real
from .events import Call, Plan, Script, Setting, Together
from .machines import BUSY, MACHINES, Machine, die, short_ring
from .programs import Program
from .seller import Seller, names_lead_here
from .visits import Visit

#: The longest that anything here may take, in real seconds, before it is said to hang.
PATIENCE = 20.0
#: Pauses inside the package that nothing here is about, made short. Names that are no more are passed over.
_SHORT = (
    (_present, "_PAUSES", (0.002, 0.004)),
    (_flow, "_PATIENCE", (0.01,) * 12),
    (_other_offers, "_PATIENCE", (0.01,) * 8),
    (_rpc, "_PAUSES", (0.002, 0.004)),
)


class World:
    """One kind of machine, and all scripts that are played on it."""

    def __init__(self, ledger: str) -> None:
        self.clock = Clock()
        self.machine: Machine = MACHINES[ledger](self.clock)
        self.chain = Chain(self.clock)
        self.seller = Seller(self.chain)
        self.setting, self.number = Setting(), 0
        self.books = Books(self.chain, self.setting, frozenset())
        self.programs: list[Program] = []
        #: What callers keep.
        self.kept: list[Any] = []
        self.running: list[tuple[int, threading.Thread, list[End]]] = []
        self._busy: threading.Timer | None = None
        self._changing, self._process = threading.RLock(), os.getpid()

    def play(self, script: Script, alphabet: frozenset[str]) -> Broken | None:
        """Return the promise that a script breaks."""
        self._begin(script.setting, alphabet)
        try:
            for event in script.events:
                self._happens(event)
                self._gather()
                self.books.check()
            self.let_go()
            self.chain.settle_late()
            self.books.check()
            if self.seller.troubles:
                raise self.seller.troubles[0]
        except Broken as broken:
            return broken
        finally:
            self._over()
        return None

    def _begin(self, setting: Setting, alphabet: frozenset[str]) -> None:
        self.clock.reset()
        self.machine.reset()
        self.seller.reset(setting)
        self.chain.begin(setting.foreign, setting.approved, setting.behind or 0)
        self.setting, self.books = setting, Books(self.chain, setting, alphabet)
        self.programs = [Program(self), Program(self)]
        self.seller.busy = self._keep_busy
        self.running, self.kept = [], []

    def _over(self) -> None:
        self.seller.release.set()
        for _, thread, _ in self.running:
            thread.join(PATIENCE)
        for program in self.programs:
            with contextlib.suppress(Exception):
                program.end()
        self.programs = []
        self.seller.reset(self.setting)

    # --- the ledger's trouble

    def _keep_busy(self, visit: Visit) -> None:
        """Keep the ledger busy until a caller is done, or for very long: then it waited for the ledger."""
        with self._changing:
            if self._busy is None:
                self.machine.busy()
                self._busy = threading.Timer(BUSY, self._tire, (visit,))
                self._busy.start()

    def _tire(self, visit: Visit) -> None:
        with self._changing:
            if self._busy is not None:
                visit.outlasted = real()
                self.idle()

    def idle(self) -> None:
        """Let the ledger work again. What a child does is not its parent's."""
        if os.getpid() != self._process:
            return
        with self._changing:
            if self._busy is not None:
                self._busy.cancel()
                self._busy = None
                self.machine.idle()

    # --- events

    def _happens(self, event: events.Event) -> None:
        act = ACTS.get(type(event))
        if act is not None:
            act(self, event)
        else:
            getattr(self, f"_{type(event).__name__.lower()}")(event)

    def _call(self, call: Call) -> None:
        made = self._expect(call)
        self.books.begin([made])
        self._run(made)

    def _together(self, event: Together) -> None:
        made = [self._expect(call) for call in event.calls]
        self.books.begin(made)
        boxes: list[list[End]] = [[] for _ in made]
        threads = [
            threading.Thread(target=self._note, args=both, daemon=True) for both in zip(made, boxes, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        for one, box in zip(made, boxes, strict=True):
            self._finish(one.visit.number, box)

    def _expect(self, call: Call) -> Made:
        self.number += 1
        place = call.program if self.machine.shared else 0
        program = self.programs[place]
        # What another process signed is not known here, and what a program signed before it began anew.
        signer = (place, program.begun) if call.where == "here" else self.number
        visit = self.seller.expect(self.number, (call.thing, call.wallet), call.plan, signer)
        opened = program.ledger is not None and call.where in ("here", "fork")
        return Made(call, visit, real(), strict=program.must if opened else self.setting.must and self.books.begun)

    def _run(self, made: Made) -> None:
        call, number, box = made.call, made.visit.number, list[End]()
        if call.where != "here":
            box += self._in_child(call, number)
        elif call.stop == "abandon":
            thread = threading.Thread(target=self._note, args=(made, box), daemon=True)
            thread.start()
            self._reaches_the_seller(made, thread)
            thread.join(call.at / 1000)
            if thread.is_alive():
                self.running.append((number, thread, box))
                self.books.finish(number, End("running"))
                return
        else:
            self._note(made, box)
        self._finish(number, box)

    def _reaches_the_seller(self, made: Made, thread: threading.Thread) -> None:
        """Wait until the call presents its payment: who is late on a busy machine is another matter, and a theme."""
        until = real() + PATIENCE
        while made.call.plan.terms != "drip" and real() < until and thread.is_alive() and not made.visit.presented:
            thread.join(0.005)

    def _note(self, made: Made, box: list[End]) -> None:
        call = made.call
        program = self.programs[call.program if self.machine.shared else 0]
        if call.stop == "interrupt":

            def act() -> None:
                raise KeyboardInterrupt

            with watched(Points(call.at, act)):
                box.append(make(program, call, made.visit.number))
        else:
            box.append(make(program, call, made.visit.number))

    def _finish(self, number: int, box: list[End]) -> None:
        if not box:
            raise Broken("a call never ends", f"call {number} is still running after {PATIENCE:.0f} s")
        self.seller.listen()
        self.books.finish(number, box[0])

    def _gather(self) -> None:
        for entry in list(self.running):
            number, thread, box = entry
            if not thread.is_alive():
                self.running.remove(entry)
                self._finish(number, box)

    def let_go(self) -> None:
        """End each silence, and wait for those who were left behind."""
        self.seller.release.set()
        for _, thread, _ in self.running:
            thread.join(PATIENCE)
        self._gather()
        self.seller.release = threading.Event()

    def _after_another(self, call: Call) -> None:
        """Make a call in a program that made one before, and between them moved the log into the file."""
        both = [self._expect(replace(call, plan=Plan())), self._expect(call)]
        ends = self._in_child(call, *(made.visit.number for made in both))
        for made, end in zip(both, ends, strict=True):
            self.books.begin([made])
            self.books.finish(made.visit.number, end)

    def _in_child(self, call: Call, *numbers: int) -> list[End]:
        """Return what became of the calls of a child, which are the same one."""
        mine, theirs = multiprocessing.Pipe(duplex=False)
        child = os.fork()
        if not child:
            self._child(call, numbers, theirs)
        theirs.close()
        ends, lost = list[End](), list[str]()
        with contextlib.suppress(EOFError):
            while mine.poll(PATIENCE):
                kind, said = mine.recv()
                if kind == "end":
                    ends.append(said)
                elif kind == "lost":
                    lost.append(said)
                else:
                    getattr(self.books.allowed, kind)(*said)
        mine.close()
        os.waitpid(child, 0)
        for nonce in lost:
            self.books.given_up(nonce, False)
        return ends + [End("dead", at=real()) for _ in numbers[len(ends) :]]

    def _child(self, call: Call, numbers: tuple[int, ...], pipe: Any) -> None:
        try:
            program = self.programs[call.program if self.machine.shared else 0]
            if call.where == "fork":
                program.forget_clients()
            else:
                program = Program(self)
            given_up = self.books.given_up

            def tell(nonce: str | None, by_user: bool) -> None:
                pipe.send(("lost", nonce))
                given_up(nonce, by_user)

            self.books.given_up = tell  # type: ignore[method-assign]
            for kind in ("presented", "opened"):
                setattr(self.books.allowed, kind, lambda *said, kind=kind: pipe.send((kind, said)))
            for number in numbers[:-1]:
                pipe.send(("end", make(program, call, number)))
                self.machine.fold()  # type: ignore[attr-defined]
            with watched(Points(call.at if call.where == "dies" else 0, die)):
                end = make(program, call, numbers[-1])
            pipe.send(("end", end))
            if call.where == "dies":
                die()
            if call.where == "child":
                program.end()
        finally:
            os._exit(0)

    def _wait(self, event: events.Wait) -> None:
        self.let_go()
        self.clock.step(event.seconds)
        self.machine.passed(event.seconds)

    def _skew(self, event: events.Skew) -> None:
        self.clock.skew = event.seconds

    def _settlelate(self, event: events.SettleLate) -> None:
        self.chain.settle_late(event.permit)

    def _restart(self, event: events.Restart) -> None:
        self.let_go()
        if self.machine.shared:
            self.programs[event.program].end()
            self.books.restarted(event.program)

    def _keep(self, event: events.Keep) -> None:
        self.machine.keep()
        self.books.kept()

    def _putback(self, event: events.PutBack) -> None:
        self.let_go()
        if self.setting.ledger == "sqlite":
            for program in self.programs:
                program.close_ledgers()
        self.machine.put_back()
        self.books.put_back()

    def _goon(self, event: events.GoOn) -> None:
        """Look at what is spent, again and again: a step each."""
        ledger = self.programs[event.program].buyer(0).ledger
        with contextlib.suppress(errors.X402Error):
            for _ in range(event.steps):
                ledger.spent(Spending("default", "day", "USD"))

    def _clone(self, event: events.Clone) -> None:
        self.let_go()
        first, second = self.programs
        first.buyer(0)
        second.end()
        second.ledger = self.machine.clone(first.ledger)  # type: ignore[attr-defined]
        self.books.cloned()

    def _loselog(self, event: events.LoseLog) -> None:
        self.let_go()
        for number, program in enumerate(self.programs):
            program.end()
            self.books.restarted(number)
        call = replace(event.call, where="dies")
        if event.folded:
            self._after_another(call)
        else:
            self._call(call)
        self.machine.lose_log()  # type: ignore[attr-defined]
        self.books.shaken()

    def _evict(self, event: events.Evict) -> None:
        """Change the policy, let more than a minute pass, for it is looked at that often, and only then throw away."""
        self.machine.evicts()  # type: ignore[attr-defined]
        self._wait(events.Wait(90))
        self.machine.evict(event.which)  # type: ignore[attr-defined]
        self.books.shaken()

    def _empty(self, event: events.Empty) -> None:
        if self.setting.ledger == "sqlite":
            self.let_go()
            for program in self.programs:
                program.close_ledgers()
        self.machine.empty()  # type: ignore[attr-defined]
        self.books.emptied()

    def _endpoint(self, event: events.Endpoint) -> None:
        self.chain.moods[event.which] = event.mood
        self.books.endpoint_lied = self.books.endpoint_lied or event.mood in ("lies", "little")

    def _letgo(self, event: events.LetGo) -> None:
        self.let_go()
        self.programs[event.program].let_go()

    def close(self) -> None:
        """Leave nothing."""
        self.seller.close()
        self.machine.close()


@contextlib.contextmanager
def world(ledger: str) -> Iterator[World]:
    """A world whose clocks are stepped."""
    with contextlib.ExitStack() as stack:
        made = World(ledger)
        stack.callback(made.close)
        stack.enter_context(made.clock.installed())
        stack.enter_context(names_lead_here())
        stack.enter_context(short_ring())
        stack.enter_context(mock.patch.dict(PUBLIC, clear=True))
        for module, name, value in _SHORT:
            if hasattr(module, name):
                stack.enter_context(mock.patch.object(module, name, value))
        gc.collect()
        # Or each look for dropped answers would look at all that was ever imported. What is set aside stays so, as it
        # was before: taken back, it would slow down each later collection, and with it the tests that come after.
        gc.freeze()
        yield made
        gc.collect()
