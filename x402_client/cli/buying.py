"""Makes a Buyer from the options of a command line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..buyer import environment, settings
from ..buyer.allowance import Allowance
from ..buyer.buyer import Buyer
from ..buyer.ledger_calls import call_ledger
from ..buyer.payers import Payer
from ..core.ports import Approver
from ..errors import ConfigurationError, LedgerUnavailable
from ..events import Event, Warned
from ..ledgers.extras import purses_of
from ..ledgers.urls import SERVERS, check_is_file, check_is_path, refusal, scheme_of
from ..model.allowances import AllowanceRecord, allowance_account, called
from ..model.budgets import WINDOWS
from ..model.hosts import Origin, Pattern
from ..model.money import Money
from ..model.offers import words
from ..model.sandbox_settings import ended_sandbox
from ..policy.allowances import AllowanceRules
from ..policy.policy import CAREFUL, Policy
from . import wallets
from .exits import Code
from .own_words import in_own_words
from .running import Stop
from .screen import say

_PER_DAY = "5"


@dataclass(frozen=True, slots=True)
class Choices:
    """The options that a buyer is made from."""

    policy: Path | None = None
    #: A URL may hold a password.
    ledger: str | None = field(default=None, repr=False)
    purse: str = "default"
    wallet: str | None = None
    passphrase_file: Path | None = None
    rpc: tuple[str, ...] = ()
    most: Money | None = None
    must_exist: bool = False
    #: True for a command that runs on, and cannot ask for a passphrase later.
    unlock_now: bool = False
    #: The name of an allowance in the ledger.
    under: str | None = None


@contextmanager
def buying(
    choices: Choices,
    *,
    ledger: Any = None,
    approve: Approver | None = None,
    approve_timeout: float = 300,
    on_event: Callable[[Event], object] | None = None,
) -> Iterator[tuple[Buyer, wallets.Found]]:
    """Yield a buyer and the wallet that it pays with.

    ``ledger`` is used instead of the one that the options name. Without a wallet nothing can be paid, so no ledger is
    made for it.
    """
    policy = policy_of(choices)
    new = ledger is None and _is_new(choices.ledger)
    found = wallets.find(choices.wallet, choices.passphrase_file, choices.unlock_now, unlock_if_known=new)
    if ledger is None and found.no_wallet:
        ledger = ledger_for_looking(choices).port
    if ledger is None and new and found.is_locked and not choices.must_exist:
        ledger = _made_later(choices.ledger)
    buyer = Buyer(
        found.wallet,
        policy,
        ledger=choices.ledger if ledger is None else ledger,
        purse=choices.purse,
        must_exist=choices.must_exist and ledger is None,
        rpc=endpoints(choices.rpc) or None,
        approve=approve or (None if policy.approve_above is None else _NoApprover()),
        approve_timeout=approve_timeout,
        on_event=on_event or say_warning,
    )
    try:
        yield buyer, found
    finally:
        buyer.close()


def check_spelling(choices: Choices) -> None:
    """Refuse a misspelt variable in whose place a default would pay."""
    said = {
        "wallet": choices.wallet, "policy": choices.policy or choices.most, "ledger": choices.ledger,
        "purse": choices.purse != "default", "must_exist": choices.must_exist,
    }  # fmt: skip
    environment.check_spelling([name for name, one in said.items() if one])


def payer_of(buyer: Buyer, choices: Choices) -> Payer:
    """Return the buyer, or the allowance of --under as the ledger has it, with those above it."""
    if choices.under is None:
        return buyer
    found = call_ledger(buyer.ledger, lambda ledger: ledger.allowances(buyer.purse))
    known = {record.terms.account: record for record in found}
    record = known.get(allowance_account(choices.under))
    if record is None:
        raise Stop(Code.USAGE, f"--under: {_no_allowance(choices, found)} Nothing was paid.")
    path = [record]
    while (above := path[0].terms.parent) is not None:
        if above not in known:
            raise Stop(Code.USAGE, f"--under: {called(choices.under)} is inside one that is over. Nothing was paid.")
        path.insert(0, known[above])
    allowance: Allowance | None = None
    for one in path:
        allowance = Allowance(buyer, AllowanceRules.of(one.terms), one, allowance)
    return allowance or buyer


def _no_allowance(choices: Choices, known: Iterable[AllowanceRecord]) -> str:
    names = sorted(words(one.terms.name, 100) for one in known if one.terms.lasts)
    listed = f"There is: {', '.join(names)}." if names else "A program opens one: buyer.allowance(...)."
    return f"There is no allowance {choices.under!r} in purse {choices.purse!r} of this ledger. {listed}"


def trouble_under(choices: Choices) -> str:
    """Return why nothing could be paid under the allowance of --under at this moment; "" if that is not known."""
    if choices.under is None:
        return ""
    looked = ledger_for_looking(choices)
    if looked.problem:
        return looked.problem
    known = call_ledger(looked.port, lambda ledger: ledger.allowances(choices.purse))
    account = allowance_account(choices.under)
    states = [one.state for one in known if one.terms.account == account]
    if not states:
        return _no_allowance(choices, known)
    return "" if states == ["open"] else f"{called(choices.under)} is {states[0]}. Nothing new is paid under it."


def policy_of(choices: Choices) -> Policy:
    """Return the policy of the file, else the one of --max, else the careful default."""
    if choices.policy is not None:
        return Policy.from_file(choices.policy)
    most = choices.most
    if most is None:
        return CAREFUL
    return Policy(per_request=most, per_day=max(Money(_PER_DAY, most.currency), most))


def amount(text: str | None, option: str = "--max") -> Money | None:
    """Return the amount of an option. One that is none is refused by the option's name."""
    try:
        return None if text is None else Money(text)
    except ConfigurationError as problem:
        raise Stop(Code.USAGE, in_own_words(f"{option}: {problem}")) from None


