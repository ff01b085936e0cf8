"""``x402 policy``: reads a policy file in words, and tries it on a seller."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...model.networks import short_name
from ...policy.limits import Limit
from ...policy.policy import Policy
from .. import options
from ..buying import Choices
from ..requests_made import cli_request
from ..running import asking
from ..screen import facts

app: typer.Typer = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Look at a policy file.")


@app.callback()
def _group() -> None:
    """Keep ``check`` a command of its own, though it is the only one."""


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
    if not url:
        return
    from .quote import request_quote

    with cli_request(url, None, None, None) as request:
        report = request_quote(request, Choices(file, ledger, purse, wallet), False, timeout)
    report.show()
    report.end(quiet=False)


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
    if policy.approve_above is not None:
        rows.append(("asks above", limits(policy.approve_above).removeprefix("up to ").removesuffix(" a request")))
    return rows


def limits(limit: Limit) -> str:
    """Return a limit in words."""
    currencies = sorted(limit.currencies, key=lambda currency: (currency != "USD", currency))
    each = [limit.per_request(currency) for currency in currencies]
    parts = [f"up to {most} a request" for most in each if most is not None]
    caps = {str(cap): cap.currency is None for currency in currencies or ["USD"] for cap in limit.caps("", currency)}
    return ", ".join([*parts, *sorted(caps, key=caps.__getitem__)]) or "no limit of its own"
