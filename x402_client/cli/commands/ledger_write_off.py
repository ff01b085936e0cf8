"""``x402 ledger write-off``: gives purchases up that brought nothing. Of several, all are looked at first."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...buyer.ledger_calls import call_ledger
from ...model.holds import Hold
from .. import export as exporting
from .. import options
from ..exits import Code
from ..open_ledger import OpenLedger, acting
from ..running import Stop, before, command
from ..screen import confirmed, interactive, say, show_json
from ..vocabulary import advice, advised, is_expired, price_of, state_of

_KEPT = "Nothing was written off."


@command
def write_off(
    hold: options.HoldIds,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")] = False,
    policy: options.PolicyFile = None,
    ledger: options.LedgerAt = None,
    purse: options.Purse = "default",
    as_json: options.AsJson = False,
) -> None:
    """Give unresolved purchases up: they count as spent, and the same requests buy anew.

    Of several, all are looked at before any is written off. --json writes one object a line.
    """
    with acting(ledger, purse, "nothing was written off") as found:
        named = list({one.id: one for one in map(found.find, hold)}.values())
        for one in named:
            _check_open(found, one, policy)
        frozen = found.frozen() if as_json else ()
        for one in named:
            say(f"{price_of(one)} for {one.purchase.method} {one.url}: {advice(one).state}.{_risk(one)}")
        if not yes:
            _confirm_write_off(len(named))
        for one in named:
            written: Hold = call_ledger(found.port, lambda port, one=one: port.write_off(one))
            say(f"Written off in {found.name}: {price_of(one)}. It counts as spent.")
            if as_json:
                show_json(exporting.row(written) | advised(written, *found.stops(written, frozen, policy)))


def _check_open(found: OpenLedger, one: Hold, policy: Path | None) -> None:
    if state_of(one) not in ("unresolved", "lost"):
        lifts, denied = found.stops(one, found.frozen(), policy)
        said = advice(one, lifts, denied=denied)
        was = "was" if one.state == "reserved" and one.in_flight is False else "is"
        raise Stop(Code.USAGE, f"{one.id} {was} {said.state}: there is nothing to write off. {said.after}")


def _confirm_write_off(count: int) -> None:
    it, counts = "it", "It counts as spent then, and the same request pays again."
    if count > 1:
        it, counts = "them", "They count as spent then, and the same requests pay again."
    if not interactive():
        raise Stop(Code.USAGE, f"There is no terminal to ask on; --yes writes {it} off without asking.")
    with before(_KEPT):
        if not confirmed(f"Write {it} off? {counts}"):
            raise Stop(Code.REFUSED, _KEPT)


def _risk(hold: Hold) -> str:
    """Return what may happen to the money of a purchase that is given up."""
    if hold.told.money == "spent":
        return ""
    if not is_expired(hold):
        return " It can still settle after it is written off: the next same request may then be the second one paid."
    return " The chain was not asked whether it settled; `x402 ledger reconcile` asks."
