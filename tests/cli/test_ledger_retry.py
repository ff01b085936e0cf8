"""``x402 ledger retry``: the same payment once more, for the same request only, and never a second one."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from tests.adapters.mcp_sessions import over_memory
from tests.adapters.mcp_shop import Shop
from tests.adapters.mcp_shop import lost as lose
from x402_client import Policy
from x402_client.errors import PaymentOutcomeUnknown
from x402_client.mcp import wrap
from x402_client.sandbox import Sandbox

from .conftest import shell_settings
from .running import Ran, in_process, terminal


def lost(given: dict[str, str], url: str, *more: str) -> str:
    """Pay and get no content. Return the hold."""
    ran = in_process(["get", url, "--yes", *more], given)
    assert ran.code in (6, 7, 8), ran.err
    return str(json.loads(in_process(["ledger", "list", "--limit", "1", "--json"], given).out)["payments"][0]["hold"])


def shown(given: dict[str, str], hold: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(in_process(["ledger", "show", hold, "--json"], given).out)
    return found


def retry(given: dict[str, str], *arguments: str) -> Ran:
    """Retry as an operator without any key would."""
    keyless = {name: value for name, value in given.items() if not name.endswith("_KEY")}
    return in_process(["ledger", "retry", *arguments], keyless)


def test_the_same_payment_brings_the_content_without_a_key(seller: Sandbox, given: dict[str, str]) -> None:
    hold = lost(given, f"{seller.url}/fault/drop-before-settling/evm/weather", "-X", "POST")
    before = len(seller.settlements)
    ran = retry(given, hold)
    assert ran.code == 0, ran.err
    assert b"worth it" in ran.out
    assert "0.01 USD, test money: the same payment was presented, and the content came. Resolved." in ran.err
    assert shown(given, hold)["state"] == "delivered"
    assert len(seller.settlements) == before + 1
    again = retry(given, hold)
    assert (again.code, again.out) == (2, b"")
    assert "is delivered: there is nothing to present" in again.err


def test_a_file_that_cannot_be_used_is_told_as_what_it_is(seller: Sandbox, given: dict[str, str]) -> None:
    hold = lost(given, f"{seller.url}/fault/drop-before-settling/evm/weather", "-X", "POST")
    asked = len(seller.visits)
    ran = retry(given, hold, "-o", "/nowhere/answer.json", "--json")
    told = json.loads(ran.err.splitlines()[-1])
    assert (ran.code, told["exit"], told["payment"]) == (2, 2, None)
    assert "/nowhere/answer.json cannot be written" in told["error"]["message"]
    trusted = retry(given | {"SSL_CERT_FILE": "/nowhere/ca.pem"}, hold)
    assert trusted.code == 1
    assert "cannot be used: No such file" in trusted.err
    assert "body" not in trusted.err
    assert len(seller.visits) == asked


def test_a_query_and_a_body_are_given_and_checked(seller: Sandbox, given: dict[str, str]) -> None:
    url = f"{seller.url}/fault/drop-before-settling/evm/weather?city=Oslo"
    hold = lost(given, url, "-d", '{"n": 1}')
    asked = len(seller.visits)
    wrong = [
        [], [url], [url, "-d", '{"n": 2}'], [url.replace("Oslo", "Rome"), "-d", '{"n": 1}'],
        [url, "-d", '{"n": 1}', "-X", "PUT"], [url, "-d", '{"n": 1}', "--key", "k"],
    ]  # fmt: skip
    for arguments in wrong:
        refused = retry(given, hold, *arguments)
        assert (refused.code, refused.out) == (2, b"")
        assert "Nothing was sent." in refused.err
    assert "keeps no query, no body and no Range header" in retry(given, hold).err
    assert len(seller.visits) == asked
    ran = retry(given, hold[:9], url, "-d", '{"n": 1}')
    assert ran.code == 0, ran.err
    assert shown(given, hold)["state"] == "delivered"


def test_a_key_is_needed_where_it_was_paid_under_one(seller: Sandbox, given: dict[str, str]) -> None:
    url = f"{seller.url}/fault/drop-before-settling/evm/weather"
    hold = lost(given, url, "-X", "POST", "--key", "order-7")
    assert "was paid under a key; give --key" in retry(given, hold).err
    assert "under another key" in retry(given, hold, "--key", "order-8").err
    assert retry(given, hold, "--key", "order-7").code == 0


def test_a_seller_that_took_it_and_delivers_nothing_is_not_paid_again(seller: Sandbox, given: dict[str, str]) -> None:
    url = f"{seller.url}/fault/drop-after-settling/evm/weather"
    hold, before = lost(given, url, "-X", "POST"), len(seller.settlements)
    ran = retry(given, hold, "--json")
    report = json.loads(ran.err.splitlines()[-1])
    assert (ran.code, report["money"], report["payment"]["hold"]) == (6, "spent", hold)
    assert len(seller.settlements) == before
    assert (shown(given, hold)["money"], shown(given, hold)["state"]) == ("spent", "unresolved")


def test_what_a_seller_gives_away_meanwhile_is_taken_and_nothing_presented(
    bare: dict[str, str], tmp_path: Path
) -> None:
    with Sandbox() as seller:
        given = bare | shell_settings(seller, tmp_path)
        seller.sell("/news", "0.01", chains=["evm"], fault="drop-before-settling")
        hold = lost(given, f"{seller.url}/news", "-X", "POST")
        seller.free("/news", "all the news")
        ran = retry(given, hold)
        assert ran.code == 0, ran.err
        assert b"all the news" in ran.out
        assert "answered 200 without asking for a payment, so nothing was presented" in ran.err
        assert shown(given, hold)["state"] == "unresolved"


def test_a_frozen_payment_is_not_presented(seller: Sandbox, given: dict[str, str]) -> None:
    hold = lost(given, f"{seller.url}/fault/drop-before-settling/evm/weather", "-X", "POST")
    assert in_process(["ledger", "freeze"], given).code == 0
    ran = retry(given, hold)
    assert ran.code == 3
    assert "`x402 ledger unfreeze '*'`" in ran.err
    assert shown(given, hold)["state"] == "unresolved"


@pytest.mark.slow
def test_what_is_in_flight_is_left_alone(seller: Sandbox, given: dict[str, str]) -> None:
    url = f"{seller.url}/fault/hang-before-settling/evm/weather"
    command = ["get", url, "-X", "POST", "--yes", "--timeout", "8"]
    paying = threading.Thread(target=lambda: terminal(command, given))
    paying.start()
    try:
        until, found = time.monotonic() + 30, []
        while not found and time.monotonic() < until:
            time.sleep(0.2)
            if Path(given["X402_LEDGER"]).exists():
                ran = in_process(["ledger", "list", "--state", "in-flight", "--json"], given)
                found = [one for one in json.loads(ran.out)["payments"] if one["nonce"]] if ran.code == 0 else []
        [one] = found
        for refused in (retry(given, one["hold"]), in_process(["ledger", "write-off", one["hold"], "-y"], given)):
            assert (refused.code, f"{one['hold']} is in flight" in refused.err) == (2, True)
    finally:
        paying.join()
    assert shown(given, one["hold"])["state"] != "in flight"


@pytest.fixture
def expired(bare: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Two payments without an answer that expired by every clock: the first did not settle, and the second did."""
    with Sandbox() as seller:
        given = bare | shell_settings(seller, tmp_path)
        for name, fault in (("unsettled", "drop-before-settling"), ("settled", "drop-after-settling")):
            given[name] = lost(given, f"{seller.url}/fault/{fault}/evm/weather", "-X", "POST")
        later = time.time() + 5_000
        seller.advance(5_000)
        monkeypatch.setattr("x402_client.buyer.settlement_reader.time.time", lambda: later)
        yield given
        monkeypatch.undo()


