"""Requests to a ledger on a server, each one atomic step, and the rows that come back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ...core.asks import Ask
from ...errors import LedgerUnavailable
from ...model.allowances import AllowanceRecord, AllowanceState
from ...model.budgets import WINDOWS, is_request_account
from ...model.holds import CHARGED, Authorization, Hold, Order, Purchase, Spending
from ...model.hosts import Origin
from ...model.money import Money
from ...model.offers import Offer
from ..accounts import accounts_of, hosts_in, patterns_of
from ..allowances import terms_of
from ..owed import still_counted
from ..rows import last_of, offer_of, offer_text, path_of, path_text, receipt_of, with_charged
from ..windows import BUCKETS

#: The largest sum that the servers can add up.
LARGEST = 2**63 - 1
MICROSECONDS = 1_000_000
#: Milliseconds after which nothing reads the sums of one request any more: its longest window, and a bucket.
_FADE = max(seconds for seconds in WINDOWS.values() if seconds) * 1_000 * (BUCKETS + 2) // BUCKETS


class Request(Ask[Any]):
    """Step that the server makes. Its arguments may be worth money, so its repr does not show them.

    They are written when a connection is free: a proof that waits for one would grow old.
    """

    __slots__ = ("_said", "_write", "knew", "op", "purse", "unanswered")

    def __init__(self, purse: str | None, op: str, write: Callable[[], str]) -> None:
        #: None: it concerns all purses.
        self.purse: str | None = purse
        self.op: str = op
        self._write, self._said = write, ""
        #: Set by a connection if the command left and its answer was lost: the server may have made the step.
        self.unanswered: bool = False
        #: True if this program used a ledger there before: where there is none any more, it was lost.
        self.knew: bool = False

    @property
    def said(self) -> str:
        """Return the arguments as JSON. A step that is sent twice says the same."""
        if not self._said:
            self._said = self._write()
        return self._said

    def __repr__(self) -> str:
        return f"Request(purse={self.purse!r}, op={self.op!r})"


@dataclass(frozen=True, slots=True)
class ServerInfo(Ask[Any]):
    """Question for the server's settings: those that decide what it may lose."""


@dataclass(frozen=True, slots=True)
class Pause(Ask[None]):
    """Pause of some seconds before the next ask."""

    seconds: float


def request(purse: str, op: str, said: Mapping[str, Any]) -> Request:
    """Build a request about one purse."""
    return Request(purse, op, lambda: json.dumps(said))


def everywhere(op: str, said: Mapping[str, Any]) -> Request:
    """Build a request about all purses."""
    return Request(None, op, lambda: json.dumps(said))


def new_row(order: Order, number: int) -> dict[str, str]:
    """Return the row of a new hold, signed if its order is. Amounts are text, because Lua and JSON have no integers."""
    path = path_text(order.path)
    row = {
        "id": f"{number:016x}",
        "purchase": order.purchase.id,
        "request": order.purchase.request,
        "keyed": "1" if order.purchase.keyed else "",
        "payer": order.payer,
        "units": str(order.price.units),
        "stems": json.dumps(_stems(order)),
        "doc": document(order.purchase, order.offer, order.price),
        "state": "reserved",
        "money": "held",
        "tries": "0",
    }
    if path is not None:
        row["path"] = path
    return row if order.signed is None else row | signed_facts(order, order.signed) | {"state": "signed"}


def document(purchase: Purchase, offer: Offer, price: Money) -> str:
    """Return the facts of a hold as JSON. The amount is a field of its own, as text."""
    origin = purchase.origin
    facts = (purchase.purse, purchase.id, purchase.request, purchase.keyed, purchase.method, purchase.url)
    return json.dumps([*facts, origin.scheme, origin.host, origin.port, offer_text(offer), price.currency])


def signed_facts(hold: Hold | Order, authorization: Authorization) -> dict[str, str]:
    """Return the fields that ``record`` writes. The header is a field of its own, so that it can be deleted."""
    known = authorization
    facts = (known.nonce, known.payer, known.expires, known.evidence, known.kind, known.ceiling, known.proof)
    return {
        "doc": document(hold.purchase, hold.offer, hold.price),
        "signed": json.dumps(facts, default=_plain),
        "header": json.dumps(known.header),
        "nonce": known.nonce,
    }


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else str(value)


def read_row(written: str) -> Hold:
    """Read a hold from a row, as the server returned it."""
    try:
        row = json.loads(written)
        purse, purchase, request, keyed, method, url, scheme, host, port, offer, currency, *_ = json.loads(row["doc"])
        receipt = row.get("receipt")
        return with_charged(
            Hold(
                row["id"],
                Purchase(purchase, request, bool(keyed), method, url, Origin(scheme, host, port), purse),
                offer_of(offer),
                Money.of_units(int(row["units"]), currency),
                int(row["created"]) / MICROSECONDS,
                row["state"],
                row["money"],
                _authorization(row),
                receipt_of(receipt) if receipt else None,
                int(row["tries"]),
                row.get("payer", ""),
                last_of(row.get("last")),
                None if "standing" not in row else row["standing"] != "free",
                path_of(row.get("path")),
            )
        )
    except (ValueError, KeyError, TypeError, IndexError) as failure:
        problem = type(failure).__name__
    raise LedgerUnavailable(
        f"A hold in the ledger cannot be read ({problem}): another version wrote it, or it was changed by hand. "
        "Run the same version in every program. Nothing is paid from a ledger that cannot be read.",
        wrote_nothing=True,
    )


