"""The search for a page of the manual: by name, by an error's class, by a heading, by words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .. import errors
from ..model.counts import counted
from .manual_pages import Page, anchor, pages, unmarked
from .plain_page import wrapped

#: Faces join our errors with those of their libraries: ``httpx.OutcomeUnknownReadTimeout``.
_JOINED = {"OutcomeUnknown": "PaymentOutcomeUnknown", "NotSent": "PaymentNotSent"}
_ENTRY = re.compile(r"^[-*] \[[^\]]+\]\(([^)#]+)\.md\):? *(.*(?:\n  +.*)*)", re.MULTILINE)
_MOST_LINES = 3
#: What people look for, and the pages that answer it best, the best first.
_ANSWERS: dict[str, tuple[str, ...]] = {
    "gas": ("how-it-works", "first-real-payment"),
    "testnet": ("first-real-payment", "wallets"),
    "double payment": ("when-something-goes-wrong", "threads"),
    "timeout": ("threads", "when-something-goes-wrong", "other-tools"),
    "retry": ("when-something-goes-wrong", "other-tools", "threads"),
}
#: Other words for these, and spellings that the pages do not use.
_SAME = {
    "fee": "gas", "fees": "gas", "test network": "testnet", "pay twice": "double payment",
    "paid twice": "double payment",
    "double payments": "double payment", "double spend": "double payment", "time-out": "timeout", "timeouts": "timeout",
    "time-outs": "timeout", "time out": "timeout", "retries": "retry", "retrying": "retry",
}  # fmt: skip
_SPELT = {"timeout": "time-out", "timeouts": "time-outs", "gas": "fee"}
#: Pages that have nearly every word, and explain few.
_BACK = ("evidence", "reference")
#: The shortest word for which another is suggested.
_SUGGESTED = 4
#: How near it is. With 0.75, "nope" would be taken for "note".
_NEAR = 0.8
#: Times that the manual has a word, at least, before it is suggested: a rare one may be made up, as in an example.
_USUAL = 3
#: A word of this length stands for all words that begin with it; a shorter one for itself, with an ending or without.
_BEGINNING, _ENDINGS = 4, "s|es|d|ed|er|ing"
_LINE = 160
#: Pages that are named where nothing is near a topic.
_FIRST = 4
_LINK = re.compile(r"\[([^\]]+)\]\([^)]*\)")


@dataclass(frozen=True, slots=True)
class Answer:
    """Markdown to show; ``found`` is False if it only suggests something. Links start from ``folder``."""

    text: str
    found: bool = True
    folder: str = ""
    #: What goes to a pipe instead, if it is a program.
    program: str = ""

    @property
    def piped(self) -> str:
        """Return what goes to a pipe or a file: Markdown that is not wide, or a program as it is."""
        return self.program or wrapped(self.text)


def asked(topic: str, words: str | None = None) -> Answer:
    """Return what was asked for: the pages that have some words, one page, or the list."""
    if words is not None:
        return search(f"{words} {topic}".strip())
    return answer(topic) if topic.strip() else contents()


def contents() -> Answer:
    """Return the list of all pages with a line each, in the order of the manual's index."""
    listed = [page for page in _ordered() if not page.program]
    text = "# The manual\n\n" + _list(listed) + "\n`x402 manual NAME` shows a page. "
    return Answer(text + "`x402 manual --search WORD` looks for a word in all of them.\n")


def answer(topic: str) -> Answer:
    """Return the page that a topic means, the pages that it may mean, or the nearest ones."""
    wanted = _normal(topic)
    for candidates in _readings(topic, wanted):
        if len(candidates) == 1:
            [(page, text)] = candidates
            return Answer(text, folder=page.folder, program=page.program if text == page.text else "")
        if candidates:
            listed = _list(dict.fromkeys(page for page, _ in candidates))
            return Answer(f"{topic!r} may be one of these:\n\n{listed}", False)
    return _nearest(topic, wanted)


