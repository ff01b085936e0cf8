"""The list of broken promises stands for code and tests that exist; ``pytest -m mutations`` tries each of them."""

from __future__ import annotations

import pytest

from .mutations import CODE, MUTATIONS, ROOT, Mutation, is_killed

each = pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)


def test_names_are_unique() -> None:
    assert len({one.name for one in MUTATIONS}) == len(MUTATIONS)


@each
def test_there_is_something_to_break(mutation: Mutation) -> None:
    for file, old, new in mutation.edits:
        assert (ROOT / CODE / file).read_text("utf-8").count(old) == 1, f"{file} has changed: {old}"
        assert old != new
    for killer in mutation.killers:
        assert (ROOT / killer.partition("::")[0]).exists()


@pytest.mark.mutations
@each
def test_it_is_noticed(mutation: Mutation) -> None:
    assert is_killed(mutation)
