"""The files that a page of the manual shows: blocks with a title are files of that name."""

from __future__ import annotations

import re
from pathlib import Path

MANUAL = Path(__file__).parents[2] / "x402_client" / "manual"
_FILE = re.compile(r'^```\w+ title="([\w.-]+)"\n(.*?)^```$', re.MULTILINE | re.DOTALL)


def files(page: str) -> dict[str, str]:
    """Return name and text of each file that a page shows, in order."""
    return dict(_FILE.findall((MANUAL / page).read_text("utf-8")))


def write(page: str, directory: Path, **changes: str) -> list[Path]:
    """Write the files of a page into a directory, with other addresses in them, and return their paths."""
    written = []
    for name, text in files(page).items():
        for old, new in changes.items():
            text = text.replace(old, new)
        written.append(directory / name)
        written[-1].write_text(text, "utf-8")
    return written
