"""Whether a function can take what it will be given is told without calling it, and never wrongly refused."""

from __future__ import annotations

import functools
import queue
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest

from x402_client.guards.arguments import takes


class Methods:
    """Methods of every kind, that take one argument."""

    def plain(self, one: object) -> None: ...

    async def later(self, one: object) -> None: ...

    @classmethod
    def of_class(cls, one: object) -> None: ...

    @staticmethod
    def of_none(one: object) -> None: ...

    def __call__(self, one: object) -> None: ...


class Unsigned:
    """A callable whose signature cannot be read."""

    __signature__ = "none"

    def __call__(self, *given: object) -> None: ...


ONE: dict[str, Callable[..., Any]] = {
    "a lambda": lambda one: one,
    "a default": lambda one, two=2: one,
    "any number": lambda *all: all,
    "a method": Methods().plain,
    "async": Methods().later,
    "a method of the class": Methods().of_class,
    "a static method": Methods().of_none,
    "an object": Methods(),
    "partial": functools.partial(lambda zero, one: one, 0),
    "a method in C": [].append,
    "a queue": queue.SimpleQueue[object]().put,
    "print": print,
    "a type in C": bool,
    "one without a signature": Unsigned(),
    "a mock": mock.Mock(),
}
OTHERS: dict[str, Callable[..., Any]] = {
    "none": lambda: True,
    "two": lambda one, two: True,
    "a keyword that is needed": lambda one, *, two: True,
    "keywords alone": lambda **named: True,
    "a method without self's argument": functools.partial(lambda one: one, 1),
    "a method of a class, not of an object": Methods.plain,
}


@pytest.mark.parametrize("function", ONE.values(), ids=ONE)
def test_what_takes_one_argument_or_cannot_be_told(function: Callable[..., Any]) -> None:
    assert takes(function, 1)


@pytest.mark.parametrize("function", OTHERS.values(), ids=OTHERS)
def test_what_cannot_take_one_argument(function: Callable[..., Any]) -> None:
    assert not takes(function, 1)
