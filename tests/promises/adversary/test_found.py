"""What the adversary machine found, played again."""

from __future__ import annotations

from typing import Any

import pytest

from .found import FOUND, PENDING
from .hunt import replays

pytestmark = pytest.mark.filterwarnings("ignore")


def _cases() -> list[Any]:
    found = []
    for name, one in FOUND.items():
        marks = [pytest.mark.xfail(strict=True, reason=PENDING[one.theme])] if one.theme in PENDING else []
        found.append(pytest.param(name, id=name.replace(" ", "-").replace(":", ""), marks=marks))
    return found


@pytest.mark.parametrize("name", _cases())
def test_a_script_that_broke_a_promise_once_breaks_none(name: str) -> None:
    found = FOUND[name]
    failure = replays(found.script, {found.theme})
    assert failure is None, f"{failure}"
