"""Checks the arguments of a Buyer: the place where strings become ledgers, readers and endpoints."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

from ..chains.rpc import Endpoints
from ..core.ports import Ledger
from ..errors import ConfigurationError, LedgerUnavailable, X402Error
from ..guards.arguments import takes
from ..guards.tracebacks import shorten
from ..ledgers.extras import at_once, is_fresh, may_begin, meant_purse, name_of, other_purses, purses_of
from ..model.counts import counted
from ..model.hosts import Origin, Pattern
from ..model.networks import EVM_FAMILY, caip2, family_of, network_problem, short_name
from ..model.offers import words
from ..policy.checks import flag, is_unicode
from ..policy.limits import Limit
from ..policy.oversights import oversights, without_key
from ..policy.policy import Policy
from .ledger_calls import call_ledger
from .wallet import Wallet

T = TypeVar("T")
#: A name by the grammar of HTTP.
_HEADER_NAME = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+", re.ASCII)
_NO_CHAIN = (
    "rpc={} names no endpoint, so no chain is asked. What becomes of payments without an answer is not learnt; they "
    "stay counted. That is for tests. Leave rpc out for the public endpoints."
)
_WHOLE = (
    "No endpoint is known for {}, so a ceiling that is signed there counts whole until its window rolls: what was "
    "taken of it is not learnt. Name one in Buyer(rpc=...)."
)
_OUTLIVED = (
    "settle_timeout is {}, and a payment is valid for {} at most (Policy(validity=...)). After a "
    "time-out the payment may have expired, and a filter that retries time-outs then sees a PaymentOutcomeUnknown that "
    "is no time-out of the HTTP library. Keep settle_timeout below the validity."
)
_LEDGER_METHODS = tuple(name for name, value in vars(Ledger).items() if callable(value) and not name.startswith("_"))


def ledger(given: Any, must_exist: bool = False) -> Ledger:
    """Make a ledger of a path, ``":memory:"`` or a URL, or check one. None is the file in the user's data directory.

    With ``must_exist`` a ledger that starts with nothing spent is refused.
    """
    try:
        if given is None or isinstance(given, (str, bytes, os.PathLike)):
            found = _opened(given, flag("must_exist", must_exist))
        else:
            found = _ledger_like(given)
        if flag("must_exist", must_exist):
            _check_says_so(found)
            _check_used_before(found)
        return found
    except X402Error as failure:
        shorten(failure)
        raise
    finally:
        given = None  # a URL may hold a password, and tools print the variables of a traceback


def _opened(given: Any, must_exist: bool) -> Ledger:
    from ..ledgers.urls import POSTGRES, REDIS, scheme_of

    asked: dict[str, Any] = {"must_exist": True} if must_exist else {}
    try:
        if given == ":memory:":
            if must_exist:
                raise ConfigurationError(
                    "must_exist=True (or X402_MUST_EXIST=1) needs a ledger that outlives the program, and one in "
                    "memory never does; pass a path, redis://... or postgresql://..."
                )
            from ..ledgers.memory import MemoryLedger

            return MemoryLedger()
        if given is not None and scheme_of(given) in REDIS:
            from ..ledgers.redis.ledger import RedisLedger

            return RedisLedger(os.fsdecode(given), **asked)
        if given is not None and scheme_of(given) in POSTGRES:
            from ..ledgers.postgres.ledger import PostgresLedger

            return PostgresLedger(os.fsdecode(given), **asked)
        from ..ledgers.sqlite import SqliteLedger, default_path

        if isinstance(given, bytes):
            given = os.fsdecode(given)
        return SqliteLedger(default_path() if given is None else given, **asked)
    finally:
        given = None


def _check_says_so(found: Ledger) -> None:
    """Refuse a ledger that would begin anew before a buyer can see it: the second start would find a used one."""
    if may_begin(found):
        kind = type(found).__name__
        raise ConfigurationError(
            f"This {kind} was made without must_exist=True, so it begins a ledger where there is none. The buyer's "
            "must_exist=True would refuse the first start alone. Pass a path or a URL as ledger=, or say "
            "must_exist=True where SqliteLedger, RedisLedger or PostgresLedger is made. A ledger in memory never "
            "existed before."
        )


def _check_used_before(found: Ledger) -> None:
    """Refuse a ledger whose budgets start at zero. One that connects when it is first used connects now."""
    if not is_async(found.freezes):
        call_ledger(found, lambda port: port.freezes())
    if is_fresh(found):
        raise LedgerUnavailable(
            f"There was no ledger at {name_of(found)} before: its budgets would start at zero, and must_exist=True "
            "(or X402_MUST_EXIST=1) refuses that. Mount or name the ledger that was used before; for the very first "
            "use, leave that out once. Nothing is paid."
        )


def _ledger_like(given: Any) -> Ledger:
    if inspect.isclass(given):
        raise ConfigurationError(f"ledger is an object: {given.__name__}(...), not the class {given.__name__}.")
    missing = [name for name in _LEDGER_METHODS if not callable(getattr(given, name, None))]
    if missing:
        raise ConfigurationError(f"{type(given).__name__} is not a Ledger; it has no {', '.join(missing)}.")
    found: Ledger = given
    return found


def reader(given: Any) -> Any:
    """Return a reader that can be asked about a hold."""
    if inspect.isclass(given):
        raise ConfigurationError(f"reader is an object: {given.__name__}(...), not the class {given.__name__}.")
    if given is not None and not callable(getattr(given, "read", None)):
        raise ConfigurationError(f"reader is an object with .read(hold), not {type(given).__name__}.")
    if given is not None and not takes(given.read, 1):
        raise ConfigurationError(
            f"{type(given).__name__}.read is called with a Hold, as its one argument, and does not take that; write "
            "`def read(self, hold)`."
        )
    return given


def endpoints(
    given: Mapping[str, str | Iterable[str]], http_hosts: Iterable[Pattern] = ()
) -> dict[str, tuple[str, ...]]:
    """Return the endpoints of each network. Those over plain http are on this machine, or among ``http_hosts``."""
    if not isinstance(given, Mapping):  # it is not shown: a URL may hold a key
        kind = type(given).__name__
        raise ConfigurationError(f'rpc maps networks to URLs, like {{"base": "https://..."}}; it is no {kind}.')
    found: dict[str, tuple[str, ...]] = {}
    for name, urls in given.items():
        if isinstance(name, str) and "/" in name:
            raise ConfigurationError('rpc maps networks to URLs, like {"base": "https://..."}, and one name is a URL.')
        problem = network_problem(name) if isinstance(name, str) else None
        if problem is not None:
            raise ConfigurationError(f"rpc: {problem}")
        network = caip2(name) if isinstance(name, str) else None
        listed = (urls,) if isinstance(urls, str) else tuple(urls) if isinstance(urls, Iterable) else ()
        if network is not None and any(isinstance(url, str) and url and "://" not in url for url in listed):
            raise ConfigurationError(f"rpc: an address for {name!r} lacks https:// before it.")
        if network is None or not listed or not all(map(_is_url, listed)):
            raise ConfigurationError(f'rpc maps networks to URLs, like {{"base": "https://..."}}, not {name!r}.')
        for url in listed:
            _check_way(url, http_hosts)
        found[network] = listed
    return found


def chains(given: Mapping[str, str | Iterable[str]] | None, http_hosts: Iterable[Pattern]) -> Endpoints:
    """Return the endpoints of ``Buyer(rpc=...)``. None: the public ones. A mapping without any: no chain is asked."""
    named = {} if given is None else endpoints(given, http_hosts)
    return Endpoints(named, public=given is None or bool(named))


def remarks(
    policy: Policy, endpoints: Endpoints, settle_timeout: float | None, families: Iterable[str]
) -> Iterator[str]:
    """Yield what the user should hear of these settings. ``families`` are those for which the wallet has keys."""
    yield from policy.remarks
    yield from oversights(policy)
    lacking = without_key(policy, tuple(families))
    if lacking:
        yield lacking
    blind = () if endpoints.none else _blind(policy, endpoints)
    if endpoints.none:
        yield _NO_CHAIN
    if blind:
        yield _WHOLE.format(", ".join(map(short_name, blind)))
    # The rule: an error is the HTTP library's own, too, where ".wait_until lies ahead". After such a time it does not.
    if settle_timeout is not None and settle_timeout >= policy.validity:
        yield _OUTLIVED.format(counted(settle_timeout, "second"), counted(policy.validity, "second"))


def _blind(policy: Policy, endpoints: Endpoints) -> list[str]:
    """Return the networks of a policy on which ceilings may be signed, and nothing can be looked up."""
    limits = (policy.overall, *(rule for rule in policy.hosts.values() if isinstance(rule, Limit)))
    if not any("upto" in limit.keywords for limit in limits):
        return []
    named = (network for network in policy.networks or () if family_of(network) == EVM_FAMILY)
    return [network for network in named if not endpoints.reach(network)]


def _check_way(url: str, http_hosts: Iterable[Pattern]) -> None:
    """Refuse an endpoint that anybody on the way could speak for. A URL may hold a key, so only its host is shown."""
    parts = urlsplit(url)
    origin = Origin.of(parts.scheme, parts.hostname or "", parts.port)
    if parts.scheme == "http" and not origin.loopback and not any(one.matches(origin) for one in http_hosts):
        raise ConfigurationError(
            f"The endpoint at {origin.host} is not https, so anybody on the way could say what settled; "
            f"Policy(http_hosts=[{origin.host!r}]) allows it."
        )


def _is_url(url: object) -> bool:
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
        return parts is not None and parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is none
        return False


def purse(name: str, used_in: Ledger | None) -> str:
    """Return the name of a purse. With ``used_in`` one is refused that this ledger has never seen."""
    if not isinstance(name, str) or not name or not is_unicode(name):
        raise ConfigurationError(f"purse is a name of one character or more, not {name!r}.")
    if used_in is not None:
        _check_purse(name, used_in)
    return name


def _check_purse(name: str, found: Ledger) -> None:
    """Refuse a purse that was never used, in a ledger where others were. A server does so by itself, when first asked.

    A ledger in which no purse was used has nothing spent, as it should be: a program opened it and paid nothing yet.
    """
    known = None if at_once(found) is None else call_ledger(found, purses_of)
    others = other_purses(known, name) if known is not None and name not in known else ""
    if others:
        raise LedgerUnavailable(
            f"Purse {words(name, 60)!r} was never used in the ledger {name_of(found)}: its budgets would start at "
            f"zero, and must_exist=True (or X402_MUST_EXIST=1) refuses that. {meant_purse(known or (), name)}Used "
            f"there: {others}. Correct the name; to begin a new purse on purpose, leave that out once. Nothing is paid."
        )


def wallet(given: object) -> Wallet:
    """Return a wallet. What is none may be a key, so it is not shown."""
    if isinstance(given, Wallet):
        return given
    kind = type(given).__name__
    given = None
    raise ConfigurationError(f"wallet is a Wallet, not {kind}; write Buyer(Wallet(evm=...)) or Buyer.from_env().")


def policy(given: object) -> Policy:
    """Return a policy."""
    if isinstance(given, Policy):
        return given
    if isinstance(given, Mapping) and given:
        written = ", ".join(f"{name}={value!r}" for name, value in given.items())
        cure = f"; write Buyer(wallet, Policy({written:.300}))"
    else:
        cure = "; Policy.from_file(path) reads one" if isinstance(given, (str, os.PathLike)) else ""
        if isinstance(given, Wallet):
            cure = '; write Buyer(wallet, Policy(per_request="0.10", per_day="5"))'
        if given is None:
            cure = '; leave it out for the careful default, or write Policy(per_request="0.10", per_day="5")'
    raise ConfigurationError(f"policy is a Policy, not {type(given).__name__}{cure}.")


def instance(name: str, value: T, kind: type[T]) -> T:
    if not isinstance(value, kind):
        raise ConfigurationError(f"{name} is a {kind.__name__}, not {type(value).__name__}.")
    return value


def function(name: str, value: T, given: str) -> T:
    """Return a function that can be called with one argument, which ``given`` names. None is none."""
    if value is not None and not callable(value):
        raise ConfigurationError(f"{name} is a function, not {type(value).__name__}.")
    if value is not None and not takes(value, 1):
        raise ConfigurationError(
            f"{name} is called with one argument, {given}, and this function does not take that; write "
            f"`def {name}({given.split()[-1].lower()})`, for example."
        )
    return value


def listener(value: T) -> T:
    """Return a listener that is not async.

    Events are told while a payment is under way, by sync clients too. No caller could await a listener there.
    """
    if is_async(function("on_event", value, "an Event")):
        raise ConfigurationError(
            "on_event is async, and nobody would await it; pass a plain function, for example one that puts the event "
            "into a queue."
        )
    return value


def seconds(name: str, value: float | None) -> float | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0):
        raise ConfigurationError(f"{name} is a number of seconds above zero, or None, not {value!r}.")
    return value


def at_least_zero(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
        raise ConfigurationError(f"{name} is a number of seconds, not {value!r}.")
    return value


def count(name: str, value: int | None) -> int | None:
    if value is not None and (type(value) is not int or value < 1):
        raise ConfigurationError(f"{name} is a whole number above zero, or None, not {value!r}.")
    return value


def methods(name: str, given: Iterable[str]) -> frozenset[str]:
    listed = None if isinstance(given, str) or not isinstance(given, Iterable) else list(given)
    if listed is None or not all(isinstance(method, str) and method for method in listed):
        raise ConfigurationError(f'{name} lists methods, like ("GET", "PUT"), not {given!r}.')
    return frozenset(method.upper() for method in listed)


def header_names(name: str, given: Iterable[str]) -> tuple[str, ...]:
    """Return the names of headers, each once, in lower case and sorted."""
    listed = None if isinstance(given, (str, bytes)) or not isinstance(given, Iterable) else list(given)
    if listed is None or not all(isinstance(one, str) and _HEADER_NAME.fullmatch(one) for one in listed):
        raise ConfigurationError(f'{name} lists names of headers, like ("authorization",), not {given!r}.')
    return tuple(sorted({one.lower() for one in listed}))


def check_sync(signers: list[str], asked: Mapping[str, Any]) -> None:
    """Refuse what a sync client would have to await: signers of the families, and functions by their names."""
    parts = [f"the {name} signer" for name in signers]
    parts += [f"the {name}" for name, function in asked.items() if is_async(function)]
    if parts:
        raise ConfigurationError(
            f"A sync client cannot await, and {' and '.join(parts)} of this buyer is async; "
            "wrap an httpx.AsyncClient, or pass a sync one."
        )


def is_async(function: Any) -> bool:
    """Return True if calling ``function`` gives an awaitable, as far as can be told without calling it."""
    call = getattr(function, "__call__", None)  # noqa: B004 - a callable object may have an async __call__
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)
