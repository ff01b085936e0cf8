"""Answers of the seller, and the manner in which they reach the client: whole, in small pieces, or not at all."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Manner = Literal["whole", "truncated", "dripped", "endless", "dropped", "reset", "silent"]


@dataclass(frozen=True, slots=True)
class Request:
    """Request, read to its end."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """Response. ``wait`` seconds pass before it is sent. One with status 0 is never sent."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    manner: Manner = "whole"
    wait: float = 0.0


def page(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """Answer with text or bytes as they are, or with anything else as JSON."""
    if isinstance(content, (str, bytes)):
        body = content.encode() if isinstance(content, str) else content
        kind = "text/plain; charset=utf-8" if isinstance(content, str) else "application/octet-stream"
    else:
        body, kind = json.dumps(content).encode(), "application/json"
    return Answer(status, body, {"Content-Type": kind, **(headers or {})})


def redirect(to: str, status: int, headers: Mapping[str, str] | None = None) -> Answer:
    """Answer with a redirect."""
    return Answer(status, headers={"Location": to, **(headers or {})})


def silence(manner: Manner) -> Answer:
    """Give no answer."""
    return Answer(0, manner=manner)


def sealed(document: Any) -> str:
    """Encode JSON for a header, in base64."""
    return base64.b64encode(json.dumps(document).encode()).decode()


def opened(header: str) -> dict[str, Any] | None:
    """Return the JSON object of a header, or None."""
    try:
        document = json.loads(base64.b64decode(header, validate=True))
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
