"""``x402 ledger``: shows where the money went and what is open, and settles it. It needs no wallet."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated, Any

import typer

from ...buyer import settings
from ...buyer.answers import ledger_answers
from ...buyer.freezes import still_frozen
from ...buyer.ledger_calls import call_ledger
from ...buyer.settlement_reader import Reconciled, due, fate_of, read
from ...chains.rpc import Endpoints
from ...chains.settlement import ChainReader
from ...core.drive import run
from ...core.reclaim import reclaim
from ...ledgers.extras import closer_of
from ...model.budgets import WINDOWS
from ...model.holds import Hold, Spending
from ...model.hosts import Pattern
from ...model.money import Money
from .. import export as exporting
from .. import completion, options, spending
from ..buying import Choices, endpoints, ledger_file, policy_of
from ..exits import Code
from ..running import Stop, command, leave
from ..screen import bar, confirmed, facts, interactive, progress, put, say, show, show_json, table

app = typer.Typer(rich_markup_mode=None)
#: More holds than a ledger remembers.
_ALL = 1_000_000
Days = Annotated[float, typer.Option("--days", metavar="N", help="Look back so many days; 0: as far as it goes.")]
Pattern_ = Annotated[
    str, typer.Argument(metavar="HOST", show_default=False, help="A host, *.example.com, or * for all hosts.")
]
Frozen_ = Annotated[
    str,
    typer.Argument(
        metavar="HOST", show_default=False, help="As it was frozen; else *.", autocompletion=completion.freezes
    ),
]


@app.callback(invoke_without_command=True)
def overview(
    context: typer.Context,
    days: Days = 30,
    ledger: options.LedgerAt = None,
    purse: options.Purse = "default",
    as_json: options.AsJson = False,
) -> None:
    """See where the money went, and settle what is open. Without a command: what was spent.

    Options go behind the command. Needs no wallet.
    """
    if context.invoked_subcommand is None:
        spent(days, ledger, purse, as_json)
    elif any(_on_the_line(context, name) for name in context.params):
        leave(Code.USAGE, f"Options go behind the command: x402 ledger {context.invoked_subcommand} ...")


def _on_the_line(context: typer.Context, name: str) -> bool:
    return getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"


@app.command("spent")
@command
def spent(
    days: Days = 30, ledger: options.LedgerAt = None, purse: options.Purse = "default", as_json: options.AsJson = False
) -> None:
    """Show what was spent: in every window that budgets have, and by host, day and token."""
    with _opened(ledger, fresh=False) as found:
        holds = spending.since((*_open(found, purse), *_history(found, purse)), days or None)
        currencies = sorted({hold.price.currency for hold in holds} | {"USD"}, key=lambda c: (c != "USD", c))
        counted = {c: {w: _counted(found, purse, w, c) for w in WINDOWS} for c in currencies}
        frozen = _frozen(found)
    groups = {
        "host": spending.shares(holds, spending.host),
        "day": spending.shares(holds, spending.day, by_size=False),
        "token": spending.shares(holds, spending.token),
    }
    if as_json:
        show_json(_spent_document(counted, groups))
        return
    rows = [(f"{'in' if w == 'total' else 'last'} {w}", c) for w in WINDOWS for c in [_listed_money(counted, w)]]
    rows += [("frozen", ", ".join(frozen))] if frozen else []
    facts(rows)
    for name, shares in groups.items():
        _draw(name, shares)
    if not holds:
        show("No payment in this time.")
    waiting = spending.unresolved(holds)
    if waiting:
        say(f"{len(waiting)} of these payments got no usable answer: `x402 ledger holds`", "yellow")


@app.command("holds")
@command
def holds_(ledger: options.LedgerAt = None, purse: options.Purse = "default", as_json: options.AsJson = False) -> None:
    """List the payments that are not resolved, and what to do about each."""
    with _opened(ledger, fresh=False) as found:
        holds = _open(found, purse)
    if as_json:
        show_json([exporting.row(hold) | {"advice": spending.advice(hold).todo} for hold in holds])
        return
    if not holds:
        show("Nothing is open: every payment is resolved.")
    for hold in holds:
        said = spending.advice(hold)
        show(f"{hold.id}  {hold.price}  {hold.purchase.method} {hold.url}", "bold")
        show(f"    {said.state}", "yellow" if hold.state == "signed" else "dim")
        show(f"    {said.todo}")


@app.command("reconcile")
@command
def reconcile(
    ledger: options.LedgerAt = None,
    purse: options.Purse = "default",
    rpc: options.Rpc = None,
    policy: options.PolicyFile = None,
    as_json: options.AsJson = False,
) -> None:
    """Ask the chains about every expired payment without an answer; what did not settle is given back."""
    rules = policy_of(Choices(policy))
    reader = ChainReader(Endpoints(settings.endpoints(endpoints(tuple(rpc or ())), rules.http_hosts)))
    result = Reconciled()
    with _opened(ledger, fresh=False) as found:
        holds = [hold for hold in _open(found, purse) if due(hold)]
        shown = progress(len(holds), "Asking the chains")
        with shown:
            for hold in holds:
                fate = fate_of(reader, hold, read(reader, hold))
                result = result.with_one(hold, run(reclaim(hold, fate, rules), ledger_answers(found)))
                shown.advance(shown.task_ids[0])
    _tell_reconciled(result, as_json)


@app.command("write-off")
@command
def write_off(
    hold_id: options.HoldId,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")] = False,
    ledger: options.LedgerAt = None,
    purse: options.Purse = "default",
) -> None:
    """Give an unresolved purchase up: it counts as spent, and the same request buys anew."""
    with _opened(ledger, fresh=False) as found:
        hold = _one(_open(found, purse), hold_id)
        say(f"{hold.price} for {hold.purchase.method} {hold.url}: {spending.advice(hold).state}.")
        if not yes:
            if not interactive():
                raise Stop(Code.USAGE, "There is no terminal to ask on; --yes writes it off without asking.")
            if not confirmed("Write it off? It counts as spent then, and the same request pays again."):
                raise Stop(Code.REFUSED, "Nothing was written off.")
        call_ledger(found, lambda port: port.write_off(hold))
    say(f"Written off: {hold.price}.")


@app.command("export")
@command
def export(
    as_csv: Annotated[bool, typer.Option("--csv", help="For spreadsheets.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    output: Annotated[options.MaybePath, typer.Option("-o", "--output", metavar="FILE", help="Else stdout.")] = None,
    days: Days = 0,
    ledger: options.LedgerAt = None,
    purse: options.Purse = "default",
) -> None:
    """Write every payment out, oldest first, in columns that do not change. Times are UTC, amounts are exact."""
    if as_csv == as_json:
        raise Stop(Code.USAGE, "Say how: --csv or --json.")
    with _opened(ledger, fresh=False) as found:
        holds = spending.since((*_open(found, purse), *_history(found, purse)), days or None)
    with _output_file(output) as file:
        (exporting.as_csv if as_csv else exporting.as_json)(sorted(holds, key=lambda hold: hold.created), file)
    if output is not None:
        say(f"{len(holds)} payments written to {output}.")


@app.command("freeze")
@command
def freeze(host: Pattern_ = "*", ledger: options.LedgerAt = None) -> None:
    """Stop payments to a host, or all of them, at once: in every program that uses this ledger."""
    pattern = _pattern(host)
    with _opened(ledger, fresh=True) as found:
        call_ledger(found, lambda port: port.freeze(pattern))
    say(f"Frozen: nothing is paid to {_payee(pattern)} until `x402 ledger unfreeze {_quoted(pattern)}`.")


@app.command("unfreeze")
@command
def unfreeze(host: Frozen_ = "*", ledger: options.LedgerAt = None) -> None:
    """Lift a freeze again. It has to be named as it was set: * lifts only *."""
    pattern = _pattern(host)
    with _opened(ledger, fresh=False) as found:
        before = _frozen(found)
        call_ledger(found, lambda port: port.unfreeze(pattern))
        after = _frozen(found)
    named = f"Not frozen any more: {_payee(pattern)}" if pattern in before else f"{pattern!r} was not frozen"
    say(f"{named}{_still(still_frozen(pattern, after))}")


@app.command("freezes")
@command
def freezes(ledger: options.LedgerAt = None, as_json: options.AsJson = False) -> None:
    """List what is frozen: nothing is paid there until it is unfrozen."""
    with _opened(ledger, fresh=False) as found:
        patterns = _frozen(found)
    if as_json:
        show_json(list(patterns))
        return
    if not patterns:
        show("Nothing is frozen.")
    for pattern in patterns:
        show(f"{pattern}  `x402 ledger unfreeze {_quoted(pattern)}` lifts it")


def _frozen(ledger: Any) -> tuple[str, ...]:
    return tuple(call_ledger(ledger, lambda port: port.freezes()))


def _still(left: tuple[str, ...]) -> str:
    """Return the end of a sentence about what was lifted."""
    if not left:
        return "."
    lifts = " && ".join(f"x402 ledger unfreeze {_quoted(pattern)}" for pattern in left)
    return f", but payments there are still stopped by {', '.join(left)}: `{lifts}`."


@app.command("accept")
@command
def accept(ledger: options.LedgerAt = None) -> None:
    """Go on with a ledger that lost its latest payments: end the programs that use it first."""
    _check_there(named=ledger)
    path = ledger_file(ledger)
    found: Any = settings.ledger(ledger) if path is None else _unopened(path)
    try:
        if not hasattr(found, "accept"):
            raise Stop(Code.USAGE, "This ledger cannot lose a part of what it knows; there is nothing to accept.")
        accepted = call_ledger(found, lambda port: port.accept())
    finally:
        closer_of(found)()
    if accepted:
        say("Accepted: payments go on from what is left. What was lost counts in no budget, and may be paid again.")
    else:
        say("Nothing was lost, so there was nothing to accept.")


def _unopened(path: Path) -> Any:
    """Return a ledger that is not looked at yet: opened as usual, one that lost something refuses."""
    from ...ledgers.sqlite import SqliteLedger

    return SqliteLedger(path, open_now=False)


@contextmanager
def _opened(named: str | None, fresh: bool) -> Iterator[Any]:
    """Open a ledger. A missing one is made only if ``fresh`` is True."""
    if not fresh:
        _check_there(named)
    ledger = settings.ledger(named)
    try:
        yield ledger
    finally:
        closer_of(ledger)()


def _check_there(named: str | None) -> None:
    if named == ":memory:":
        raise Stop(Code.USAGE, "A ledger in memory ends with its program; there is nothing to see of it here.")
    path = ledger_file(named)
    if path is not None and not path.exists():
        raise Stop(Code.USAGE, f"There is no ledger at {path}: nothing was ever paid through it.")


def _open(ledger: Any, purse: str) -> tuple[Hold, ...]:
    found: tuple[Hold, ...] = call_ledger(ledger, lambda port: port.holds(purse))
    return found


def _history(ledger: Any, purse: str) -> tuple[Hold, ...]:
    found: tuple[Hold, ...] = call_ledger(ledger, lambda port: port.history(_ALL, purse))
    return found


def _counted(ledger: Any, purse: str, window: str, currency: str) -> Money:
    units: int = call_ledger(ledger, lambda port: port.spent(Spending("", window, currency, purse)))
    return Money.of_units(units, currency)


def _one(holds: tuple[Hold, ...], begins: str) -> Hold:
    found = [hold for hold in holds if begins and hold.id.startswith(begins.lower())]
    if len(found) != 1:
        problem = "No open hold begins" if not found else f"{len(found)} open holds begin"
        raise Stop(Code.USAGE, f"{problem} with {begins!r}; `x402 ledger holds` lists them.")
    return found[0]


def _draw(name: str, shares: list[spending.Share]) -> None:
    if not shares:
        return
    show()
    rows = table(f"by {name}", "spent", "payments", "", right=("spent", "payments"))
    for share in shares:
        rows.add_row(share.name, str(share.spent), str(share.payments), bar(share.part) if len(shares) > 1 else "")
    put(rows)


def _listed_money(counted: dict[str, dict[str, Money]], window: str) -> str:
    return ", ".join(str(of[window]) for currency, of in counted.items() if currency == "USD" or of["total"])


def _spent_document(counted: dict[str, dict[str, Money]], groups: dict[str, list[spending.Share]]) -> dict[str, Any]:
    return {
        "spent": {window: [str(of[window]) for of in counted.values()] for window in WINDOWS},
        **{
            f"by_{name}": [{name: s.name, "spent": str(s.spent), "payments": s.payments} for s in shares]
            for name, shares in groups.items()
        },
    }


def _tell_reconciled(result: Reconciled, as_json: bool) -> None:
    groups = {
        "given_back": result.released, "settled": result.settled, "live": result.live, "unknown": result.unknown
    }  # fmt: skip
    if as_json:
        show_json({name: [exporting.row(hold) for hold in holds] for name, holds in groups.items()})
        groups = {}
    said = {
        "given_back": "did not settle: given back to the budget",
        "settled": "settled: make the same request again, or write it off",
        "live": "can settle yet, by the chain's own clock, which is behind this machine's",
        "unknown": "the chain could not tell, or one endpoint alone may not give back more; try again later, or "
        "name two endpoints with --rpc",
    }
    for name, holds in groups.items():
        for hold in holds:
            show(f"{hold.id}  {hold.price}  {hold.url}  {said[name]}")
    if not as_json and not any(groups.values()):
        show("Nothing to ask about: no payment without an answer has expired.")
    if result.unknown or result.live:
        raise Stop(Code.UNKNOWN)


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


def _pattern(host: str) -> str:
    return host if host == "*" else str(Pattern.parse(host))


def _payee(pattern: str) -> str:
    return "anybody" if pattern == "*" else pattern


def _quoted(pattern: str) -> str:
    return f"'{pattern}'" if "*" in pattern else pattern
