"""Proofs that a program sends with each step: that the server lost nothing, and that no copy of its memory runs."""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass, field


def new_token() -> str:
    """Return a token of sixteen characters, as long as a place in the server's ring."""
    return secrets.token_hex(8)


@dataclass(frozen=True, slots=True)
class Proof:
    """Proof that is sent with one step."""

    owner: str
    identity: str
    #: The token of this step. If the step exchanges the life's token, it becomes that token too.
    step: str
    #: The highest step that was answered before, and its token.
    seen: int
    heard: str
    #: The tokens of which the server must have one.
    lives: tuple[str, ...]
    #: True if the step exchanges the life's token.
    rotates: bool
    #: The name under which this program saw the step ``seen``. It may be an earlier one.
    heard_as: str
    #: True if the program proves nothing, because it begins again.
    anew: bool
    life: Life = field(repr=False)


@dataclass(slots=True)
class KnownPurse:
    """State of a purse that this program has seen. A server that shows an older state is not trusted."""

    identity: str = ""
    #: The highest step that was answered, with its token.
    seq: int = 0
    heard: str = ""
    #: The name under which this program made that step.
    heard_as: str = ""

    @property
    def joined(self) -> bool:
        """Return True if the server told which purse this is."""
        return self.identity != ""


@dataclass(slots=True)
class Life:
    """Token by which the server tells a program from copies of its memory.

    The rule: "proven by a token that a copy of the memory cannot share: [...] by compare-and-set". Each heartbeat
    exchanges the token for a new one, and so does a step while no other is under way. The copy that exchanges it first
    keeps the owner's name.
    """

    confirmed: str = field(default_factory=new_token, repr=False)
    #: The new token that was sent last.
    pending: str = field(default="", repr=False)
    #: New tokens that were sent, and no answer came: the server may have any of them.
    lost: tuple[str, ...] = field(default=(), repr=False)
    exchanging: bool = False
    #: True if the last exchange got no answer.
    uncertain: bool = False
    #: The number of steps without an answer.
    under_way: int = 0
    #: The step that confirmed the token.
    at: int = 0

    @property
    def tokens(self) -> tuple[str, ...]:
        """Return every token that the server may have of this program."""
        return tuple(token for token in (self.confirmed, self.pending, *self.lost) if token)


#: Unanswered exchanges that are remembered. While a life is uncertain, it begins no further one.
_LOST = 3


class Lives:
    """State of each purse that this program has seen, and its life there. Safe between threads."""

    __slots__ = ("_lives", "known", "lock")

    def __init__(self) -> None:
        #: A fork takes it too, so that a child never begins in the middle of a change.
        self.lock: threading.Lock = threading.Lock()
        self._lives: dict[str, Life] = {}
        self.known: dict[str, KnownPurse] = {}

    def prove(self, purse: str, owner: str, beats: bool, anew: bool, reads: bool = False) -> Proof:
        """Return the proof for a step that is about to be sent. Call ``end`` afterwards in any case.

        With ``anew`` it proves nothing: the program begins again, without what it saw. A step that ``reads`` exchanges
        no token.
        """
        with self.lock:
            known = KnownPurse() if anew else self.known.get(purse) or KnownPurse()
            life = self._lives.setdefault(purse, Life())
            step, lives = new_token(), life.tokens
            due = beats or not life.under_way
            rotates = known.joined and due and not (life.exchanging or life.uncertain or reads)
            life.under_way += 1
            if rotates:
                life.pending, life.exchanging = step, True
            facts = (known.seq, known.heard, lives, rotates, known.heard_as or owner, anew, life)
            return Proof(owner, known.identity, step, *facts)

    def end(self, purse: str, proof: Proof, seq: int = 0, stored: str = "", refused: bool = False) -> None:
        """Record the end of a step: its number, and the token that the server has now. Neither if no answer came."""
        with self.lock:
            life = proof.life
            life.under_way -= 1
            if stored and seq > life.at:
                life.confirmed, life.at, life.uncertain = stored, seq, False
            if proof.rotates and life.exchanging and life.pending == proof.step:
                life.exchanging = False
                if refused:
                    life.pending = ""
                elif not stored:
                    life.uncertain = True
                    life.lost = (*life.lost, proof.step)[-_LOST:]
            known = self.known.get(purse)
            if known is not None and seq > known.seq and not proof.anew:
                known.seq, known.heard, known.heard_as = seq, proof.step, proof.owner

    def joined(self, purse: str, identity: str, seq: int, proof: Proof) -> None:
        """Record which purse the server showed, unless another thread did so before."""
        with self.lock:
            if proof.anew or purse not in self.known:
                self.known[purse] = KnownPurse(identity, seq, proof.step, proof.owner)

    def has_changed(self, purse: str, proof: Proof) -> bool:
        """Return True if this program itself may have exchanged its token since the proof was made."""
        with self.lock:
            life = self._lives.get(purse)
            return life is None or life is not proof.life or set(life.tokens) - {proof.step} != set(proof.lives)

    def confirmed_at(self, purse: str) -> int:
        """Return the last step by which the server confirmed this program's token. A later one proves its name."""
        with self.lock:
            life = self._lives.get(purse)
            return 0 if life is None else life.at

    def start_again(self) -> None:
        """Begin new lives, under another owner's name. Keep what was seen."""
        with self.lock:
            self._lives = {}

    def inherit(self, old: Lives) -> None:
        """Take over what this program saw under an earlier name. A forked child does so too, and has one thread."""
        self.known = {
            purse: KnownPurse(each.identity, each.seq, each.heard, each.heard_as) for purse, each in old.known.items()
        }
