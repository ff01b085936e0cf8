"""The orders of the manual's page "With your other tools", tried with the tools themselves.

``python -m tests.repo.other_tools`` runs in an environment that has them, and prints a line for each order.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

import httpx
import requests

import x402_client.requests
from x402_client import Buyer, Policy
from x402_client.httpx import PaymentTransport, wrap
from x402_client.sandbox import Sandbox

Case = Callable[[Sandbox, str, Buyer, Path], object]
CASES: dict[str, Case] = {}
_PASSED_ON = {"content-type", "payment-required", "payment-response"}


def case(order: Case) -> Case:
    CASES[order.__name__] = order
    return order


@contextmanager
def cacheable(seller: Sandbox) -> Iterator[str]:
    """Yield the address of a gateway that lets the seller's content be cached."""

    class Gateway(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paid = {name: value for name, value in self.headers.items() if name.lower().startswith("payment")}
            answer = httpx.get(seller.url + self.path, headers=paid)
            self.send_response(answer.status_code)
            for name in answer.headers.keys() & _PASSED_ON:
                self.send_header(name, answer.headers[name])
            if answer.status_code == 200:
                self.send_header("Cache-Control", "max-age=600")
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Gateway) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/weather"
        server.shutdown()


def paying(buyer: Buyer, session: requests.Session | None = None) -> requests.Session:
    return x402_client.requests.wrap(session or requests.Session(), buyer)


def twice(client: Any, url: str) -> list[int]:
    return [client.get(url).status_code for _ in range(2)]


def failing(seller: Sandbox, fault: str = "drop-before-settling") -> str:
    """Order more faults than one call of ours repeats."""
    seller.order(*[fault] * 4)
    return f"{seller.url}/weather"


@case
def cachecontrol_before(_: Sandbox, url: str, buyer: Buyer, __: Path) -> object:
    from cachecontrol import CacheControl

    return twice(paying(buyer, CacheControl(requests.Session())), url)


@case
def cachecontrol_after(_: Sandbox, url: str, buyer: Buyer, __: Path) -> object:
    from cachecontrol import CacheControl

    return twice(CacheControl(paying(buyer)), url)


@case
def requests_cache_before(_: Sandbox, url: str, buyer: Buyer, __: Path) -> object:
    import requests_cache

    return twice(paying(buyer, requests_cache.CachedSession(backend="memory")), url)


@case
def hishel_above(_: Sandbox, url: str, buyer: Buyer, folder: Path) -> object:
    import hishel
    from hishel.httpx import CacheTransport

    store = hishel.SqliteStorage(database_path=folder / "cache.db")
    with httpx.Client(transport=CacheTransport(PaymentTransport(buyer), storage=store)) as client:
        return twice(client, url), b"payment-signature" in _all_bytes(folder)


@case
def hishel_below(_: Sandbox, url: str, buyer: Buyer, folder: Path) -> object:
    import hishel
    from hishel.httpx import CacheClient

    with wrap(CacheClient(storage=hishel.SqliteStorage(database_path=folder / "cache.db")), buyer) as client:
        return twice(client, url), b"payment-signature" in _all_bytes(folder)


def _all_bytes(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir()).lower()


@case
def mounted_before(seller: Sandbox, _: str, buyer: Buyer, __: Path) -> object:
    session = requests.Session()
    session.mount("http://", requests.adapters.HTTPAdapter(max_retries=3))
    return paying(buyer, session).get(f"{seller.url}/weather").status_code


@case
def mounted_after(seller: Sandbox, _: str, buyer: Buyer, __: Path) -> object:
    session = paying(buyer)
    session.mount("http://", requests.adapters.HTTPAdapter(max_retries=3))
    return session.get(f"{seller.url}/weather").status_code


@case
def urllib3_by_status(seller: Sandbox, _: str, buyer: Buyer, __: Path) -> object:
    from urllib3 import Retry

    retry = Retry(total=6, status_forcelist=[500], backoff_factor=0.01)
    session = requests.Session()
    session.mount("http://", requests.adapters.HTTPAdapter(max_retries=retry))
    return paying(buyer, session).get(failing(seller, "error-before-settling")).status_code


@case
def httpx_retries_around(seller: Sandbox, _: str, buyer: Buyer, __: Path) -> object:
    from httpx_retries import Retry, RetryTransport

    around = RetryTransport(PaymentTransport(buyer), retry=Retry(total=6, backoff_factor=0.01))
    with httpx.Client(transport=around) as client:
        return client.get(failing(seller)).status_code


