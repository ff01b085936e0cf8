"""The manual's programs run, and what its pages name is there. CONTRIBUTING says how a page is written."""

from __future__ import annotations

import ast
import importlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from x402_client import Policy, errors
from x402_client.core import ChainFamily, Courier, Ledger, LedgerExtras, Scheme, SettlementReader
from x402_client.core.next_step import Step
from x402_client.signers.play_keys import is_play_secret

from .manual_pages import MANUAL, PAGES, ROOT, blocks, broken_links, named, programs, prose, run, sentences

#: A page that shows tests.
TESTS = re.compile(r"^class Test\w+|^def test_", re.MULTILINE)
PROGRAMS = [
    pytest.param(page, program, id=f"{named(page)}-{number}")
    for page in PAGES
    for number, program in enumerate(programs(page), start=1)
]
ERRORS = {
    kind.manual_page: kind
    for name in errors.__all__
    if isinstance(kind := getattr(errors, name), type) and issubclass(kind, errors.X402Error)
}
PROSE = [page for page in PAGES if sentences(page.read_text("utf-8"))]


# --- snippets


def test_a_key_that_the_manual_shows_signs_for_no_real_network() -> None:
    shown = re.findall(r'"0x" \+ "([0-9a-f]{2})" \* 32', "".join(page.read_text("utf-8") for page in PAGES))
    assert len(shown) >= 3
    assert all(is_play_secret(bytes.fromhex(byte * 32)) for byte in shown), shown


@pytest.mark.slow
@pytest.mark.parametrize(("page", "program"), PROGRAMS)
def test_a_program_runs(page: Path, program: str, tmp_path: Path) -> None:
    ran = run(program, tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    if page.parent.name == "errors":
        shown = re.findall(r"x402 manual (errors/[a-z0-9-]+)", ran.stdout)
        assert shown, "the program of an error's page prints the error"
        assert all(issubclass(ERRORS[one], ERRORS[named(page)]) for one in shown), ran.stdout


def test_a_program_without_a_seller_of_its_own_gets_one(tmp_path: Path) -> None:
    program = """
import httpx
from x402_client import Buyer, Limit, Policy, Wallet, outcome
from x402_client.httpx import wrap

policy = Policy(per_request="0.10", hosts={"api.example.com": Limit(per_day="0.01")}, only_listed_hosts=True)
with wrap(httpx.Client(), Buyer(Wallet.from_env(), policy, ledger="spend.db")) as client:
    print(outcome(client.get("https://api.example.com/weather")).hold.price)
    print(client.get("https://api.example.com/weather/tomorrow?in=Rome"))
"""
    ran = run(program, tmp_path)
    assert ran.stdout == "0.01 USD\n"
    assert "OverLimit: " in ran.stderr


def test_a_page_may_have_several_programs(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```python\na = 1\n```\n\n```py\n...\n```\n\n- in a list:\n\n  ```python\n  a += 1\n  ```\n\n"
        "<!-- another program -->\n\n```python\nb = 1\n```\n", "utf-8",
    )  # fmt: skip
    assert programs(page) == ["a = 1\n\n\na += 1\n", "b = 1\n"]


@pytest.mark.parametrize(
    ("shown", "fault"),
    [
        ("x402 ledger freeze api.example.com", None),
        ("x402 get URL --max 0.05 -X POST", None),
        ("x402 legder", "no command 'legder'"),
        ("x402 ledger thaw", "no command 'thaw'"),
        ("x402 get URL --cheap", "no option '--cheap'"),
    ],
)
def test_a_command_that_is_not_there_is_noticed(shown: str, fault: str | None) -> None:
    found = [*_command_faults(shown.split()[1:])]
    assert found == ([] if fault is None else [f"{shown}: {fault}"])


@pytest.mark.parametrize(
    ("link", "broken"),
    [("page.md", False), ("page.md#a-heading", False), ("#a-heading", False), ("https://nowhere.example", False),
     ("gone.md", True), ("page.md#gone", True), ("#gone", True)],
)  # fmt: skip
def test_a_link_that_leads_nowhere_is_noticed(tmp_path: Path, link: str, broken: bool) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# Page\n\n## A heading\n\n[there]({link}) `[not](a-link)`\n\n```md\n[not](one)\n```\n", "utf-8")
    assert broken_links(page) == ([link] if broken else [])


@pytest.mark.slow
@pytest.mark.parametrize(("page", "program"), [one for one in PROGRAMS if TESTS.search(str(one.values[1]))])
def test_the_tests_that_a_page_shows_pass(page: Path, program: str, tmp_path: Path) -> None:
    file = tmp_path / "test_page.py"
    file.write_text(program, "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", str(file)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(r"[1-9]\d* passed", ran.stdout)


@pytest.mark.parametrize(("page", "program"), PROGRAMS)
def test_a_program_needs_no_private_name(page: Path, program: str) -> None:
    """Of modules no part begins with an underscore; of objects only those of the reader's own ``self``."""
    for node in ast.walk(ast.parse(program)):
        if isinstance(node, ast.ImportFrom):
            imported = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
            assert not [part for part in imported if part.startswith("_") and not part.startswith("__")]
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
            assert ast.unparse(node.value) == "self"


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "py")], ids=named)
def test_a_fragment_can_be_read_and_what_it_imports_of_ours_is_there(page: Path) -> None:
    for fragment in blocks(page, "py"):
        code = compile(fragment, str(page), "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        assert isinstance(code, ast.Module)
        assert [*_missing_imports(code)] == []


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.stem)
def test_a_sample_survives_an_answer_that_was_free(page: Path) -> None:
    """``outcome`` and ``receipt`` give None then. A test may insist on a payment: ``assert outcome(r).money``."""
    for sample in blocks(page, "py", "python"):
        code = compile(sample, str(page), "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        insisting = {id(one) for node in ast.walk(code) if isinstance(node, ast.Assert) for one in ast.walk(node)}
        for node in ast.walk(code):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Call) and id(node) not in insisting:
                assert ast.unparse(node.value.func) not in ("outcome", "receipt"), ast.unparse(node)


