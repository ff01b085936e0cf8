"""``get --dry-run`` ends as the same command without it would, and says whom it would ask. ``quote`` says it, too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from x402_client.sandbox import Sandbox

from .conftest import shell_settings
from .running import Ran, in_process, terminal

NO_WALLET, UNREAD = "There is no wallet to pay with.", "This seller is a sandbox, and the policy in use"
#: What is asked for: its path, what was done before, and what a run with a wallet ends with.
ASKED: dict[str, tuple[str, str, int]] = {
    "a price": ("/weather", "", 0),
    "a price, on Solana alone": ("/solana/weather", "", 0),
    "too dear": ("/yacht", "", 3),
    "free": ("/free", "", 0),
    "not there": ("/nothing", "", 22),
    "frozen": ("/weather", "freeze", 3),
    "a payment that is open": ("/weather", "lose", 0),
}
#: The keys that the command has, and whether it read the sandbox's settings.
WALLETS: dict[str, tuple[bool, bool]] = {
    "a wallet": (True, True),
    "no wallet": (False, True),
    "nothing read": (False, False),
}


@pytest.fixture
def own_seller() -> Iterator[Sandbox]:
    with Sandbox(slow=0.1) as sandbox:
        yield sandbox


@pytest.fixture
def full(own_seller: Sandbox, bare: dict[str, str], tmp_path: Path) -> dict[str, str]:
    return bare | shell_settings(own_seller, tmp_path)


def without_keys(settings: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in settings.items() if not name.endswith("_KEY")}


@pytest.mark.parametrize("options", [[], ["--json"], ["--max", "0.05"]], ids=["", "json", "max"])
@pytest.mark.parametrize("wallet", WALLETS)
@pytest.mark.parametrize("asked", ASKED)
def test_a_dry_run_ends_as_the_run_does(
    own_seller: Sandbox, bare: dict[str, str], full: dict[str, str], asked: str, wallet: str, options: list[str]
) -> None:
    path, before, _ = ASKED[asked]
    has_keys, is_read = WALLETS[wallet]
    used = (full if has_keys else without_keys(full)) if is_read else bare
    url = own_seller.url + path
    if before == "lose":
        own_seller.order(*["drop-before-settling"] * 3)
    if before:
        assert in_process(["get", url, "--yes"], full).code == (7 if before == "lose" else 0)
    if before == "freeze":
        assert in_process(["ledger", "freeze", "*"], full).code == 0
    known = len(own_seller.settlements)
    dry = in_process(["get", url, "--dry-run", "--yes", *options], used)
    assert (dry.out, len(own_seller.settlements)) == (b"", known)
    run = in_process(["get", url, "--yes", *options], used)
    assert dry.code == run.code, (dry.err, run.err)
    if run.code == 2:
        assert (_lacks(dry), _lacks(run), "Would pay" in dry.err) == (True, True, False)
        assert wallet != "a wallet"
    if wallet == "a wallet":
        assert run.code == ASKED[asked][2]


def _lacks(ran: Ran) -> bool:
    """Whether a run was refused for want of a wallet, or of settings that bring one."""
    return NO_WALLET in ran.err or UNREAD in ran.err


@pytest.mark.parametrize("is_read", [True, False])
def test_looking_tells_that_there_is_no_wallet(seller: Sandbox, bare: dict[str, str], is_read: bool) -> None:
    used, url = bare | (seller.environ if is_read else {}), f"{seller.url}/weather"
    used = without_keys(used)
    quoted, examined = in_process(["quote", url], used), in_process(["doctor", url], used)
    dry = in_process(["get", url, "--dry-run"], used)
    assert "There is no wallet here: the offers are judged as if there were one" in quoted.err
    assert "there is none; this is judged as if there were" in examined.text
    assert "There is no wallet here: with one, it would pay 0.01 USD" in dry.err
    for ran in (quoted, examined, dry):
        assert (UNREAD in ran.text + ran.err) is not is_read
    assert ("x402 wallet new" in examined.text, "x402 wallet new" in dry.err) == (is_read, is_read)
    refusal = json.loads(in_process(["get", url, "--dry-run", "--json"], used).err)["refusal"]
    assert refusal.startswith(NO_WALLET if is_read else UNREAD)
    with_one = in_process(["quote", url], bare | seller.environ | {"X402_EVM_KEY": seller.key("evm")})
    assert "There is no wallet here" not in with_one.err


@pytest.mark.parametrize(("threshold", "asks"), [("0.005", True), ("0.01", False), ("0.02", False), (None, False)])
def test_each_look_tells_that_a_person_is_asked_first(
    own_seller: Sandbox, full: dict[str, str], tmp_path: Path, threshold: str | None, asks: bool
) -> None:
    """Above approve_above, the run asks. Without a terminal to ask on it pays nothing, unless an option agrees."""
    policy = tmp_path / "asks.toml"
    above = "" if threshold is None else f'approve_above = "{threshold}"\n'
    policy.write_text(above + Path(full["X402_POLICY"]).read_text("utf-8"), "utf-8")
    used, url = full | {"X402_POLICY": str(policy)}, f"{own_seller.url}/weather"
    said = (
        "By the policy's approve_above a person is asked first: `x402 get` asks at a terminal; --yes agrees, or --max"
    )
    quoted, dry = in_process(["quote", url], used), in_process(["get", url, "--dry-run"], used)
    checked, examined = (in_process(one, used) for one in (["policy", "check", str(policy), url], ["doctor", url]))
    for looked in (quoted.text, examined.text, checked.text, dry.err):
        assert (said in " ".join(looked.split())) is asks
    assert (quoted.code, dry.code, "Would pay 0.01 USD" in dry.err) == (0, 0, True)
    for options in (["--yes"], ["--max", "0.01"]):
        assert "approve_above" not in in_process(["get", url, "--dry-run", *options], used).err
    assert json.loads(in_process(["quote", url, "--json"], used).out)["asks_first"] is asks
    assert in_process(["get", url], used).code == (0 if threshold in ("0.01", "0.02") else 3)
    assert in_process(["get", url, "--max", "0.01"], used).code == 0


def test_nothing_is_asked_about_what_is_not_paid(own_seller: Sandbox, full: dict[str, str], tmp_path: Path) -> None:
    policy = tmp_path / "asks.toml"
    policy.write_text('approve_above = "0.005"\n' + Path(full["X402_POLICY"]).read_text("utf-8"), "utf-8")
    used = full | {"X402_POLICY": str(policy)}
    own_seller.order(*["drop-after-settling"] * 3)
    assert in_process(["get", f"{own_seller.url}/weather", "--yes"], used).code == 7
    for path in ("/weather", "/yacht", "/free", "/nothing"):
        for command in (["quote"], ["doctor"], ["get", "--dry-run"]):
            ran = in_process([*command, own_seller.url + path], used)
            assert "a person is asked first" not in " ".join((ran.text + ran.err).split())


def test_a_terminal_is_asked_as_was_told(own_seller: Sandbox, full: dict[str, str], tmp_path: Path) -> None:
    policy = tmp_path / "asks.toml"
    policy.write_text('approve_above = "0.005"\n' + Path(full["X402_POLICY"]).read_text("utf-8"), "utf-8")
    seen = terminal(
        ["get", f"{own_seller.url}/weather"], full | {"X402_POLICY": str(policy)}, [("Pay 0.01 USD?", "n\n")]
    )
    assert (seen.code, len(own_seller.settlements)) == (3, 0)
