"""``x402 manual``: pages by name, by what they are about, and by what somebody types who does not know the name."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from x402_client import errors
from x402_client.cli.manual_pages import Page, _examples, _read, anchor, pages, unmarked
from x402_client.cli.manual_topics import _Word, answer, search
from x402_client.cli.plain_page import wrapped

from .running import in_process, process, terminal

FOLDER = Path(errors.__file__).parent / "manual"


def manual(*words: str, code: int = 0) -> str:
    ran = in_process(["manual", *words], {})
    assert ran.code == code, ran.err
    return ran.text if code == 0 else ran.err


def title(*words: str) -> str:
    return manual(*words).splitlines()[0].lstrip("# ")


# --- which page


@pytest.mark.parametrize(
    ("topic", "heading"),
    [
        ("errors/over-limit", "OverLimit"),
        ("errors/over-limit.md", "OverLimit"),
        ("manual/errors/over-limit", "OverLimit"),
        ("over-limit", "OverLimit"),
        ("OverLimit", "OverLimit"),
        ("overlimit", "OverLimit"),
        ("errors.OverLimit", "OverLimit"),
        ("x402_client.errors.OverLimit", "OverLimit"),
        ("x402_client.httpx.OutcomeUnknownReadTimeout", "PaymentOutcomeUnknown"),
        ("NotSentConnectError", "PaymentNotSent"),
        ("errors", "Errors"),
        ("errors/over", "OverLimit"),
        ("ledger-f", "A ledger file"),
        ("stab", "Stability"),
        ("how it works", "How it works"),
        ("How_it_works", "How it works"),
        ("Threads that are given up on", "Threads that are given up on"),
        ("extending", "Extending"),
        ("extending/README.md", "Extending"),
        ("token", "A token of your own"),
        ("Glossary", "Glossary"),
        ("how-it-works#glossary", "Glossary"),
        ("Buyer", "Buyer"),
        ("llms.txt", "x402_client"),
        ("limits.md#approval", "Approval"),
        ("errors/over-limit.md#what-it-tells", "What it tells"),
    ],
)
def test_a_topic_finds_its_page_or_section(topic: str, heading: str) -> None:
    assert title(*topic.split()) == heading


@pytest.mark.parametrize("name", errors.__all__)
def test_each_error_names_a_page_that_is_found(name: str) -> None:
    kind = getattr(errors, name)
    if isinstance(kind, type) and issubclass(kind, errors.X402Error):
        [asked] = re.findall(r"x402 manual (\S+)$", str(kind("x")))
        assert title(asked) == name == title(name)


def test_a_section_ends_before_the_next() -> None:
    shown = manual("aiohttp#what-to-know")
    assert "**Bodies.**" in shown
    assert "What stays as it is" not in shown


def test_a_topic_that_may_be_several_lists_them() -> None:
    told = manual("ledger", code=2)
    assert {"extending/ledger", "ledger-file"} <= {*re.findall(r"^- `(\S+)`: \S", told, re.MULTILINE)}
    assert "'ledger' may be one of these" in told


def test_an_unknown_topic_suggests_the_nearest_and_those_that_have_the_word() -> None:
    assert "- `errors/over-limit`: " in manual("overlimt", code=2)
    assert "- `how-it-works`: " in manual("how-it-wroks", code=2)
    assert "- `errors/signing-error`: " in manual("hardware", code=2)
    told = manual("xyzzyplugh", code=2)
    assert told.startswith("x402: The manual has no page 'xyzzyplugh'. To begin with:\n\n- `start-here`")
    assert told.strip().endswith("`x402 manual` lists all pages.")


def test_without_a_topic_every_page_is_listed_with_a_line() -> None:
    shown = manual().replace("\n  ", " ")
    listed = re.findall(r"^- `([^`]+)`: \S.*[.?!:]$", shown, re.MULTILINE)
    assert sorted(listed) == sorted({page.name for page in pages().values() if not page.program} - {"index"})
    within = [at for at, name in enumerate(listed) if name.startswith("errors/")]
    assert within == list(range(listed.index("errors") + 1, within[-1] + 1)), "a folder's pages follow it"
    assert shown.count("`x402 manual NAME`") == 1


def test_a_search_lists_the_pages_that_have_all_the_words_the_best_first() -> None:
    shown = manual("--search", "freeze")
    found = re.findall(r"^## (\S+)$", shown, re.MULTILINE)
    assert found.index("errors/frozen") < found.index("errors/paid-not-delivered")
    assert set(found) == {name for name, page in pages().items() if "freeze" in page.text.lower() and name != "index"}
    assert manual("-s", "write", "off") == manual("--search", "write off")
    assert "No page of the manual has 'xyzzyplugh'" in manual("--search", "xyzzyplugh", code=2)


# --- how it is shown


@pytest.mark.parametrize(
    ("word", "section"),
    [
        ("breaker", "The pause after failures: the breaker"),
        ("pause", "The pause"),
        ("paused", '"Payments to ... are paused until'),
    ],
)
def test_the_pause_of_the_breaker_is_found(word: str, section: str) -> None:
    shown = manual("--search", word)
    assert {"limits", "errors/host-not-allowed"} & set(re.findall(r"^## (\S+)$", shown, re.MULTILINE)[:2])
    assert section in shown


def test_a_short_word_is_not_looked_for_within_others() -> None:
    short = _Word("pay", False)
    assert all(map(short.is_in, ("They pay it.", "pays", "paying", "`pay`", "pay_to", "PAY")))
    assert not any(map(short.is_in, ("payload", "repay", "payment", "paypal")))
    assert all(map(_Word("breaker", False).is_in, ("breaker_after", "Breakers")))
    assert _Word("--search", False).is_in("`x402 manual --search WORD`")
    assert not _Word("load", False).is_in("payload")
    assert "ayload" in manual("--search", "ayloa"), "a part of a word, where nothing else is found"
    assert _Word("hold", False).count_in("a hold") > _Word("hold", False).count_in("holding")
    assert re.findall(r"\w*payload\w*", manual("--search", "pay")) == []


def test_in_a_pipe_a_page_is_the_markdown_that_it_is() -> None:
    ran = process(["manual", "ledger-file"], {})
    assert ran.text == wrapped((FOLDER / "ledger-file.md").read_text("utf-8"))
    assert ran.err == ""


def test_comments_are_for_those_who_write_the_pages() -> None:
    assert "<!--" in (FOLDER / "evidence.md").read_text("utf-8")
    assert "<!--" not in manual("evidence")


def test_on_a_terminal_it_is_drawn_and_links_are_names_to_ask_for() -> None:
    seen = terminal(["manual", "extending"], {"PAGER": "cat"})
    screen = re.sub(r"\x1b\[[0-9;]*m", "", seen.screen)
    assert seen.code == 0
    assert "](" not in screen
    assert "x402 manual extending/signer" in " ".join(screen.split())
    assert all(len(line) <= 100 for line in screen.splitlines())


def test_a_long_page_goes_through_the_pager(tmp_path: Path) -> None:
    pager = tmp_path / "pager"
    pager.write_text('#!/bin/sh\necho "PAGED $LESS"\nhead -n 3\n', "utf-8")
    pager.chmod(0o755)
    plain = terminal(["manual", "reference"], {"PAGER": str(pager)}).screen
    assert "PAGED " in plain
    # From Python 3.13 on, pydoc sets options of less by itself, for any pager.
    assert "PAGED -R" not in plain or sys.version_info >= (3, 13)
    less = pager.rename(tmp_path / "less")
    seen = terminal(["manual", "reference"], {"PAGER": str(less)})
    assert "PAGED -R" in seen.screen
    assert "PAGED" not in terminal(["manual", "errors/quote-error"], {"PAGER": str(less), "LINES": "80"}).screen


def test_a_terminal_sees_the_suggestions_and_the_code_says_that_nothing_was_found() -> None:
    seen = terminal(["manual", "overlimt"], {})
    assert seen.code == 2
    assert "errors/over-limit" in seen.screen


@pytest.mark.parametrize("words", [(), ("OverLimit",), ("--search", "freeze"), ("overlimt",), ("examples/own_signer",)])
def test_it_is_read_without_the_extra_too(words: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise ModuleNotFoundError('No module named typer', name='typer')", "utf-8")
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from x402_client.cli import main; main()"
    bare = process(["-c", code, str(tmp_path), "manual", *words], {}, program=[sys.executable])
    full = process(["manual", *words], {})
    assert bare.code == full.code
    assert bare.text.strip() == full.text.strip()
    assert full.err.removeprefix("x402: ").strip() == bare.err.strip()


def test_a_reader_that_leaves_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise ModuleNotFoundError('No module named typer', name='typer')", "utf-8")
    for path in ("", f"PYTHONPATH={tmp_path}:$PYTHONPATH"):
        script = f"{path} {sys.executable} -m x402_client manual reference 2>err | head -n 1; cat err"
        ran = process(["-c", script], {}, program=["sh"], cwd=tmp_path)
        assert ran.text == "# Reference\n"


# --- examples


EXAMPLES = Path(__file__).parents[2] / "examples"


def test_every_example_is_listed_and_shown_as_it_is() -> None:
    files = [path for path in EXAMPLES.rglob("*") if path.suffix in (".py", ".toml")]
    listed = re.findall(r"^- `examples/([^`]+)`: (\S.*)$", manual("examples").replace("\n  ", " "), re.MULTILINE)
    names = {path: str(path.relative_to(EXAMPLES).with_suffix("")) for path in files}
    assert sorted(name.replace("-", "_") for name, _ in listed) == sorted(names.values())
    for path, name in names.items():
        copied = path.read_text("utf-8").replace(f"examples/{name}{path.suffix}", path.name.replace("_", "-"))
        assert manual(f"examples/{name}") == manual(f"examples/{name}{path.suffix}") == copied
        assert (name.replace("_", "-"), path.read_text("utf-8").splitlines()[0].strip('"# ')) in listed
    assert manual("forty_workers") == manual("examples/forty_workers")
    assert "## examples/resell-with-fastapi" in manual("--search", "customers", "margin")


def test_on_a_terminal_an_example_is_a_page() -> None:
    seen = terminal(["manual", "examples/pay_with_httpx2"], {"PAGER": "cat", "NO_COLOR": "1"})
    assert seen.screen.split()[0] == "pay_with_httpx2.py"
    assert "with httpx2.Client(transport=PaymentTransport(buyer)) as client:" in seen.screen


def test_the_examples_that_a_page_names_are_there() -> None:
    named = {name for page in pages().values() for name in re.findall(r"x402 manual examples/([\w/]+)", page.text)}
    assert {"forty_workers", "agent_with_approval", "own_scheme", "resell_with_fastapi"} <= named
    assert [name for name in named - {"NAME"} if not [*EXAMPLES.glob(f"{name}.*")]] == []


@pytest.mark.parametrize(
    ("line", "plain"),
    [
        ('register("eip155:*", scheme)', 'register("eip155:*", scheme)'),
        ("`*.example.com` or `*`", "*.example.com or *"),
        ("**Amounts** are *text*, see [`a`](b.md)", "Amounts are text, see a"),
        ("[*tools, **more]", "[*tools, **more]"),
        ("a * b * c", "a * b * c"),
    ],
)  # fmt: skip
def test_a_line_without_its_markup_keeps_the_stars_of_code(line: str, plain: str) -> None:
    assert unmarked(line) == plain


def test_names_of_the_official_client_are_found() -> None:
    for name in ("register_exact_evm_client", "x402HTTPClient", "get_payment_settle_response", "x402Client"):
        assert "## coming-from" in manual("--search", name)
    assert 'client.register("eip155:*"' in manual("--search", "client.register")


def test_a_package_without_examples_has_a_manual_all_the_same(tmp_path: Path) -> None:
    assert _examples(tmp_path / "x402_client") is None
    (tmp_path / "examples").mkdir()
    assert _examples(tmp_path / "x402_client") is None  # of another package
    installed = tmp_path / "x402_client" / "manual" / "examples"
    installed.mkdir(parents=True)
    assert _examples(tmp_path / "x402_client") == installed
    (installed / "pay.py").write_text('"""Pays."""\n', "utf-8")
    assert [*_read(installed.parent, "")] == []


# --- pages


def test_a_heading_inside_a_program_is_none() -> None:
    page = Page("a", "", "# A `title`\n\nFirst. Second.\n\n```sh\n# no heading\n```\n\n## Two\n\ntext\n\n### Three\n")
    assert page.title == "A title"
    assert page.summary == "First."
    assert [(one.title, "Three" in one.text) for one in page.sections()] == [("Two", True), ("Three", True)]
    assert Page("a", "", "no heading").title == "a"
    assert Page("a", "", "# Only a title").summary == "Only a title"


@pytest.mark.parametrize(
    ("heading", "name"),
    [("What to do", "what-to-do"), ("`Buyer` & co.", "buyer-co"), ("x402_client.httpx", "x402_clienthttpx")],
)
def test_anchors_are_those_of_markdown(heading: str, name: str) -> None:
    assert anchor(heading) == name


def test_a_copy_of_an_example_names_itself_and_what_it_needs() -> None:
    text = in_process(["manual", "examples/policy-file"], {}).text
    assert "Run it: python policy-file.py" in text
    listed = in_process(["manual", "examples"], {}).text
    assert "Needs `examples/policy`, as policy.toml." in listed
    assert "Needs the extra `aiohttp`." in listed


def test_the_first_page_shows_the_program_that_the_sandbox_writes() -> None:
    from x402_client.cli.commands.sandbox import _PROGRAM

    page = in_process(["manual", "start-here"], {}).text
    assert _PROGRAM.format(url="http://127.0.0.1:8402") in page


def test_no_summary_ends_at_a_colon_and_no_command_is_cut() -> None:
    assert [page.name for page in pages().values() if page.summary.endswith(":")] == []
    found = in_process(["manual", "--search", "ledger"], {}).text
    cut = [line for line in found.splitlines() if line.endswith("…")]
    assert cut
    assert all(line.endswith(" …") for line in cut)


def test_a_topic_that_is_near_nothing_leads_to_the_first_pages() -> None:
    ran = in_process(["manual", "zzqqxx"], {})
    assert ran.code == 2
    assert "`start-here`" in ran.err


@pytest.mark.parametrize(
    ("words", "first"),
    [
        ("gas", "how-it-works"),
        ("Testnet", "first-real-payment"),
        ("double payment", "when-something-goes-wrong"),
        ("timeout", "threads"),
        ("time-outs", "threads"),
        ("retry", "when-something-goes-wrong"),
    ],
)
def test_what_many_look_for_leads_to_its_page_first(words: str, first: str) -> None:
    found = search(words)
    assert found.found
    assert found.text.startswith(f"## {first}\n")
    assert f"Near it:\n\n- `{first}`" in answer(words).text or answer(words).found


def test_pages_that_have_nearly_every_word_come_last() -> None:
    names = re.findall(r"^## (\S+)$", search("payment").text, re.MULTILINE)
    assert set(names[-2:]) == {"evidence", "reference"}


def test_a_misspelt_word_is_told_what_is_near_it() -> None:
    assert "No page of the manual has 'tiemout'. Did you mean `x402 manual --search timeout`?" in search("tiemout").text


@pytest.mark.parametrize("nonsense", ["nope", "zzzzqqq", "zzzzz", "nosuch", "abcd123", "xapprove", "nopage"])
def test_nonsense_is_not_taken_for_a_slip(nonsense: str) -> None:
    assert "Did you mean" not in search(nonsense).text
    assert "Did you mean" not in answer(nonsense).text


@pytest.mark.parametrize("name", [name for name in pages() if "/" not in name and name != "index"])
def test_a_page_is_found_by_its_name_in_singular_and_plural(name: str) -> None:
    singular = name.removesuffix("s")
    for topic in {name, singular, f"{singular}s"}:
        found = answer(topic)
        assert found.text == pages()[name].text or (not found.found and f"`{name}`" in found.text), topic
