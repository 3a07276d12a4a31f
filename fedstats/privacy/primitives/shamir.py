"""Shamir's secret sharing of 32 bytes over the prime field of 2^521 - 1 [1]_.

References
----------
.. [1] Shamir (1979), How to share a secret, Communications of the ACM 22(11), 612-613.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

PRIME = 2**521 - 1  # a Mersenne prime, far above any secret of 256 bits
SECRET_BYTES = 32
VALUE_BYTES = 66  # 521 bits

# More than the field's 521 bits, so that reducing modulo the prime leaves a bias below 2^-119.
_DRAW_BYTES = 80


@dataclass(frozen=True)
class Share:
    """The sharing polynomial at `x`; any threshold of shares gives the secret, fewer give nothing."""

    x: int
    y: int = field(repr=False)


def split(
    secret: bytes, threshold: int, n_shares: int, random_bytes: Callable[[int], bytes] = secrets.token_bytes
) -> tuple[Share, ...]:
    """Share a secret of 32 bytes so that any `threshold` of `n_shares` shares give it back.

    Raises
    ------
    ValueError
        The secret is not 32 bytes, or not 1 <= threshold <= n_shares.
    """
    if len(secret) != SECRET_BYTES:
        raise ValueError(f"a secret has {SECRET_BYTES} bytes, not {len(secret)}")
    if not 1 <= threshold <= n_shares:
        raise ValueError(f"{threshold} of {n_shares} shares is no threshold")
    drawn = [int.from_bytes(random_bytes(_DRAW_BYTES), "big") % PRIME for _ in range(threshold - 1)]
    coefficients = [int.from_bytes(secret, "big"), *drawn]
    return tuple(Share(x, _polynomial(coefficients, x)) for x in range(1, n_shares + 1))


def combine(shares: Sequence[Share], threshold: int) -> bytes:
    """Secret of any `threshold` or more shares; every share beyond the threshold is checked against the others.

    Raises
    ------
    ValueError
        Too few shares, a share given twice, shares that lie on no common polynomial, or no secret of 32 bytes.
    """
    if len({share.x for share in shares}) != len(shares):
        raise ValueError("a share is given twice")
    if len(shares) < threshold:
        raise ValueError(f"{len(shares)} shares are fewer than the {threshold} needed")
    base = shares[:threshold]
    if any(_interpolate(base, extra.x) != extra.y for extra in shares[threshold:]):
        raise ValueError("the shares do not lie on one polynomial; at least one of them is wrong")
    secret = _interpolate(base, 0)
    if secret >= 1 << (8 * SECRET_BYTES):
        raise ValueError(f"the shares give no secret of {SECRET_BYTES} bytes; at least one of them is wrong")
    return secret.to_bytes(SECRET_BYTES, "big")


def _polynomial(coefficients: Sequence[int], x: int) -> int:
    """Horner's rule; coefficients from the constant upwards."""
    value = 0
    for coefficient in reversed(coefficients):
        value = (value * x + coefficient) % PRIME
    return value


def _interpolate(shares: Sequence[Share], at: int) -> int:
    """Lagrange's interpolation of the polynomial through the shares."""
    value = 0
    for share in shares:
        above = below = 1
        for other in shares:
            if other.x != share.x:
                above = above * (at - other.x) % PRIME
                below = below * (share.x - other.x) % PRIME
        value += share.y * above * pow(below, -1, PRIME)
    return value % PRIME
