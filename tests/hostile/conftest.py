"""Asserts in the ground explain themselves like those of any test."""

import pytest

pytest.register_assert_rewrite("tests.hostile.ground", "tests.shells.server", "tests.shells.till")
