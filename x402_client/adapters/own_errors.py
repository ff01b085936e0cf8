"""Errors of ours that are an HTTP library's own errors, too.

The rule: "``PaymentOutcomeUnknown`` is raised as a class that is also the HTTP library's own error of the same kind, so
that existing ``except`` clauses and retry filters catch it: their repeats present the same payment". The same goes for
a ``PaymentNotSent`` where no connection could be made.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import PaymentNotSent, PaymentOutcomeUnknown
from .failures import links

#: The first part of a class's name, by its base.
_NAMES: Mapping[type[Any], str] = {PaymentOutcomeUnknown: "OutcomeUnknown", PaymentNotSent: "NotSent"}
_Payment = PaymentOutcomeUnknown | PaymentNotSent


class OwnErrors:
    """The joined classes of one library. ``face`` is the module in which they can be found, so that they pickle."""

    def __init__(self, face: str, lost: Iterable[type[Exception]], not_sent: Iterable[type[Exception]]) -> None:
        self._joined: dict[type[Any], dict[type[Any], type[Any]]] = {
            PaymentOutcomeUnknown: _joined(PaymentOutcomeUnknown, lost, face),
            PaymentNotSent: _joined(PaymentNotSent, not_sent, face),
        }

    @property
    def named(self) -> dict[str, type[Any]]:
        """Return every joined class by its name, for the face."""
        return {kind.__name__: kind for kinds in self._joined.values() for kind in kinds.values()}

    def of(self, failure: BaseException) -> BaseException:
        """Return the error to raise: joined with the library's own if that caused it, else as it is."""
        cause = failure.__cause__
        kinds = self._joined.get(type(failure))
        if kinds is None or cause is None or not _can_be_repeated(failure):
            return failure
        kind = next((kinds[base] for seen in links(cause) for base in type(seen).__mro__ if base in kinds), None)
        return failure if kind is None else _remade_as(kind, failure, cause)


def _joined(base: type[_Payment], own: Iterable[type[Exception]], face: str) -> dict[type[Any], type[Any]]:
    body = {"__module__": face, "__reduce__": _without_response}
    return {kind: type(_NAMES[base] + kind.__name__, (base, kind), body) for kind in own}


def _without_response(failure: Any) -> tuple[Any, ...]:
    """Return what is pickled of an error. Some libraries' responses lead to a connection, and cannot be."""
    return (type(failure), failure.args, {**failure.__dict__, "response": None})


def _can_be_repeated(failure: BaseException) -> bool:
    """Return True if a repeat may bring the content: nothing left, or the payment has not expired."""
    if not isinstance(failure, PaymentOutcomeUnknown):
        return True
    return failure.wait_until is not None and failure.wait_until.timestamp() > time.time()


def _remade_as(kind: type[Any], failure: Any, cause: BaseException) -> BaseException:
    made: Any = kind(str(failure))
    made.__dict__.update(failure.__dict__)
    request = getattr(cause, "_request", None) or getattr(cause, "request", None)
    if request is not None and hasattr(made, "_request"):  # httpx's; the cause names the caller's own request
        made._request = request
    elif request is not None and hasattr(made, "request"):
        made.request = request
    made.__cause__ = cause
    return made  # type: ignore[no-any-return]
