"""The digest of a request's body: a part of its purchase's name, so equal bodies have equal digests and no others.

Parts that a client draws anew for each try are left out: a multipart boundary, and the ``id`` of a JSON-RPC request.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

from ..errors import MalformedQuote
from ..wire.json_text import load_exactly
from ..wire.tool_results import PAYMENT_KEYS, QUOTE_KEY

#: JSON that is larger or nested deeper is not read: its digest is that of its bytes.
_JSON_SIZE, _JSON_DEPTH = 1024 * 1024, 64
_JSON = re.compile(r"(application|text)/(json|json-rpc|jsonrequest|[-a-z0-9.+]+\+json)", re.ASCII)
#: The end of a delimiter line: RFC 2046 allows padding after the boundary.
_LINE_END, _BODY_END = re.compile(rb"(--)?[ \t]{0,64}\r\n"), re.compile(rb"(--)?[ \t]{0,64}\Z")
#: The longest such end.
_LONGEST_END = 68


class BodyDigest(NamedTuple):
    """A body's digest, and the one that version 0.1 made. Older ledgers know the purchase by that."""

    digest: bytes
    former: bytes
    #: True if the body of an HTTP request is an MCP ``tools/call``.
    tool: bool = False
    #: True if such a call carries its payment itself, or asks for the price alone: then it is not ours to pay.
    hands_off: bool = False
    #: The ``id`` of such a call. None: it wants no answer.
    number: int | str | None = None
    #: What the terms of a delivery hold for: a tool, by its name, or this very body. None: for no other request.
    product: str | bytes | None = None
    #: True if the body is, or may be, a message of JSON-RPC: all messages go to one address.
    is_message: bool = False

    @property
    def wants_no_answer(self) -> bool:
        """Return True if the body is a notification of JSON-RPC, or anything else that terms hold for only once."""
        return self.is_message and self.product is None


class RunningDigest(Protocol):
    """The digest of a body that comes chunk by chunk."""

    def add(self, chunk: bytes | bytearray | memoryview) -> None:
        """Take the next chunk."""
        ...

    def value(self) -> BodyDigest:
        """Return the digest of all that came."""
        ...


def body_digest(content: bytes | Iterable[bytes], content_type: str = "") -> BodyDigest:
    """Return the digest of a body, given whole or in chunks, by the rules of its content type."""
    found = running_digest(content_type)
    for chunk in (content,) if isinstance(content, bytes) else content:
        found.add(chunk)
    return found.value()


def running_digest(content_type: str) -> RunningDigest:
    """Return an empty digest that goes by the rules of a content type."""
    kind, _, parameters = content_type.partition(";")
    kind = kind.strip().lower()
    if kind.startswith("multipart/"):
        boundary = _boundary(parameters)
        return _Multipart(boundary) if boundary else _Bytes()
    return _JsonRpc() if _JSON.fullmatch(kind) else _Bytes()


def tool_digest(tool: str, arguments: Mapping[str, Any] | None = None) -> BodyDigest:
    """Return the digest of an MCP ``tools/call``: that of its JSON-RPC request, too."""
    digest = _named(_tool(tool, arguments or {}))
    return BodyDigest(digest, digest, product=tool, is_message=True)


class _Bytes:
    """A digest of the bytes as they are."""

    def __init__(self) -> None:
        self._raw = hashlib.sha256()

    def add(self, chunk: bytes | bytearray | memoryview) -> None:
        self._raw.update(chunk)

    def value(self) -> BodyDigest:
        raw = self._raw.digest()
        return BodyDigest(raw, raw, product=raw)


class _JsonRpc(_Bytes):
    """A digest of what a JSON-RPC body asks for. Any other JSON keeps the digest of its bytes."""

    def __init__(self) -> None:
        super().__init__()
        self._content = bytearray()

    def add(self, chunk: bytes | bytearray | memoryview) -> None:
        super().add(chunk)
        self._content += memoryview(chunk)[: _JSON_SIZE + 1 - len(self._content)]

    def value(self) -> BodyDigest:
        raw, content = self._raw.digest(), bytes(self._content)
        # The name of the protocol stands in every such body, so most others need no reading.
        if len(content) > _JSON_SIZE or b'"jsonrpc"' not in content:
            return BodyDigest(raw, raw, product=raw, is_message=len(content) > _JSON_SIZE)
        try:
            document = load_exactly(content, _JSON_DEPTH)
        except MalformedQuote:  # "duplicate names or a body that does not parse leave it as it is"
            return BodyDigest(raw, raw, product=raw, is_message=True)
        meant = _meaning(document)
        digest = raw if meant is None else _named(meant)
        tool = _is_tool(document)
        hands_off = b"x402" in content and _pays_itself(document)
        number = document.get("id") if tool else None
        return BodyDigest(digest, raw, tool, hands_off, number, _product(document, meant, digest), is_message=True)


def _meaning(document: Any) -> Any:
    """Return what a JSON-RPC document asks for, or None if it is none."""
    if not isinstance(document, list):
        return _member(document)
    members = [_member(one) for one in document]
    return ["batch", members] if members and None not in members else None


def _product(document: Any, meant: Any, digest: bytes) -> str | bytes | None:
    """Return what the terms of a delivery hold for: all messages of JSON-RPC go to one address.

    A message that wants no answer has the digest of the one that does, and is never the same purchase.
    """
    if meant is None:
        return digest
    if meant[0] == "batch" or document.get("id") is None or not isinstance(document.get("method"), str):
        return None
    return str(meant[1]) if meant[0] == "tools/call" else digest


