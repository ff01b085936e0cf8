"""``x402 status``: wallet, balances, policy, ledger, budgets, freezes, unresolved payments, and what comes next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import typer

from ...buyer.environment import keys_of_others, keys_to_export
from ...model.counts import counted
from ...model.holds import Hold, moment
from .. import allowances, balances, export, exposures, funding, in_flight, options, vocabulary
from ..buying import Choices
from ..exits import Code
from ..exposures import draw_exposures
from ..in_use import ledger_command, typed, wallet_option
from ..money_labels import network_name
from ..open_ledger import denied_by, lift, lift_allowance, stops
from ..policy_rows import rows_of
from ..running import Stop, asking
from ..screen import bar, facts, put, show, show_json, table
from ..standing import Budget, LedgerState, Standing, standing
from ..wallets import no_wallet
from .ledger_allowances import draw as draw_allowances

_FAMILIES = {"eip155": "EVM chains", "solana": "Solana"}
#: Unresolved payments and allowances that are told one by one.
_LISTED = 5
_BAR = 12


@asking
def status(
    policy: options.PolicyFile = None,
    ledger: options.LedgerAt = None,
    must_exist: options.MustExist = False,
    purse: options.Purse = "default",
    wallet: options.WalletAt = None,
    rpc: options.Rpc = None,
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout",
            metavar="SECONDS",
            callback=options.seconds,
            help="How long the chains may take, all together.",
        ),
    ] = 5.0,
    offline: Annotated[bool, typer.Option("--offline", help="Ask no chain: show no balances.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Show what there is to pay with, what may still be paid, and what is open. Never pays.

    Shows the wallet's addresses and balances, the policy, the ledger and its budgets, freezes and unresolved payments,
    each with the next command. Needs no passphrase. A chain that does not answer in time is named. Exits with 4 if the
    ledger cannot be used: nothing could be paid then.
    """
    choices = Choices(policy, ledger, purse, wallet, None, tuple(rpc or ()), must_exist=must_exist)
    with standing(choices, offline, timeout) as found:
        if as_json:
            show_json(_document(found))
        else:
            _draw(found)
        if found.ledger.problem:
            raise Stop(Code.NOT_SENT)


def _draw(found: Standing) -> None:
    _section("Wallet", _wallet_rows(found), _next_for_wallet(found))
    _draw_balances(found)
    _section(
        "Policy",
        [("from", str(found.choices.policy or "the careful default")), *rows_of(found.buyer.policy)],
        [] if found.choices.policy else ["x402 policy init"],
    )
    _section("Ledger", _ledger_rows(found.ledger), _next_for_ledger(found))
    if found.ledger.problem:
        for title in ("Budgets", "Frozen", "In flight", "Unresolved payments"):
            _section(title, [("", "not known")])
        return
    _draw_budgets(found)
    if found.allowances:
        show("Allowances", "bold")
        draw_allowances(list(found.allowances[:_LISTED]), "  ")
        show(f"  next: {ledger_command('allowances')}{_more(len(found.allowances))}", "cyan")
    frozen = [*found.frozen, *(f"allowance {name}" for name in _frozen_allowances(found))]
    _section("Frozen", [("", one) for one in frozen or ["nothing"]], _lifts(found))
    _draw_open(found)
    if found.exposures:
        _section("Could be taken besides", [])
        draw_exposures(found.exposures)


def _section(title: str, rows: Iterable[tuple[str, str]], then: Iterable[str] = ()) -> None:
    show(title, "bold")
    listed = list(rows)
    if any(name for name, _ in listed):
        facts((f"  {name}", value) for name, value in listed)
    else:
        for _, value in listed:
            show(f"  {value}")
    for command in then:
        show(f"  next: {command}", "cyan")


def _wallet_rows(found: Standing) -> list[tuple[str, str]]:
    if found.found.no_wallet:
        return [("", no_wallet() if keys_of_others() else "there is none")]
    addresses = found.buyer.wallet.addresses.items()
    rows = [(_FAMILIES.get(family, family), address) for family, address in addresses]
    play = [("", "Anybody may know these keys, a sandbox's or a tool's: never send them real money.")]
    return [("from", found.found.source), *rows, *(play if funding.is_play_wallet(found.buyer.wallet) else [])]


