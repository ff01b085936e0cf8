"""``x402 wallet``: made, imported, shown; addresses only."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import base58
import pytest
from solders.keypair import Keypair

from tests.signers.test_keystore import Ring
from x402_client import Wallet
from x402_client.errors import ConfigurationError
from x402_client.sandbox import TEST_EVM_KEYS, Sandbox

from .running import Ran, in_process

PASSPHRASE = "correct horse"
REAL_KEY = "0x" + "46" * 32
PAIR = Keypair.from_seed(bytes(range(32)))
EVM = Wallet(evm=TEST_EVM_KEYS[0]).evm
#: Nothing listens there.
DEAD = "http://127.0.0.1:1"
WORDS = "abandon " * 11 + "about"

pytestmark = pytest.mark.usefixtures("quick_keystores")


@pytest.fixture
def user(bare: dict[str, str]) -> dict[str, str]:
    return bare | {"X402_PASSPHRASE": PASSPHRASE}


def place(user: dict[str, str], name: str = "default") -> Path:
    return Path(user["HOME"], ".local", "share", "x402_client", "wallets", name)


def shown(user: dict[str, str], *arguments: str) -> list[tuple[str, str]]:
    found = json.loads(in_process(["wallet", "show", *arguments, "--json"], user).out)
    return [(one["kind"], one["address"]) for one in found]


def test_a_new_wallet_shows_its_addresses_and_no_keys(user: dict[str, str]) -> None:
    ran = in_process(["wallet", "new"], user)
    assert ran.code == 0
    wallet = Wallet.from_keystore(place(user), PASSPHRASE)
    assert wallet.evm is not None
    assert wallet.solana is not None
    assert shown(user) == [("evm", wallet.evm.address), ("solana", wallet.solana.address)]
    assert wallet.evm.address in ran.text
    assert wallet.solana.address in ran.text
    assert place(user).stat().st_mode & 0o777 == 0o700
    for path in place(user).iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
        assert json.loads(path.read_text())["crypto"]["mac"] not in ran.text + ran.err


@pytest.mark.parametrize(("option", "family"), [("--evm", "evm"), ("--solana", "solana")])
def test_one_kind_is_enough(user: dict[str, str], option: str, family: str) -> None:
    assert in_process(["wallet", "new", "agent", option], user).code == 0
    assert [kind for kind, _ in shown(user, "agent")] == [family]


def test_a_place_that_cannot_be_written_is_told(user: dict[str, str]) -> None:
    ran = in_process(["wallet", "new"], user | {"XDG_DATA_HOME": "/proc/x"})
    assert ran.code == 2
    assert "cannot be written to /proc/x" in ran.err


def test_nothing_is_overwritten(user: dict[str, str]) -> None:
    assert in_process(["wallet", "new"], user).code == 0
    before = shown(user)
    for command in (["wallet", "new"], ["wallet", "import"]):
        ran = in_process(command, user, TEST_EVM_KEYS[0].encode())
        assert ran.code == 2
        assert f"There is a wallet named default already, in {place(user)}, and none is ever overwritten." in ran.err
        for way in ("x402 wallet show", "x402 wallet fund", "x402 wallet new NAME", "--wallet NAME"):
            assert f"`{way}`" in ran.err
    agent = in_process(["wallet", "new", "agent"], user)
    assert agent.code == 0
    assert "`x402 wallet show agent`" in in_process(["wallet", "new", "agent"], user).err
    assert shown(user, "default") == before


def imported(user: dict[str, str], text: str) -> Ran:
    return in_process(["wallet", "import"], user, text.encode())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (TEST_EVM_KEYS[0], [("evm", EVM.address if EVM else "")]),
        (TEST_EVM_KEYS[0][2:] + "\n", [("evm", EVM.address if EVM else "")]),
        (str(PAIR), [("solana", str(PAIR.pubkey()))]),
        (json.dumps(list(PAIR.secret())), [("solana", str(PAIR.pubkey()))]),
        (json.dumps(list(bytes(PAIR))), [("solana", str(PAIR.pubkey()))]),
        (
            WORDS,
            [
                ("evm", "0x9858EfFD232B4033E47d90003D41EC34EcaEda94"),
                ("solana", "HAgk14JpMQLgt6rVgv7cBQFJWFto5Dqxi472uT3DKpqk"),
            ],
        ),
    ],
)
def test_every_usual_form_is_taken_from_stdin(user: dict[str, str], text: str, expected: list[tuple[str, str]]) -> None:
    ran = imported(user, text)
    assert ran.code == 0, ran.err
    assert shown(user) == expected
    assert text.strip() not in ran.text + ran.err


@pytest.mark.parametrize(
    "text",
    ["", "0x12", "zz" * 32, "0" * 64, "[1, 2]", "[1, 2", "[999" + ", 1" * 63 + "]", "[" * 50_000, "O0Il",
     "abandon " * 12, str(PAIR)[:-1], json.dumps(list(bytes(PAIR))[::-1])],
)  # fmt: skip
def test_what_is_no_key_is_refused_and_not_repeated(user: dict[str, str], text: str) -> None:
    ran = imported(user, text)
    assert ran.code == 2, ran.err
    assert len(text) < 3 or text.strip() not in ran.text + ran.err
    assert not place(user).exists()


def test_what_may_be_an_address_is_no_key_in_the_command_and_in_python(user: dict[str, str]) -> None:
    """A key made of an address would be known to everybody."""
    for text in (str(PAIR.pubkey()), base58.b58encode(PAIR.secret()).decode()):
        ran = imported(user, text)
        assert ran.code == 2
        said = (
            "This is 32 bytes in base58, as a Solana address is, and not a key. A key is base58 of 64 bytes, as wallets"
        )
        assert said in ran.err
        assert "a seed of 32 bytes is given to `x402 wallet import` as numbers in []" in ran.err
        with pytest.raises(ConfigurationError, match="as a Solana address is, and not a key"):
            Wallet(solana=text)
        assert not place(user).exists()


def test_the_name_of_a_file_is_no_key_and_the_command_says_how_to_read_it(user: dict[str, str]) -> None:
    ran = imported(user, "~/.config/solana/id.json")
    assert (ran.code, "`x402 wallet import < FILE` reads the key in it" in ran.err) == (2, True)


def test_each_way_to_make_a_wallet_says_what_to_keep(
    user: dict[str, str], bare: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "keyring", Ring())
    new, kept = in_process(["wallet", "new", "a"], user), in_process(["wallet", "new", "b", "--keyring"], bare)
    assert "Copy these files, and remember the passphrase: without both the money is lost." in new.err
    assert "in this machine's keyring alone. If that is lost, so is the money" in kept.err
    assert "remember the passphrase" not in kept.err
    for name, options, said in (
        (
            "c",
            [],
            "Keep the key or mnemonic itself, or copy these files and remember the passphrase: else the money is",
        ),
        ("d", ["--keyring"], "Keep the key or mnemonic itself: the passphrase of these files is in this machine's"),
    ):
        ran = in_process(["wallet", "import", name, *options], bare if options else user, b"5a" * 32)
        assert said in ran.err
        assert f"Then:\n  x402 wallet balance {name}\n  x402 policy init  (" in ran.err
        assert f"\n  x402 quote URL --wallet {name}  (asks the price" in ran.err
        assert ran.err.endswith(f"\n  x402 get URL --wallet {name}\n")


def test_without_a_passphrase_and_a_terminal_it_says_how(bare: dict[str, str], tmp_path: Path) -> None:
    ran = in_process(["wallet", "new"], bare)
    assert ran.code == 2
    assert "set X402_PASSPHRASE, or use --passphrase-file or --keyring" in ran.err
    file = tmp_path / "secret"
    for written, code in ((None, 2), (b"", 2), (b"\nx", 2), (b"\xff\xfe", 2), (b"from a file\nand more", 0)):
        if written is not None:
            file.write_bytes(written)
        assert in_process(["wallet", "new", "--passphrase-file", str(file)], bare).code == code
    assert Wallet.from_keystore(place(bare), "from a file").evm is not None


@pytest.mark.parametrize("passphrase", ["x", "1234567", "äöüäöüä"])
@pytest.mark.parametrize("by", ["variable", "file"])
@pytest.mark.parametrize("command", ["new", "import"])
def test_a_short_passphrase_is_refused_wherever_it_comes_from(
    bare: dict[str, str], tmp_path: Path, passphrase: str, by: str, command: str
) -> None:
    file = tmp_path / "secret"
    file.write_text(passphrase, "utf-8")
    settings = bare | ({"X402_PASSPHRASE": passphrase} if by == "variable" else {})
    options = ["--passphrase-file", str(file)] if by == "file" else []
    ran = in_process(["wallet", command, *options], settings, REAL_KEY.encode())
    assert ran.code == 2
    where = "X402_PASSPHRASE" if by == "variable" else str(file)
    assert f"The passphrase in {where} is too short: 8 characters or more are needed. Nothing" in ran.err
    assert len(passphrase) == 1 or passphrase not in ran.text + ran.err
    assert not place(bare).exists()


def test_the_keyring_keeps_a_passphrase_that_nobody_types(
    seller: Sandbox, given: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = Ring()
    monkeypatch.setitem(sys.modules, "keyring", ring)
    del given["X402_EVM_KEY"]
    del given["X402_SOLANA_KEY"]
    ran = in_process(["wallet", "import", "--keyring"], given, seller.key("evm").encode())
    assert ran.code == 0, ran.err
    [passphrase] = ring.kept.values()
    assert len(passphrase) >= 32
    assert passphrase not in ran.text + ran.err
    assert in_process(["get", f"{seller.url}/evm/weather", "--yes"], given).code == 0
    [name], new = ring.kept, place(given, "evm").parent / "new.db"
    ring.kept[name] = "another passphrase"
    wrong = in_process(["get", f"{seller.url}/evm/weather", "--yes", "--ledger", str(new)], given)
    assert (wrong.code, "in the keyring does not open" in wrong.err) == (2, True), wrong.err
    assert not new.exists(), "no ledger is made for a wallet that stays shut"
    monkeypatch.setitem(sys.modules, "keyring", None)
    missing = in_process(["get", f"{seller.url}/evm/weather", "--yes"], given)
    assert missing.code == 2
    assert 'pip install "x402-buyer[keyring]" (in a clone: pip install ".[keyring]").' in missing.err


def test_a_keystore_pays_and_a_wrong_passphrase_pays_nothing(seller: Sandbox, given: dict[str, str]) -> None:
    words = {"X402_PASSPHRASE": PASSPHRASE}
    del given["X402_EVM_KEY"]
    for family in ("evm", "solana"):
        assert in_process(["wallet", "import", family], given | words, seller.key(family).encode()).code == 0
        command = ["get", f"{seller.url}/{family}/weather", "--yes", "--wallet", family]
        assert in_process(command, given | words).code == 0
    before = len(seller.settlements)
    command = ["get", f"{seller.url}/evm/weather", "--yes", "--wallet", str(place(given, "evm") / "evm.json")]
    wrong = in_process(command, given | {"X402_PASSPHRASE": "wrong"})
    assert (wrong.code, "The passphrase in X402_PASSPHRASE does not open" in wrong.err) == (2, True)
    file, new = place(given, "evm").parent / "pass.txt", place(given, "evm").parent / "new.db"
    file.write_text("wrong\n")
    told = in_process([*command, "--passphrase-file", str(file), "--ledger", str(new)], given)
    assert (told.code, f"The passphrase in the file {file} does not open" in told.err) == (2, True)
    assert not new.exists(), "no ledger is made for a wallet that stays shut"
    dead = ["get", f"{seller.url}/solana/weather", "--yes", "--wallet", "solana", "--rpc", f"solana-devnet={DEAD}"]
    first = in_process(dead, given | {"X402_PASSPHRASE": "wrong"})
    assert (first.code, "The passphrase in X402_PASSPHRASE does not open" in first.err) == (2, True), (
        "it is said before a chain is asked"
    )
    assert "did not answer" in in_process(dead, given | words).err
    nobody = in_process(command, given)
    assert (nobody.code, "there is no terminal to ask on" in nobody.err) == (2, True)
    assert len(seller.settlements) == before
    assert in_process(["ledger", "--json"], given).out.count(b"0.02 USD") > 0
    assert in_process(["get", f"{seller.url}/weather", "--yes", "--wallet", "nobody"], given).code == 2
    assert in_process(["wallet", "new", "../up"], given | words).code == 2


def test_showing_says_where_to_begin_when_there_is_none(bare: dict[str, str]) -> None:
    ran = in_process(["wallet", "show"], bare)
    assert ran.code == 2
    assert "Make one with `x402 wallet new`" in ran.err
    assert in_process(["wallet", "balance"], bare).code == 2
    keys = bare | {"X402_EVM_KEY": TEST_EVM_KEYS[0]}
    assert EVM is not None
    assert shown(keys) == [("evm", EVM.address)]
    assert TEST_EVM_KEYS[0][2:] not in in_process(["wallet", "show"], keys).text


def test_balances_are_read_from_the_chains(seller: Sandbox, given: dict[str, str]) -> None:
    ran = in_process(["wallet", "balance", "--network", "solana-devnet"], given)
    assert ran.code == 0
    assert re.search(r"^solana-devnet, test money +USDC +100 +\S+$", ran.text, re.MULTILINE)
    said = json.loads(in_process(["wallet", "balance", "--network", "solana-devnet", "--json"], given).out)
    assert {one["token"]: one["balance"] for one in said}["USDC"] == "100"
    deaf = in_process(["wallet", "balance", "--network", "base", "--rpc", "base=http://127.0.0.1:9"], given)
    assert deaf.code == 4
    assert "base did not answer" in deaf.err
    two = ["--network", "base", "--network", "solana-devnet", "--rpc", "base=http://127.0.0.1:9"]
    rpc = [part for one in given["X402_RPC"].split() for part in ("--rpc", one)]
    half = in_process(["wallet", "balance", *two, *rpc], given)
    assert (half.code, "solana-devnet" in half.text) == (4, True)
    assert "1 of 2 networks did not answer: what is held there is not known." in half.err
    assert in_process(["wallet", "balance", "--network", "moon"], given).code == 2


def test_a_new_wallet_ends_with_what_to_do(user: dict[str, str]) -> None:
    ran = in_process(["wallet", "new"], user)
    addresses = [address for _, address in shown(user)]
    said = ran.err
    for address in addresses:
        assert said.count(address) == 2  # for real money, and for test money
    for words in (
        "send 1 to 5 USDC", "on base\n", "on solana\n", "No coins for fees are needed", "https://faucet.circle.com",
        "on base-sepolia, test money", "on solana-devnet, test money",
    ):  # fmt: skip
        assert words in said
    assert "Then:\n  x402 wallet balance\n  x402 policy init" in said
    assert said.index("base-sepolia") < said.index("on base\n")  # test money first


def test_one_key_is_told_its_own_networks_only(user: dict[str, str]) -> None:
    said = in_process(["wallet", "new", "agent", "--evm"], user).err
    assert "on base\n" in said
    assert "solana" not in said
    assert "Then:\n  x402 wallet balance agent\n" in said
    assert said.endswith("\n  x402 get URL --wallet agent\n")


def test_how_to_fund_is_said_again(user: dict[str, str]) -> None:
    made = in_process(["wallet", "new"], user).err
    ran = in_process(["wallet", "fund"], user)
    assert (ran.code, ran.err) == (0, "")
    assert made.endswith(ran.text)
    one = in_process(["wallet", "fund", "--network", "polygon"], user).text
    assert "on polygon\n" in one
    assert "faucet" not in one
    [said] = json.loads(in_process(["wallet", "fund", "--network", "base-sepolia", "--json"], user).out)
    assert (said["test_money"], said["faucet"], said["amount"]) == (True, "https://faucet.circle.com", "1 to 5")
    assert (said["token"], said["asset"]) == ("USDC", "0x036CbD53842c5426634e7929541eC2318f3dCF7e")


#: Words that are no network with USDC, and what is said of each.
FAULTY_NETWORKS = {
    "moon": "'moon' is not a network we know",
    "bsae": 'did you mean "base"?',
    "mainnet": 'write "base", "ethereum" or "solana"',
    "testnet": 'write "base-sepolia" or "solana-devnet"',
    "flare": "No USDC is known on 'flare'",
}


def test_funds_are_for_a_network_with_a_key_and_a_token(user: dict[str, str]) -> None:
    assert in_process(["wallet", "new", "agent", "--evm"], user).code == 0
    without = in_process(["wallet", "fund", "agent", "--network", "solana"], user)
    assert without.code == 2
    assert "This wallet has no key for solana" in without.err
    for name, said in FAULTY_NETWORKS.items():
        for command in ("fund", "balance"):
            ran = in_process(["wallet", command, "agent", "--network", name], user)
            assert ran.code == 2
            assert said in ran.err or (name, command) == ("flare", "balance")
    assert in_process(["wallet", "fund"], user).code == 2  # there is no wallet of the name default


def test_a_mnemonic_that_anybody_may_know_is_warned_of(user: dict[str, str]) -> None:
    ran = in_process(["wallet", "import", "dev"], user, ("test " * 11 + "junk").encode())
    assert ran.code == 0
    assert "WARNING. Anybody may know these keys" in ran.err
    assert "x402 wallet balance" not in ran.err
    fund = in_process(["wallet", "fund", "dev"], user)
    assert (fund.code, "Never send them real money" in fund.err) == (3, True)


def test_nobody_is_led_to_send_real_money_to_a_sandboxs_keys(given: dict[str, str]) -> None:
    ran = in_process(["wallet", "fund"], given)
    assert ran.code == 3
    assert "Never send them real money" in ran.err
    assert Wallet(evm=given["X402_EVM_KEY"]).addresses["eip155"] not in ran.text + ran.err


def test_a_sandboxs_keys_are_looked_up_on_no_other_network(given: dict[str, str]) -> None:
    said = json.loads(in_process(["wallet", "balance", "--json"], given).out)
    assert {one["network"] for one in said} == {"eip155:402402402402", "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1"}
    assert all(one["test_money"] for one in said)


@pytest.mark.parametrize("broken", ["notes.txt", ".DS_Store", "empty/", "default/"])
def test_what_is_no_wallet_hides_no_other(user: dict[str, str], broken: str) -> None:
    assert in_process(["wallet", "new", "mine"], user).code == 0
    stray = place(user, broken)
    stray.mkdir() if broken.endswith("/") else stray.touch()
    ran = in_process(["wallet", "show"], user)
    assert (ran.code, ran.text.count("mine ")) == (0, 2), ran.err
    assert bool(ran.err) is (broken != ".DS_Store")
