"""OpenTelemetry: a listener that turns events into spans and metrics. Needs the extra ``otel``.

    buyer = Buyer(wallet, policy, on_event=otel.listener())

It is never on by itself: what is bought where, and for how much, leaves the process only if you ask for it. Attributes
have no keys, signatures, headers or query strings.

Each presentation of a payment is one span, ``x402.pay``, a child of the current span, from the reservation of
its budget to the seller's answer. A refusal is an event of the current span, and so is an allowance that runs low. The
metrics are ``x402.payments``, ``x402.payment.duration``, ``x402.spent``, ``x402.refusals``, ``x402.warnings`` and the
gauge ``x402.allowance.left``: what is left of each named allowance, as of its latest payment.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import events
from .errors import ConfigurationError
from .guards.forks import in_each_child
from .model.allowances import UNNAMED

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from .model.holds import Hold

__all__ = ["listener"]
_SCOPE = "x402_client"
#: Payments under way that are remembered, at most. A cancelled one has no further event.
_REMEMBERED = 10_000
_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


def listener(
    also: Callable[[events.Event], object] | None = None,
    *,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
) -> Callable[[events.Event], None]:
    """Return a listener for ``Buyer(on_event=...)``.

    Args:
        also: A listener of your own, which is called after it. Default: none.
        tracer_provider: Makes the spans. Default: the global one.
        meter_provider: Makes the metrics. Default: the global one.
    """
    try:
        from opentelemetry import metrics, trace
    except ImportError:
        raise ConfigurationError(
            "x402_client.otel needs OpenTelemetry, which is not installed: "
            'pip install "x402-buyer[otel]" (in a clone: pip install ".[otel]").'
        ) from None
    tracer = trace.get_tracer(_SCOPE, tracer_provider=tracer_provider)
    meter = metrics.get_meter(_SCOPE, meter_provider=meter_provider)
    return _Listener(tracer, meter, trace, also).report


class _Listener:
    """Listener that remembers when each payment left, and reports it when it was answered."""

    def __init__(self, tracer: Any, meter: Any, trace: Any, also: Callable[[events.Event], object] | None) -> None:
        self._tracer, self._trace, self._also = tracer, trace, also
        in_each_child(self, _Listener._start_anew)
        self._left: OrderedDict[str, int] = OrderedDict()
        self._counted: OrderedDict[str, int] = OrderedDict()
        self._payments = meter.create_counter("x402.payments", "{payment}", "Payments presented, by outcome")
        self._duration = meter.create_histogram(
            "x402.payment.duration",
            "s",
            "From presenting a payment to the answer",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._spent = meter.create_counter("x402.spent", "{currency}", "Money that sellers proved to have settled")
        self._refusals = meter.create_counter("x402.refusals", "{refusal}", "Payments that the policy refused")
        self._warnings = meter.create_counter("x402.warnings", "{warning}", "Warnings that a person should look at")
        self._left_over = meter.create_gauge("x402.allowance.left", "{currency}", "What is left of an allowance")

    def _start_anew(self) -> None:
        self._lock = threading.Lock()

    def report(self, event: events.Event) -> None:
        """Report one event."""
        if isinstance(event, events.Presented):
            self._remember(self._left, event.hold.id)
            self._set_left(event)
        elif isinstance(event, events.Answered):
            self._answered(event)
        elif isinstance(event, events.Unknown):
            self._paid(event, event.hold, "no_answer", {"error.type": event.problem}, failed=True)
        elif isinstance(event, events.Refused):
            self._add_event("x402.refused", self._refusals, event, event.reason, event.allowance)
        elif isinstance(event, events.AllowanceLow):
            words = f"{event.percent} % are spent"
            self._add_event("x402.allowance_low", self._warnings, event, words, event.allowance)
        elif isinstance(event, events.SignedIn):
            about = {"url.full": event.url, "http.request.method": event.method, "x402.network": event.network}
            about_answer = {"http.response.status_code": event.status}
            self._trace.get_current_span().add_event("x402.signed_in", {**about, **about_answer})
        elif isinstance(event, events.Warned):
            self._add_event("x402.warned", self._warnings, event, event.problem)
        if self._also is not None:
            self._also(event)

    def _answered(self, event: events.Answered) -> None:
        outcome = event.outcome
        said = {"http.response.status_code": event.status}
        transaction = {"x402.transaction": outcome.receipt.transaction} if outcome.receipt else {}
        self._paid(event, outcome.hold, outcome.money, said | transaction, failed=event.status == 402)
        if outcome.money == "spent" and self._first_time(outcome.hold.id):
            about = {"server.address": outcome.hold.host, "x402.currency": outcome.hold.price.currency}
            self._spent.add(float(outcome.hold.price.amount), about)

    def _paid(self, event: events.Event, hold: Hold, money: str, more: dict[str, Any], *, failed: bool) -> None:
        """Report a presentation that is over."""
        now = time.time_ns()
        with self._lock:
            left = self._left.pop(hold.id, now)
        about = {**_terms(hold), "x402.money": money}
        self._payments.add(1, about)
        self._duration.record(max(0, now - left) / 1e9, about)
        # A first presentation includes approval and signing, so it began when its budget was reserved.
        began = int(hold.created * 1e9) if hold.tries == 0 else left
        attributes = {**about, **_details(event, hold), **more}
        span = self._tracer.start_span("x402.pay", attributes=attributes, start_time=min(began, left))
        if failed:
            span.set_status(self._trace.StatusCode.ERROR)
        span.end(now)

    def _set_left(self, event: events.Presented) -> None:
        """Set the gauge of each allowance that the user named. Random names are too many for a metric."""
        for one in event.left:
            if not one.allowance.startswith(UNNAMED):
                about = {"x402.allowance": one.allowance, "x402.currency": one.left.currency}
                self._left_over.set(float(one.left.amount), about)

    def _add_event(
        self, name: str, counter: Any, event: events.Event, words: str, allowance: str | None = None
    ) -> None:
        counter.add(1, {"http.request.method": event.method})
        about = {"url.full": event.url, "http.request.method": event.method, "x402.remark": words, **_under(allowance)}
        self._trace.get_current_span().add_event(name, about)

    def _first_time(self, hold: str) -> bool:
        """Return True at the first answer to a payment. It can be answered twice, but settles once."""
        with self._lock:
            seen = hold in self._counted
        self._remember(self._counted, hold)
        return not seen

    def _remember(self, where: OrderedDict[str, int], hold: str) -> None:
        with self._lock:
            where[hold] = time.time_ns()
            while len(where) > _REMEMBERED:
                where.popitem(last=False)


def _terms(hold: Hold) -> dict[str, Any]:
    """Return the attributes of each metric. Each of them has few values."""
    offer = hold.offer
    return {
        "server.address": hold.host,
        "x402.scheme": offer.scheme,
        "x402.network": offer.network,
        "x402.asset": offer.token.symbol if offer.token else "",
        "x402.currency": hold.price.currency,
    }


def _details(event: events.Event, hold: Hold) -> dict[str, Any]:
    return {
        "url.full": event.url,
        "http.request.method": event.method,
        "x402.amount": float(hold.price.amount),
        "x402.hold": hold.id,
        "x402.again": hold.tries > 0,
        **_under(hold.allowance),
    }


def _under(allowance: str | None) -> dict[str, str]:
    return {} if allowance is None else {"x402.allowance": allowance}