def _next_for_wallet(found: Standing) -> list[str]:
    if found.found.no_wallet:
        return keys_to_export() or ["x402 wallet new"]
    known = [held for held in found.balances or () if held.amount is not None]
    empty = bool(known) and not any(held.amount for held in known)
    return [f"x402 wallet fund{wallet_option()}"] if empty and not funding.is_play_wallet(found.buyer.wallet) else []


def _draw_balances(found: Standing) -> None:
    if found.balances is None:
        why = "there is no wallet" if found.found.no_wallet else "not asked for: --offline"
        _section("Balances", [("", why)])
        return
    show("Balances", "bold")
    rows = table("  network", "balance", right=("balance",))
    for held in found.balances:
        if held.amount is not None and (held.amount or held.token.symbol == "USDC"):
            rows.add_row(f"  {network_name(held.token.network)}", f"{held.whole} {held.token.symbol}")
    if rows.row_count:
        put(rows)
    if not found.balances:
        show("  This policy and this wallet have no network in common that is known.")
    problems = balances.problems(found.balances)
    for problem in problems:
        show(f"  not known: {problem}", "yellow")
    if problems:
        show(f"  next: x402 wallet balance{wallet_option()}, or name an endpoint with --rpc", "cyan")


def _ledger_rows(ledger: LedgerState) -> Iterator[tuple[str, str]]:
    yield "at", ledger.place
    if ledger.problem:
        yield "problem", ledger.problem
        return
    if not ledger.exists:
        yield "", "not there yet: the first payment makes it"
        return
    since = "" if ledger.since is None else f", the first at {moment(ledger.since):%Y-%m-%d %H:%M} UTC"
    yield "payments", f"{ledger.payments}{f' kept. {ledger.kept.remark}' if ledger.kept.gone else since}"
    if ledger.size is not None:
        yield "size", _bytes(ledger.size)


def _bytes(size: int) -> str:
    for unit, one in (("MB", 10**6), ("kB", 10**3)):
        if size >= one:
            return f"{size / one:.1f} {unit}"
    return counted(size, "byte")


def _next_for_ledger(found: Standing) -> list[str]:
    if found.ledger.problem or (found.found.no_wallet and not found.ledger.payments):
        return []
    if found.ledger.payments:
        return [ledger_command("spent")]
    options_in_use = f"{wallet_option()}{typed(found.choices.ledger, found.choices.purse)}"
    return [f"x402 quote URL{options_in_use}", f"x402 get URL{options_in_use}"]


def _draw_budgets(found: Standing) -> None:
    show("Budgets", "bold")
    rows = table("  limit", "left", "of", "", right=("left", "of"))
    for budget in found.budgets:
        share = budget.left / budget.cap.most if budget.cap.most else 0.0
        left, most = budget.written(budget.left), budget.written(budget.cap.most)
        at_most = "" if budget.exact else "at most "
        rows.add_row(f"  {budget.name}", f"{at_most}{left}", most, bar(share, _BAR))
    if rows.row_count:
        put(rows)
    else:
        show("  There are none: single payments are limited, and their sum is not.")
    flying, waiting = in_flight.in_flight(found.holds), _waiting(found)
    if flying:
        show(f"  {in_flight.counted_for(flying)} is in flight, and counted.", "dim")
    if in_flight.never_signed(found.holds):
        show(f"  {in_flight.never_signed(found.holds)}", "dim")
    for line in _counted_without_content(waiting):
        show(f"  {line}", "dim")


def _counted_without_content(waiting: list[Hold]) -> Iterator[str]:
    """Yield how long payments count that brought no content: those that a chain showed paid, and the others."""
    paid = [hold for hold in waiting if vocabulary.is_shown_paid(hold)]
    rest = [hold for hold in waiting if hold not in paid]
    if paid:
        yield f"{in_flight.counted_for(paid)} was paid and brought no content; it counts as long as its window lasts."
    if rest:
        asks = ""
        if any(vocabulary.is_expired(hold) for hold in rest):
            asks = f" `{ledger_command('reconcile')}` asks about what has expired."
        until = "counts until the chain shows it unused, or its window is over"
        yield f"{in_flight.counted_for(rest)} brought no content yet, and {until}.{asks}"


def _lifts(found: Standing) -> list[str]:
    named, purse = found.choices.ledger, found.choices.purse
    allowances = [lift_allowance(name, named, purse) for name in _frozen_allowances(found)]
    return [*(lift(pattern, named) for pattern in found.frozen), *allowances]


