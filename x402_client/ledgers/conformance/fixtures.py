"""Helpers for tests of ledgers: purchases, orders, budgets, and threads that start together."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, TypeVar

from ...model.budgets import Cap
from ...model.holds import Attempt, Authorization, Hold, Order, Purchase, Spending
from ...model.hosts import Origin
from ...model.money import Money, Token
from ...model.offers import Offer, Receipt
from ..extras import closer_of

E = TypeVar("E", bound=Exception)
SECRET = "worth-money-until-it-expires"
PAYER, OTHER_PAYER = "0xpayer", "0xother"
TOKEN = Token("eip155:8453", "0x" + "a" * 40, "USDC", 6, "USD Coin", "2")
RECEIPT = Receipt(True, "0xfeed", "eip155:8453", PAYER, 10_000, raw={"success": True})


def purchase(
    name: str = "weather",
    *,
    key: str | None = None,
    host: str = "api.example.com",
    port: int = 443,
    purse: str = "default",
    payers: tuple[str, ...] = (PAYER,),
) -> Purchase:
    """Return a purchase as the flow describes it."""
    origin = Origin("https", host, port)
    known = f"key {key} {purse}" if key else f"request {name} {purse}"
    url = f"{origin}/{name}"
    return Purchase(known, f"request {name}", key is not None, "GET", url, origin, purse, payers)


def order(
    bought: Purchase | None = None,
    *caps: Cap,
    price: str = "0.01",
    amount: int = 10_000,
    payer: str = PAYER,
    path: tuple[str, ...] = (),
) -> Order:
    """Return an order for one payment."""
    money = Money(price)
    offer = Offer(
        0,
        2,
        "exact",
        TOKEN.network,
        amount,
        TOKEN.address,
        "0x" + "b" * 40,
        60,
        TOKEN,
        money,
        None,
        "base",
        {"name": "x"},
    )
    return Order(bought or purchase(), offer, money, caps, payer, path)


def signed(nonce: str = "0x01", header: str = SECRET) -> Authorization:
    """Return a signed payment, as a scheme makes it."""
    return Authorization(nonce, PAYER, int(time.time()) + 600, ("PAYMENT-SIGNATURE", header), {"height": 7})


def cap(most: int, window: str = "day", account: str = "", currency: str | None = "USD") -> Cap:
    """Return a budget in millionths, or in payments if ``currency`` is None."""
    return Cap(account, window, currency, most)


def expect(kind: type[E], question: Callable[[], object]) -> E:
    """Return the exception that ``question`` has to raise."""
    try:
        given = question()
    except kind as failure:
        return failure
    raise AssertionError(f"{kind.__name__} was expected, not {given!r}.")


def at_once(count: int, work: Callable[[int], Any]) -> list[Any]:
    """Run ``work`` in ``count`` threads that start together. Return its results, or raise the first failure."""
    gate, results = threading.Barrier(count), [None] * count

    def one(number: int) -> None:
        gate.wait()
        try:
            results[number] = work(number)
        except BaseException as failure:
            results[number] = failure  # type: ignore[call-overload]

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


class LedgerTestCase(ABC):
    """Base of the tests: a new, empty ``self.ledger`` in every test, and short methods that use it."""

    ledger: Any

    @abstractmethod
    def make(self) -> Any:
        """Return a new ledger with nothing in it."""

    def answer(self, given: Any) -> Any:
        """Return the result of a ledger's method. For an async ledger, override it to await the result."""
        return given

    def setup_method(self) -> None:
        """Make the ledger that is tested."""
        self.ledger = self.make()

    def teardown_method(self) -> None:
        """End the attempts, and close the ledger."""
        self.end_attempts()
        self.answer(closer_of(self.ledger)())

    def attempt(self) -> Attempt:
        """Return an attempt that lives until it is ended, or ``end_attempts`` is called after the test."""
        alive: list[Attempt] = vars(self).setdefault("_alive", [])
        alive.append(Attempt())
        return alive[-1]

    def end_attempts(self) -> None:
        """End the attempts of this test: pytest keeps its object, and with it all that it made."""
        for attempt in vars(self).pop("_alive", ()):
            attempt.end()

    def reserve(self, asked: Order, attempt: Attempt) -> Any:
        """Reserve a new hold, or claim the unresolved one."""
        return self.answer(self.ledger.reserve(asked, attempt))

    def presented(self, asked: Order, attempt: Attempt, nonce: str = "0x01") -> Hold:
        """Return a hold that was signed and is in flight."""
        hold: Hold = self.answer(self.ledger.record(self.reserve(asked, attempt), signed(nonce)))
        return hold

    def unresolved(self, asked: Order, nonce: str = "0x01") -> Hold:
        """Return a hold that was signed and whose attempt is over."""
        attempt = Attempt()
        hold = self.presented(asked, attempt, nonce)
        attempt.end()
        return hold

    def delivered(self, asked: Order) -> Hold:
        """Return a hold that was signed, presented and delivered."""
        attempt = Attempt()
        hold = self.presented(asked, attempt)
        self.answer(self.ledger.close(hold, "spent", RECEIPT))
        attempt.end()
        return hold

    def spent(self, account: str = "", window: str = "day", currency: str = "USD", purse: str = "default") -> int:
        """Return what counts as spent, in millionths."""
        found: int = self.answer(self.ledger.spent(Spending(account, window, currency, purse)))
        return found

    def holds(self, purse: str = "default") -> tuple[Hold, ...]:
        """Return the holds of a purse that are not resolved."""
        found: tuple[Hold, ...] = self.answer(self.ledger.holds(purse))
        return found

    def history(self, limit: int = 100, purse: str = "default") -> tuple[Hold, ...]:
        """Return the latest resolved purchases."""
        found: tuple[Hold, ...] = self.answer(self.ledger.history(limit, purse))
        return found
