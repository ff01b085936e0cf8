"""The core: everything one paid request can do, without I/O. Its ports are what a stranger implements."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..model.budgets import Cap
    from ..model.holds import (
        Attempt,
        Authorization,
        Busy,
        Fate,
        Hold,
        HoldState,
        LedgerBusy,
        Order,
        Outcome,
        Purchase,
        Spending,
    )
    from ..model.hosts import Origin, Pattern
    from ..model.offers import Receipt
    from ..model.signing import Approval, Signed, TypedData
    from .asks import (
        Approve,
        Approved,
        Ask,
        Claim,
        Close,
        Conclude,
        Digest,
        Failed,
        Failure,
        Fetch,
        LeftAlone,
        LookAgain,
        Pause,
        Peek,
        Reclaim,
        Record,
        Release,
        Reply,
        Reserve,
        Send,
        Settlement,
        SignatureGiven,
        SignMessage,
        SignTyped,
        Tell,
        WriteOff,
    )
    from .call import Call, HttpRequest
    from .delivery import Delivery, deliver
    from .drive import Flow, arun, run
    from .flow import inspect, pay
    from .pay_ahead import pay_ahead
    from .ports import Approver, EvmSigner, Ledger, LedgerExtras, Maybe, Scheme, SettlementReader, SolanaSigner
    from .rules import Rules

__all__ = [
    "Approval",
    "Approve",
    "Approved",
    "Approver",
    "Ask",
    "AsyncCourier",
    "Attempt",
    "Authorization",
    "Busy",
    "Call",
    "Cap",
    "Claim",
    "Close",
    "Conclude",
    "Courier",
    "Delivery",
    "Digest",
    "EvmSigner",
    "Failed",
    "Failure",
    "Fate",
    "Fetch",
    "Flow",
    "Hold",
    "HoldState",
    "HttpRequest",
    "Ledger",
    "LedgerBusy",
    "LedgerExtras",
    "LeftAlone",
    "LookAgain",
    "Maybe",
    "Order",
    "Origin",
    "Outcome",
    "Pattern",
    "Pause",
    "Peek",
    "Purchase",
    "Receipt",
    "Reclaim",
    "Record",
    "Release",
    "Reply",
    "Reserve",
    "Rules",
    "Scheme",
    "Send",
    "Settlement",
    "SettlementReader",
    "SignMessage",
    "SignTyped",
    "SignatureGiven",
    "Signed",
    "SolanaSigner",
    "Spending",
    "Tell",
    "TypedData",
    "WriteOff",
    "arun",
    "deliver",
    "inspect",
    "pay",
    "pay_ahead",
    "run",
]

#: Which module each name lives in. Loaded when it is asked for.
_HOMES = {
    "..model.budgets": ("Cap",),
    "..model.holds": (
        "Attempt",
        "Authorization",
        "Busy",
        "Fate",
        "Hold",
        "HoldState",
        "LedgerBusy",
        "Order",
        "Outcome",
        "Purchase",
        "Spending",
    ),
    "..model.hosts": ("Origin", "Pattern"),
    "..model.offers": ("Receipt",),
    "..model.signing": ("Approval", "Signed", "TypedData"),
    ".asks": (
        "Approve",
        "Approved",
        "Ask",
        "Claim",
        "Close",
        "Conclude",
        "Digest",
        "Failed",
        "Failure",
        "Fetch",
        "LeftAlone",
        "LookAgain",
        "Pause",
        "Peek",
        "Reclaim",
        "Record",
        "Release",
        "Reply",
        "Reserve",
        "Send",
        "Settlement",
        "SignMessage",
        "SignTyped",
        "SignatureGiven",
        "Tell",
        "WriteOff",
    ),
    ".call": ("Call", "HttpRequest"),
    ".delivery": ("Delivery", "deliver"),
    ".drive": ("Flow", "arun", "run"),
    ".flow": ("inspect", "pay"),
    ".rules": ("Rules",),
    ".pay_ahead": ("pay_ahead",),
    ".ports": (
        "Approver",
        "EvmSigner",
        "Ledger",
        "LedgerExtras",
        "Maybe",
        "Scheme",
        "SettlementReader",
        "SolanaSigner",
    ),
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        for home, names in _HOMES.items():
            if name in names:
                return getattr(import_module(home, __name__), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
