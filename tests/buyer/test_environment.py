"""A buyer, a wallet and a policy from the environment: what the command uses, a program uses."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.running import in_process
from x402_client import Buyer, Money, Policy, Token, Wallet, errors, events
from x402_client.buyer import environment, keystores
from x402_client.httpx import wrap
from x402_client.sandbox import Sandbox
from x402_client.signers import keystore

pytestmark = pytest.mark.usefixtures("quick_keystores")
KEY, PASSPHRASE = "0x" + "46" * 32, "correct horse"
ADDRESS = "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F"


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user with an empty home, and no variables of ours or of others."""
    for name in os.environ:
        if name.startswith(("X402_", "XDG_")) or name.endswith("PRIVATE_KEY"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def keep(place: Path, *families: keystore.Family) -> Path:
    """Write a wallet as ``x402 wallet new`` does."""
    secret = bytes.fromhex(KEY[2:])
    keystore.write(place, [(family, keystore.seal(family, secret, PASSPHRASE)) for family in families])
    return place


def test_without_any_key_it_says_what_to_do() -> None:
    for build in (Wallet.from_env, Buyer.from_env):
        with pytest.raises(errors.ConfigurationError) as raised:
            build()
        assert raised.value.args[0] == (
            "There is no wallet to pay with. Make one with `x402 wallet new`, or set X402_EVM_KEY (0x and 64 hex "
            "digits) or X402_SOLANA_KEY (base58). To pay an `x402 sandbox`, type the line that it shows, `. FILE`, in "
            "this terminal first."
        )


OTHERS = {
    "EVM_PRIVATE_KEY": "X402_EVM_KEY",
    "SVM_PRIVATE_KEY": "X402_SOLANA_KEY",
    "PRIVATE_KEY": "X402_EVM_KEY",
    "X402_PRIVATE_KEY": "X402_EVM_KEY",
    "X402_EVM_PRIVATE_KEY": "X402_EVM_KEY",
    "WALLET_PRIVATE_KEY": "X402_EVM_KEY",
    "ETH_PRIVATE_KEY": "X402_EVM_KEY",
    "SOLANA_PRIVATE_KEY": "X402_SOLANA_KEY",
    "SVM_KEY": "X402_SOLANA_KEY",
}


@pytest.mark.parametrize(("theirs", "ours"), OTHERS.items())
def test_a_key_for_another_program_is_named_and_not_used(
    theirs: str, ours: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(theirs, KEY)
    with pytest.raises(errors.ConfigurationError) as raised:
        Buyer.from_env()
    assert f"{theirs} is set" in str(raised.value)
    assert f'to pay with it, write export {ours}="${theirs}".' in str(raised.value)
    assert "4646" not in str(raised.value)
    monkeypatch.setenv("X402_EVM_KEY", KEY)
    assert Wallet.from_env().addresses == {"eip155": ADDRESS}


def test_the_command_says_the_same(monkeypatch: pytest.MonkeyPatch, bare: Path) -> None:
    ran = in_process(["wallet", "show"], {"HOME": str(bare), "PRIVATE_KEY": KEY})
    monkeypatch.setenv("PRIVATE_KEY", KEY)
    with pytest.raises(errors.ConfigurationError) as raised:
        Wallet.from_env()
    assert ran.err == f"x402: {raised.value.args[0].removesuffix(environment.FOR_SANDBOX).strip()}\n"


def test_two_keys_for_one_variable_are_named_and_one_is_chosen(bare: Path) -> None:
    keys = {"HOME": str(bare), "PRIVATE_KEY": KEY, "EVM_PRIVATE_KEY": KEY, "SVM_PRIVATE_KEY": "5x"}
    ran = in_process(["status"], keys)
    assert "EVM_PRIVATE_KEY and PRIVATE_KEY and SVM_PRIVATE_KEY are set" in ran.text
    commands = ['export X402_EVM_KEY="$EVM_PRIVATE_KEY"', 'export X402_SOLANA_KEY="$SVM_PRIVATE_KEY"']
    assert f"to pay with them, write {' and '.join(commands)}. " in ran.text
    assert [line.strip() for line in ran.text.splitlines()][2:4] == [f"next: {command}" for command in commands]
    assert "next: x402 wallet new" not in ran.text
    assert json.loads(in_process(["status", "--json"], keys).text)["next"][:2] == commands


def test_the_commands_own_wallet_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    keep(keystores.directory("default"), "evm", "solana")
    with pytest.raises(errors.ConfigurationError, match="X402_PASSPHRASE is not set"):
        Wallet.from_env()
    monkeypatch.setenv("X402_PASSPHRASE", PASSPHRASE)
    own = Wallet.from_env()
    assert own.addresses.keys() == {"eip155", "solana"}
    assert repr(Wallet.from_keystore("default")) == repr(own)
    monkeypatch.setenv("X402_EVM_KEY", "0x" + "11" * 32)
    assert Wallet.from_env().addresses.keys() == {"eip155"}, "a key that is set comes before the wallet"
    monkeypatch.setenv("X402_WALLET", "default")
    assert repr(Wallet.from_env()) == repr(own), "and a wallet that is named before both"


def test_a_wallet_is_found_by_name_before_a_path_and_by_any_path(bare: Path) -> None:
    named, beside = keep(keystores.directory("shop"), "evm"), keep(bare / "shop", "solana")
    family = {"evm": "eip155", "solana": "solana"}
    ways: list[tuple[Any, str]] = [("shop", "evm"), ("./shop", "solana"), (Path("shop"), "solana"), (named, "evm")]
    ways += [(str(beside), "solana"), ("~/shop", "solana"), ("shop/solana.json", "solana")]
    for way, kind in ways:
        assert list(Wallet.from_keystore(way, PASSPHRASE).addresses) == [family[kind]], way
    keep(bare / "elsewhere", "evm")
    assert Wallet.from_keystore("elsewhere", PASSPHRASE).addresses == {"eip155": ADDRESS}


@pytest.mark.parametrize("named", ["nobody", "", "."])
def test_a_wallet_that_is_not_there(named: str) -> None:
    with pytest.raises(errors.ConfigurationError, match=r"There is no (wallet named|keystore in)"):
        Wallet.from_keystore(named)


class Broken:
    """A keyring that has no backend, or is locked."""

    @staticmethod
    def get_password(service: str, name: str) -> str:
        raise RuntimeError("no backend")


def test_a_keyring_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    place, secret = keystores.directory("default"), bytes.fromhex(KEY[2:])
    keystore.write(place, [("evm", keystore.seal("evm", secret, PASSPHRASE, in_keyring=True))])
    monkeypatch.setitem(sys.modules, "keyring", Broken)
    with pytest.raises(errors.ConfigurationError, match=r"keyring, which failed \(RuntimeError\). Set X402_PASSPHRASE"):
        Wallet.from_env()


def test_nothing_is_asked_for_where_there_is_no_terminal(bare: Path) -> None:
    keep(keystores.directory("default"), "evm")
    program = "from x402_client import Buyer; Buyer.from_env()"
    ran = subprocess.run(
        [sys.executable, "-c", program], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 1
    assert "passphrase" in ran.stderr.splitlines()[-1]
    assert "Set X402_PASSPHRASE" in ran.stderr.splitlines()[-1]


def test_every_setting_is_read_and_every_keyword_stands_instead(monkeypatch: pytest.MonkeyPatch, bare: Path) -> None:
    (bare / "policy.toml").write_text('total = "3"\n')
    for name, value in {
        "X402_EVM_KEY": KEY,
        "X402_POLICY": "policy.toml",
        "X402_LEDGER": "own.db",
        "X402_PURSE": "shop",
        "X402_RPC": " base=https://a.example  base=https://b.example solana=https://c.example ",
        "X402_MUST_EXIST": "0",
    }.items():
        monkeypatch.setenv(name, value)
    made = Buyer.from_env()
    assert made.wallet.addresses == {"eip155": ADDRESS}
    assert repr(made.policy) == "Policy(total='3.00 USD')"
    assert (bare / "own.db").exists()
    assert made.purse == "shop"
    assert made.endpoints.of("eip155:8453").urls == ("https://a.example", "https://b.example")
    made.close()
    monkeypatch.setenv("X402_POLICY", "nowhere.toml")
    monkeypatch.setenv("X402_RPC", "nonsense")
    monkeypatch.setenv("X402_MUST_EXIST", "nonsense")
    monkeypatch.delenv("X402_EVM_KEY")
    told: list[events.Event] = []
    own = Buyer.from_env(
        Wallet(evm="0x" + "11" * 32), Policy(per_day="1"), ledger=":memory:", purse="a", rpc={}, must_exist=False,
        on_event=told.append,
    )  # fmt: skip
    assert repr(own.policy) == "Policy(per_day='1.00 USD')"
    assert own.purse == "a"
    assert own.ledger.name == ":memory:"  # type: ignore[attr-defined]


def test_a_class_of_ones_own_is_made() -> None:
    class Own(Buyer):
        """A buyer of a program's own."""

    assert type(Own.from_env(Wallet(evm=KEY), ledger=":memory:")) is Own


MISTAKES = {
    "X402_RPC=https://hunter2.example": "X402_RPC is written like base=https://.*names no network",
    "X402_RPC=https://hunter2.example/?key=hunter2": "X402_RPC is written like",
    "X402_RPC=eth.example/v2/hunter2==": "X402_RPC is written like",
    "X402_RPC=base=https://hunter2.example,solana=https://b.example": "X402_RPC has a comma .*put a blank there",
    "X402_RPC=mainnet=https://hunter2.example": "rpc: 'mainnet' is the name of several networks",
    "X402_RPC=bse=https://hunter2.example": 'did you mean "base"',
    "X402_MUST_EXIST=maybe": "X402_MUST_EXIST is 1, yes, 0 or no, not 'maybe'",
    "X402_LEDGER=mysql://user:hunter2@db": "A ledger cannot be at mysql://",
    "X402_WALLET=nobody": "There is no wallet named nobody, which X402_WALLET names. There is none yet",
    f"X402_WALLET={KEY}": "this is a key; pass it to Wallet",
    "X402_POLICY=nowhere.toml": "nowhere.toml cannot be read",
}


@pytest.mark.parametrize(("setting", "said"), MISTAKES.items(), ids=range(len(MISTAKES)))
def test_a_mistake_in_a_variable_names_it_and_shows_no_secret(
    setting: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("X402_EVM_KEY", KEY)
    monkeypatch.setenv("X402_LEDGER", ":memory:")
    monkeypatch.setenv(*setting.split("=", 1))
    with pytest.raises(errors.ConfigurationError, match=said) as raised:
        Buyer.from_env()
    assert "hunter2" not in str(raised.value)
    assert "4646" not in str(raised.value)


def test_a_misspelt_variable_is_told_and_refuses_nothing(monkeypatch: pytest.MonkeyPatch, bare: Path) -> None:
    monkeypatch.setenv("X402_EVM_KEY", KEY)
    monkeypatch.setenv("X402_LEGDER", "hunter2")
    heard: list[events.Event] = []
    with pytest.warns(UserWarning, match="did you mean") as told:
        Buyer.from_env(ledger=":memory:").close()
    assert [str(one.message) for one in told] == ["X402_LEGDER is set, and is not read: did you mean X402_LEDGER?"]
    assert told[0].filename == __file__
    Buyer.from_env(ledger=":memory:", on_event=heard.append).close()
    assert [one.problem for one in heard if isinstance(one, events.Warned)] == [str(told[0].message)]
    ran = in_process(["tokens"], {"HOME": str(bare), "X402_LEGDER": "hunter2", "X402_PURSE": "", "X402_COLOUR": ""})
    assert (ran.code, ran.err.strip()) == (0, str(told[0].message))


_READ = {
    "X402_REDIS_URL": "X402_LEDGER", "X402_DATABASE_URL": "X402_LEDGER", "X402_POSTGRES_DSN": "X402_LEDGER",
    "X402_LEDGER_URL": "X402_LEDGER", "X402_DB": "X402_LEDGER", "X402_PRIVATE_KEY": "X402_EVM_KEY",
    "X402_EVM_PRIVATE_KEY": "X402_EVM_KEY", "X402_SVM_PRIVATE_KEY": "X402_SOLANA_KEY", "X402_MNEMONIC": "X402_EVM_KEY",
    "X402_RPC_URL": "X402_RPC", "X402_BASE_ENDPOINT": "X402_RPC", "X402_PASSWORD": "X402_PASSPHRASE",
    "X402_MAX_AMOUNT": "X402_POLICY", "X402_PER_DAY": "X402_POLICY", "X402_NETWORK": "X402_POLICY",
    "X402_FACILITATOR_URL": "X402_FACILITATOR", "X402_WALLET_ADDRESS": "X402_WALLET", "X402_COLOUR": "X402_EVM_KEY",
}  # fmt: skip


@pytest.mark.parametrize("name", _READ)
def test_a_variable_that_looks_like_ours_is_told_once_with_the_name_that_is_read(
    name: str, monkeypatch: pytest.MonkeyPatch, bare: Path
) -> None:
    given = {"X402_EVM_KEY": KEY, "X402_LEDGER": ":memory:", name: "redis://u:hunter2@x"}
    for variable, value in given.items():
        monkeypatch.setenv(variable, value)
    with pytest.warns(UserWarning, match="is not read") as told:
        Buyer.from_env().close()
    [said] = [str(one.message) for one in told]
    assert said.startswith(f"{name} is set, and is not read")
    assert _READ[name] in said
    assert "\n" not in said
    for command in (["tokens"], ["status", "--offline"]):
        ran = in_process(command, {"HOME": str(bare), **given})
        assert ran.code == 0
        assert ran.err.count(f"{name} is set") == 1
        assert "hunter2" not in ran.text + ran.err


def test_all_variables_that_are_read_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new variable that is read has to be known: else it would be told as one that is not."""
    source = Path(environment.__file__).parents[1]
    text = "\n".join(path.read_text() for path in source.rglob("*.py"))
    read = set(re.findall(r"X402_[A-Z][A-Z_]*[A-Z]", text)) - set(environment._OF_OTHERS)
    assert read - {"X402_LEGDER", "X402_COMPLETE"} == set(environment.KNOWN)


@pytest.mark.parametrize("name", ["X402_LEGDER", "X402_POLCY", "X402_PRUSE", "X402_MUST_EXSIT", "X402_EVM_KYE"])
def test_a_misspelt_variable_in_whose_place_a_default_would_pay_is_refused(
    name: str, monkeypatch: pytest.MonkeyPatch, bare: Path
) -> None:
    keys = {} if name == "X402_EVM_KYE" else {"X402_EVM_KEY": KEY}
    given = {"HOME": str(bare), name: "hunter2", **keys}
    for variable, value in given.items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(errors.ConfigurationError, match=f"{name} is set, and is not read: did you mean X402_"):
        Buyer.from_env()
    assert in_process(["get", "--yes", "http://127.0.0.1:1/x"], given).code == 2
    assert list(bare.iterdir()) == []


def test_what_is_named_in_another_way_needs_no_variable(monkeypatch: pytest.MonkeyPatch, bare: Path) -> None:
    monkeypatch.setenv("X402_EVM_KEY", KEY)
    monkeypatch.setenv("X402_LEDGER", str(bare / "spend.db"))
    for name in ("X402_LEGDER", "X402_POLCY", "X402_PRUSE"):
        monkeypatch.setenv(name, "x")
    with pytest.warns(UserWarning, match="did you mean"):
        Buyer.from_env(policy=Policy(per_day="1"), purse="mine").close()


def test_a_policy_in_code_in_place_of_a_sandboxs_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X402_EVM_KEY", KEY)
    monkeypatch.setenv("X402_POLICY", "/tmp/x402-sandbox-1/policy.toml")
    with pytest.warns(UserWarning, match=r"in its place.*USD \(test\)\. Write policy=Policy\.from_env\(\)\.but"):
        Buyer.from_env(policy=Policy(per_day="1"), ledger=":memory:").close()
    heard: list[events.Event] = []
    known = Policy(per_day="1", tokens=[Token("eip155:402402402402", "0x" + "11" * 20, symbol="USDC", decimals=6)])
    Buyer.from_env(policy=known, ledger=":memory:", on_event=heard.append).close()
    assert [one for one in heard if isinstance(one, events.Warned)] == []


@pytest.mark.parametrize("written", ["mainnet.base.org", "https://a.example base=mainnet.base.org"])
def test_an_endpoint_without_its_scheme_is_told(written: str, monkeypatch: pytest.MonkeyPatch, bare: Path) -> None:
    monkeypatch.setenv("X402_EVM_KEY", KEY)
    monkeypatch.setenv("X402_RPC", f"base={written}")
    with pytest.raises(errors.ConfigurationError, match="X402_RPC: the address for base lacks https://"):
        Buyer.from_env(ledger=":memory:")
    with pytest.raises(errors.ConfigurationError, match="rpc: an address for 'base' lacks https://"):
        Buyer(Wallet(evm=KEY), ledger=":memory:", rpc={"base": "mainnet.base.org"})
    ran = in_process(["status", "--offline"], {"HOME": str(bare), "X402_RPC": f"base={written}", "X402_EVM_KEY": KEY})
    assert (ran.code, "X402_RPC: the address for base lacks https://" in ran.err) == (2, True)


@pytest.mark.parametrize("variable", [True, False])
def test_an_endpoint_that_is_badly_written_is_blamed_on_where_it_stands(variable: bool, bare: Path) -> None:
    given = {"HOME": str(bare), "X402_EVM_KEY": KEY} | ({"X402_RPC": "base"} if variable else {})
    ran = in_process(["status", *([] if variable else ["--rpc", "base"])], given)
    assert (ran.code, ran.err.startswith(f"x402: {'X402_RPC' if variable else '--rpc'} is written like")) == (2, True)


@pytest.mark.parametrize(("written", "fresh"), [("1", False), ("Yes", False), ("on", False), ("no", True), ("0", True)])
def test_must_exist_is_read_as_the_command_reads_it(
    written: str, fresh: bool, monkeypatch: pytest.MonkeyPatch, bare: Path
) -> None:
    monkeypatch.setenv("X402_EVM_KEY", KEY)
    monkeypatch.setenv("X402_MUST_EXIST", written)
    if fresh:
        Buyer.from_env(ledger="new.db").close()
        return
    with pytest.raises(errors.LedgerUnavailable, match="must_exist"):
        Buyer.from_env(ledger="new.db")
    assert not (bare / "new.db").exists()


@pytest.fixture(scope="module")
def seller() -> Iterator[Sandbox]:
    with Sandbox() as seller:
        yield seller


def test_a_program_spends_from_what_the_command_spends_from(
    seller: Sandbox, monkeypatch: pytest.MonkeyPatch, bare: Path
) -> None:
    own = {name: seller.environ[name] for name in ("X402_EVM_KEY", "X402_POLICY", "X402_RPC")}
    settings = {"HOME": str(bare), "X402_PURSE": "shared", **own}
    ran = in_process(["get", f"{seller.url}/evm/weather", "--yes", "--json"], settings)
    assert ran.code == 0, ran.err
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    buyer = Buyer.from_env()
    told = json.loads(ran.err.splitlines()[-1])
    [paid] = buyer.history()
    assert (paid.id, paid.payer) == (told["payment"]["hold"], buyer.wallet.addresses["eip155"].lower())
    price = buyer.spent()
    assert price > Money(0)
    with wrap(httpx.Client(), buyer) as client:
        assert client.get(f"{seller.url}/evm/weather").status_code == 200
    assert buyer.spent() == price + price
    buyer.close()


def test_every_keyword_of_a_buyer_is_one_of_from_env() -> None:
    source = inspect.getsource(environment)
    keywords = {name for name, one in inspect.signature(Buyer).parameters.items() if one.kind is one.KEYWORD_ONLY}
    listed = source.partition("class Settings(TypedDict, total=False):")[2].partition("\n\n\n")[0]
    found = {
        line.partition(":")[0].strip() for line in listed.splitlines() if line.startswith("        ") and ":" in line
    }
    assert found == keywords