def plain_row(written: str) -> dict[str, str]:
    """Return the row of a hold as text by field, without its claim."""
    return {name: str(value) for name, value in json.loads(written).items() if name not in ("owner", "claim")}


def _authorization(row: Mapping[str, str]) -> Authorization | None:
    """Read what was signed. Rows of version 0.1 have no kind, ceiling and proof: the defaults are right for them."""
    if "signed" not in row:
        return None
    nonce, payer, expires, evidence, *rest = json.loads(row["signed"])
    name, value = json.loads(row["header"]) if row.get("header") else ("", "")
    # Version 0.1 kept evidence as text in text.
    facts = json.loads(evidence) if isinstance(evidence, str) else evidence
    if row.get("charged"):
        rest[0] = CHARGED
    return Authorization(nonce, payer, expires, (name, value), facts, *rest)


def charge_of(hold: Hold, settled: bool) -> dict[str, str]:
    """Return what goes on counting of a ceiling and what does not, as the chain told. Amounts are text."""
    counted = hold.price.units
    units = still_counted(hold, settled, counted)
    rest = 0 if units is None else counted - units
    told = {"units": "" if units is None else str(units), "rest": str(rest), "before": str(counted)}
    return {"owes": "1" if hold.is_open_ceiling else "", **told}


def stem(account: str, currency: str | None) -> str:
    """Return the part of a key that names one account, counted in money or in payments."""
    return f"{'#' if currency is None else currency}:{account}"


def patterns(origin: Origin) -> list[str]:
    """Return every pattern by which a freeze may name an origin."""
    return ["*", origin.host, *patterns_of(origin.host, origin.port)]


def caps(order: Order) -> list[tuple[str, str, str]]:
    """Return each budget of an order, with the largest sum that leaves room for the order."""
    return [
        (stem(cap.account, cap.currency), cap.window, str(min(cap.most, LARGEST) - _asked(cap.currency, order)))
        for cap in order.caps
    ]


def _asked(currency: str | None, order: Order) -> int:
    return 1 if currency is None else order.price.units


def _stems(order: Order) -> list[str]:
    """Return the stem of every account that the order counts in, in money and in payments."""
    return [stem(name, currency) for name in accounts_of(order) for currency in (order.price.currency, None)]


def request_facts(purchase: Purchase) -> dict[str, Any]:
    """Return what the server needs to know of a purchase, to find what stands in its way."""
    former = () if purchase.former is None else (purchase.former[1],)
    return {
        "purchases": purchase.names,
        "requests": (purchase.request, *former),
        "payers": purchase.payers,
        "keyed": "1" if purchase.keyed else "",
        "patterns": patterns(purchase.origin),
    }


def budgets_of(order: Order) -> dict[str, Any]:
    """Return the budgets of an order, and what the server needs to look at them."""
    return {"caps": caps(order), "path": order.path, **patterns_to_count(order)}


def stems_of(order: Order) -> dict[str, Any]:
    """Return the accounts that an order counts in, as the row of its hold would have them."""
    return {"row": {"stems": json.dumps(_stems(order))}}


def patterns_to_count(order: Order) -> dict[str, Any]:
    """Return what the server needs to count a payment in host patterns, and to start their accounts."""
    named = [name for name in accounts_of(order) if name not in order.path]
    return _to_count(order.purchase.origin, order.price.currency, named)


def patterns_of_row(row: Mapping[str, str]) -> dict[str, Any]:
    """Return what ``patterns_to_count`` does, for a hold that the server has lost."""
    facts = json.loads(row["doc"])
    named = [each.partition(":")[2] for each in json.loads(row["stems"])]
    return _to_count(Origin(*facts[6:9]), facts[10], named)


def _to_count(origin: Origin, currency: str, named: Iterable[str]) -> dict[str, Any]:
    """Return each pattern that covers an origin, its hosts, and "1" if the order names it."""
    names = set(named)
    found = [(name, hosts_in(name), "1" if name in names else "") for name in patterns_of(origin.host, origin.port)]
    fading = [stem(name, unit) for name in names if is_request_account(name) for unit in (currency, None)]
    return {"host": origin.host, "currency": currency, "covering": found, "fading": fading, "fade": str(_FADE)}


def read_allowance(purse: str, written: list[Any]) -> AllowanceRecord:
    """Read an allowance as the server returned it. Times are microseconds."""
    account, doc, opened, until, state, flat = written
    kept: AllowanceState = state
    ends = int(until) / MICROSECONDS if until else None
    counted = sorted((currency, int(units)) for currency, units in zip(flat[::2], flat[1::2], strict=True))
    return AllowanceRecord(terms_of(purse, account, doc), int(opened) / MICROSECONDS, ends, kept, tuple(counted))


def seeds_of(question: Spending) -> dict[str, str]:
    """Return the name of a question's account, and the hosts from whose sums it would start if it is new."""
    name, hosts = question.account, hosts_in(question.account) or ""
    starts = hosts != name or hosts.startswith("*.")
    return {"before": stem("", question.currency), "account": name, "hosts": hosts if starts else ""}
