"""Keystreams of AES-256 in counter mode, added to arrays of 64-bit words modulo 2^64.

A stream is addressed by the position of a word in the layout of a pass, so that any part of it can be made again, in
any order and by any thread. A key belongs to one stream of one pass; the counter therefore starts at zero.
Words are little-endian; two of them make a block of the cipher [1]_.

References
----------
.. [1] Dworkin (2001), NIST SP 800-38A, Recommendation for Block Cipher Modes of Operation, section 6.5.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR

Ring = npt.NDArray[np.uint64]
Sign = Literal[1, -1]

_WORD_BYTES = 8
_BLOCK_BYTES = 16
#: Streams are added piece by piece, so that a piece and its keystream stay in the cache of the processor.
_PIECE_WORDS = 2**15  # 256 KiB
#: What a cipher turns into its keystream.
_ZEROS = memoryview(bytes(_PIECE_WORDS * _WORD_BYTES))


@dataclass(frozen=True)
class Stream:
    """A keystream and whether it is added or subtracted."""

    key: bytes = field(repr=False)
    sign: Sign


def add_streams(words: Ring, streams: Sequence[Stream], first_word: int) -> None:
    """Add keystreams to `words` in place, modulo 2^64.

    Parameters
    ----------
    words
        Contiguous, shape (word,); its first element stands at `first_word` of the layout.
    streams
        Each with its own key and sign.
    first_word
        Position in the layout, in words from 0.

    Notes
    -----
    Takes no lock and shares no buffer: threads may work on different parts of one layout. The cipher releases the
    interpreter's lock for a piece at a time.
    """
    if words.dtype != np.uint64 or words.ndim != 1 or not words.flags.c_contiguous:
        raise ValueError("words must be a contiguous array of uint64 with one dimension")
    if first_word < 0:
        raise ValueError(f"{first_word} is no position in a layout")
    lead = first_word % 2  # an odd word is the second half of a block of the cipher
    encryptors = [_encryptor(stream.key, (first_word - lead) // 2) for stream in streams]
    n_buffer = min(words.size + lead, _PIECE_WORDS) * _WORD_BYTES
    buffer = bytearray(n_buffer + _BLOCK_BYTES - 1)  # the cipher asks for room for one more block
    start = 0
    while start < words.size:
        stop = min(start - lead + _PIECE_WORDS, words.size)
        n_bytes = (stop - start + lead) * _WORD_BYTES
        keystream = np.frombuffer(buffer, dtype="<u8", count=n_bytes // _WORD_BYTES)[lead:]
        piece = words[start:stop]
        for stream, encryptor in zip(streams, encryptors, strict=True):
            encryptor.update_into(_ZEROS[:n_bytes], buffer)
            if stream.sign > 0:
                np.add(piece, keystream, out=piece)
            else:
                np.subtract(piece, keystream, out=piece)
        start, lead = stop, 0


def add_stream(words: Ring, key: bytes, sign: Sign, first_word: int) -> None:
    """Add one keystream to `words` in place, modulo 2^64; see `add_streams`."""
    add_streams(words, (Stream(key, sign),), first_word)


def _encryptor(key: bytes, first_block: int) -> CipherContext:
    return Cipher(AES256(key), CTR(first_block.to_bytes(_BLOCK_BYTES, "big"))).encryptor()
