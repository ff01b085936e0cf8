"""Proofs that a program sends with each step: that the store lost nothing, and that its memory is the only one."""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass, field


def new_token() -> str:
    """Return a token of sixteen characters, as long as a place in the server's ring."""
    return secrets.token_hex(8)


@dataclass(frozen=True, slots=True)
class Proof:
    """Proof that went along with one step."""

    owner: str
    identity: str
    #: The token of this step. If the step is a change of life, it becomes the token of the life too.
    step: str
    seen: int
    heard: str
    lives: tuple[str, ...]
    rotates: bool
    inherited: bool
    anew: bool
    life: Life = field(repr=False)


@dataclass(slots=True)
class KnownPurse:
    """State of a purse that this program has seen. A server that shows an older state is not trusted."""

    identity: str = ""
    #: The highest step that was answered, with its token.
    seq: int = 0
    heard: str = ""
    #: True if another owner's name saw that step, before this program took the present one.
    inherited: bool = False

    @property
    def joined(self) -> bool:
        """Return True if the server told which purse this is."""
        return self.identity != ""


@dataclass(slots=True)
class Life:
    """Token by which the server tells a program from copies of its memory.

    The rule: "proven by a token that a copy of the memory cannot share: [...] by compare-and-set". A step that travels
    alone, and each beat of the heart, exchanges it. Whichever copy exchanges it first keeps the owner's name.
    """

    confirmed: str = field(default_factory=new_token, repr=False)
    #: The token that was sent last to take its place.
    pending: str = field(default="", repr=False)
    #: Tokens that were sent to take its place, and no answer came: the server may have any of them.
    lost: tuple[str, ...] = field(default=(), repr=False)
    exchanging: bool = False
    unsettled: bool = False
    under_way: int = 0
    at: int = 0

    @property
    def tokens(self) -> tuple[str, ...]:
        """Return every token that the server may have of this program."""
        return tuple(token for token in (self.confirmed, self.pending, *self.lost) if token)


#: Unanswered exchanges that are remembered. A life that is unsettled begins no further one.
_LOST = 3


class Lives:
    """The state of each purse that this program has seen, and its life there. Safe between threads."""

    __slots__ = ("_lives", "known", "lock")

    def __init__(self) -> None:
        #: Also taken by a fork, so that a child never begins in the middle of a change.
        self.lock: threading.Lock = threading.Lock()
        self._lives: dict[str, Life] = {}
        self.known: dict[str, KnownPurse] = {}

    def prove(self, purse: str, owner: str, beats: bool, anew: bool) -> Proof:
        """Return the proof for a step that is about to be sent. ``end`` follows in any case.

        ``anew`` proves nothing: the step is one of a program that begins.
        """
        with self.lock:
            known = KnownPurse() if anew else self.known.get(purse) or KnownPurse()
            life = self._lives.setdefault(purse, Life())
            step, lives = new_token(), life.tokens
            rotates = known.joined and (beats or not life.under_way) and not (life.exchanging or life.unsettled)
            life.under_way += 1
            if rotates:
                life.pending, life.exchanging = step, True
            facts = (known.seq, known.heard, lives, rotates, known.inherited, anew, life)
            return Proof(owner, known.identity, step, *facts)

    def end(self, purse: str, proof: Proof, seq: int = 0, stored: str = "", refused: bool = False) -> None:
        """Note what became of a step: the step's number and the life that the server has now, or nothing."""
        with self.lock:
            life = proof.life
            life.under_way -= 1
            if stored and seq > life.at:
                life.confirmed, life.at, life.unsettled = stored, seq, False
            if proof.rotates and life.exchanging and life.pending == proof.step:
                life.exchanging = False
                if refused:
                    life.pending = ""
                elif not stored:
                    life.unsettled = True
                    life.lost = (*life.lost, proof.step)[-_LOST:]
            known = self.known.get(purse)
            if known is not None and seq > known.seq and not proof.anew:
                known.seq, known.heard = seq, proof.step
                known.inherited = known.inherited and life is not self._lives.get(purse)

    def joined(self, purse: str, identity: str, seq: int, proof: Proof) -> None:
        """Note which purse the server showed, unless another thread did so before."""
        with self.lock:
            if proof.anew or purse not in self.known:
                self.known[purse] = KnownPurse(identity, seq, proof.step)

    def has_changed(self, purse: str, proof: Proof) -> bool:
        """Return True if this program itself may have exchanged its token since the proof was made."""
        with self.lock:
            life = self._lives.get(purse)
            return life is None or life is not proof.life or set(life.tokens) - {proof.step} != set(proof.lives)

    def start_again(self) -> None:
        """Begin new lives, under another owner's name. What was seen stays seen."""
        with self.lock:
            self._lives = {}
            for known in self.known.values():
                known.inherited = True

    def inherit(self, old: Lives) -> None:
        """Take over what an earlier owner of this program has seen. A forked child does so, which has one thread."""
        found = {purse: (each.identity, each.seq, each.heard) for purse, each in old.known.items()}
        self.known = {purse: KnownPurse(*seen, inherited=True) for purse, seen in found.items()}
