"""Every example runs as its reader would run it, in a process of its own, and pays where it says so."""

from __future__ import annotations

import ast
import asyncio
import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from x402_client import errors
from x402_client.sandbox import Sandbox

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[2] / "examples"
SAYS = {
    "agent_with_approval.py": [
        "satellite-image: worth it",
        "newspaper: over the limit of 0.40 USD",
        "company-report: over the limit of 0.40 USD",
        "Spent 0.37 USD of 0.40 USD in 4 payments",
    ],
    "anthropic_sdk.py": ["Got: Forty-two.", "Presented 2 times, 1 payment, settled 1", "Spent 0.02 USD"],
    "find_and_buy.py": [
        "Bought Weather of tomorrow for 0.02 USD",
        "/forecast/decade - offer 1",
        "one payment may cost 0.05 USD",
        "Spent 0.03 USD",
    ],
    "forty_workers.py": ["25 paid, 15 refused", "The seller has 0.25 USD of a budget of 0.25 USD"],
    "openai_sdk.py": ["Paid 0.02 USD for: Forty-two.", "Refused: ", "The money is untouched"],
    "own_http_client.py": ["Paid 0.01 USD and the money is spent", "Spent 0.02 USD in 2 payments; 0 open"],
    "own_reader.py": [
        "drop-after-settling: the money is spent",
        "Counted 0.02 USD for 2 payments without an answer",
        "Given back 1 and settled 1",
        "Counted 0.01 USD for 1 payment that arrived",
    ],
    "own_scheme.py": [
        "The seller checked a voucher for 5 units",
        "Got worth it for 0.05 USD; the money is spent",
        "Not three: 0.10 USD of 0.12 USD is spent",
        "Spent 0.10 USD in 2 vouchers",
    ],
    "own_signer.py": ["a transfer of 10000 units", "signs 367 bytes", "Spent 0.02 USD in 2 payments"],
    "pay_for_mcp_tools.py": [
        "It would cost 0.01 USD",
        "Rain in Basel. Paid 0.01 USD",
        "The money is spent",
        "Not a third: 0.02 USD of 0.02 USD is spent",
    ],
    "pay_on_solana.py": ["2 offers; the choice is exact on solana-devnet, 0.01 USD", "The seller has 0.01 USD"],
    "pay_with_aiohttp.py": [
        "It would cost 0.01 USD",
        'worth it"} and the money is spent',
        '"received": 130000',
        "spent 0.02 USD",
    ],
    "pay_with_async_httpx.py": ["Paid 5 times, spent 0.05 USD"],
    "pay_with_httpx.py": ["It would cost 0.01 USD", "Got worth it", "0.99 USD is left", "The money is untouched"],
    "pay_with_httpx2.py": ["Got worth it and spent 0.01 USD"],
    "pay_with_requests.py": ["Got worth it", "Mounted: 0.01 USD", "Spent 0.06 USD"],
    "policy_file.py": [
        "Bought the report",
        "Not twice: 0.05 USD of 0.06 USD is spent",
        "policy.toml, line 1: per_request: 0.05 is a float",
        "policy.toml, line 2: per_dya: is no field here; did you mean per_day?",
    ],
    "resell_with_fastapi.py": [
        "ann 1 200 charged nothing",
        "ben 7 504 charged nothing no answer yet",
        "ben 7 200 charged 0.0625",
        "ann 3 429 charged nothing your budget is 0.10 USD, and 0.10 USD of it is used",
        "Bought 3 reports for 0.15 USD",
    ],
    "test_an_agent.py": ["5 passed"],
    "watch_with_opentelemetry.py": ["x402.pay", "spent", "no_answer", "x402.refused"],
    "when_it_breaks.py": [
        "drop-before-settling -> worth it",
        "drop-after-settling -> nothing",
        "Settled 2 payments for 2 purchases",
        "given up: spent",
    ],
}
#: What an example needs besides the package, and what it says where that is missing.
NEEDS = {
    "forty_workers.py": ("redis-server", "needs redis-server"),
    "resell_with_fastapi.py": ("fastapi", "pip install fastapi"),
    "watch_with_opentelemetry.py": ("opentelemetry", "pip install opentelemetry-sdk"),
}


def run(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("X402_")} | variables
    return subprocess.run(
        [sys.executable, "-W", "error", *command], capture_output=True, text=True, timeout=60, env=environment
    )


def test_every_example_is_listed() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(SAYS)


@pytest.mark.parametrize("name", sorted(SAYS))
def test_an_example_says_what_it_shows_and_how_to_run_it(name: str) -> None:
    words = ast.get_docstring(ast.parse((EXAMPLES / name).read_text("utf-8"))) or ""
    first, *_, last = words.splitlines()
    assert re.fullmatch(r"[A-Z]?\w.{20,}[.:]", first)
    assert last == f"Run it: python {'-m pytest ' if name.startswith('test_') else ''}examples/{name}"


