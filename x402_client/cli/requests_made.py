"""Makes one request for httpx from a URL and the options -X, -d and -H."""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import httpx

from ..core import BodyDigest, HttpRequest, body_digest
from ..model.offers import words
from .exits import Code
from .running import Stop

#: A method, or the name of a header, by the grammar of HTTP.
_TOKEN = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+", re.ASCII)
#: Headers that say where a body ends. A wrong one would break the request off amid a payment.
_FRAMING = ("content-length", "transfer-encoding")
_KEPT = 1024 * 1024
_CHUNK = 64 * 1024
#: The most characters that are shown of what is no URL.
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class CliRequest:
    """A request, as httpx takes it."""

    method: str
    url: str
    headers: list[tuple[str, str]]
    content: bytes | IO[bytes] | None = field(repr=False, default=None)

    @property
    def keywords(self) -> dict[str, Any]:
        """Return the keywords for ``client.request``, after method and URL."""
        return {"headers": self.headers, **({} if self.content is None else {"content": self.content})}

    def facts(self) -> tuple[HttpRequest, BodyDigest]:
        """Return what names its purchase: the request without its body, and the body's digest."""
        made = httpx.Request(self.method, self.url, headers=self.headers)
        url = f"{made.url.scheme}://{made.url.netloc.decode()}{made.url.raw_path.decode('ascii')}"
        content = self.content if self.content is not None else b""
        kind = made.headers.get("content-type", "")
        digest = body_digest(content if isinstance(content, bytes) else _chunks(content), kind)
        return HttpRequest.of(self.method, url, made.headers), digest


@contextmanager
def cli_request(
    url: str, method: str | None, data: Sequence[str] | None, headers: Sequence[str] | None
) -> Iterator[CliRequest]:
    """Yield the request that these options make."""
    listed = [_header(line) for line in headers or ()]
    content = _body(list(data or ()))
    if content is not None and not any(name.lower() == "content-type" for name, _ in listed):
        listed.append(("Content-Type", _kind(content)))
    try:
        yield CliRequest(_method(method, content is not None), whole_url(url), listed, content)
    finally:
        if content is not None and not isinstance(content, bytes):
            content.close()


def whole_url(text: str) -> str:
    """Return a whole URL: https if no scheme is given, because payments go over it.

    For this machine it is http.
    """
    text = typed = text.strip()
    if "://" not in text:
        host = text.partition("/")[0].rpartition("@")[2]
        name = host if host.startswith("[") else host.partition(":")[0]
        local = name == "localhost" or name.startswith(("127.", "[::1]"))
        text = f"{'http' if local else 'https'}://{text}"
    try:
        parts, _ = urlsplit(text), httpx.URL(text)  # httpx refuses more, in hosts above all
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        sound = sound and parts.hostname not in ("http", "https")  # a colon or a slash was left out
    except (ValueError, httpx.InvalidURL):
        sound = False
    if not sound:
        raise Stop(Code.USAGE, f"{typed[:_SHOWN]!r} is not a URL of a web server; write https://host/path.")
    return text


def shown_url(url: Any) -> str:
    """Return httpx's ``url`` as it may be shown: without user, password and query."""
    return f"{url.scheme}://{url.netloc.decode('ascii', 'replace').rpartition('@')[2]}{url.path}"


def redirect_of(response: Any) -> str:
    """Return where an httpx response leads that was not followed, safe to show; "" if it leads nowhere."""
    following = response.next_request
    if following is None:
        return ""
    return words(shown_url(following.url) + ("?..." if following.url.query else ""), 300)


def no_answer(host: str, failure: Exception) -> str:
    """Return the message about a server that did not answer a request without a payment."""
    late = "in the time of --timeout " if isinstance(failure, httpx.TimeoutException) else ""
    return f"{host} did not answer {late}({named(failure)})."


def named(failure: Exception) -> str:
    """Return a failure's kind, and its message if it has one."""
    return f"{type(failure).__name__}: {failure}" if str(failure) else type(failure).__name__


def _method(given: str | None, has_body: bool) -> str:
    named = given or ("POST" if has_body else "GET")
    if not _TOKEN.fullmatch(named):
        raise Stop(Code.USAGE, f"-X takes a method, like GET, not {named[:_SHOWN]!r}.")
    return named.upper()


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not _TOKEN.fullmatch(name.strip()) or not line.isascii() or set(line) & set("\r\n\0"):
        raise Stop(Code.USAGE, 'A header is written like -H "Name: value", in letters of ASCII.')
    if name.strip().lower() in _FRAMING:
        raise Stop(Code.USAGE, f"{name.strip()} is written by x402 itself: leave that -H out.")
    return name.strip(), value.strip()


def _body(data: list[str]) -> bytes | IO[bytes] | None:
    if not data:
        return None
    if len(data) > 1:
        if any(part == "-" or part.startswith("@") for part in data):
            raise Stop(Code.USAGE, "A file or stdin is a body by itself; give one -d.")
        return "&".join(data).encode("utf-8", "surrogateescape")
    [part] = data
    if part in ("-", "@-"):
        return _stdin()
    if part.startswith("@"):
        try:
            return Path(part[1:]).open("rb")
        except OSError as failure:
            raise Stop(Code.USAGE, f"The file {part[1:]} cannot be read: {failure.strerror}.") from None
    return part.encode("utf-8", "surrogateescape")


def _stdin() -> IO[bytes]:
    """Return all of stdin, on disk.

    A body has to be sent twice, once without and once with the payment.
    """
    kept: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - its sender closes it
    while chunk := sys.stdin.buffer.read(_KEPT):
        kept.write(chunk)
    kept.seek(0)
    return kept


def _chunks(file: IO[bytes]) -> list[bytes]:
    chunks = list(iter(lambda: file.read(_CHUNK), b""))
    file.seek(0)
    return chunks


def _kind(content: bytes | IO[bytes]) -> str:
    if isinstance(content, bytes):
        start = content
    else:
        start = content.read(_KEPT + 1)
        content.seek(0)
    if len(start) > _KEPT:
        return "application/octet-stream"
    try:
        json.loads(start)
    except (ValueError, RecursionError):
        return "application/x-www-form-urlencoded"
    return "application/json"
