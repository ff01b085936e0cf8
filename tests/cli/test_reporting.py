"""The final report of a request, as a program reads it."""

from __future__ import annotations

from x402_client import Money
from x402_client.cli.exits import Code
from x402_client.cli.reporting import Report
from x402_client.cli.requests_made import CliRequest


def test_what_is_left_is_null_where_nothing_was_looked_up() -> None:
    report = Report(CliRequest("GET", "https://x.dev/", []), as_json=True)
    assert report.document(Code.OK, "")["left"] is None
    report.left = {"day": Money("4.99")}
    assert report.document(Code.OK, "")["left"] == {"day": "4.99 USD"}
