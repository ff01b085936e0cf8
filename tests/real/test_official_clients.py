"""A client that the official SDK has wrapped pays below every limit of ours, so no face wraps it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from . import environments

pytestmark = pytest.mark.foreign
ROOT = Path(__file__).parents[2]
#: Ways to make a client that pays by the SDK, as Python that follows the imports, by the SDK's generation.
MADE = {
    "v2": """
from x402 import x402Client, x402ClientSync
from x402.http.clients.httpx import wrapHttpxWithPayment, x402_httpx_transport, x402HttpxClient
from x402.http.clients.requests import wrapRequestsWithPayment, x402_http_adapter, x402_requests

MADE = [
    lambda: of_httpx.wrap(wrapHttpxWithPayment(x402Client()), buyer),
    lambda: of_httpx.wrap(x402HttpxClient(x402Client()), buyer),
    lambda: of_httpx.wrap(httpx.AsyncClient(mounts={"https://": x402_httpx_transport(x402Client())}), buyer),
    lambda: of_httpx.wrap(httpx.AsyncClient(transport=Mine(x402Client())), buyer),
    lambda: of_httpx.AsyncPaymentTransport(buyer, x402_httpx_transport(x402Client())),
    lambda: of_requests.wrap(x402_requests(x402ClientSync()), buyer),
    lambda: wrapRequestsWithPayment(of_requests.wrap(requests.Session(), buyer), x402ClientSync()),
    lambda: of_requests.PaymentAdapter(buyer, x402_http_adapter(x402ClientSync())),
    lambda: tools(wrapHttpxWithPayment(x402Client()), buyer, hosts=["a.example"]),
]
Mine = type("Mine", (type(x402_httpx_transport(x402Client())),), {"__module__": "mine"})
""",
    "v1": """
from eth_account import Account
from x402.clients.httpx import x402_payment_hooks, x402HttpxClient
from x402.clients.requests import x402_http_adapter, x402_requests

account = Account.create()
MADE = [
    lambda: of_httpx.wrap(x402HttpxClient(account=account), buyer),
    lambda: of_httpx.wrap(httpx.AsyncClient(event_hooks=x402_payment_hooks(account)), buyer),
    lambda: of_requests.wrap(x402_requests(account), buyer),
    lambda: of_requests.PaymentAdapter(buyer, x402_http_adapter(account)),
]
""",
}
PROGRAM = """
import httpx
import requests
import x402_client.httpx as of_httpx
import x402_client.requests as of_requests
from x402_client import Buyer, Policy, Wallet, errors
from x402_client.agents import tools
{made}
buyer = Buyer(Wallet(evm="0x" + "46" * 32), Policy(per_request="0.001"), ledger=":memory:")
for make in MADE:
    try:
        make()
        print("taken")
    except errors.ConfigurationError as problem:
        print(str(problem))
for wrap, fresh in ((of_httpx.wrap, httpx.AsyncClient()), (of_requests.wrap, requests.Session())):
    print("fresh", wrap(fresh, buyer) is fresh)
"""


@pytest.mark.parametrize("generation", MADE)
def test_no_client_of_theirs_is_wrapped(generation: str) -> None:
    python = environments.needed(environments.environment, generation)
    surroundings = environments.clean_environ() | {"PYTHONPATH": str(ROOT)}
    made = MADE[generation]
    command = [str(python), "-c", PROGRAM.replace("{made}", made)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=110, env=surroundings)
    assert ran.returncode == 0, ran.stderr
    *refused, one, other = ran.stdout.splitlines()
    assert (one, other) == ("fresh True", "fresh True")
    assert len(refused) == made.count("lambda:")
    assert [line for line in refused if "of the official x402 SDK, below the limits of this buyer" not in line] == []
