"""The manual's reference is what the code says, and leaves nothing out."""

from __future__ import annotations

import importlib
import re

import pytest

import x402_client
from tests.repo.test_exports import PUBLIC

from . import reference

TEXT = reference.PAGE.read_text("utf-8")
BUILT = [getattr(x402_client, name) for name in reference.BUILT]


def test_it_is_current() -> None:
    assert reference.text() == TEXT, "run python -m tests.repo.reference"


@pytest.mark.parametrize("module", [name for name in PUBLIC if name != "x402_client.cli"])
def test_every_public_module_has_a_section_with_each_of_its_names(module: str) -> None:
    section = TEXT.partition(f"\n## {module}\n")[2].partition("\n## ")[0]
    names = importlib.import_module(module).__all__
    missing = [name for name in names if not re.search(rf"(^### {name}$|^\| \[?`{name}\b)", section, re.MULTILINE)]
    assert missing == (["errors"] if module == "x402_client" else [])


@pytest.mark.parametrize("kind", BUILT)
def test_every_parameter_is_shown_with_its_default(kind: type) -> None:
    section = TEXT.partition(f"\n### {kind.__name__}\n")[2].partition("\n### ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| (required|`.*?`) \| `", section, re.MULTILINE))
    assert [*rows] == [one.name for one in reference.parameters(kind)]
    assert kind is not x402_client.Buyer or rows["settle_timeout"] == "`60`"


def test_every_parameter_says_what_it_is() -> None:
    silent = [
        f"{kind.__name__}({one.name}=)"
        for kind in BUILT
        for one in reference.parameters(kind)
        if not reference.arguments(kind).get(one.name)
    ]
    assert silent == []


@pytest.mark.parametrize("kind", BUILT)
def test_no_text_is_about_a_parameter_that_is_gone(kind: type) -> None:
    assert set(reference.arguments(kind)) <= {one.name for one in reference.parameters(kind)}


def test_texts_are_read_from_a_section_of_arguments() -> None:
    class Thing:
        """A thing.

        More about it.

        Args:
            first: The ``first`` one,
                on two lines.
            second (int): The other: or | not.

        Raises:
            ValueError: Never.
        """

        def __init__(self, first: str, second: int = 3, **later: object) -> None: ...

    assert reference.arguments(Thing) == {
        "first": "The `first` one, on two lines.",
        "second": "The other: or \\| not.",
    }
    assert [one.name for one in reference.parameters(Thing)] == ["first", "second"]
