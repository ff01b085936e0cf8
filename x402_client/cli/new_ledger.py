"""A ledger file that is made when something was signed: a passphrase that is given up leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

from ..errors import LedgerUnavailable
from ..ledgers.memory import MemoryLedger
from ..ledgers.sqlite import SqliteLedger, check_usable
from ..model.allowances import AllowanceRecord
from ..model.holds import Attempt, Authorization, Busy, Hold, Order, Purchase, Spending


class NewLedger(SqliteLedger):
    """Ledger file that is not there yet. Nothing is spent in it, so until it is made memory counts as it would.

    What was signed is recorded in the file before it leaves, as ever: the price is reserved there first.

    Args:
        path: Its path.
    """

    def __init__(self, path: Path) -> None:
        check_usable(path)
        super().__init__(path, open_now=False)
        self._until_made = MemoryLedger()
        self._reserved: dict[str, tuple[Order, Attempt]] = {}

    @property
    def _is_there(self) -> bool:
        return self.path.exists()

    def reserve(self, order: Order, attempt: Attempt) -> Hold | Busy:
        """Reserve in memory, or in the file if it is there."""
        if self._is_there or order.signed is not None:
            return super().reserve(order, attempt)
        hold = self._until_made.reserve(order, attempt)
        if isinstance(hold, Hold):
            self._reserved[hold.id] = order, attempt
        return hold

    def record(self, hold: Hold, authorization: Authorization) -> Hold:
        """Make the file, reserve the price in it, and record what was signed."""
        order, attempt = self._reserved.pop(hold.id, (None, None))
        if order is None or attempt is None:
            return super().record(hold, authorization)
        self._until_made.release(hold)
        taken = super().reserve(order, attempt)
        if not isinstance(taken, Hold) or taken.authorization is not None:
            raise LedgerUnavailable(
                f"Another program made the ledger {self.name} meanwhile, and pays for the same request. Nothing was "
                "sent; make the same request again.",
                wrote_nothing=True,
            )
        return super().record(taken, authorization)

    def release(self, hold: Hold) -> None:
        """Give a price back where it was reserved."""
        if self._reserved.pop(hold.id, None) is not None:
            self._until_made.release(hold)
        elif self._is_there:
            super().release(hold)

    def claim(self, purchase: Purchase, attempt: Attempt) -> Hold | Busy | None:
        """Claim the unresolved hold of a purchase: there is none before the file is there."""
        return super().claim(purchase, attempt) if self._is_there else None

    def check(self, order: Order) -> Busy | None:
        """Raise what would refuse an order."""
        return super().check(order) if self._is_there else self._until_made.check(order)

    def spent(self, question: Spending) -> int:
        """Return what counts."""
        return super().spent(question) if self._is_there else self._until_made.spent(question)

    def holds(self, purse: str = "default") -> tuple[Hold, ...]:
        """Return what is not resolved."""
        return super().holds(purse) if self._is_there else self._until_made.holds(purse)

    def freezes(self) -> tuple[str, ...]:
        """Return what is frozen."""
        return super().freezes() if self._is_there else ()

    def allowances(self, purse: str = "default", accounts: tuple[str, ...] = ()) -> tuple[AllowanceRecord, ...]:
        """Return the allowances."""
        return super().allowances(purse, accounts) if self._is_there else ()

    def purses(self) -> tuple[str, ...]:
        """Return the purses."""
        return super().purses() if self._is_there else ()
