"""Couriers say what kind of failure an exception is, however deep their library wraps it."""

from __future__ import annotations

from typing import Any

import httpx
import httpx2
import pytest
import requests
import urllib3.exceptions

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
    courier.library = Library(module)
    return courier


@pytest.mark.parametrize("module", [httpx, httpx2])
def test_of_httpx(module: Any) -> None:
    failed = httpx_courier(module).failed
    for late in (module.ReadTimeout, module.ConnectTimeout, module.PoolTimeout, module.WriteTimeout):
        assert failed(late("late")) == "timeout"
    for sound in (module.ConnectError, module.UnsupportedProtocol):
        assert failed(sound("no way")) == "not_sent"
    for lost in (module.ReadError, module.WriteError, module.RemoteProtocolError, OSError, ValueError):
        assert failed(lost("gone")) == "lost"
    assert failed(Wrapping(cause=TimeoutError())) == failed(StrangeTimeout()) == "timeout"
    assert failed(OSError("Timeout")) == "lost", "a word in a message is no class"


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
    assert Courier.__new__(Courier).failed(failure) == kind
