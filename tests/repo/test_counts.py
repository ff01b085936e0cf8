"""Numbers in messages: one of them is no plural."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from x402_client.model.counts import counted

from .test_rooms import TREES

_NOUNS = (
    "seconds minutes hours days years bytes characters payments offers entries times decimals units networks "
    "settlements transfers digits levels words lines mismatches calls replicas purchases requests"
)
#: A number in braces, and what it counts.
_NUMBER = re.compile(rf"\{{([^{{}}]+?)\}} (?:more |open |other )?({'|'.join(_NOUNS.split())})\b")
#: Constants in capitals are known: none is one. So are these, each by what stands before it.
_NEVER_ONE = {
    "hold.tries + 1": "said of what was presented again",
    "paid.hold.tries + 1": "the same",
    "_presented(hold)": "the same",
    "refusal.spent": "once is said in words",
    "times[name]": "several, or nothing is said",
    "len(flying)": "one is said in words",
    "len(found)": "several, or it is named",
    "len(found) or 'No'": "none, or several",
    "2 if v2 else 1": "a version, and a verb",
    "len(self.seller.settlements)": "a demo of several",
    "len(presented)": "a demo of a payment that is presented again",
    "self.seconds": "a jump of more than a minute",
    "len(part)": "a block of headers",
    "len(shown)": "more than a hundred digits",
    "words": "a mnemonic is of several",
    "len(entries)": "more than are read",
    "len(offers)": "more than are read",
    "len(data)": "more than is sent",
    "len(text)": "more than is read",
    "len(str(entry))": "a large one",
    "len(value)": "more than is signed",
    "size": "more than fits",
    "depth": "a bound on depth",
    "bounds.terms_body": "a bound on bytes",
    "self._limit": "a bound on bytes",
    "seconds": "no message of ours: the words of another library, or a value that was refused",
    "term(said['amount'], 40)": "the words of a seller",
}


def _numbers() -> Iterator[tuple[str, str, str]]:
    for module, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                parts = (_part(value) for value in node.values)
                yield from ((module, found[1], found[2]) for found in _NUMBER.finditer("".join(parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                for found in re.finditer(r"\{(:g|\w*)\} (" + "|".join(_NOUNS.split()) + r")\b", node.value):
                    yield module, found[0], found[2]


def _part(value: ast.expr) -> str:
    if isinstance(value, ast.FormattedValue):
        return "{" + ast.unparse(value.value).replace("{", "(").replace("}", ")") + "}"
    return str(value.value) if isinstance(value, ast.Constant) else ""


def test_a_number_that_may_be_one_is_written_with_counted() -> None:
    wrong = [
        f"{module}: {{{number}}} {noun}"
        for module, number, noun in _numbers()
        if number not in _NEVER_ONE and not re.fullmatch(r"(DEFAULT\.\w+|_?[A-Z_]+)", number)
    ]
    assert wrong == [], "write counted(number, noun)"


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (0, "0 payments"), (1, "1 payment"), (1.0, "1 payment"), (2, "2 payments"), (0.5, "0.5 payments"),
        (86_400.0, "86400 payments"), (10**7, "10000000 payments"),
    ],
)  # fmt: skip
def test_a_number_is_written_with_its_noun(number: float, said: str) -> None:
    assert counted(number, "payment") == said


def test_an_odd_plural_is_given() -> None:
    assert (counted(1, "entry", "entries"), counted(2, "entry", "entries")) == ("1 entry", "2 entries")
