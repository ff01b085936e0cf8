"""The attempt of one call at a purchase: while it lives, nothing else presents its hold."""

from __future__ import annotations

from collections.abc import Callable


class Attempt:
    """One call of the application, while it lives. Ending it gives its claims up without any I/O."""

    __slots__ = ("__weakref__", "_ended", "_watchers", "is_stranded")

    def __init__(self, is_stranded: Callable[[], bool] | None = None) -> None:
        self._ended = False
        self._watchers: tuple[Callable[[], object], ...] = ()
        #: Returns True once the loop or the client of the call is gone: the call then never ends. None: not known.
        self.is_stranded: Callable[[], bool] | None = is_stranded

    @property
    def alive(self) -> bool:
        """Return True until the attempt has ended or can no longer go on."""
        return not self._ended and (self.is_stranded is None or not self.is_stranded())

    @property
    def ended(self) -> bool:
        """Return True once its end was told. One that is stranded never ends by itself."""
        return self._ended

    def watch(self, callback: Callable[[], object]) -> None:
        """Call ``callback`` when the attempt ends.

        The attempt may end in the middle of a cancellation, so ``callback`` must neither block nor fail.
        """
        self._watchers += (callback,)

    def end(self) -> None:
        """End the attempt: it presents its hold no more, and the next same request may claim it."""
        self._ended = True
        for callback in self._watchers:
            callback()
