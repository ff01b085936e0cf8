"""Options and arguments with odd values: each is refused in words, or works, and none is called a fault of x402."""

from __future__ import annotations

import io
import sys
import threading
import time

import pytest

from x402_client.cli.app import run
from x402_client.sandbox import Sandbox

from .running import in_process, log_put_back

_LONG = "x" * 5_000
_NUMBERS = ("nan", "inf", "-1", "0", "1e300")
#: What is typed, with URL for a seller's, and LIST for one that lists what it sells.
ODD: tuple[tuple[str, ...], ...] = (
    *((command, "URL", "--timeout", number) for command in ("get", "quote", "doctor") for number in _NUMBERS),
    *(("status", "--timeout", number) for number in _NUMBERS),
    *(("search", "--facilitator", "LIST", "--timeout", number) for number in _NUMBERS),
    *(("get", "URL", "--max", number) for number in (*_NUMBERS, "1e-30", "1,5", "\uff11")),
    *(("ledger", "spent", "--days", number) for number in _NUMBERS),
    *(("ledger", "list", "--since", when) for when in ("9999-12-31", "0001-01-01", "999999w", "2026-02-30", "1h ")),
    *(("get", "URL", "-X", method) for method in ("", "A B", "é", "GET\n", _LONG)),
    *(("get", "URL", "-H", header) for header in ("é: 1", "a: é", "a:\x00", "content-length: 5", "a b: c", ": x")),
    *(("get", "URL", "--key", key) for key in ("", "\udc80", _LONG)),
    *(("get", "URL", "--purse", purse) for purse in ("", "é", _LONG)),
    *(("wallet", "show", name) for name in ("/", "..", "a/b", "\x00", "~", _LONG)),
    *(("ledger", "show", word) for word in ("", "zz", "0x", "é", _LONG)),
    *(("ledger", "freeze", host) for host in ("", "a b", "*.", "http://x/", "é")),
    *(("ledger", "--ledger", place) for place in ("", "/", "/nope/a.db", "\x00", "redis://", "postgresql://")),
    *(("policy", "check", place) for place in ("/", "nope", "\x00")),
    *(("decode", text) for text in ("", "é", "{}", "[]", "null", "1", "\udc80", "=", "%", '{"a":"\\ud800"}')),
    *(("tokens", "--network", name) for name in ("", "é", "eip155:x", "solana:")),
    *(("manual", "-s", words) for words in ("(", "", " ", "\\")),
)  # fmt: skip


@pytest.mark.parametrize(
    "typed", ODD, ids=lambda typed: " ".join(typed)[:60].encode("ascii", "backslashreplace").decode()
)
def test_no_odd_value_is_a_fault_of_ours(seller: Sandbox, given: dict[str, str], typed: tuple[str, ...]) -> None:
    places = {"URL": f"{seller.url}/free", "LIST": seller.url}
    ran = in_process([places.get(word, word) for word in typed], given)
    assert "fault of x402" not in ran.err
    assert "Traceback" not in ran.err


def test_a_fault_of_ours_after_a_payment_tells_of_it(
    seller: Sandbox, given: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its stdout is closed in the middle, which is no failure of the operating system's."""
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    out, err, before = io.BytesIO(), io.BytesIO(), len(seller.settlements)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, "utf-8"))
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(err, "utf-8", write_through=True))

    def close() -> None:
        while len(seller.settlements) == before:
            time.sleep(0.001)
        out.close()

    closing = threading.Thread(target=close)
    closing.start()
    with log_put_back():
        code = run(["get", f"{seller.url}/fault/dripped-body/evm/weather", "--yes"])
    closing.join()
    said = " ".join(err.getvalue().decode().split())
    assert (code, out.closed) == (1, True)
    assert "fault of x402 itself: ValueError" in said
    assert "A payment of 0.01 USD left for 127.0.0.1" in said
