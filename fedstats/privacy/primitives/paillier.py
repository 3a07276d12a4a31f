"""Paillier's cryptosystem with generator n + 1: keys, encryption with a given obfuscator, decryption by remainders.

E(m) = (1 + m n) r mod n^2, where r is an n-th power modulo n^2 (the obfuscator). The product of ciphertexts modulo n^2
is a ciphertext of the sum modulo n [1]_. Keys and ciphertexts are those of the library phe, in both directions.

Primes are 3 modulo 4 with gcd(p - 1, q - 1) = 2, so that -x^2 generates what Damgard, Jurik and Nielsen [2]_ draw
obfuscators from; see `fixed_base`. GMP's arithmetic takes time that depends on the numbers: keys belong on servers
whose timing nobody else can measure.

References
----------
.. [1] Paillier (1999), Public-Key Cryptosystems Based on Composite Degree Residuosity Classes, EUROCRYPT, 223-238.
.. [2] Damgard, Jurik, Nielsen (2010), A generalization of Paillier's public-key system with applications to electronic
   voting, International Journal of Information Security 9, 371-385, section 4.2.
"""

import secrets
from dataclasses import dataclass, field
from functools import cached_property

import gmpy2
from gmpy2 import mpz

from fedstats.errors import ProtocolRefused

#: About 128 bits of security (NIST SP 800-57); 2048 are about 112.
DEFAULT_BITS = 3072
SMALLEST_BITS = 2048


@dataclass(frozen=True)
class PublicKey:
    """The modulus; everything that encrypts or adds needs no more."""

    n: int

    @property
    def bits(self) -> int:
        """Length of the modulus."""
        return self.n.bit_length()

    @property
    def plaintext_bits(self) -> int:
        """Bits of which every value lies below the modulus."""
        return self.bits - 1

    @property
    def ciphertext_bytes(self) -> int:
        """Bytes of every ciphertext: as many as the square of the modulus can need."""
        return -(-2 * self.bits // 8)

    @cached_property
    def n_squared(self) -> int:
        """The modulus of ciphertexts."""
        return self.n * self.n

    @property
    def text(self) -> str:
        """The modulus in hexadecimal, as it stands in a roster."""
        return f"{self.n:x}"


@dataclass(frozen=True)
class PrivateKey:
    """The two primes of a modulus."""

    p: int = field(repr=False)
    q: int = field(repr=False)

    @cached_property
    def public(self) -> PublicKey:
        """The key that others may know."""
        return PublicKey(self.p * self.q)

    @cached_property
    def _of_p(self) -> "_Remainder":
        return _Remainder.of(self.p, self.public.n)

    @cached_property
    def _of_q(self) -> "_Remainder":
        return _Remainder.of(self.q, self.public.n)

    @cached_property
    def _p_inverse(self) -> mpz:
        return gmpy2.invert(mpz(self.p), mpz(self.q))

    def decrypt(self, ciphertext: int) -> int:
        """The plaintext, from 0 to n - 1.

        Raises
        ------
        ProtocolRefused
            BAD_CIPHERTEXT: not a unit modulo n^2, so that nobody who encrypts honestly could have made it.
        """
        check_ciphertext(self.public, ciphertext)
        c = mpz(ciphertext)
        of_p, of_q = self._of_p.decrypt(c), self._of_q.decrypt(c)
        return int(of_p + self.p * ((of_q - of_p) * self._p_inverse % self.q))


@dataclass(frozen=True)
class _Remainder:
    """Decryption modulo one prime: L((c^(p - 1)) mod p^2) h mod p, with L(x) = (x - 1) / p."""

    prime: mpz
    square: mpz
    h: mpz

    @classmethod
    def of(cls, prime: int, n: int) -> "_Remainder":
        p = mpz(prime)
        square = p * p
        h = gmpy2.invert((gmpy2.powmod(1 + mpz(n), p - 1, square) - 1) // p, p)
        return cls(p, square, h)

    def decrypt(self, ciphertext: mpz) -> mpz:
        powered = gmpy2.powmod(ciphertext % self.square, self.prime - 1, self.square)
        if powered % self.prime != 1:
            raise _bad_ciphertext()
        return (powered - 1) // self.prime * self.h % self.prime


def generate(bits: int = DEFAULT_BITS, *, smallest: int = SMALLEST_BITS) -> PrivateKey:
    """A fresh key whose modulus has exactly `bits` bits.

    Parameters
    ----------
    bits
        Length of the modulus, even.
    smallest
        Only tests say this: shorter keys are quick, and hide nothing.
    """
    if bits < smallest or bits % 2:
        raise ValueError(f"a modulus of {bits} bits: it must be even and at least {smallest}")
    while True:
        p, q = _prime(bits // 2), _prime(bits // 2)
        if p != q and gmpy2.gcd(p - 1, q - 1) == 2:
            return PrivateKey(p, q)


def _prime(bits: int) -> int:
    """A random prime that is 3 modulo 4; its two highest bits are set, so that a product of two has twice the bits."""
    while True:
        drawn = secrets.randbits(bits) | (3 << (bits - 2)) | 3
        if gmpy2.is_prime(mpz(drawn), 40):
            return drawn


def read_public(text: str, *, smallest: int = SMALLEST_BITS) -> PublicKey:
    """A modulus from hexadecimal.

    Raises
    ------
    ValueError
        The text is not in lower-case hexadecimal, or the modulus is even or too short; the message says which.
    """
    if not text or set(text) - set("0123456789abcdef"):
        raise ValueError("the modulus is not in lower-case hexadecimal")
    key = PublicKey(int(text, 16))
    if key.bits < smallest:
        raise ValueError(f"the modulus has {key.bits} bits; at least {smallest} are needed")
    if key.n % 2 == 0:
        raise ValueError("the modulus is even")
    return key


def encrypt(public: PublicKey, plaintext: int, obfuscator: int) -> int:
    """(1 + m n) r mod n^2 for a plaintext from 0 to n - 1 and an n-th power r modulo n^2."""
    if not 0 <= plaintext < public.n:
        raise ValueError("a plaintext lies from 0 to n - 1")
    n_squared = mpz(public.n_squared)
    return int((1 + mpz(plaintext) * public.n) % n_squared * obfuscator % n_squared)


def check_ciphertext(public: PublicKey, ciphertext: int) -> None:
    """Refuse what is no number from 1 to n^2 - 1.

    Raises
    ------
    ProtocolRefused
        BAD_CIPHERTEXT.
    """
    if not 0 < ciphertext < public.n_squared:
        raise _bad_ciphertext()


def _bad_ciphertext() -> ProtocolRefused:
    return ProtocolRefused("a ciphertext is not one under this modulus; nothing was opened.", code="BAD_CIPHERTEXT")