def _missing_imports(code: ast.Module) -> Iterator[str]:
    for node in (one for one in ast.walk(code) if isinstance(one, ast.ImportFrom)):
        module = node.module or ""
        if module.partition(".")[0] == "x402_client":
            found = importlib.import_module(module)
            yield from (f"{module}.{alias.name}" for alias in node.names if not hasattr(found, alias.name))


def test_documents_can_be_read(tmp_path: Path) -> None:
    """A block in ``toml`` is a policy."""
    for page in PAGES:
        for text in blocks(page, "json"):
            json.loads(text)
        for text in blocks(page, "toml"):
            file = tmp_path / "policy.toml"
            file.write_text(text, "utf-8")
            Policy.from_file(file)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_a_command_that_is_shown_is_there_with_its_options(page: Path) -> None:
    shown = [*blocks(page, "console", "sh", "bash", "shell"), *re.findall(r"`(x402 [^`]+)`", page.read_text("utf-8"))]
    lines = re.findall(r"(?<![\w/.\[-])x402 +([a-z][^\n|;&#]*)", "\n".join(shown).replace("\\\n", " "))
    assert [fault for line in lines for fault in _command_faults(line.split())] == []


def _command_faults(words: list[str]) -> Iterator[str]:
    from typer.main import get_command

    from x402_client.cli.app import app

    here: Any = get_command(app)
    asked = words[:]
    while asked and (commands := getattr(here, "commands", None)) is not None and not asked[0].startswith("-"):
        if asked[0] not in commands:
            yield f"x402 {' '.join(words)}: no command {asked[0]!r}"
            return
        here = commands[asked.pop(0)]
    known = {option for parameter in here.params for option in (*parameter.opts, *parameter.secondary_opts)}
    for word in asked:
        option = word.partition("=")[0].rstrip(",.")
        if re.fullmatch(r"--?[a-zA-Z][a-z-]*", option) and option not in {*known, "--help", "-h", "--version"}:
            yield f"x402 {' '.join(words)}: no option {option!r}"


