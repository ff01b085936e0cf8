"""OpenTelemetry, with its own SDK: what is recorded about payments, and what is not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import anyio
import httpx
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import x402_client.httpx
from x402_client import Policy, errors, events, otel
from x402_client.sandbox import Sandbox


@dataclass
class Watched:
    """A sandbox, a buyer that is watched, and what the watcher exported."""

    sandbox: Sandbox
    client: httpx.Client
    spans: InMemorySpanExporter
    tracer: Any
    reader: InMemoryMetricReader
    heard: list[events.Event]
    settings: dict[str, Any]

    def payments(self) -> list[ReadableSpan]:
        return [span for span in self.spans.get_finished_spans() if span.name == "x402.pay"]

    def points(self, name: str) -> list[Any]:
        found = self.reader.get_metrics_data()
        scopes = [scope for resource in found.resource_metrics for scope in resource.scope_metrics] if found else []
        return [
            p for scope in scopes for metric in scope.metrics if metric.name == name for p in metric.data.data_points
        ]

    def total(self, name: str, **attributes: str) -> float:
        points = (p for p in self.points(name) if attributes.items() <= dict(p.attributes).items())
        return sum(point.value for point in points)


@pytest.fixture
def watched() -> Iterator[Watched]:
    exporter, reader, heard = InMemorySpanExporter(), InMemoryMetricReader(), list[events.Event]()
    tracers, meters = TracerProvider(), MeterProvider([reader])
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    listener = otel.listener(heard.append, tracer_provider=tracers, meter_provider=meters)
    settings = {"on_event": listener}
    with Sandbox() as sandbox:
        buyer = sandbox.buyer(Policy(per_request="0.05"), **{"repeat": (), **settings})
        with x402_client.httpx.wrap(httpx.Client(), buyer) as client:
            yield Watched(sandbox, client, exporter, tracers.get_tracer("test"), reader, heard, settings)
    tracers.shutdown()
    meters.shutdown()


def test_a_payment_is_a_span_below_the_current_one(watched: Watched) -> None:
    with watched.tracer.start_as_current_span("the agent's step") as step:
        watched.client.get(watched.sandbox.url + "/evm/weather?city=Lisbon")
    [span] = watched.payments()
    assert span.parent is not None
    assert span.parent.span_id == step.get_span_context().span_id
    assert span.status.is_ok is True
    found = dict(span.attributes or {})
    [done], hold = watched.sandbox.settlements, found.pop("x402.hold")
    assert isinstance(hold, str)
    assert found == {
        "server.address": "127.0.0.1",
        "url.full": watched.sandbox.url + "/evm/weather",
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "x402.scheme": "exact",
        "x402.network": done.network,
        "x402.asset": "USDC",
        "x402.currency": "USD",
        "x402.amount": 0.01,
        "x402.money": "spent",
        "x402.again": False,
        "x402.transaction": done.transaction,
    }


def test_time_is_counted_from_the_reservation(watched: Watched) -> None:
    watched.client.get(watched.sandbox.url + "/weather")
    [span] = watched.payments()
    [presented] = [event for event in watched.heard if isinstance(event, events.Presented)]
    assert span.start_time == int(presented.hold.created * 1e9)
    assert span.end_time is not None
    assert span.end_time > span.start_time


def test_what_was_spent_is_counted_once_however_often_it_is_answered(watched: Watched) -> None:
    url = watched.sandbox.sell("/poem", "0.02", fault="truncated-body", redeliver=True)
    with pytest.raises(httpx.RemoteProtocolError):
        watched.client.get(url)
    watched.client.get(url)
    watched.client.get(watched.sandbox.url + "/weather")
    assert watched.total("x402.payments", **{"x402.money": "spent"}) == 3
    assert watched.total("x402.spent", **{"server.address": "127.0.0.1"}) == pytest.approx(0.03)
    assert [span.attributes["x402.again"] for span in watched.payments() if span.attributes] == [False, True, False]


def test_no_answer_and_a_rejection_are_errors(watched: Watched) -> None:
    url = watched.sandbox.fault_url("drop-after-settling")
    with pytest.raises(errors.PaymentOutcomeUnknown):
        watched.client.get(url)
    with pytest.raises(errors.PaymentRejected):
        watched.client.get(url)
    found = [(dict(span.attributes or {}), span.status.is_ok) for span in watched.payments()]
    assert [(about["x402.money"], ok) for about, ok in found] == [("no_answer", False), ("held", False)]
    assert found[0][0]["error.type"] == "RemoteProtocolError"
    assert watched.total("x402.spent") == 0
    [duration, _] = watched.points("x402.payment.duration")
    assert duration.count == 1


def test_refusals_and_warnings_are_remarks_of_the_current_span(watched: Watched) -> None:
    with watched.tracer.start_as_current_span("the agent's step"):
        with pytest.raises(errors.PaymentRefused):
            watched.client.get(watched.sandbox.url + "/yacht?secret=1")
        watched.client.get(watched.sandbox.fault_url("forged-domain"))
    [step] = [span for span in watched.spans.get_finished_spans() if span.name == "the agent's step"]
    assert [event.name for event in step.events] == ["x402.refused", "x402.warned"]
    assert "one payment may cost 0.05 USD" in str(dict(step.events[0].attributes or {})["x402.remark"])
    assert (watched.total("x402.refusals"), watched.total("x402.warnings")) == (1, 1)


def test_a_sign_in_is_a_remark_of_the_current_span(watched: Watched) -> None:
    url = watched.sandbox.sell("/poem", "0.01", chains="evm", sign_in=True)
    watched.client.get(url)
    with watched.tracer.start_as_current_span("work"):
        watched.client.get(url)
    [work] = [span for span in watched.spans.get_finished_spans() if span.name == "work"]
    [remark] = work.events
    assert (remark.name, dict(remark.attributes)["http.response.status_code"]) == ("x402.signed_in", 200)
    assert len(watched.payments()) == 1


def test_nothing_secret_is_exported(watched: Watched) -> None:
    with watched.tracer.start_as_current_span("step"):
        for way in ("/evm", "/solana", "/v1/evm"):
            watched.client.get(f"{watched.sandbox.url}{way}/weather?api_key=hush")
        with pytest.raises(errors.PaymentRefused):
            watched.client.get(watched.sandbox.url + "/yacht?api_key=hush")
    exported = "".join(span.to_json() for span in watched.spans.get_finished_spans())
    exported += str(watched.reader.get_metrics_data())
    assert "x402.pay" in exported
    assert "hush" not in exported
    assert "api_key" not in exported
    for event in watched.heard:
        if isinstance(event, events.Presented):
            assert event.hold.authorization is not None
            assert event.hold.authorization.header == ("", "")


def test_async_clients_are_watched_too(watched: Watched) -> None:
    async def main() -> None:
        buyer = watched.sandbox.buyer(Policy(per_request="0.05"), **watched.settings)
        async with x402_client.httpx.wrap(httpx.AsyncClient(), buyer) as client:
            await step("a", client)
            await step("b", client)

    async def step(name: str, client: httpx.AsyncClient) -> None:
        with watched.tracer.start_as_current_span(name):
            async with anyio.create_task_group() as tasks:
                for number in range(3):
                    tasks.start_soon(client.get, f"{watched.sandbox.url}/weather?{name}{number}")

    anyio.run(main)
    steps = {span.context.span_id: span.name for span in watched.spans.get_finished_spans() if span.context}
    assert sorted(steps[span.parent.span_id] for span in watched.payments() if span.parent) == list("aaabbb")


def test_a_listener_of_ones_own_hears_every_event(watched: Watched) -> None:
    watched.client.get(watched.sandbox.url + "/weather")
    assert [type(event) for event in watched.heard] == [events.Presented, events.Answered, events.Delivered]


def test_payments_that_are_never_heard_of_again_are_forgotten(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(otel, "_REMEMBERED", 2)
    watched.client.get(watched.sandbox.url + "/weather")
    [presented, *_] = watched.heard
    assert isinstance(presented, events.Presented)
    listen = watched.settings["on_event"]
    for number in range(5):
        listen(events.Presented("GET", "", presented.hold.but(id=str(number)), again=False))
    assert list(listen.__self__._left) == ["3", "4"]


def test_without_opentelemetry_it_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from x402_client import errors, otel\n"
        "try: otel.listener()\n"
        "except errors.ConfigurationError as problem: print(problem)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'pip install "x402-buyer[otel]" (in a clone: pip install ".[otel]").' in ran.stdout


def test_nobody_who_did_not_ask_for_it_loads_it() -> None:
    code = "import sys, x402_client.httpx, x402_client.sandbox; print('opentelemetry' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"


def test_an_allowance_is_on_spans_and_what_is_left_of_it_is_a_gauge(watched: Watched) -> None:
    buyer = watched.sandbox.buyer(Policy(per_request="0.05"), **watched.settings)
    run = buyer.allowance("0.02", name="run-42")
    with x402_client.httpx.wrap(httpx.Client(), run.allowance("1")) as client:
        for _ in range(2):
            client.get(watched.sandbox.url + "/weather")
        with watched.tracer.start_as_current_span("step"), pytest.raises(errors.OverLimit):
            client.get(watched.sandbox.url + "/weather")
    names = {(span.attributes or {})["x402.allowance"] for span in watched.payments()}
    assert len(names) == 1
    (step,) = [span for span in watched.spans.get_finished_spans() if span.name == "step"]
    assert [(event.name, (event.attributes or {})["x402.allowance"]) for event in step.events] == [
        ("x402.refused", *names),
    ]
    assert [(dict(point.attributes), point.value) for point in watched.points("x402.allowance.left")] == [
        ({"x402.allowance": "run-42", "x402.currency": "USD"}, 0.0),
    ]
    assert watched.total("x402.warnings") == 1
