"""``x402 ledger``: shows where the money went and what is open. ``ledger_acts`` has what changes something."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from ...model.budgets import WINDOWS
from ...model.counts import counted
from ...model.holds import Hold, moment
from ...model.money import Money
from ...model.offers import words
from .. import completion, options, spending
from .. import export as exporting
from .. import in_flight as flights
from ..exits import Code
from ..ledger_filters import Filters
from ..money_labels import TEST_MONEY
from ..one_payment import document, rows_of
from ..open_ledger import OpenLedger, looking, stops
from ..running import command, leave
from ..screen import bar, facts, put, say, show, show_json, table
from ..transactions import look_up
from ..vocabulary import advice, advised, answer_of, is_test, price_of, short_ids, short_price_of, state_of, unresolved
from . import ledger_acts as acts
from . import ledger_allowances as allowed
from . import ledger_freezes as freezing
from .ledger_export import export
from .ledger_retry import retry
from .ledger_write_off import write_off

app: typer.Typer = typer.Typer(rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def overview(
    context: typer.Context,
    days: options.Days = 30,
    ledger: options.LedgerAt = None,
    purse: options.Purse = "default",
    as_json: options.AsJson = False,
) -> None:
    """See where the money went, and settle what is open. Without a command: what was spent.

    Options go behind the command. Needs no wallet. States and money are explained by `x402 manual
    when-something-goes-wrong`.
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
    days: options.Days = 30,
    ledger: options.LedgerAt = None,
    purse: options.Purse = "default",
    as_json: options.AsJson = False,
) -> None:
    """Show where the money went: in all, and by allowance, host, day and token.

    Columns are what became of the money: spent, held or unknown. Lost and written off were spent for nothing.
    """
    with looking(ledger, purse) as found:
        rows = found.rows()
        holds = spending.since(rows.all, days or None)
        currencies = sorted(
            {hold.price.currency for hold in holds} | {"USD"} | {sum_.currency for sum_ in rows.gone},
            key=lambda c: (c != "USD", c),
        )
        counted = {c: {w: found.counted(w, c) for w in WINDOWS} for c in currencies}
        frozen, others = found.frozen(), found.other_purses()
    groups = {
        "allowance": spending.shares([hold for hold in holds if hold.allowance], spending.allowance),
        "host": spending.shares(holds, spending.host),
        "day": spending.shares(holds, spending.day, by_size=False),
        "token": spending.shares(holds, spending.token),
    }
    sums = [spending.apart(holds, currency) for currency in counted]
    if as_json:
        number = {"payments": len(holds), "test_payments": len([hold for hold in holds if is_test(hold)])}
        flying = {"in_flight": flights.document(holds)}
        heading = _heading(found, frozen) | rows.document
        show_json(heading | number | flying | _spent_document(counted, sums, groups))
        return
    _draw_heading(found, frozen)
    facts((f"{'in' if w == 'total' else 'last'} {w}", _listed_money(counted, w)) for w in WINDOWS)
    if holds:
        _draw_sums(sums, days)
    for name, shares in groups.items():
        _draw(name, shares)
    _draw_remarks(found, holds, others)
    if rows.gone:
        say(rows.remark, "dim")


@app.command("list")
@command
def list_(
    host: Annotated[options.MaybeText, typer.Option("--host", metavar="HOST", help="Or *.example.com.")] = None,
    state: Annotated[
        options.MaybeTexts, typer.Option("--state", metavar="WORD", help="in-flight, unresolved, lost, delivered, ...")
    ] = None,
    money: Annotated[
        options.MaybeTexts, typer.Option("--money", metavar="WORD", help="held, spent or unknown.")
    ] = None,
    since: Annotated[
        options.MaybeText, typer.Option("--since", metavar="WHEN", help="2h, 7d, 2026-11-26 or 2026-11-26T08:00 (UTC).")
    ] = None,
    network: options.OnlyNetworks = None,
    asset: Annotated[
        options.MaybeText, typer.Option("--asset", metavar="NAME", help="A token's symbol or address.")
    ] = None,
    allowance: Annotated[
        options.MaybeText,
        typer.Option(
            "--allowance", metavar="NAME", help="Under it, or inside it.", autocompletion=completion.allowances
        ),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=0, help="So many of the latest; 0: all.")] = 50,
    ledger: options.LedgerAt = None,
    purse: options.Purse = "default",
    as_json: options.AsJson = False,
) -> None:
    """List payments, the latest first. Options narrow it down; all of them have to fit."""
    wanted = Filters.of(host, state or (), money or (), since, network or (), asset, allowance)
    with looking(ledger, purse) as found:
        rows = found.rows()
        every = rows.all
        holds = [hold for hold in every if wanted.fits(hold)]
        frozen, others = found.frozen(), found.other_purses()
    listed = holds[:limit] if limit > 0 else holds
    if as_json:
        more = {"found": len(holds), "payments": [exporting.row(hold) for hold in listed]}
        show_json(_heading(found, frozen) | rows.document | more)
        return
    if frozen:
        _draw_frozen(found, frozen)
    if listed:
        _draw_list(listed, short_ids(every))
        _tell_two_kinds(listed)
    else:
        show(_none_of(len(every), rows.gone))
    if len(listed) < len(holds):
        say(f"The latest {len(listed)} of {len(holds)}: --limit 0 lists all.", "dim")
    if rows.lacks_some_since(wanted.since):
        say(rows.remark, "dim")
    if not every:
        _tell_other_purses(found, others)


