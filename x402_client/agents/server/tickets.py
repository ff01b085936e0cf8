"""Questions that wait for an answer which comes with the same call once more. Each is good for one answer."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from dataclasses import dataclass
from typing import Any

from .questions import Question

_MOST = 100


@dataclass(frozen=True, slots=True)
class Ticket:
    """A question that went out, the call that it is about, and the time until which an answer counts."""

    question: Question
    call: str
    until: float

    @property
    def in_time(self) -> bool:
        """Return True while an answer counts."""
        return time.monotonic() <= self.until


class Tickets:
    """The questions that are out, by a name that cannot be guessed. They live as long as this process."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._out: dict[str, Ticket] = {}

    def issue(self, question: Question, call: str) -> str:
        """Keep a question, and return its name."""
        while len(self._out) >= _MOST:  # those that are never answered
            del self._out[next(iter(self._out))]
        name = secrets.token_urlsafe(16)
        self._out[name] = Ticket(question, call, time.monotonic() + self._seconds)
        return name

    def take(self, name: Any, call: str) -> Ticket | None:
        """Return the question of a name, once, if it is about this call."""
        found = self._out.pop(name, None) if isinstance(name, str) else None
        return found if found is not None and found.call == call else None


def call_name(tool: str, arguments: Any) -> str:
    """Return a name for a tool with its arguments."""
    written = json.dumps([tool, arguments], sort_keys=True, default=repr)
    return hashlib.sha256(written.encode("utf-8", "surrogatepass")).hexdigest()
