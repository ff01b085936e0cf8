"""Every option that is a number refuses what no number of its kind can be, and an option before its command is told."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from x402_client.cli.app import app
from x402_client.cli.tree import walk, whole

from .running import in_process

TREE = dict(walk(whole(app)))
#: What a command needs besides, so that its options are looked at.
NEEDED = {"HOLD": "4f1c", "URL": "https://x.example", "FILE": "policy.toml", "NAME": "a", "BLOB": "x"}


def options(words: str) -> list[Any]:
    return [one for one in TREE[words].params if one.param_type_name == "option"]


NUMBERS = [
    (words, one.opts[-1])
    for words in TREE
    for one in options(words)
    if isinstance(one.default, (int, float)) and not isinstance(one.default, bool) and not one.count
]


def test_there_are_such_options() -> None:
    assert {name for _, name in NUMBERS} >= {"--days", "--limit", "--timeout", "--port", "--slow", "--max-body"}


@pytest.mark.parametrize("given", ["-1", "nan", "inf", "-inf"])
@pytest.mark.parametrize(("words", "name"), NUMBERS, ids=lambda one: str(one).replace(" ", "-"))
def test_a_number_below_zero_or_without_an_end_is_refused(
    bare: dict[str, str], words: str, name: str, given: str
) -> None:
    places = [NEEDED.get((one.metavar or "").strip("[]"), "x") for one in TREE[words].params if _is_place(one)]
    ran = in_process([*words.split(), *places, f"{name}={given}"], bare)
    assert ran.code == 2
    assert name in ran.err
    assert "Traceback" not in ran.err


def _is_place(one: Any) -> bool:
    return bool(one.param_type_name == "argument" and one.required)


def _before() -> list[tuple[str, str]]:
    """Every option of every command, but for those that the groups above it know as well."""
    for words in filter(None, TREE):
        above = {
            name for one in itertools.chain(options(""), *(options(words.rpartition(" ")[0]),)) for name in one.opts
        }
        yield from ((words, name) for one in options(words) for name in one.opts if name not in {*above, "--help"})  # type: ignore[misc]


@pytest.mark.parametrize(("words", "name"), list(_before()), ids=lambda one: str(one).replace(" ", "-"))
def test_an_option_before_its_command_is_told_where_it_goes(bare: dict[str, str], words: str, name: str) -> None:
    group = words.rpartition(" ")[0]
    line = [*group.split(), name, "x.db", words.rpartition(" ")[2], "https://x.example"]
    ran = in_process(line, bare)
    assert ran.code == 2
    assert f"{name} goes behind the command: x402 {words} {name} ..." in ran.err


def test_a_line_that_is_right_is_told_nothing(bare: dict[str, str]) -> None:
    for line in (["get", "--frobnicate"], ["ledger", "--days", "1", "--frobnicate"], ["--frobnicate", "get"], ["-v"]):
        assert "goes behind" not in in_process(line, bare).err
