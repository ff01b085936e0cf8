"""Asserts in the parts of the compliance class explain themselves like those of any test."""

import pytest

PARTS = (
    "paying",
    "bodies",
    "heads",
    "streams",
    "failures",
    "pools",
    "redirects",
    "settings",
    "wires",
    "crowds",
    "repeats",
    "till",
)

pytest.register_assert_rewrite(*(f"tests.shells.{part}" for part in PARTS), "tests.shells.server")
