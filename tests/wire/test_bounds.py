"""The bounds that a user sets: each is checked while building."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from x402_client.errors import ConfigurationError
from x402_client.wire import Bounds


@pytest.mark.parametrize("name", [one.name for one in fields(Bounds)])
@pytest.mark.parametrize("value", [-1, "1", None, True, float("nan")])
def test_a_bound_is_a_number(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=rf"Bounds\({name}=...\) is .* not {value!r}"):
        Bounds(**{name: value})


def test_a_size_is_whole_and_a_time_is_not() -> None:
    with pytest.raises(ConfigurationError, match=r"Bounds\(offers=...\) is a whole number, zero or more, not 1.5"):
        Bounds(offers=1.5)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"Bounds\(terms_time=...\) is seconds above zero, not 0"):
        Bounds(terms_time=0)
    assert Bounds(terms_time=1.5, kept_body=0).kept_body == 0
