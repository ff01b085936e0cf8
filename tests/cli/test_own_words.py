"""Messages in the command name its options, not Python's arguments."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from x402_client import Money, errors
from x402_client.cli.in_use import NO_POLICY, typed
from x402_client.cli.own_words import in_own_words
from x402_client.sandbox import Sandbox

from .running import in_process
from .test_ledger import hold

PYTHON = re.compile(
    r"\b(Buyer|Policy|Token|Limit|Wallet)(\.\w+)?\(|\bbuyer\.|\ballowance\.\w+\(|\berror\.hold|\bmust_exist\b|\bledger="
)


@pytest.mark.parametrize(
    ("python", "command"),
    [
        ("buyer.unfreeze('*.x.dev') lifts it", "`x402 ledger unfreeze '*.x.dev'` lifts it"),
        ("buyer.unfreeze('x.dev') lifts it", "`x402 ledger unfreeze x.dev` lifts it"),
        ("buyer.write_off(error.hold) gives it up", "`x402 ledger write-off ab12` gives it up"),
        ("look it up by error.hold.nonce;", "look it up by its nonce (`x402 ledger show ab12`);"),
        ("buyer.holds() lists these", "`x402 ledger holds` lists these"),
        ("one with Buyer(rpc={\"base\": \"https://...\"}).", "one with --rpc base=https://... (or X402_RPC)."),
        ("of different operators, in Buyer(rpc=...), or", "of different operators, in --rpc, or"),
        ("Policy(http_hosts=['x.dev']) allows it", 'http_hosts = ["x.dev"] in {F} allows it'),
        ("in Policy(hosts={\"x.dev\": Limit(...)}) if", 'in a table [hosts."x.dev"] in {F} if'),
        ("Policy(accept_loss=...) does so", "accept_loss = ... in {F} does so"),
        ("Policy(tokens=[Token(...)]) vouches", "a table [[tokens]] in {F} vouches"),
        ("write Token(..., decimals=18).", "write decimals = 18."),
        ('for example per_request="0.10 EUR"', 'for example per_request = "0.10 EUR"'),
        ("only under Policy(allow_zero=True)", "only under allow_zero = true in {F}"),
        ("and must_exist=True refuses that", "and --must-exist refuses that"),
        ("pass ledger=PATH.", "pass --ledger PATH."),
        ("may take 60 seconds: Buyer(settle_timeout=...).", "may take 60 seconds, or --timeout if that is longer."),
        ("A higher per_request in the Policy allows it.", "A higher per_request in {F} allows it."),
        (
            "A higher buyer.purchase(per_request=...) allows it, as far as the Policy does.",
            "A higher --max allows it, as far as the policy does.",
        ),
        (
            "A higher per_request in the hosts entry 'x.dev' of the Policy allows it.",
            'A higher per_request for [hosts."x.dev"] in {F} allows it.',
        ),
        ("a higher limit in the Policy allows it", "a higher limit in {F} allows it"),
        ('Policy(assets=["USDC"]) says which', 'assets = ["USDC"] in {F} says which'),
        ("and only_listed_hosts=True pays no other", "and only_listed_hosts = true pays no other"),
        ("`x402 ledger unfreeze --allowance a` or allowance.unfreeze() lifts it.",
         "`x402 ledger unfreeze --allowance a` lifts it."),
        ("paid; buyer.allowance(...) opens it again.", "paid; the program that made it opens it again."),
        ("a purchase that is made once: buyer.purchase(key=...).", "a purchase that is made once: --key NAME."),
        ("The pause ends by itself; Buyer(breaker_after=...) sets it. Re", "The pause ends by itself. Re"),
        ("and Policy(permits=False) signs none.", "and permits = false in {F} signs none."),
        ("only where Policy(seller_keys=[...]) lists", "only where seller_keys = [...] in {F} lists"),
        ("name an endpoint: Buyer(rpc={...}), or X402_RPC for the command", "name an endpoint: --rpc, or X402_RPC"),
        ("with Wallet(evm=ContractSigner(address, sign=...)), take",
         "with a signer for contracts in a program of your own, take"),
        ("Make the same request again: it", "Run the same command again: it"),
        *(
            (f"Wallet({one}=...) takes a key, not a file; "
             f"Wallet.from_keystore(path) reads an encrypted keystore{more}.",
             "A key is needed here, and this names a file: `x402 wallet import < FILE` reads the key in it.")
            for one, more in (
                ("evm", ""),
                ("solana", ", and Wallet(solana=bytes(json.loads(Path(path).read_text()))) a file of solana-keygen"),
            )
        ),
    ],
)  # fmt: skip
def test_each_is_said_in_the_words_of_the_command(python: str, command: str) -> None:
    assert in_own_words(python, "ab12") == command.replace("{F}", NO_POLICY)


@pytest.mark.parametrize(
    ("path", "options"),
    [
        ("/fault/swapped-token/weather", ("--yes",)),
        ("/fault/drop-before-settling/weather", ("--yes", "-X", "POST")),
        ("/fault/402-again/weather", ("--yes", "-X", "POST")),
        ("/weather", ("--yes", "--must-exist", "--ledger", "{new}")),
        ("/weather", ("--yes", "--policy", "{euros}")),
    ],
)
def test_no_message_of_get_speaks_python(
    seller: Sandbox, given: dict[str, str], tmp_path: Path, path: str, options: tuple[str, ...]
) -> None:
    euros = tmp_path / "euros.toml"
    euros.write_text(Path(given["X402_POLICY"]).read_text().replace('"0.10"', '"0.10 EUR"').replace('"5"', '"5 EUR"'))
    named = {"{new}": str(tmp_path / "new.db"), "{euros}": str(euros)}
    ran = in_process(["get", seller.url + path, *(named.get(option, option) for option in options)], given)
    assert ran.code not in (0, 1)
    assert not PYTHON.search(ran.err), ran.err


def test_quote_and_doctor_speak_no_python_either(seller: Sandbox, given: dict[str, str]) -> None:
    for command in ("quote", "doctor"):
        for options in ((), ("--json",)):
            ran = in_process([command, f"{seller.url}/fault/swapped-token/weather", *options], given)
            assert f"[[tokens]] in the policy file {given['X402_POLICY']} vouches for one" in ran.text
            assert not PYTHON.search(ran.text + ran.err)


def test_a_freeze_and_a_hold_are_named(seller: Sandbox, given: dict[str, str]) -> None:
    assert in_process(["get", f"{seller.url}/weather", "--yes"], given).code == 0
    assert in_process(["ledger", "freeze", "127.0.0.1"], given).code == 0
    ran = in_process(["get", f"{seller.url}/weather", "--yes"], given)
    assert "`x402 ledger unfreeze 127.0.0.1` lifts it" in ran.err
    from x402_client.cli.running import in_commands

    error = errors.PaymentRejected("buyer.write_off(error.hold)", hold=hold(price=str(Money("0.01"))))
    page = "More: x402 manual errors/payment-rejected"
    assert in_commands(error) == f"`x402 ledger write-off 00000000000000aa` {page}"


@pytest.mark.parametrize(
    "arguments", [["get", "--max", "0.1 USDC", "http://x.example/"], ["ledger", "list", "--host", "*"]]
)
def test_a_refused_value_is_told_in_the_words_of_the_command(given: dict[str, str], arguments: list[str]) -> None:
    ran = in_process(arguments, given)
    assert (ran.code, bool(PYTHON.search(ran.err))) == (2, False), ran.err
    assert not re.search(r'\w=[\["T]', ran.err)


@pytest.mark.parametrize(
    "url",
    [
        "redis://user:hunter2@db", "redis://db?password=hunter2", "postgresql://db/app?user=a&password=hunter2",
        "postgresql://db/app?sslmode=require&PASSWORD=hunter2", "postgresql://db/app?sslpassword=hunter2",
    ],
)  # fmt: skip
def test_a_command_to_type_next_repeats_no_password_of_a_url(url: str) -> None:
    assert typed(url, "default") == " --ledger ..."


def test_a_command_to_type_next_names_every_other_ledger() -> None:
    for named in ("postgresql://db/app?schema=own", "redis://db/0", "password.db", "spend.db"):
        assert typed(named, "default") == f" --ledger {shlex.quote(named)}"
