"""Cookies that a 402 sets. They go with the payment, as a browser would send them with its next request."""

from __future__ import annotations

import urllib.request
from email.message import Message
from http.cookiejar import CookieJar
from typing import Any, cast


class _SetCookieLines:
    """Set-Cookie lines in the only shape that the standard library's jar reads."""

    def __init__(self, lines: list[str]) -> None:
        self._message = Message()
        for line in lines:
            self._message["Set-Cookie"] = line

    def info(self) -> Message:
        return self._message


def cookie_header(url: str, sent: str, set_lines: list[str]) -> str | None:
    """Return the Cookie header for the request that pays.

    It is what was sent first, overwritten by name with what the 402 set. None if the 402 set nothing that goes back to
    this URL.
    """
    jar = CookieJar()
    request = urllib.request.Request(url)  # noqa: S310 - only ever read by the jar, never opened
    jar.extract_cookies(cast(Any, _SetCookieLines(set_lines)), request)
    jar.add_cookie_header(request)
    fresh = request.get_header("Cookie")
    if not fresh:
        return None
    names = {_name(pair) for pair in fresh.split(";")}
    kept = [pair.strip() for pair in sent.split(";") if pair.strip() and _name(pair) not in names]
    return "; ".join([*kept, fresh])


def _name(pair: str) -> str:
    return pair.partition("=")[0].strip()
