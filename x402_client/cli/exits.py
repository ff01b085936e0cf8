"""The exit codes of the command. Scripts rely on them: they do not change."""

from __future__ import annotations

from enum import IntEnum
from textwrap import wrap

from .. import errors

#: The table of exit codes fits a terminal of 60 columns, with the blanks before it.
_WIDTH = 58


class Code(IntEnum):
    """Exit codes."""

    OK = 0
    WRONG = 1
    USAGE = 2
    REFUSED = 3
    NOT_SENT = 4
    NONSENSE = 5
    REJECTED = 6
    UNKNOWN = 7
    UNDELIVERED = 8
    ALREADY_PAID = 9
    UNREACHABLE = 10
    HTTP = 22
    INTERRUPTED = 130
    PIPE = 141


MEANING = {
    Code.OK: "all went well",
    Code.WRONG: "decode, doctor: something is wrong; unfreeze: nothing was lifted; else: a fault of x402",
    Code.USAGE: "command line, wallet or policy file cannot work; not paid",
    Code.REFUSED: "we decided not to pay: policy, limit, or the answer was not yes",
    Code.NOT_SENT: "not paid: the ledger, a chain or the signer failed",
    Code.NONSENSE: "not paid: the server's terms make no sense",
    Code.REJECTED: "the seller saw the payment and asked again; counted",
    Code.UNKNOWN: "a payment left, no usable answer; run the same again",
    Code.UNDELIVERED: "paid, and not delivered",
    Code.ALREADY_PAID: "this --key was paid before; nothing was sent",
    Code.UNREACHABLE: "not paid: no connection to the server",
    Code.HTTP: "not paid: the server answered 400 or more, or led elsewhere",
    Code.INTERRUPTED: "interrupted with Ctrl-C",
    Code.PIPE: "the reader of our output went away",
}

_OF_ERRORS: tuple[tuple[type[errors.X402Error], Code], ...] = (
    (errors.ConfigurationError, Code.USAGE),
    (errors.PaymentRefused, Code.REFUSED),
    (errors.PaymentNotSent, Code.NOT_SENT),
    (errors.QuoteError, Code.NONSENSE),
    (errors.PaymentRejected, Code.REJECTED),
    (errors.PaymentOutcomeUnknown, Code.UNKNOWN),
    (errors.PaidNotDelivered, Code.UNDELIVERED),
    (errors.AlreadyPaid, Code.ALREADY_PAID),
    (errors.DiscoveryUnavailable, Code.UNREACHABLE),
)


def code_of(error: errors.X402Error) -> Code:
    """Return the exit code of one of our errors."""
    return next((code for kind, code in _OF_ERRORS if isinstance(error, kind)), Code.WRONG)


def table() -> str:
    """Return the exit codes for the help, one a line."""
    lines = (
        wrap(meaning, _WIDTH, initial_indent=f"{code:>3}  ", subsequent_indent=" " * 5)
        for code, meaning in MEANING.items()
    )
    return "\n".join(["Exit codes:", *(line for lines_of_one in lines for line in lines_of_one)])
