"""The ``x402`` command: the only place that prints. It needs the extra ``[cli]``, and says so if it is missing."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

__all__ = ["main"]

_EXTRA = ("typer", "rich")
_MISSING = (
    "x402: the command needs the packages typer and rich. Install them with: pip install 'x402-buyer[cli]' "
    "(from a copy of its folder: pip install '.[cli]')"
)


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit. A key among the arguments is refused before any other code reads it."""
    from .arguments import secret_among

    given = list(sys.argv[1:] if argv is None else argv)
    said = "Interrupted. Nothing was paid."
    try:
        found = secret_among(given)
        if found is not None:
            print(f"x402: {found}", file=sys.stderr)
            sys.exit(2)
        try:
            from .app import run
        except ModuleNotFoundError as missing:
            if (missing.name or "").partition(".")[0] not in _EXTRA:
                raise
            print(_MISSING, file=sys.stderr)
            sys.exit(2)
        said = "Interrupted."
        sys.exit(run(given))
    except KeyboardInterrupt:
        print(f"\nx402: {said}", file=sys.stderr)
        sys.exit(130)