def test_one_that_expired_unused_is_given_back_and_not_paid_anew(expired: dict[str, str]) -> None:
    ran = retry(expired, expired["unsettled"])
    assert ran.code == 3
    assert "The chain shows that it never settled: 0.01 USD, test money was given back to the budget." in ran.err
    assert in_process(["ledger", "show", expired["unsettled"]], expired).code == 2
    counted = json.loads(in_process(["ledger", "--json"], expired).out)["counted"]["total"]
    assert counted == ["0.01 USD"]


def test_a_dead_endpoint_beside_a_living_one_is_named_as_what_gives_nothing_back(expired: dict[str, str]) -> None:
    alive = [f"--rpc={one}" for one in expired["X402_RPC"].split()]
    dead = [f"--rpc={one.partition('=')[0]}=http://127.0.0.1:9/secret" for one in expired["X402_RPC"].split()]
    ran = in_process(["ledger", "reconcile", *alive, *dead], expired)
    said = " ".join(ran.text.split())
    assert ran.code == 7
    assert "(127.0.0.1: ConnectError). A payment is given back only if each endpoint that is asked says so" in said
    assert "secret" not in said
    assert "did not settle" not in said
    told = json.loads(in_process(["ledger", "reconcile", "--json", *alive, *dead], expired).out)
    assert [one["hold"] for one in told["unknown"]] == [expired["unsettled"]]
    assert len(told["failures"]) == 1
    ran = in_process(["ledger", "reconcile", *alive], expired)
    assert "did not settle: given back to the budget" in ran.text