def search(words: str) -> Answer:
    """Return the pages that have all the words, with the lines that have one, the best first."""
    found, wanted = _having(words)
    if not found:
        return Answer(f"No page of the manual has {words!r}.{_suggestion(words)} `x402 manual` lists all pages.", False)
    return Answer("".join(f"## {page.name}\n\n{_lines(page, wanted) or _list([page])}\n" for page in found))


def _having(words: str) -> tuple[list[Page], list[_Word]]:
    """Return the pages that have all the words, the best first. Parts of words count where nothing else is found."""
    found: list[Page] = []
    wanted: list[_Word] = []
    for inside in (False, True):
        wanted = [_Word(_SPELT.get(word.lower(), word), inside) for word in words.split()]
        found = [page for page in _ordered() if wanted and all(word.is_in(page.text) for word in wanted)]
        if found:
            break
    best = _best(words)
    others = [page for page in found if page not in best]
    others.sort(key=lambda page: (page.name in _BACK, -_weight(page, wanted)))
    return [*best, *others], wanted


def _best(words: str) -> list[Page]:
    """Return the pages that answer a question which many ask in these words."""
    asked_for, book = " ".join(words.lower().split()), pages()
    return [book[name] for name in _ANSWERS.get(_SAME.get(asked_for, asked_for), ()) if name in book]


def _suggestion(words: str) -> str:
    """Return a question about the words that may be meant by misspelt ones. "" if none is near."""
    from difflib import get_close_matches

    texts = " ".join(page.text for page in pages().values()).lower()
    used = Counter(re.findall(r"[a-z]{4,}", texts))
    known = {*_ANSWERS, *_SAME, *(word for word, times in used.items() if times >= _USUAL)}
    meant = []
    for word in words.lower().split():
        like = [one for one in sorted(known) if one[:1] == word[:1]]  # a slip is seldom in the first letter
        near = get_close_matches(word, like, n=1, cutoff=_NEAR) if len(word) >= _SUGGESTED else []
        meant += near or [word]
    found = " ".join(meant)
    return "" if found == " ".join(words.lower().split()) else f" Did you mean `x402 manual --search {found}`?"


class _Word:
    """A word that is looked for: a whole one, or the beginning of one. "pay" finds "pays", and not "payload"."""

    def __init__(self, word: str, inside: bool) -> None:
        plain = re.escape(word)
        before = r"(?<![^\W_])" if word[0].isalnum() else ""
        after = r"(?![^\W_])" if word[-1].isalnum() else ""
        ending = "" if len(word) >= _BEGINNING else rf"(?:{_ENDINGS})?{after}"
        self._whole = re.compile(f"{before}{plain}{after}", re.IGNORECASE)
        self._any = re.compile(plain if inside else f"{before}{plain}{ending}", re.IGNORECASE)

    def is_in(self, text: str) -> bool:
        """Return True if a text has the word."""
        return self._any.search(text) is not None

    def count_in(self, text: str) -> int:
        """Return how often a text has the word. A whole one counts three times as much as the beginning of another."""
        return len(self._any.findall(text)) + 2 * len(self._whole.findall(text))


def names() -> list[str]:
    """Return all that can be asked for by name: pages, and classes of errors."""
    return [*pages(), *(name for name in errors.__all__ if _error_page(name))]


def _readings(topic: str, wanted: str) -> Iterator[list[tuple[Page, str]]]:
    """Yield pages with the text to show for each way to read a topic, the most exact first."""
    book = pages()
    as_error = _error_page(topic.strip().rpartition(".")[2])
    yield [(book[name], book[name].text) for name in dict.fromkeys((wanted, as_error)) if name in book]
    leaf = [(page, page.text) for name, page in book.items() if name.rpartition("/")[2] == wanted]
    begins = [(page, page.text) for name, page in book.items() if name.startswith(wanted)]
    yield leaf and leaf + begins
    if topic == topic.lower():  # "limit" is the page, and "Limit" the class
        yield [(book[name], book[name].text) for name in (f"{wanted}s", wanted.removesuffix("s")) if name in book]
    sections = [(page, section, anchor(section.title)) for page in book.values() for section in page.sections()]
    yield [(page, one.text) for page, one, name in sections if wanted in (name, f"{page.name}#{name}")]
    titled = [(page, page.text) for page in book.values() if anchor(page.title) == wanted]
    yield titled or begins
    yield [(page, page.text) for name, page in book.items() if name.rpartition("/")[2].startswith(wanted)]


