"""``Policy.from_file``. The one place of the core that touches the disk, so that users find it where they look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from .errors import ConfigurationError

if TYPE_CHECKING:
    from os import PathLike

#: A policy is a page or two.
_MOST_BYTES = 256 * 1024


class FromFile:
    """What ``Policy`` inherits."""

    @classmethod
    def from_file(cls, path: str | PathLike[str]) -> Self:
        """From a TOML file whose keys and tables are named as the keywords of ``Policy``, ``Limit`` and ``Token``.

        Every mistake in it is reported, with its line and field, in one ConfigurationError.
        """
        from .policy_text import policy_of

        name = str(path)
        try:
            with open(path, "rb") as file:
                data = file.read(_MOST_BYTES + 1)
        except OSError as failure:
            raise ConfigurationError(f"The policy file {name} cannot be read: {failure.strerror}.") from None
        if len(data) > _MOST_BYTES:
            raise ConfigurationError(f"The policy file {name} has more than {_MOST_BYTES} bytes; this is no policy.")
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as problem:
            line = data[: problem.start].count(b"\n") + 1
            raise ConfigurationError(f"{name}, line {line}: this is not UTF-8, so it is not TOML.") from None
        return policy_of(text, name, cls)
