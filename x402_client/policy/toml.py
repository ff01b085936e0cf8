"""Reads a policy from TOML: tables and keys are named as the keywords of ``Policy``, ``Limit`` and ``Token``.

Every mistake is reported, with its line and field. ``read_policy`` is the one place of the core that reads a file, and
``policy_of_environment`` the one that reads the environment, for the name of that file.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from os import environ
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import ConfigurationError
from ..model.keywords import meant
from ..model.money import Token
from ..model.sandbox_settings import ended_sandbox
from .limits import FILE_HOST_CURES, LIMIT_KEYWORDS, Limit
from .toml_mistakes import DUPLICATE, cure_of, twice
from .toml_words import in_toml

if TYPE_CHECKING:
    from os import PathLike

P = TypeVar("P")
#: The environment variable that names a policy file.
POLICY_VARIABLE = "X402_POLICY"
#: The most bytes of a policy file. A policy is a page or two.
_MOST_BYTES = 256 * 1024
Path = tuple[str | int, ...]
_BARE = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_AT_LINE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


class _Number(str):
    """A TOML float, as it is written."""

    __slots__ = ()


def _amounts(value: object) -> bool:
    listed = value if isinstance(value, list) else [value]
    return bool(listed) and all(isinstance(one, str) or type(one) is int for one in listed)


def _names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _numbers(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) or type(one) is int for one in value)


#: A kind of value: its description, and the test for it.
_Kind = tuple[str, Callable[[object], bool]]
_AMOUNT: _Kind = ('an amount in quotes, like "0.10" or "0.10 EUR"', lambda v: isinstance(v, str) or type(v) is int)
_AMOUNTS: _Kind = ('an amount in quotes, like "0.10", or a list of them, like ["5", "3 EUR"]', _amounts)
_COUNTS: _Kind = ('written like "30/minute", or a list of these', lambda v: isinstance(v, str) or _names(v))
#: Numbers of chains pass here: the check of networks says what to write for them.
_NETWORKS: _Kind = ('a list of names, like ["base", "solana"]', lambda v: _names(v) or _numbers(v))
_ASSETS: _Kind = ('a list of symbols or addresses in quotes, like ["USDC"]', _names)
_HOSTS: _Kind = ('a list of hosts in quotes, like ["printer.lan"]', _names)
_KEYS: _Kind = ('a list of keys in quotes, like ["did:key:z6Mk..."]', _names)
_NAME: _Kind = ("text in quotes", lambda v: isinstance(v, str))
_NAME_OR_NAMES: _Kind = ("an address in quotes, or a list of them", lambda v: isinstance(v, str) or _names(v))
_FLAG: _Kind = ("true or false", lambda v: isinstance(v, bool))
_SIGN_IN: _Kind = ('"paid", "always" or "never"', lambda v: isinstance(v, str))
_AHEAD: _Kind = ('"any body" or "same body"', lambda v: isinstance(v, str))
_WHOLE: _Kind = ("a whole number", lambda v: type(v) is int)
_TABLE: _Kind = ('a table of hosts, like [hosts."api.example.com"]', lambda v: isinstance(v, dict))
_TABLES: _Kind = ("tables, each headed [[tokens]]", lambda v: isinstance(v, list))

LIMIT: Mapping[str, _Kind] = {
    **dict.fromkeys(LIMIT_KEYWORDS, _AMOUNTS), "max_payments": _COUNTS, "sign_in": _SIGN_IN,
    "pay_ahead": _AHEAD,
}  # fmt: skip
POLICY: Mapping[str, _Kind] = {
    **LIMIT, "same_request": _COUNTS, "hosts": _TABLE, "only_listed_hosts": _FLAG, "networks": _NETWORKS,
    "assets": _ASSETS, "tokens": _TABLES, "pay_to": _NAME_OR_NAMES, "approve_above": _AMOUNTS, "accept_loss": _AMOUNT,
    "pay_ahead": _FLAG, "http_hosts": _HOSTS, "validity": _WHOLE, "allow_zero": _FLAG, "check_funds": _FLAG,
    "seller_keys": _KEYS,
    "permits": _FLAG,
}  # fmt: skip
TOKEN: Mapping[str, _Kind] = {
    "network": _NAME, "address": _NAME, "symbol": _NAME, "decimals": _WHOLE, "name": _NAME, "version": _NAME,
    "currency": _NAME, "program": _NAME,
}  # fmt: skip
#: Added to a single field to make a whole policy of it, so that each field is judged by itself.
_SOME_LIMIT: Mapping[str, Any] = {
    "per_request": "1", "pay_ahead": True, "hosts": {"api.example.com": Limit(per_day="1")},
}  # fmt: skip


def policy_of(text: str, name: str, build: Callable[..., P]) -> P:
    """Return the policy that a TOML text describes.

    Errors call the text ``name``. ``build`` makes the policy from its keywords.
    """
    try:
        document = tomllib.loads(text, parse_float=_Number)
    except tomllib.TOMLDecodeError as problem:
        raise ConfigurationError(_not_toml(name, text, str(problem))) from None
    reading = _Reading(build)
    keywords = reading.policy(document)
    if reading.problems:
        raise ConfigurationError("\n".join(_placed(reading.problems, text, name)))
    try:
        made = build(**keywords)
    except ConfigurationError as problem:
        raise ConfigurationError(f"{name}: {in_toml(str(problem.args[0]))}") from None
    vars(made)["of_toml"] = True
    return made


def _not_toml(name: str, text: str, problem: str) -> str:
    found = _AT_LINE.search(problem)
    what = problem[: found.start()] if found else problem
    number = int(found[1]) if found and found[1] else text.rstrip().count("\n") + 1
    line = f"line {number}, column {found[2]}" if found and found[1] else f"line {number}, at the end"
    lines = text.split("\n")
    cure = twice(lines[number - 1]) if what in DUPLICATE else cure_of(lines[number - 1])
    return f"{name}, {line}: this is not TOML. {what}.{cure and ' '}{cure}"


class _Reading:
    """A reader of one document: it collects the keywords, and everything that is wrong."""

    def __init__(self, build: Callable[..., Any]) -> None:
        self._build = build
        self.problems: list[tuple[Path, str]] = []

    def policy(self, document: dict[str, Any]) -> dict[str, Any]:
        """Return the keywords of ``Policy``."""
        keywords: dict[str, Any] = {}
        for field, value in self._sound(document, POLICY, ()):
            if field == "hosts":
                keywords[field] = {host: rule for host, given in value.items() if (rule := self._host(host, given))}
            elif field == "tokens":
                made = [self._token(given, position) for position, given in enumerate(value)]
                keywords[field] = [token for token in made if token is not None]
            elif self._holds((field,), partial(self._one, field, value)):
                keywords[field] = value
        return keywords

    def _one(self, field: str, value: Any) -> Any:
        return self._build(**{**_SOME_LIMIT, field: value})

    def _host(self, host: str, given: Any) -> Limit | str | None:
        path: Path = ("hosts", host)
        rule: Limit | str = "deny"
        dotted = _dotted(host, given)
        if dotted is not None or (host in POLICY and not isinstance(given, dict)):
            quoted = f'is a name with points, and TOML takes those apart; put it in quotation marks: "{dotted}".'
            self.problems.append((path, _BELOW if dotted is None else quoted))
            return None
        if isinstance(given, dict):
            sound = dict(self._sound(given, LIMIT, path))
            kept = {f: v for f, v in sound.items() if self._holds((*path, f), partial(Limit, **{f: v}))}
            rule = Limit(**kept)
        elif given != "deny":
            self.problems.append((path, _NO_RULE.format(_shown(given), host=host)))
            return None
        return rule if self._holds(path, lambda: self._one("hosts", {host: rule})) else None

    def _token(self, given: Any, position: int) -> Token | None:
        path: Path = ("tokens", position)
        if not isinstance(given, dict):
            self.problems.append((path, f"is a table headed [[tokens]], not {_shown(given)}."))
            return None
        before = len(self.problems)
        facts = dict(self._sound(given, TOKEN, path))
        missing = [fact for fact in ("network", "address") if fact not in given]
        if missing:
            self.problems.append((path, f"needs {' and '.join(missing)}."))
        if len(self.problems) > before:
            return None
        if not self._holds(path, lambda: self._one("tokens", [Token(**facts)])):
            return None
        return Token(**facts)

    def _sound(self, table: dict[str, Any], kinds: Mapping[str, _Kind], path: Path) -> Iterator[tuple[str, Any]]:
        """Yield the fields that are known and of their kind."""
        for field, value in table.items():
            if field not in kinds:
                self.problems.append(((*path, field), _unknown(field, kinds)))
                continue
            kind, is_one = kinds[field]
            if _has_float(value):
                written = next(v for v in (value if isinstance(value, list) else [value]) if isinstance(v, _Number))
                hint = f'{field} = "{written}"' if is_one(str(written)) else kind
                self.problems.append(((*path, field), f"{written} is a float, and floats round; write {hint}."))
            elif is_one(value):
                yield field, value
            else:
                self.problems.append(((*path, field), f"is {kind}, not {_shown_list(value, is_one)}."))

    def _holds(self, path: Path, check: Callable[[], object]) -> bool:
        try:
            check()
        except ConfigurationError as problem:
            field = str(path[-1])
            said = problem.args[0].removeprefix(f"{field}: ").removeprefix(f"{field} ")
            self.problems.append((path, in_toml(said)))
            return False
        return True


def _has_float(value: object) -> bool:
    return any(isinstance(one, _Number) for one in (value if isinstance(value, list) else [value]))


def _unknown(field: str, kinds: Mapping[str, _Kind]) -> str:
    if kinds is not POLICY and field in POLICY:
        return _BELOW
    if kinds is POLICY and field == "policy":
        return "is no field here; write the fields without a heading, at the top of the file."
    cures = FILE_HOST_CURES if "per_request" in kinds else ()
    return f"is no field here; {meant(field, kinds, cures) or 'known are ' + ', '.join(kinds) + '.'}"


#: A table of TOML goes on until the next one begins.
_BELOW = (
    "is a field of the whole policy, and stands below a heading here, a line in [ ]; move it above the first heading, "
    "to the top of the file."
)
_NO_RULE = (
    'is a table of limits, or "deny"; {} is neither. A host that is not listed is allowed, within the overall limits. '
    'To list it, write the heading [hosts."{host}"], and below it limits of its own, like per_day = "1".'
)


def _dotted(host: str, given: Any) -> str | None:
    """Return the name that TOML took apart at its points, because it stands without quotation marks."""
    name = host
    while isinstance(given, dict) and len(given) == 1:
        [(part, inside)] = given.items()
        if part in LIMIT:
            break
        name, given = f"{name}.{part}", inside
    sound = given == "deny" or (isinstance(given, dict) and all(field in LIMIT for field in given))
    return name if name != host and sound else None


def _shown(value: object) -> str:
    kinds: dict[type, str] = {
        dict: "a table",
        list: "a list",
        bool: str(value).lower(),
        int: str(value),
        str: repr(value),
    }
    return kinds.get(type(value), "a date or time")


def _shown_list(value: object, is_one: Callable[[object], bool]) -> str:
    """Return a value in words: of a list, what in it is wrong."""
    wrong = [one for one in value if not is_one([one])] if isinstance(value, list) else []
    return f"a list with {_shown(wrong[0])} in it" if wrong else _shown(value)


def _placed(problems: list[tuple[Path, str]], text: str, name: str) -> Iterator[str]:
    lines = lines_of(text)
    for path, problem in sorted(problems, key=lambda found: lines[found[0]]):
        yield f"{name}, line {lines[path]}: {_dotted_path(path)}: {problem}"


def _dotted_path(path: Path) -> str:
    """Return a path as TOML writes it."""
    parts = [
        f"[{part + 1}]" if isinstance(part, int) else part if _BARE.fullmatch(part) else f'"{part}"' for part in path
    ]
    return ".".join(parts).replace(".[", "[")


def lines_of(text: str) -> dict[Path, int]:
    """Return the line on which each key of a valid TOML text begins. tomllib does not tell it.

    A statement of TOML that is cut short is not valid TOML. So a statement is the fewest lines that are valid.
    """
    found: dict[Path, int] = {}
    table: Path = ()
    first, statement = 1, ""
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        statement += line + "\n"
        try:
            said = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue
        if statement.lstrip().startswith("["):
            table = _table(said, found)
            paths = [table[:length] for length in range(1, len(table) + 1)]
        else:
            paths = [table + path for path in _paths(said)]
        for path in paths:
            found.setdefault(path, first)
        first, statement = number + 1, ""
    return found


def _table(said: Any, found: Mapping[Path, int]) -> Path:
    """Return the path of the table that a header opens.

    It is ``[hosts.x]``, or ``[[tokens]]``, which opens one more entry each time.
    """
    path: Path = ()
    while said:
        [(key, said)] = said.items()
        path = (*path, key)
        entries = sum(1 for known in found if known[:-1] == path and isinstance(known[-1], int))
        if isinstance(said, list):
            path, said = (*path, entries), said[0]
        elif entries:
            path = (*path, entries - 1)
    return path


def _paths(said: Any) -> Iterator[Path]:
    inside = said.items() if isinstance(said, dict) else enumerate(said) if isinstance(said, list) else ()
    for key, value in inside:
        yield (key,)
        yield from ((key, *deeper) for deeper in _paths(value))


def policy_of_environment(build: Callable[..., P]) -> P | None:
    """Read the policy file that X402_POLICY names. None if the variable is not set."""
    path = environ.get(POLICY_VARIABLE, "").strip()
    return read_policy(path, build) if path else None


def read_policy(path: str | PathLike[str], build: Callable[..., P]) -> P:
    """Read a policy file.

    All mistakes in it are reported, with their lines and fields, in one ConfigurationError.
    """
    if not isinstance(path, str) and not hasattr(path, "__fspath__"):
        raise ConfigurationError(
            f"Policy.from_file takes the path of a file, not {type(path).__name__}; in code write "
            'Policy(per_request="0.10", per_day="5").'
        )
    name = str(path)
    try:
        with open(path, "rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as failure:
        ended = ended_sandbox(name) if isinstance(failure, FileNotFoundError) else ""
        raise ConfigurationError(ended or f"The policy file {name} cannot be read: {failure.strerror}.") from None
    if len(data) > _MOST_BYTES:
        raise ConfigurationError(f"The policy file {name} has more than {_MOST_BYTES} bytes; this is no policy.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = data[: problem.start].count(b"\n") + 1
        raise ConfigurationError(f"{name}, line {line}: this is not UTF-8, so it is not TOML.") from None
    return policy_of(text, name, build)