def _frozen_allowances(found: Standing) -> list[str]:
    """Return the allowances that a freeze of their own stops, each once: it may be in several currencies."""
    return list(dict.fromkeys(line.name for line in found.allowances if line.record.state == "frozen"))


def _waiting(found: Standing) -> list[Hold]:
    return vocabulary.unresolved(found.holds)


def _lifts_of(found: Standing, hold: Hold) -> list[str]:
    return [lift(pattern, found.choices.ledger) for pattern in stops(found.frozen, hold.purchase.origin)]


def _denied(found: Standing, hold: Hold) -> str:
    return denied_by(found.choices.policy, hold.purchase.origin)


def _draw_open(found: Standing) -> None:
    flying, waiting = in_flight.in_flight(found.holds), _waiting(found)
    _section("In flight", [("", in_flight.told(flying) or "none")])
    for hold in flying[:_LISTED]:
        show(f"  {hold.id}  {vocabulary.price_of(hold)}  {hold.purchase.method} {hold.url}")
    if flying:
        show(f"  next: {ledger_command('holds')}{_more(len(flying))}", "cyan")
    _section("Unresolved payments", [] if waiting else [("", "none")])
    for hold in waiting[:_LISTED]:
        said = vocabulary.advice(hold, _lifts_of(found, hold), denied=_denied(found, hold))
        show(f"  {hold.id}  {vocabulary.price_of(hold)}", "yellow")
        facts([("    for", f"{hold.purchase.method} {hold.url}"), ("    state", said.state), ("    to do", said.todo)])
    if waiting:
        show(f"  next: {ledger_command('holds')}{_more(len(waiting))}", "cyan")
    if found.owed:
        _section("Ceilings that count whole", [])
        for hold in found.owed[:_LISTED]:
            show(f"  {hold.id}  {vocabulary.price_of(hold)}  {hold.url}")
        show(f"  next: {ledger_command('reconcile')} asks what was taken{_more(len(found.owed))}", "cyan")


def _more(number: int) -> str:
    return f" ({number - _LISTED} more)" if number > _LISTED else ""


def _document(found: Standing) -> dict[str, Any]:
    ledger = found.ledger
    waiting = _waiting(found)
    # An empty ledger stands in for one that cannot be used. Its answers say nothing of that one.
    of_ledger = {
        "budgets": [_budget(budget) for budget in found.budgets],
        "allowances": [allowances.document(line) for line in found.allowances],
        "frozen": list(found.frozen),
        "frozen_allowances": _frozen_allowances(found),
        "in_flight": in_flight.document(found.holds),
        "never_signed": [
            export.row(hold) | vocabulary.advised(hold)
            for hold in found.holds
            if vocabulary.state_of(hold) == "never signed"
        ],
        "unresolved": [
            export.row(hold) | vocabulary.advised(hold, _lifts_of(found, hold), _denied(found, hold))
            for hold in waiting
        ],
        "open_amounts": [export.row(hold) for hold in found.owed],
        "exposures": [exposures.document(one) for one in found.exposures],
    }
    return {
        "wallet": None
        if found.found.no_wallet
        else {"source": found.found.source, "addresses": found.buyer.wallet.addresses},
        "balances": None if found.balances is None else [balances.document(held) for held in found.balances],
        "policy": {"file": str(found.choices.policy) if found.choices.policy else None, "rules": _joined(found)},
        "ledger": {
            "place": ledger.place,
            "exists": ledger.exists,
            "bytes": ledger.size,
            "payments": ledger.payments,
            "since": None if ledger.since is None else f"{moment(ledger.since):%Y-%m-%dT%H:%M:%SZ}",
            "problem": ledger.problem or None,
            **ledger.kept.document,
        },
        **(dict.fromkeys(of_ledger) if ledger.problem else of_ledger),
        "next": [*_next_for_wallet(found), *_lifts(found), *([ledger_command("holds")] if waiting else [])],
    }


def _joined(found: Standing) -> dict[str, str]:
    rules: dict[str, str] = {}
    for name, value in rows_of(found.buyer.policy):
        rules[name] = f"{rules[name]}, {value}" if name in rules else value
    return rules


def _budget(budget: Budget) -> dict[str, str | bool | None]:
    return {
        "host": budget.cap.account or None,
        "window": budget.cap.window,
        "currency": budget.cap.currency,
        "limit": budget.written(budget.cap.most),
        "used": budget.written(budget.used),
        "left": budget.written(budget.left),
        "exact": budget.exact,
    }
