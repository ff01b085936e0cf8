"""Couriers say what kind of failure an exception is, however deep their library wraps it."""

from __future__ import annotations

import ssl
from typing import Any

import httpx
import httpx2
import pytest
import requests
import urllib3.exceptions
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from x402_client.adapters.httpx_bodies import Library
from x402_client.adapters.httpx_courier import BaseCourier
from x402_client.adapters.requests_courier import Courier


class Wrapping(Exception):
    """As a library raises that retried by itself."""

    def __init__(self, reason: Exception | None = None, cause: Exception | None = None) -> None:
        super().__init__(*([self] if reason is None and cause is None else []))
        self.reason, self.__cause__ = reason, cause


class StrangeTimeout(Exception):
    """As a transport raises that we do not know."""


POOL: Any = None
REFUSED = urllib3.exceptions.NewConnectionError(POOL, "refused")
SILENT = urllib3.exceptions.ReadTimeoutError(POOL, "/", "silent")


def httpx_courier(module: Any) -> Any:
    courier = BaseCourier.__new__(BaseCourier)
    courier.library = Library(module, __name__)
    courier.inner = module.HTTPTransport()
    return courier


@pytest.mark.parametrize("module", [httpx, httpx2])
def test_of_httpx(module: Any) -> None:
    failed = httpx_courier(module).failed
    for late in (module.ReadTimeout, module.WriteTimeout):
        assert failed(late("late")) == "timeout"
    for sound in (
        module.ConnectError, module.ConnectTimeout, module.PoolTimeout, module.ProxyError, module.UnsupportedProtocol
    ):  # fmt: skip
        assert failed(sound("no way")) == "not_sent"
    for lost in (module.ReadError, module.WriteError, module.RemoteProtocolError, OSError, ValueError):
        assert failed(lost("gone")) == "lost"
    assert failed(Wrapping(cause=TimeoutError())) == failed(StrangeTimeout()) == "timeout"
    assert failed(OSError("Timeout")) == "lost", "a word in a message is no class"


@pytest.mark.parametrize("module", [httpx, httpx2])
def test_what_another_transport_says_of_its_connection_proves_nothing(module: Any) -> None:
    courier = httpx_courier(module)
    courier.inner = type("Retrying", (module.HTTPTransport,), {})()
    assert courier.failed(module.ConnectError("no way")) == "lost"
    assert courier.failed(module.ConnectTimeout("late")) == courier.failed(module.PoolTimeout("late")) == "timeout"


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (requests.ReadTimeout("late"), "timeout"),
        (requests.ConnectionError(urllib3.exceptions.MaxRetryError(POOL, "/", SILENT)), "timeout"),
        (requests.ConnectionError(urllib3.exceptions.MaxRetryError(POOL, "/", REFUSED)), "not_sent"),
        (requests.ConnectionError(urllib3.exceptions.ProtocolError("reset", ConnectionResetError())), "lost"),
        (OSError(Wrapping(reason=SILENT)), "timeout"),
        (OSError(Wrapping(cause=TimeoutError())), "timeout"),
        (Wrapping(cause=OSError(Wrapping(reason=SILENT))), "timeout"),
        (OSError(Wrapping(reason=OSError("reset"))), "lost"),
        (StrangeTimeout(), "timeout"),
        (Wrapping(cause=StrangeTimeout()), "timeout"),
        (Wrapping(), "lost"),
        (OSError("Timeout"), "lost"),
    ],
)
def test_of_requests(failure: Exception, kind: str) -> None:
    assert requests_courier(HTTPAdapter()).failed(failure) == kind


CERTIFICATE = requests.exceptions.SSLError(
    urllib3.exceptions.MaxRetryError(POOL, "/", urllib3.exceptions.SSLError(ssl.SSLCertVerificationError("unknown")))
)
HANDSHAKE = requests.exceptions.SSLError(urllib3.exceptions.SSLError("a record that cannot be read"))
PROXY = requests.exceptions.ProxyError(
    urllib3.exceptions.MaxRetryError(POOL, "/", urllib3.exceptions.ProxyError("no", OSError("403")))
)


@pytest.mark.parametrize(("failure", "kind"), [(CERTIFICATE, "not_sent"), (HANDSHAKE, "lost"), (PROXY, "not_sent")])
def test_of_requests_before_and_after_a_byte_left(failure: Exception, kind: str) -> None:
    assert requests_courier(HTTPAdapter()).failed(failure) == kind


@pytest.mark.parametrize(
    ("retries", "proven"),
    [
        (0, True),
        (Retry(total=3, read=False, status=0, other=0, redirect=0), True),
        (3, False),
        (Retry(total=3, read=2), False),
        (Retry(total=None, read=None, status=2), False),
    ],
)
def test_where_requests_may_have_sent_it_before_nothing_is_proven(retries: Any, proven: bool) -> None:
    courier = requests_courier(HTTPAdapter(max_retries=retries))
    refused = requests.ConnectionError(urllib3.exceptions.MaxRetryError(POOL, "/", REFUSED))
    assert (courier.failed(refused) == "not_sent") is proven
    other = requests_courier(type("Own", (HTTPAdapter,), {})())
    assert other.failed(refused) != "not_sent"


def requests_courier(adapter: Any) -> Any:
    courier = Courier.__new__(Courier)
    courier._inner = adapter
    return courier