def _is_tool(document: Any) -> bool:
    return isinstance(document, dict) and document.get("method") == "tools/call"


def _pays_itself(document: Any) -> bool:
    """Return True if a call in a document has its payment in its ``_meta``, or a word that it asks for the price."""
    for member in document if isinstance(document, list) else [document]:
        params = member.get("params") if isinstance(member, dict) else None
        meta = params.get("_meta") if isinstance(params, dict) else None
        if isinstance(meta, dict) and not meta.keys().isdisjoint((*PAYMENT_KEYS, QUOTE_KEY)):
            return True
    return False


def _member(document: Any) -> Any:
    """Return what one JSON-RPC object asks for, without ``id`` and ``_meta.progressToken``."""
    if not isinstance(document, dict) or document.get("jsonrpc") != "2.0":
        return None
    params = document.get("params")
    if isinstance(params, dict):
        tool, given = params.get("name"), params.get("arguments")
        arguments = {} if given is None else given
        if document.get("method") == "tools/call" and isinstance(tool, str) and isinstance(arguments, dict):
            return _tool(tool, arguments)
        document = {**document, "params": _without_token(params)}
    return ["object", {name: value for name, value in document.items() if name != "id"}]


def _tool(tool: str, arguments: Mapping[str, Any]) -> list[Any]:
    return ["tools/call", tool, arguments]


def _without_token(params: dict[str, Any]) -> dict[str, Any]:
    meta = params.get("_meta")
    if not isinstance(meta, dict) or "progressToken" not in meta:
        return params
    rest = {name: value for name, value in meta.items() if name != "progressToken"}
    return {**params, "_meta": rest} if rest else {name: value for name, value in params.items() if name != "_meta"}


def _named(meant: Any) -> bytes:
    text = json.dumps(_one_form(meant), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(b"JSON-RPC\0" + text.encode()).digest()


def _one_form(value: Any) -> Any:
    """Return a value of JSON whose whole numbers are whole: RFC 8785 writes 1.0 as 1, and so does JavaScript.

    It is the number as it was written, digit for digit, and no neighbour of it: large ones stay apart.
    """
    if isinstance(value, dict):
        return {name: _one_form(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_one_form(one) for one in value]
    return int(Decimal(float.__repr__(value))) if isinstance(value, float) and value.is_integer() else value


class _Multipart:
    """A digest of the parts. The boundary is left out "on delimiter lines only".

    Strategy: the digests of all that stands between the delimiter lines are digested once more, so no content can look
    like a delimiter. What may be the beginning of a delimiter line is kept until the next chunk.
    """

    def __init__(self, boundary: bytes) -> None:
        self._line = b"\r\n--" + boundary
        self._parts, self._part = hashlib.sha256(), hashlib.sha256()
        #: The two bytes before what was not digested yet. A body begins with a line.
        self._before, self._rest = b"\r\n", b""
        self._former = _FormerMultipart(boundary)

    def add(self, chunk: bytes | bytearray | memoryview) -> None:
        self._former.add(chunk)
        text, done, at = self._before + self._rest + chunk, 2, 0
        while (at := text.find(self._line, at)) >= 0:
            end = _LINE_END.match(text, at + len(self._line))
            if end is None:
                at += 2
                continue
            done = self._delimiter(text[done : at + 2], end)
            at = done - 2  # the end of this line may be the beginning of the next
        keep = max(done, len(text) - len(self._line) - _LONGEST_END)
        self._part.update(text[done:keep])
        self._before, self._rest = text[keep - 2 : keep], text[keep:]

    def value(self) -> BodyDigest:
        text, done = self._before + self._rest, 2
        at = text.rfind(self._line)
        end = None if at < 0 else _BODY_END.match(text, at + len(self._line))
        if end is not None:
            done = self._delimiter(text[done : at + 2], end)
        self._part.update(text[done:])
        self._parts.update(self._part.digest())
        found = self._parts.digest()
        return BodyDigest(found, self._former.value(), product=found)

    def _delimiter(self, content: bytes, end: re.Match[bytes]) -> int:
        """Close the part that a delimiter line ends. Return where the line ends."""
        self._part.update(content)
        self._parts.update(self._part.digest() + (b"--" if end[1] else b"\r\n"))
        self._part = hashlib.sha256()
        return end.end()


class _FormerMultipart:
    """A digest as version 0.1 made it: the boundary is left out wherever its bytes stand."""

    def __init__(self, boundary: bytes) -> None:
        self._boundary, self._found, self._tail = boundary, hashlib.sha256(), b""

    def add(self, chunk: bytes | bytearray | memoryview) -> None:
        # The boundary may lie across two chunks, so its length less one is carried over.
        text = (self._tail + chunk).replace(self._boundary, b"")
        cut = max(0, len(text) - len(self._boundary) + 1)
        self._found.update(text[:cut])
        self._tail = text[cut:]

    def value(self) -> bytes:
        self._found.update(self._tail)
        return self._found.digest()


def _boundary(parameters: str) -> bytes:
    for parameter in parameters.split(";"):
        name, _, value = parameter.strip().partition("=")
        if name.lower() == "boundary":
            return value.strip('"').encode()
    return b""


#: The digest of no body.
NOTHING = body_digest(b"")