@app.command("show")
@command
def show_(
    hold: options.HoldId,
    ledger: options.LedgerAt = None,
    purse: options.Purse = "default",
    rpc: options.Rpc = None,
    policy: options.PolicyFile = None,
    offline: Annotated[bool, typer.Option("--offline", help="Ask no chain for a transaction.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Show all that is known of one payment: what the seller said, where to look it up, and what to do.

    HOLD is the id of a hold, a payment's nonce, or the transaction that settled it; or how one of them begins. Where
    the money is spent and the seller named no transaction, the chain is asked for it.
    """
    with looking(ledger, purse) as found:
        one = found.find(hold)
        stopped = stops(found.frozen(), one.purchase.origin)
        lifts, denied = found.stops(one, stopped, policy)
    transaction = look_up(one, tuple(rpc or ()), policy, offline)
    if as_json:
        show_json({"ledger": found.name} | document(one, stopped, transaction, lifts, denied))
        return
    facts([*rows_of(one, stopped, transaction, lifts, denied), ("ledger", found.name)])


@app.command("holds")
@command
def holds_(
    policy: options.PolicyFile = None,
    ledger: options.LedgerAt = None,
    purse: options.Purse = "default",
    as_json: options.AsJson = False,
) -> None:
    """List the payments that are not resolved, and what to do about each."""
    with looking(ledger, purse) as found:
        holds, frozen, others = found.holds(), found.frozen(), found.other_purses()
    if as_json:
        more = [exporting.row(hold) | advised(hold, *found.stops(hold, frozen, policy)) for hold in holds]
        show_json(_heading(found, frozen) | {"holds": more, "in_flight": flights.document(holds)})
        return
    if frozen:
        _draw_frozen(found, frozen)
    if not holds:
        show("Nothing is open: every payment is resolved.")
        _tell_other_purses(found, others)
    for hold in holds:
        _draw_hold(hold, *found.stops(hold, frozen, policy))
    if flights.told(holds):
        say(flights.told(holds), "dim")


app.command("export")(export)


@app.command("freezes")
@command
def freezes(ledger: options.LedgerAt = None, as_json: options.AsJson = False) -> None:
    """List what is frozen, hosts and allowances of every purse: nothing new is paid there until it is unfrozen."""
    with looking(ledger, None) as found:
        patterns, marked = found.frozen(), found.frozen_allowances()
    if as_json:
        named = [{"allowance": words(name, 100), "purse": words(purse, 100)} for name, purse in marked]
        show_json({"ledger": found.name, "frozen": list(patterns), "allowances": named})
        return
    if not patterns and not marked:
        show(f"Nothing is frozen in {found.name}.")
    for pattern in patterns:
        show(f"{pattern}  `{found.lift(pattern)}` lifts it")
    for name, purse in marked:
        show(f"allowance {words(name, 100)}  `{found.lift_allowance(name, purse)}` lifts it")


def _none_of(number: int, gone: tuple[Money, ...]) -> str:
    if number:
        return f"None of the {counted(number, 'payment')} fits."
    return "No payment is listed any more." if gone else "There is no payment."


def _heading(found: OpenLedger, frozen: tuple[str, ...]) -> dict[str, Any]:
    return {"ledger": found.name, "purse": found.purse, "frozen": list(frozen)}


def _draw_heading(found: OpenLedger, frozen: tuple[str, ...]) -> None:
    rows = [("ledger", found.name)]
    rows += [("purse", found.purse)] if found.purse != "default" else []
    facts(rows)
    if frozen:
        _draw_frozen(found, frozen)
    show()


def _draw_frozen(found: OpenLedger, frozen: tuple[str, ...]) -> None:
    stopped = "all payments are stopped" if "*" in frozen else f"payments to {', '.join(frozen)} are stopped"
    lifts = "; ".join(f"`{found.lift(pattern)}`" for pattern in frozen)
    say(f"frozen: {stopped}. To lift it: {lifts}", "yellow")


def _draw_hold(hold: Hold, lifts: list[str], denied: str) -> None:
    said = advice(hold, lifts, denied=denied)
    show(f"{hold.id}  {price_of(hold)}  {hold.purchase.method} {hold.url}", "bold")
    show(f"    {said.state}; money: {hold.money}", "yellow" if hold in unresolved([hold]) else "dim")
    if answer_of(hold):
        show(f"    the seller: {answer_of(hold)}")
    show(f"    {said.todo}")


def _draw_list(holds: Iterable[Hold], cut: dict[str, str]) -> None:
    rows = table("time (UTC)", "hold", "state", "money", "price", "host", right=("price",), folds="host")
    for hold in holds:
        rows.add_row(_when(hold), cut[hold.id], state_of(hold), hold.told.money, short_price_of(hold), hold.host)
    put(rows, compact=True)


def _when(hold: Hold) -> str:
    """Return the time of a payment. In place of the hour, older ones have their year."""
    made = moment(hold.created)
    assert made is not None
    return f"{made:%m-%d %H:%M}" if made.year == datetime.now(UTC).year else f"{made:%Y-%m-%d}"


def _draw_sums(sums: list[dict[str, Money]], days: float) -> None:
    show()
    when = f"in {counted(days, 'day')}" if days else "in all that is kept"
    shown = _columns(sums)
    rows = table(when, *shown, right=shown)
    for of in sums:
        if any(of.values()) or len(sums) == 1:
            rows.add_row("", *(str(of[column]) for column in shown))
    put(rows)


def _columns(sums: Iterable[dict[str, Money]]) -> list[str]:
    """Return the columns to show: "spent", and each other one with money in it."""
    listed = list(sums)
    return [column for column in spending.COLUMNS if column == "spent" or any(of[column] for of in listed)]


def _draw(name: str, shares: list[spending.Share]) -> None:
    """Draw one table. A bar that has no other beside it is left out."""
    if not shares:
        return
    show()
    shown = _columns(share.sums for share in shares)
    rows = table(f"by {name}", *shown, "payments", "", right=(*shown, "payments"))
    for share in shares:
        sums = (str(share.sums[column]) for column in shown)
        rows.add_row(share.name, *sums, str(share.payments), bar(share.part, _BAR) if len(shares) > 1 else "")
    put(rows)


_BAR = 10


def _draw_remarks(found: OpenLedger, holds: Iterable[Hold], others: tuple[str, ...]) -> None:
    listed = list(holds)
    if not listed:
        show("No payment in this time.")
        _tell_other_purses(found, others)
    test = [hold for hold in listed if is_test(hold)]
    if test:
        say(f"{'All' if len(test) == len(listed) else len(test)} of these payments are {TEST_MONEY}.", "dim")
    _tell_two_kinds(test)
    waiting = unresolved(listed)
    if waiting:
        say(f"{len(waiting)} of these payments brought no content yet: `{found.hint('holds')}`", "yellow")
    for line in filter(None, (flights.told(listed), flights.never_signed(listed))):
        say(line, "yellow")


def _tell_two_kinds(holds: Iterable[Hold]) -> None:
    """Say why some test money is counted as dollars, and some apart."""
    kinds = {"(test)" in hold.price.currency for hold in holds if is_test(hold)}
    if len(kinds) > 1:
        say("USD (test) is counted apart. Other test money is counted as dollars: its table [[tokens]] says so.", "dim")


def _tell_other_purses(found: OpenLedger, others: tuple[str, ...]) -> None:
    if others:
        say(f"That is purse {found.purse!r}. Others in this ledger (--purse): {', '.join(others)}.", "dim")


def _listed_money(counted: dict[str, dict[str, Money]], window: str) -> str:
    return ", ".join(str(of[window]) for currency, of in counted.items() if currency == "USD" or of["total"])


def _spent_document(
    counted: dict[str, dict[str, Money]], sums: list[dict[str, Money]], groups: dict[str, list[spending.Share]]
) -> dict[str, Any]:
    return {
        "counted": {window: [str(of[window]) for of in counted.values()] for window in WINDOWS},
        "sums": [_written(of) for of in sums],
        **{
            f"by_{name}": [{name: s.name, "payments": s.payments} | _written(s.sums) for s in shares]
            for name, shares in groups.items()
        },
    }


def _written(sums: dict[str, Money]) -> dict[str, str]:
    return {column.replace(" ", "_"): str(money) for column, money in sums.items()}


app.command("allowances")(allowed.allowances)
app.command("close")(allowed.close)
app.command("retry")(retry)
app.command("reconcile")(acts.reconcile)
app.command("write-off")(write_off)
app.command("freeze")(freezing.freeze)
app.command("unfreeze")(freezing.unfreeze)
app.command("accept")(acts.accept)
app.command("migrate")(acts.migrate)
