"""Many powers of one base modulo n^2, each in some 140 multiplications: obfuscators for Paillier.

The obfuscator is h^a mod n^2, h = (-x^2)^n for a random x, with a random exponent of half the bits of n: under the
assumption that Paillier rests on it cannot be told from a random n-th power [1]_. The base never changes, so powers
come from tables: the bits of an exponent stand in rows, a column of bits is one digit, and there is a table of all
digits for every eighth of the columns [2]_.

Numbers modulo n^2 are kept as pairs x0 + x1 n with x0, x1 < n: products modulo n are a quarter cheaper than ones
modulo n^2 with GMP at 3072 bits.

References
----------
.. [1] Damgard, Jurik, Nielsen (2010), A generalization of Paillier's public-key system with applications to electronic
   voting, International Journal of Information Security 9, 371-385, section 4.2.
.. [2] Lim, Lee (1994), More Flexible Exponentiation with Precomputation, CRYPTO, 95-107.
"""

import secrets
from collections.abc import Sequence

import gmpy2
import numpy as np
import numpy.typing as npt
from gmpy2 import f_divmod, mpz

Digits = npt.NDArray[np.uint16]
Pair = tuple[mpz, mpz]

#: Rows of an exponent, that is bits of a digit: a table has 2^12 entries.
ROWS = 12
#: Tables. Together they take 30 MB at 3072 bits and are made in a quarter of a second.
TABLES = 8


class FixedBase:
    """Tables for the powers of one base modulo n^2.

    Attributes
    ----------
    columns
        Digits of an exponent; it has ROWS * columns bits, at least as many as asked for.
    """

    def __init__(self, base: int, n: int, exponent_bits: int) -> None:
        self._n = mpz(n)
        self._squarings = -(-exponent_bits // (ROWS * TABLES))
        self.columns = TABLES * self._squarings
        self._tables = self._make_tables(mpz(base))

    def power(self, digits: Sequence[int]) -> Pair:
        """The base to the power that has these digits, shape (columns,), as a pair of numbers below n."""
        n, tables, squarings = self._n, self._tables, self._squarings
        low, high = mpz(1), mpz(0)
        for place in range(squarings - 1, -1, -1):
            if place < squarings - 1:
                carry, square = f_divmod(low * low, n)
                high = (2 * low * high + carry) % n
                low = square
            for table, digit in zip(tables, digits[place::squarings], strict=True):
                factor_low, factor_high = table[digit]
                carry, product = f_divmod(low * factor_low, n)
                high = (low * factor_high + high * factor_low + carry) % n
                low = product
        return low, high

    def digits_of(self, exponent: int) -> list[int]:
        """The digits of an exponent: bit t of digit c is bit t * columns + c of the exponent."""
        rows = [(exponent >> (row * self.columns)) & ((1 << self.columns) - 1) for row in range(ROWS)]
        return [sum(((bits >> column) & 1) << row for row, bits in enumerate(rows)) for column in range(self.columns)]

    def random_digits(self, count: int) -> list[list[int]]:
        """Digits of `count` exponents, each uniform over all exponents of ROWS * columns bits."""
        drawn = np.frombuffer(secrets.token_bytes(2 * count * self.columns), "<u2") & (2**ROWS - 1)
        digits: list[list[int]] = drawn.reshape(count, self.columns).tolist()
        return digits

    def _make_tables(self, base: mpz) -> list[list[Pair]]:
        """For every table the products of all subsets of its ROWS powers of the base."""
        n = self._n
        n_squared = n * n
        power, powers = base % n_squared, []
        for bit in range(ROWS * self.columns):
            if bit % self._squarings == 0:
                powers.append(_pair(power, n))
            power = power * power % n_squared
        return [_products(powers[first::TABLES], n) for first in range(TABLES)]


def obfuscators(n: int) -> FixedBase:
    """Tables for obfuscators under modulus n, over a base of this process's own drawing."""
    x = mpz(secrets.randbelow(n - 2) + 2)
    base = gmpy2.powmod(-x * x % n, n, mpz(n) * n)
    return FixedBase(base, n, -(-n.bit_length() // 2))


def _pair(value: mpz, n: mpz) -> Pair:
    high, low = f_divmod(value, n)
    return low, high


def _products(factors: Sequence[Pair], n: mpz) -> list[Pair]:
    """Products of all subsets of the factors; number d takes factor t where bit t of d is set."""
    table: list[Pair] = [(mpz(1), mpz(0))]
    for factor in factors:
        table += [_times(entry, factor, n) for entry in table]
    return table


def _times(one: Pair, other: Pair, n: mpz) -> Pair:
    carry, low = f_divmod(one[0] * other[0], n)
    return low, (one[0] * other[1] + one[1] * other[0] + carry) % n
