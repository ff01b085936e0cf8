"""Requests that take no sign-in of ours: those that have one, and calls of a tool in a session of MCP."""

from __future__ import annotations

from x402_client.adapters.mcp_courier import tool_request
from x402_client.core.call import HttpRequest


def test_a_sign_in_by_hand_is_the_callers_own_affair() -> None:
    url = "https://api.example.com/poem"
    assert HttpRequest.of("GET", url).no_sign_in == ""
    assert "of its own" in HttpRequest.of("GET", url, {"Sign-In-With-X": "eyJ9"}).no_sign_in


def test_a_session_of_mcp_has_no_header_to_sign_in_by() -> None:
    server = HttpRequest.of("POST", "https://api.example.com/mcp")
    assert "a session of MCP has none" in tool_request(server, "weather", None).no_sign_in
