"""A quick ``__init__`` takes what that of ``dataclasses`` takes, and makes the same."""

from __future__ import annotations

import copy
import inspect
import pickle
from dataclasses import FrozenInstanceError, dataclass, field, fields, make_dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from x402_client.model.holds import Authorization, Hold, Outcome
from x402_client.model.offers import Offer, Quote
from x402_client.model.quick_init import quick_init


@dataclass(frozen=True, slots=True)
class Slow:
    """As dataclasses makes it."""

    one: int
    _two: Any
    three: str = "3"
    four: list[int] = field(default_factory=list)
    five: Any = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "five", (self.one, self.five))


@quick_init
@dataclass(frozen=True, slots=True)
class Quick:
    """The same."""

    one: int
    _two: Any
    three: str = "3"
    four: list[int] = field(default_factory=list)
    five: Any = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "five", (self.one, self.five))


NAMES = [one.name for one in fields(Slow)]
VALUES = st.one_of(st.integers(), st.text(), st.none(), st.lists(st.integers()))


def made(cls: Any, values: list[Any], named: dict[str, Any]) -> Any:
    """Return the fields of what is made, or the words of the failure."""
    try:
        found = cls(*values, **named)
    except TypeError as failure:
        return str(failure).replace(cls.__name__, "")
    assert copy.copy(found) == copy.deepcopy(found) == pickle.loads(pickle.dumps(found)) == replace(found) == found
    return [getattr(found, name) for name in NAMES], repr(found).replace(cls.__name__, "")


@given(st.lists(VALUES, max_size=6), st.dictionaries(st.sampled_from([*NAMES, "six"]), VALUES))
def test_it_takes_and_makes_the_same(values: list[Any], named: dict[str, Any]) -> None:
    assert made(Quick, values, named) == made(Slow, values, named)


def test_a_default_that_is_made_is_made_for_each() -> None:
    assert Quick(1, 2).four is not Quick(1, 2).four


@pytest.mark.parametrize("odd", [field(kw_only=True), field(init=False, default=1)])
def test_it_refuses_fields_that_are_not_plain(odd: Any) -> None:
    made = make_dataclass("Odd", [("one", int, odd)], frozen=True, slots=True)
    with pytest.raises(TypeError, match=r"Odd\.one"):
        quick_init(made)


def test_it_stays_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        Quick(1, 2).one = 3  # type: ignore[misc]


@pytest.mark.parametrize("cls", [Quick, Authorization, Hold, Outcome, Offer, Quote])
def test_an_editor_sees_the_same(cls: Any) -> None:
    init = cls.__init__
    assert (init.__qualname__, init.__module__) == (f"{cls.__qualname__}.__init__", cls.__module__)
    taken = list(inspect.signature(cls).parameters.values())
    assert [(one.name, one.annotation) for one in taken] == [(one.name, one.type) for one in fields(cls)]
    if cls is Quick:
        assert str(inspect.signature(Quick)) == str(inspect.signature(Slow))
