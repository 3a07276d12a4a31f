"""What is done to batches of integers under `paillier`: each task is made once a process and keeps its tables.

A batch holds whole integers of one length; so does what becomes of it.
"""

from dataclasses import dataclass
from typing import Protocol

from gmpy2 import mpz

from fedstats.privacy.primitives.fixed_base import obfuscators
from fedstats.privacy.primitives.paillier import PrivateKey, PublicKey


class Task(Protocol):
    """Turns a batch into another."""

    def __call__(self, batch: bytes) -> bytes:
        """What becomes of a batch."""
        ...


class Encryption:
    """Plaintexts, little-endian in limbs of 64 bits, to ciphertexts, big-endian."""

    def __init__(self, n: int) -> None:
        self._public = PublicKey(n)
        self._n = mpz(n)
        self._obfuscators = obfuscators(n)

    def __call__(self, batch: bytes) -> bytes:
        """Ciphertexts of the plaintexts of a batch, each with an obfuscator of its own."""
        size = plaintext_bytes(self._public)
        plaintexts = [mpz.from_bytes(batch[at : at + size], "little") for at in range(0, len(batch), size)]
        digits = self._obfuscators.random_digits(len(plaintexts))
        length = self._public.ciphertext_bytes
        return b"".join(
            self._encrypt(plaintext, exponent).to_bytes(length, "big")
            for plaintext, exponent in zip(plaintexts, digits, strict=True)
        )

    def _encrypt(self, plaintext: mpz, exponent: list[int]) -> mpz:
        """(1 + m n) (r0 + r1 n) modulo n^2 is r0 + (r1 + m r0 mod n) n."""
        low, high = self._obfuscators.power(exponent)
        return low + (high + plaintext * low) % self._n * self._n


class Decryption:
    """Ciphertexts, big-endian, to plaintexts, little-endian in limbs of 64 bits."""

    def __init__(self, p: int, q: int) -> None:
        self._key = PrivateKey(p, q)

    def __call__(self, batch: bytes) -> bytes:
        """Plaintexts of the ciphertexts of a batch."""
        public = self._key.public
        size, length = public.ciphertext_bytes, plaintext_bytes(public)
        ciphertexts = (int.from_bytes(batch[at : at + size], "big") for at in range(0, len(batch), size))
        return b"".join(self._key.decrypt(ciphertext).to_bytes(length, "little") for ciphertext in ciphertexts)


@dataclass(frozen=True)
class Recipe:
    """How to make a task, as it travels to a worker: its name, and its numbers in hexadecimal."""

    task: str
    numbers: tuple[str, ...]

    def make(self) -> Task:
        """The task."""
        numbers = [int(text, 16) for text in self.numbers]
        return Encryption(*numbers) if self.task == "encrypt" else Decryption(*numbers)


def encryption(public: PublicKey) -> Recipe:
    """Encrypting under a public key."""
    return Recipe("encrypt", (f"{public.n:x}",))


def decryption(key: PrivateKey) -> Recipe:
    """Opening with a private key."""
    return Recipe("decrypt", (f"{key.p:x}", f"{key.q:x}"))


def plaintext_bytes(public: PublicKey) -> int:
    """Bytes of a plaintext in a batch: whole limbs."""
    return -(-public.bits // 64) * 8
