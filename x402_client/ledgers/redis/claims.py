"""Which attempts of this process hold claims, which of those ended, and what could not be written yet."""

from __future__ import annotations

import secrets
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

from ...model.holds import Attempt, Purchase


@dataclass(slots=True, eq=False)
class Claim:
    """What one call asked for, or holds. The token tells it from every other claim."""

    purse: str
    purchase: str
    attempt: weakref.ref[Attempt]
    token: str = field(default_factory=lambda: secrets.token_hex(8))
    #: The hold, once the server said so. Until then the command may still be under way.
    hold: str | None = None
    #: The call that asked for it failed.
    void: bool = False
    #: The purchase was delivered, and the ledger could not be told yet.
    delivered: bool = False
    #: Whether its attempt says by itself when it ends.
    watched: bool = False

    @property
    def ended(self) -> bool:
        """Whether nobody presents the hold any more."""
        attempt = self.attempt()
        return not self.delivered and (self.void or attempt is None or not attempt.alive)

    @property
    def given_up(self) -> tuple[str, str, str]:
        """As the script is told."""
        return self.purchase, self.token, "" if self.hold else "1"


@dataclass(frozen=True, slots=True)
class Late:
    """A delivery that could not be written."""

    purse: str
    said: Mapping[str, Any] = field(repr=False)


class Claims:
    """The claims of one ledger object, under the name by which the server knows it."""

    __slots__ = ("__weakref__", "_claims", "_late", "_lock", "ends", "owner")

    def __init__(self) -> None:
        self.owner = secrets.token_hex(8)
        self._lock = threading.Lock()
        self._claims: dict[str, Claim] = {}
        self._late: dict[str, Late] = {}
        #: Gets an item when an attempt ends.
        self.ends: SimpleQueue[bool] = SimpleQueue()

    def open(self, purchase: Purchase, attempt: Attempt) -> Claim:
        """Known before the server hears of it, so that no failure leaves a claim behind."""
        ends = self.ends

        def gone(_: object = None) -> None:
            # Runs wherever an attempt ends, also in the garbage collector: no lock, no I/O.
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
        """Over, and the ledger knows."""
        with self._lock:
            for claim in claims:
                self._claims.pop(claim.token, None)

    def drop_hold(self, hold: str) -> None:
        """Whatever claimed this hold is over, and the ledger knows."""
        with self._lock:
            self._late.pop(hold, None)
            for token in [token for token, claim in self._claims.items() if claim.hold == hold]:
                del self._claims[token]

    def fail(self, claim: Claim) -> None:
        """The call failed, and nobody knows whether the server heard it."""
        claim.void = True
        self.ends.put(True)

    def ended(self, purse: str) -> list[Claim]:
        """Those the ledger still has to hear of."""
        with self._lock:
            return [claim for claim in self._claims.values() if claim.purse == purse and claim.ended]

    def forget(self, purse: str) -> None:
        """The server does not know this purse any more, and will not be asked about it."""
        with self._lock:
            self._claims = {token: claim for token, claim in self._claims.items() if claim.purse != purse}
            self._late = {hold: late for hold, late in self._late.items() if late.purse != purse}

    def give_all_up(self) -> None:
        """Whatever is going on, it is over."""
        with self._lock:
            for claim in self._claims.values():
                claim.void = True

    def delivered_late(self, purse: str, hold: str, said: Mapping[str, Any]) -> None:
        """To be written as soon as the server answers; until then nobody may take the hold over."""
        with self._lock:
            self._late[hold] = Late(purse, said)
            for claim in self._claims.values():
                claim.delivered = claim.delivered or claim.hold == hold
        self.ends.put(True)

    def late(self, purse: str) -> list[tuple[str, Late]]:
        """Deliveries that are not written yet, by hold."""
        with self._lock:
            return [(hold, late) for hold, late in self._late.items() if late.purse == purse]

    @property
    def purses(self) -> set[str]:
        """Where this process has something at stake."""
        with self._lock:
            return {claim.purse for claim in self._claims.values()} | {late.purse for late in self._late.values()}

    def pressing(self, purses: Iterable[str]) -> list[str]:
        """The purses for which something waits to be written."""
        with self._lock:
            found = {claim.purse for claim in self._claims.values() if claim.ended}
            found |= {late.purse for late in self._late.values()}
        return [purse for purse in purses if purse in found]

    @property
    def silent(self) -> bool:
        """Whether some attempt has to be looked at to learn that it ended."""
        with self._lock:
            return any(not claim.watched for claim in self._claims.values())
