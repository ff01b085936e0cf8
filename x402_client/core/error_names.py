"""Names of errors for programs: the public class, and apart from it the class of the library that failed."""

from __future__ import annotations

from .. import errors
from ..errors import X402Error

_PACKAGE = __name__.partition(".")[0]


def name_of(error: X402Error) -> str:
    """Return the name of the nearest class of ours. Faces join some with errors of their libraries."""
    return next((kind.__name__ for kind in type(error).__mro__ if kind.__module__ == errors.__name__), "X402Error")


def library_name(failure: BaseException) -> str | None:
    """Return the library's own class of a failure, as in ``httpx.ReadTimeout``. None if it is ours alone."""
    for kind in type(failure).__mro__:
        module = kind.__module__.partition(".")[0]
        if module not in (_PACKAGE, "builtins"):
            return f"{module}.{kind.__name__}"
    return None
