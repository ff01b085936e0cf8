"""Instructions are counted as they are, and a payment that grew is noticed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ..page import PAGE
from . import instructions
from .counter import COUNTS_HERE
from .crew import Worker

counts_here = pytest.mark.skipif(not COUNTS_HERE, reason="valgrind counts on Linux and x86-64, where it is.")


def recorded() -> Any:
    return json.loads(instructions.RECORDED.read_text())


def more(counts: instructions.Counts, colour: str, how: str, by: float) -> instructions.Counts:
    """What would be counted if one case took that much more beyond a bare client."""
    beyond = instructions.added(counts)[colour][how]
    return {**counts, colour: {**counts[colour], how: counts[colour][how] + (by - 1) * beyond}}


@counts_here
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_count_repeats_and_grows_with_the_payments_alone() -> None:
    with Worker("seller") as seller:
        url = seller.ask("start", 0.0)
        few, again, many = (
            instructions.counted("sync", url, count, ("bare twice", "memory")) for count in (10, 10, 30)
        )
    assert few["memory"] > few["bare twice"] > 100  # thousands
    for how, taken in few.items():
        assert again[how] == pytest.approx(taken, rel=0.005)
        assert many[how] == pytest.approx(taken, rel=0.05)


@pytest.mark.parametrize("how", instructions.OURS)
@pytest.mark.parametrize("colour", instructions.COLOURS)
def test_a_case_that_grew_is_named(colour: str, how: str) -> None:
    before = recorded()["counts"]
    assert instructions.grown(more(before, colour, how, 1.019), before) == []
    (line,) = instructions.grown(more(before, colour, how, 1.06), before)
    assert line.startswith(f"{colour}, {how}: ")


def test_what_a_bare_client_takes_more_is_no_fault_of_ours() -> None:
    before = recorded()["counts"]
    slower = {colour: {how: each + 500 for how, each in found.items()} for colour, found in before.items()}
    assert instructions.grown(slower, before) == []


@pytest.mark.parametrize(("other", "code"), [(None, 1), ("httpx", 0), ("python", 0), ("valgrind", 0)])
def test_growth_fails_under_the_versions_that_were_recorded(
    other: str | None, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = recorded()
    now = dict(kept["installed"]) | ({other: "another"} if other else {})
    monkeypatch.setattr(instructions, "installed", lambda: now)
    assert instructions.judge(more(kept["counts"], "sync", "memory", 1.03), kept) == code
    said = capsys.readouterr().out
    assert "sync, memory: " in said
    assert ("Not judged" in said) is (other is not None)
    assert instructions.judge(kept["counts"], kept) == 0


def test_the_tables_are_whole() -> None:
    counts = recorded()["counts"]
    shown = instructions.shown(counts)
    for title, cases in (
        ("of one payment, on", instructions.EVM),
        ("on Solana", instructions.SOLANA + instructions.OFFICIAL),
    ):
        _, _, after = shown.partition(title)
        head, _, *lines = after.partition("\n\n")[2].partition("\n\n")[0].splitlines()
        assert len(lines) == len(cases)
        assert {line.count("|") for line in (head, *lines)} == {2 + len(instructions.COLOURS)}
        assert sum(line.count("–") for line in lines) == len(set(cases) & set(instructions.OFFICIAL)) * 2
    assert all(row.met is not None for row in instructions.goals(counts))


def test_the_manual_has_the_table_that_is_recorded() -> None:
    counts = recorded()["counts"]
    _, _, after = PAGE.read_text("utf-8").partition(instructions.BEGIN)
    shown, _, _ = after.partition(instructions.END)
    assert shown.strip() == instructions.shown(counts)


def test_a_table_without_the_official_client_is_whole() -> None:
    counts = {
        colour: {how: each for how, each in found.items() if how not in instructions.OFFICIAL}
        for colour, found in recorded()["counts"].items()
    }
    assert instructions.OFFICIAL[0] not in counts["async"]
    assert "the official client's" not in instructions.shown(counts)
