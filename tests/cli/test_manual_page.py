"""``manual/command.md``: what it names is there."""

from __future__ import annotations

import re
from pathlib import Path

from x402_client.cli.app import app
from x402_client.cli.exits import MEANING
from x402_client.cli.tree import walk, whole

PAGE = Path(__file__).parents[2].joinpath("x402_client/manual/command.md").read_text("utf-8")
TREE = dict(walk(whole(app)))


def test_every_command_it_names_is_there_and_none_is_left_out() -> None:
    named = set(re.findall(r"x402 ([a-z]+)", PAGE))
    assert named == {words.partition(" ")[0] for words in TREE if words} - {"manual"}


def test_every_option_and_variable_it_names_is_there() -> None:
    options = {name for command in TREE.values() for parameter in command.params for name in parameter.opts}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE)) - {"--help"} <= options
    variables = {getattr(parameter, "envvar", None) for command in TREE.values() for parameter in command.params}
    keys = {"X402_EVM_KEY", "X402_SOLANA_KEY", "X402_PASSPHRASE"}
    assert set(re.findall(r"X402_[A-Z_]+", PAGE)) <= variables | keys


def test_it_has_every_exit_code() -> None:
    for code, meaning in MEANING.items():
        assert f"| {int(code)} | {meaning} |" in PAGE
