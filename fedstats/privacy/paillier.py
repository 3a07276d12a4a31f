"""Encrypted sums: each node encrypts its words, the coordinator multiplies ciphertexts, a key holder opens the product.

A word of w bits lies in a lane of w + 8 bits, many lanes in one Paillier plaintext; multiplying the ciphertexts of all
nodes adds every lane. By default the words were masked before (see `masking`), modulo two to their widths, so that what
the key holder opens is itself concealed until the coordinator takes the self masks off.

====  ===============================  =====================================  =====================================
step  a node                           the coordinator                        the key holder
====  ===============================  =====================================  =====================================
M     masks words, encrypts, uploads   multiplies the ciphertexts             opens the product: lanes modulo 2^w
C, U  as under `masked`                takes the self masks off               nothing
====  ===============================  =====================================  =====================================

Who learns what
---------------
With masks: the key holder learns nothing but who took part and how much; the coordinator learns the total; both
together learn the total and no more. A node learns nothing of its peers' words.
Without masks (`--paillier-masks off`): the key holder learns the totals; the coordinator learns the totals; **both
together learn every node's sums**. No node waits for another, and none is needed after its upload.

Assumes
-------
With masks, what `masking` assumes: encryption is defence in depth. Without masks: coordinator and key holder do not
work together, which nobody can check; and only the key holder knows the primes of the modulus in the signed roster.
Paillier's cryptosystem hides plaintexts (decisional composite residuosity), also with obfuscators from half-length
exponents (Damgard, Jurik and Nielsen).

Fails if
--------
Without masks, the coordinator gives the key holder one node's ciphertexts in place of the product: nobody can tell them
apart. With masks that opens noise. A key holder that gives wrong words is found out by a secret combination of them
(see `combination`), unless it learns the transcript of the pass from the coordinator or from a node.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import ClassVar, Protocol

import numpy as np
from gmpy2 import mpz

from fedstats.errors import MaskMismatch, ProtocolRefused
from fedstats.privacy.combination import fits, with_combination
from fedstats.privacy.conceal import Setting, Widths
from fedstats.privacy.masking import Masks
from fedstats.privacy.primitives.lanes import Lanes, extend_sign, lay_out
from fedstats.privacy.primitives.paillier import PublicKey, check_ciphertext, read_public
from fedstats.privacy.primitives.stream import Ring

#: Integers that are encrypted or opened at a time: some thirtieth of a second of work.
BATCH = 32

#: Widths of the words of a block as (width, how many) runs, in order.
Runs = tuple[tuple[int, int], ...]


class Batches(Protocol):
    """Something that does the same to every batch of integers, perhaps several at a time, and keeps their order."""

    def __call__(self, batches: Iterable[bytes]) -> Iterator[bytes]:
        """What becomes of each batch, in order."""
        ...


@dataclass(frozen=True)
class Paillier:
    """A node's side: words of an ask to ciphertexts, through `encrypt`, which knows the same modulus."""

    setting: ClassVar[Setting] = Setting.PAILLIER
    public: PublicKey
    encrypt: Batches = field(repr=False)
    transcript: str
    masks: Masks | None = field(repr=False)

    def protect(self, words: Ring, first_word: int, widths: Widths) -> bytes:
        """Ciphertexts of the words of one ask, check word included, masked first where there are masks."""
        checked = with_combination(words, self.transcript, first_word)
        masked = checked if self.masks is None else self.masks.apply(checked, first_word)
        return encrypt_block(self.public, self.encrypt, masked, widths)


def public_key(modulus: str) -> PublicKey:
    """The key of a roster's modulus; reading a roster checks that it is long enough."""
    return read_public(modulus, smallest=0)


def lanes_of(public: PublicKey, widths: Widths) -> Lanes:
    """Where words of these widths lie in plaintexts under a key; a block begins a plaintext of its own."""
    return lay_out(widths, public.plaintext_bits)


def block_bytes(public: PublicKey, widths: Widths) -> int:
    """Bytes of the ciphertexts of one block."""
    return lanes_of(public, widths).rows * public.ciphertext_bytes