def _normal(topic: str) -> str:
    plain = topic.strip().strip("/").removeprefix("manual/").lower()
    plain = re.sub(r"\.(md|txt|py|toml)(?=#|$)", "", plain).removesuffix("/readme")  # as links of pages have it
    return re.sub(r"[\s_]+", "-", plain)


def _error_page(name: str) -> str | None:
    """Return the page of a class of errors. Its name may be in letters of any case."""
    for begins, ours in _JOINED.items():
        if name.startswith(begins):
            name = ours
    kinds = {one.lower(): getattr(errors, one) for one in errors.__all__}
    kind = kinds.get(name.lower())
    return kind.manual_page if isinstance(kind, type) and issubclass(kind, errors.X402Error) else None


def _nearest(topic: str, wanted: str) -> Answer:
    from difflib import get_close_matches

    last = {name.rpartition("/")[2].lower(): name for name in reversed([*pages()])}
    last |= {name.lower(): _error_page(name) or name for name in names()}
    near = dict.fromkeys(last[one] for one in get_close_matches(wanted, last, n=4, cutoff=0.55))
    named = [pages()[name] for name in near]
    listed = [*_best(topic), *(page for page in named if page.name not in _BACK), *_having(topic)[0], *named]
    lines = _list(list(dict.fromkeys(listed))[:6])
    said = f"The manual has no page {topic!r}."
    if not lines:
        first = _list([page for page in _ordered() if not page.program][:_FIRST])
        said += _suggestion(topic)
        return Answer(f"{said} To begin with:\n\n{first}\n`x402 manual` lists all pages.", False)
    return Answer(f"{said} Near it:\n\n{lines}\n`x402 manual` lists all pages.", False)


def _ordered() -> list[Page]:
    """Return the pages in the order of the index, each followed by its folder's; then the others."""
    book = pages()
    first = [name for name in _entries() if name in book]
    within = [name for one in first for name in (one, *(n for n in book if n.startswith(f"{one}/")))]
    return [book[name] for name in dict.fromkeys((*within, *book)) if name != "index"]


def _entries() -> dict[str, str]:
    """Return the lines of the index about pages, by the name of each."""
    index = pages().get("index")
    found = _ENTRY.findall(index.text) if index else []
    return {path.removesuffix("/README"): " ".join(unmarked(line).split()) for path, line in found}


def _list(listed: Iterable[Page]) -> str:
    return "".join(f"- `{page.name}`: {_told(page)}\n" for page in listed)


def _told(page: Page) -> str:
    return _entries().get(page.name) or page.summary


def _weight(page: Page, words: list[_Word]) -> int:
    """Return how much a page is about the words: those of its name and headings count more."""
    titles = " ".join([page.name, page.title, *(section.title for section in page.sections())])
    return sum(20 * word.count_in(titles) + word.count_in(page.text) for word in words)


def _lines(page: Page, words: list[_Word]) -> str:
    lines = [line.strip() for line in page.text.splitlines()]
    having = [line for line in lines if all(word.is_in(line) for word in words)]
    having = having or [line for line in lines if any(word.is_in(line) for word in words)]
    shown = [unmarked(_shortened(line)).strip("#|-> ") for line in having[:_MOST_LINES]]
    more = len(having) - len(shown)
    return "".join(f"- {line}\n" for line in shown) + (f"- and {counted(more, 'more line')}\n" if more > 0 else "")


def _shortened(line: str) -> str:
    """Return the beginning of a long line. It ends between words, and before a command that would be cut."""
    plain = _LINK.sub(r"\1", line)
    if len(plain) <= _LINE:
        return plain
    cut = plain[:_LINE].rpartition(" ")[0]
    if cut.count("`") % 2:
        cut = cut.rpartition("`")[0]
    return f"{cut.rstrip()} …"
