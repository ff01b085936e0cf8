"""``x402 ledger retry``: presents one payment again. It has no key, so it can sign no second one."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import IO, Annotated

import httpx
import typer

from ...buyer.buyer import Buyer
from ...buyer.wallet import Wallet
from ...core import is_key_of, is_request_of
from ...errors import NoAcceptableOffer, SigningError, find
from ...events import Concluded, Event
from ...httpx import wrap
from ...model.holds import Hold
from ...model.offers import words
from .. import options
from ..bodies import BodyWriter, body_sink, file_trouble
from ..buying import Choices, endpoints, policy_of
from ..exits import Code, code_of
from ..open_ledger import OpenLedger, acting
from ..reporting import Report, Watching
from ..requests_made import CliRequest, cli_request
from ..running import Stop, command, fault, in_commands, leave
from ..screen import say, swallow_pipe
from ..vocabulary import advice, is_tool_call, price_of, state_of


@command
def retry(
    hold: options.HoldId,
    url: Annotated[
        str, typer.Argument(metavar="[URL]", show_default=False, help="The whole URL, if it had a query or led here.")
    ] = "",
    method: options.Method = None,
    data: options.Data = None,
    header: options.Headers = None,
    output: Annotated[
        options.MaybePath,
        typer.Option("-o", "--output", metavar="FILE", help="Write the body to a file, an error page, too."),
    ] = None,
    location: Annotated[bool, typer.Option("-L", "--location", help="Follow redirects.")] = False,
    key: Annotated[
        options.MaybeText, typer.Option("--key", metavar="NAME", help="The purchase's key, if it was paid under one.")
    ] = None,
    policy: options.PolicyFile = None,
    ledger: options.LedgerAt = None,
    purse: options.Purse = "default",
    rpc: options.Rpc = None,
    timeout: options.PayingTimeout = 30.0,
    as_json: options.AsJson = False,
) -> None:
    """Present an unresolved payment again, to get what was bought. It never pays a second time, and needs no wallet.

    The request has to be the one that was paid for. The ledger keeps no query, no body, no Range header and no key:
    give the URL with its query, the body with -d, the header with -H, and the key with --key. What is given is checked
    before anything is sent.
    """
    with acting(ledger, purse, "nothing was presented") as found:
        one = found.find(hold)
        _check_state(one)
        _check_kind(one)
        asked = url or one.url
        with cli_request(asked, method or one.purchase.method, data, header) as request:
            _check_request(one, request, key, bool(url), found)
            report = Report(request, as_json)
            _Retry(one, request, found, report).run(policy, tuple(rpc or ()), key, (output, location, timeout))


def _check_state(one: Hold) -> None:
    if state_of(one) not in ("unresolved", "lost"):
        said = advice(one)
        raise Stop(Code.USAGE, f"{one.id} is {said.state}: there is nothing to present. Nothing was sent. {said.after}")


def _check_kind(one: Hold) -> None:
    """Refuse a tool call of an MCP session, which this command cannot make."""
    if is_tool_call(one):
        server, _, tool = one.url.partition("#")
        raise Stop(
            Code.USAGE,
            f"{one.id} paid for a call of the tool {tool} of {server}, by a session of MCP. Make the same call again "
            "in the program: it presents the same payment. Nothing was sent.",
        )


def _check_request(one: Hold, request: CliRequest, key: str | None, named: bool, found: OpenLedger) -> None:
    """Refuse another request than the one that was paid for."""
    if not is_key_of(one.purchase, key):
        problem = "was paid under another key; give that one with --key" if key else "was paid under a key; give --key"
        problem = problem if one.purchase.keyed else "was paid without a key; leave --key out"
        raise Stop(Code.USAGE, f"{one.id} {problem}. Nothing was sent.")
    asked, digest = request.facts()
    if is_request_of(one.purchase, asked, digest):
        return
    again = found.hint(f"retry {one.id}")
    given = "This is not the request" if named or request.content is not None else f"{one.url} alone is not the request"
    raise Stop(
        Code.USAGE,
        f"{given} that {one.id} paid for. It was {one.purchase.method} {one.url}; the ledger keeps no query, no "
        f"body and no Range header. Give them as they were: `{again} '{one.url}?...'`, with -d for a body, -X for a "
        "method, and with -H for the body's content type and for a Range header. Nothing was sent.",
    )


class _NoKey:
    """A signer that stands for the account that paid, and signs nothing."""

    blocking = False

    def __init__(self, address: str) -> None:
        self.address = address

    def sign(self, data: object) -> bytes:
        """Refuse, also if an offer should ever be chosen for this account."""
        raise SigningError("This command presents what was signed before, and signs nothing. Nothing was sent.")


class _Retry:
    """One payment that is presented again, to the final report."""

    def __init__(self, one: Hold, request: CliRequest, found: OpenLedger, report: Report) -> None:
        self.one, self.request, self.found, self.report = one, request, found, report
        self.watching = Watching(quiet=report.as_json)
        self.body = BodyWriter()
        self.given_back = False

    def run(
        self, policy: Path | None, rpc: tuple[str, ...], key: str | None, how: tuple[Path | None, bool, float]
    ) -> None:
        """Present it. In every case the final report says what became of the money."""
        output, follow, timeout = how
        try:
            with ExitStack() as stack:
                sink = stack.enter_context(body_sink(output, self.body))
                buyer = self._buyer(policy, rpc)
                stack.callback(buyer.close)
                stack.callback(self.watching.stop)
                client = stack.enter_context(wrap(httpx.Client(timeout=timeout, follow_redirects=follow), buyer))
                if key is not None:
                    stack.enter_context(buyer.purchase(key=key))
                self._fetch(client, sink)
        except BrokenPipeError:
            swallow_pipe()
            self._end(Code.PIPE, "")
        except KeyboardInterrupt:
            self._end(Code.INTERRUPTED, f"Interrupted. Nothing new was paid. {self._stays()}")
        except Exception as failure:
            self._failed(failure)
        else:
            self._end(*self._answered())

    def _buyer(self, policy: Path | None, rpc: tuple[str, ...]) -> Buyer:
        rules = policy_of(Choices(policy)).but(accept_loss="0")  # what is lost is the user's to give up
        wallet = Wallet(further={"none": _NoKey(self.one.payer or "unknown")})
        return Buyer(
            wallet, rules, ledger=self.found.port, purse=self.found.purse, rpc=endpoints(rpc) or None,
            approve=lambda approval: False, on_event=self._hear,
        )  # fmt: skip

    def _hear(self, event: Event) -> None:
        self.watching(event)
        if isinstance(event, Concluded) and event.hold.id == self.one.id:
            self.given_back = not event.settled

    def _fetch(self, client: httpx.Client, sink: IO[bytes]) -> None:
        asked = self.request
        with client.stream(asked.method, asked.url, **asked.keywords) as response:
            self.report.answered(response)
            self.body.write(response, sink)

    def _answered(self) -> tuple[Code, str]:
        status, paid = self.report.status or 0, self.report.outcome
        signed_in = paid is not None and bool(paid.signed_in)
        if paid is not None and paid.money == "untouched":
            paid = None
        if paid is None and status < 400:
            return Code.OK, (
                f"{self.report.host} answered {status} without asking for a payment, so nothing was presented."
                f"{self.report.led_on()} {self._stays()}"
            )
        if signed_in and status < 300:
            return Code.OK, f"{price_of(self.one)}: a sign-in brought the content. Resolved; the amount stays counted."
        if status < 300:
            return Code.OK, f"{price_of(self.one)}: the same payment was presented, and the content came. Resolved."
        if paid is None:
            return Code.HTTP, f"{self.report.host} answered {status}; nothing was presented. {self._stays()}"
        return self.report.code(), (
            f"{self.report.host} answered {status} to the payment.{self.report.led_on()} {self._stays()}"
        )

    def _failed(self, failure: Exception) -> None:
        if isinstance(failure, Stop):
            self._end(failure.code, f"{failure} {self._stays()}")
        ours = find(failure)
        self.report.failed(failure)
        if isinstance(ours, NoAcceptableOffer) and self.watching.presented is None:
            self._end(Code.REFUSED, self._not_there())
        if ours is not None:
            self._end(code_of(ours), in_commands(ours))
        if isinstance(failure, OSError):
            self._end(Code.WRONG, f"{file_trouble(failure)} {self._stays()}")
        if not isinstance(failure, httpx.HTTPError):
            self._end(Code.WRONG, f"{fault(failure)}. Nothing new was paid. {self._stays()}")
        said = words(f"{type(failure).__name__}: {failure}", 300)
        code = Code.UNREACHABLE if self.watching.presented is None else Code.UNKNOWN
        self._end(code, f"{self.report.host} did not answer ({said}). Nothing new was paid. {self._stays()}")

    def _not_there(self) -> str:
        if self.given_back:
            return (
                f"The chain shows that it never settled: {price_of(self.one)} was given back to the budget. Nothing "
                "was paid, and the same request buys anew."
            )
        return (
            f"Another program has {self.one.id}, or resolved it meanwhile: nothing was presented, and nothing paid. "
            f"`{self.found.hint(f'show {self.one.id}')}` tells more."
        )

    def _stays(self) -> str:
        return f"The payment stays as it is: `{self.found.hint(f'show {self.one.id}')}`"

    def _end(self, code: Code, message: str) -> None:
        self.watching.end(self.report.error)
        self.body.end_line()
        if self.report.as_json:
            self.report.tell(code, message)
            leave(code)
        if code is Code.OK:
            say(message, "green" if self.watching.delivered else "yellow")
            leave(code)
        leave(code, message)
