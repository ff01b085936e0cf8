"""Without the extra, without a home, on a read-only disk, on the wrong Python's road: one clear line each time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from x402_client import __version__
from x402_client.cli.app import app
from x402_client.cli.exits import MEANING, Code
from x402_client.cli.tree import _IN_POLICY, _KEYS, _MEANT, command_meant, walk, whole
from x402_client.sandbox import Sandbox

from .running import in_process, process

#: Runs the entry point where a package is not installed.
_WITHOUT = """
import sys
class Nowhere:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Nowhere())
from x402_client.cli import main
main(["--version"])
"""


@pytest.mark.parametrize("missing", [["typer", "rich"], ["typer"], ["rich"]])
def test_without_the_extra_one_line_says_what_to_install(missing: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT.format(missing=missing)], capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "pip install 'x402-buyer[cli]' (in a clone: pip install '.[cli]')." in done.stderr


@pytest.mark.parametrize(
    ("package", "use"),
    [
        ("httpx2", "import x402_client.httpx2"),
        ("aiohttp", "import x402_client.aiohttp"),
        ("redis", "from x402_client.ledgers import RedisLedger; RedisLedger('redis://127.0.0.1:9/0')"),
    ],
)
def test_a_missing_extra_is_named_for_the_index_and_for_a_clone(package: str, use: str) -> None:
    code = f"import sys\nsys.modules[{package!r}] = None\n{use}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert f'pip install "x402-buyer[{package}]" (in a clone: pip install ".[{package}]").' in done.stderr


def test_another_missing_package_is_not_blamed_on_the_extra() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT.format(missing=["httpx"])], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 1
    assert "No module named 'httpx'" in done.stderr


def test_the_entry_point_is_light_until_it_runs() -> None:
    heavy = ("typer", "rich", "httpx", "eth_account")
    code = f"import sys, x402_client.cli; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "[]\n"


def test_the_command_is_installed_under_its_name(bare: dict[str, str]) -> None:
    script = Path(sys.executable).with_name("x402")
    ran = process(["--version"], bare, program=[str(script)])
    assert (ran.code, ran.text) == (0, f"x402 {__version__}\n")


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_names_every_command(bare: dict[str, str], arguments: list[str]) -> None:
    ran = in_process(arguments, bare)
    said = ran.text + ran.err
    for name in ("demo", "get", "quote", "decode", "doctor", "wallet", "ledger", "policy", "sandbox"):
        assert f"\n  {name} " in said


def test_the_help_of_get_lists_every_exit_code(bare: dict[str, str]) -> None:
    said = " ".join(in_process(["get", "--help"], bare).text.split())
    for code in Code:
        assert f"{code:d} {MEANING[code]} " in said


def test_every_command_has_help_that_fits(bare: dict[str, str]) -> None:
    groups = {group.name: group.typer_instance for group in app.registered_groups}
    commands = [[command.name] for command in app.registered_commands]
    commands += [[name, c.name] for name, group in groups.items() if group for c in group.registered_commands]
    assert len(commands) > 15
    for command in commands:
        ran = in_process([*map(str, command), "--help"], bare)
        assert ran.code == 0, command
        assert max(map(len, ran.text.splitlines())) <= 80, command


def test_shell_completion_is_there(bare: dict[str, str]) -> None:
    ran = process([], bare | {"_X402_COMPLETE": "complete_bash", "COMP_WORDS": "x402 qu", "COMP_CWORD": "1"}, program=[
        str(Path(sys.executable).with_name("x402"))
    ])  # fmt: skip
    assert ran.text.split() == ["quote"]


@pytest.mark.parametrize("home", ["missing", "relative"])
def test_without_a_home_what_needs_one_says_so_and_the_rest_works(
    seller: Sandbox, given: dict[str, str], tmp_path: Path, home: str
) -> None:
    home = str(tmp_path / "not-there") if home == "missing" else home
    homeless = {name: value for name, value in given.items() if name != "X402_LEDGER"} | {"HOME": home}
    assert in_process(["get", f"{seller.url}/free"], homeless | {"X402_LEDGER": ":memory:"}).code == 0
    assert in_process(["quote", f"{seller.url}/weather"], homeless).code == 0
    assert in_process(["doctor", f"{seller.url}/weather"], homeless).code == 0
    refused = in_process(["get", f"{seller.url}/weather", "--yes"], homeless)
    assert refused.code == 4
    assert "home directory" in refused.err
    wallet = in_process(["wallet", "new"], homeless | {"X402_PASSPHRASE": "correct horse"})
    assert wallet.code == 2
    assert "home directory" in wallet.err


def test_on_a_read_only_disk_looking_works_and_paying_is_refused(seller: Sandbox, given: dict[str, str]) -> None:
    # /proc is read-only for everybody, root too.
    readonly = {name: value for name, value in given.items() if name != "X402_LEDGER"} | {"XDG_DATA_HOME": "/proc/x"}
    assert in_process(["quote", f"{seller.url}/weather"], readonly).code == 0
    refused = in_process(["get", f"{seller.url}/weather", "--yes"], readonly)
    assert refused.code == 4
    assert "/proc/x" in refused.err
    assert refused.err.count("\n") == 1


def test_a_terminal_without_unicode_gets_question_marks(seller: Sandbox, given: dict[str, str]) -> None:
    ran = process(["quote", f"{seller.url}/weather"], given | {"PYTHONIOENCODING": "ascii"})
    assert ran.code == 0
    assert b"yes" in ran.out


def test_verbose_logs_decisions_and_no_secrets(seller: Sandbox, given: dict[str, str]) -> None:
    ran = in_process(["-vv", "get", f"{seller.url}/weather?token=abc", "--yes"], given)
    assert "INFO presented GET" in ran.err
    assert "token=abc" not in ran.err
    assert given["X402_EVM_KEY"][2:] not in ran.err
    assert "INFO" not in in_process(["get", f"{seller.url}/weather", "--yes"], given).err


def test_a_fault_of_ours_is_one_line_and_shows_no_variables(
    seller: Sandbox, given: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from x402_client.cli.commands import quote

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(quote, "ask_terms", broken)
    ran = in_process(["quote", f"{seller.url}/weather"], given)
    assert ran.code == 1
    assert ran.err == "x402: This is a fault of x402 itself: RuntimeError: unforeseen (-v shows where)\n"


def test_the_manual_lists_every_exit_code() -> None:
    page = Path(__file__).parents[2].joinpath("x402_client", "manual", "command.md").read_text("utf-8")
    for code in Code:
        assert f"| {code} | {MEANING[code]} |" in page


def test_a_word_that_is_no_command_is_told_what_may_be_meant() -> None:
    for typed, meant in (("pay", "get"), ("stauts", "status"), ("gte", "get")):
        ran = in_process([typed, "http://127.0.0.1:1/x"], {})
        assert ran.code == 2
        assert f"Did you mean `x402 {meant}`?" in ran.err
    assert "Did you mean" not in in_process(["get"], {}).err


COMMANDS = [words for words, _ in walk(whole(app)) if words]


@pytest.mark.parametrize("words", COMMANDS)
def test_a_command_is_named_where_its_group_is_left_out_or_another_ones(words: str) -> None:
    group, _, leaf = words.rpartition(" ")
    homes = [one for one in COMMANDS if one.rpartition(" ")[2] == leaf]
    for typed in {"", "wallet", "ledger", "policy"} - {one.rpartition(" ")[0] for one in homes}:
        meant = command_meant(whole(app), [*typed.split(), leaf, "x"])
        assert meant == _MEANT.get(f"{typed} {leaf}".strip(), "` or `x402 ".join(homes))
    assert command_meant(whole(app), [*words.split(), "x"]) == ""
    assert command_meant(whole(app), ["help", *words.split()]) == f"{words} -h"
    if len(leaf) > 4:
        assert leaf in command_meant(whole(app), [*group.split(), leaf[:-2] + leaf[-1]])


@pytest.mark.parametrize(("typed", "meant"), _MEANT.items())
def test_what_is_meant_by_another_word_is_there(typed: str, meant: str) -> None:
    assert command_meant(whole(app), typed.split()) == meant
    assert meant[:2] == "--" or meant in COMMANDS or meant.startswith("manual ")
    assert in_process(["manual", meant.partition(" ")[2]], {}).code == 0 or not meant.startswith("manual ")


def test_a_key_and_a_value_that_options_do_not_take_are_told() -> None:
    for option in _KEYS:
        assert "A key is never an option" in in_process(["get", "http://127.0.0.1:1/x", option, "x"], {}).err
    assert (
        "A body to send stands behind -d" in in_process(["get", "http://127.0.0.1:1/x", "--json", '{"a": 1}'], {}).err
    )


@pytest.mark.parametrize("option", [option for options in _IN_POLICY for option in options])
@pytest.mark.parametrize("command", [["get"], ["quote"], ["doctor"], ["mcp"]], ids=" ".join)
def test_an_option_that_the_policy_has_is_told_to_stand_there(command: list[str], option: str) -> None:
    [field] = [field for options, field in _IN_POLICY.items() if option in options]
    for typed in ([option, "x"], [f"{option}=x"]):
        ran = in_process([*command, *typed], {})
        said = f"The policy says that, not an option: {field} in the file of --policy or X402_POLICY."
        assert (ran.code, said in ran.err) == (2, True)


def test_an_option_is_not_told_to_stand_in_the_policy_where_a_command_has_it_or_reads_none() -> None:
    for typed in (
        ["wallet", "balance", "--network"],
        ["wallet", "balance", "--network=base", "-x"],
        ["demo", "--network"],
    ):
        assert "The policy says that" not in in_process(typed, {}).err


def test_a_setting_that_is_neither_yes_nor_no_is_told_what_to_write() -> None:
    ran = in_process(["get", "http://127.0.0.1:1/x"], {"X402_MUST_EXIST": "maybe"})
    assert (ran.code, "X402_MUST_EXIST is 1, yes, 0 or no, not 'maybe'." in ran.err) == (2, True)
