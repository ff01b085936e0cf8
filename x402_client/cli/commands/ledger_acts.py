"""The commands of ``x402 ledger`` that change something. Each names its ledger, and refuses one that is not there."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from ...buyer import settings
from ...buyer.answers import ledger_answers
from ...buyer.ledger_calls import call_ledger
from ...buyer.reconciled import Reconciled
from ...buyer.settlement_reader import learn, to_ask
from ...chains.rpc import Endpoints
from ...chains.settlement import ChainReader
from ...core.drive import run
from ...core.last_answer import is_by_receipt
from ...core.next_step import has_end
from ...core.reclaim import reclaim
from ...ledgers.extras import closer_of, owed_in
from ...model.counts import counted
from ...model.holds import MARGIN, Hold, moment
from .. import export as exporting
from .. import in_flight as flights
from .. import options
from ..buying import Choices, endpoints, ledger_file, policy_of
from ..exits import Code
from ..in_use import with_options
from ..open_ledger import acting
from ..running import Stop, before, command
from ..screen import confirmed, interactive, progress, say, show, show_json
from ..vocabulary import advice, advised, price_of, state_of

_NOT_ACCEPTED = "Nothing was accepted."


@command
def reconcile(
    ledger: options.LedgerAt = None,
    purse: options.Purse = "default",
    rpc: options.Rpc = None,
    policy: options.PolicyFile = None,
    as_json: options.AsJson = False,
) -> None:
    """Ask the chains about every expired payment without an answer; what did not settle is given back.

    They are asked, too, what sellers took of each ceiling, expired or not; the rest of it is given back.
    """
    rules = policy_of(Choices(policy))
    reader = ChainReader(Endpoints(settings.endpoints(endpoints(tuple(rpc or ())), rules.http_hosts)))
    result, answered = Reconciled(), set[str]()
    with acting(ledger, purse, "no chain was asked") as found:
        waiting = found.kept_holds()
        owed = call_ledger(found.port, owed_in, purse)
        holds = to_ask(reader, waiting, owed)
        shown = progress(len(holds), "Asking the chains")
        with shown:
            for hold in holds:
                told, fate = learn(reader, hold)
                if fate != "open":
                    result = result.with_one(told, run(reclaim(told, fate, rules), ledger_answers(found.port)))
                    answered.add(hold.id)
                shown.advance(shown.task_ids[0])
        frozen = found.frozen()
    result = result.with_failures(reader)

    def stops_of(hold: Hold) -> tuple[list[str], str]:
        return found.stops(hold, frozen, policy)

    _tell_reconciled(result, [hold.told for hold in waiting if hold.id not in answered], stops_of, as_json)


@command
def accept(
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")] = False,
    ledger: options.LedgerAt = None,
    as_json: options.AsJson = False,
) -> None:
    """Go on with a ledger that lost its latest payments: end the programs that use it first."""
    from ...ledgers.sqlite import is_there

    path = ledger_file(ledger)
    if ledger == ":memory:" or (path is not None and not is_there(path)):
        with acting(ledger, None, "there is nothing to accept"):
            pass
    found: Any = settings.ledger(ledger) if path is None else _unopened(path)
    try:
        if not hasattr(found, "accept"):
            raise Stop(Code.USAGE, "This ledger cannot lose a part of what it knows; there is nothing to accept.")
        name = found.name
        if not yes:
            _confirm_acceptance(name)
        accepted = call_ledger(found, lambda port: port.accept())
    finally:
        closer_of(found)()
    if accepted:
        say(
            f"Accepted: payments go on from what is left in {name}. What was lost counts in no budget, and may be paid "
            "again."
        )
    else:
        say(f"No loss was noticed in {name}, so there was nothing to accept.")
    if as_json:
        show_json({"ledger": name, "accepted": bool(accepted)})


def _confirm_acceptance(name: str) -> None:
    if not interactive():
        raise Stop(Code.USAGE, "There is no terminal to ask on; --yes accepts a loss without asking.")
    with before(_NOT_ACCEPTED):
        if not confirmed(f"Go on without what {name} lost? It counts in no budget then, and may be paid again."):
            raise Stop(Code.REFUSED, _NOT_ACCEPTED)


@command
def migrate(ledger: options.LedgerAt = None, as_json: options.AsJson = False) -> None:
    """Make a PostgreSQL ledger, or bring it to this version's layout: end the programs that use it first.

    The role in the URL owns what is made. Programs may use another one: x402 manual ledgers. Files and Redis are
    brought up to date by the first program that opens them.
    """
    if ledger_file(ledger) is not None or ledger == ":memory:":
        raise Stop(Code.USAGE, "A file is brought up to date when it is opened; there is nothing to do.")
    found: Any = settings.ledger(ledger)
    try:
        if not hasattr(found, "migrate"):
            raise Stop(Code.USAGE, "This ledger is brought up to date when it is used; there is nothing to do.")
        before, present = found.migrate()
        name = found.name
    finally:
        closer_of(found)()
    if before == present:
        say(f"The ledger in {name} has layout {present} already; its functions were made anew.")
    elif before:
        say(f"The ledger in {name} was brought from layout {before} to {present}.")
    else:
        say(f"A ledger with layout {present} was made in {name}.")
    if as_json:
        show_json({"ledger": name, "before": before, "layout": present})


def _unopened(path: Path) -> Any:
    """Return a ledger that is not looked at yet: opened as usual, one that lost something refuses."""
    from ...ledgers.sqlite import SqliteLedger

    return SqliteLedger(path, open_now=False)


_SAID = {
    "released": "did not settle: given back to the budget",
    "settled": "settled",
    "live": "can settle yet, by the chain's own clock, which is behind this machine's",
    "unknown": "the chain could not tell{why}; try again later, or name two endpoints with --rpc that answer",
}


_FROZEN = (
    ". Payments there are frozen, and under a freeze the word of one endpoint gives nothing back: name two endpoints "
    "with --rpc, or lift the freeze first, by `{}`"
)
_COUNTED = {
    "released": "given back",
    "settled": "settled",
    "live": "can settle yet",
    "known": "known to be paid",
    "unknown": "not known yet",
}


def _is_known(hold: Hold) -> bool:
    """Return True if a payment was shown paid before, so that only what it brought is open."""
    return hold.state == "signed" and hold.money == "spent" and not hold.is_open_ceiling


def _why_unknown(failures: tuple[str, ...]) -> str:
    """Return why the chain could not tell, as far as that is known."""
    if not failures:
        return ", as its blocks have not passed the expiry yet, or one endpoint alone may not give back more"
    return f" ({' '.join(failures)} A payment is given back only if each endpoint that is asked says so)"


def _said(name: str, hold: Hold, failures: tuple[str, ...]) -> str:
    """Return what the chain says of a payment: of a ceiling, the most that was taken of it.

    ``failures``: what endpoints gave no answer.
    """
    if hold.charge is not None and name == "settled":
        return f"at most {hold.charge} of it was taken; the rest is given back"
    if name == "released" and hold.is_open_ceiling:
        return "nothing was taken of it: given back to the budget"
    signed = hold.authorization
    if name == "unknown" and _is_known(hold):
        if is_by_receipt(hold):
            return "paid, as the seller's receipt says; the chain could not tell now"
        return "the chain showed before that it was paid, and could not tell now"
    if name == "unknown" and not has_end(hold):
        return (
            "no endpoint answered as it was signed, so the chain can show only that it was paid; it counts as long as "
            "its window lasts"
        )
    if (
        name == "unknown"
        and not failures
        and signed is not None
        and signed.expires < time.time() < signed.expires + MARGIN
    ):
        until = f"{moment(signed.expires + MARGIN):%H:%M:%S} UTC"
        return (
            "expired just now, and the chain could not tell yet: its confirmed blocks have to pass that time; ask "
            f"again in a moment, and after {until} at the latest"
        )
    return _SAID[name].format(why=_why_unknown(failures))


def _tell_reconciled(
    result: Reconciled, waiting: list[Hold], stops_of: Callable[[Hold], tuple[list[str], str]], as_json: bool
) -> None:
    groups = {
        "released": result.released, "settled": result.settled, "live": result.live, "unknown": result.unknown
    }  # fmt: skip
    later = [hold for hold in waiting if state_of(hold) == "unresolved"]
    lost = [hold for hold in waiting if state_of(hold) == "lost"]
    flying = flights.in_flight(waiting)
    if as_json:
        rest = {"not_expired": later, "lost": lost, "in_flight": flying}
        every = groups | rest
        told = {name: [exporting.row(one) | advised(one, *stops_of(one)) for one in every[name]] for name in every}
        show_json(told | {"failures": [*result.failures]})
        groups = {}
    for name, holds in groups.items():
        for hold in holds:
            lifts, denied = stops_of(hold)
            is_open = name == "settled" and hold.state == "signed"
            then = f". {advice(hold, lifts, denied=denied).todo}" if is_open else ""
            if name == "unknown" and lifts and has_end(hold) and not _is_known(hold):
                then = _FROZEN.format(" && ".join(lifts))
            show(f"{hold.id}  {price_of(hold)}  {hold.url}  {_said(name, hold, result.failures)}{then}")
    if not as_json:
        paid = [hold for hold in later if hold.told.money == "spent"]
        live = [hold for hold in later if hold not in paid]
        more = f" {len(live)} can still settle, until {_last_expiry(live)}; ask again after that." if live else ""
        more += f" {len(paid)} paid already, by the chain or the seller's receipt, and without content." if paid else ""
        more += f" {len(lost)} not asked about again: lost, as the chain showed before." if lost else ""
        more += " `x402 ledger holds` says what to do." if later or lost else ""
        more += f" {flights.told(flying)}" if flying else ""
        if any(groups.values()):
            more = f"Asked about {_counted(groups)}.{more}"
        else:
            none = "Nothing to ask about: no payment is unresolved."
            more = f"Nothing to ask the chain about.{more}" if more else none
        if more:
            show(with_options(more.lstrip()))
    if result.live or not all(map(_is_known, result.unknown)):
        raise Stop(Code.UNKNOWN)


def _counted(groups: dict[str, list[Hold]] | dict[str, tuple[Hold, ...]]) -> str:
    """Return how many payments the chains were asked about, and what they said."""
    every = sum(len(holds) for holds in groups.values())
    unknown = groups["unknown"]
    known = [hold for hold in unknown if _is_known(hold)]
    counts = {name: len(holds) for name, holds in groups.items()} | {
        "known": len(known), "unknown": len(unknown) - len(known)
    }  # fmt: skip
    parts = (f"{count} {_COUNTED[name]}" for name, count in counts.items() if count)
    return f"{counted(every, 'payment')}: {', '.join(parts)}"


def _last_expiry(holds: list[Hold]) -> str:
    last = max(hold.authorization.expires for hold in holds if hold.authorization is not None)
    return f"{moment(last):%Y-%m-%d %H:%M:%S} UTC"
