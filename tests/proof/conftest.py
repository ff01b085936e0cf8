"""These tests stand on parts of those of the shells, whose asserts explain themselves here as well."""

from tests.shells import conftest

__all__ = ["conftest"]
