"""One node's upload as a curious coordinator would read it: its genotype counts, concealed under each setting.

The words are made as a node makes them (the release of the counting step, encoded in fixed point), concealed by the
setting's own code under fresh keys, and read back as if nothing had been done to them.
"""

import secrets
from collections.abc import Callable
from functools import cache
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from fedstats.additive import Limits, Slot, layout
from fedstats.analyses.genotype_counts import GenotypeCounts, count_genotypes
from fedstats.arrays import Reals
from fedstats.fixed_point import encode
from fedstats.privacy.conceal import Conceal
from fedstats.privacy.masking import Masks
from fedstats.privacy.plain import Plain
from fedstats.privacy.primitives.stream import Stream
from fedstats.wire.passes import CHECK_WORDS, word_widths

if TYPE_CHECKING:
    from fedstats.privacy.primitives.paillier import PublicKey

_KEY_BYTES = 32

Frequencies = Reals
"""Alternative allele frequencies, shape (variant,)."""


def _masks() -> Conceal:
    """Fresh masks, as between this node, two others and its own seed."""
    return Masks((Stream(secrets.token_bytes(_KEY_BYTES), 1), Stream(secrets.token_bytes(_KEY_BYTES), -1)))


def _ciphertexts() -> Conceal:
    """Ciphertexts without masks inside, under a key of this process: the weaker of both forms."""
    from fedstats.privacy.paillier import Paillier
    from fedstats.privacy.paillier_tasks import encryption
    from fedstats.privacy.paillier_workers import InProcess

    public = _public_key()
    return Paillier(public, InProcess(encryption(public)), secrets.token_hex(_KEY_BYTES), None)


@cache
def _public_key() -> "PublicKey":
    """Every encryption is random by itself: one key does for all."""
    from fedstats.privacy.primitives.paillier import generate

    return generate().public


#: Makes each kind of protection, with new keys.
CONCEALED: dict[str, Callable[[], Conceal]] = {"plain": Plain, "masked": _masks, "paillier": _ciphertexts}


def seen_in_upload(dosage: Reals, seen: str) -> Frequencies:
    """The frequencies that an upload seems to say, if its bytes are read as plain words.

    Parameters
    ----------
    dosage
        Alternative alleles of the node's people, NaN where a call is missing, shape (person, variant).
    seen
        "plain", "masked" or "paillier".
    """
    sizes = {"one": 1, "variant": dosage.shape[1]}
    words = encode(_counts(dosage), sizes, Limits())
    widths = word_widths(count_genotypes, sizes, Limits())[:-CHECK_WORDS]
    upload = CONCEALED[seen]().protect(words, 0, widths)
    read = np.frombuffer(upload[: 8 * len(words)].ljust(8 * len(words), b"\0"), "<u8")
    called, heterozygous, homozygous = (
        (read[slot.first_word : slot.first_word + slot.words] % _modulus(slot)).astype(np.float64)
        for slot in layout(GenotypeCounts, sizes)[:3]
    )
    return np.asarray((heterozygous + 2 * homozygous) / (2 * np.maximum(called, 1)))


def _modulus(slot: Slot) -> np.uint64:
    """Counts lie below this: what is above cannot be information."""
    return np.uint64(2 ** (ceil(slot.field.bound(Limits())).bit_length() + 1))


def _counts(dosage: Reals) -> GenotypeCounts:
    called = (~np.isnan(dosage)).sum(axis=0)
    heterozygous, homozygous = ((dosage == value).sum(axis=0) for value in (1, 2))
    carriers = heterozygous + homozygous
    return GenotypeCounts(
        called=called,
        heterozygous=heterozygous,
        homozygous_alternative=homozygous,
        alternative_nodes=(carriers > 0).astype(np.int64),
        reference_nodes=(carriers < called).astype(np.int64),
        missing_nodes=(called < len(dosage)).astype(np.int64),
        people=np.array([len(dosage)]),
    )
