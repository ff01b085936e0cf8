"""``x402 get``: the body goes to stdout, all else to stderr, and a question comes before any payment."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Annotated, Any

import httpx
import typer

from ...errors import ApprovalDenied, NoAcceptableOffer, TooExpensive, X402Error, find
from ...httpx import wrap
from ...model.holds import Hold
from ...model.money import Money
from ...receipts import outcome
from .. import options
from ..approving import Approving
from ..buying import Choices, amount, buying, left
from ..exits import Code, code_of, table
from ..reporting import Report, Watching
from ..requests_made import CliRequest, cli_request
from ..running import Stop, command, in_commands, leave
from ..screen import say, swallow_pipe

_CHUNK = 64 * 1024
HELP = f"""Fetch URL, and pay for it if that is what it takes.

The body goes to stdout and nothing else does. On a terminal you are asked before anything is paid; in a script, --yes
pays within the policy, and --max 0.05 pays up to that much. With neither, nothing is paid. A policy with approve_above
is asked about above its threshold only.

The same command again after an unclear end presents the same payment again and never pays twice. --json writes one
JSON object to stderr, as its last line, instead of text.

\b
{table()}
"""


@command
def get(
    url: options.Url,
    method: options.Method = None,
    data: options.Data = None,
    header: options.Headers = None,
    output: Annotated[
        options.MaybePath, typer.Option("-o", "--output", metavar="FILE", help="Write the body to a file.")
    ] = None,
    location: Annotated[bool, typer.Option("-L", "--location", help="Follow redirects.")] = False,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Pay without asking, within the policy.")] = False,
    most: Annotated[
        options.MaybeText, typer.Option("--max", metavar="AMOUNT", help="Pay up to this without asking, like 0.05.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be paid, and pay nothing.")] = False,
    as_json: options.AsJson = False,
    key: Annotated[
        options.MaybeText,
        typer.Option(
            "--key",
            metavar="NAME",
            help="A name for this purchase: under it one payment is made, ever. No private key.",
        ),
    ] = None,
    policy: options.PolicyFile = None,
    ledger: options.LedgerAt = None,
    must_exist: options.MustExist = False,
    purse: options.Purse = "default",
    wallet: options.WalletAt = None,
    passphrase_file: options.PassphraseFile = None,
    rpc: options.Rpc = None,
    timeout: options.Timeout = 30.0,
) -> None:
    """Fetch a URL. The help of the command is ``HELP``."""
    choices = Choices(policy, ledger, purse, wallet, passphrase_file, tuple(rpc or ()), amount(most), must_exist)
    with cli_request(url, method, data, header) as request:
        if dry_run:
            from .quote import dry_run as tell

            tell(request, choices, as_json, location, timeout)
            return
        fetch = _Fetch(request, choices, Approving(yes, choices.most), as_json, key)
        fetch.run(output, location, timeout)


class _Fetch:
    """The fetch of one URL, from the first byte to the final report."""

    def __init__(
        self, request: CliRequest, choices: Choices, approving: Approving, as_json: bool, key: str | None
    ) -> None:
        self.request, self.choices, self.approving, self.key = request, choices, approving, key
        self.report = Report(request, as_json)
        self.watching = Watching(quiet=as_json)

    def run(self, output: Path | None, follow: bool, timeout: float) -> None:
        """Fetch the URL. In every case the final report says what became of the money."""
        try:
            with ExitStack() as stack:
                sink = stack.enter_context(_sink(output))
                buyer, found = stack.enter_context(buying(self.choices, approve=self.approving, on_event=self.watching))
                stack.callback(self.watching.stop)
                self.approving.ready(buyer, found)
                code = self._exchange(stack, buyer, sink, follow, timeout)
        except BrokenPipeError:
            swallow_pipe()
            self._end(Code.PIPE, "")
        except KeyboardInterrupt:
            self._end(Code.INTERRUPTED, "Interrupted.")
        except (X402Error, httpx.HTTPError, Stop, OSError) as failure:
            self._failed(failure)
        else:
            self._end(code, "" if code is Code.OK else self.report.trouble())

    def _exchange(self, stack: ExitStack, buyer: Any, sink: IO[bytes], follow: bool, timeout: float) -> Code:
        client = stack.enter_context(wrap(httpx.Client(timeout=timeout, follow_redirects=follow), buyer))
        if self.key is not None or self.choices.most is not None:
            stack.enter_context(buyer.purchase(key=self.key, per_request=self.choices.most))
        asked_for = self.request
        with client.stream(asked_for.method, asked_for.url, **asked_for.keywords) as response:
            self.report.answered(response.status_code, outcome(response))
            last = b""
            for chunk in response.iter_bytes(_CHUNK):
                sink.write(chunk)
                last = chunk
            sink.flush()
        if sink is sys.stdout.buffer and last[-1:] not in (b"\n", b"") and sys.stdout.isatty():
            say("")  # what we say next begins on a line of its own
        paid = self.report.outcome
        if paid is not None:
            self.report.left = left(buyer, paid.hold.host, paid.hold.price.currency)
        return self.report.code()

    def _failed(self, failure: Exception) -> None:
        ours = find(failure)
        presented = self.watching.presented
        if isinstance(failure, Stop):
            self._end(failure.code, str(failure))
        if ours is not None:
            self.report.failed(ours)
            self._end(self.approving.code or code_of(ours), self._explained(ours))
        if isinstance(failure, OSError):
            self._end(Code.WRONG, f"The body cannot be written: {failure.strerror}.{_claim_advice(presented)}")
        said = f"{type(failure).__name__}: {failure}" if str(failure) else type(failure).__name__
        if presented is not None:
            self._end(Code.UNKNOWN, f"The answer broke off ({said}).{_claim_advice(presented)}")
        self._end(Code.UNREACHABLE, f"{self.report.host} did not answer ({said}). Nothing was paid.")

    def _explained(self, error: X402Error) -> str:
        if isinstance(error, ApprovalDenied) and self.approving.problem:
            return self.approving.problem
        return f"{in_commands(error)}{self._hint(error)}"

    def _hint(self, error: X402Error) -> str:
        careful = self.choices.policy is None and self.choices.most is None
        if isinstance(error, TooExpensive) and isinstance(error.asked, Money) and careful:
            number = str(error.asked).removesuffix(" USD")
            return f" Without a --policy a request may cost 0.10 USD; --max {number} allows this one."
        return " `x402 quote` shows every offer." if isinstance(error, NoAcceptableOffer) else ""

    def _end(self, code: Code, message: str) -> None:
        self.watching.stop()
        if code is Code.INTERRUPTED and self.watching.presented is not None and not self.watching.delivered:
            message += _claim_advice(self.watching.presented)
        self.report.tell(code, message)
        leave(code, "" if self.report.as_json else message)


def _claim_advice(hold: Hold | None) -> str:
    """Return the advice about a payment that may be gone."""
    if hold is None:
        return ""
    return (
        f" A payment of {hold.price} left for {hold.host}: the same command again presents that same payment and does "
        f"not pay twice. `x402 ledger holds` shows it (hold {hold.id})."
    )


@contextmanager
def _sink(output: Path | None) -> Iterator[IO[bytes]]:
    """Open the place for the body. A file appears whole or not at all.

    If it cannot be written, that is found before paying.
    """
    if output is None:
        yield sys.stdout.buffer
        return
    place = output if output.is_symlink() or not output.exists() else output.resolve()
    if place.exists() and not place.is_file():
        with _opened(place) as file:
            yield file
        return
    try:
        handle, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.")
    except OSError as failure:
        raise Stop(Code.USAGE, f"{output} cannot be written: {failure.strerror}. Nothing was fetched.") from None
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        umask = os.umask(0)
        os.umask(umask)
        part.chmod(0o666 & ~umask)
        part.replace(place)
    finally:
        part.unlink(missing_ok=True)


def _opened(place: Path) -> IO[bytes]:
    """Open a device or a pipe."""
    try:
        return place.open("wb")
    except OSError as failure:
        raise Stop(Code.USAGE, f"{place} cannot be written: {failure.strerror}. Nothing was fetched.") from None


get.__doc__ = HELP
