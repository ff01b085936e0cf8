"""The list of broken promises stands for code and tests that exist; ``pytest -m mutations`` tries each of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.promises.adversary.found import MORE_SEEDS, SEEDS

from . import mutations
from .mutations import CODE, MUTATIONS, ROOT, Mutation, broken, failing, is_killed

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


@pytest.mark.slow
def test_each_killer_is_there() -> None:
    killers = sorted({killer for one in MUTATIONS for killer in one.killers})
    collect = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "", "-p", "no:cacheprovider", *killers]
    found = subprocess.run(collect, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr


def test_each_seed_of_a_mutation_is_played_by_a_test() -> None:
    groups = [*SEEDS.items(), *MORE_SEEDS.items()]
    played = {mutations.seed(*where, number) for where, numbers in groups for number in numbers}
    asked = {seed for one in MUTATIONS for seed in one.seeds}
    assert asked
    assert asked <= played


@each
def test_the_adversary_finds_it_or_it_is_said_why_not(mutation: Mutation) -> None:
    assert bool(mutation.seeds) != bool(mutation.unseen)


@pytest.mark.mutations
@each
def test_it_is_noticed(mutation: Mutation) -> None:
    assert is_killed(mutation)


@pytest.mark.mutations
@pytest.mark.parametrize(
    ("mutation", "seed"),
    [
        pytest.param(one, seed, id=f"{one.name}, {seed.partition('[')[2][:-1]}")
        for one in MUTATIONS
        for seed in one.seeds
    ],
)
def test_the_adversary_finds_it(mutation: Mutation, seed: str) -> None:
    with broken(mutation) as tree:
        assert failing(tree, seed) is not None


CODE_OF_ITS_OWN = {
    "x402_client/__init__.py": "def price() -> int:\n    return 1\n",
    "x402_client/pytest_plugin.py": "",
    "test_own.py": """
import time
from x402_client import price

def test_right(): assert price() == 1
def test_wrong_anyway(): assert price() == 3
def test_hangs():
    while price() != 1: time.sleep(0.1)
def test_nothing(): pass
""",
}


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a repository with a price, a test that holds it, one that fails anyway, and one that can hang."""
    for name, text in CODE_OF_ITS_OWN.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    monkeypatch.setattr(mutations, "ROOT", tmp_path)
    monkeypatch.setattr(mutations, "LIMIT", 8.0)
    monkeypatch.setattr(mutations, "_unbroken", lambda: tmp_path)
    monkeypatch.setattr(mutations, "passes_unbroken", mutations.passes_unbroken.__wrapped__)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("killers", "killed"),
    [
        (("test_own.py::test_nothing",), False),
        (("test_own.py::test_right",), True),
        (("test_own.py::test_nothing", "test_own.py::test_right"), True),
        (("test_own.py::test_wrong_anyway",), False),
        (("test_own.py::test_wrong_anyway", "test_own.py::test_right"), True),
        (("test_own.py::test_hangs",), True),
    ],
)
def test_only_a_test_that_passes_on_the_unbroken_code_notices(
    tree: Path, killers: tuple[str, ...], killed: bool
) -> None:
    assert is_killed(Mutation("dearer", "__init__.py", "return 1", "return 2", killers)) is killed


def test_a_killer_that_is_not_there_is_an_error(tree: Path) -> None:
    with pytest.raises(RuntimeError, match="pytest ended with 4"):
        is_killed(Mutation("dearer", "__init__.py", "return 1", "return 2", ("test_own.py::test_gone",)))