def encrypt_block(public: PublicKey, encrypt: Batches, words: Ring, widths: Widths) -> bytes:
    """Ciphertexts of words modulo two to their widths, shape (word,): big-endian, all of one length."""
    packed = lanes_of(public, widths).pack(words).astype("<u8", copy=False)
    return b"".join(encrypt(packed[first : first + BATCH].tobytes() for first in range(0, len(packed), BATCH)))


def multiply(public: PublicKey, uploads: Sequence[bytes]) -> bytes:
    """The product, ciphertext by ciphertext, of the uploads of several nodes.

    Raises
    ------
    ProtocolRefused
        MALFORMED: uploads of different lengths, or not whole ciphertexts. BAD_CIPHERTEXT: a number out of range.
    """
    size = public.ciphertext_bytes
    lengths = {len(upload) for upload in uploads}
    if len(lengths) != 1 or lengths.pop() % size:
        raise ProtocolRefused("uploads of one block have different lengths; nothing was opened.", code="MALFORMED")
    n_squared = mpz(public.n_squared)
    rows = zip(*(_ciphertexts(public, upload) for upload in uploads), strict=True)
    products = (reduce(lambda one, other: one * other % n_squared, row) for row in rows)
    return b"".join(product.to_bytes(size, "big") for product in products)


def _ciphertexts(public: PublicKey, data: bytes) -> Iterator[mpz]:
    size = public.ciphertext_bytes
    for first in range(0, len(data), size):
        ciphertext = mpz.from_bytes(data[first : first + size], "big")
        check_ciphertext(public, ciphertext)
        yield ciphertext


def open_block(public: PublicKey, decrypt: Batches, product: bytes, widths: Widths) -> Ring:
    """The key holder's side: the sum in every lane of a product, modulo two to its width, shape (word,).

    Raises
    ------
    ProtocolRefused
        MALFORMED: the product has not the length that the widths ask for.
    """
    lanes, size = lanes_of(public, widths), public.ciphertext_bytes
    if len(product) != lanes.rows * size:
        raise ProtocolRefused(
            f"a product of {len(product)} bytes came where {lanes.rows * size} are due.", code="MALFORMED"
        )
    step = BATCH * size
    opened = b"".join(decrypt(product[first : first + step] for first in range(0, len(product), step)))
    return lanes.unpack(np.frombuffer(opened, "<u8"))


def totals_of(words: Ring, first_word: int, widths: Widths, self_masks: Masks | None) -> Ring:
    """The coordinator's end: opened words of a block without the self masks, modulo 2^64, shape (word,)."""
    unmasked = words if self_masks is None else self_masks.apply(words, first_word)
    return extend_sign(unmasked, widths)


def checked_totals(totals: Ring, due: int, transcript: str, first_word: int) -> Ring:
    """The totals of a block, the combination in its last word verified and replaced by the check words' sum `due`.

    Raises
    ------
    MaskMismatch
        MASK_MISMATCH: the key holder gave other words than it opened, or the nodes did not share one view.
    """
    if not fits(totals, due, transcript, first_word):
        raise MaskMismatch(
            "what the key holder opened does not fit what the nodes encrypted: it gave other words, or the nodes did "
            "not share one view of the pass. Nothing of this pass is written.",
            code="MASK_MISMATCH",
        )
    return np.append(totals[:-1], np.uint64(due))


def runs_of(widths: Widths) -> Runs:
    """Widths as runs."""
    starts = np.flatnonzero(np.diff(widths, prepend=np.uint8(0)))
    counts = np.diff(starts, append=len(widths))
    return tuple((int(widths[start]), int(count)) for start, count in zip(starts, counts, strict=True))


def widths_of(runs: Runs) -> Widths:
    """Runs as widths.

    Raises
    ------
    ProtocolRefused
        MALFORMED: a run is empty, or a word has not from 1 to 64 bits.
    """
    if any(not (1 <= width <= 64 and count >= 1) for width, count in runs):
        raise ProtocolRefused("a run of widths is empty or out of range.", code="MALFORMED")
    widths = np.array([width for width, _ in runs], np.uint8)
    return np.repeat(widths, [count for _, count in runs])
