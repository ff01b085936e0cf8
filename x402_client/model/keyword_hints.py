"""Says what people mean by keywords that our classes and methods do not have."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar, cast

from .keywords import unexpected

Method = TypeVar("Method", bound=Callable[..., Any])
Kind = TypeVar("Kind")

#: What a buyer without a wallet is given: it is refused, and the message says what to write.
NO_WALLET: Any = None
_EVM_OR_SOLANA = "did you mean evm (0x and 64 hex digits) or solana (base58)?"
_PER_REQUEST = "did you mean per_request (the most for one payment)?"
_WINDOW = 'did you mean window="day"?'
_OF_A_WINDOW = (
    ("period|time|per|days|since|last|when|hour|minute|month", _WINDOW),
    ("url|origin|domain|site", "did you mean host?"),
)
_AMOUNTS = "max|most|limit|price|amount|cap|cost|usd|dollar|budget|spend|daily"
#: For each name: patterns of words, and the cure. The first that fits says it, unless a known word is very near.
_CURES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "Wallet": (
        ("mnemonic|seed|words", "a mnemonic is not taken: write evm=... or solana=... with its key."),
        ("sol|svm", "did you mean solana (base58, or 64 bytes)?"),
        ("path|file|store|pass|name", "did you mean Wallet.from_keystore(path)?"),
        ("", _EVM_OR_SOLANA),
    ),
    "Buyer": (
        ("private|secret|mnemonic|key|^evm|^sol|^svm|signer|account", "did you mean Buyer(Wallet(evm=...))?"),
        ("approv|confirm", "did you mean approve?"),
        ("rpc|endpoint|node|chain", 'did you mean rpc={"base": "https://..."}?'),
        (
            f"{_AMOUNTS}|per_|hosts|network|allow|asset|token",
            'limits stand in the policy: did you mean Buyer(wallet, Policy(per_request="0.10", per_day="5"))?',
        ),
        ("db|database|redis|postgres|sqlite|path|stor|file|url|budgets", "did you mean ledger, a path or a URL?"),
        ("timeout|seconds", "did you mean settle_timeout (the seconds that a paid answer may take)?"),
        ("event|callback|hook|log|listen", "did you mean on_event?"),
        ("select|requirement|prefer", "the policy chooses: did you mean Buyer(wallet, Policy(networks=, assets=))?"),
        ("client|session|transport|http", "a client is wrapped with it: did you mean wrap(client, buyer)?"),
    ),
    "allowance": (
        ("hour|day|second|duration|ttl|time|until|expires|lasts", "did you mean minutes? An hour is minutes=60."),
        ("host|domain|url|site", "did you mean hosts?"),
        ("id|label|key|session|agent|task", "did you mean name?"),
        (_AMOUNTS, f"{_PER_REQUEST} The whole amount comes first: buyer.allowance(\"1.00\")."),
    ),
    "purchase": (
        (_AMOUNTS, _PER_REQUEST),
        ("id|name|order|idempot|label", "did you mean key (a name of your own, which is paid once)?"),
        ("terms|offer", "did you mean quote?"),
    ),
    "history": (("", "did you mean limit (the most purchases to return, the newest first)?"),),
    "tools": (
        ("size|bytes|length|body|char", "did you mean max_body?"),
        ("host|domain|site|url|allow|only", "did you mean hosts?"),
        (f"{_AMOUNTS}|per_|policy", 'limits stand in the buyer: did you mean tools(client, buyer.allowance("1.00"))?'),
        ("wallet|key|payer|account", "did you mean buyer?"),
        ("bazaar|list|discover|search|catalog", "did you mean facilitator?"),
    ),
    "Sandbox": (
        ("host|addr|bind", "it listens on this machine alone: did you mean port?"),
        ("delay|latency|wait|sec|time", "did you mean slow (the seconds that a slow answer takes)?"),
        ("policy|wallet|ledger|buyer", "did you mean sandbox.buyer(policy)?"),
        (f"{_AMOUNTS}|sell|goods|path", 'did you mean sandbox.sell("/path", "0.01")?'),
    ),
    "Token": (
        ("chain", "did you mean network?"),
        ("contract|mint|asset|addr", "did you mean address?"),
        ("digit|precision|scale", "did you mean decimals?"),
        ("ticker|code", "did you mean symbol?"),
        ("domain", "did you mean name and version, as its contract has them?"),
    ),
    "spent": _OF_A_WINDOW,
    "remaining": _OF_A_WINDOW,
}  # fmt: skip


#: How a method is called that takes most of its arguments by name.
_EXAMPLES = {
    "purchase": 'buyer.purchase(key="order-42", per_request="0.50")',
    "allowance": 'buyer.allowance("1.00", minutes=60)',
    "aallowance": 'await buyer.aallowance("1.00", minutes=60)',
    "tools": 'tools(client, buyer, hosts=["api.example.com"])',
}


def known_keywords(kind: Callable[..., object], unknown: Collection[str]) -> None:
    """Refuse keywords that a class or a method does not have. No value is shown: one may be a key."""
    if not unknown:
        return
    owner, _, name = kind.__qualname__.rpartition(".")
    if name == "__init__":
        owner, name = "", owner
    known = [
        one.name
        for one in inspect.signature(kind).parameters.values()
        if one.kind is not one.VAR_KEYWORD and one.name != "self"
    ]
    cures = _CURES.get(name.removeprefix("a") if name[:1] == "a" and name[1:] in _CURES else name, ())
    raise unexpected(f"buyer.{name}" if owner else name, unknown, known, cures)


def hints(method: Method) -> Method:
    """Let a method tell what was meant by an argument that it does not take. Its signature stays."""
    parameters = inspect.signature(method).parameters
    unnamed = sum(one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD) for one in parameters.values())

    def check(given: Collection[Any], keywords: Collection[str]) -> None:
        known_keywords(method, [name for name in keywords if name not in parameters])
        if len(given) > unnamed and method.__name__ in _EXAMPLES:
            raise TypeError(f"That takes a name with each further value; write {_EXAMPLES[method.__name__]}.")

    if inspect.iscoroutinefunction(method):

        @functools.wraps(method)
        async def awaited(*given: Any, **keywords: Any) -> Any:
            check(given, keywords)
            return await method(*given, **keywords)

        return cast(Method, awaited)

    @functools.wraps(method)
    def called(*given: Any, **keywords: Any) -> Any:
        check(given, keywords)
        return method(*given, **keywords)

    return cast(Method, called)


def hints_of(kind: type[Kind]) -> type[Kind]:
    """Let a class tell what was meant by a keyword that it does not have. Its signature stays."""
    setattr(kind, "__init__", hints(vars(kind)["__init__"]))  # noqa: B010 - type checkers take no assignment here
    return kind
