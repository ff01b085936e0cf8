"""secp256k1 signatures without coincurve, which has no wheels for every Python.

The nonces and the curve's arithmetic are eth-keys's own. But the multiples of the base point, from which each nonce's
point is added up, are computed only once here. So a signature takes a third of the time.
"""

from __future__ import annotations

from functools import cache, reduce
from typing import NoReturn

from eth_keys.backends.native.ecdsa import deterministic_generate_k
from eth_keys.backends.native.jacobian import jacobian_add
from eth_keys.constants import SECPK1_G, SECPK1_N, SECPK1_P

from ..guards.tracebacks import forget_frames

_Point = tuple[int, int, int]
#: A number has 64 digits of 4 bits each.
_DIGITS, _BITS = 64, 4


class PureKey:
    """Private key. No repr or pickle shows it."""

    __slots__ = ("_secret", "public")

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        x, y = _times_base(int.from_bytes(secret))
        #: x and y, 32 bytes each.
        self.public: bytes = x.to_bytes(32) + y.to_bytes(32)

    def sign(self, digest: bytes) -> bytes:
        """Return r and s, 32 bytes each, with the lower of the two possible s, and one byte that is 0 or 1."""
        try:
            return self._signature(digest)
        except BaseException as failure:
            # An interrupt, say. The key could be computed from the variables that tools print with a traceback.
            forget_frames(failure)
            raise

    def __reduce__(self) -> NoReturn:
        raise TypeError("A key is not pickled; build its signer where it is used.")

    def _signature(self, digest: bytes) -> bytes:
        z, order = int.from_bytes(digest), SECPK1_N
        k = deterministic_generate_k((z % order).to_bytes(32), self._secret)
        r, y = _times_base(k % order)
        s = pow(k, -1, order) * (z + r * int.from_bytes(self._secret)) % order
        odd = y % 2
        if 2 * s > order:
            s, odd = order - s, 1 - odd
        return r.to_bytes(32) + s.to_bytes(32) + bytes([odd])


def _times_base(number: int) -> tuple[int, int]:
    """Multiply the base point. The number of additions is always the same, so that the time tells little."""
    point, rows = _multiples()
    for row in rows:
        point = jacobian_add(point, row[number % (1 << _BITS)])
        number >>= _BITS
    inverse = pow(point[2], -1, SECPK1_P)
    return point[0] * inverse**2 % SECPK1_P, point[1] * inverse**3 % SECPK1_P


@cache
def _multiples() -> tuple[_Point, tuple[tuple[_Point, ...], ...]]:
    """Return a starting point, and for each digit the points of its values.

    Zero has no point, so each value has the point of the next one. The starting point takes all of these ones off.
    """
    base: _Point = (*SECPK1_G, 1)
    rows: list[tuple[_Point, ...]] = []
    for _ in range(_DIGITS):
        row: list[_Point] = [base]
        while len(row) < 1 << _BITS:
            row.append(jacobian_add(row[-1], base))
        rows.append(tuple(row))
        base = row[-1]
    x, y, z = reduce(jacobian_add, [points[0] for points in rows])
    return (x, SECPK1_P - y, z), tuple(rows)
