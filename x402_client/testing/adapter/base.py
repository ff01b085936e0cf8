"""Base of ``AdapterConformance``: the methods that an author writes, and short methods for the tests."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, TypeVar, cast
from urllib.parse import urlsplit

import anyio
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from ...buyer.buyer import Buyer
from ...buyer.payers import Payer
from ...buyer.wallet import Wallet
from ...core.ports import Maybe
from ...errors import X402Error
from ...model.holds import Hold, Outcome
from ...model.offers import Quote
from ...policy.policy import Policy
from ...receipts import outcome
from ...sandbox import Sandbox
from .gate import PATIENCE, Gate

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

PATH = "/goods"
PRICE = "0.01"
CONTENT = b"The content that was paid for. " * 64
POLICY = Policy(per_request="0.05", per_day="50")
#: Seconds that an ordinary call may take.
TIMEOUT = 5.0
#: Seconds that a caller waits in tests of a silent seller.
SHORT = 0.25


@dataclass(frozen=True, slots=True)
class Answer:
    """Whole answer, as a caller of the library gets it. ``native`` is the library's own response."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes = field(repr=False)
    native: Any = field(repr=False)

    def header(self, name: str) -> str | None:
        """Return the first header of this name."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


class Stream(Protocol):
    """Answer whose body is still to be read. Its two methods are both sync, or both async."""

    @property
    def native(self) -> Any:
        """Return the library's own response. Nothing else may keep it alive."""

    def read_some(self) -> Maybe[bytes]:
        """Return the next bytes, or b"" at the end."""
        ...

    def close(self) -> Maybe[None]:
        """Close the response in the library's own way."""
        ...


def needs(*flags: str) -> Callable[[F], F]:
    """Run a test only for adapters whose flags are all true."""

    def mark(test: F) -> F:
        test.needed_flags = flags  # type: ignore[attr-defined]
        return test

    return mark


class AdapterUnderTest(ABC):
    """Methods and flags that an author gives. Every method may be ``async def``: then set ``backend`` too."""

    #: None for a sync library. "asyncio" or "trio" runs async methods on such a loop, in a thread of its own.
    backend: ClassVar[str | None] = None
    #: The library's own errors for a connection that breaks or is silent for too long. They have to be given.
    own_errors: ClassVar[tuple[type[BaseException], ...]]
    #: True if a caller can read an answer's body piece by piece: write ``open`` too.
    streams: ClassVar[bool] = True
    #: True if ``fetch`` follows redirects by itself.
    follows_redirects: ClassVar[bool] = True
    #: True if a body may be an iterator that yields its chunks once: see ``one_shot``.
    one_shot_bodies: ClassVar[bool] = True
    #: True if a body may be a file that is open for reading bytes.
    files: ClassVar[bool] = True
    #: True if the client keeps cookies from one call to the next, those of 127.0.0.1 too.
    keeps_cookies: ClassVar[bool] = True
    #: True if ``client(connections=1)`` gives a client with a pool of one.
    pools: ClassVar[bool] = True
    #: True if ``Policy(pay_ahead=True)`` pays within the first request.
    pays_ahead: ClassVar[bool] = True
    #: True if the adapter can ask for a quote.
    quotes: ClassVar[bool] = True
    #: True if one error is both the library's and ours: after silence, and in the middle of a paid body.
    joins_errors: ClassVar[bool] = True
    #: True if ``Reply.ends_here`` shows that plain http ended on this machine. Else policies here allow 127.0.0.1.
    sees_loopback: ClassVar[bool] = True

    @abstractmethod
    def client(
        self, buyer: Payer | None, connections: int | None = None
    ) -> AbstractContextManager[Any] | AbstractAsyncContextManager[Any]:
        """Return a client that pays with this buyer or allowance, or a bare client of the library if it is None.

        ``connections`` is the size of its pool, if that can be chosen. It does not use the environment's proxies.
        """

    @abstractmethod
    def fetch(
        self,
        client: Any,
        method: str,
        url: str,
        *,
        body: Any = None,
        headers: Sequence[tuple[str, str]] = (),
        read_timeout: float | None = None,
    ) -> Maybe[Answer]:
        """Make one call and read its whole body. Await nothing after the last byte was read.

        ``body`` is None, bytes, text, an open file or what ``one_shot`` gave. ``read_timeout`` is in seconds, for each
        read of the socket. A status of 400 and more is returned, not raised.
        """

    def open(self, client: Any, method: str, url: str) -> Maybe[Stream]:
        """Make one call and return its answer as soon as the headers are here."""
        pytest.fail("streams is True: write open(client, method, url), or set streams = False.")

    def quote(self, client: Any, method: str, url: str) -> Maybe[Quote]:
        """Ask for the price of a call."""
        pytest.fail("quotes is True: write quote(client, method, url), or set quotes = False.")

    def outcome(self, native: Any) -> Outcome | None:
        """Return the outcome that a native response carries."""
        return outcome(native)

    def one_shot(self, chunks: Iterable[bytes]) -> Any:
        """Return a body that can be read once: an iterator, for an async adapter an async one."""
        return iter(chunks) if self.backend is None else _async_chunks(chunks)