@case
def httpx_retries_under(seller: Sandbox, _: str, buyer: Buyer, __: Path) -> object:
    from httpx_retries import Retry, RetryTransport

    under = RetryTransport(retry=Retry(total=6, backoff_factor=0.01))
    with httpx.Client(transport=PaymentTransport(buyer, under)) as client:
        return client.get(failing(seller)).status_code


@case
def tenacity_on_transport_errors(seller: Sandbox, _: str, buyer: Buyer, __: Path) -> object:
    import tenacity

    url, kind = failing(seller), tenacity.retry_if_exception_type(httpx.TransportError)
    with wrap(httpx.Client(), buyer) as client:
        again = tenacity.Retrying(retry=kind, stop=tenacity.stop_after_attempt(6))
        return again(client.get, url).status_code


@case
def stamina_on_http_errors(seller: Sandbox, _: str, buyer: Buyer, __: Path) -> object:
    import stamina

    url = failing(seller)
    with wrap(httpx.Client(), buyer) as client:
        return stamina.retry(on=httpx.HTTPError, attempts=6, wait_initial=0.01)(client.get)(url).status_code


@case
def requests_mock_mocker(_: Sandbox, __: str, buyer: Buyer, ___: Path) -> object:
    import requests_mock

    session = paying(buyer)
    with requests_mock.Mocker() as mocker:
        mocker.get("https://api.example.com/", status_code=402, json={})
        return session.get("https://api.example.com/").status_code


def _exporter() -> tuple[Any, Any]:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return exporter, provider


@case
def spans_before(seller: Sandbox, _: str, buyer: Buyer, __: Path) -> object:
    from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor

    exporter, provider = _exporter()
    with httpx.Client() as client:
        HTTPXClientInstrumentor.instrument_client(client, tracer_provider=provider)
        wrap(client, buyer).get(f"{seller.url}/weather")
    return [span.attributes["http.status_code"] for span in exporter.get_finished_spans()]


@case
def spans_after(seller: Sandbox, _: str, buyer: Buyer, __: Path) -> object:
    from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor

    exporter, provider = _exporter()
    with wrap(httpx.Client(), buyer) as client:
        HTTPXClientInstrumentor.instrument_client(client, tracer_provider=provider)
        client.get(f"{seller.url}/weather")
    return [span.attributes["http.status_code"] for span in exporter.get_finished_spans()]


@case
def spans_of_requests(seller: Sandbox, _: str, buyer: Buyer, __: Path) -> object:
    from opentelemetry.instrumentation.requests import RequestsInstrumentor

    exporter, provider = _exporter()
    RequestsInstrumentor().instrument(tracer_provider=provider)
    try:
        paying(buyer).get(f"{seller.url}/weather")
    finally:
        RequestsInstrumentor().uninstrument()
    return [span.attributes["http.status_code"] for span in exporter.get_finished_spans()]


@case
def cassette_filtered(seller: Sandbox, _: str, buyer: Buyer, folder: Path) -> object:
    import vcr

    tape = vcr.VCR(filter_headers=["payment-signature", "x-payment"])
    with tape.use_cassette(str(folder / "tape.yaml")):
        status = paying(buyer).get(f"{seller.url}/weather").status_code
    return status, b"payment-signature" in _all_bytes(folder)


@case
def cassette_played(seller: Sandbox, _: str, buyer: Buyer, folder: Path) -> object:
    """Record, play, and play for a buyer whose policy names the host."""
    import vcr

    from x402_client.errors import HostNotAllowed

    named, said = seller.buyer(Policy(per_request="0.10", http_hosts=["127.0.0.1"])), list[object]()
    for payer in (buyer, buyer, named):
        with vcr.use_cassette(str(folder / "tape.yaml")), wrap(httpx.Client(), payer) as client:
            try:
                said.append(client.get(f"{seller.url}/weather").status_code)
            except HostNotAllowed:
                said.append("refused")
    return said


def main() -> None:
    for name, order in CASES.items():
        with Sandbox() as seller, cacheable(seller) as url, TemporaryDirectory() as folder:
            found = order(seller, url, seller.buyer(Policy(per_request="0.10")), Path(folder))
            print(f"{name}: {found}, settled {len(seller.settlements)}")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
