"""``x402 ledger freeze`` and ``unfreeze``: stop payments in every program that uses a ledger, and let them go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from ...buyer.environment import PURSE_VARIABLE, variable
from ...buyer.freezes import freeze_name, server_meant, still_frozen
from ...errors import ConfigurationError
from .. import completion, options
from ..exits import Code
from ..in_use import with_options
from ..open_ledger import OpenLedger, acting, lift
from ..running import Stop, command
from ..screen import say, show_json
from .ledger_allowances import frozen_above, record_of

DEFAULT = "default"
Pattern_ = Annotated[
    str, typer.Argument(metavar="HOST", show_default=False, help="A host, *.example.com, or * for all hosts.")
]
Frozen_ = Annotated[
    str,
    typer.Argument(
        metavar="HOST", show_default=False, help="As it was frozen; else *.", autocompletion=completion.freezes
    ),
]


_NOT_FROZEN, _NOT_LIFTED = "nothing was frozen and no payment is stopped", "nothing was lifted"

Allowance_ = Annotated[
    options.MaybeText,
    typer.Option(
        "--allowance",
        metavar="NAME",
        help="An allowance of the purse instead, with those inside it.",
        autocompletion=completion.allowances,
    ),
]


Purse_ = Annotated[
    options.MaybeText,
    typer.Option(
        "--purse",
        envvar=PURSE_VARIABLE,
        metavar="NAME",
        help="The purse of the allowance. A host is frozen for all purses.",
    ),
]


@command
def freeze(
    host: Pattern_ = "*",
    allowance: Allowance_ = None,
    ledger: options.LedgerAt = None,
    purse: Purse_ = None,
    as_json: options.AsJson = False,
) -> None:
    """Stop payments to a host, or all of them, at once: in every program that uses this ledger.

    With --allowance, stop new payments under an allowance and those inside it.
    """
    if allowance is not None:
        _freeze_allowance(allowance, host, ledger, purse or DEFAULT, as_json)
        return
    _check_no_purse(purse, _NOT_FROZEN)
    pattern = _host_of(host, ledger, _NOT_FROZEN, OpenLedger.stop_of_allowance)
    with acting(ledger, None, _NOT_FROZEN) as found:
        found.ask("freeze", pattern)
        name, lifts, after = found.name, found.lift(pattern), found.frozen()
        goes_on = found.stop_of_allowance(host)
    say(f"Frozen in {name}: nothing is paid to {_payee(pattern)} from it until `{lifts}`.")
    server = server_meant(pattern)
    if server and server not in after:
        said = f"That is a host. An MCP server of this name is {server}: `x402 ledger freeze {server}`."
        say(with_options(said), "dim")
    if goes_on:
        say(f"An allowance has that name, too, and goes on paying: `{goes_on}` stops it.", "yellow")
    if as_json:
        show_json({"ledger": name, "host": pattern, "frozen": list(after), "allowance_goes_on": bool(goes_on)})


@command
def unfreeze(
    host: Frozen_ = "*",
    allowance: Allowance_ = None,
    ledger: options.LedgerAt = None,
    purse: Purse_ = None,
    as_json: options.AsJson = False,
) -> None:
    """Lift a freeze again. It has to be named as it was set: * lifts only *, and no allowance's.

    Exits with 1 if it lifted nothing.
    """
    if allowance is not None:
        _unfreeze_allowance(allowance, host, ledger, purse or DEFAULT, as_json)
        return
    _check_no_purse(purse, _NOT_LIFTED)
    pattern = _host_of(host, ledger, _NOT_LIFTED, OpenLedger.lift_of_allowance)
    with acting(ledger, None, _NOT_LIFTED) as found:
        frozen = found.frozen()
        found.ask("unfreeze", pattern)
        name, after = found.name, found.frozen()
        meant = found.lift_of_allowance(host)
    lifted, still = pattern in frozen, _still(still_frozen(pattern, after), ledger)
    if lifted:
        say(f"Not frozen any more in {name}: {_payee(pattern)}{still}")
    if as_json:
        show_json({"ledger": name, "host": pattern, "lifted": lifted, "frozen": list(after)})
    if not lifted:
        other = f" The allowance of that name is: `{meant}` lifts it." if meant else ""
        raise Stop(Code.WRONG, f"Nothing was lifted: {pattern!r} was not frozen in {name}{still}{other}")


def _check_no_purse(purse: str | None, done: str) -> None:
    """Refuse a purse on the command line. One in the environment is meant for other commands, too."""
    if purse is not None and purse != variable(PURSE_VARIABLE):
        raise Stop(Code.USAGE, f"A host is frozen for all purses of a ledger at once: leave --purse out. So {done}.")


def _host_of(word: str, ledger: str | None, done: str, for_allowance: Callable[[OpenLedger, str], str]) -> str:
    """Return the pattern that a word freezes. Where it can be none, it may be the name of an allowance.

    Then ``for_allowance`` gives the command about that; ``done`` is what did not happen.
    """
    try:
        return freeze_name(word)
    except ConfigurationError:
        with acting(ledger, None, done) as found:
            meant = for_allowance(found, word)
        if not meant:
            raise
    raise Stop(Code.USAGE, f"That is no host, but the name of an allowance: `{meant}`. So {done}.")


def _freeze_allowance(allowance: str, host: str, ledger: str | None, purse: str, as_json: bool) -> None:
    """Freeze an allowance. One that is closed or has ended stays so: nothing new is paid under it already."""
    if host != "*":
        raise Stop(Code.USAGE, "Name a host or an allowance, not both.")
    with acting(ledger, purse, "nothing was changed") as found:
        found.ask("mark_allowance", found.purse, record_of(found, allowance).terms.account, "frozen")
        name, state = found.name, record_of(found, allowance).state
    if state == "frozen":
        say(f"Frozen in {name}: nothing new is paid under the allowance {allowance} or inside it.")
    else:
        over = "was closed before" if state == "closed" else "has ended"
        say(f"The allowance {allowance} {over} in {name}: nothing new is paid under it or inside it, ever.")
    if as_json:
        show_json({"ledger": name, "allowance": allowance, "state": state})


def _unfreeze_allowance(allowance: str, host: str, ledger: str | None, purse: str, as_json: bool) -> None:
    """Lift the freeze of an allowance, and name those above it that are frozen still."""
    if host != "*":
        raise Stop(Code.USAGE, "Name a host or an allowance, not both.")
    with acting(ledger, purse, "nothing was lifted") as found:
        before = record_of(found, allowance)
        found.ask("mark_allowance", found.purse, before.terms.account, "open")
        after = record_of(found, allowance)
        name, above = found.name, frozen_above(found, after)
        lifts = " && ".join(found.lift_allowance(one, found.purse) for one in above)
    lifted = before.state == "frozen"
    still = f", but it is inside of {', '.join(above)}, which is frozen: `{lifts}`." if above else "."
    if lifted:
        say(f"Not frozen any more in {name}: the allowance {allowance}{still}")
    if as_json:
        known = {"state": after.state, "lifted": lifted, "frozen_above": above}
        show_json({"ledger": name, "allowance": allowance, **known})
    if not lifted:
        was = "was not frozen" if before.state == "open" else f"is {before.state}"
        raise Stop(Code.WRONG, f"Nothing was lifted: the allowance {allowance} {was} in {name}{still}")


def _still(left: tuple[str, ...], ledger: str | None) -> str:
    """Return the end of a sentence about what was lifted."""
    if not left:
        return "."
    lifts = " && ".join(lift(pattern, ledger) for pattern in left)
    return f", but payments there are still stopped by {', '.join(left)}: `{lifts}`."


def _payee(pattern: str) -> str:
    return "any host" if pattern == "*" else pattern