@pytest.mark.parametrize("name", ["unsettled", "settled"])
@pytest.mark.parametrize("accepted", [True, False])
def test_a_quote_of_the_same_request_says_that_a_loss_is_accepted(
    expired: dict[str, str], tmp_path: Path, name: str, accepted: bool
) -> None:
    shown = json.loads(in_process(["ledger", "show", expired[name], "--json"], expired).out)
    file = tmp_path / "accepting.toml"
    file.write_text(f'accept_loss = "{"0.01" if accepted else "0"}"\n{Path(expired["X402_POLICY"]).read_text()}')
    options = ["-X", "POST", "--policy", str(file)]
    said = " ".join(in_process(["quote", shown["url"], *options], expired).out.decode().split())
    assert ("If that brings nothing, it would be given up, as accept_loss in the policy allows" in said) is accepted
    in_process(["get", shown["url"], *options, "--yes"], expired)
    listed = json.loads(in_process(["ledger", "list", "--state", "written-off", "--json"], expired).out)
    assert [one["hold"] for one in listed["payments"]] == ([expired[name]] if accepted and name == "settled" else [])


def test_one_that_settled_and_brings_nothing_is_lost_until_it_is_written_off(expired: dict[str, str]) -> None:
    ran = retry(expired, expired["settled"])
    assert ran.code == 8
    assert "Ask the seller for the content or the money" in ran.err
    found = shown(expired, expired["settled"])
    assert (found["state"], found["money"]) == ("lost", "spent")
    assert json.loads(in_process(["ledger", "--json"], expired).out)["sums"][0]["lost"] == "0.01 USD"
    assert in_process(["ledger", "write-off", expired["settled"], "--yes"], expired).code == 0
    assert shown(expired, expired["settled"])["state"] == "written off"


def test_a_person_who_interrupts_it_hears_of_the_money(bare: dict[str, str], tmp_path: Path) -> None:
    with Sandbox(slow=20) as seller:
        given = bare | shell_settings(seller, tmp_path)
        seller.sell("/news", "0.01", chains=["evm"], fault=["402-again", "hang-before-settling"])
        hold = lost(given, f"{seller.url}/news", "-X", "POST")
        seen = terminal(["ledger", "retry", hold], given, [("waiting for its answer", signal.SIGINT)])
        assert seen.code == 130
        assert "\nx402: Interrupted. Nothing new was paid. The payment stays as it is" in seen.screen
        assert shown(given, hold)["state"] == "unresolved"


@pytest.mark.parametrize("command", [["spent"], ["list"], ["holds"], ["reconcile"]])
def test_an_interrupt_of_a_command_that_could_not_pay_says_nothing_of_payments(
    given: dict[str, str], command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object, **more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("x402_client.cli.open_ledger.ledger_file", interrupted)
    ran = in_process(["ledger", *command], given)
    assert (ran.code, ran.err.strip()) == (130, "x402: Interrupted.")


def test_a_tool_call_is_repeated_by_its_program(seller: Sandbox, tmp_path: Path) -> None:
    ledger = str(tmp_path / "spend.db")
    buyer = seller.buyer(Policy(per_request="0.05"), ledger=ledger, settle_timeout=0.2)

    async def call() -> None:
        shop = Shop(f"{seller.url}/evm", faults=[lose])
        async with over_memory(shop, read_timeout_seconds=0.2) as session:
            with pytest.raises(PaymentOutcomeUnknown):
                await wrap(session, buyer, "reports").call_tool("weather")

    anyio.run(call)
    [hold] = buyer.holds()
    buyer.close()
    refused = in_process(["ledger", "retry", hold.id, "--ledger", ledger], {})
    assert refused.code == 2
    assert "a call of the tool weather of mcp:reports" in refused.err
    told = in_process(["ledger", "show", hold.id, "--ledger", ledger], {})
    assert "mcp:reports#weather" in told.out.decode()
    assert "ledger retry" not in told.out.decode() + told.err
    listed = in_process(["ledger", "list", "--host", "mcp:reports", "--ledger", ledger, "--json"], {})
    assert [one["hold"] for one in json.loads(listed.out)["payments"]] == [hold.id]
