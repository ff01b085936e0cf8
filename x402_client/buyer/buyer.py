"""``Buyer``: the wallet, the policy and the ledger that an application's clients share."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Never, Self, cast, overload

from ..chains.rpc import Endpoints
from ..chains.settlement import ChainReader
from ..core.delivery import NO_COURIER
from ..core.drive import arun, run
from ..core.ports import Approver, AsyncCourier, Courier, Ledger, Scheme
from ..core.reclaim import reclaim
from ..core.rules import Rules
from ..errors import ConfigurationError
from ..events import Event, Warned, WrittenOff
from ..ledgers.extras import closer_of, closers_of
from ..model.holds import Hold
from ..model.money import Amount, Money
from ..model.offers import Quote, brief, line
from ..policy.policy import CAREFUL, Policy
from ..wire.bounds import DEFAULT, Bounds
from ..wire.read import get_ready
from . import environment, settings
from .answers import Answers, AsyncAnswers
from .breaker import Breaker
from .budget_questions import Remaining, counted, question
from .ends import ended, ends_writer, with_waiting, without
from .freezes import freeze_name, tell_unfrozen
from .ledger_calls import acall_ledger, call_ledger
from .ledger_notices import Notices
from .running_calls import RunningCalls
from .schemes import PaymentMeans
from .scopes import Scope, mandate
from .services import Services
from .settings import is_async
from .settlement_reader import Reader, Reconciled, aread, due, fate_of, read
from .wallet import Wallet

if TYPE_CHECKING:
    from os import PathLike
    from typing import Unpack


class Buyer:
    """A payer for the clients that it wraps, within its policy. Share one between clients, threads and tasks.

    ``Buyer(wallet)`` alone is careful: ten cents per request, five dollars per day.

    Args:
        wallet: The keys or signers that pay.
        policy: What may be paid. Default: ``Policy(per_request="0.10", per_day="5")``.
        ledger: Where budgets and payments are kept: a path in a directory that is there, ``":memory:"``,
            ``"redis://..."`` or a ledger. Default: a file in the user's data directory.
        purse: The name of the budget inside of the ledger. Buyers with one purse share its limits. Default:
            ``"default"``.
        must_exist: True refuses a ledger that starts with nothing spent. Default: False.
        rpc: The endpoints to read chains at, as in ``{"base": "https://..."}``, one or several for a network. ``{}``
            asks no chain at all, for tests. Default: public ones for well-known networks.
        reader: An object with ``.read(hold)`` that tells whether a payment settled. Default: one that reads the chain.
        schemes: Payment schemes beside those that ship with the package. Default: none.
        settle_timeout: The seconds that a seller may take to answer a payment; None leaves it to the client. Default:
            60.
        approve: A function, sync or async, that is given an ``Approval`` and returns True to pay. Default: none.
        on_event: A plain function that is given each event of ``x402_client.events``. Default: none; events go to the
            log.
        on_refusal: ``"raise"`` raises ``PaymentRefused``; ``"return"`` hands back the 402 instead. Default:
            ``"raise"``.
        approve_timeout: The seconds that the approver has; None waits for ever. Default: 300.
        terms_age: The seconds for which ``pay_ahead`` goes by terms that it saw. Default: 30.
        repeat: The methods whose payment is presented again, in the same call, after an answer that brought nothing.
            Default: GET, PUT and DELETE.
        identity_headers: Headers in which requests differ that are different purchases. Default: none.
        breaker_after: The number of failures in a row after which a host is left alone; None: never. Default: 5.
        breaker_rest: The seconds for which it is left alone. Default: 60.
        bounds: The most that is read and sent: sizes and times. Default: ``Bounds()`` of ``x402_client.wire``.
    """

    def __init__(
        self,
        wallet: Wallet,
        policy: Policy = CAREFUL,
        *,
        ledger: Ledger | str | PathLike[str] | None = None,
        purse: str = "default",
        must_exist: bool = False,
        rpc: Mapping[str, str | Iterable[str]] | None = None,
        reader: Any = None,
        schemes: Iterable[Scheme] = (),
        settle_timeout: float | None = 60,
        approve: Approver | None = None,
        on_event: Callable[[Event], object] | None = None,
        on_refusal: Literal["raise", "return"] = "raise",
        approve_timeout: float | None = 300,
        terms_age: float = 30,
        repeat: Iterable[str] = ("GET", "PUT", "DELETE"),
        identity_headers: Iterable[str] = (),
        breaker_after: int | None = 5,
        breaker_rest: float = 60,
        bounds: Bounds = DEFAULT,
        **unknown: Never,
    ) -> None:
        try:
            settings.known_keywords(Buyer, unknown)
            self.wallet: Wallet = settings.wallet(wallet)
            self.policy: Policy = settings.policy(policy)
            self.bounds: Bounds = settings.instance("bounds", bounds, Bounds)
            self.ledger: Ledger = settings.ledger(ledger, must_exist)
        finally:
            # Tools print the variables of a traceback: what is no wallet may be a key, and a URL may hold a password.
            del wallet, ledger, unknown
        self.purse: str = settings.purse(purse)
        #: Headers that are part of a purchase's name: requests that differ in them are different purchases.
        self.identity_headers: tuple[str, ...] = settings.header_names("identity_headers", identity_headers)
        self.endpoints: Endpoints = settings.chains(rpc, self.policy.http_hosts)
        self.means: PaymentMeans = PaymentMeans(
            self.wallet, self.endpoints, self.policy.check_funds, further=schemes, tokens=self.policy.tokens
        )
        self.settle_timeout: float | None = settings.seconds("settle_timeout", settle_timeout)
        self.reader: Any = settings.reader(reader) or ChainReader(self.endpoints, self.means.look)
        self.services: Services = Services(
            wallet=self.wallet,
            ledger=self.ledger,
            purse=self.purse,
            settlement=Reader(self.reader, self.means.balance),
            breaker=Breaker(
                settings.count("breaker_after", breaker_after), settings.at_least_zero("breaker_rest", breaker_rest)
            ),
            notices=Notices(self.ledger),
            running=RunningCalls(self.ledger, self.settle_timeout),
            ends=ends_writer(self.ledger),
            approver=settings.function("approve", approve),
            approve_timeout=settings.seconds("approve_timeout", approve_timeout),
            on_event=settings.listener(on_event),
        )
        self.rules: Rules = self._rules(on_refusal, terms_age, settings.methods("repeat", repeat))
        self._get_ready()

    @classmethod
    def from_env(
        cls, wallet: Wallet | None = None, policy: Policy | None = None, **settings: Unpack[environment.Settings]
    ) -> Self:
        """Return a buyer made of the environment, as the ``x402`` command makes its own.

        The wallet is that of ``Wallet.from_env``, the policy that of ``Policy.from_env``. X402_LEDGER, X402_MUST_EXIST,
        X402_PURSE and X402_RPC ("base=https://... solana=https://...") are read too.

        Args:
            wallet: The keys or signers that pay. Default: those of the environment.
            policy: What may be paid. Default: that of the environment.
            settings: Keywords of ``Buyer``. One that is given stands instead of its variable.
        """
        found: dict[str, Any] = {**environment.settings(besides=settings), **settings}
        policy = Policy.from_env() if policy is None else policy
        return cls(Wallet.from_env() if wallet is None else wallet, policy, **found)

    def _get_ready(self) -> None:
        """Load what the first payment needs, and tell what the user should hear of these settings."""
        get_ready()
        if self.wallet.solana is not None or self.policy.check_funds:  # then payments read the chain
            self.endpoints.get_ready()
        self.services.tell_news()
        for remark in settings.remarks(self.policy, self.endpoints):
            self.services.tell(Warned("", "", remark))

    def _rules(self, on_refusal: Literal["raise", "return"], terms_age: float, repeat: frozenset[str]) -> Rules:
        if on_refusal not in ("raise", "return"):
            raise ConfigurationError(f'on_refusal is "raise" or "return", not {on_refusal!r}.')
        if self.policy.approve_above is not None and self.services.approver is None:
            raise ConfigurationError("The policy has approve_above and there is no approver; pass Buyer(approve=...).")
        return Rules(
            policy=self.policy,
            means=self.means,
            schemes=self.means.schemes,
            bounds=self.bounds,
            purse=self.purse,
            on_refusal=on_refusal,
            approve_all=self.services.approver is not None and self.policy.approve_above is None,
            terms_age=settings.at_least_zero("terms_age", terms_age),
            settle_timeout=self.settle_timeout,
            repeat=repeat,
        )

    def purchase(
        self, *, key: str | None = None, per_request: Amount | None = None, quote: Quote | None = None
    ) -> Scope:
        """Return a scope for the requests inside ``with``.

        Args:
            key: A name of your own for the purchase, which is paid once only. Default: none; the request names it.
            per_request: The most that a payment in it may cost, below the policy's limits. Default: the policy's alone.
            quote: The terms to pay, from ``quote(client, method, url)``; others are refused. Default: those of the
                moment.
        """
        return Scope(self, mandate(key, per_request, quote))

    def spent(self, host: str | None = None, window: str = "day", currency: str = "USD") -> Money:
        """Return the money that counts as spent in a window.

        It is the overall sum, that of one host, or that of a host pattern of the policy that has a budget.

        Args:
            host: A host or a pattern of the policy's ``hosts``. Default: all hosts together.
            window: ``"minute"``, ``"hour"``, ``"day"``, ``"month"`` or ``"total"``. Default: ``"day"``.
            currency: The currency. Test money is asked for by its name, ``"USD (test)"``. Default: ``"USD"``.
        """
        asked = question(host, window, currency, self.purse)
        return Money.of_units(call_ledger(self.ledger, partial(counted, asked)), asked.currency)

    async def aspent(self, host: str | None = None, window: str = "day", currency: str = "USD") -> Money:
        """Async twin of ``spent``."""
        asked = question(host, window, currency, self.purse)
        return Money.of_units(await acall_ledger(self.ledger, partial(counted, asked)), asked.currency)

    def remaining(self, host: str | None = None, window: str = "day", currency: str = "USD") -> Money | None:
        """Return the money that the policy still allows in a window, overall or at one host.

        None means that nothing limits it there.

        Args:
            host: A host. Default: the limits over all hosts.
            window: ``"minute"``, ``"hour"``, ``"day"``, ``"month"`` or ``"total"``. Default: ``"day"``.
            currency: The currency. Test money is asked for by its name, ``"USD (test)"``. Default: ``"USD"``.
        """
        asked = Remaining(self.policy, host, window, currency, self.purse)
        return asked.least([call_ledger(self.ledger, partial(counted, one)) for one in asked.questions])

    async def aremaining(self, host: str | None = None, window: str = "day", currency: str = "USD") -> Money | None:
        """Async twin of ``remaining``."""
        asked = Remaining(self.policy, host, window, currency, self.purse)
        return asked.least([await acall_ledger(self.ledger, partial(counted, one)) for one in asked.questions])

    def holds(self) -> tuple[Hold, ...]:
        """Return the purchases that are not resolved: reserved, in flight, or without a usable answer.

        The ``money`` of each is what the last error about it said; ``last`` has the seller's answer.
        """
        return tuple(hold.told for hold in self._open())

    def _open(self) -> tuple[Hold, ...]:
        """Return them as the ledger has them."""
        ends = ended()
        return without(ends, call_ledger(self.ledger, lambda ledger: ledger.holds(self.purse)))

    async def aholds(self) -> tuple[Hold, ...]:
        """Async twin of ``holds``."""
        return tuple(hold.told for hold in await self._aopen())

    async def _aopen(self) -> tuple[Hold, ...]:
        ends = ended()
        return without(ends, await acall_ledger(self.ledger, lambda ledger: ledger.holds(self.purse)))

    def history(self, limit: int = 100) -> tuple[Hold, ...]:
        """Return the latest resolved purchases, newest first.

        Args:
            limit: The most purchases to return. Default: 100.
        """
        waiting = self.services.ends.waiting(self.purse)
        return with_waiting(waiting, call_ledger(self.ledger, lambda ledger: ledger.history(limit, self.purse)), limit)

    async def ahistory(self, limit: int = 100) -> tuple[Hold, ...]:
        """Async twin of ``history``."""
        waiting = self.services.ends.waiting(self.purse)
        return with_waiting(
            waiting, await acall_ledger(self.ledger, lambda ledger: ledger.history(limit, self.purse)), limit
        )

    def write_off(self, hold: Hold) -> Hold:
        """Give up an unresolved purchase.

        It counts as spent, and the next same request is a new purchase.

        Args:
            hold: The purchase, as ``holds()`` or an error has it.
        """
        return self._written_off(call_ledger(self.ledger, lambda ledger: ledger.write_off(hold)))

    async def awrite_off(self, hold: Hold) -> Hold:
        """Async twin of ``write_off``."""
        return self._written_off(await acall_ledger(self.ledger, lambda ledger: ledger.write_off(hold)))

    def _written_off(self, hold: Hold) -> Hold:
        self.services.tell(WrittenOff(hold.purchase.method, hold.url, hold))
        return hold

    def reconcile(self) -> Reconciled:
        """Ask the chain about every expired payment without an answer.

        Payments that did not settle are given back to the budgets.
        """
        found = Reconciled()
        for hold in filter(due, self._open()):
            fate = fate_of(self.reader, hold, read(self.reader, hold))
            answered = run(reclaim(hold, fate, self.policy), Answers(self.services, NO_COURIER))
            found = found.with_one(hold, answered)
        return found

    async def areconcile(self) -> Reconciled:
        """Async twin of ``reconcile``."""
        found = Reconciled()
        for hold in filter(due, await self._aopen()):
            fate = fate_of(self.reader, hold, await aread(self.reader, hold))
            answered = await arun(reclaim(hold, fate, self.policy), AsyncAnswers(self.services, NO_COURIER))
            found = found.with_one(hold, answered)
        return found

    @overload
    def answers(self, courier: Courier) -> Answers: ...
    @overload
    def answers(self, courier: AsyncCourier) -> AsyncAnswers: ...
    def answers(self, courier: Courier | AsyncCourier) -> Answers | AsyncAnswers:
        """Return the object that answers the asks of a flow: ``run(flow, buyer.answers(courier))``.

        For ``arun`` and a courier whose methods are async, the returned object is async as well.

        Args:
            courier: What sends and reads for one call; see ``x402_client.core.Courier``.
        """
        if is_async(courier.send):
            return AsyncAnswers(self.services, cast(AsyncCourier, courier))
        return Answers(self.services, cast(Courier, courier))

    def freeze(self, host: str = "*") -> None:
        """Stop payments to a host pattern, or all payments, at once.

        Args:
            host: A host, a pattern like ``*.example.com``, or ``*``. Default: ``*``, which is every host.
        """
        call_ledger(self.ledger, lambda ledger: ledger.freeze(freeze_name(host)))

    async def afreeze(self, host: str = "*") -> None:
        """Async twin of ``freeze``."""
        await acall_ledger(self.ledger, lambda ledger: ledger.freeze(freeze_name(host)))

    def unfreeze(self, host: str = "*") -> tuple[str, ...]:
        """Lift one freeze, by the name it was set under, and return the freezes that still stop payments there.

        What is left, or a name that was not frozen, is told as an event too.

        Args:
            host: The name that was frozen. Default: ``*``.
        """
        named, before = freeze_name(host), self.freezes()
        call_ledger(self.ledger, lambda ledger: ledger.unfreeze(named))
        return tell_unfrozen(self.services.tell, named, before, self.freezes())

    async def aunfreeze(self, host: str = "*") -> tuple[str, ...]:
        """Async twin of ``unfreeze``."""
        named, before = freeze_name(host), await self.afreezes()
        await acall_ledger(self.ledger, lambda ledger: ledger.unfreeze(named))
        return tell_unfrozen(self.services.tell, named, before, await self.afreezes())

    def freezes(self) -> tuple[str, ...]:
        """Return the host patterns to which payments are stopped; ``*`` stops all."""
        return tuple(call_ledger(self.ledger, lambda ledger: ledger.freezes()))

    async def afreezes(self) -> tuple[str, ...]:
        """Async twin of ``freezes``."""
        return tuple(await acall_ledger(self.ledger, lambda ledger: ledger.freezes()))

    def check_sync(self) -> None:
        """Refuse a buyer that a sync client cannot use, because a part of it has to be awaited.

        This is said when the client is wrapped, not in the middle of a payment.
        """
        asked = {"approver": self.services.approver, "reader": self.reader.read, "ledger": self.ledger.reserve}
        settings.check_sync([*self.wallet.async_only], asked)

    def close(self) -> None:
        """Close the connections and files that the ledger and the chain readers hold open.

        Deliveries that the ledger was too busy to take are written first, for at most a few seconds.
        """
        for rpc in self.endpoints:
            rpc.close()
        self.services.ends.flush()
        call_ledger(self.ledger, lambda ledger: closer_of(ledger)())

    async def aclose(self) -> None:
        """Async twin of ``close``.

        An async ledger also lets go of the running loop's connections.
        """
        for rpc in self.endpoints:
            rpc.close()
        await self.services.ends.aflush()
        for close in closers_of(self.ledger):
            closed = close()
            if inspect.isawaitable(closed):
                await closed

    def __repr__(self) -> str:
        if not hasattr(self, "policy"):
            return "<Buyer, half built>"  # for tools that show variables
        accounts = " and ".join(map(brief, self.wallet.addresses.values()))
        return line(f"<Buyer {accounts}, {self.policy!r}>")
