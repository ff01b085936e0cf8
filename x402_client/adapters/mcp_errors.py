"""Errors of mcp, as both of its generations raise them, and our errors that are theirs too.

The rule: "``PaymentOutcomeUnknown`` is raised as a class that is also the HTTP library's own error of the same kind, so
that existing ``except`` clauses and retry filters catch it: their repeats present the same payment".
"""

from __future__ import annotations

import json
from typing import Any

import anyio
from mcp import types
from mcp.shared import exceptions

from ..errors import PaymentOutcomeUnknown
from ..wire.leaks import repeated
from .own_errors import OwnErrors

#: ``McpError`` in 1.x, ``MCPError`` in 2.x.
LibraryError: type[Exception] = getattr(exceptions, "MCPError", None) or getattr(exceptions, "McpError")  # noqa: B009
#: Codes that mcp itself gives where no answer came: time-outs of both generations, and the end of the connection.
TIMED_OUT = frozenset({408, -32001})
LOST = frozenset({*TIMED_OUT, -32000})
#: What anyio raises where the connection is gone.
CLOSED = (anyio.ClosedResourceError, anyio.BrokenResourceError)
#: What is shown where a server repeats the payment.
_HIDDEN = "(the payment itself)"


def error_data(failure: Exception) -> Any:
    """Return the code, the message and the data of a library's error."""
    return failure.error  # type: ignore[attr-defined]


def timed_out_error(seconds: float) -> Exception:
    """Return the error that the installed mcp raises where a call took longer than its read time-out."""
    if hasattr(exceptions, "MCPError"):
        return made_error(-32001, "Request 'tools/call' timed out")
    return made_error(408, f"Timed out while waiting for response to CallToolRequest. Waited {seconds} seconds.")


def made_error(code: int, message: str, data: Any = None) -> Exception:
    """Return the error that the installed mcp raises for a JSON-RPC error."""
    kind: Any = LibraryError
    if hasattr(exceptions, "MCPError"):
        return kind(code=code, message=message, data=data)  # type: ignore[no-any-return]
    return kind(types.ErrorData(code=code, message=message, data=data))  # type: ignore[no-any-return]


def hide_payment(failure: Exception, header: str) -> None:
    """Take out of a library's error what repeats the payment: errors are printed."""
    said = error_data(failure)
    message, data = repeated([said.message, _text(said.data)], header)
    if message or data:
        told = _HIDDEN if message else said.message, _HIDDEN if data else said.data
        failure.error = types.ErrorData(code=said.code, message=told[0], data=told[1])  # type: ignore[attr-defined]
        # The first generation has the message alone in its arguments.
        failure.args = (said.code, *told) if len(failure.args) > 1 else told[:1]


def _text(data: Any) -> str:
    """Return the data of an error as its text, in which a payment stands as it was sent."""
    return data if isinstance(data, str) else json.dumps(data, default=str)


class _MessageError(LibraryError):  # type: ignore[misc,valid-type]
    """The library's error, made of a message alone."""

    def __init__(self, *args: Any) -> None:
        Exception.__init__(self, *args)


class OutcomeUnknownMcpError(PaymentOutcomeUnknown, _MessageError):
    """The error where a payment left and mcp had no answer to it: a ``PaymentOutcomeUnknown``, and mcp's own error."""

    @property
    def error(self) -> Any:
        """Return what mcp's own error says: code, message and data."""
        cause = self.__cause__
        if isinstance(cause, LibraryError):
            return error_data(cause)
        return types.ErrorData(code=-32000, message=str(self.args[0]))

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), self.args, {**self.__dict__, "response": None})


OutcomeUnknownMcpError.__module__ = "x402_client.mcp"


class _McpErrors(OwnErrors):
    def __init__(self) -> None:
        lost = [TimeoutError, *CLOSED]
        super().__init__("x402_client.mcp", lost, [])
        self._joined[PaymentOutcomeUnknown][LibraryError] = OutcomeUnknownMcpError


OWN_ERRORS = _McpErrors()