# --- what the pages name


@pytest.mark.parametrize(
    ("name", "ports"),
    [
        ("ledger", (Ledger, LedgerExtras)),
        ("http-client", (Courier,)),
        ("scheme", (Scheme,)),
        ("chain-family", (ChainFamily,)),
        ("reader", (SettlementReader,)),
    ],
)
def test_all_that_a_port_has_is_on_its_page(name: str, ports: tuple[type, ...]) -> None:
    text = (MANUAL / "extending" / f"{name}.md").read_text("utf-8")
    members = [member for port in ports for member in vars(port) if not member.startswith("_")]
    assert [member for member in members if not re.search(rf"\b{member}\b", text)] == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_what_it_names_is_there(page: Path) -> None:
    assert broken_links(page) == []
    text = page.read_text("utf-8")
    files = re.findall(r"`((?:examples|x402_client|tests)/[\w/]+\.py)`", text)
    assert [name for name in files if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_its_links_stay_in_the_manual(page: Path) -> None:
    """It is installed without the repository, and the site is made of it alone."""
    links = re.findall(r"\]\((?!\w+:)([^)#]+)", page.read_text("utf-8"))
    assert [link for link in links if not (page.parent / link).resolve().is_relative_to(MANUAL)] == []


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md", ".github/CONTRIBUTING.md", ".github/SECURITY.md"])
def test_links_from_outside_lead_to_a_page_and_a_heading(name: str) -> None:
    assert broken_links(ROOT / name) == []


def test_every_extending_page_has_a_program() -> None:
    pages = [page for page in PAGES if page.parent.name == "extending" and page.name != "README.md"]
    assert [page.name for page in pages if not programs(page)] == []


@pytest.mark.parametrize("folder", sorted({page.parent for page in PAGES} - {MANUAL}), ids=lambda one: one.name)
def test_the_contents_of_a_folder_list_every_page(folder: Path) -> None:
    contents = (folder / "README.md").read_text("utf-8")
    listed = set(re.findall(r"\]\(([^)/#]+\.md)\)", contents))
    assert listed == {page.name for page in folder.glob("*.md")} - {"README.md"}


def test_the_index_lists_every_page_and_folder_with_a_line_each() -> None:
    index = (MANUAL / "index.md").read_text("utf-8")
    entries = re.findall(r"^- \[[^\]]+\]\(([^)#]+\.md)\): \S.*[.!?]$", index, re.MULTILINE)
    pages = {page.name for page in MANUAL.glob("*.md")} - {"index.md"}
    folders = {f"{page.parent.name}/README.md" for page in PAGES if page.parent != MANUAL}
    assert len(entries) == len(set(entries))
    assert set(entries) == pages | folders, "index.md has a line `- [Title](page.md): What it has.` for each page"


def test_llms_txt_names_pages_that_are_there() -> None:
    text = (MANUAL / "llms.txt").read_text("utf-8")
    linked = re.findall(r"\]\(([^)#]+)", text)
    assert linked
    assert [link for link in linked if not (MANUAL / link).exists()] == []
    assert len(text) < 8_000, "a coding agent reads it whole"


# --- errors


def test_each_error_has_a_page_and_each_page_an_error() -> None:
    there = {named(page) for page in PAGES if page.parent.name == "errors" and page.stem != "README"}
    assert there == set(ERRORS)


@pytest.mark.parametrize("page", ERRORS)
def test_the_page_of_an_error_says_what_became_of_the_money(page: str) -> None:
    kind = ERRORS[page]
    text = (MANUAL / f"{page}.md").read_text("utf-8")
    assert text.startswith(f"# {kind.__name__}\n")
    asked = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert [heading for heading in ("What became of the money", "What to do", "Example") if heading not in asked] == []
    told = text.partition("## What became of the money")[2].partition("\n## ")[0]
    assert kind.money in told.lower()
    overview = (MANUAL / "errors" / "README.md").read_text("utf-8")
    assert re.search(rf"\[{kind.__name__}\]\([a-z0-9-]+\.md\) \|.*\| ({kind.money}(; [^|]*)?)? ?\|", overview)


@pytest.mark.parametrize("page", ERRORS)
def test_the_facts_of_an_error_are_on_its_page(page: str) -> None:
    kind = ERRORS[page]
    own = set(vars(kind("x"))) - set(vars(errors.X402Error("x")))
    text = (MANUAL / f"{page}.md").read_text("utf-8")
    assert [fact for fact in own if f"`.{fact}`" not in text] == []


# --- words


@pytest.mark.parametrize("page", PROSE, ids=named)
def test_sentences_are_short(page: Path) -> None:
    found = sentences(page.read_text("utf-8"))
    mean = sum(map(len, found)) / len(found)
    longest: list[str] = max(found, key=len)
    assert mean <= 20, f"{mean:.1f} words in a sentence; the longest: {' '.join(longest)}"


def test_sentences_are_counted_as_a_reader_would() -> None:
    text = (
        "# A title\n\nOne two three. Four `five six` seven:\n\n- eight nine\n- ten 0.10 USD, e.g. eleven\n\n"
        "| a | table |\n\n```py\nno words = here\n```\n"
    )
    assert [len(words) for words in sentences(text)] == [3, 3, 2, 5]


#: Words that are the field's or ours, in the forms in which pages have them.
HOUSE = {
    "height": "heights?",
    "hold": r"holds?|held", "purse": "purses?", "present": "(re-)?present(s|ed|ing)?", "settle": "settle[sd]?|settling",
    "facilitator": "facilitators?", "EIP-3009": "EIP-3009", "private key": "private keys?", "quote": "quotes?",
    "offer": "offers?", "receipt": "receipts?", "authorization": "authorizations?", "allowance": "allowances?",
    "write off": "wr(ite|itten|ites|ote) off|write-off", "unresolved": "unresolved", "in flight": "in flight",
    "freeze": "fr(eeze|eezes|ozen)", "nonce": "nonces?", "payee": "payees?", "payer": "payers?", "ledger": "ledgers?",
    "reader": "readers?", "signer": "signers?", "scheme": "schemes?", "policy": "polic(y|ies)", "buyer": "buyers?",
    "courier": "couriers?", "test money": "test money", "vouch": "vouch(es|ed)?", "key": "keys?", "reconcile":
    "reconciles?", "approver": "approvers?", "resolved": "resolved", "wallet": "wallets?", "seller": "sellers?",
    "outcome": "outcomes?", "CAIP-2": "CAIP-2", "EIP-712": "EIP-712", "blockhash": "blockhash(es)?", "endpoint":
    "endpoints?", "sandbox": "sandbox", "faucet": "faucets?", "testnet": "testnets?", "pay ahead":
    "pay(s|ing)?[ -]ahead", "ceiling": "ceilings?", "Permit2": "Permit2", "open amount": "open amounts?",
    "delivered": "delivered",
}  # fmt: skip


def test_every_step_that_a_program_may_be_told_is_listed() -> None:
    text = (MANUAL / "when-something-goes-wrong.md").read_text("utf-8")
    table = text.partition("| `step` | what to do |\n")[2].partition("\n\n")[0]
    assert sorted(re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)) == sorted(get_args(Step))


def test_a_word_of_ours_is_in_the_glossary() -> None:
    page = (MANUAL / "how-it-works.md").read_text("utf-8")
    glossary = page.partition("\n## Glossary\n")[2].partition("\n## ")[0]
    explained = re.findall(r"^\| \*\*([^*]+)\*\* \| \S", glossary, re.MULTILINE)
    text = "\n".join(prose(one.read_text("utf-8")) for one in PAGES)
    used = {word for word, forms in HOUSE.items() if re.search(rf"\b({forms})\b", text)}
    assert sorted(used - set(explained)) == []
    assert explained == sorted(explained, key=str.lower)
    assert set(explained) <= set(HOUSE), "list the word in HOUSE, with its forms"
