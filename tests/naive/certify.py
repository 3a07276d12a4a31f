"""The combination of a claimed total by Python's own integers, word by word."""

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR

PRIME = 170_141_183_460_469_231_731_687_303_715_884_105_727


def combination(words: list[int], challenge: bytes) -> int:
    """Sum of coefficient x word modulo the prime; words are signed integers."""
    keystream = Cipher(AES256(challenge), CTR(bytes(16))).encryptor().update(bytes(16 * len(words)))
    coefficients = [int.from_bytes(keystream[16 * j : 16 * j + 16], "little") for j in range(len(words))]
    return sum(r * word for r, word in zip(coefficients, words, strict=True)) % PRIME
