"""Settings from environment variables: what the ``x402`` command uses, a program uses."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError
from ..model.keywords import near
from ..model.sandbox_settings import PLAY_NETWORK, is_of_sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from os import PathLike
    from typing import Literal, TypedDict

    from ..core.ports import Approver, Ledger, Scheme
    from ..events import Event
    from ..model.money import Token
    from ..wire.bounds import Bounds

    class Settings(TypedDict, total=False):
        """Keywords of ``Buyer`` that are passed on by ``Buyer.from_env``, all but wallet and policy."""

        ledger: Ledger | str | PathLike[str] | None
        purse: str
        must_exist: bool
        rpc: Mapping[str, str | Iterable[str]] | None
        reader: Any
        schemes: Iterable[Scheme]
        settle_timeout: float | None
        approve: Approver | None
        on_event: Callable[[Event], object] | None
        on_refusal: Literal["raise", "return"]
        approve_timeout: float | None
        terms_age: float
        repeat: Iterable[str]
        identity_headers: Iterable[str]
        breaker_after: int | None
        breaker_rest: float
        bounds: Bounds


NO_WALLET = "There is no wallet to pay with."
EVM_VARIABLE, SOLANA_VARIABLE = "X402_EVM_KEY", "X402_SOLANA_KEY"
WALLET_VARIABLE = "X402_WALLET"
LEDGER_VARIABLE, PURSE_VARIABLE = "X402_LEDGER", "X402_PURSE"
MUST_EXIST_VARIABLE, RPC_VARIABLE = "X402_MUST_EXIST", "X402_RPC"
#: The lists that ``x402 search`` reads. No buyer needs it.
FACILITATOR_VARIABLE = "X402_FACILITATOR"
#: Names that other programs read keys from, with our name for the same. They are not read: a key that was put there for
#: another program does not pay here unasked.
_OF_OTHERS = {
    **dict.fromkeys(("EVM_PRIVATE_KEY", "PRIVATE_KEY", "X402_PRIVATE_KEY", "X402_EVM_PRIVATE_KEY"), EVM_VARIABLE),
    **dict.fromkeys(("ETH_PRIVATE_KEY", "ETHEREUM_PRIVATE_KEY", "WALLET_PRIVATE_KEY"), EVM_VARIABLE),
    **dict.fromkeys(("BUYER_PRIVATE_KEY", "CLIENT_PRIVATE_KEY", "EVM_KEY", "X402_KEY"), EVM_VARIABLE),
    **dict.fromkeys(("SVM_PRIVATE_KEY", "SOLANA_PRIVATE_KEY", "X402_SVM_PRIVATE_KEY"), SOLANA_VARIABLE),
    **dict.fromkeys(("X402_SOLANA_PRIVATE_KEY", "SVM_KEY", "SOLANA_KEY", "X402_SVM_KEY"), SOLANA_VARIABLE),
}
#: All variables that this package reads.
KNOWN = (
    EVM_VARIABLE, SOLANA_VARIABLE, WALLET_VARIABLE, "X402_PASSPHRASE", "X402_POLICY", LEDGER_VARIABLE, PURSE_VARIABLE,
    MUST_EXIST_VARIABLE, RPC_VARIABLE, FACILITATOR_VARIABLE,
)  # fmt: skip
#: Those that decide what pays, or how much, and the keyword of ``Buyer.from_env`` that says the same.
_DECIDE = {
    EVM_VARIABLE: "wallet", SOLANA_VARIABLE: "wallet", WALLET_VARIABLE: "wallet", "X402_POLICY": "policy",
    LEDGER_VARIABLE: "ledger", PURSE_VARIABLE: "purse", MUST_EXIST_VARIABLE: "must_exist",
}  # fmt: skip
#: What other names are set for, by words in them, and the variable that is read for the same.
_MEANT = (
    ("FACILITATOR", FACILITATOR_VARIABLE),
    ("RPC|ENDPOINT|NODE", f"{RPC_VARIABLE}, which is written like base=https://..."),
    ("PASS", "X402_PASSPHRASE"),
    ("PRIVATE|SECRET|MNEMONIC|SEED|SIGNER", f"{EVM_VARIABLE} or {SOLANA_VARIABLE}"),
    ("REDIS|POSTGRES|DATABASE|SQL|LEDGER|STORAGE|_?DB(_|$)", f"{LEDGER_VARIABLE}, a path or the URL of a server"),
    ("KEYSTORE|WALLET|ACCOUNT|ADDRESS", f"{WALLET_VARIABLE}, the name or the place of a wallet"),
    (
        "POLICY|LIMIT|MAX|BUDGET|PER_|PRICE|AMOUNT|NETWORK|CHAIN|HOSTS|APPROVE|CONFIG",
        "X402_POLICY, which names a policy file (`x402 policy init`)",
    ),
)
_MISSPELT = "{} is set, and is not read: did you mean {}?"
_OURS = re.compile(r"X402_\w{1,40}", re.ASCII | re.IGNORECASE)
#: Follows the message about a missing wallet in a program: the sandbox's own example may be what runs.
FOR_SANDBOX = "To pay an `x402 sandbox`, type the line that it shows, `. FILE`, in this terminal first."
_YES, _NO = ("1", "true", "t", "yes", "y", "on"), ("0", "false", "f", "no", "n", "off")


def variable(name: str) -> str | None:
    """Return an environment variable without blanks around it. None if it is not set, or empty."""
    return os.environ.get(name, "").strip() or None


def not_read(has_wallet: bool) -> list[str]:
    """Return a warning for each variable that looks like ours and is not read. No value is shown.

    Without a wallet, the keys of other programs are told by the message that says so.
    """
    misspelt = dict(_misspelt())
    strangers = (name for name in os.environ if _OURS.fullmatch(name) and name not in (*KNOWN, *misspelt))
    unread = [name for name in strangers if variable(name) is not None and (has_wallet or name not in _OF_OTHERS)]
    return [_MISSPELT.format(name, meant) for name, meant in misspelt.items()] + [_unread(name) for name in unread]


def _unread(name: str) -> str:
    ours = _OF_OTHERS.get(name)
    if ours is not None:
        return f"{name} is set, and is not read: a key that is to pay here is read from {ours}."
    for words, meant in _MEANT:
        if re.search(words, name.upper()[len("X402_") :]):
            return f"{name} is set, and is not read: did you mean {meant}?"
    return f"{name} is set, and is not read. These are: {', '.join(KNOWN)}."


def _misspelt() -> Iterator[tuple[str, str]]:
    known = {name.removeprefix("X402_").lower(): name for name in KNOWN}
    for name in os.environ:
        if _OURS.fullmatch(name) and name not in KNOWN and name not in _OF_OTHERS:
            meant = near(name[len("X402_") :], known)
            if meant:
                yield name, known[meant]


def check_spelling(given: Collection[str]) -> None:
    """Refuse a misspelt variable that decides what pays, or how much: a default would stand in its place.

    ``given`` names what was said in another way. There the variable would have decided nothing.
    """
    for name, meant in _misspelt():
        keyword = _DECIDE.get(meant)
        if keyword and keyword not in given and variable(name) is not None and variable(meant) is None:
            raise ConfigurationError(
                f"{_MISSPELT.format(name, meant)} A default would stand in its place, so nothing is paid. Rename the "
                f"variable; or, if something else was meant, `unset {name}`."
            )


def replaces_sandbox(tokens: Iterable[Token]) -> str:
    """Return a remark if these are the tokens of a policy that stands in place of a sandbox's; "" if not."""
    named = variable("X402_POLICY")
    if named is None or not is_of_sandbox(named) or any(token.network == PLAY_NETWORK for token in tokens):
        return ""
    return (
        "X402_POLICY names a sandbox's policy, and the policy= in code stands in its place. It lacks the sandbox's "
        "tokens: most offers are refused, and the rest counts as USD (test). Write "
        "policy=Policy.from_env().but(per_request=...), which keeps them; in a program that runs the sandbox itself, "
        "sandbox.policy(Policy(...))."
    )


