"""The token of a program's life: beats exchange it rarely beside steps under way, so that these stay proven."""

from __future__ import annotations

import time

import pytest

from x402_client.ledgers.served.lives import Lives


@pytest.mark.parametrize("beats", range(1, 20, 6))
def test_a_step_under_way_is_provable_beside_beats(beats: int, monkeypatch: pytest.MonkeyPatch) -> None:
    lives, number = Lives(), 1
    joining = lives.prove("default", "us", False, False)
    lives.joined("default", "identity", number, joining)
    lives.end("default", joining, number, "")
    first = lives.prove("default", "us", False, False)
    slow = lives.prove("default", "us", False, False)  # not sent yet, or late to arrive
    assert (first.rotates, slow.rotates) == (True, False)
    kept = first.step
    lives.end("default", first, number := number + 1, kept)
    for _ in range(beats):
        beat = lives.prove("default", "us", True, False)
        kept = beat.step if beat.rotates else kept
        lives.end("default", beat, number := number + 1, kept)
    assert kept in slow.lives, "the server would take it for a copy's"
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 1.5)
    assert lives.prove("default", "us", True, False).rotates, "a copy is told from us also while we are busy"
