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
from ..exits import Code
from .. import completion
from ..options import MaybeTexts
from ..running import Stop, command
from ..screen import out, show

_LOOK_EVERY = 0.1


@command
def sandbox(
    port: Annotated[int, typer.Option("--port", metavar="N", help="Where to listen; 0: anywhere.")] = 8402,
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
    a ledger of its own.
    """
    if list_faults:
        for one in FAULTS.values():
            show(f"{one.name}: {one.does}")
        return
    signal.signal(signal.SIGTERM, _end)
    with _opened(port, slow, redeliver) as seller, tempfile.TemporaryDirectory(prefix="x402-sandbox-") as directory:
        if fault:
            seller.order(*fault)
        settings = _settings(seller, Path(directory))
        show(f"A seller listens at {seller.url} and lists there what it has. Its money is invented. Ctrl-C ends it.")
        show("In another terminal:")
        show()
        show(f"  . {shlex.quote(str(settings))}", "bold")
        show(f"  x402 get {seller.url}/weather", "bold")
        show(f"  x402 get {seller.url}/yacht", "bold")
        show()
        out().file.flush()
        try:
            _tell_visits(seller)
        except KeyboardInterrupt:
            show(f"It earned {seller.earned} in {len(seller.settlements)} payments.")


def _opened(port: int, slow: float, redeliver: bool) -> Sandbox:
    try:
        return Sandbox(port=port, slow=slow, redeliver=redeliver)
    except ConfigurationError as problem:
        raise Stop(Code.USAGE, f"{problem} --port 0 takes a free one.") from None


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


def _end(*_: object) -> None:
    raise KeyboardInterrupt