def has_keys() -> bool:
    """Return True if one of our variables for keys is set."""
    return any(variable(name) is not None for name in (EVM_VARIABLE, SOLANA_VARIABLE))


def keys_of_others() -> list[str]:
    """Return the variables of other programs that hold keys."""
    return [name for name in _OF_OTHERS if variable(name) is not None]


def keys_to_export() -> list[str]:
    """Return the commands that let the keys of other programs pay here: one for each of our names."""
    first: dict[str, str] = {}
    for name in keys_of_others():
        first.setdefault(_OF_OTHERS[name], name)
    return [f'export {ours}="${theirs}"' for ours, theirs in first.items()]


def no_wallet() -> str:
    """Return the message for a user who has no wallet: what to do, and which key of another program is there."""
    found = keys_of_others()
    if not found:
        return (
            f"{NO_WALLET} Make one with `x402 wallet new`, or set {EVM_VARIABLE} (0x and 64 hex "
            f"digits) or {SOLANA_VARIABLE} (base58)."
        )
    written = " and ".join(keys_to_export())
    return (
        f"{NO_WALLET} {' and '.join(found)} {'is' if len(found) == 1 else 'are'} set, and keys of other programs "
        f"are not used unasked: to pay with {'it' if len(found) == 1 else 'them'}, write {written}. "
        "`x402 wallet new` makes a wallet instead."
    )


def settings(besides: Collection[str] = ()) -> dict[str, Any]:
    """Return keywords of ``Buyer`` from the environment, but those that are named here and therefore not read."""
    found: dict[str, Any] = {}
    for keyword, name in (("ledger", LEDGER_VARIABLE), ("purse", PURSE_VARIABLE)):
        value = variable(name)
        if keyword not in besides and value is not None:
            found[keyword] = value
    if "must_exist" not in besides and variable(MUST_EXIST_VARIABLE) is not None:
        found["must_exist"] = must_exist()
    written = variable(RPC_VARIABLE)
    if "rpc" not in besides and written is not None:
        found["rpc"] = endpoints(written.split(), RPC_VARIABLE)
    return found


def must_exist() -> bool:
    """Return what X402_MUST_EXIST says. It is no if it is not set."""
    value = (variable(MUST_EXIST_VARIABLE) or "0").lower()
    if value not in (*_YES, *_NO):
        raise ConfigurationError(f"{MUST_EXIST_VARIABLE} is 1, yes, 0 or no, not {value[:20]!r}.")
    return value in _YES


def endpoints(written: Iterable[str], called: str) -> dict[str, list[str]]:
    """Return the endpoints in ``base=https://...``, in order; several for one network if it is named again.

    Errors say ``called`` for where it was written. They show no URL, as many hold a key.
    """
    found: dict[str, list[str]] = {}
    for one in written:
        network, equals, url = one.partition("=")
        if not equals or "/" in network:  # a URL, and its path may be a key
            raise ConfigurationError(f"{called} is written like base=https://..., and one entry names no network.")
        if re.search(r",[\w:-]+=https?://", url):
            raise ConfigurationError(f"{called} has a comma between two endpoints; put a blank there.")
        if not re.match(r"https?://", url, re.IGNORECASE):
            raise ConfigurationError(f"{called}: the address for {network[:40]} lacks https:// before it.")
        found.setdefault(network, []).append(url)
    return found
