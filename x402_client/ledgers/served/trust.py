"""Steps to a server that is trusted only as long as it proves that it lost nothing. No I/O happens here."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Generator
from contextlib import suppress
from typing import Any, NoReturn, Protocol, TypeVar

from ...core.asks import Ask
from ...errors import LedgerUnavailable
from ...model.budgets import is_shown
from ...model.counts import counted
from ..extras import other_purses
from . import protocol
from .claims import Claim, Claims
from .lives import KnownPurse, Lives, Proof, new_token

T = TypeVar("T")
Steps = Generator[Ask[Any], Any, T]
log: logging.Logger = logging.getLogger("x402_client")

_LOST = {
    "lost": "is empty, and it was not when this program last used it: it restarted without its data, or that was "
    "deleted",
    "other": "is another one than this program used before; the address leads to a different server or dataset",
    "older": "went back to an older state than a program has seen: it restarted from an old copy, or a replica took "
    "over before it had everything",
}
_CLAIMING = ("reserve", "claim")
_READING = ("spent", "holds", "history", "owed", "allowances", "check")
_PAYING = ("reserve", "claim", "record")
#: Times that a step is sent, if the program's own token changed while it was under way; and while other steps of the
#: program prove its name meanwhile.
_TRIES, _PROVEN_TRIES = 5, 50
#: Seconds after which the server's settings are looked at again.
_LOOK_AGAIN = 60.0
#: Seconds after a loss was accepted in which running programs write back what they remember. As in programs.lua.
GRACE = 5.0
#: Holds that are written back in one step.
_AT_ONCE = 32


class Store(Protocol):
    """Server as its connections know it."""

    @property
    def kind(self) -> str:
        """Return what it is, for messages: "Redis", "PostgreSQL"."""
        ...

    @property
    def shown(self) -> str:
        """Return where it is, without passwords."""
        ...

    @property
    def beginning(self) -> str:
        """Return what else a first use may take, for messages; "" if nothing."""
        ...

    @property
    def reads_alone(self) -> bool:
        """Return True if a step that only reads writes no proof, so that it exchanges no token."""
        ...

    def check(self, facts: dict[str, Any], first: bool) -> None:
        """Refuse a server whose settings let it forget what was paid. Warn once of what it may lose."""
        ...


class Renamed(Exception):
    """Error: this program took another owner's name while a claim was under way. The claim is made again."""


