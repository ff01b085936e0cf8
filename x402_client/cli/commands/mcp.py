"""``x402 mcp``: the tools for models as an MCP server, under a policy. Only the protocol writes to stdout."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from ...discovery import FACILITATORS
from ...events import Event
from .. import completion, funding, options, wallets
from ..buying import (
    Choices,
    amount,
    buying,
    check_spelling,
    ledger_file,
    payer_of,
    policy_of,
    say_warning,
    trouble_under,
)
from ..exits import Code
from ..ledger_filters import host_pattern
from ..mcp_hosts import HOSTS, HostFile, entry_for
from ..own_words import in_own_words
from ..requests_made import whole_url
from ..running import Stop, command
from ..screen import out, say, show

#: An allowance without a name, as errors name it. The one of --allowance has none.
_UNNAMED = "allowance without a name"
_MISSING = (
    "x402 mcp needs the package mcp, which is not installed: pip install 'x402-buyer[cli,mcp]' "
    "(in a clone: pip install -e '.[cli,mcp]')."
)


Hosts = Annotated[
    options.MaybeTexts,
    typer.Option(
        "--host",
        metavar="PATTERN",
        help="A host that the model may ask, like api.example.com or *.example.dev. May be repeated. Else: all with a "
        "public address.",
    ),
]
Facilitators = Annotated[
    options.MaybeTexts,
    typer.Option(
        "--facilitator",
        envvar="X402_FACILITATOR",
        metavar="URL",
        help="Whose list `search` reads. May be repeated. Else: the public lists of Coinbase and PayAI.",
    ),
]
MaxBody = Annotated[
    int, typer.Option("--max-body", metavar="BYTES", min=1, help="The most of an answer that the model is given.")
]
ApproveTimeout = Annotated[
    float,
    typer.Option(
        "--approve-timeout",
        metavar="SECONDS",
        min=1,
        callback=options.a_quantity,
        help="How long you have to agree to a payment above the policy's approve_above.",
    ),
]
Allowance = Annotated[
    options.MaybeText,
    typer.Option(
        "--allowance",
        metavar="AMOUNT",
        help="The most that is paid while this runs, like 0.50. Else: as much as the policy allows.",
    ),
]
Config = Annotated[
    options.MaybeText,
    typer.Option(
        "--config",
        metavar="HOST",
        autocompletion=completion.mcp_hosts,
        help=f"Show what to paste into the settings of a host, and end: {', '.join(HOSTS)}.",
    ),
]


@command
def mcp(
    host: Hosts = None,
    policy: options.PolicyFile = None,
    ledger: options.LedgerAt = None,
    must_exist: options.MustExist = False,
    purse: options.Purse = "default",
    under: options.Under = None,
    wallet: options.WalletAt = None,
    passphrase_file: options.PassphraseFile = None,
    rpc: options.Rpc = None,
    allowance: Allowance = None,
    facilitator: Facilitators = None,
    max_body: MaxBody = 50_000,
    approve_timeout: ApproveTimeout = 300.0,
    timeout: options.PayingTimeout = 30.0,
    config: Config = None,
) -> None:
    """Serve MCP hosts: their models can fetch, and pay within your policy.

    A host like Claude Desktop starts this, and speaks with it over stdin and stdout. Its model gets the tools
    paid_fetch, quote, budget and search. It cannot raise a limit, agree to a payment, or choose a wallet.

    Above approve_above in the policy the host asks you. One that cannot ask pays nothing above it.
    """
    choices = Choices(
        policy,
        ledger,
        purse,
        wallet,
        passphrase_file,
        tuple(rpc or ()),
        None,
        must_exist,
        unlock_now=True,
        under=under,
    )
    amount(allowance, "--allowance")
    for one in host or ():
        host_pattern(one)
    if config is not None:
        _show_entry(_known(config), choices, _words(host, allowance, facilitator, max_body, approve_timeout, timeout))
        return
    if not _has_mcp():
        raise Stop(Code.USAGE, _MISSING)
    if sys.stdin.isatty():
        say("This waits for an MCP host, which starts it by itself. Ctrl-C ends it.")
        say(f"What to paste into a host's settings: x402 mcp --config {'|'.join(HOSTS)}")
    shop = {
        "hosts": host or None, "facilitator": [*map(whole_url, facilitator or FACILITATORS)], "max_body": max_body,
    }  # fmt: skip
    _serve(choices, allowance, shop, approve_timeout, timeout)


def _serve(
    choices: Choices, allowance: str | None, shop: dict[str, Any], approve_timeout: float, timeout: float
) -> None:
    import anyio
    import httpx

    from ...agents import tools
    from ...agents.server import PersonApprover, ToolCalls, serve_host, watch

    check_spelling(choices)
    asks = policy_of(choices).approve_above is not None
    approver = PersonApprover()

    def hear(event: Event) -> None:
        watch(event)
        say_warning(event)  # hosts show it among what their servers log

    async def run() -> None:
        async with httpx.AsyncClient(timeout=timeout) as client:
            calls = ToolCalls(tools(client, payer, **shop), approve_timeout, _reworded)
            await serve_host(calls, version("x402-buyer"))

    with buying(choices, approve=approver if asks else None, approve_timeout=approve_timeout, on_event=hear) as (
        buyer,
        found,
    ):
        payer = payer_of(buyer, choices)
        payer = payer if allowance is None else payer.allowance(allowance)
        approver.ready(payer, wallets.no_wallet() if found.no_wallet else "")
        if found.no_wallet:
            say(f"{wallets.no_wallet()} Until then prices are told, and nothing is paid; start this again after that.")
        anyio.run(run)


def _reworded(said: str) -> str:
    """Return what an error says for a model and its user: they have the command, and calls of tools."""
    said = said.replace("buyer.purchase(per_request=...)", "max_usd").replace("same request again", "same call again")
    return in_own_words(said.replace(_UNNAMED, "allowance of --allowance"))


def _has_mcp() -> bool:
    try:  # to import it takes a second
        return find_spec("mcp") is not None
    except ModuleNotFoundError:
        return False


def _known(named: str) -> HostFile:
    if named not in HOSTS:
        raise Stop(Code.USAGE, f"--config knows {', '.join(HOSTS)}, not {named!r}.")
    return HOSTS[named]


def _words(
    hosts: list[str] | None,
    allowance: str | None,
    facilitators: list[str] | None,
    max_body: int,
    approve_timeout: float,
    timeout: float,
) -> list[str]:
    """Return the options that are not about the buyer, as they were given."""
    words = [word for one in hosts or () for word in ("--host", one)]
    words += [] if allowance is None else ["--allowance", allowance]
    words += [word for one in facilitators or () for word in ("--facilitator", whole_url(one))]
    usual = (("--max-body", max_body, 50_000), ("--approve-timeout", approve_timeout, 300), ("--timeout", timeout, 30))
    numbers = [(name, str(given).removesuffix(".0")) for name, given, default in usual if given != default]
    return words + [word for pair in numbers for word in pair]


def _show_entry(host: HostFile, choices: Choices, words: list[str]) -> None:
    """Show what to paste. A host has neither the shell's environment nor its directory, so nothing is left to them."""
    found = wallets.find(choices.wallet, choices.passphrase_file)
    command = [sys.executable, "-m", "x402_client", "mcp"]
    for name, place in (("--policy", choices.policy), ("--passphrase-file", choices.passphrase_file)):
        command += [] if place is None else [name, _normal(place)]
    command += ["--wallet", _normal(Path(found.source))] if found.stores else []
    command += ["--purse", choices.purse] if choices.purse != "default" else []
    command += ["--under", choices.under] if choices.under is not None else []
    command += ["--must-exist"] if choices.must_exist else []
    environ: dict[str, str] = {}
    file = ledger_file(choices.ledger)
    if file is not None:
        command += ["--ledger", _normal(file)]
    elif choices.ledger is not None:
        environ["X402_LEDGER"] = choices.ledger  # a URL may hold a password, and arguments are seen by others
    if choices.rpc:
        environ["X402_RPC"] = " ".join(choices.rpc)
    show(entry_for(host, command + words, environ))
    out().file.flush()
    say(f"Into {host.place}, beside what is there. Then start {host.title} again.")
    for note in _notes(choices, found):
        say(note, "yellow")


