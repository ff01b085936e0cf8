"""Every help ends with examples that work, nothing is cut off, and the manual page has the same text."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from x402_client.cli.app import app
from x402_client.cli.examples import EXAMPLES, examples_of
from x402_client.cli.exits import MEANING
from x402_client.cli.man import man_page
from x402_client.cli.tree import first_sentence, walk, whole
from x402_client.sandbox import Sandbox

from .running import environment, in_process

ROOT = Path(__file__).parents[2]
TREE = dict(walk(whole(app)))
WORDS = sorted(TREE)


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("columns", [60, 80])
def test_every_help_ends_with_two_or_three_examples(bare: dict[str, str], words: str, columns: int) -> None:
    ran = in_process([*words.split(), "--help"], bare | {"COLUMNS": str(columns)})
    assert ran.code == 0
    end = [line.strip() for line in ran.text.rpartition("Examples:\n")[2].splitlines()]
    assert 2 <= len(EXAMPLES[words]) <= 3
    assert end == [part for example in examples_of(words) for part in example]
    assert max(map(len, ran.text.splitlines())) <= columns


@pytest.mark.parametrize("words", [words for words in WORDS if getattr(TREE[words], "commands", None)])
def test_no_description_in_a_list_is_cut_off(bare: dict[str, str], words: str) -> None:
    said = " ".join(in_process([*words.split(), "--help"], bare).text.split())
    assert "...  " not in said
    for name, command in TREE[words].commands.items():
        assert f"{name} {first_sentence(command.help)}" in said


def parsed(typed: str) -> Any:
    """The command that an example names, once its words are understood."""
    words = shlex.split(re.split(r" [<>|] ", typed)[0])[1:]
    name = ""
    while words and f"{name} {words[0]}".strip() in TREE:
        name = f"{name} {words.pop(0)}".strip()
    command = TREE[name]
    parent = command.context_class(TREE[""], info_name="x402")
    with command.make_context(name, words, parent=parent, resilient_parsing=False) as context:
        return context


@pytest.mark.parametrize("typed", [typed for words in WORDS for typed, _ in examples_of(words)])
def test_every_example_is_a_command_line_that_is_understood(typed: str) -> None:
    context = parsed(typed)
    assert context.args == []


def test_examples_of_reading_run_as_they_stand(
    bare: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for words in ("policy init", "policy check", "tokens", "ledger freezes", "manual"):
        for typed, _ in EXAMPLES[words]:
            if "example.com" not in typed:
                ran = in_process(shlex.split(typed.partition(" > ")[0]), bare)
                assert ran.code == (2 if words.startswith("ledger") else 0), typed
    receipt = in_process(shlex.split(EXAMPLES["decode"][0][0]), bare)
    assert (receipt.code, "A receipt" in receipt.text) == (0, True)


@pytest.mark.parametrize(("words", "code"), [("get", 3), ("quote", 0), ("doctor", 0)])
def test_an_example_asks_the_sandbox_where_it_listens_if_not_told_otherwise(
    seller: Sandbox, given: dict[str, str], words: str, code: int
) -> None:
    [typed] = [typed for typed, _ in EXAMPLES[words] if "http://127.0.0.1:8402" in typed]
    ran = in_process(shlex.split(typed.replace("http://127.0.0.1:8402", seller.url)), given)
    assert ran.code == code, ran
    assert ("--yes pays within the policy" in ran.err) is (words == "get")


def test_the_manual_page_that_ships_is_made_of_the_help() -> None:
    shipped = ROOT.joinpath("x402_client/manual/x402.1").read_text("utf-8")
    assert shipped == man_page(), "make it anew: python -m x402_client.cli.man > x402_client/manual/x402.1"


def test_the_manual_page_has_every_command_option_and_exit_code() -> None:
    text = man_page().replace("\\-", "-").replace("\\fB", "").replace("\\fI", "").replace("\\fR", "")
    for words, command in TREE.items():
        assert not words or f'.SS "x402 {words}' in text
        for parameter in command.params:
            assert not getattr(parameter, "hidden", False)
            assert all(name in text for name in parameter.opts if name.startswith("-"))
    for code, meaning in MEANING.items():
        assert f".TP\n{int(code)}\n{meaning[:1].upper()}{meaning[1:]}." in text
    for variable in ("X402_EVM_KEY", "X402_LEDGER", "X402_POLICY", "X402_RPC", "X402_WALLET", "NO_COLOR"):
        assert f".TP\n{variable}\n" in text


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff, which reads the page, is not installed here")
def test_the_manual_page_is_read_without_a_complaint(tmp_path: Path) -> None:
    page = tmp_path / "x402.1"
    page.write_text(man_page(), "utf-8")
    ran = subprocess.run(["groff", "-man", "-ww", "-Tutf8", str(page)], capture_output=True, timeout=30, check=True)
    assert ran.stderr == b""
    assert "x402 - pay for what answers 402 Payment Required" in re.sub("\x1b\\[[0-9;]*m|.\b", "", ran.stdout.decode())


# --- completion


def completed(given: dict[str, str], line: str) -> list[str]:
    words = line.split(" ")
    script = str(Path(sys.executable).with_name("x402"))
    asked = {"_X402_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    ran = subprocess.run([script], capture_output=True, text=True, env=environment(given | asked), timeout=30)
    assert ran.stderr == ""
    return ran.stdout.split()


@pytest.mark.slow
def test_holds_are_completed_from_the_ledger_of_the_line(seller: Sandbox, given: dict[str, str]) -> None:
    command = ["get", f"{seller.url}/fault/drop-before-settling/weather", "-X", "POST", "--yes"]
    assert in_process(command, given).code == 7
    [hold] = [line.split()[0] for line in in_process(["ledger", "holds"], given).text.splitlines() if line[0] != " "]
    takes_holds = [
        words for words in WORDS if any((one.metavar or "").startswith("HOLD") for one in TREE[words].params)
    ]
    assert "ledger write-off" in takes_holds
    for words in takes_holds:
        assert completed(given, f"x402 {words} {hold[:2]}") == [hold]
    assert completed(given, "x402 ledger write-off zz") == []
    elsewhere = given | {"X402_LEDGER": given["X402_LEDGER"] + ".other"}
    assert completed(elsewhere, "x402 ledger write-off ") == []
    assert completed(elsewhere, f"x402 ledger write-off --ledger {given['X402_LEDGER']} ") == [hold]
    assert completed(given | {"X402_LEDGER": "redis://127.0.0.1:9"}, "x402 ledger write-off ") == []


@pytest.mark.usefixtures("quick_keystores")
def test_other_words_are_completed_too(seller: Sandbox, given: dict[str, str]) -> None:
    assert in_process(["get", f"{seller.url}/weather", "--yes"], given).code == 0
    assert in_process(["ledger", "freeze", "api.example.com"], given).code == 0
    assert completed(given, "x402 ledger unfreeze api") == ["api.example.com"]
    assert completed(given, "x402 tokens --network base") == ["base", "base-sepolia"]
    assert completed(given, "x402 sandbox --fault price-rises-") == ["price-rises-after-settling"]
    assert in_process(["wallet", "new", "agent"], given | {"X402_PASSPHRASE": "correct horse"}).code == 0
    assert completed(given, "x402 status --wallet a") == ["agent"]
    assert completed(given, "x402 wallet balance ag") == ["agent"]
    assert completed(given, "x402 sta") == ["status"]
