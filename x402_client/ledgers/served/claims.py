"""Claims of this process's attempts: those that live, and those that ended."""

from __future__ import annotations

import secrets
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from queue import SimpleQueue

from ...model.holds import Attempt, Purchase
from ..live_attempts import LiveAttempts


@dataclass(slots=True, eq=False)
class Claim:
    """Claim of one attempt on one purchase. Its token tells it from every other claim."""

    purse: str
    token: str = field(default_factory=lambda: secrets.token_hex(8))
    #: The id of the hold, once the server answered. Until then the command may still be under way.
    hold: str | None = None
    #: The row of a new hold, as the server has it.
    row: dict[str, str] = field(default_factory=dict, repr=False)
    #: True once the server is told that no answer came. It drops the hold then, so a later answer is worth nothing.
    unheard: bool = False

    @property
    def given_up(self) -> tuple[str, str]:
        """Return the claim as a step's argument ``gives`` lists it."""
        return self.token, "1" if self.unheard else ""


#: Unresolved holds that a program remembers, at most. The oldest are forgotten first.
_REMEMBERED = 1_000


class Claims:
    """Claims of one ledger object. The server knows the object by the name ``owner``."""

    __slots__ = (
        "__weakref__", "_attempts", "_claims", "_lock", "_of_hold", "_of_purse", "_unresolved", "_void", "ends",
        "owner",
    )  # fmt: skip

    def __init__(self) -> None:
        self.owner: str = secrets.token_hex(8)
        self._lock = threading.Lock()
        self._claims: dict[str, Claim] = {}
        #: Tokens of the claims on each hold, and the number of claims in each purse.
        self._of_hold: dict[str, list[str]] = {}
        self._of_purse: Counter[str] = Counter()
        #: Tokens of claims whose calls failed.
        self._void: set[str] = set()
        #: Purse and row of each hold that this program presented and that is not resolved.
        self._unresolved: dict[str, tuple[str, dict[str, str]]] = {}
        #: Gets an item when an attempt ends.
        self.ends: SimpleQueue[bool] = SimpleQueue()
        ends = self.ends
        self._attempts: LiveAttempts[str] = LiveAttempts(lambda: ends.put(True))

    def open(self, purchase: Purchase, attempt: Attempt) -> Claim:
        """Record a claim before it is sent, so that no failure leaves a claim that only the server knows."""
        claim = Claim(purchase.purse)
        with self._lock:
            self._claims[claim.token] = claim
            self._of_purse[claim.purse] += 1
        self._attempts.take(claim.token, attempt)
        return claim

    def found(self, claim: Claim, hold: str, row: dict[str, str]) -> bool:
        """Record the hold that a claim is on, as the server answered.

        Return False if the claim was given up before: by a ledger that was closed, or an attempt that ended.
        """
        with self._lock:
            if claim.unheard or claim.token not in self._claims:
                return False
            claim.hold, claim.row = hold, row
            self._of_hold.setdefault(hold, []).append(claim.token)
            return True

    def drop(self, *claims: Claim) -> None:
        """Forget claims that are over, once the ledger knows."""
        with self._lock:
            for claim in claims:
                self._drop(claim.token)

    def drop_hold(self, hold: str) -> None:
        """Forget the claims of this hold, once the ledger knows that they are over."""
        with self._lock:
            self._unresolved.pop(hold, None)
            for token in tuple(self._of_hold.get(hold, ())):
                self._drop(token)

    def fail(self, claim: Claim) -> None:
        """Mark the claim of a call that failed. It is unknown if the server received it."""
        with self._lock:
            if claim.token in self._claims:
                self._void.add(claim.token)
        self.ends.put(True)

    def give_up_ended(self, purse: str) -> list[Claim]:
        """Return the ended claims of a purse that the server does not know of yet. They are given up from now on."""
        with self._lock:
            found = [claim for claim in self._ended() if claim.purse == purse]
            for claim in found:
                claim.unheard = claim.hold is None
            return found

    def drop_token(self, token: str) -> None:
        """Forget a claim that the server refused to take."""
        with self._lock:
            self._drop(token)

    def rename(self, owner: str) -> bool:
        """Take another name in place of ``owner``. The claims under that name are another program's now.

        Return False if the name was changed before.
        """
        with self._lock:
            if self.owner != owner:
                return False
            for token in tuple(self._claims):
                self._drop(token)
            self.owner = secrets.token_hex(8)
            return True

    def remember(self, purse: str, row: dict[str, str]) -> None:
        """Keep the row of a hold that is presented, to write it back if the server loses it."""
        with self._lock:
            self._unresolved[row["id"]] = (purse, row)
            if len(self._unresolved) > _REMEMBERED:
                del self._unresolved[next(iter(self._unresolved))]

    def remember_signed(self, purse: str, hold: str, signed: Mapping[str, str]) -> None:
        """Keep the row of a hold that this program has just signed."""
        with self._lock:
            tokens = self._of_hold.get(hold)
            row = self._claims[tokens[0]].row if tokens else None
        if row:
            self.remember(purse, {**row, **signed, "state": "signed"})

    def unresolved(self, purse: str) -> list[str]:
        """Return the ids of the remembered holds."""
        with self._lock:
            return [hold for hold, (known, _) in self._unresolved.items() if known == purse]

    def forget_unresolved(self, holds: Iterable[str]) -> None:
        """Forget holds that other programs resolved."""
        with self._lock:
            for hold in holds:
                self._unresolved.pop(hold, None)

    def remembered(self, purse: str) -> list[tuple[dict[str, str], str]]:
        """Return the row of each remembered hold, with the token of the claim that is alive on it, or ""."""
        with self._lock:
            alive = {claim.hold: token for token, claim in self._claims.items() if self._lives(token)}
            found = [row for known, row in self._unresolved.values() if known == purse]
        return [(row, alive.get(row["id"], "")) for row in found]

    def alive(self, purse: str) -> list[str]:
        """Return the tokens of a purse's claims whose attempts go on."""
        with self._lock:
            return [token for token, claim in self._claims.items() if claim.purse == purse and self._lives(token)]

    @property
    def purses(self) -> set[str]:
        """Return the purses in which this process has claims."""
        with self._lock:
            return set(self._of_purse)

    @property
    def purses_remembered(self) -> set[str]:
        """Return the purses of the remembered holds."""
        with self._lock:
            return {purse for purse, _ in self._unresolved.values()}

    def purses_to_write(self, purses: Iterable[str]) -> list[str]:
        """Return those of the purses in which an ended claim waits to be sent."""
        with self._lock:
            found = {claim.purse for claim in self._ended()}
        return [purse for purse in purses if purse in found]

    @property
    def some_live(self) -> bool:
        """Return True while an attempt of this process presents a hold."""
        with self._lock:
            return any(self._lives(token) for token in self._claims)

    @property
    def has_unwatched(self) -> bool:
        """Return True if some attempt does not call back at its end and has to be polled."""
        return self._attempts.has_polled

    def _ended(self) -> list[Claim]:
        return [self._claims[token] for token in self._void | self._attempts.ended().keys() if token in self._claims]

    def _lives(self, token: str) -> bool:
        return token not in self._void and self._attempts.lives(token)

    def _drop(self, token: str) -> None:
        claim = self._claims.pop(token, None)
        self._void.discard(token)
        self._attempts.drop(token)
        if claim is None:
            return
        self._of_purse[claim.purse] -= 1
        if not self._of_purse[claim.purse]:
            del self._of_purse[claim.purse]
        tokens = self._of_hold.get(claim.hold or "", [])
        if token in tokens:
            tokens.remove(token)
        if claim.hold and not tokens:
            self._of_hold.pop(claim.hold, None)
