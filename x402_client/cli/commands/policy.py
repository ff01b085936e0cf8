"""``x402 policy``: begins a policy file, reads one in words, and tries it on a seller."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...errors import ConfigurationError
from ...model.hosts import Pattern, server_named_like
from ...model.networks import EVM_FAMILY, family_of
from ...policy.oversights import oversights, without_key
from ...policy.policy import Policy
from .. import options, wallets
from ..buying import Choices
from ..exits import Code
from ..own_words import in_own_words
from ..policy_rows import document, rows_of
from ..requests_made import cli_request
from ..running import Stop, asking, command
from ..screen import facts, say, show, show_json

if TYPE_CHECKING:
    from .quote import QuoteReport

app: typer.Typer = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Begin or read a policy file.")


#: A policy to begin with: the limits that hold without one, and the usual further fields as comments.
_BEGINNING = """\
# What may be paid. `x402 policy check FILE` says it in words; `x402 manual limits` explains each field.
# Amounts are US dollars, in quotes. What is not set is not limited.
per_request = "0.10"            # the most for one payment
per_day = "5"                   # in any 24 hours; also per_minute, per_hour, per_month, total
# max_payments = "30/minute"    # the number of payments
# upto = "0.05"                 # the highest ceiling to sign, where the seller says the price after its work
# approve_above = "0.05"        # ask a person above this price
# only_listed_hosts = true      # pay only the hosts below
# networks = ["base", "solana"] # in order of preference
# assets = ["USDC"]

# [hosts."api.example.com"]     # limits of one host come on top; its per_request replaces the one above
# per_request = "0.50"
# per_hour = "2"

# [hosts]
# "bad.example" = "deny"

# [[tokens]]                    # a token that `x402 tokens` does not list: take all of this from its issuer
# network = "base"
# address = "0x1111111111111111111111111111111111111111"
# symbol = "FOO"
# decimals = 6
# name = "Foo Dollar"           # name and version as its contract has them (EIP-712); not needed on Solana
# version = "1"
# currency = "USD"              # counts one token as one dollar
"""


@app.command("init")
@command
def init(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", show_default=False, help="Where to write it. Without: policy.toml.")
    ] = Path("policy.toml"),
) -> None:
    """Write a policy to begin with: the usual limits, and the further fields as comments. Overwrites no file.

    The comments show limits for one host, a host that is never paid, and a token of your own.
    """
    try:
        with file.open("x", encoding="utf-8") as written:
            written.write(_BEGINNING)
    except FileExistsError:
        raise Stop(Code.USAGE, f"{file} is there already, and is not overwritten; name another file.") from None
    except OSError as failure:
        first = file.parent if not file.parent.exists() else None
        cure = f" Make its directory first: mkdir -p {shlex.quote(str(first))}" if first else ""
        raise Stop(Code.USAGE, f"{file} cannot be written: {failure.strerror}.{cure}") from None
    show(f"Written to {file}. Then:")
    show(f"  x402 policy check {shlex.quote(str(file))}")
    show(f"  export X402_POLICY={shlex.quote(str(file.absolute()))}")


@app.command("check")
@asking
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", show_default=False, help="A policy in TOML.")],
    url: Annotated[str, typer.Argument(metavar="URL", show_default=False, help="A seller to try it on.")] = "",
    as_json: options.AsJson = False,
    ledger: options.LedgerAt = None,
    must_exist: options.MustExist = False,
    purse: options.Purse = "default",
    wallet: options.WalletAt = None,
    timeout: options.Timeout = 30.0,
) -> None:
    """Read a policy file and say what it allows; with a URL, ask what it costs and what the policy says to it.

    Never pays. Mistakes are told by line and field, and exit with 2. What no payment can reach, or changes nothing, is
    told and taken as written. With a URL, exits with 3 where nothing would be paid.
    """
    policy = Policy.from_file(file)
    remarks = [
        in_own_words(remark)
        for remark in (*policy.remarks, *oversights(policy), *_unpayable(policy, wallet), *_bare(policy))
    ]
    if not as_json:
        facts(rows_of(policy))
        for remark in remarks if not url else ():  # else the buyer that asks tells them
            say(remark, "yellow")
    report = _tried(url, Choices(file, ledger, purse, wallet, must_exist=must_exist), timeout) if url else None
    if as_json:
        tried = {} if report is None else {"quote": report.document()}
        show_json({"file": str(file), "policy": document(policy), "remarks": remarks, **tried})
    elif report is not None:
        report.show()
    if report is not None:
        report.end(quiet=as_json)


def _tried(url: str, choices: Choices, timeout: float) -> QuoteReport:
    """Ask a seller, and judge its offers by the policy."""
    from .quote import request_quote

    with cli_request(url, None, None, None) as request:
        return request_quote(request, choices, False, timeout)


def _unpayable(policy: Policy, wallet: str | None) -> Iterator[str]:
    """Yield the tokens that cannot be signed, and the networks, if the wallet has a key for none of them."""
    for token in policy.tokens:
        if family_of(token.network) == EVM_FAMILY and not (token.name and token.version):
            called = token.symbol or token.address
            yield f"[[tokens]]: {called} has no name or no version of its EIP-712 domain, so it cannot be signed."
    if policy.networks is not None:
        with suppress(ConfigurationError):  # a wallet that cannot be read says nothing of the policy
            lacking = without_key(policy, wallets.find(wallet).wallet.addresses)
            yield from [lacking] if lacking else []


def _bare(policy: Policy) -> Iterator[str]:
    """Yield the entries of ``hosts`` by which an MCP server may be meant. They are for a host of that name."""
    for pattern in policy.hosts:
        server = server_named_like(pattern)
        if server and Pattern(server) not in policy.hosts:
            yield f'[hosts."{pattern}"] is for a host of that name. An MCP server of that name is "{server}" here.'