class TrustedServer:
    """Server as one ledger object sees it. Each step proves what the program saw last, and that it has no copy."""

    def __init__(self, store: Store, lease: float, claims: Claims, must_exist: bool) -> None:
        self.store: Store = store
        self._lease = int(lease * protocol.MICROSECONDS)
        self._claims = claims
        self.must_exist: bool = must_exist
        self._looked_at: float | None = None
        self.lives: Lives = Lives()
        #: True if a purse was used for the first time, so that its budgets start at zero.
        self.fresh: bool = False
        #: The other purses on the server when that one began.
        self.beside: tuple[str, ...] = ()
        self._begun: set[str] = set()

    def inherit(self, old: TrustedServer) -> None:
        """Take over what this program saw under an earlier name."""
        self.lives.inherit(old.lives)
        self.fresh, self.beside = old.fresh, old.beside

    def ask(self, purse: str, op: str, **said: Any) -> Steps[Any]:
        """Make one step, after ``ready``."""
        yield from self.ready(purse, op)
        return (yield from self.step(purse, op, said))

    def ready(self, purse: str, op: str) -> Steps[None]:
        """Join the purse if it is new. Look at the server's settings before a payment."""
        try:
            if op in _PAYING and purse in self.lives.known:
                yield from self.look()
            if purse not in self.lives.known:
                yield from self._look()
                yield from self._join(purse)
        except LedgerUnavailable as failure:
            failure.wrote_nothing = True  # the step itself was not asked for
            raise

    def everywhere(self, op: str, said: dict[str, Any]) -> protocol.Request:
        """Build a request about all purses."""
        return self._knowing(protocol.everywhere(op, said))

    def _knowing(self, request: protocol.Request) -> protocol.Request:
        request.knew = bool(self.lives.known)
        return request

    def look(self) -> Steps[None]:
        """Look at the server's settings, with each join and each minute: they may have been changed."""
        if self._looked_at is None or time.monotonic() - self._looked_at > _LOOK_AGAIN:
            yield from self._look()

    def check_settings(self) -> Steps[None]:
        """Refuse a server whose settings refuse a payment. Nothing is said of what it may lose."""
        self.store.check((yield from protocol.ServerInfo()), False)

    def _look(self) -> Steps[None]:
        started = time.monotonic()
        facts = yield from protocol.ServerInfo()
        self.store.check(facts, self._looked_at is None)  # of many first looks at once, the first answer warns
        self._looked_at = started

    def step(self, purse: str, op: str, said: dict[str, Any]) -> Steps[Any]:
        """Make one step. A server that cannot be trusted is refused."""
        tries, proven = 0, self.lives.confirmed_at(purse)
        for _ in range(_PROVEN_TRIES):
            answer, proof = yield from self._send(purse, op, said)
            if answer[0] == "accepted":
                yield from self._write_back(purse)
            elif answer[0] != "twin":
                return answer
            elif not self.lives.has_changed(purse, proof) and proof.owner == self._claims.owner:
                self._rename(proof.owner)
            if op in _CLAIMING and proof.owner != self._claims.owner:
                raise Renamed
            before, proven = proven, self.lives.confirmed_at(purse)
            tries = tries + 1 if proven == before else 0
            if tries == _TRIES:
                break
        self._rename(self._claims.owner)
        raise LedgerUnavailable(
            f"The {self.where} knows another program under this one's name: was this machine copied "
            "while it ran? Nothing was sent; the next call uses a name of its own.",
            wrote_nothing=True,
        )

    def accept(self) -> Steps[bool]:
        """Go on with what is there, and wait while running programs write back. Return False if nothing was lost."""
        accepted = False
        for purse in sorted({*(yield from self.everywhere("purses", {})), *self.lives.known}):
            known = self.lives.known.get(purse) or KnownPurse()
            said = {"identity": known.identity, "seen": known.seq, "heard": known.heard, "heard_as": known.heard_as}
            said |= {"owner": self._claims.owner, "candidate": new_token() * 2}
            answer = yield from self._knowing(protocol.request(purse, "accept", said))
            accepted = accepted or bool(answer[2])
            if known.joined:
                yield from self.ask(purse, "holds")
        if accepted:
            yield from protocol.Pause(GRACE)
        return accepted

    def _send(self, purse: str, op: str, said: dict[str, Any], anew: bool = False) -> Steps[tuple[Any, Proof]]:
        sent: list[tuple[Proof, list[Claim]]] = []

        def write() -> str:
            # Made before the claims are read: the server takes its last step for the time of that reading.
            reads = self.store.reads_alone and op in _READING
            proof = self.lives.prove(purse, self._claims.owner, op == "beat", anew, reads)
            sent.append((proof, []))
            ended = self._claims.give_up_ended(purse)
            sent[0][1].extend(ended)
            return json.dumps(self._common(proof) | {"gives": [claim.given_up for claim in ended]} | said)

        seq, life, refused = 0, "", False
        request = self._knowing(protocol.Request(purse, op, write))
        try:
            answer = yield from _answered(request)
            proof, ended = sent[0]
            if len(answer) > 1 and isinstance(answer[1], str):
                number, life = answer[1].split(" ")
                answer[1] = seq = int(number)
                if op == "join":
                    if answer[3] == "1" and is_shown(purse):
                        self._begun.add(purse)
                    self.lives.joined(purse, answer[2], seq, proof)
                self._claims.drop(*ended)
            else:
                refused = True
        finally:
            for proof, _ in sent:  # none if no connection was free
                self.lives.end(purse, proof, seq, life, refused)
        yield from self._check_answer(purse, answer, said)
        return answer, sent[0][0]

    def _common(self, proof: Proof) -> dict[str, Any]:
        return {
            "identity": proof.identity,
            "seen": proof.seen,
            "heard": proof.heard,
            "heard_as": proof.heard_as,
            "step": proof.step,
            "lives": proof.lives,
            "rotates": "1" if proof.rotates else "",
            "anew": "1" if proof.anew else "",
            "owner": proof.owner,
            "lease": self._lease,
            "since": 0,
        }

    def _join(self, purse: str, anew: bool = False) -> Steps[None]:
        # A purse that is kept for counting only is new when it is needed for the first time.
        must_exist = self.must_exist and is_shown(purse)
        if must_exist and not anew and not (yield from protocol.request(purse, "exists", {})):
            yield from self._refuse_missing(purse)
        frozen = yield from self.everywhere("enroll", {"purse": purse})
        said = {"candidate": new_token() * 2, "patterns": frozen, "must_exist": "1" if must_exist else ""}
        if anew:
            # The server may have gone back to claims that this program gave up since then: it knows them no more.
            said["alive"] = self._claims.alive(purse)
            yield from self._send(purse, "join", said, anew)
        else:
            yield from self.step(purse, "join", said)
        if purse in self._begun:
            yield from self._note_begun(purse)

    def _note_begun(self, purse: str) -> Steps[None]:
        """Note that a purse was used for the first time, and which others there are: its name may be mistyped."""
        self._begun.discard(purse)
        try:
            known = yield from self.everywhere("purses", {})
            self.beside = tuple(sorted(one for one in known if one != purse))
        finally:
            self.fresh = True

    def _write_back(self, purse: str) -> Steps[None]:
        """Write what this program remembers as unresolved, and join again. The user accepted that the rest is lost."""
        known = self._claims.remembered(purse)
        rows = [{"row": row, "claim": token, **protocol.patterns_of_row(row)} for row, token in known]
        for start in range(0, len(rows), _AT_ONCE):
            chunk = rows[start : start + _AT_ONCE]
            answer, _ = yield from self._send(purse, "restore", {"rows": chunk}, True)
            if answer[0] == "large":
                raise LedgerUnavailable(
                    f"Sums are larger than the {self.store.kind} ledger can count (2**63 millionths).",
                    wrote_nothing=True,
                )
        yield from self._join(purse, True)

    def _rename(self, owner: str) -> None:
        """Take another owner's name: a copy of this program has the present one, and with it the claims."""
        if self._claims.rename(owner):
            self.lives.start_again()
            log.warning(
                "The %s knows another program under this one's name: was this machine copied while it "
                "ran? This program goes on under another name, and what it had claimed is the other one's.",
                self.where,
            )

    def _check_answer(self, purse: str, answer: Any, said: dict[str, Any]) -> Steps[None]:
        status = answer[0]
        problem = None
        if status in _LOST:
            if status != "older":  # so that ``x402 ledger accept`` finds the purse
                yield from self.everywhere("enroll", {"purse": purse})
            problem = self._distrusted(status)
        elif status == "settling":
            problem = (
                f"A loss of the {self.where} was accepted a moment ago, and other programs still "
                f"write back what they remember. Try again in {counted(int(answer[1]), 'second')}. Nothing was sent."
            )
        elif status in ("windows", "layout"):
            problem = (
                f"The {self.where} is used by another version of this package, which counts in other "
                "windows or keeps its rows in another way. Run the same version in every program; nothing is paid."
            )
        elif status == "missing":
            yield from self._refuse_missing(purse)
        if problem is not None:
            self._claims.drop_token(said.get("token", ""))
            raise LedgerUnavailable(problem, wrote_nothing=True)

    def _distrusted(self, why: str) -> str:
        # Of a server that is empty, only a program that used it before can know.
        anew = "A program that starts now begins anew there, unless it has must_exist=True. " if why == "lost" else ""
        return (
            f"The {self.where} {_LOST[why]}. Payments it had counted may be missing, so nothing is "
            f"paid from it here. {anew}Restore its data; or, once you know what was paid, run `x402 ledger accept`. "
            "Programs that still run then write back the payments that they know as unresolved, and all go on with "
            "what is there."
        )

    def _refuse_missing(self, purse: str) -> Steps[NoReturn]:
        others = other_purses((yield from self.everywhere("purses", {})), purse)
        there = f"It has: {others}." if others else "It has no purse at all."
        beginning = "" if others else self.store.beginning
        raise LedgerUnavailable(
            f"The {self.where} has no purse {purse!r}, and none is made. {there} That is by must_exist=True (or "
            "X402_MUST_EXIST=1). Nothing is paid. Check the address and the purse's name, or restore the server's "
            f"data. To begin a new purse on purpose, run once without that.{beginning}",
            wrote_nothing=True,
        )

    @property
    def where(self) -> str:
        """Return what the ledger is and where, for messages."""
        return f"{self.store.kind} ledger at {self.store.shown}"


def _answered(request: protocol.Request) -> Steps[Any]:
    """Return the answer to a step. A failure says if the server may have made the step all the same."""
    try:
        return (yield from request)
    except LedgerUnavailable as failure:
        failure.wrote_nothing = not request.unanswered
        raise


def resumed(steps: Steps[None], ask: Ask[Any]) -> Steps[None]:
    """Go on with steps that have yielded ``ask``."""
    with suppress(StopIteration):
        while True:
            try:
                given = yield ask
            except GeneratorExit:
                steps.close()
                raise
            except BaseException as failure:
                ask = steps.throw(failure)
            else:
                ask = steps.send(given)
