"""Claims of this process's attempts: those that live, and those that ended."""

from __future__ import annotations

import secrets
import threading
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from queue import SimpleQueue

from ...model.holds import Attempt, Purchase


@dataclass(slots=True, eq=False)
class Claim:
    """Claim of one attempt on one purchase. Its token tells it from every other claim."""

    purse: str
    purchase: str
    attempt: weakref.ref[Attempt]
    token: str = field(default_factory=lambda: secrets.token_hex(8))
    #: The hold, once the server said so. Until then the command may still be under way.
    hold: str | None = None
    #: The call that asked for it failed.
    void: bool = False
    #: True if its attempt calls back when it ends.
    watched: bool = False

    @property
    def ended(self) -> bool:
        """Return True if its attempt is over, so that no call presents the hold."""
        attempt = self.attempt()
        return self.void or attempt is None or not attempt.alive

    @property
    def given_up(self) -> tuple[str, str, str]:
        """Return the claim as the script's ``gives`` lists it."""
        return self.purchase, self.token, "" if self.hold else "1"


class Claims:
    """The claims of one ledger object, under the name by which the server knows it."""

    __slots__ = ("__weakref__", "_claims", "_lock", "ends", "owner")

    def __init__(self) -> None:
        self.owner = secrets.token_hex(8)
        self._lock = threading.Lock()
        self._claims: dict[str, Claim] = {}
        #: Gets an item when an attempt ends.
        self.ends: SimpleQueue[bool] = SimpleQueue()

    def open(self, purchase: Purchase, attempt: Attempt) -> Claim:
        """Enter a claim before the server hears of it, so that no failure leaves an unknown claim behind."""
        ends = self.ends

        def gone(_: object = None) -> None:
            # Runs where an attempt ends, also in the garbage collector: no lock, no I/O.
            ends.put(True)

        claim = Claim(purchase.purse, purchase.id, weakref.ref(attempt, gone))
        watch: Callable[[Callable[[], object]], object] | None = getattr(attempt, "watch", None)
        if watch is not None:
            claim.watched = True
            watch(gone)
        with self._lock:
            self._claims[claim.token] = claim
        if not attempt.alive:
            gone()
        return claim

    def drop(self, *claims: Claim) -> None:
        """Forget claims that are over, once the ledger knows."""
        with self._lock:
            for claim in claims:
                self._claims.pop(claim.token, None)

    def drop_hold(self, hold: str) -> None:
        """Forget the claims of this hold, once the ledger knows that they are over."""
        with self._lock:
            for token in [token for token, claim in self._claims.items() if claim.hold == hold]:
                del self._claims[token]

    def fail(self, claim: Claim) -> None:
        """Note that the call failed. It is unknown if the server heard it."""
        claim.void = True
        self.ends.put(True)

    def ended(self, purse: str) -> list[Claim]:
        """Return the ended claims that the ledger has not heard of."""
        with self._lock:
            return [claim for claim in self._claims.values() if claim.purse == purse and claim.ended]

    def forget(self, purse: str) -> None:
        """Drop all claims of a purse that the server no longer knows."""
        with self._lock:
            self._claims = {token: claim for token, claim in self._claims.items() if claim.purse != purse}

    def give_all_up(self) -> None:
        """End every claim of this process."""
        with self._lock:
            for claim in self._claims.values():
                claim.void = True

    @property
    def purses(self) -> set[str]:
        """Return the purses in which this process has claims."""
        with self._lock:
            return {claim.purse for claim in self._claims.values()}

    def purses_to_write(self, purses: Iterable[str]) -> list[str]:
        """Return those of the purses for which something waits to be written."""
        with self._lock:
            found = {claim.purse for claim in self._claims.values() if claim.ended}
        return [purse for purse in purses if purse in found]

    @property
    def has_unwatched(self) -> bool:
        """Return True if some attempt does not call back at its end and has to be polled."""
        with self._lock:
            return any(not claim.watched for claim in self._claims.values())
