"""``x402 ledger allowances`` and ``close``: the budgets within the budget, and the end of one by hand."""

from __future__ import annotations

from typing import Annotated

import typer

from ...model.allowances import AllowanceRecord
from .. import completion, options
from ..allowances import AllowanceLine, document, lines_of
from ..exits import Code
from ..open_ledger import OpenLedger, acting, looking
from ..running import Stop, asking
from ..screen import bar, confirmed, interactive, put, say, show, show_json, table

_BAR = 10
Name = Annotated[
    str,
    typer.Argument(metavar="NAME", show_default=False, help="Its name.", autocompletion=completion.allowances),
]


@asking
def allowances(
    every: Annotated[bool, typer.Option("--all", help="Those that are closed, over, or without a name, too.")] = False,
    ledger: options.LedgerAt = None,
    purse: options.Purse = "default",
    as_json: options.AsJson = False,
) -> None:
    """List allowances: what each was of, what is spent and left, and until when it pays.

    What is left of one has to be left in those that it is inside of, too. It may be less than the difference.
    """
    with looking(ledger, purse) as found:
        known = lines_of(found.allowances())
        name = found.name
    lines = [line for line in known if every or line.is_shown]
    if as_json:
        show_json({"ledger": name, "purse": purse, "allowances": [document(line) for line in lines]})
        return
    if lines:
        draw(lines)
    else:
        show("None is open." if known else "There is no allowance. A program opens one: buyer.allowance(...).")
    if len(lines) < len(known):
        more = len(known) - len(lines)
        rest = (
            f"{more} more are closed, over, or have no name" if more > 1 else "1 more is closed, over, or has no name"
        )
        say(f"{rest}: --all lists {'them' if more > 1 else 'it'}.", "dim")


@asking
def close(
    name: Name,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")] = False,
    ledger: options.LedgerAt = None,
    purse: options.Purse = "default",
) -> None:
    """Close an allowance for good: no new payment under it or inside it, in any program.

    What was signed before is presented as ever. `x402 ledger freeze --allowance NAME` stops one that is to go on later.
    """
    with acting(ledger, purse, "nothing was closed") as found:
        account = record_of(found, name).terms.account
        if not yes:
            if not interactive():
                raise Stop(Code.USAGE, "There is no terminal to ask on; --yes closes it without asking.")
            if not confirmed(f"Close {name} for good?"):
                raise Stop(Code.REFUSED, "Nothing was closed.")
        found.ask("mark_allowance", found.purse, account, "closed")
        place = found.name
    say(f"Closed in {place}: nothing new is paid under the allowance {name} or inside it.")


def record_of(found: OpenLedger, name: str) -> AllowanceRecord:
    """Return the record of an allowance. Refuse a name that there is not."""
    known = {record.terms.name: record for record in found.allowances()}
    if name not in known:
        listed = f" There is: {', '.join(sorted(known))}." if known else ""
        raise Stop(Code.USAGE, f"There is no allowance {name!r} in purse {found.purse!r} of {found.name}.{listed}")
    return known[name]


def frozen_above(found: OpenLedger, record: AllowanceRecord) -> list[str]:
    """Return the names of the frozen allowances that an allowance is inside of, the nearest first."""
    known = {one.terms.account: one for one in found.allowances()}
    above, names = known.get(record.terms.parent or ""), []
    while above is not None:
        names += [above.terms.name] if above.state == "frozen" else []
        above = known.get(above.terms.parent or "")
    return names


def draw(lines: list[AllowanceLine], indent: str = "") -> None:
    """Draw a table of allowances."""
    more = {"inside": any(line.inside for line in lines), "ends": any(line.until for line in lines)}
    columns = [name for name, shown in more.items() if shown]
    rows = table(f"{indent}allowance", "state", "spent", "left", "of", "", *columns, right=("spent", "left", "of"))
    for line in lines:
        share = line.left.units / line.amount.units if line.amount else 0.0
        values = {"inside": line.inside, "ends": line.until}
        sums = (str(line.spent), str(line.left), str(line.amount))
        rows.add_row(f"{indent}{line.name}", line.state, *sums, bar(share, _BAR), *(values[name] for name in columns))
    put(rows)
