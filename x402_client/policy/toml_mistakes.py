"""Says what to write in place of a line that is not TOML: the mistakes that people make in a policy file."""

from __future__ import annotations

import re
import tomllib

#: A heading of a host, without quotation marks around the name: ``[hosts.*.example.com]``.
_HOST_HEADING = re.compile(r"\[\s*hosts\s*\.\s*([^\"'\s\[\]]+)\s*\]")
#: A name before ``=`` that needs quotation marks: ``*.example.com = "deny"``.
_NAME = re.compile(r"([^\"'\s=#\[\]{},]*[^\"'\s=#\[\]{},\w.-][^\"'\s=#\[\]{},]*)\s*=(.*)", re.ASCII)
#: A colon in place of ``=``: ``per_day: "5"``.
_COLON = re.compile(r"([A-Za-z_]+)\s*:\s*(.+)")
#: A field, and a value that is no text, number or list.
_FIELD = re.compile(r"([A-Za-z_]+)\s*=\s*([^\s\"'\[{].*)")
_LIST = re.compile(r"([A-Za-z_]+)\s*=\s*\[([^\"'\[\]{}]*)\]\s*")
_THOUSANDS = re.compile(r",(?!\d\d?$)")
#: Python's words for true and false, as a whole value.
_CAPITAL = re.compile(r"(=\s*)(true|false)(?=\s*(?:[,}\]#]|$))", re.IGNORECASE)
_COMMENT = re.compile(r"\s#.*")
_CURLY = str.maketrans(dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb\u2018\u2019\u201a", '"'))
#: The most characters of a line that are shown.
_SHOWN = 120


#: What tomllib says of a key that was set before.
DUPLICATE = ("Cannot overwrite a value", "Cannot mutate immutable namespace")


def twice(line: str) -> str:
    """Return a sentence about a key that is set twice. The second time is on this line."""
    key = line.partition("=")[0].strip()
    return f"{_shown(key)} is set twice in one table; keep one line." if key else ""


def cure_of(line: str) -> str:
    """Return what to write in place of a line that is not TOML, as a sentence. "" if that cannot be told."""
    line = line.strip()
    if line == "[]":
        return 'A heading names something: write [hosts], or [hosts."api.example.com"].'
    written = "" if _is_toml(line) else _mended(line)
    return f"Write `{_shown(written)}` there." if written and _is_toml(written) else ""


def _is_toml(line: str) -> bool:
    try:
        tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return False
    return True


def _shown(line: str) -> str:
    """Return a line as it may be shown. Its quotation marks stay."""
    shown = "".join(c if c.isprintable() else " " for c in line)
    return shown if len(shown) <= _SHOWN else shown[: _SHOWN - 1] + "…"


def _mended(line: str) -> str:
    if line.translate(_CURLY) != line:
        return line.translate(_CURLY)
    if _CAPITAL.search(line):
        return _CAPITAL.sub(lambda found: found[0].lower(), line)
    heading, name, colon = _HOST_HEADING.match(line), _NAME.match(line), _COLON.match(line)
    if heading:
        return f'[hosts."{heading[1]}"]'
    if name:
        return f'"{name[1]}" ={name[2]}'
    if colon:
        return f"{colon[1]} = {colon[2]}"
    return _quoted(_COMMENT.sub("", line).strip())


def _quoted(line: str) -> str:
    """Return a field whose value needs quotation marks, with them."""
    field, listed = _FIELD.fullmatch(line), _LIST.fullmatch(line)
    if listed:
        names = ", ".join(f'"{name.strip()}"' for name in listed[2].split(",") if name.strip())
        return f"{listed[1]} = [{names}]"
    if field and not _THOUSANDS.search(field[2]):  # not guessed: it may be a thousand or one
        return f'{field[1]} = "{field[2].strip().lstrip("$").replace(",", ".")}"'
    return ""
