"""The options of the command that runs, for the commands and files that its messages name."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from ..ledgers.urls import scheme_of

_LEDGER_COMMAND = re.compile(r"`(x402 ledger(?: ([a-z-]+)[^`]*)?)`")
#: Ledger commands that concern every purse.
_OF_ALL = ("freeze", "unfreeze", "freezes", "accept")
#: Says how a policy file is begun, where none is in use.
NO_POLICY = "a policy file (none is in use: `x402 policy init` writes one)"


@dataclass(frozen=True, slots=True)
class InUse:
    """Options of a command that other commands need as well."""

    #: A URL may hold a password.
    ledger: str | None = field(default=None, repr=False)
    purse: str = "default"
    policy: str | None = None
    wallet: str | None = None


_NONE = InUse()
_OPTIONS: ContextVar[InUse] = ContextVar("options in use", default=_NONE)


@contextmanager
def using(arguments: Mapping[str, Any]) -> Iterator[None]:
    """Note the arguments of a command for as long as it runs."""
    policy = arguments.get("policy") or (arguments.get("file") if "url" in arguments else None)
    noted = InUse(
        ledger=arguments.get("ledger"),
        purse=arguments.get("purse") or "default",
        policy=None if policy is None else str(policy),
        wallet=arguments.get("wallet"),
    )
    before = _OPTIONS.set(noted)
    try:
        yield
    finally:
        _OPTIONS.reset(before)


def policy_file() -> str:
    """Return what a message calls the policy file: by its path, or how to begin one."""
    policy = _OPTIONS.get().policy
    return NO_POLICY if policy is None else f"the policy file {policy}"


def ledger_command(words: str) -> str:
    """Return a ledger command to type next, with the ledger and the purse that are in use."""
    noted = _OPTIONS.get()
    purse = "default" if words.split()[:1] and words.split()[0] in _OF_ALL else noted.purse
    return f"x402 ledger {words}{typed(noted.ledger, purse)}"


def with_options(text: str) -> str:
    """Return a text whose ledger commands name the ledger and the purse, where they would find others."""
    return _LEDGER_COMMAND.sub(_with_options, text)


def _with_options(found: re.Match[str]) -> str:
    if "--ledger" in found[1] or "--purse" in found[1]:
        return found[0]
    noted = _OPTIONS.get()
    of_all = found[2] in _OF_ALL and "--allowance" not in found[1]
    return f"`{found[1]}{typed(noted.ledger, 'default' if of_all else noted.purse)}`"


def typed(named: str | None, purse: str) -> str:
    """Return the options that name this ledger and purse in a command to type next; "" if the command finds both."""
    more = []
    if named is not None and named != os.environ.get("X402_LEDGER"):
        more += ["--ledger", "..." if _may_be_secret(named) else shlex.quote(named)]
    if purse != (os.environ.get("X402_PURSE") or "default"):
        more += ["--purse", shlex.quote(purse)]
    return "".join(f" {word}" for word in more)


def _may_be_secret(named: str) -> bool:
    """Return True if a ledger's name may hold a password: before its host, or among the options of a URL."""
    return "@" in named or (scheme_of(named) is not None and "password" in named.lower())


def wallet_option() -> str:
    """Return the option that names the wallet in a command to type next; "" if the command finds it."""
    wallet = _OPTIONS.get().wallet
    return "" if wallet is None or wallet == os.environ.get("X402_WALLET") else f" --wallet {shlex.quote(wallet)}"
