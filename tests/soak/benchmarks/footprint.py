"""The parts about what we cost where nothing is paid: free requests, imports, memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from .crew import ROOT, Worker, interleaved
from .official_python import official_python
from .report import Row, at_most

_HEAVY = ("web3", "aiohttp", "py_ecc", "eth_account")
#: What the other tests and the official sellers brought into the two environments: httpx imports it where it finds it,
#: and neither client needs it.
_BROUGHT = {"own": ("h2", "trio", "click", "rich"), "official": ("click", "rich")}
_TOLD = f"""
import json, resource, sys
used = resource.getrusage(resource.RUSAGE_SELF)
kept = int(next(line for line in open("/proc/self/status") if line.startswith("VmRSS")).split()[1])
found = {{"cpu": used.ru_utime + used.ru_stime, "kib": kept, "modules": [m for m in {_HEAVY!r} if m in sys.modules]}}
"""
_OURS = """
import httpx, x402_client.httpx
from x402_client import Buyer, Policy, Wallet
from tests.soak.benchmarks import terms
wallet = Wallet(evm=terms.KEY, solana=terms.SEED)
buyer = Buyer(wallet, Policy(per_day="5"), ledger=":memory:", rpc={terms.DEVNET: URL + "/rpc"})
client = x402_client.httpx.wrap(httpx.AsyncClient(), buyer)
"""
_OFFICIAL = """
import httpx
from eth_account import Account
from solders.keypair import Keypair
from x402 import x402Client
from x402.http.clients.httpx import x402AsyncTransport
from x402.mechanisms.evm.exact.register import register_exact_evm_client
from x402.mechanisms.svm.exact.register import register_exact_svm_client
from x402.mechanisms.svm.signers import KeypairSigner
from tests.soak.benchmarks import terms
payer = x402Client()
register_exact_evm_client(payer, Account.from_key(terms.KEY))
register_exact_svm_client(payer, KeypairSigner(Keypair.from_seed(terms.SEED)), rpc_url=URL + "/rpc")
client = httpx.AsyncClient(transport=x402AsyncTransport(payer))
"""
#: What is imported only when it is needed is needed now.
_PAY = """
import asyncio
async def pay():
    for path in ("/evm2", "/evm1", "/solana"):
        assert (await client.get(URL + path)).status_code == 200
asyncio.run(pay())
"""


def free(scale: float) -> list[Row]:
    """Measure a request that costs nothing."""
    with Worker("ours") as ours:
        count = max(50, int(500 * scale))
        asked = {colour: partial(ours.ask, "free", colour, count) for colour in ("httpx", "requests")}
        interleaved(1, asked)
        found = interleaved(max(5, int(20 * scale)), asked)
        rows = []
        for colour, most in (("httpx", 3), ("requests", 4)):
            more = median(each["wrapped"] - each["bare"] for each in found[colour])
            bare = f" on {median(each['bare'] for each in found[colour]):.0f} µs"
            rows.append(at_most(f"a free request, {colour}: more", more, most, "µs", bare, 1))
        for colour in ("httpx", "requests"):
            more = median(ours.ask("upload", colour) for _ in range(3)) / 2**20
            rows.append(at_most(f"a streamed upload of 8 MiB, free, {colour}: more memory", more, 1, "MiB"))
    return rows


def _run(python: Path, code: str, url: str, brought: tuple[str, ...]) -> dict[str, Any]:
    # Modules are compiled once and kept, as they are where people use them; the first round is not counted.
    unlike = ("_proxy", "pythondontwritebytecode")
    clean = {name: value for name, value in os.environ.items() if not name.lower().endswith(unlike)}
    hidden = f"import sys\nsys.modules.update(dict.fromkeys({brought!r}))"
    whole = f"{hidden}\nURL = {url!r}\n{code}\n{_TOLD}\nprint(json.dumps(found))"
    done = subprocess.run(
        [python, "-W", "ignore", "-c", whole], capture_output=True, text=True, cwd=ROOT, env=clean, check=True
    )
    return dict(json.loads(done.stdout))


def imports(scale: float) -> list[Row]:
    """Imports, in a new interpreter each time."""
    programs = {
        "own": {
            "empty": "",
            "httpx": "import httpx",
            "core": "import x402_client, x402_client.httpx",
            "ready": _OURS,
            "paid": _OURS + _PAY,
        },
        "official": {
            "official empty": "",
            "official ready": _OFFICIAL,
            "official paid": _OFFICIAL + _PAY,
        },
    }
    pythons = {"own": Path(sys.executable), "official": official_python()}
    with Worker("seller") as seller:
        url = seller.ask("start", 0.0)
        asked: dict[str, Callable[[], Any]] = {
            name: partial(_run, pythons[whose], code, url, _BROUGHT[whose])
            for whose, codes in programs.items()
            for name, code in codes.items()
        }
        interleaved(1, asked)
        found = interleaved(max(2, int(8 * scale)), asked)
    cpu = {name: 1000 * median(each["cpu"] for each in runs) for name, runs in found.items()}
    kib = {name: median(each["kib"] for each in runs) for name, runs in found.items()}
    heavy = sorted({module for each in found["paid"] for module in each["modules"]})
    rows = [at_most("import of core and httpx: more than httpx", cpu["core"] - cpu["httpx"], 40, "ms", "", 0)]
    for name, what in (("ready", "import with an EVM and a Solana key"), ("paid", "the same, and the first payments")):
        mine, other = cpu[name] - cpu["empty"], cpu[f"official {name}"] - cpu["official empty"]
        shown = f" the official's ({mine:.0f} against {other:.0f} ms of CPU)"
        rows.append(at_most(what, mine / other, 0.2, of=shown))
    rows.append(Row(f"of {', '.join(_HEAVY)} imported", ", ".join(heavy) or "none", "none", not heavy))
    for name, other, what in (
        ("core", "ready", "memory after import of core and httpx"),
        ("ready", "ready", "memory after import, with both keys"),
        ("paid", "paid", "memory after the first payments"),
    ):
        mine, theirs_kib = kib[name], kib[f"official {other}"]
        shown = f" the official's ({mine / 1024:.0f} against {theirs_kib / 1024:.0f} MiB)"
        rows.append(at_most(what, mine / theirs_kib, 0.5, of=shown))
    return rows


def growth(scale: float) -> list[Row]:
    """Ten thousand purchases at as many places, with remembered terms, after the thousand that a process remembers."""
    count = max(200, int(10_000 * scale))
    rows = []
    for ledger in ("memory", "sqlite"):
        with Worker("ours") as ours:
            first, more = (kib / 1024 for kib in ours.ask("growth", ledger, count))
        rows += [
            Row(f"memory for the last 1,000 payments, ledger in {ledger}", f"{first:.2f} MiB"),
            at_most(f"memory after {count:,} payments more, ledger in {ledger}: more", more, 1, "MiB"),
        ]
    return rows
