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
from ...errors import LedgerUnavailable
from ...model.budgets import WINDOWS
from ...model.holds import Authorization, Hold, Order
from ...model.hosts import Origin, Pattern
from ..accounts import accounts_of
from ..rows import authorization_row, hold_of, reserved_row
from ..windows import BUCKETS

#: The largest sum that Redis adds up.
LARGEST = 2**63 - 1
MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Request(Ask[Any]):
    """Call of the script. Its arguments may be worth money, so they show nowhere."""

    key: str
    op: str
    said: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ServerInfo(Ask[Any]):
    """Question for the server's INFO."""


@cache
def source() -> str:
    """Return the script, headed by the windows and buckets that all ledgers share."""
    windows = ", ".join(f'{{ "{name}", {(length or 0) * MICROSECONDS} }}' for name, length in WINDOWS.items())
    here = files(__name__.rpartition(".")[0])
    parts = [here.joinpath(name).read_text("utf-8") for name in ("windows.lua", "holds.lua")]
    return "\n".join([f"local WINDOWS, BUCKETS = {{ {windows} }}, {BUCKETS}", *parts])


@cache
def digest() -> str:
    """Return the SHA-1 by which the server knows the script."""
    return hashlib.sha1(source().encode(), usedforsecurity=False).hexdigest()


def request(purse: str, op: str, said: Mapping[str, Any]) -> Request:
    """Build a request about one purse. All keys of a purse live in one slot of a cluster."""
    return Request(f"{{x402:{quote(purse, safe='')}}}:meta", op, json.dumps(said))


def everywhere(op: str, said: Mapping[str, Any]) -> Request:
    """Build a request about all purses."""
    return Request("{x402}:meta", op, json.dumps(said))


def new_row(order: Order, number: int) -> dict[str, str]:
    """Return what is kept of a new hold. Amounts are text, because Lua has no integers."""
    return {
        "id": f"{number:016x}",
        "purchase": order.purchase.id,
        "request": order.purchase.request,
        "keyed": "1" if order.purchase.keyed else "",
        "units": str(order.price.units),
        "stems": json.dumps(_stems(order)),
        "doc": document(order),
        "state": "reserved",
        "money": "held",
        "tries": "0",
    }


def document(order: Order) -> str:
    """Write the facts that do not change while a hold lives."""
    return json.dumps(reserved_row(order, 0.0))


def signed_facts(hold: Hold, authorization: Authorization) -> dict[str, str]:
    """Return what recording adds. The header is a field of its own, so that it can be deleted."""
    *facts, header = authorization_row(authorization)
    order = Order(hold.purchase, hold.offer, hold.price, ())
    return {"doc": document(order), "signed": json.dumps(facts), "header": header, "nonce": authorization.nonce}


def read_row(written: str) -> Hold:
    """Read the hold in a row as the script gave it."""
    try:
        row = json.loads(written)
        signed = json.loads(row["signed"]) if "signed" in row else [None] * 4
        changing = (int(row["created"]) / MICROSECONDS, row["state"], row["money"], int(row["tries"]), *signed)
        values = (*json.loads(row["doc"])[:12], *changing)
        return hold_of(int(row["id"], 16), values, row.get("header"), row.get("receipt") or None)
    except (ValueError, KeyError, TypeError, IndexError) as failure:
        problem = type(failure).__name__
    raise LedgerUnavailable(
        f"A hold in the Redis ledger cannot be read ({problem}); was it written by another version, or by hand? "
        "Nothing is paid from a ledger that cannot be trusted."
    )


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
