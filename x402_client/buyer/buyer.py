"""``Buyer``: the wallet, the policy and the ledger that an application's clients share."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Never, Self, cast, overload

from ..chains.rpc import Endpoints
from ..chains.settlement import ChainReader
from ..core.drive import is_coming
from ..core.ports import Approver, AsyncCourier, Courier, Ledger, Scheme
from ..core.rules import Rules
from ..errors import ConfigurationError
from ..events import Event, Warned
from ..ledgers.extras import closer_of, closers_of
from ..model.keyword_hints import NO_WALLET, hints, known_keywords
from ..model.money import Amount
from ..model.networks import EVM_FAMILY
from ..model.offers import Quote, brief, line
from ..policy.limits import Amounts
from ..policy.policy import CAREFUL, Policy
from ..schemes.offer_receipt import OfferReceipts
from ..schemes.sign_in import SignInWithX
from ..signers.contract import ContractSigner
from ..wire.bounds import DEFAULT, Bounds
from ..wire.read import get_ready
from . import environment, keystores, settings
from .allowance import Allowance
from .answers import Answers, AsyncAnswers, ledger_answers
from .breaker import Breaker
from .ends import ends_writer
from .ledger_calls import await_ledger, call_ledger, guarded
from .ledger_notices import Notices
from .open_amounts import OpenAmounts
from .opening import Opening, aforget_left_behind, forget_left_behind
from .purse_questions import PurseQuestions
from .running_calls import RunningCalls
from .schemes import PaymentMeans
from .scopes import Scope, mandate
from .services import Services
from .settings import is_async
from .settlement_reader import Reader
from .wallet import Wallet

if TYPE_CHECKING:
    from os import PathLike
    from typing import Unpack


class Buyer(PurseQuestions):
    """A payer for the clients that it wraps, within its policy. Share one between clients, threads and tasks.

    ``Buyer(wallet)`` alone is careful: ten cents per request, five dollars per day.

    Args:
        wallet: The keys or signers that pay. Default: none, which is refused.
        policy: What may be paid. Default: ``Policy(per_request="0.10", per_day="5")``.
        ledger: Where budgets and payments are kept: a path in a directory that is there, ``":memory:"``,
            ``"redis://..."``, ``"postgresql://..."`` or a ledger. Default: a file in the user's data directory.
        purse: The name of the budget inside of the ledger. Buyers with one purse share its limits. Default:
            ``"default"``.
        must_exist: True refuses a ledger that is missing or was made just now, and a purse that never reserved anything
            beside others that did. Default: False.
        rpc: The endpoints to read chains at, as in ``{"base": "https://..."}``, one or several for a network. ``{}``
            asks no chain at all, for tests. Default: public ones for well-known networks.
        reader: An object with ``.read(hold)`` that tells whether a payment settled. Default: one that reads the chain.
        schemes: Payment schemes beside those that ship with the package. Default: none.
        settle_timeout: The seconds that a seller may take to answer a payment, at least: a longer read time-out of the
            client's stays, and so does none, as in requests. None leaves it to the client. Default: 60.
        approve: A function, sync or async, that is given an ``Approval`` and returns True to pay. Default: none.
        on_event: A plain function that is given each event of ``x402_client.events``. Default: none; events go to the
            log.
        on_refusal: ``"raise"`` raises ``PaymentRefused``; ``"return"`` hands back the 402 instead. Default:
            ``"raise"``.
        approve_timeout: The seconds that the approver has; None waits for ever. Default: 300.
        terms_age: The seconds after which the seller is asked for its terms again, where an approver or another call
            was waited for. Default: 30.
        repeat: The methods whose payment is presented again, in the same call, after an answer that brought nothing.
            Default: GET, PUT and DELETE.
        identity_headers: Headers in which requests differ that are different purchases. Default: none.
        breaker_after: The number of failures in a row after which a host is left alone; None: never. Default: 5.
        breaker_rest: The seconds for which it is left alone. Default: 60.
        bounds: The most that is read and sent: sizes and times. Default: ``Bounds()`` of ``x402_client.wire``.
    """

    def __init__(
        self,
        wallet: Wallet = NO_WALLET,
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
            known_keywords(Buyer, tuple(unknown))
            self.wallet: Wallet = settings.wallet(wallet)
            self.policy: Policy = settings.policy(policy)
            self.bounds: Bounds = settings.instance("bounds", bounds, Bounds)
            self.ledger: Ledger = settings.ledger(ledger, must_exist)
        finally:
            # Tools print the variables of a traceback: what is no wallet may be a key, and a URL may hold a password.
            del wallet, ledger, unknown
        self.purse: str = settings.purse(purse, self.ledger if must_exist else None)
        #: Headers that are part of a purchase's name: requests that differ in them are different purchases.
        self.identity_headers: tuple[str, ...] = settings.header_names("identity_headers", identity_headers)
        self.endpoints: Endpoints = settings.chains(rpc, self.policy.http_hosts)
        self.means: PaymentMeans = PaymentMeans(
            self.wallet, self.endpoints, self.policy.check_funds, schemes, self.policy.tokens, self.policy.permits
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
            notices=Notices(self.ledger, self.purse),
            running=RunningCalls(self.ledger, self.settle_timeout),
            ends=ends_writer(self.ledger),
            open_amounts=OpenAmounts(ledger_answers(self.ledger), self.reader, self.policy),
            approver=settings.function("approve", approve, "an Approval"),
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
        said = {"wallet": wallet, "policy": policy}
        environment.check_spelling({*settings, *(name for name, one in said.items() if one is not None)})
        remarks = environment.not_read(wallet is not None or keystores.has_wallet())
        replaced = environment.replaces_sandbox(policy.tokens) if isinstance(policy, Policy) else ""
        remarks += [replaced] if replaced else []
        for remark in remarks if settings.get("on_event") is None else ():
            warnings.warn(remark, UserWarning, stacklevel=2)  # at once: what it names may be why nothing can be made
        found: dict[str, Any] = {**environment.settings(besides=settings), **settings}
        policy = Policy.from_env() if policy is None else policy
        made = cls(Wallet.from_env() if wallet is None else wallet, policy, **found)
        for remark in remarks:
            made.services.tell(Warned("", "", remark))
        return made

    def _get_ready(self) -> None:
        """Load what the first payment needs, and tell what the user should hear of these settings."""
        get_ready()
        evm = self.wallet.evm
        asks = evm is not None and (isinstance(evm, ContractSigner) or self.endpoints.named(EVM_FAMILY))
        if asks or self.wallet.solana is not None or self.policy.check_funds:  # then payments read the chain
            self.endpoints.get_ready()
        self.services.tell_news()
        for event in self.services.notices.first():
            self.services.tell(event)
            self.services.show(event.problem, stacklevel=3)
        for remark in self.policy.remarks:
            self.services.show(remark, stacklevel=3)
        for remark in settings.remarks(self.policy, self.endpoints, self.settle_timeout, self.wallet.addresses):
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
            sign_in=SignInWithX(self.wallet.readers, self.means.may_sign, self.bounds),
            statements=OfferReceipts(self.policy.seller_keys),
            purse=self.purse,
            on_refusal=on_refusal,
            approve_all=self.services.approver is not None and self.policy.approve_above is None,
            can_ask=getattr(self.services.approver, "can_ask", self.services.approver is not None),
            cannot_ask=lambda: getattr(self.services.approver, "cannot_ask", ""),
            terms_age=settings.at_least_zero("terms_age", terms_age),
            settle_timeout=self.settle_timeout,
            repeat=repeat,
        )

    @hints
    def purchase(
        self,
        *,
        key: str | None = None,
        per_request: Amount | None = None,
        quote: Quote | None = None,
    ) -> Scope:
        """Return a scope for the requests inside ``with``.

        Args:
            key: A name of your own for the purchase, which is paid once only. Default: none; the request names it.
            per_request: The most that a payment in it may cost, below the policy's limits. Default: the policy's alone.
            quote: The terms to pay, from ``quote(client, method, url)``; others are refused. Default: those of the
                moment.
        """
        return Scope(self, mandate(key, per_request, quote))

    @hints
    def allowance(
        self,
        amount: Amounts,
        *,
        minutes: float | None = None,
        name: str | None = None,
        hosts: Iterable[str] | None = None,
        per_request: Amounts | None = None,
    ) -> Allowance:
        """Return a budget within the budget, for a session, an agent, a task. It stands wherever a buyer may stand.

        It limits on top of the policy: nothing in it widens that. Under a name it lasts in the ledger, with its terms
        and its end: who asks for the same one again goes on with what is left of it, in any process.

        Args:
            amount: The most that may be spent under it, as in ``"1.00"``, or several in a list, one for each currency.
                It limits as much test money besides, apart.
            minutes: The minutes after which it pays nothing more. Default: None, it does not end by itself.
            name: A name of your own, under which it lasts in the ledger. Default: None, it lasts as long as its object.
            hosts: The only hosts that it may pay, as in ``["api.example.com", "*.example.dev"]``. Default: None, any.
            per_request: The most that one payment may cost. Default: None, no limit of its own.
        """
        opening = Opening.of(self.services, amount, minutes, name, hosts, per_request)
        return opening.watched(Allowance(self, opening.rules, opening.open(), None))

    @hints
    async def aallowance(
        self,
        amount: Amounts,
        *,
        minutes: float | None = None,
        name: str | None = None,
        hosts: Iterable[str] | None = None,
        per_request: Amounts | None = None,
    ) -> Allowance:
        """Async twin of ``allowance``."""
        opening = Opening.of(self.services, amount, minutes, name, hosts, per_request)
        return opening.watched(Allowance(self, opening.rules, await opening.aopen(), None))

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

    def check_sync(self) -> None:
        """Refuse a buyer that a sync client cannot use, because a part of it has to be awaited.

        This is said when the client is wrapped, not in the middle of a payment.
        """
        asked = {"approver": self.services.approver, "reader": self.reader.read, "ledger": self.ledger.reserve}
        settings.check_sync([*self.wallet.async_only], asked)

    def close(self) -> None:
        """Close the connections and files that the ledger and the chain readers hold open.

        Deliveries that the ledger was too busy to take are written first, for at most a few seconds. It stops no
        payment: the next one, or the next question, opens them again. ``freeze()`` stops payments.
        """
        for rpc in self.endpoints:
            rpc.close()
        self.services.open_amounts.close()
        self.services.ends.flush()
        forget_left_behind(self.services)
        call_ledger(self.ledger, lambda ledger: closer_of(ledger)())

    async def aclose(self) -> None:
        """Async twin of ``close``.

        An async ledger also lets go of the running loop's connections.
        """
        for rpc in self.endpoints:
            rpc.close()
        self.services.open_amounts.close()
        await self.services.ends.aflush()
        await aforget_left_behind(self.services)
        for close in closers_of(self.ledger):
            closed = guarded(close)
            if is_coming(closed):
                await await_ledger(closed)

    def __repr__(self) -> str:
        if not hasattr(self, "policy"):
            return "<Buyer, half built>"  # for tools that show variables
        accounts = " and ".join(map(brief, self.wallet.addresses.values()))
        return line(f"<Buyer {accounts}, {self.policy!r}>")
