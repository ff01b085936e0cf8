"""Puts what became of the money on what a tool call returns or raises.

Strategy: results are pydantic models, and every proxy dumps them. So ``meta`` gets a plain mapping. The typed outcome
stands beside the fields, in the place that pydantic keeps for private attributes: it is copied and never dumped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.delivery import tell_of_the_money
from ..errors import PaymentRefused
from ..model.holds import Outcome
from ..receipts import outcome as outcome_of

#: The name in a result's ``meta``. What a server writes there is taken out: it is our word or none.
NAME = "x402"


def put_on_result(result: Any, outcome: Outcome) -> None:
    """Attach an outcome to a result of ``call_tool``."""
    receipt = outcome.receipt
    told = {
        "money": outcome.money,
        "transaction": receipt.transaction if receipt is not None and receipt.transaction else None,
        "network": outcome.offer.network,
        "amount": str(outcome.hold.price),
    }
    result.meta = {**(result.meta or {}), NAME: told}
    put_beside(result, outcome)


def put_beside(result: Any, outcome: Outcome) -> None:
    """Attach the typed outcome alone."""
    if hasattr(type(result), "__pydantic_private__"):
        kept = {**(result.__pydantic_private__ or {}), NAME: outcome}
        object.__setattr__(result, "__pydantic_private__", kept)
    else:  # a data class
        result.x402 = outcome


def put_on_failure(failure: BaseException, outcome: Outcome) -> None:
    """Attach an outcome to the library's own error after a payment."""
    tell_of_the_money(failure, outcome)


def refused_result(result: Any, refusal: PaymentRefused, body: bytes) -> Any:
    """Return a tool's question for payment with the words that say why it was not paid."""
    text = body.decode()
    meta = {**(result.meta or {}), NAME: {"money": refusal.money, "refused": str(refusal)}}
    return type(result).model_validate({"content": [{"type": "text", "text": text}], "isError": True, "_meta": meta})


def without_claims(result: Any) -> Any:
    """Take out what a server says under our name: nothing was paid for this result, here or by a session below."""
    meta = getattr(result, "meta", None)
    if isinstance(meta, Mapping) and NAME in meta and outcome_of(result) is None:
        result.meta = {name: value for name, value in meta.items() if name != NAME} or None
    return result
