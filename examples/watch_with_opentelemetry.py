"""OpenTelemetry: payments as spans below your own, and as metrics. Needs the package `opentelemetry-sdk`.

With exporters set up as ever, all it takes is Buyer(..., on_event=otel.listener()). Here the spans are printed.

Run it: python examples/watch_with_opentelemetry.py
"""

import contextlib
import sys

import httpx

try:
    from opentelemetry import trace
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
except ImportError:
    sys.exit("This example needs OpenTelemetry: pip install opentelemetry-sdk")

from x402_client import Policy, errors, otel
from x402_client.httpx import wrap
from x402_client.sandbox import Sandbox


def shown(span: ReadableSpan) -> str:
    about = dict(span.attributes or {})
    took = ((span.end_time or 0) - (span.start_time or 0)) / 1e6
    lines = [f"{span.name}, {took:.1f} ms: {about.get('x402.amount', '')} {about.get('x402.money', '')}"]
    return "\n".join([*lines, *(f"  {event.name}" for event in span.events), ""])


provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(formatter=shown)))
trace.set_tracer_provider(provider)

with Sandbox() as seller:
    buyer = seller.buyer(Policy(per_request="0.10"), on_event=otel.listener())
    with wrap(httpx.Client(), buyer) as client, trace.get_tracer("agent").start_as_current_span("agent.step"):
        client.get(f"{seller.url}/weather")
        for path in ("/fault/drop-before-settling", "/yacht"):
            with contextlib.suppress(errors.X402Error):
                client.get(seller.url + path)
