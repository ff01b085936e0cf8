"""One call of the application: what it asks for, and what happened to it so far."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from ..errors import BodyNotReplayable, X402Error
from ..model.holds import Attempt, Authorization, Hold, Purchase
from ..model.hosts import MCP, Origin
from ..policy.choice import Mandate
from .digests import BodyDigest, tool_digest
from .known_terms import Memory, Terms
from .spelling import one_spelling

if TYPE_CHECKING:
    from .running_call import RunningCall

#: The parameter, as the SDKs for MCP spell it.
_SESSION = re.compile("session[_-]?id(=|$)", re.IGNORECASE)


class HttpRequest(NamedTuple):
    """The facts of a request that the exchange needs. ``target`` is its path with the query."""

    method: str
    origin: Origin
    target: str
    headers: Mapping[str, str]

    @classmethod
    def of(cls, method: str, url: str, headers: Mapping[str, str] | None = None) -> HttpRequest:
        """Return the facts of a request to an absolute URL or to ``mcp:reports``.

        Names of headers may be in any case.
        """
        parts = urlsplit(url)
        if parts.scheme == MCP:
            return cls(method.upper(), Origin.of_server(parts.path), "", headers or {})
        named = {name.lower(): value for name, value in (headers or {}).items()}
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(method.upper(), Origin.of(parts.scheme, parts.hostname or "", parts.port), target, named)

    def identity(self, names: Iterable[str] = ()) -> str:
        """Return all that tells this request from another, but for its body, in each library's spelling of its URL.

        The rule: "Headers are no part of it: tenants behind one buyer take a purse or a key each, or
        Buyer(identity_headers=(...))". ``names`` are these headers; their values are hashed.
        """
        lines = [self._told(one_spelling(self.target))]
        for name in names:
            values = "\0".join(self._values(name)).encode("utf-8", "surrogatepass")
            lines.append(f"{name}:{hashlib.sha256(values).hexdigest()}")
        return "\n".join(lines)

    def former_identity(self) -> str:
        """Return the identity as version 0.1 made it: of the target as it is spelled, and without further headers."""
        return self._told(self.target)

    def _told(self, target: str) -> str:
        asked = "" if self.headers.get("range") is None else ", ".join(self._values("range"))
        return "\n".join((self.method, str(self.origin), target, asked))

    def _values(self, name: str) -> list[str]:
        """Return the values of a header, in every form in which the libraries keep them."""
        many = getattr(self.headers, "getall", None)
        found: list[Any] = [self.headers.get(name)] if many is None else many(name, [])
        texts = [one.decode("latin-1") if isinstance(one, bytes) else one for one in found]
        return [text for text in texts if text is not None]

    @property
    def no_sign_in(self) -> str:
        """Return why this request takes no sign-in of ours, or ""."""
        return "the request has a sign-in of its own already" if "sign-in-with-x" in self.headers else ""

    def __repr__(self) -> str:
        return f"HttpRequest({self.method} {self.shown})"  # headers and query hold secrets of the caller's

    @property
    def shown(self) -> str:
        """Return the URL as it may be shown: without its query."""
        return f"{self.origin}{self.target.partition('?')[0]}"


def tool_identity(identity: str, endpoint: str | None = None) -> str:
    """Return the identity of an HTTP request that is an MCP ``tools/call``, by the target of its endpoint.

    Without ``endpoint`` it is the request's own target, but for the id of a session. A server of the older transport
    draws that id anew at each connection. So it is no part of what was asked for, as little as the header
    Mcp-Session-Id of the newer one: a call after a reconnect has to find the payment that it left open. Two sessions of
    one purse are one buyer's, and their calls at the same time are two purchases all the same.
    """
    lines = identity.split("\n")
    lines[2] = without_session(lines[2]) if endpoint is None else endpoint
    return "\n".join(lines)


def without_session(target: str) -> str:
    """Return a path and query without the parameter in which a server of MCP has the id of a session."""
    path, _, query = target.partition("?")
    kept = [one for one in query.split("&") if _SESSION.match(one) is None]
    return f"{path}?{'&'.join(kept)}" if query and kept else path


def tool_call(endpoint: str, tool: str, arguments: Mapping[str, Any] | None = None) -> tuple[str, BodyDigest]:
    """Return the identity and the digest of an MCP ``tools/call``, the same ones as of its HTTP request.

    The rule: "A JSON-RPC tools/call has one name on HTTP and in MCP alike: endpoint, tool, canonical arguments".
    """
    return tool_identity(HttpRequest.of("POST", endpoint).identity()), tool_digest(tool, arguments)


@dataclass(slots=True, eq=False, repr=False)
class Call:
    """One call of the application: what it asks for, and what happened to it so far."""

    method: str
    origin: Origin
    #: As it may be shown: without query.
    url: str
    #: All that tells the first request of the call from another, but for its body.
    identity: str = field(repr=False)
    mandate: Mandate = field(default_factory=Mandate)
    #: The origin of the first request, if a redirect was followed.
    came_from: Origin | None = None
    #: The digest of that request's body, or why there is none. None: the courier's request has the same body.
    body: BodyDigest | BodyNotReplayable | None = field(default=None, repr=False)
    #: The identity of the request at hand as version 0.1 made it, to name a purchase. "": it is the first one's.
    hop: str = field(default="", repr=False)
    #: The hold that an earlier hop of the same call presented: one call pays at most once.
    paid: Hold | None = None
    attempt: Attempt = field(default_factory=Attempt)
    #: What was signed before the price was counted, if it was. It never left this machine.
    signed: Authorization | None = field(default=None, repr=False)
    #: Whether a signature was asked for: from then on every failure is raised.
    signing: bool = False
    #: What an earlier payment of this purchase ended in, if the policy accepted its loss: once in a call.
    accepted_loss: X402Error | None = None
    #: True if the payment at hand expired: it is presented for the content alone.
    is_over: bool = False
    #: True if the payment at hand expired a short time ago: the chain may yet prove it unused.
    expired_recently: bool = False
    #: True if the payment at hand expired by our clock, and the chain's own says that it did not.
    is_live: bool = False
    #: True if no reader could tell now what became of the payment at hand: what is known was shown before.
    is_silent: bool = False
    #: Where the terms of a delivery are remembered, if they are, and those that this call was signed under.
    memory: Memory | None = None
    #: What is bought at its place, once its body was read. None: nothing that terms are remembered for.
    product: str | bytes | None = None
    terms: Terms | None = field(default=None, repr=False)
    #: When the call began, before its first request left, on the clock that only advances.
    started: float = 0.0
    #: What is bought, once it is known.
    purchase: Purchase | None = None
    #: The record under which others may join this call, or this one joined another.
    running: RunningCall | None = field(default=None, repr=False)
    #: Seconds that it waited for an overdue call.
    waited: float = 0.0
    #: Why the approver is asked although the price is below its threshold: the same request was bought too often. "".
    repeats: str = ""
    #: True if the answer is that to a payment whose purchase an earlier call resolved.
    resolved: bool = False
    #: Why its request takes no sign-in of ours. "": it may have one.
    no_sign_in: str = ""
    #: True for an MCP ``tools/call`` over HTTP, once its body was read.
    tool: bool = False
    #: The target of the endpoint by which a session of MCP above knows such a call. None: the request's own.
    endpoint: str | None = field(default=None, repr=False)
    #: The ``id`` of that call, which its answer repeats. None: it wants no answer.
    number: int | str | None = None

    @property
    def asked(self) -> str:
        """Return a digest of the call's first request, without its body: a quote is bound to it."""
        return hashlib.sha256(self.identity.encode()).hexdigest()

    @property
    def place(self) -> str:
        """Return the name of the place that terms are remembered for. Prices rarely go by the query: it is left out."""
        return f"{self.method} {self.url}"

    @property
    def ending(self) -> Ending:
        """Return what the end of this call's purchase needs. It keeps no claim alive."""
        return Ending(self.method, self.url, self.memory, self.product, self.terms, self.running)

    def is_new(self, hold: Hold) -> bool:
        """Return True if a hold is this call's own, and not an earlier payment of the same purchase."""
        known = hold.authorization
        return known is None or (self.signed is not None and known.nonce == self.signed.nonce)

    def forget_terms(self) -> None:
        """Forget the terms of this seller: what was paid under remembered ones brought no content."""
        if self.memory is not None and self.paid is not None:
            self.memory.refused(self.place, self.product, str(self.origin))
            self.memory = None  # a redirect may still deliver; it teaches nothing


class Ending:
    """The part of a call that the end of its purchase needs. Its attempt is another one, which presents nothing."""

    __slots__ = ("memory", "method", "product", "running", "terms", "url")

    def __init__(
        self,
        method: str,
        url: str,
        memory: Memory | None,
        product: str | bytes | None,
        terms: Terms | None,
        running: RunningCall | None,
    ) -> None:
        self.method: str = method
        self.url: str = url
        self.memory: Memory | None = memory
        self.product: str | bytes | None = product
        self.terms: Terms | None = terms
        self.running: RunningCall | None = running

    @property
    def attempt(self) -> Attempt:
        """Return an attempt of its own, which is over."""
        attempt = Attempt()
        attempt.end()
        return attempt

    @property
    def place(self) -> str:
        """Return the name of the place that terms are remembered for, as ``Call.place``."""
        return f"{self.method} {self.url}"
