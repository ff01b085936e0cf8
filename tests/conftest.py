"""Fixtures that every test may use."""

from tests.real.fixtures import own_world, world

__all__ = ["own_world", "world"]
