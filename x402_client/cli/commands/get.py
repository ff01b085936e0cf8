"""``x402 get``: the body goes to stdout, all else to stderr, and a question comes before any payment."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import IO, Annotated, Any

import httpx
import typer

from ...buyer.answers import ledger_answers
from ...buyer.buyer import Buyer
from ...core.drive import run
from ...core.last_answer import note_break
from ...errors import ApprovalDenied, NoAcceptableOffer, OverLimit, TooExpensive, X402Error, find
from ...httpx import wrap
from ...model.holds import Hold
from .. import options
from ..approving import Approving
from ..bodies import BodyWriter, body_sink, file_trouble
from ..buying import Choices, amount, buying, check_spelling, left, payer_of
from ..exits import Code, code_of, table
from ..reporting import SAME_COMMAND, Report, Watching
from ..requests_made import CliRequest, cli_request, named, no_answer
from ..running import NOTHING_PAID, Stop, command, fault, in_commands, leave
from ..screen import swallow_pipe
from ..too_expensive import with_cure
from ..vocabulary import advice, shown_by

HELP = f"""Fetch URL, and pay for it if that is what it takes.

The body goes to stdout and nothing else does. On a terminal you are asked before anything is paid; in a script, --yes
pays within the policy, and --max 0.05 pays up to that much. With neither, nothing is paid. With approve_above in
the policy, what is not above it is paid without either; above it you are asked, and --yes and --max answer.

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
        options.MaybePath,
        typer.Option("-o", "--output", metavar="FILE", help="Write the body to a file, an error page, too."),
    ] = None,
    location: Annotated[bool, typer.Option("-L", "--location", help="Follow redirects.")] = False,
    yes: Annotated[
        bool, typer.Option("-y", "--yes", help="Pay without asking, within the policy, above its approve_above too.")
    ] = False,
    most: Annotated[
        options.MaybeText, typer.Option("--max", metavar="AMOUNT", help="Pay up to this without asking, like 0.05.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be paid, and pay nothing.")] = False,
    as_json: options.AsJson = False,
    key: options.Key = None,
    policy: options.PolicyFile = None,
    ledger: options.LedgerAt = None,
    must_exist: options.MustExist = False,
    purse: options.Purse = "default",
    under: options.Under = None,
    wallet: options.WalletAt = None,
    passphrase_file: options.PassphraseFile = None,
    rpc: options.Rpc = None,
    timeout: options.PayingTimeout = 30.0,
) -> None:
    """Fetch a URL. The help of the command is ``HELP``."""
    choices = Choices(
        policy, ledger, purse, wallet, passphrase_file, tuple(rpc or ()), amount(most), must_exist, under=under
    )
    with cli_request(url, method, data, header) as request:
        if dry_run:
            from .quote import dry_run as tell

            tell(request, choices, as_json, location, timeout, key, yes or choices.most is not None)
            return
        check_spelling(choices)
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
        self.body = BodyWriter()
        #: The payment that left, as the ledger has it when the command ends.
        self.kept: Hold | None = None

    def run(self, output: Path | None, follow: bool, timeout: float) -> None:
        """Fetch the URL. In every case the final report says what became of the money."""
        try:
            with ExitStack() as stack:
                sink = stack.enter_context(body_sink(output, self.body))
                buyer, found = stack.enter_context(buying(self.choices, approve=self.approving, on_event=self.watching))
                stack.callback(self.watching.stop)
                self.approving.ready(buyer, found)
                stack.push(partial(self._look_up, buyer))
                with ExitStack() as request:
                    code = self._exchange(request, buyer, sink, follow, timeout)
        except BrokenPipeError:
            swallow_pipe()
            self._end(Code.PIPE, "")
        except KeyboardInterrupt:
            self._end(Code.INTERRUPTED, self._interrupted())
        except Exception as failure:
            self._failed(failure)
        else:
            self._end(code, "" if code is Code.OK else self.report.trouble())

    def _exchange(self, stack: ExitStack, buyer: Buyer, sink: IO[bytes], follow: bool, timeout: float) -> Code:
        payer = payer_of(buyer, self.choices)
        client = stack.enter_context(wrap(httpx.Client(timeout=timeout, follow_redirects=follow), payer))
        if self.key is not None or self.choices.most is not None:
            stack.enter_context(buyer.purchase(key=self.key, per_request=self.choices.most))
        asked_for = self.request
        with client.stream(asked_for.method, asked_for.url, **asked_for.keywords) as response:
            self.report.answered(response)
            self.body.write(response, sink)
        paid = self.report.outcome
        if paid is not None and paid.money != "untouched":
            with suppress(X402Error):  # it was paid for: a ledger that fails now must not hide that
                self.report.left = left(buyer, paid.hold.purchase.origin, paid.hold.price.currency)
        return self.report.code()

    def _look_up(self, buyer: Buyer, kind: type[BaseException] | None, failure: BaseException | None, _: Any) -> None:
        """Look at the payment as `x402 ledger holds` would: the command says the same of it.

        A library writes nothing when it is interrupted. This command ends by that, so it has time to say what is known.
        """
        left_here, paid = self.watching.presented, self.report.outcome
        with suppress(Exception):  # a ledger that cannot be asked must not hide how the request ended
            if isinstance(failure, KeyboardInterrupt) and paid is not None and not self.watching.delivered:
                run(note_break(paid, failure), ledger_answers(buyer.ledger))
            self.kept = next((one for one in buyer.holds() if left_here and one.id == left_here.id), left_here)

    def _failed(self, failure: Exception) -> None:
        ours = find(failure)
        presented = self.kept or self.watching.presented
        self.report.failed(failure)
        if isinstance(failure, Stop):
            self._end(failure.code, str(failure))
        if ours is not None:
            self._end(self.approving.code or code_of(ours), self._explained(ours))
        if isinstance(failure, OSError):
            self._end(Code.WRONG, f"{file_trouble(failure)}{_claim_advice(presented)}")
        if not isinstance(failure, httpx.HTTPError):
            paid = _claim_advice(presented) or " Nothing was paid."
            self._end(Code.WRONG, f"{fault(failure)}.{paid}")
        if presented is not None:
            self._end(Code.UNKNOWN, f"The answer broke off ({named(failure)}).{_claim_advice(presented)}")
        self._end(Code.UNREACHABLE, f"{no_answer(self.report.host, failure)} Nothing was paid.")

    def _explained(self, error: X402Error) -> str:
        if isinstance(error, ApprovalDenied) and self.approving.problem:
            return self.approving.problem
        said = with_cure(error, self.choices) if isinstance(error, TooExpensive) else ""
        more = "`x402 quote` shows every offer." if isinstance(error, NoAcceptableOffer) else ""
        if isinstance(error, OverLimit) and error.spent:
            more = "`x402 ledger` shows what is counted."
        return in_commands(error, said, more)

    def _end(self, code: Code, message: str) -> None:
        self.watching.end(self.report.error)
        self.body.end_line()
        leave(code, self.report.tell(code, message))

    def _interrupted(self) -> str:
        """Return what became of the money, for a person who pressed Ctrl-C."""
        hold = self.kept or self.watching.presented
        if hold is None:
            return NOTHING_PAID
        if self.watching.delivered:
            return f"Interrupted. The payment of {hold.price} was answered, and all of the answer had arrived."
        return f"Interrupted.{_claim_advice(hold)}"


def _claim_advice(hold: Hold | None) -> str:
    """Return the advice about a payment that may be gone."""
    if hold is None:
        return ""
    said = advice(hold, again=SAME_COMMAND)
    shows = shown_by(hold, said)
    return f" A payment of {hold.price} left for {hold.host}, and is {said.state}. {said.todo}{shows}"


get.__doc__ = HELP
