"""The manual's pages as the tests read them: programs, fragments, prose, links and anchors."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from x402_client.cli.manual_pages import anchor, headings

ROOT = Path(__file__).parents[2]
MANUAL = ROOT / "x402_client" / "manual"
PAGES = sorted(MANUAL.rglob("*.md"))
#: Begins a program of its own, where a page has several.
ANOTHER = "<!-- another program -->"
#: The seller of programs that name none of their own.
SELLER = "https://api.example.com"

_FENCED = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


def named(page: Path) -> str:
    """Return the name of a page in test ids: its path in the manual."""
    return page.relative_to(MANUAL).with_suffix("").as_posix()


def blocks(page: Path, *languages: str) -> list[str]:
    """Return the fenced blocks of these languages."""
    return _blocks(page.read_text("utf-8"), *languages)


def programs(page: Path) -> list[str]:
    """Return the programs of a page: its blocks in ``python`` together, or in several parts."""
    parts = page.read_text("utf-8").split(ANOTHER)
    return ["\n\n".join(found) for part in parts if (found := _blocks(part, "python"))]


def _blocks(text: str, *languages: str) -> list[str]:
    found = (match for match in _FENCED.finditer(text) if match[2] in languages)
    return [re.sub(rf"^{match[1]}", "", match[3], flags=re.MULTILINE) for match in found]


def run(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program as a reader would, in an empty folder that is the home too; with a seller if it names SELLER."""
    file = folder / "page.py"
    file.write_text(program, "utf-8")
    module = ["-m", "tests.repo.with_seller"] if SELLER in program else []
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("X402_", "XDG_"))}
    environ = {**kept, "HOME": str(folder), "PYTHONPATH": paths} if module else {**kept, "HOME": str(folder)}
    command = [sys.executable, "-W", "error", *module, str(file)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=folder, env=environ, check=False)


def prose(text: str) -> str:
    """Return a page's running text: no programs, tables or headings, and each item of a list by itself."""
    text = re.sub(r"<!--.*?-->", "", _FENCED.sub("", text), flags=re.DOTALL)
    lines = [re.sub(r"^(    .*|#.*|\|.*)$", "", line) for line in text.splitlines()]
    items = [re.sub(r"^ *([-*]|\d+\.) ", "\n\n", line) for line in lines]
    return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", "\n".join(items))


def sentences(text: str) -> list[list[str]]:
    """Return the sentences of a page's prose as lists of words. A piece of code counts as one word."""
    plain = re.sub(r"`[^`]+`", "code", prose(text)).replace("*", "")
    parts = [
        part for paragraph in plain.split("\n\n") for part in re.split(r"(?<=[.!?:])\s+(?=[A-Z\d\"'(]|code)", paragraph)
    ]
    found = [re.findall(r"[\w$€%][\w'’.,/-]*", part) for part in parts]
    return [words for words in found if words]


def broken_links(page: Path) -> list[str]:
    """Return the links of a page that lead to no file, or to no heading there. Addresses of the web are not asked."""
    found = []
    text = re.sub(r"`[^`\n]*\]\([^`\n]*`", "", _FENCED.sub("", page.read_text("utf-8")))  # a link in code is none
    for link in _LINK.findall(text):
        if re.match(r"\w+:", link):
            continue
        path, _, heading = link.partition("#")
        target = page if not path else (page.parent / path).resolve()
        if not target.exists() or (heading and heading not in anchors(target)):
            found.append(link)
    return found


def anchors(page: Path) -> set[str]:
    """Return the names of the headings of a page, and of the places that HTML names in it."""
    text = page.read_text("utf-8")
    return {anchor(title) for _, _, title in headings(text)} | set(re.findall(r'<a (?:id|name)="([^"]+)"', text))
