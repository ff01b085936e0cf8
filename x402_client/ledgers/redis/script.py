"""The ledger's one Lua script: its source, the requests to it, and the reading of its rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from ...core.asks import Ask
from ...errors import ConfigurationError, LedgerUnavailable
from ...model.budgets import WINDOWS
from ...model.holds import Authorization, Hold, Order, Purchase
from ...model.hosts import Origin, Pattern
from ...model.money import Money
from ...model.offers import Offer, Receipt
from ..accounts import OVERALL, accounts_of
from ..rows import last_of, offer_of, offer_text
from ..windows import BUCKETS

#: The largest sum that Redis adds up.
LARGEST = 2**63 - 1
MICROSECONDS = 1_000_000
#: The script, in this order: the sums, who may ask, what is kept, and the steps themselves.
_PARTS = ("windows.lua", "programs.lua", "holds.lua", "steps.lua")


@dataclass(frozen=True, slots=True)
class Request(Ask[Any]):
    """Call of the script. Its arguments may be worth money, so they show nowhere."""

    key: str
    op: str
    said: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ServerInfo(Ask[Any]):
    """Question for the server's INFO."""


@dataclass(frozen=True, slots=True)
class Pause(Ask[None]):
    """Some seconds in which nothing is asked."""

    seconds: float


@cache
def source() -> str:
    """Return the script, headed by the windows and buckets that all ledgers share."""
    lengths = {name: (length or 0) * MICROSECONDS for name, length in WINDOWS.items()}
    windows = ", ".join(f'{{ "{name}", {length} }}' for name, length in lengths.items())
    written = " ".join(f"{name}={lengths[name]}" for name in sorted(lengths))
    here = files(__name__.rpartition(".")[0])
    parts = [here.joinpath(name).read_text("utf-8") for name in _PARTS]
    first = f'local WINDOWS, BUCKETS, WRITTEN_WINDOWS = {{ {windows} }}, {BUCKETS}, "{written}"'
    return "\n".join([first, *parts])


@cache
def digest() -> str:
    """Return the SHA-1 by which the server knows the script."""
    return hashlib.sha1(source().encode(), usedforsecurity=False).hexdigest()


def request(purse: str, op: str, said: Mapping[str, Any]) -> Request:
    """Build a request about one purse. All keys of a purse live in one slot of a cluster."""
    return Request(f"{{x402:{quote(purse, safe='')}}}:state", op, json.dumps(said))


def everywhere(op: str, said: Mapping[str, Any]) -> Request:
    """Build a request about all purses."""
    return Request("{x402}:state", op, json.dumps(said))


def new_row(order: Order, number: int) -> dict[str, str]:
    """Return what is kept of a new hold. Amounts are text, because Lua has no integers."""
    return {
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


def document(purchase: Purchase, offer: Offer, price: Money) -> str:
    """Write the facts that do not change while a hold lives. The amount stands beside it, as text."""
    origin = purchase.origin
    facts = (purchase.purse, purchase.id, purchase.request, purchase.keyed, purchase.method, purchase.url)
    return json.dumps([*facts, origin.scheme, origin.host, origin.port, offer_text(offer), price.currency])


def host_of(row: Mapping[str, str]) -> str:
    """Return the host that a row's payment went to."""
    return str(json.loads(row["doc"])[7])


def signed_facts(hold: Hold, authorization: Authorization) -> dict[str, str]:
    """Return what recording adds. The header is a field of its own, so that it can be deleted."""
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
    """Read the hold in a row as the script gave it."""
    try:
        row = json.loads(written)
        purse, purchase, request, keyed, method, url, scheme, host, port, offer, currency, *_ = json.loads(row["doc"])
        receipt = row.get("receipt")
        return Hold(
            row["id"],
            Purchase(purchase, request, bool(keyed), method, url, Origin(scheme, host, port), purse),
            offer_of(offer),
            Money.of_units(int(row["units"]), currency),
            int(row["created"]) / MICROSECONDS,
            row["state"],
            row["money"],
            _authorization(row),
            Receipt(*json.loads(receipt)) if receipt else None,
            int(row["tries"]),
            row.get("payer", ""),
            last_of(row.get("last")),
            None if "standing" not in row else row["standing"] != "free",
        )
    except (ValueError, KeyError, TypeError, IndexError) as failure:
        problem = type(failure).__name__
    raise LedgerUnavailable(
        f"A hold in the Redis ledger cannot be read ({problem}); was it written by another version, or by hand? "
        "Nothing is paid from a ledger that cannot be trusted."
    )


def plain_row(written: str) -> dict[str, str]:
    """Return the row of a hold as text by name, without who claims it."""
    return {name: str(value) for name, value in json.loads(written).items() if name not in ("owner", "claim")}


def _authorization(row: Mapping[str, str]) -> Authorization | None:
    """Read what was signed. Rows of version 0.1 have no kind, ceiling and proof: those of every payment it made."""
    if "signed" not in row:
        return None
    nonce, payer, expires, evidence, *rest = json.loads(row["signed"])
    name, value = json.loads(row["header"]) if row.get("header") else ("", "")
    # Version 0.1 kept evidence as text in text.
    facts = json.loads(evidence) if isinstance(evidence, str) else evidence
    return Authorization(nonce, payer, expires, (name, value), facts, *rest)


def stem(account: str, currency: str | None) -> str:
    """Return the part of a key that names one account, in money or in payments."""
    return f"{'#' if currency is None else currency}:{account}"


def patterns(origin: Origin) -> list[str]:
    """Return every pattern by which a freeze may name an origin."""
    labels = origin.host.split(".")
    hosts = [origin.host, *("*." + ".".join(labels[i:]) for i in range(1, len(labels)))]
    return ["*", *(str(Pattern(host, port)) for host in hosts for port in (None, origin.port))]


def caps(order: Order) -> list[tuple[str, str, str]]:
    """Return each budget of an order, and the largest sum that still leaves room for it."""
    return [
        (stem(cap.account, cap.currency), cap.window, str(min(cap.most, LARGEST) - _asked(cap.currency, order)))
        for cap in order.caps
    ]


def _asked(currency: str | None, order: Order) -> int:
    return 1 if currency is None else order.price.units


def _stems(order: Order) -> list[str]:
    """Return the stem of every account that the order counts in, in money and in payments."""
    return [stem(name, currency) for name in accounts_of(order) for currency in (order.price.currency, None)]


def seeds(order: Order) -> list[tuple[str, str, str]]:
    """Return each account of an order that is a pattern of hosts, as the script begins it: from its hosts' sums."""
    apart = {OVERALL, order.purchase.origin.host, *order.path}
    names = dict.fromkeys(cap.account for cap in order.caps if cap.account not in apart)
    currencies = (order.price.currency, None)
    return [seed for name in names for currency in currencies for seed in _seeds_of(name, currency)]


def _seeds_of(account: str, currency: str | None) -> list[tuple[str, str, str]]:
    """Return what begins one account, in money or in payments; nothing if it is no pattern of hosts."""
    try:
        pattern = Pattern.parse(account)
    except ConfigurationError:
        return []
    if str(pattern) != account or (pattern.port is None and not pattern.host.startswith("*.")):
        return []
    return [(stem(account, currency), stem("", currency), pattern.host)]
