"""Texts and offers that unknown sellers may send: from a list, and drawn by hypothesis if it is installed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import cycle, islice
from typing import Any

from ..model.offers import Offer

#: Text that has surprised programs before.
TEXTS = (
    "", " ", "0", "-1", "0x", "0X0", "0x" + "0" * 40, "0x" + "f" * 39 + "g", "0x" + "\u0661" * 40, "1" * 44, "1" * 32,
    "a" * 5_000, "\x00", "\n\r\t", "\u202e\u200b", "\u00e9" * 65, "\U0001f600" * 70, "'; DROP TABLE", '"}{"', "%s{0}",
)  # fmt: skip
#: Anything that JSON can hold.
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 2**63, 2**64, 2**256, -(2**256), 0.0, -1.5, 1e308, [], [[]], {}, {"": {}}, [None] * 50,
    {"a": [1, {"b": None}]}, *TEXTS,
)  # fmt: skip
AMOUNTS = (0, 1, 10_000, 2**32, 2**53 + 1, 2**63, 2**64 - 1, 2**64, 2**255, 2**256 - 1)
TIMEOUTS = (None, 0, 1, 2**31, 2**64)


def for_texts(check: Callable[[str], object], examples: int = 200) -> None:
    """Run a check with texts of all kinds."""
    for text in TEXTS:
        check(text)
    if _has_hypothesis():
        from hypothesis import strategies as st

        _given(check, st.text(), examples)


def for_offers(check: Callable[[Offer], object], sound: Offer, examples: int = 200) -> None:
    """Run a check with changed forms of a sound offer: any that a seller may send and the model of offers permits."""
    for offer in _listed(sound):
        check(offer)
    if _has_hypothesis():
        _given(check, _drawn(sound), examples)


def _has_hypothesis() -> bool:
    try:
        import hypothesis  # noqa: F401
    except ImportError:
        return False
    return True


def _drawn(sound: Offer) -> Any:
    from hypothesis import strategies as st

    texts = st.one_of(st.sampled_from(TEXTS), st.text())
    leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), texts)
    values = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=8)
    extras = st.dictionaries(st.one_of(st.sampled_from(_names(sound)), texts), values)
    changes: Any = st.fixed_dictionaries(
        {},
        optional={
            "amount": st.one_of(st.sampled_from(AMOUNTS), st.integers(0, 2**256 - 1)),
            "pay_to": texts,
            "asset": texts,
            "timeout": st.one_of(st.none(), st.integers(0, 2**64)),
            "version": st.sampled_from([1, 2]),
            "written_network": texts,
            # A seller may add to ``extra``, or replace it.
            "extra": st.one_of(extras, extras.map(lambda extra: {**sound.extra, **extra})),
        },
    )
    return changes.map(lambda changed: sound.but(**changed))


def _listed(sound: Offer) -> Iterable[Offer]:
    yield from (sound.but(amount=amount) for amount in AMOUNTS)
    yield from (sound.but(timeout=seconds) for seconds in TIMEOUTS)
    others = islice(cycle(TEXTS), 3, None)
    yield from (sound.but(pay_to=text, asset=other) for text, other in zip(TEXTS, others, strict=False))
    for version in (1, 2):
        yield sound.but(version=version, extra={})
        for name in _names(sound):
            yield from (sound.but(version=version, extra={**sound.extra, name: value}) for value in VALUES)


def _names(sound: Offer) -> tuple[str, ...]:
    """Return names for fields of ``extra``: those of the sound offer, because the scheme reads them, and others."""
    return (*sound.extra, "memo", "nonce", "name")


def _given(check: Callable[[Any], object], strategy: Any, examples: int) -> None:
    from hypothesis import HealthCheck, given, settings

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),  # pyright: ignore[reportArgumentType]  # its metaclass iterates
        report_multiple_bugs=False,
    )
    @given(strategy)
    def run(value: Any) -> None:
        check(value)

    run()
