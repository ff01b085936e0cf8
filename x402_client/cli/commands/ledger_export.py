"""``x402 ledger export``: writes every payment out that a ledger keeps."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated

import typer

from ...model.counts import counted
from .. import export as exporting
from .. import options, spending
from ..exits import Code
from ..open_ledger import looking
from ..running import Stop, command
from ..screen import say


@command
def export(
    as_csv: Annotated[bool, typer.Option("--csv", help="For spreadsheets.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    output: Annotated[options.MaybePath, typer.Option("-o", "--output", metavar="FILE", help="Else stdout.")] = None,
    days: options.Days = 0,
    ledger: options.LedgerAt = None,
    purse: options.Purse = "default",
) -> None:
    """Write every payment of one purse out that its ledger keeps, oldest first, in columns that do not change.

    Times are UTC, amounts are exact. Where the oldest payments are kept no more, stderr says from when they are.
    """
    if as_csv == as_json:
        raise Stop(Code.USAGE, "Say how: --csv or --json.")
    with looking(ledger, purse) as found:
        rows, others = found.rows(), found.other_purses()
    every, first = rows.all, spending.first_of(days or None)
    holds = spending.since(every, days or None)
    with _output_file(output) as file:
        (exporting.as_csv if as_csv else exporting.as_json)(sorted(holds, key=lambda hold: hold.created), file)
    if not every and others:
        say(
            f"Nothing was ever paid from purse {purse!r}. Others in this ledger (--purse): {', '.join(others)}.",
            "yellow",
        )
    if output is not None:
        say(f"{counted(len(holds), 'payment')} written to {output}.")
    if rows.lacks_some_since(first):
        say(rows.remark, "yellow")


@contextmanager
def _output_file(output: Path | None) -> Iterator[IO[str]]:
    if output is None:
        sys.stdout.reconfigure(newline="")  # type: ignore[union-attr]
        yield sys.stdout
        return
    try:
        with output.open("w", encoding="utf-8", newline="") as file:
            yield file
    except OSError as failure:
        raise Stop(Code.USAGE, f"{output} cannot be written: {failure.strerror}.") from None
