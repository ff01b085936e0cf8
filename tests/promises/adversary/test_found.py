"""What the adversary machine found, played again."""

from __future__ import annotations

from typing import Any

import pytest

from .events import Call, Script, Setting
from .found import FOUND, MORE_SEEDS, SEEDS, pending
from .generate import CLIENTS
from .hunt import finds, replays
from .machines import MACHINES
from .play import world

pytestmark = pytest.mark.filterwarnings("ignore")


def _case(theme: str, ledger: str, name: str, *values: Any, is_slow: bool = False) -> Any:
    rule = pending(theme, ledger)
    marks = [pytest.mark.slow] if is_slow else []
    marks += [] if rule is None else [pytest.mark.xfail(strict=True, reason=rule)]
    return pytest.param(*values, id=name.replace(" ", "-").replace(":", ""), marks=marks)


_SCRIPTS = [_case(one.theme, one.script.setting.ledger, name, name) for name, one in FOUND.items()]
_SEEDS = [
    _case(theme, ledger, f"{theme} {ledger} {seed}", theme, ledger, seed, is_slow=True)
    for group in (SEEDS, MORE_SEEDS)
    for (theme, ledger), seeds in group.items()
    for seed in seeds
]


@pytest.mark.parametrize("ledger", sorted(MACHINES))
def test_each_client_buys_on_each_machine(ledger: str) -> None:
    """Else what follows would show nothing."""
    calls = [Call(thing, client) for thing, client in enumerate(CLIENTS)]
    elsewhere = [] if ledger == "memory" else [Call(where="child"), Call(2, program=1)]
    with world(ledger) as place:
        assert place.play(Script(Setting(ledger, 20), (*calls, *elsewhere)), frozenset()) is None
        assert place.books.delivered == len(calls) + len(elsewhere)


@pytest.mark.parametrize("name", _SCRIPTS)
def test_a_script_that_broke_a_promise_once_breaks_none(name: str) -> None:
    found = FOUND[name]
    failure = replays(found.script, {found.theme})
    assert failure is None, f"{failure}"


@pytest.mark.parametrize(("theme", "ledger", "seed"), _SEEDS)
def test_a_seed_that_broke_a_promise_once_breaks_none(theme: str, ledger: str, seed: int) -> None:
    failure = finds(seed, ledger, theme.split("+"))
    assert failure is None, f"{failure}"
