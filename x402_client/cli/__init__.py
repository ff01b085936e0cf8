"""The ``x402`` command: the only place that prints. It needs the extra ``[cli]``, and says so if it is missing."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

__all__ = ["main"]

_EXTRA = ("typer", "rich")
_MISSING = (
    "x402: the command needs the packages typer and rich. Install them with: pip install 'x402-buyer[cli]' "
    "(in a clone: pip install '.[cli]')."
)


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit. A key among the arguments is refused before any other code reads it.

    Args:
        argv: The arguments. Default: those of the process.
    """
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
            if given[:1] == ["manual"]:
                sys.exit(_plain_manual(given[1:]))
            print(_MISSING, file=sys.stderr)
            sys.exit(2)
        said = "Interrupted."
        sys.exit(run(given))
    except KeyboardInterrupt:
        print(f"\nx402: {said}", file=sys.stderr)
        sys.exit(130)


def _plain_manual(given: Sequence[str]) -> int:
    """Show the manual as Markdown. It is read before the extra is installed, too."""
    from .manual_topics import asked

    words = [word for word in given if not word.startswith("-")]
    searching = any(word in ("-s", "--search") for word in given)
    found = asked("", " ".join(words)) if searching else asked(" ".join(words))
    try:
        print(found.piped.strip(), file=sys.stdout if found.found else sys.stderr, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python reports it again as it ends
        return 141
    return 0 if found.found else 2
