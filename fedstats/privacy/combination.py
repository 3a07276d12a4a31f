"""A secret random combination of the words of a block, hidden in its check word: who changes a word is found out.

The key holder opens sums that nobody else can open, and could give others. So every node adds to its check word

    sum over words i of k_i x_i   modulo a prime p,

with factors k_i and a prime of 59 bits that follow from the transcript of the pass, which the key holder never sees.
The combinations of all nodes add up to the combination of the totals modulo p. A total that was changed fits with
probability below 2^-50: few primes of that size divide a change that is made without knowing them, and of the factors
one in p makes another change vanish.

Words are read as signed integers: totals stay within their declared bounds, so that nothing wraps around. The prime is
so small that the combinations of 20 nodes do not either.

Assumes
-------
The key holder does not learn the transcript, from the coordinator or from a node.
"""

from dataclasses import dataclass
from operator import mul

import gmpy2
import numpy as np

from fedstats.identity.signing import framed
from fedstats.privacy.primitives.key_agreement import derive
from fedstats.privacy.primitives.stream import Ring, add_stream

_LABEL = b"fedstats/v1/combination@1"
_KEY_BYTES, _PRIME_BYTES = 32, 8
#: Primes lie from here to twice this: a word holds the sum of 20 combinations.
_SMALLEST_PRIME = 2**58


@dataclass(frozen=True)
class Combination:
    """How the words of one block are combined."""

    prime: int
    factors: tuple[int, ...]

    def of(self, words: Ring) -> int:
        """The combination of words, shape (word,), one for each factor; below the prime."""
        total: int = sum(map(mul, self.factors, words.view(np.int64).tolist()))
        return total % self.prime


def combination_of(transcript: str, first_word: int, count: int) -> Combination:
    """The combination of `count` words of a block that begins at `first_word` of the layout."""
    info = framed(_LABEL, first_word.to_bytes(8, "big"))
    drawn = derive(bytes.fromhex(transcript), salt=b"", info=info, n_bytes=_KEY_BYTES + _PRIME_BYTES)
    start = _SMALLEST_PRIME + int.from_bytes(drawn[_KEY_BYTES:], "big") % _SMALLEST_PRIME
    factors = np.zeros(count, np.uint64)
    add_stream(factors, drawn[:_KEY_BYTES], 1, 0)
    return Combination(int(gmpy2.next_prime(start)), tuple(factors.tolist()))


def with_combination(words: Ring, transcript: str, first_word: int) -> Ring:
    """A copy of the words of a block, the combination of the others added to the last one, its check word."""
    changed = words.copy()
    changed[-1:] += np.uint64(combination_of(transcript, first_word, len(words) - 1).of(words[:-1]))
    return changed


def fits(total: Ring, due: int, transcript: str, first_word: int) -> bool:
    """Whether the last word of a total is the check words' sum `due` and a sum of combinations of the others."""
    combination = combination_of(transcript, first_word, len(total) - 1)
    found = (int(total[-1]) - due) % 2**64
    return found % combination.prime == combination.of(total[:-1])
