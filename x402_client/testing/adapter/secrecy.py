"""Tests of secrecy: neither the payment nor its key shows in anything that a caller, a log or a tool can see."""

from __future__ import annotations

import base64
import json
import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ...errors import causes
from ...policy.policy import Policy
from . import spoiling
from .base import POLICY, SHORT, AdapterTestCase, Answer
from .gate import Script
from .marks import reachable

ENDS: dict[str, Script | None] = {
    "the content": None,
    "an error page": spoiling.fail_after_settling,
    "a second 402": spoiling.ask_again,
    "no answer": spoiling.drop_after_settling,
    "a reset": spoiling.reset_after_settling,
    "silence": spoiling.hang_after_settling,
    "half of the content": spoiling.cut_body,
    "content that hangs": spoiling.hang_body,
    "a redirect": spoiling.redirect_after_settling("/free"),
}
#: The ends for which a caller's time has to run out.
SILENT = ("silence", "content that hangs")


class Secrecy(AdapterTestCase):
    """Tests of one call with each end, and of everything that is left of it."""

    @pytest.mark.parametrize("end", ENDS)
    def test_no_payment_and_no_key_shows_after(self, end: str) -> None:
        self.see_nothing([end])

    @pytest.mark.parametrize("end", ["no answer", "a second 402", "half of the content", "an error page"])
    def test_no_payment_shows_when_it_is_presented_again(self, end: str) -> None:
        self.see_nothing([end, end])

    def test_no_key_shows_after_a_refusal(self) -> None:
        self.see_nothing([], Policy(per_request="0.001"))

    def see_nothing(self, ends: list[str], policy: Policy = POLICY) -> None:
        """Make a call for each end. Check that nothing that is left shows a secret."""
        buyer = self.buyer(policy, settle_timeout=SHORT)
        client = self.paying(buyer)
        self.gate.spoil(*(ENDS[end] for end in ends))
        with logged() as records:
            left = [self.tried(client, end) for end in ends or [""]]
        assert len(self.gate.payments) == len(ends)
        assert [place for one in left for place in self.shown(one, records, [buyer, client])] == []

    def tried(self, client: Any, end: str) -> Answer | BaseException:
        """Return the answer, or the error that was raised instead."""
        if end in SILENT:
            return self.fails_paid(client)
        try:
            return self.get(client)
        except Exception as failure:
            return failure

    def shown(self, left: Answer | BaseException, records: list[str], others: list[Any]) -> list[str]:
        """Return the places where a secret shows."""
        secrets = [*secrets_of(self.gate.payments), self.key.removeprefix("0x")]
        texts = [("the log", record) for record in records]
        texts += [(f"the repr of {type(one).__name__}", f"{one!r} {one}") for one in others]
        texts += list(of_failure(left) if isinstance(left, BaseException) else of_answer(left))
        return sorted({where for where, text in texts for secret in secrets if secret.lower() in text.lower()})


def secrets_of(payments: list[str]) -> list[str]:
    """Return the texts with which anybody could settle: each header, a long part of it, and the signature in it."""
    found = [*payments, *(payment[100:160] for payment in payments)]
    for payment in payments:
        payload = json.loads(base64.b64decode(payment))["payload"]
        found.append(str(payload["signature"]).removeprefix("0x"))
    return found


def of_answer(answer: Answer) -> Iterator[tuple[str, str]]:
    """Yield all that a caller can see of an answer."""
    yield "the answer", f"{answer!r} {answer.headers!r}"
    yield from of_reachable("the response", answer.native)


def of_failure(failure: BaseException) -> Iterator[tuple[str, str]]:
    """Yield all that a caller, or a tool that prints tracebacks with their variables, can see of a failure."""
    drawn = traceback.TracebackException.from_exception(failure, capture_locals=True)
    yield "the traceback", "".join(drawn.format())
    for link in causes(failure):
        name = type(link).__name__
        yield f"the text of {name}", f"{link!r} {link} {vars(link)!r}"
        yield from of_reachable(name, link)


def of_reachable(name: str, start: Any) -> Iterator[tuple[str, str]]:
    """Yield everything that public attributes refer to, as text."""
    for way, thing in reachable(start):
        yield f"{name}{way.removeprefix('it')}", _text(thing)


def _text(thing: Any) -> str:
    if isinstance(thing, (bytes, bytearray)):
        return bytes(thing).decode("latin-1")
    try:
        return f"{thing!r} {thing}"
    except Exception:
        return ""


@contextmanager
def logged() -> Iterator[list[str]]:
    """Collect every log record, of every logger at every level."""
    records: list[str] = []
    handler = logging.Handler(0)
    handler.emit = lambda record: records.append(f"{record.getMessage()} {record.__dict__!r}")  # type: ignore[method-assign]
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(0)
    try:
        yield records
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