@pytest.mark.parametrize("name", sorted(SAYS))
def test_example(name: str) -> None:
    if NEEDS.get(name, ("",))[0] == "redis-server" and shutil.which("redis-server") is None:
        pytest.skip("there is no redis-server here")
    as_tests = ["-m", "pytest", "-p", "no:cacheprovider"] if name.startswith("test_") else []
    done = run(*as_tests, str(EXAMPLES / name))
    assert done.returncode == 0, done.stderr
    for words in SAYS[name]:
        assert words in done.stdout


@pytest.mark.parametrize("name", sorted(NEEDS))
def test_an_example_says_what_it_needs(name: str) -> None:
    needed, words = NEEDS[name]
    hidden = f"import runpy, sys; sys.modules[{needed!r}] = None; runpy.run_path({str(EXAMPLES / name)!r})"
    done = run("-c", hidden, PATH="")
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr


_SENT_AGAIN = "send the same order again, it is not paid twice"
_OWED = (502, f"it was paid, and the seller did not deliver yet; {_SENT_AGAIN}")
_SILENT = (504, f"no answer yet; {_SENT_AGAIN}")
_REPORT = (200, "worth it")
RESOLD: dict[str, tuple[str, list[str | None], list[tuple[int, str]]]] = {
    "delivered": ("0.05", [None], [_REPORT, _REPORT]),
    "lost before it settled": ("0.05", ["drop-before-settling"] * 3, [_SILENT, _REPORT]),
    "lost after it settled": ("0.05", ["drop-after-settling"] * 1, [_OWED, _OWED]),
    "an error": ("0.05", ["error-before-settling"] * 3, [(502, f"the seller answered 500; {_SENT_AGAIN}"), _REPORT]),
    "asked again": (
        "0.05", ["402-again"] * 3, [(502, f"the seller did not take the payment yet; {_SENT_AGAIN}"), _REPORT],
    ),
    "asked again and settled": ("0.05", ["402-after-settling", *["402-again"] * 9], [_OWED, _OWED]),
    "a broken body": ("0.05", ["truncated-body"], [_SILENT, _OWED]),
    "too dear": ("0.50", [None], [(502, "it costs 0.50 USD now, and one report may cost 0.10 USD")]),
    "nothing to read": ("0.05", ["garbage-402"] * 2, [(503, "it could not be bought, and nothing was paid")]),
}  # fmt: skip


def test_a_key_that_was_used_for_another_order_is_a_conflict() -> None:
    pytest.importorskip("fastapi", reason="The example needs FastAPI, which is not installed here.")
    told = runpy.run_path(str(EXAMPLES / "resell_with_fastapi.py"))["told"]
    assert told(errors.PaymentRefused("This key was used for another request.")).status_code == 409
    assert told(errors.Frozen("All payments are frozen.")).status_code == 503


@pytest.mark.parametrize("case", RESOLD)
def test_every_end_of_a_resale_has_an_answer_of_its_own(case: str) -> None:
    pytest.importorskip("fastapi", reason="The example needs FastAPI, which is not installed here.")
    example: Any = runpy.run_path(str(EXAMPLES / "resell_with_fastapi.py"))
    price, fault, expected = RESOLD[case]

    async def order(shop: httpx.AsyncClient, city: str = "Rome") -> tuple[int, str]:
        headers = {"X-Api-Key": "key-of-ann", "Idempotency-Key": "1"}
        answer = await shop.get("/report", params={"city": city}, headers=headers)
        return answer.status_code, answer.json().get("detail") or answer.json()["report"]

    async def main() -> list[tuple[int, str]]:
        async with Sandbox() as seller:
            seller.sell("/report", price, content='{"content": "worth it"}', fault=fault)
            app = example["service"](seller)
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with (
                app.router.lifespan_context(app),
                httpx.AsyncClient(transport=transport, base_url="http://r") as shop,
            ):
                said = [await order(shop) for _ in expected]
                assert await order(shop, "Oslo") == (422, "this Idempotency-Key is that of an order for Rome")
            assert len({one.nonce for one in seller.settlements}) == len(seller.settlements) <= 1
            return said

    assert asyncio.run(main()) == expected


def test_a_customer_is_told_what_a_chain_proved_and_what_was_delivered() -> None:
    pytest.importorskip("fastapi", reason="The example needs FastAPI, which is not installed here.")
    told: Any = runpy.run_path(str(EXAMPLES / "resell_with_fastapi.py"))["told"]
    assert told(errors.AlreadyPaid("said")).status_code == 409
    assert told(errors.PaidNotDelivered("said")).detail.startswith("it was paid, and the seller does not deliver")
    assert told(errors.Frozen("said")).status_code == 503
    assert told(httpx.ConnectError("said")).status_code == 504
