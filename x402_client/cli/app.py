"""The commands, joined to one ``x402`` command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from ..buyer.environment import must_exist, not_read
from ..buyer.keystores import has_wallet
from ..errors import ConfigurationError
from .commands import (
    decode,
    demo,
    doctor,
    get,
    ledger,
    manual,
    mcp,
    policy,
    quote,
    sandbox,
    search,
    status,
    tokens,
    wallet,
)
from .exits import Code
from .running import leave, log_to_stderr
from .screen import prepare, say, show
from .tree import command_meant, option_behind, option_meant, options_first, value_meant, whole

_HELP = """Pay for what answers 402 Payment Required, within limits. New here? x402 demo

Money in this program is invented until you give it a wallet with real money in it.
"""

app: typer.Typer = typer.Typer(
    name="x402",
    help=_HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        show(f"x402 {version('x402-buyer')}")
        raise typer.Exit


@app.callback()
def everywhere(
    verbose: Annotated[
        int, typer.Option("-v", "--verbose", count=True, help="Log decisions to stderr; twice: everything.")
    ] = 0,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Take the options that stand before the command."""
    log_to_stderr(verbose)
    for remark in not_read(has_wallet()):
        say(remark, "yellow")
    try:
        must_exist()
    except ConfigurationError as problem:
        leave(Code.USAGE, str(problem.args[0]))


app.command("demo")(demo.demo)
app.command("status")(status.status)
app.command("get", help=get.HELP)(get.get)
app.command("quote")(quote.quote)
app.command("search")(search.search)
app.command("tokens")(tokens.tokens)
app.command("decode")(decode.decode)
app.command("doctor")(doctor.doctor)
app.add_typer(wallet.app, name="wallet")
app.add_typer(ledger.app, name="ledger")
app.add_typer(policy.app, name="policy")
app.command("mcp")(mcp.mcp)
app.command("sandbox")(sandbox.sandbox)
app.command("manual", help=manual.HELP)(manual.manual)


def run(arguments: Sequence[str]) -> int:
    """Run one command line, and return its exit code."""
    prepare()
    root = whole(app)
    try:
        root(args=options_first(root, arguments), prog_name="x402")
    except SystemExit as end:
        meant = command_meant(root, arguments)
        behind = option_behind(root, arguments)
        if behind or meant:
            say(behind or f"Did you mean `x402 {meant}`?", "yellow")
        if end.code == Code.USAGE and (told := value_meant(arguments)):
            say(told, "yellow")
        in_policy = option_meant(root, arguments) if end.code == Code.USAGE and not behind else ""
        if in_policy:
            say(f"The policy says that, not an option: {in_policy} in the file of --policy or X402_POLICY.", "yellow")
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0
