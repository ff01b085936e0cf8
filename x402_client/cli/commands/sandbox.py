"""``x402 sandbox``: a seller on this machine, with invented money, to try a buyer on."""

from __future__ import annotations

import os
import shlex
import signal
import time
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from ...errors import ConfigurationError
from ...model.counts import counted
from ...model.networks import short_name
from ...sandbox import FAULTS, Sandbox
from .. import completion
from ..exits import Code
from ..options import MaybePath, MaybeTexts, a_quantity
from ..running import Stop, command, leave
from ..screen import out, say, show, show_program

_LOOK_EVERY = 0.1
_FIRST_LINE = '"""Pays the sandbox. By x402 sandbox --example."""'
#: The program that is shown.
_PROGRAM = f"""\
{_FIRST_LINE}
import httpx
from x402_client import Buyer, outcome
from x402_client.httpx import wrap

buyer = Buyer.from_env()  # by the settings of this shell
client = wrap(httpx.Client(), buyer)
response = client.get("{{url}}/weather")
print(response.json()["content"])
if paid := outcome(response):  # None if it was free
    print("Paid:", paid.hold.price)
print("Left today:", buyer.remaining())
"""

_PASSED = (
    "One call presents the payment of a GET up to three times, so it may pass a fault that is ordered once. To see "
    "what comes of it, order it three times, or send a POST."
)


@command
def sandbox(
    port: Annotated[
        int, typer.Option("--port", metavar="N", min=0, max=65_535, help="Where to listen; 0: at a free port.")
    ] = 8402,
    example: Annotated[
        MaybePath, typer.Option("--example", metavar="FILE", help="Write the program that pays it, which is shown.")
    ] = None,
    fault: Annotated[
        MaybeTexts,
        typer.Option(
            "--fault",
            metavar="NAME",
            help="Something that goes wrong next; repeated: in this order.",
            autocompletion=completion.faults,
        ),
    ] = None,
    redeliver: Annotated[
        bool, typer.Option("--redeliver", help="Deliver again for a payment that was settled before.")
    ] = False,
    slow: Annotated[
        float,
        typer.Option("--slow", metavar="SECONDS", callback=a_quantity, help="How long slow faults take."),
    ] = 2.0,
    list_faults: Annotated[bool, typer.Option("--list-faults", help="Say what can go wrong, and end.")] = False,
) -> None:
    """Run a seller to try things on, until Ctrl-C. Its money, chains and keys are invented.

    It writes a file that sets up another terminal for it: a wallet with invented money, a policy that knows its token,
    a ledger of its own. It shows a program that pays it from there.
    """
    if list_faults:
        for one in FAULTS.values():
            show(f"{one.name}: {one.does}")
        say(_PASSED)
        return
    for name in ("SIGTERM", "SIGHUP"):  # SIGHUP: its terminal was closed
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _end)
    with _opened(port, slow, redeliver) as seller:
        if fault:
            seller.order(*fault)
        if example is not None:
            _write_program(example, seller)
        interrupted = _until_interrupted(seller, _settings(seller), example, redeliver)
        payments, earned = len(seller.settlements), seller.earned
    told = f"The sandbox earned {earned} of invented money in {counted(payments, 'payment')}."
    if interrupted:
        leave(Code.INTERRUPTED, f"Interrupted. {told}")
    show(told)


def _opened(port: int, slow: float, redeliver: bool) -> Sandbox:
    try:
        return Sandbox(port=port, slow=slow, redeliver=redeliver)
    except ConfigurationError as problem:
        said = str(problem.args[0]).replace(", or 0 for a free one", " with --port; --port 0 takes a free one")
        raise Stop(Code.USAGE, said) from None


#: What becomes of a settled payment that is presented again, in lines.
_ONCE = (
    "A payment that was settled is answered once. Presented again it brings another 402, unless the sandbox runs",
    "with --redeliver. `x402 ledger write-off HOLD` gives up a payment that brought nothing.",
)
_ONCE_MORE = (
    "With --redeliver a payment that was settled brings its content again, as often as it is presented: after a lost",
    "answer the same command gets what was paid for.",
)


def _tell_settings(seller: Sandbox, settings: Path, example: Path | None, redeliver: bool) -> None:
    show(f"A seller listens at {seller.url} and lists there what it has.")
    show("Its money is invented, and shows and counts as dollars (USD), to try limits. Ctrl-C ends it.")
    show("In another terminal, type the first of these lines, and then what you like:")
    show()
    show(f"  . {shlex.quote(str(settings))}", "bold")
    show(f"  x402 get {seller.url}/weather", "bold")
    show(f"  x402 get {seller.url}/yacht", "bold")
    if example is not None:
        show(f"  python {shlex.quote(str(example))}", "bold")
    show()
    for line in _ONCE_MORE if redeliver else _ONCE:
        show(line)
    show()
    show(f"{example} is" if example is not None else "A program that pays it from there; --example FILE writes it:")
    show()
    show_program(program(seller), "  ")
    show()
    out().file.flush()


def program(seller: Sandbox) -> str:
    """Return a program that pays this sandbox, with its wallet, policy and ledger from the environment."""
    return _PROGRAM.format(url=seller.url)


def _write_program(place: Path, seller: Sandbox) -> None:
    """Write the program. No other file is overwritten than one that was written here before."""
    try:
        if place.exists() and not place.read_text("utf-8", "replace").startswith(_FIRST_LINE):
            raise Stop(Code.USAGE, f"{place} is there already and is no program of the sandbox; name another file.")
        place.write_text(program(seller), encoding="utf-8")
    except OSError as failure:
        raise Stop(Code.USAGE, f"{place} cannot be written: {failure.strerror}.") from None


def _settings(seller: Sandbox) -> Path:
    """Write a file for a shell to read, with the settings that the other commands look for. It goes with the seller."""
    values = seller.environ
    path = Path(values["X402_LEDGER"]).with_name("settings")
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write("# For the sandbox only: invented money, and keys that are worth nothing.\n")
        file.writelines(f"export {name}={shlex.quote(value)}\n" for name, value in values.items())
    return path


def _until_interrupted(seller: Sandbox, settings: Path, example: Path | None, redeliver: bool) -> bool:
    """Show how to pay it, and then every visit. Return True after Ctrl-C, False if another program ended it."""
    try:
        _tell_settings(seller, settings, example, redeliver)
        _tell_visits(seller)
    except KeyboardInterrupt as end:
        return not isinstance(end, _Terminated)


def _tell_visits(seller: Sandbox) -> NoReturn:
    """Print one line for each request and each payment, as they come."""
    seen = paid = 0
    while True:
        visits, settled = seller.visits, seller.settlements
        for visit in visits[seen:]:
            went_wrong = f", with the fault {visit.fault}" if visit.fault else ""
            carried = "with a payment" if visit.payment else "without a payment"
            answer = f"answered {visit.status}" if visit.status else "not answered"
            show(f"{visit.method} {visit.path} {carried}: {answer}{went_wrong}")
            if visit.status == 402 and not visit.fault and visit.payment in [done.nonce for done in settled]:
                show("  settled before, so not delivered again: --redeliver would, `x402 ledger write-off` gives it up")
        for done in settled[paid:]:
            show(f"  settled {done.price} on {short_name(done.network)} from {done.payer}", "green")
        seen, paid = len(visits), len(settled)
        out().file.flush()
        time.sleep(_LOOK_EVERY)


class _Terminated(KeyboardInterrupt):
    """The end that another program asked for, with SIGTERM or SIGHUP."""


def _end(*_: object) -> None:
    raise _Terminated
