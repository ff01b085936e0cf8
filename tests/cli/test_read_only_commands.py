"""``quote``, ``doctor`` and ``policy check``: they ask, judge, and never pay."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ledgers.redis.server import Server
from x402_client import Money, Wallet
from x402_client.cli.money_labels import network_name
from x402_client.cli.offer_rows import is_play_money
from x402_client.ledgers import RedisLedger, SqliteLedger
from x402_client.model.offers import Offer
from x402_client.sandbox import Sandbox

from .conftest import shell_settings
from .running import in_process, terminal


@pytest.fixture(autouse=True)
def _nothing_is_paid(seller: Sandbox):  # type: ignore[no-untyped-def]
    before = len(seller.settlements)
    yield
    assert len(seller.settlements) == before


@pytest.fixture
def own_seller() -> Iterator[Sandbox]:
    """A sandbox that may earn something."""
    with Sandbox(slow=0.1) as sandbox:
        yield sandbox


@pytest.fixture
def own(own_seller: Sandbox, bare: dict[str, str], tmp_path: Path) -> dict[str, str]:
    return bare | shell_settings(own_seller, tmp_path)


def test_a_quote_shows_every_offer_the_choice_and_the_reasons(seller: Sandbox, given: dict[str, str]) -> None:
    ran = in_process(["quote", f"{seller.url}/weather"], given)
    assert ran.code == 0
    lines = ran.text.splitlines()
    assert any("→  1. exact  0.01 USD" in line and line.endswith("yes") for line in lines)
    assert any("2. exact  0.01 USD" in line and "no: offer 1 costs the same" in line for line in lines)
    assert "Left before it: 5.00 USD of the day's budget." in ran.text
    assert not Path(given["X402_LEDGER"]).exists()


def test_a_quote_says_that_no_funds_were_looked_at(seller: Sandbox, given: dict[str, str]) -> None:
    command = ["quote", f"{seller.url}/weather"]
    assert "The wallet's funds were not looked at; `x402 doctor URL` looks." in in_process(command, given).err
    assert json.loads(in_process([*command, "--json"], given).out)["funds"] == "not looked at"
    dry = in_process(["get", f"{seller.url}/weather", "--dry-run"], given)
    assert "Nothing was paid, and no funds were looked at." in dry.err
    refused = in_process(["quote", f"{seller.url}/yacht"], given)
    assert "funds" not in refused.text + refused.err


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["quote"], "sandbox, test money"),
        (["get", "--dry-run"], "0.01 USD, test money. Nothing was paid"),
        (["doctor"], "exact on sandbox, 0.01 USD (test money): would be paid"),
        (["doctor"], "offer 1: balance  100 USDC on sandbox, test money"),
        (["wallet", "balance"], "solana-devnet, test money"),
        (["status"], "sandbox, test money"),
    ],
)
def test_test_money_is_labelled(seller: Sandbox, given: dict[str, str], command: list[str], said: str) -> None:
    url = [] if command[0] in ("wallet", "status") else [f"{seller.url}/weather"]
    ran = in_process([*command, *url], given)
    assert said in ran.text + ran.err


@pytest.mark.parametrize("columns", [60, 80])
@pytest.mark.parametrize("command", ["quote", "doctor"])
def test_offers_fit_a_narrow_terminal(seller: Sandbox, given: dict[str, str], command: str, columns: int) -> None:
    seen = terminal([command, f"{seller.url}/weather"], given | {"NO_COLOR": "1"}, columns=columns)
    said = re.sub(r"\x1b\[[^a-zA-Z]*[a-zA-Z]|.*\r", "", seen.screen)
    assert seen.code == 0
    assert max(map(len, said.splitlines())) <= columns
    for address in seller.pay_to.values():
        assert address in said  # in one piece


@pytest.mark.parametrize("pattern", ["127.0.0.1", "*"])
def test_what_is_frozen_would_not_be_paid(seller: Sandbox, given: dict[str, str], pattern: str) -> None:
    url = f"{seller.url}/weather"
    frozen = "All payments are frozen" if pattern == "*" else "Payments to 127.0.0.1 are frozen"
    assert in_process(["quote", url], given).code == 0
    _begin_ledger(given, "freeze", pattern)
    for command in (["quote", url], ["get", url, "--dry-run"], ["policy", "check", given["X402_POLICY"], url]):
        ran = in_process(command, given)
        assert ran.code == 3
        assert f"{frozen}; `x402 ledger unfreeze" in ran.err
        assert "→" not in ran.text
        assert "Would pay" not in ran.err
    assert "no: frozen" in in_process(["quote", url], given).text
    dear = in_process(["quote", f"{seller.url}/yacht"], given)
    assert (dear.code, f"No offer would be paid. {frozen}; `x402 ledger unfreeze" in dear.err) == (3, True)
    said = json.loads(in_process(["quote", url, "--json"], given).out)
    assert (said["choice"], said["frozen"]) == (1, [pattern])
    assert said["refusal"].startswith(frozen)
    examined = in_process(["doctor", url], given)
    assert examined.code == 1
    assert f"wrong: ledger: {frozen}" in examined.text
    assert "would be chosen; frozen" in examined.text
    assert "(test money): would be paid" not in examined.text


def test_a_freeze_of_another_host_stops_nothing_here(seller: Sandbox, given: dict[str, str]) -> None:
    _begin_ledger(given, "freeze", "*.example.com")
    assert in_process(["quote", f"{seller.url}/weather"], given).code == 0
    assert in_process(["doctor", f"{seller.url}/weather"], given).code == 0


def _begin_ledger(given: dict[str, str], *command: str) -> None:
    """Make the ledger as a first payment would, and run a ledger command on it."""
    SqliteLedger(given["X402_LEDGER"]).close_ledger()
    assert in_process(["ledger", *command], given).code == 0


def test_a_ledger_that_cannot_be_used_pays_nothing(seller: Sandbox, given: dict[str, str]) -> None:
    Path(given["X402_LEDGER"]).write_text("this is no database, whatever its name says")
    url = f"{seller.url}/weather"
    quoted, dry = in_process(["quote", url], given), in_process(["get", url, "--dry-run"], given)
    paid = in_process(["get", url, "--yes"], given)
    assert (quoted.code, dry.code, paid.code) == (4, 4, 4)
    assert "no: the ledger cannot be used" in quoted.text
    assert "Left before it" not in quoted.text
    assert paid.err.partition(" More:")[0] in quoted.err
    assert "wrong: ledger: " in in_process(["doctor", url], given).text


def test_a_quote_tells_of_the_payment_that_the_same_request_presents_again(
    own_seller: Sandbox, own: dict[str, str]
) -> None:
    url = f"{own_seller.url}/weather"
    own_seller.order(*["drop-after-settling"] * 3)
    assert in_process(["get", url, "--yes"], own).code == 7
    [hold] = json.loads(in_process(["ledger", "holds", "--json"], own).out)["holds"]
    ran = in_process(["quote", url], own)
    assert ran.code == 0
    assert (
        f"This request has an unresolved payment: {hold['hold']} (0.01 USD, test money, to {own_seller.url})"
        in ran.text
    )
    assert "That same payment would be presented again; nothing new would be signed." in ran.text
    assert f"`x402 ledger write-off {hold['hold']}`" in ran.text
    assert "no: the earlier payment comes first" in ran.text
    assert "→" not in ran.text
    document = json.loads(in_process(["quote", url, "--json"], own).out)
    assert document["unresolved"] == hold
    dry, examined = in_process(["get", url, "--dry-run"], own), in_process(["doctor", url], own)
    for said in (dry.err, examined.text):
        assert "That same payment would be presented again" in said
        assert "Would pay" not in said
        assert "would be paid" not in said
    assert json.loads(in_process(["quote", f"{url}?other=1", "--json"], own).out)["unresolved"] is None
    assert len(own_seller.settlements) == 1


def test_the_next_command_names_the_ledger_where_it_would_find_another(
    own_seller: Sandbox, own: dict[str, str], tmp_path: Path
) -> None:
    url, place = f"{own_seller.url}/weather", str(tmp_path / "other.db")
    own_seller.order(*["drop-after-settling"] * 3)
    assert in_process(["get", url, "--yes", "--ledger", place], own).code == 7
    [hold] = json.loads(in_process(["ledger", "holds", "--json", "--ledger", place], own).out)["holds"]
    again = f"`x402 ledger write-off {hold['hold']} --ledger {place}`"
    assert again in hold["advice"]
    for command in (["quote", url], ["ledger", "holds"], ["ledger", "show", hold["hold"]], ["status", "--offline"]):
        assert again in in_process([*command, "--ledger", place], own).text
    status = json.loads(in_process(["status", "--offline", "--json", "--ledger", place], own).out)
    assert status["next"] == [f"x402 ledger holds --ledger {place}"]
    assert again in status["unresolved"][0]["advice"]


def test_looking_at_a_server_makes_no_purse_there(seller: Sandbox, given: dict[str, str], tmp_path: Path) -> None:
    server = Server(tmp_path)
    look = ["quote", f"{seller.url}/weather", "--ledger", server.url]
    try:
        ledger = RedisLedger(server.url)
        assert in_process(look, given).code == 0
        ledger.freeze("*")
        assert in_process(look, given).code == 3
        assert ledger.purses() == ()
        ledger.close_ledger()
    finally:
        server.kill()


def test_what_asks_for_no_payment_is_called_free_only_where_it_went_well(
    seller: Sandbox, given: dict[str, str]
) -> None:
    for command in (["quote"], ["get", "--dry-run"]):
        ran = in_process([*command, f"{seller.url}/nothing"], given)
        assert (ran.code, "asks for no payment: it answered 404." in ran.text + ran.err) == (22, True)
        led = in_process([*command, f"{seller.url}/fault/redirect-before-paying/weather"], given)
        assert led.code == 0
        assert "asks for no payment: it answered 307. It leads to " in led.text + led.err
        assert "/sound/weather; -L follows it." in led.text + led.err
    missing = json.loads(in_process(["quote", f"{seller.url}/nothing", "--json"], given).out)
    assert (missing["free"], missing["status"]) == (False, 404)


def test_a_dry_run_says_why_nothing_would_be_paid(seller: Sandbox, given: dict[str, str]) -> None:
    ran = in_process(["get", f"{seller.url}/yacht", "--dry-run"], given)
    assert ran.code == 3
    assert "offer 1 (exact on sandbox, 250000.00 USD): it costs" in ran.err


def test_test_money_is_called_so_once() -> None:
    offer = Offer(1, 2, "exact", "eip155:84532", 10_000, "0x", "0x", price=Money("0.01 USD (test)"))
    assert not is_play_money(offer)
    assert is_play_money(offer.but(price=Money("0.01")))
    assert network_name(offer.network, offer.price) == "base-sepolia"
    assert network_name(offer.network, Money("0.01")) == network_name(offer.network) == "base-sepolia, test money"


def test_a_quote_as_json(seller: Sandbox, given: dict[str, str]) -> None:
    said = json.loads(in_process(["quote", f"{seller.url}/weather", "--json"], given).out)
    assert (said["choice"], said["refusal"], said["free"]) == (1, None, False)
    assert [offer["price"] for offer in said["offers"]] == ["0.01", "0.01"]
    for path, upfront in (("/weather", False), ("/upfront/weather", True)):
        said = json.loads(in_process(["quote", seller.url + path, "--json"], given).out)
        assert {offer["upfront"] for offer in said["offers"]} == {upfront}


@pytest.mark.parametrize(
    ("path", "options", "code", "said"),
    [
        ("/free", (), 0, "is free: it answered 200"),
        ("/yacht", (), 3, "it costs 250000.00 USD; one payment may cost 0.10 USD"),
        ("/weather", ("--max", "0.001"), 3, "one payment may cost 0.001 USD"),
        ("/fault/swapped-token/weather", (), 3, "is not a token this buyer knows"),
        ("/fault/garbage-402/weather", (), 5, "cannot be read"),
        ("/fault/not-x402/weather", (), 3, "answered 402 without x402 terms"),
        ("/v1/solana/weather", (), 0, "x402 version 1"),
        ("/upfront/weather", (), 0, "Offer 1 is paid before delivery: the money is spent also if nothing comes."),
    ],
)
def test_quotes_end_as_get_would(
    seller: Sandbox, given: dict[str, str], path: str, options: tuple[str, ...], code: int, said: str
) -> None:
    ran = in_process(["quote", seller.url + path, *options], given)
    assert said in ran.text + ran.err
    assert ran.code == code


def test_a_quote_needs_no_wallet(seller: Sandbox, given: dict[str, str]) -> None:
    del given["X402_EVM_KEY"]
    del given["X402_SOLANA_KEY"]
    ran = in_process(["quote", f"{seller.url}/weather"], given)
    assert ran.code == 0
    assert "There is no wallet here" in ran.err
    refused = in_process(["get", f"{seller.url}/weather", "--yes"], given)
    assert refused.code == 2
    assert "Make one with `x402 wallet new`" in refused.err


def test_the_doctor_finds_a_sound_seller_sound(seller: Sandbox, given: dict[str, str]) -> None:
    ran = in_process(["doctor", f"{seller.url}/weather"], given)
    assert ran.code == 0
    assert "PAYMENT-REQUIRED: payment terms" in ran.text
    assert "offer 1: balance  100 USDC on sandbox" in ran.text
    assert "offer 1: account  a key's own; no code is there" in ran.text
    assert "offer 2: balance  100 USDC on solana-devnet" in ran.text


@pytest.mark.parametrize(
    ("path", "code", "said"),
    [
        ("/free", 0, "200: it asks for no payment"),
        ("/nothing", 1, "404: it is an error without a price"),
        ("/yacht", 1, "wrong: policy: No offer would be paid."),
        ("/fault/forged-domain/weather", 0, "tolerated: offer 1.extra.name: it says 'Dollar of somebody else'"),
        ("/fault/ten-year-validity/weather", 0, "it is 315360000 s"),
        ("/fault/pay-to-zero/weather", 1, "it is the zero address"),
        ("/fault/unknown-scheme/weather", 1, "no scheme that we know"),
        ("/fault/garbage-402/weather", 1, "neither JSON nor base64"),
        ("/fault/version-3/weather", 1, "version 3 is not known"),
        ("/fault/not-x402/weather", 1, "there are none: neither a PAYMENT-REQUIRED header nor x402 in the body"),
        ("/fault/gzip-bomb-402/weather", 1, "larger than the 262144 bytes that are read"),
        ("/fault/not-x402/weather", 1, "wrong: terms: there are none of x402 here, so nothing could be paid"),
        ("/fault/gzip-bomb-402/weather", 1, "was not read to its end, so nothing would be paid"),
        ("/fault/redirect-before-paying/weather", 0, "307: it asks for no payment, and leads to http://127.0.0.1:"),
        ("/v1/solana/weather", 0, "The body: payment terms"),
        ("/upfront/evm/weather", 0, "USD, paid before delivery (test money): would be paid"),
        ("/upfront/solana/weather", 0, "extra.paymentFlow: 'upfront': the offer is paid before delivery"),
    ],
)
def test_the_doctor_names_what_is_wrong(
    seller: Sandbox, given: dict[str, str], path: str, code: int, said: str
) -> None:
    ran = in_process(["doctor", seller.url + path], given)
    assert said in ran.text
    assert ran.code == code, ran.text


def test_an_offer_that_a_redirect_led_to_is_refused_in_the_words_of_the_command(
    seller: Sandbox, given: dict[str, str]
) -> None:
    ran = in_process(["quote", "-L", f"{seller.url}/fault/redirect-to-another-host/weather"], given)
    assert ran.code == 3
    assert f'list it in a table [hosts."localhost"] in the policy file {given["X402_POLICY"]}' in ran.text


def test_the_doctor_does_not_praise_terms_that_it_only_tolerates(seller: Sandbox, given: dict[str, str]) -> None:
    ran = in_process(["doctor", f"{seller.url}/fault/forged-domain/weather"], given)
    assert "Nothing is wrong with it." not in ran.text
    assert ran.text.endswith("  Nothing stands in the way of a payment.\n")


def test_the_doctor_sees_an_empty_wallet(seller: Sandbox, given: dict[str, str]) -> None:
    poor = given | {"X402_EVM_KEY": seller.key("evm", "0.005"), "X402_SOLANA_KEY": seller.key("solana", "0")}
    ran = in_process(["doctor", f"{seller.url}/weather"], poor)
    assert ran.code == 1
    address = Wallet(evm=poor["X402_EVM_KEY"]).evm
    assert address is not None
    assert f"wrong: offer 1: {address.address} holds 0.005 USDC" in ran.text
    assert "would be chosen, and its payment would fail: see below" in ran.text
    assert "would be paid" not in ran.text


def test_the_doctor_as_json(seller: Sandbox, given: dict[str, str]) -> None:
    said = json.loads(in_process(["doctor", f"{seller.url}/yacht", "--json"], given).out)
    assert said["status"] == 402
    assert any(f["level"] == "wrong" for reading in said["examined"] for f in reading["findings"])
    assert in_process(["doctor", "http://127.0.0.1:9/"], given).code == 10


@pytest.mark.parametrize("command", ["quote", "doctor"])
def test_passwords_and_queries_are_not_shown(seller: Sandbox, given: dict[str, str], command: str) -> None:
    url = seller.url.replace("//", "//user:hunter22@")
    ran = in_process([command, f"{url}/weather?token=abc"], given)
    assert ran.code == 0
    assert "hunter22" not in ran.text + ran.err
    # What the seller repeats of the request in its terms is shown as it stands there.
    assert "token=abc" not in "".join(line for line in ran.text.splitlines() if "resource" not in line) + ran.err


def test_a_policy_is_said_in_words(bare: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    file.write_text(
        'per_request = "0.10"\nper_day = ["5", "3 EUR"]\nmax_payments = "30/minute"\napprove_above = "0.05"\n'
        'networks = ["base"]\npay_to = "0x1111111111111111111111111111111111111111"\n'
        '[hosts]\n"bad.example" = "deny"\n[hosts."api.example.com"]\nper_hour = "2"\n'
    )
    ran = in_process(["policy", "check", str(file)], bare)
    assert ran.code == 0
    for line in (
        "overall          up to 0.10 USD a request, 5.00 USD per day, 3.00 EUR per day, 30 payments per minute",
        "bad.example      never paid",
        "api.example.com  2.00 USD per hour",
        "networks         base",
        "asks above       0.05 USD",
        "pays only        0x1111111111111111111111111111111111111111",
    ):
        assert line in ran.text.splitlines()


def test_a_policy_is_tried_on_a_url(seller: Sandbox, given: dict[str, str]) -> None:
    policy = given["X402_POLICY"]
    assert in_process(["policy", "check", policy, f"{seller.url}/weather"], given).code == 0
    ran = in_process(["policy", "check", policy, f"{seller.url}/yacht"], given)
    assert ran.code == 3
    assert "one payment may cost 0.10 USD" in ran.text


def test_a_policy_with_mistakes_is_told_by_line(bare: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    file.write_text("per_request = 0.10\nper_dya = 5\n")
    ran = in_process(["policy", "check", str(file)], bare)
    assert ran.code == 2
    assert f"{file}, line 1: per_request: 0.10 is a float" in ran.err
    assert f"{file}, line 2: per_dya: is no field here; did you mean per_day?" in ran.err
