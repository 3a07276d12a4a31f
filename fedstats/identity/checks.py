"""Faults of names, keys and tables, as sentences, so that a file's faults can all be listed at once."""

import difflib
import re
from collections.abc import Collection, Iterable, Mapping

#: A name goes into certificates, file names and signed messages, so it is short and plain.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
_HEX = re.compile(r"[0-9a-f]+")


def is_hex(text: object, n_bytes: int) -> bool:
    """Whether `text` is exactly `n_bytes` bytes in lower-case hexadecimal: one spelling for one value."""
    return isinstance(text, str) and len(text) == 2 * n_bytes and _HEX.fullmatch(text) is not None


def name_faults(name: object, where: str) -> list[str]:
    """The fault of a name that is not 1 to 32 letters, digits, '-' or '_', starting with a letter or digit."""
    if isinstance(name, str) and _NAME.fullmatch(name):
        return []
    return [f"{where}: the name {name!r} must be 1 to 32 letters, digits, '-' or '_', starting with a letter or digit"]


def identity_faults(identity: object, where: str) -> list[str]:
    """The fault of an identity that is not an Ed25519 public key in 64 lower-case hexadecimal digits."""
    if is_hex(identity, 32):
        return []
    return [f"{where}: the identity must be an Ed25519 public key in 64 lower-case hexadecimal digits"]


def modulus_faults(modulus: object, where: str, *, smallest_bits: int) -> list[str]:
    """The fault of a Paillier modulus that is not an odd number of enough bits in lower-case hexadecimal."""
    if not isinstance(modulus, str) or not _HEX.fullmatch(modulus) or modulus.startswith("0"):
        return [f"{where}: paillier_modulus must be a number in lower-case hexadecimal"]
    found = int(modulus, 16)
    if found % 2 == 0:
        return [f"{where}: paillier_modulus is even, so it is no product of two large primes"]
    if found.bit_length() < smallest_bits:
        return [f"{where}: paillier_modulus has {found.bit_length()} bits; at least {smallest_bits} are needed"]
    return []


def key_faults(table: Mapping[str, object], known: Collection[str], needed: Iterable[str], where: str) -> list[str]:
    """Unknown keys, each with the nearest known one, and missing keys."""
    faults = []
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, list(known), n=1, cutoff=0.0)[0]
            faults.append(f"{where}: unknown key {key!r}; did you mean {near!r}?")
    faults += [f"{where}: the key {key!r} is missing" for key in needed if key not in table]
    return faults


def repeated(values: Iterable[str]) -> list[str]:
    """The values that occur more than once, each once, in order of their second occurrence."""
    seen: set[str] = set()
    twice: dict[str, None] = {}
    for value in values:
        if value in seen:
            twice[value] = None
        seen.add(value)
    return list(twice)