def endpoints(written: tuple[str, ...]) -> dict[str, list[str]]:
    """Return the endpoints of --rpc base=https://... in order, several for one network if it is repeated."""
    of_variable = written == tuple((environment.variable(environment.RPC_VARIABLE) or "").split())
    return environment.endpoints(written, environment.RPC_VARIABLE if of_variable else "--rpc")


@dataclass(frozen=True, slots=True)
class LedgerForLooking:
    """A ledger to look at: the one that is there, else an empty one in memory."""

    port: Any
    #: The patterns to which payments are stopped.
    frozen: tuple[str, ...] = ()
    #: What keeps the ledger that is there from being used.
    problem: str = ""


def ledger_for_looking(choices: Choices) -> LedgerForLooking:
    """Return the ledger if there is one, else an empty one in memory.

    So a question about prices makes no file and no purse, and works on a read-only disk.
    """
    empty, named, purse = settings.ledger(":memory:"), choices.ledger, choices.purse
    try:
        path = ledger_file(named)
    except LedgerUnavailable as problem:
        # Without a home no ledger was ever used there.
        return LedgerForLooking(
            empty, (), "" if named is None and not choices.must_exist else in_own_words(str(problem.args[0]))
        )
    from ..ledgers.sqlite import check_usable, is_there

    try:
        if path is not None and not is_there(path):
            if named != ":memory:":
                check_usable(path)
            if not choices.must_exist:
                return LedgerForLooking(empty)
        port = ledger_that_is_there(choices, path)
        frozen = tuple(call_ledger(port, lambda ledger: ledger.freezes()))
        known = () if path is not None else call_ledger(port, purses_of) or ()
        unused = path is None and purse not in known
        if path is None:
            check_can_begin(port)
        return LedgerForLooking(empty if unused else port, frozen)
    except LedgerUnavailable as problem:
        return LedgerForLooking(empty, (), in_own_words(str(problem.args[0])))


def ledger_that_is_there(choices: Choices, path: Path | None) -> Any:
    """Open the ledger of these options. Where it has to exist, refuse what a payment would refuse. Nothing is made."""
    port = settings.ledger(choices.ledger if path is None or choices.ledger == ":memory:" else path, choices.must_exist)
    if choices.must_exist:
        settings.purse(choices.purse, port)
        call_ledger(port, lambda ledger: ledger.holds(choices.purse))  # a server refuses when it is first asked
    return port


def check_can_begin(port: Any) -> None:
    """Refuse a server where a payment could make no ledger, or could not be counted in it. Nothing is made."""
    check = getattr(port, "check_can_begin", None)
    if check is not None:
        call_ledger(port, lambda _: check())


def ledger_file(named: str | None) -> Path | None:
    """Return the file that --ledger names, or the user's own; None if it is the URL of a server."""
    from ..ledgers.sqlite import default_path

    scheme = None if named is None else scheme_of(named)
    if scheme is None:
        if named is None:
            return default_path()
        check_is_path(named)
        check_is_file(named)
        return _ledger_path(Path(named))
    if scheme not in SERVERS:
        raise refusal(scheme)
    return None


def _made_later(named: str | None) -> Any:
    """Return a ledger file that is made when something was signed: the passphrase may be given up before that."""
    from .new_ledger import NewLedger

    path = ledger_file(named)
    assert path is not None
    return NewLedger(path)


def _is_new(named: str | None) -> bool:
    """Return True if a ledger file would be made: a wrong passphrase is told before that."""
    if named == ":memory:":
        return False
    from ..ledgers.sqlite import is_there

    path = ledger_file(named)
    return path is not None and not is_there(path)


def _ledger_path(path: Path) -> Path:
    """Return the path of a ledger file. Refuse that of a sandbox that has ended: it would be made anew."""
    from ..ledgers.sqlite import is_there

    ended = "" if is_there(path) or path.parent.exists() else ended_sandbox(str(path))
    if ended:
        raise Stop(Code.USAGE, ended)
    return path


def left(buyer: Buyer, payee: Origin, currency: str) -> dict[str, Money]:
    """Return the money that each window of the policy still allows there, by the entries with its port, too."""
    place = str(Pattern(payee.host, payee.port))
    found = ((window, buyer.remaining(place, window, currency)) for window in WINDOWS)
    return {window: money for window, money in found if money is not None}


def number(money: Money) -> str:
    """Return an amount of money without its currency."""
    return str(money).partition(" ")[0]


def say_warning(event: Event) -> None:
    """Say what is to be heard of a buyer's settings, and of its ledger."""
    if isinstance(event, Warned) and not event.method:
        say(words(in_own_words(event.problem), 500), "yellow")


class _NoApprover:
    """An approver that refuses every payment: the policy has a threshold, and this command pays nothing."""

    #: So a request that was bought as often as the policy allows is refused, and not asked about.
    can_ask = False

    def __call__(self, approval: object, /) -> bool:
        return False
