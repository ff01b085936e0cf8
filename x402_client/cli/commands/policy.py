"""``x402 policy``: begins a policy file, reads one in words, and tries it on a seller."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from ...model.hosts import Pattern, server_named_like
from ...model.networks import EVM_FAMILY, family_of, short_name
from ...policy.limits import Limit
from ...policy.oversights import oversights
from ...policy.policy import Policy
from .. import options
from ..buying import Choices
from ..exits import Code
from ..own_words import in_own_words
from ..requests_made import cli_request
from ..running import Stop, asking, command
from ..screen import facts, say, show

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
    ledger: options.LedgerAt = None,
    purse: options.Purse = "default",
    wallet: options.WalletAt = None,
    timeout: options.Timeout = 30.0,
) -> None:
    """Read a policy file and say what it allows; with a URL, ask what it costs and what the policy says to it.

    Never pays. Mistakes are told by line and field, and exit with 2. With a URL, exits with 3 where nothing would be
    paid.
    """
    policy = Policy.from_file(file)
    facts(rows_of(policy))
    for remark in (*policy.remarks, *oversights(policy), *_unsigned(policy), *_bare(policy)) if not url else ():
        say(in_own_words(remark), "yellow")
    if not url:
        return
    from .quote import request_quote

    with cli_request(url, None, None, None) as request:
        report = request_quote(request, Choices(file, ledger, purse, wallet), False, timeout)
    report.show()
    report.end(quiet=False)


def _unsigned(policy: Policy) -> Iterator[str]:
    """Yield the tokens that a policy vouches for and that cannot be signed."""
    for token in policy.tokens:
        if family_of(token.network) == EVM_FAMILY and not (token.name and token.version):
            called = token.symbol or token.address
            yield f"[[tokens]]: {called} has no name or no version of its EIP-712 domain, so it cannot be signed."


def _bare(policy: Policy) -> Iterator[str]:
    """Yield the entries of ``hosts`` by which an MCP server may be meant. They are for a host of that name."""
    for pattern in policy.hosts:
        server = server_named_like(pattern)
        if server and Pattern(server) not in policy.hosts:
            yield f'[hosts."{pattern}"] is for a host of that name. An MCP server of that name is "{server}" here.'


def rows_of(policy: Policy) -> list[tuple[str, str]]:
    """Return what a policy allows, one name and value a line."""
    rows = [("overall", limits(policy.overall))]
    rows += [(str(host), "never paid" if rule == "deny" else limits(rule)) for host, rule in policy.hosts.items()]
    rows.append(("other hosts", "never paid" if policy.only_listed_hosts else "under the overall limits"))
    networks = policy.networks
    rows.append(("networks", "any" if networks is None else ", ".join(map(short_name, networks)) or "none"))
    rows.append(("assets", "any that is known" if policy.assets is None else ", ".join(policy.assets) or "none"))
    rows += [
        ("also known", f"{token.symbol or token.address} on {short_name(token.network)}") for token in policy.tokens
    ]
    if policy.same_request:
        counted = (f"{most} per {window}" for window, most in policy.same_request.items())
        rows.append(("same request", f"at most {', '.join(counted)}; then asks, or refuses"))
    if policy.pay_to is not None:
        rows.append(("pays only", ", ".join(sorted(policy.pay_to)) or "no address"))
    if not policy.permits:
        rows.append(("permits", "none is signed: Permit2 needs an allowance that is there"))
    if policy.pay_ahead:
        rows.append(("pays ahead", "what the same thing cost when it was last delivered"))
    if policy.approve_above is not None:
        rows.append(("asks above", limits(policy.approve_above).removeprefix("up to ").removesuffix(" a request")))
    if policy.accept_loss:
        rows.append(("gives up", f"payments of up to {policy.accept_loss} that brought nothing, without asking"))
    return rows


def limits(limit: Limit) -> str:
    """Return a limit in words."""
    currencies = sorted(limit.currencies, key=lambda currency: (currency != "USD", currency))
    each = [limit.per_request(currency) for currency in currencies]
    parts = [f"up to {most} a request" for most in each if most is not None]
    ceilings = (limit.upto(currency) for currency in ("USD", *(one for one in currencies if one != "USD")))
    parts += [f"ceilings up to {most}" for most in ceilings if most is not None]
    caps = {str(cap): cap.currency is None for currency in currencies or ["USD"] for cap in limit.caps("", currency)}
    ahead = ["any body is paid ahead"] if limit.pay_ahead == "any body" else []
    return ", ".join([*parts, *sorted(caps, key=caps.__getitem__), *ahead]) or "no limit of its own"