async def _async_chunks(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


class AdapterTestCase(AdapterUnderTest):
    """Base of the tests: a sandbox, a gate before it, and a wallet with invented money. All are new in every test."""

    sandbox: Sandbox
    gate: Gate
    wallet: Wallet
    #: The wallet's private key, 0x hex.
    key: str
    #: The URL of something that is sold for a cent.
    url: str

    def setup_method(self, method: Any) -> None:
        """Skip a test that needs what the adapter cannot do. Prepare any other.

        If you override this method, call it first.
        """
        for flag in getattr(method, "needed_flags", ()):
            if not getattr(self, flag):
                pytest.skip(f"{flag} = {getattr(self, flag)}")
        with ExitStack() as stack:
            self._portal: BlockingPortal | None = None
            if self.backend is not None:
                self._portal = stack.enter_context(start_blocking_portal(self.backend))
            self.sandbox = stack.enter_context(Sandbox(redeliver=True))
            self.gate = stack.enter_context(Gate(urlsplit(self.sandbox.url).port or 0))
            self.key = self.sandbox.key("evm")
            self.wallet = Wallet(evm=self.key)
            self.url = self.sell(PATH)
            self._stack = stack.pop_all()

    def teardown_method(self) -> None:
        """Close what is open. An error in the gate itself fails the test."""
        self.gate.over.set()
        self._stack.close()
        assert self.gate.troubles == []

    # --- the seller, the buyer and the client

    def sell(self, path: str, price: str = PRICE, content: bytes = CONTENT) -> str:
        """Sell something through the gate. Return its URL."""
        self.sandbox.sell(path, price, content=content, chains="evm")
        return self.gate.url + path

    def buyer(self, policy: Policy = POLICY, **settings: Any) -> Buyer:
        """Return a buyer with the test's wallet, which presents a payment once in a call."""
        if not self.sees_loopback:
            policy = policy.but(http_hosts=("127.0.0.1",))
        return self.sandbox.buyer(policy, wallet=self.wallet, **{"repeat": (), **settings})

    def another_gate(self) -> Gate:
        """Return a gate of another origin before the same sandbox."""
        return self._stack.enter_context(Gate(urlsplit(self.sandbox.url).port or 0))

    def paying(self, buyer: Payer | None, connections: int | None = None) -> Any:
        """Return a client that is closed after the test."""
        given = self.client(buyer, connections)
        if isinstance(given, AbstractAsyncContextManager):
            assert self._portal is not None, "client is async and backend is None"
            given = self._portal.wrap_async_context_manager(given)
        return self._stack.enter_context(given)

    # --- calls

    def wait(self, given: Maybe[T]) -> T:
        """Return the result of one of the author's methods. Await it on the backend's loop if it is awaitable."""
        if not isinstance(given, Awaitable):
            return given
        found: T = self.run(lambda: given)
        return found

    def run(self, function: Callable[[], Awaitable[T]]) -> T:
        """Run an async function on the backend's loop."""
        assert self._portal is not None, "a method is async and backend is None"
        found: T = self._portal.call(function)
        return found

    def get(self, client: Any, url: str | None = None, method: str = "GET", **said: Any) -> Answer:
        """Make one call."""
        return self.wait(self.fetch(client, method, url or self.url, **{"read_timeout": TIMEOUT, **said}))

    def opened(self, client: Any, url: str | None = None) -> Stream:
        """Make one call whose body is still to be read."""
        return self.wait(self.open(client, "GET", url or self.url))

    def read(self, stream: Stream, size: int) -> bytes:
        """Read until this many bytes are here, or all."""
        found = b""
        while len(found) < size and (some := self.wait(stream.read_some())):
            found += some
        return found

    def fails(self, client: Any, url: str | None = None, **said: Any) -> BaseException:
        """Return the error that a call raises."""
        try:
            answer = self.get(client, url, **said)
        except Exception as failure:
            return failure
        raise AssertionError(f"This call had to fail, and gave {answer!r}.")

    def fails_paid(self, client: Any, url: str | None = None, **said: Any) -> BaseException:
        """Return the error of a call that paid, and whose caller waits only for a moment.

        On a busy machine the moment may be over before anything was paid. Then the call is made again.
        """
        before, failure = len(self.gate.payments), None
        for _ in range(10):
            started = time.monotonic()
            failure = self.fails(client, url, **{"read_timeout": SHORT, **said})
            assert time.monotonic() - started < TIMEOUT, "the caller's time and that for settling were over long ago"
            if isinstance(failure, X402Error) or len(self.gate.payments) > before:
                until = time.monotonic() + PATIENCE
                while len(self.gate.payments) == before and time.monotonic() < until:
                    time.sleep(0.005)
                return failure
        raise AssertionError(f"This call never came to pay: {failure!r}")

    def at_once(self, count: int, call: Callable[[], Maybe[T]]) -> list[T]:
        """Return the results of calls at the same time: in threads, or in tasks of one loop."""
        if self.backend is None:
            return _in_threads(count, cast("Callable[[], T]", call))
        return self.run(lambda: _in_tasks(count, cast("Callable[[], Awaitable[T]]", call)))

    # --- results

    def outcome_of(self, answer: Answer) -> Outcome:
        """Return the outcome of a paid answer."""
        found = self.outcome(answer.native)
        assert found is not None, "the answer was paid for and carries no outcome"
        return found

    @property
    def settled(self) -> int:
        """Return the number of payments that were settled, of any wallet."""
        return len(self.sandbox.settlements)

    @property
    def different_payments(self) -> int:
        """Return the number of different payments that reached the gate."""
        return len(set(self.gate.payments))

    def assert_delivered(self, buyer: Buyer, times: int = 1) -> None:
        """Check that this many purchases were paid for and delivered, and that none is open."""
        assert [hold.state for hold in buyer.history()] == ["delivered"] * times, "delivered purchases"
        assert buyer.holds() == (), "nothing may be open any more"
        assert self.settled == times, "settled payments"

    def assert_unresolved(self, buyer: Buyer) -> Hold:
        """Check that one purchase is open and counted. Return its hold."""
        assert buyer.history() == (), "nothing was delivered"
        (hold,) = buyer.holds()
        assert hold.state == "signed"
        return hold

    def assert_untouched(self, *buyers: Buyer) -> None:
        """Check that nothing was presented, settled or counted."""
        assert self.gate.payments == []
        assert self.settled == 0
        for buyer in buyers:
            assert (buyer.holds(), buyer.history()) == ((), ())

    def assert_same_again(self, client: Any, buyer: Buyer, url: str | None = None, **said: Any) -> Answer:
        """Check that the same request presents the open payment, is delivered, and settles nothing more."""
        presented = len(self.gate.payments)
        answer = self.get(client, url, **said)
        assert (answer.status, answer.body) == (200, CONTENT)
        assert len(self.gate.payments) == presented + 1, "it was presented once more"
        assert self.different_payments == 1, "the same request must present the same payment"
        self.assert_delivered(buyer)
        return answer


def _in_threads(count: int, call: Callable[[], T]) -> list[T]:
    start, results, failures = threading.Barrier(count), list[T](), list[BaseException]()

    def one() -> None:
        start.wait()
        try:
            results.append(call())
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=one, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive(), "a call does not end"
    for failure in failures:
        raise failure
    return results


async def _in_tasks(count: int, call: Callable[[], Awaitable[T]]) -> list[T]:
    results: list[T] = []

    async def one() -> None:
        results.append(await call())

    with anyio.fail_after(2 * PATIENCE):
        async with anyio.create_task_group() as tasks:
            for _ in range(count):
                tasks.start_soon(one)
    return results
