"""Finds the endpoint of the MCP session whose call an HTTP request carries.

The rule: "A JSON-RPC tools/call has one name on HTTP and in MCP alike: endpoint, tool, canonical arguments". Over the
older transport the request goes to another place, which the server draws anew at each connection.
"""

from __future__ import annotations

from collections.abc import Callable

from ..core.call import HttpRequest
from .refused_below import CallAbove, any_above, calls_above


def endpoint_above(request: HttpRequest) -> Callable[[bytes], str | None] | None:
    """Return what finds that endpoint by the digest of the request's body. Most programs have no session: None."""
    if not any_above():
        return None

    def found(digest: bytes) -> str | None:
        calls = calls_above(str(request.origin), digest)
        endpoints = {one.endpoint for one in calls if _posts_to(one, request)}
        return endpoints.pop() if len(endpoints) == 1 else None

    return found


def _posts_to(call: CallAbove, request: HttpRequest) -> bool:
    """Return True if a session's call goes where this request goes. A transport that is not mcp's may go anywhere."""
    place = call.posts_to()
    return place is None or place == request.target
