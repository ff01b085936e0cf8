"""``python -m tests.repo.site``: writes the order of the site's pages, which is that of the manual's index."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.real.environments import environment

from .manual_pages import MANUAL, ROOT

CONFIG = ROOT / ".github" / "mkdocs.yml"
_MARK = "\nnav:\n"
_ENTRY = re.compile(r"^- \[([^\]]+)\]\(([^)#]+\.md)\)|^## (.+)$", re.MULTILINE)
_CELL = re.compile(r"\[`?([^\]`]+)`?\]\(([\w-]+\.md)\)")


def nav() -> str:
    """Return the lines of ``nav`` in the configuration."""
    return "".join(f"{line}\n" for line in ("  - Start: index.md", *_lines()))


def _lines() -> Iterator[str]:
    for title, path, heading in _ENTRY.findall((MANUAL / "index.md").read_text("utf-8")):
        if heading:
            yield f"  - {heading.replace(':', ',')}:"
        elif path.endswith("/README.md"):
            yield f"    - {title}:"
            yield f"      - Overview: {path}"
            yield from _folder(path.removesuffix("/README.md"))
        else:
            yield f"    - {title}: {path}"


def _folder(name: str) -> Iterator[str]:
    for found, path in _CELL.findall((MANUAL / name / "README.md").read_text("utf-8")):
        title = found if found != path else path.removesuffix(".md").replace("-", " ").capitalize()
        yield f"      - {title}: {name}/{path}"


def written() -> str:
    """Return the lines of ``nav`` that stand in the configuration."""
    return CONFIG.read_text("utf-8").partition(_MARK)[2]


def write() -> None:
    """Write ``nav`` into the configuration."""
    before, mark, _ = CONFIG.read_text("utf-8").partition(_MARK)
    CONFIG.write_text(f"{before}{mark}{nav()}", "utf-8")


def build(root: Path, to: Path) -> subprocess.CompletedProcess[str]:
    """Build the site of a checkout, in an environment of its own. A warning fails."""
    command = [str(environment("site")), "-m", "mkdocs", "build", "--strict", "--site-dir", str(to)]
    command += ["--config-file", str(root / ".github" / "mkdocs.yml")]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


if __name__ == "__main__":
    write()
