"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from . import completion

#: The most seconds that are waited for: a day.
_LONGEST = 86_400
#: typer reads these at run time. Not every version knows the form with a bar.
MaybePath = Optional[Path]  # noqa: UP045
MaybeText = Optional[str]  # noqa: UP045
MaybeTexts = Optional[list[str]]  # noqa: UP045


def a_quantity(given: float) -> float:
    """Return the number of an option. Refuse one below zero, and what is no number: it would say nothing."""
    if not 0 <= given < float("inf"):
        raise typer.BadParameter(f"{given:g} is not a number from 0 up.")
    return given


PolicyFile = Annotated[
    MaybePath,
    typer.Option(
        "--policy",
        envvar="X402_POLICY",
        metavar="FILE",
        help="A policy in TOML. Without one: 0.10 USD a request, 5 USD a day.",
    ),
]
LedgerAt = Annotated[
    MaybeText,
    typer.Option(
        "--ledger",
        envvar="X402_LEDGER",
        metavar="PATH|URL",
        help="Where payments are written down: a file, redis://... or postgresql://... Without it, the file in your "
        "data directory.",
    ),
]
MustExist = Annotated[
    bool,
    typer.Option(
        "--must-exist",
        envvar="X402_MUST_EXIST",
        help="Refuse a ledger that is missing, or a purse never used beside others that were.",
    ),
]
Purse = Annotated[
    str, typer.Option("--purse", envvar="X402_PURSE", metavar="NAME", help="The budget inside the ledger.")
]
Under = Annotated[
    MaybeText,
    typer.Option(
        "--under",
        metavar="NAME",
        autocompletion=completion.allowances,
        help="Pay under this allowance of the ledger, too: `x402 ledger allowances` lists them.",
    ),
]
Key = Annotated[
    MaybeText,
    typer.Option(
        "--key",
        metavar="NAME",
        help="A name for this purchase: under it one payment is made, ever. No private key.",
    ),
]
WalletAt = Annotated[
    MaybeText,
    typer.Option(
        "--wallet",
        envvar="X402_WALLET",
        metavar="NAME|PATH",
        autocompletion=completion.wallets,
        help="A keystore, or a directory of them. Else X402_EVM_KEY and X402_SOLANA_KEY, else the wallet `default`.",
    ),
]
PassphraseFile = Annotated[
    MaybePath,
    typer.Option(
        "--passphrase-file",
        metavar="FILE",
        help="Read the wallet's passphrase from a file's first line. Else: X402_PASSPHRASE, the keyring, a prompt.",
    ),
]
Rpc = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option(
        "--rpc",
        envvar="X402_RPC",
        metavar="NETWORK=URL",
        help="The endpoint that a chain is read through, like base=https://... May be repeated.",
    ),
]
Days = Annotated[
    float,
    typer.Option("--days", metavar="N", callback=a_quantity, help="How many days back. 0: all that is kept."),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document instead of text.")]
Method = Annotated[MaybeText, typer.Option("-X", "--request", metavar="METHOD", help="GET, or POST with -d.")]
Data = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option(
        "-d",
        "--data",
        metavar="DATA|@FILE|-",
        help="Send a body. @FILE sends a file, - what stands on stdin. JSON is announced as JSON, all else as a form.",
    ),
]
Headers = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option("-H", "--header", metavar="NAME: VALUE", help="A header of the request. May be repeated."),
]


def seconds(value: float) -> float:
    """Return a time to wait. One that no client can wait is refused."""
    if not 0 < value <= _LONGEST:
        raise typer.BadParameter(f"{value:g} is no number of seconds above 0, and up to {_LONGEST}.")
    return value


Timeout = Annotated[
    float,
    typer.Option("--timeout", metavar="SECONDS", callback=seconds, help="How long the server may stay silent."),
]
#: For commands that pay: the answer to a payment has the time of ``Buyer(settle_timeout=...)`` at least.
PayingTimeout = Annotated[
    float,
    typer.Option(
        "--timeout",
        metavar="SECONDS",
        callback=seconds,
        help="How long the server may stay silent. Once a payment left, that is 60 at least: it has to be settled.",
    ),
]
Networks = Annotated[
    MaybeTexts,
    typer.Option(
        "--network",
        metavar="NAME",
        help="base, solana, ... May be repeated. Else: the usual ones.",
        autocompletion=completion.networks,
    ),
]
OnlyNetworks = Annotated[
    MaybeTexts,
    typer.Option(
        "--network",
        metavar="NAME",
        help="base, solana, ... May be repeated. Else: all.",
        autocompletion=completion.networks,
    ),
]
HoldId = Annotated[
    str,
    typer.Argument(
        metavar="HOLD",
        show_default=False,
        help="Its id, or how it begins: what `x402 ledger list` shows is enough.",
        autocompletion=completion.holds,
    ),
]
HoldIds = Annotated[
    list[str],
    typer.Argument(
        metavar="HOLD...",
        show_default=False,
        help="Their ids, or how each begins: what `x402 ledger list` shows is enough.",
        autocompletion=completion.holds,
    ),
]
Url = Annotated[str, typer.Argument(metavar="URL", show_default=False, help="https:// may be left out.")]