def _normal(place: Path) -> str:
    """Return a whole path without ``..``. Links in it stay, as they may lead elsewhere later."""
    return os.path.abspath(place.expanduser())


def _notes(choices: Choices, found: wallets.Found) -> list[str]:
    """Return what is to do before a host can start the server."""
    notes = [] if _has_mcp() else [_MISSING]
    if found.no_wallet:
        notes.append(
            "There is no wallet yet. Make one first, and then ask for this again: x402 wallet new --keyring. So no key "
            "stands in a file of the host."
        )
    elif not found.stores and funding.is_play_wallet(found.wallet):
        notes.append(
            "The keys in this shell's environment are a sandbox's or a tool's, and the host does not see them: make a "
            "wallet of your own for it, x402 wallet new --keyring."
        )
    elif not found.stores:
        notes.append(
            "Your keys are in this shell's environment, which the host does not see, and they are not shown here. Move "
            "them into an encrypted file: x402 wallet import"
        )
    elif choices.passphrase_file is None and not all(store.in_keyring for store in found.stores):
        notes.append(
            "The host has no terminal to type the passphrase on. Name a file with it (--passphrase-file), or use a "
            "wallet whose passphrase is in the keyring (x402 wallet new --keyring)."
        )
    under = trouble_under(choices)
    if under:
        notes.append(
            f"--under: {under[:1].upper()}{under[1:]} A host that starts this before that is mended pays nothing."
        )
    if choices.policy is None:
        notes.append("Without --policy it pays up to 0.10 USD a request, and 5 USD a day.")
    return notes
