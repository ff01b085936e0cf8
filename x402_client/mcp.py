"""The buyer's side of x402 for MCP: wrap a session, and its tools are paid.

session = wrap(session, buyer)                       # mcp's ClientSession, 1.x or 2.x, or a client of mcp or fastmcp
session = wrap(session, buyer, name="reports")       # a server over stdio, which has no address
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar

from .adapters.wrap_arguments import Wrapped, described
from .errors import ConfigurationError
from .model.offers import Quote
from .receipts import outcome, receipt

if TYPE_CHECKING:
    from .adapters.mcp_errors import OutcomeUnknownMcpError as OutcomeUnknownMcpError
    from .buyer.payers import Payer

__all__ = ["outcome", "quote", "receipt", "wrap"]

try:  # it takes a second to import, and a program with a session has done so
    _is_there = find_spec("mcp") is not None
except ModuleNotFoundError:
    _is_there = False
if not _is_there:
    _text = (
        "x402_client.mcp needs mcp, which is not installed: "
        'pip install "x402-buyer[mcp]" (in a clone: pip install ".[mcp]").'
    )
    raise ModuleNotFoundError(_text, name="mcp")

_Session = TypeVar("_Session")
#: The classes that are wrapped, by the package and the name of one of their bases.
_CLASSES = (("mcp", "ClientSession"), ("mcp", "Client"), ("fastmcp", "Client"))
_WANTED = "an mcp.ClientSession, an mcp.Client or a fastmcp.Client"


def _is_session(session: object) -> bool:
    bases = [(base.__module__.partition(".")[0], base.__name__) for base in type(session).__mro__]
    return any(known in bases for known in _CLASSES)


_WRAPPED = Wrapped("mcp", _WANTED, "session", _is_session)


@_WRAPPED.checked
def wrap(session: _Session, buyer: Payer, name: str | None = None) -> _Session:
    """Make a session pay for its tools, in place, around ``call_tool``. Returns the same session.

    A tool that asks for money is called once more with the payment in ``_meta``. ``result.meta["x402"]`` then says
    what became of the money, in a plain mapping, and ``outcome(result)`` says it typed.

    Args:
        session: An ``mcp.ClientSession`` of mcp 1.x or 2.x that is connected, an ``mcp.Client`` or a
            ``fastmcp.Client``.
        buyer: The buyer that pays, or an allowance of one. Several sessions may share one.
        name: The name of a server over stdio. It stands in policies and lists as ``mcp:NAME``. Over HTTP the URL's
            host counts, and a name changes nothing. Where no URL is seen, because the transport is your own, the name
            may be the URL. Default: None, the server has a URL.
    """
    from .adapters.mcp_calls import put_around

    put_around(session, buyer, name)
    return session


async def quote(session: Any, tool: str, arguments: Mapping[str, Any] | None = None) -> Quote:
    """Return what a tool would cost, without paying: offers, prices, the choice, reasons against others.

    A tool that asks for no money is called and does its work.

    Args:
        session: A wrapped session.
        tool: The name of the tool.
        arguments: The arguments of the call. Default: none.
    """
    if not _is_session(session):
        raise ConfigurationError(f"quote takes {_WANTED}, not {described(session)}.")
    from .adapters.mcp_calls import quote_with

    return await quote_with(session, tool, arguments)


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        # The errors that are mcp's own, too, so that they pickle. mcp itself takes a second to import.
        if name.startswith("OutcomeUnknown"):
            from .adapters.mcp_errors import OWN_ERRORS

            if name in OWN_ERRORS.named:
                return OWN_ERRORS.named[name]
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
