"""``x402 manual``: the manual that ships with the package, on this screen."""

from __future__ import annotations

import os
import posixpath
import re
import shutil
from contextlib import AbstractContextManager, nullcontext
from typing import Annotated, Any, Optional

import typer
from rich.console import Console, RenderableType
from rich.theme import Theme

from ..exits import Code
from ..manual_pages import pages
from ..manual_topics import Answer, asked, names
from ..options import MaybeText
from ..running import command, leave
from ..screen import WIDEST, err, out

_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!\w+:)([^)#]*?)(?:\.md)?(#[^)]*)?\)")

HELP = """Show the manual: a page, or the list of all pages.

It ships with the package. TOPIC is the name of a page or its beginning, a class of errors (OverLimit) or a heading. In
a pipe the page comes as Markdown, its text within a hundred columns, and an example as the program that it is.

Examples:

  x402 manual

  x402 manual errors/over-limit

  x402 manual --search "write off"
"""


def _complete(incomplete: str) -> list[str]:
    return [name for name in names() if name.lower().startswith(incomplete.lower())]


@command
def manual(
    topic: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Argument(metavar="TOPIC", help="A page.", show_default=False, autocompletion=_complete),
    ] = None,
    search: Annotated[
        MaybeText, typer.Option("-s", "--search", metavar="WORDS", help="List the pages that have all these words.")
    ] = None,
) -> None:
    """Show a page of the manual, or its list."""
    found = asked(" ".join(topic or ()), search)
    if found.found:
        _show(found)
    elif err().is_terminal:
        err().print(_rendered(found))
        leave(Code.USAGE)
    else:
        leave(Code.USAGE, found.text.strip())


def _show(found: Answer) -> None:
    console = out()
    if not console.is_terminal:
        console.file.write(found.piped)
        return
    page, width = _rendered(found), min(console.width, WIDEST)
    with console.capture() as drawn:
        console.print(page, width=width)
    with console.use_theme(_theme()), _paged(console) if drawn.get().count("\n") >= console.height else nullcontext():
        console.print(page, width=width)


def _paged(console: Console) -> AbstractContextManager[Any]:
    """Return the user's pager. Styles go to ``less`` alone: others may show them as letters."""
    pager = os.environ.get("PAGER") or shutil.which("less") or ""
    if "less" in pager:
        os.environ.setdefault("LESS", "-R")
    return console.pager(styles="less" in pager)


def _rendered(found: Answer) -> RenderableType:
    """Return a page for a terminal, where a link to another page is the name to ask for."""
    from rich.markdown import Markdown

    text = _LINK.sub(lambda link: _named(link, found.folder), found.text)
    return Markdown(text, code_theme="ansi_dark", hyperlinks=False)


def _theme() -> Theme:
    """Return styles without a background: a terminal may be light or dark."""
    return Theme({"markdown.code": "cyan", "markdown.code_block": "cyan"})


def _named(link: re.Match[str], folder: str) -> str:
    words, target = link[1], posixpath.normpath(folder + link[2])
    name = re.sub(r"/?(README|index)$", "", target)
    if not link[2] or name not in pages():
        return words
    shown = f"`x402 manual {name}`"
    return shown if words.strip("`").removesuffix(".md") == link[2] else f"{words} ({shown})"
