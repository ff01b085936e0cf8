"""``x402 search``: listings in a table or in JSON, judged by the policy at hand."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from tests.adapters.scripted_server import Server
from tests.discovery.lists import answer, record
from x402_client.cli.commands.sandbox import _settings
from x402_client.sandbox import Sandbox

from .running import in_process, process, terminal


@pytest.fixture(scope="module", autouse=True)
def poem(seller: Sandbox) -> str:
    return seller.sell("/poem", "0.02", description="Four lines\x1b[31m,\nrhymed \u202e")


def test_what_is_sold_is_listed_with_the_verdict_of_the_policy(given: dict[str, str], seller: Sandbox) -> None:
    ran = in_process(["search", "--facilitator", seller.url], given)
    assert ran.code == 0
    lines = ran.text.splitlines()
    assert lines[0].split() == ["sold", "at", "price", "network", "it", "says", "verdict"]
    [poem] = [line for line in lines if "/poem" in line]
    assert poem.startswith(f"→  GET {seller.url}/poem")
    assert '"Four lines [31m, rhymed"' in poem
    assert poem.endswith("would be paid")
    [yacht] = [line for line in lines if "/yacht" in line]
    assert "it costs 250000.00 USD; one payment may cost" in yacht
    assert "the seller's own 402 decides" in ran.err
    assert "no wallet" not in ran.err


def test_json_is_one_document_with_all_there_is(given: dict[str, str], seller: Sandbox) -> None:
    ran = process(["search", "poem", "--facilitator", seller.url, "--json"], given)
    assert (ran.code, ran.err) == (0, "")
    found = json.loads(ran.out)
    [listing] = found["listings"]
    assert {name: found[name] for name in ("skipped", "faults", "failures", "partial")} == {
        "skipped": 0, "faults": [], "failures": [], "partial": False,
    }  # fmt: skip
    assert (listing["url"], listing["method"], listing["price"]) == (f"{seller.url}/poem", "GET", "0.02")
    assert (listing["would_be_paid"], listing["choice"], listing["currency"]) == (True, 1, "USD")
    assert [offer["reason"] for offer in listing["offers"]] == [None, "offer 1 costs the same and comes first"]
    assert listing["facilitator"] == seller.url


def test_filters_and_the_environments_facilitator(given: dict[str, str], seller: Sandbox) -> None:
    named = given | {"X402_FACILITATOR": f"{seller.url} http://127.0.0.1:9"}
    ran = in_process(["search", "--max", "0.02", "--payable", "-n", "1"], named)
    assert [line.split()[2].rpartition("/")[2] for line in ran.text.splitlines()[1:]] == ["weather"]
    ran = in_process(["search", "--max", "0.02", "--network", "solana-devnet", "--kind", "http"], named)
    found = {line.split()[2].rpartition("/")[2] for line in ran.text.splitlines()[1:]}
    assert {"weather", "poem"} <= found  # other tests sell here too
    assert not {"report", "yacht"} & found
    assert "Not searched: http://127.0.0.1:9: ConnectError" in ran.err


def test_without_a_wallet_it_judges_as_if_there_were_one(bare: dict[str, str], seller: Sandbox) -> None:
    ran = in_process(["search", "poem", "--facilitator", seller.url.removeprefix("http://")], bare)
    assert "would be paid" in ran.text
    assert "0.02 USD (test)" in ran.text
    assert "There is no wallet here" in ran.err
    assert not list(Path(bare["HOME"]).rglob("*.db"))


def test_a_reason_is_that_against_the_host_then_that_against_a_price(given: dict[str, str]) -> None:
    odd = record("https://odd.example/")["accepts"][0] | {"asset": "DOGE"}
    dear = record("https://odd.example/")["accepts"][0] | {"amount": "9000000"}
    records = [record("http://plain.example/"), record("https://odd.example/", accepts=[odd, dear]), None]
    with Server() as server:
        server.on("/discovery/resources", lambda one: one.answer(200, answer(*records, pagination={"total": 3}).body))
        ran = in_process(["search", "--facilitator", server.url("")], given)
    plain, odd_line = ran.text.splitlines()[1:]
    assert f'http_hosts = ["plain.example"] in the policy file {given["X402_POLICY"]} allows it' in plain
    assert "anybody may know the wallet's key" in odd_line
    assert "Left out, as it makes no sense: 1 entry. The first: entry 3 of" in ran.err


def test_nothing_found_is_said_and_no_failure(given: dict[str, str], seller: Sandbox) -> None:
    ran = in_process(["search", "quux", "--facilitator", seller.url], given)
    assert (ran.code, ran.out) == (0, b"")
    assert "Nothing was found." in ran.err


def test_it_fails_where_no_facilitator_answers_and_where_it_cannot_be_asked(given: dict[str, str]) -> None:
    ran = in_process(["search", "--facilitator", "http://127.0.0.1:9"], given)
    assert (ran.code, "No list of sellers could be read" in ran.err) == (10, True)
    for wrong in (["--kind", "ftp"], ["--network", "bse"], ["--facilitator", "http://a.example"], ["--max", "1,5"]):
        assert in_process(["search", "--facilitator", "http://127.0.0.1:9", *wrong], given).code == 2


def test_on_a_narrow_terminal_each_listing_has_its_lines(given: dict[str, str], seller: Sandbox) -> None:
    seen = terminal(["search", "poem", "--facilitator", seller.url], given | {"NO_COLOR": "1"}, columns=60)
    assert f"→ GET {seller.url}/poem" in seen.screen
    assert "  verdict  would be paid" in seen.screen
    assert max(map(len, seen.screen.splitlines())) <= 60


def test_the_settings_of_a_sandbox_lead_to_its_own_list(seller: Sandbox) -> None:
    assert seller.environ["X402_FACILITATOR"] == seller.url
    written = _settings(seller).read_text("utf-8")
    assert "".join(f"export {name}={shlex.quote(value)}\n" for name, value in seller.environ.items()) in written
