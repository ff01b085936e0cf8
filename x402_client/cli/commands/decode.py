"""``x402 decode``: shows any header or body of either version, with all that is wrong with it."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from ...chains.tokens import Tokens
from ...errors import ConfigurationError
from ...model.money import Token
from .. import options
from ..buying import Choices, policy_of
from ..decoding.answers import check_header, compare
from ..decoding.findings import Level, Reading, opened
from ..decoding.payments import read_payment, read_receipt
from ..decoding.sign_ins import is_sign_in, read_sign_in_header
from ..decoding.statements import is_statement, read_one_statement
from ..decoding.terms import read_terms
from ..decoding.tools import read_tool_answer
from ..exits import Code
from ..own_words import in_own_words
from ..running import Stop, asking
from ..screen import facts, say, show, show_json

_HEADER = re.compile(
    r"^[ \t<]*(payment-required|x-payment-required|payment-signature|x-payment|payment-response|x-payment-response"
    r"|sign-in-with-x)"
    r"[ \t]*:[ \t]*(\S.*?)[ \t\r]*$",
    re.IGNORECASE | re.MULTILINE | re.ASCII,
)
_MOST = 4 * 1024 * 1024
_STYLES: dict[Level, str] = {"wrong": "red", "tolerated": "yellow", "note": "dim"}


@asking
def decode(
    blob: Annotated[
        str,
        typer.Argument(metavar="BLOB|-", show_default=False, help="A header's value or line, JSON, or - for stdin."),
    ],
    policy: options.PolicyFile = None,
    as_json: options.AsJson = False,
) -> None:
    """Show what a payment header or a 402's body says, and all that is wrong with it. Sends no request.

    Takes PAYMENT-REQUIRED, X-PAYMENT, PAYMENT-SIGNATURE, X-PAYMENT-RESPONSE, PAYMENT-RESPONSE, SIGN-IN-WITH-X, the JSON
    of a 402, the result of an MCP tool, and a signed offer or receipt; on stdin also a whole answer, as `curl -i` shows
    it. Of that it says whether the header's terms or the body's would be paid. Signatures are checked and not shown.
    Exits with 1 if something is wrong.
    """
    text = sys.stdin.buffer.read(_MOST).decode("utf-8", "replace") if blob == "-" else blob
    if not text.strip():
        raise Stop(Code.USAGE, "There is nothing to decode.")
    readings = read_answer(text, _vouched(policy))
    if as_json:
        show_json([document(reading) for reading in readings])
    else:
        for reading in readings:
            draw(reading)
    if not all(reading.sound for reading in readings):
        raise Stop(Code.WRONG)


def _vouched(policy: Path | None) -> tuple[Token, ...]:
    """Return the tokens that a policy file vouches for. Without the file the rest can be read all the same."""
    try:
        return policy_of(Choices(policy)).tokens
    except ConfigurationError as problem:
        say(f"{in_own_words(str(problem.args[0]))} Its tokens are not known here.", "yellow")
        return ()


def parts(text: str) -> list[tuple[str, str]]:
    """Return the headers in a text, by name. A text without any is one value."""
    found = [(match[1].upper(), match[2]) for match in _HEADER.finditer(text)]
    body = text.replace("\r\n", "\n").partition("\n\n")[2].lstrip("\ufeff")
    if (found or text.startswith("HTTP/")) and body.strip().startswith("{") and '"x402Version"' in body:
        found.append(("the body", body))
    return found or [("", text)]


def read_answer(text: str, vouched: Iterable[Token] = ()) -> list[Reading]:
    """Read each part of a text, and what the parts of one answer mean for each other."""
    found = parts(text)
    readings = [read_text(value, vouched=vouched) for _, value in found]
    compare(text, found, readings)
    for (name, _), reading in zip(found, readings, strict=True):
        check_header(name, reading)
        reading.title = f"{name}: {reading.title}" if name else reading.title
    return readings


def read_text(text: str, name: str = "", asked_url: str = "", vouched: Iterable[Token] = ()) -> Reading:
    """Read one value of any kind. ``vouched`` are tokens known on top of the table."""
    reading = Reading("")
    found: Any = opened(text, reading)
    if not isinstance(found, dict):
        reading.title = "not x402"
        if found is not None:
            reading.wrong("JSON", "it is not an object")
    elif is_statement(found):
        read_one_statement(found, reading)
    elif "accepts" in found:
        read_terms(found, reading, Tokens(vouched), asked_url)
    elif "payload" in found:
        read_payment(found, reading)
    elif "success" in found:
        read_receipt(found, reading)
    elif is_sign_in(found):
        read_sign_in_header(found, reading)
    elif read_tool_answer(found, reading, Tokens(vouched)):
        pass
    else:
        reading.title = "not x402"
        reading.wrong("JSON", "it has neither accepts (terms), payload (a payment) nor success (a receipt)")
    reading.title = f"{name}: {reading.title}" if name else reading.title
    return reading


def draw(reading: Reading) -> None:
    """Show a reading on the screen."""
    show(reading.title[:1].upper() + reading.title[1:], "bold")
    facts(("  " + name, value) for name, value in reading.facts)
    draw_findings(reading)


def draw_findings(reading: Reading, none: str = "Nothing is wrong with it.") -> None:
    """Show all that is wrong, worst first; ``none`` if nothing was found."""
    order: tuple[Level, ...] = ("wrong", "tolerated", "note")
    for level in order:
        for finding in reading.findings:
            if finding.level == level:
                show(f"  {level}: {finding.where}: {finding.text}", _STYLES[level])
    if not reading.findings:
        show(f"  {none}", "green")


def document(reading: Reading) -> dict[str, Any]:
    """Return a reading as JSON."""
    return {
        "what": reading.title,
        "facts": [{"name": name, "value": value} for name, value in reading.facts],
        "findings": [{"level": f.level, "where": f.where, "text": f.text} for f in reading.findings],
    }
