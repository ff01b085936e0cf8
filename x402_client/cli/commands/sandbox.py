"""``x402 sandbox``: a seller on this machine, with invented money, to try everything against."""

from __future__ import annotations

import json
import os
import shlex
import signal
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ...errors import ConfigurationError
from ...model.networks import short_name
from ...sandbox import FAULTS, Sandbox
from .. import completion
from ..exits import Code
from ..options import MaybePath, MaybeTexts
from ..running import NOTHING_PAID, Stop, asking, leave
from ..screen import out, own_line, show

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
print("Paid:", outcome(response).hold.price)
print("Left today:", buyer.remaining())
"""
#: Stands for its line `buyer = ...` where there is no `Buyer.from_env`.


@asking
def sandbox(
    port: Annotated[int, typer.Option("--port", metavar="N", help="Where to listen; 0: at a free port.")] = 8402,
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
    slow: Annotated[float, typer.Option("--slow", metavar="SECONDS", help="How long slow faults take.")] = 2.0,
    list_faults: Annotated[bool, typer.Option("--list-faults", help="Say what can go wrong, and end.")] = False,
) -> None:
    """Run a seller to try things against, until Ctrl-C. Its money, chains and keys are invented.

    It writes a file that sets up another terminal for it: a wallet with invented money, a policy that knows its token,
    a ledger of its own. It shows a program that pays it from there.
    """
    if list_faults:
        for one in FAULTS.values():
            show(f"{one.name}: {one.does}")
        return
    signal.signal(signal.SIGTERM, _end)
    with _opened(port, slow, redeliver) as seller, tempfile.TemporaryDirectory(prefix="x402-sandbox-") as directory:
        if fault:
            seller.order(*fault)
        if example is not None:
            _write_program(example, seller)
        _until_interrupted(seller, _settings(seller, Path(directory)), example)


def _opened(port: int, slow: float, redeliver: bool) -> Sandbox:
    try:
        return Sandbox(port=port, slow=slow, redeliver=redeliver)
    except ConfigurationError as problem:
        raise Stop(Code.USAGE, f"{problem.args[0]} --port 0 takes a free one.") from None


def _tell_settings(seller: Sandbox, settings: Path, example: Path | None) -> None:
    show(f"A seller listens at {seller.url} and lists there what it has.")
    show("Its money is invented. Ctrl-C ends it. In another terminal:")
    show()
    show(f"  . {shlex.quote(str(settings))}", "bold")
    show(f"  x402 get {seller.url}/weather", "bold")
    show(f"  x402 get {seller.url}/yacht", "bold")
    if example is not None:
        show(f"  python {shlex.quote(str(example))}", "bold")
    show()
    show(f"{example} is" if example is not None else "A program that pays it from there; --example FILE writes it:")
    show()
    for line in program(seller).splitlines():
        show(f"  {line}", "cyan")
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


def _settings(seller: Sandbox, directory: Path) -> Path:
    """Write a file for a shell to read, with the settings that the other commands look for."""
    policy = directory / "policy.toml"
    policy.write_text(policy_text(seller), encoding="utf-8")
    rpc = " ".join(f"{network}={url}" for network, url in seller.rpc.items())
    values = {
        "X402_EVM_KEY": seller.key("evm"),
        "X402_SOLANA_KEY": seller.key("solana"),
        "X402_POLICY": str(policy),
        "X402_LEDGER": str(directory / "ledger.db"),
        "X402_RPC": rpc,
    }
    path = directory / "settings"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write("# For the sandbox only: invented money, and keys that are worth nothing.\n")
        file.writelines(f"export {name}={shlex.quote(value)}\n" for name, value in values.items())
    return path


def policy_text(seller: Sandbox) -> str:
    """Return a careful policy that knows the sandbox's tokens, and counts them as dollars."""
    lines = ['per_request = "0.10"', 'per_day = "5"']
    for token in seller.tokens:
        facts = {name: value for name, value in asdict(token).items() if value is not None}
        lines += ["", "[[tokens]]", *(f"{name} = {json.dumps(value)}" for name, value in facts.items())]
    return "\n".join(lines) + "\n"


def _until_interrupted(seller: Sandbox, settings: Path, example: Path | None) -> None:
    """Tell how to pay it, and of every visit until Ctrl-C, and then what was earned."""
    try:
        _tell_settings(seller, settings, example)
        _tell_visits(seller)
    except KeyboardInterrupt as end:
        own_line()
        payments = len(seller.settlements)
        show(f"It earned {seller.earned} of invented money in {payments} payment{'' if payments == 1 else 's'}.")
        out().file.flush()
        if not isinstance(end, _Terminated):
            leave(Code.INTERRUPTED, f"{NOTHING_PAID} The money was invented.")


def _tell_visits(seller: Sandbox) -> None:
    """Print one line for each request and each payment, as they come."""
    seen = paid = 0
    while True:
        visits, settled = seller.visits, seller.settlements
        for visit in visits[seen:]:
            went_wrong = f", with the fault {visit.fault}" if visit.fault else ""
            carried = "with a payment" if visit.payment else "without a payment"
            answer = f"answered {visit.status}" if visit.status else "not answered"
            show(f"{visit.method} {visit.path} {carried}: {answer}{went_wrong}")
        for done in settled[paid:]:
            show(f"  settled {done.price} on {short_name(done.network)} from {done.payer}", "green")
        seen, paid = len(visits), len(settled)
        out().file.flush()
        time.sleep(_LOOK_EVERY)


class _Terminated(KeyboardInterrupt):
    """The end that another program asked for, with SIGTERM."""


def _end(*_: object) -> None:
    raise _Terminated
