"""The manual's pages as they lie in the package, read for the command. It needs no package but Python's own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

_FOLDER = "manual"
EXAMPLES = "examples"
_EXAMPLES_SAY = "Whole programs, each run by a test. `x402 manual examples/NAME > NAME.py` takes one."
#: The file of a folder that stands for the folder itself.
_INDEXES = ("README", "index")
_COMMENT = re.compile(r"<!--.*?-->\n?", re.DOTALL)
_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^(#+) +(.+?)\s*$", re.MULTILINE)
#: Code, a link, or emphasis. A star on its own, as in "eip155:*", is none.
_MARKUP = re.compile(r"`([^`]+)`|\[([^\]]+)\]\([^)]*\)|(\*\*?)(?=\S)([^*]+?)(?<=\S)\3")


@dataclass(frozen=True, slots=True)
class Section:
    """A heading of a page with all that stands below it, smaller headings included."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Page:
    """One page in Markdown. Its name is its path without the ending; a folder's index has the folder's name.

    Its links start from ``folder``, which ends with a slash unless it is the manual itself.
    """

    name: str
    folder: str
    text: str
    #: The program itself, if the page shows one.
    program: str = ""

    @property
    def title(self) -> str:
        """Return the page's first heading, else its name."""
        found = next(iter(headings(self.text)), None)
        return unmarked(found[2]) if found else self.name

    @property
    def summary(self) -> str:
        """Return the first sentence below the title."""
        for paragraph in _FENCED.sub("", self.text).split("\n\n"):
            words = " ".join(paragraph.split())
            if words and not words.startswith(("#", "|", "- ", "1. ")):
                said = re.split(r"(?<=[.!?])\s", unmarked(words).removeprefix("> "), maxsplit=1)[0]
                return f"{said[:-1]}." if said.endswith(":") else said
        return self.title

    def sections(self) -> Iterator[Section]:
        """Yield the sections below the title, nested ones too."""
        found = [*headings(self.text)]
        for number, (start, depth, title) in enumerate(found):
            ends = (at for at, level, _ in found[number + 1 :] if level <= depth)
            if number:
                yield Section(unmarked(title), self.text[start : next(ends, None)].strip() + "\n")


def headings(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield the place, the depth and the words of each heading. Lines of programs that begin with # are none."""
    fenced = [match.span() for match in _FENCED.finditer(text)]
    for match in _HEADING.finditer(text):
        if not any(start <= match.start() < end for start, end in fenced):
            yield match.start(), len(match[1]), match[2]


def unmarked(words: str) -> str:
    """Return a line of Markdown as plain words."""
    return _MARKUP.sub(lambda match: match[1] or unmarked(match[2] or match[4]), words)


def anchor(title: str) -> str:
    """Return the name that a link uses for a heading, as Markdown renderers make it."""
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", unmarked(title)).strip().lower())


@cache
def pages() -> dict[str, Page]:
    """Return every page of the manual by its name, sorted."""
    package = files(__name__.partition(".")[0])
    found = [*_read(package / _FOLDER, ""), *_with_list([*_programs(_examples(package))])]
    return {page.name: page for page in sorted(found, key=lambda page: page.name)}


def _examples(package: Traversable) -> Traversable | None:
    """Return the folder of examples: in a wheel it lies beside the pages, in a clone beside the package."""
    installed = package / _FOLDER / EXAMPLES
    if installed.is_dir():
        return installed
    clone = Path(str(package)).parent
    return clone / EXAMPLES if (clone / "pyproject.toml").is_file() and (clone / EXAMPLES).is_dir() else None


def _programs(folder: Traversable | None, path: str = f"{EXAMPLES}/") -> Iterator[Page]:
    for entry in () if folder is None else folder.iterdir():
        if entry.is_dir():
            yield from _programs(entry, f"{path}{entry.name}/")
            continue
        stem, _, ending = entry.name.rpartition(".")
        language = {"py": "python", "toml": "toml"}.get(ending)
        if language is not None:
            # The copy that the manual hands out lies under its own name, wherever it is put.
            name = f"{stem.replace('_', '-')}.{ending}"
            program = entry.read_text("utf-8").replace(f"{path}{entry.name}", name)
            said = program.partition("\n")[0].strip('"# ')
            text = f"# {entry.name}\n\n{said}\n\n```{language}\n{program.rstrip()}\n```\n"
            yield Page(path + stem.replace("_", "-"), path, text, program)


def _with_list(programs: list[Page]) -> Iterator[Page]:
    """Yield the programs and a page that lists them."""
    yield from programs
    if programs:
        lines = (f"- `{one.name}`: {one.text.splitlines()[2]}\n" for one in sorted(programs, key=lambda one: one.name))
        yield Page(EXAMPLES, "", f"# Examples\n\n{_EXAMPLES_SAY}\n\n{''.join(lines)}")


def _read(folder: Traversable, path: str) -> Iterator[Page]:
    for entry in folder.iterdir():
        stem, _, ending = entry.name.rpartition(".")
        if entry.is_dir() and entry.name == EXAMPLES:
            continue
        if entry.is_dir():
            yield from _read(entry, f"{path}{entry.name}/")
        elif ending == "md":
            name = (path.rstrip("/") or stem) if stem in _INDEXES else path + stem
            yield Page(name, path, _COMMENT.sub("", entry.read_text("utf-8")))
        elif entry.name == "llms.txt":
            yield Page(stem, path, entry.read_text("utf-8"))
