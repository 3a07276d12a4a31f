"""Doubles as text with eight significant digits, a whole column at a time.

Every cell equals Python's ``'%.8g' % value``; NaN is ``NA``.  A column is scaled to integers of eight digits,
whose characters are then laid out by the decimal exponent.  The few values whose rounding the scaling could get
wrong are rounded from the exact product, or, near the ends of the range of doubles, formatted by Python itself.

A cell is three words of eight characters with the tab before it; characters that are NUL are left out in the end:
tab, sign and '0.000'; digits before the point; the point in the first place, then digits.  In scientific notation:
tab, sign, digit and point; further digits; exponent.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]

SIGNIFICANT_DIGITS = 8
CELL_WORDS = 3
#: Scaled values lie below 1e8 and carry two roundings of 1.2e-16 each: an error of 2.4e-8, far inside this band.
_TIE_BAND = 1e-6
#: Decimal exponents of the values that are laid out here; others go to Python.
_LOWEST, _HIGHEST = -280, 280
_SLICE = 8192  # rows laid out at a time: the working arrays stay in the processor's cache
_BIAS = 1023  # of the binary exponent in a double
_SMALLEST = float(np.nextafter(0.0, 1.0))


def _words(texts: list[bytes]) -> Words:
    """Texts of up to eight characters as words, first character in the lowest byte."""
    return np.frombuffer(b"".join(text.ljust(8, b"\0") for text in texts), "<u8").astype(np.uint64)


_FOUR_DIGITS = np.frombuffer(b"".join(b"%04d" % k for k in range(10_000)), "<u4").astype(np.uint64)
_LOW_DIGITS = _FOUR_DIGITS << np.uint64(32)
_FOUR_ZEROS = np.array([4 if k == 0 else 4 - len(f"{k:04d}".rstrip("0")) for k in range(10_000)])
#: Entry k keeps the first k of eight characters.
_KEEP = _words([b"\xff" * k for k in range(9)])

# By binary exponent: the decimal exponent of its smallest number as an index of the tables below, and the power of ten
# from which on it is one more. 78913 / 2^18 is log10(2).
_DECIMAL = np.clip((np.arange(2048) - _BIAS) * 78913 >> 18, _LOWEST, _HIGHEST) - _LOWEST
_NEXT_POWER = np.array([float(f"1e{k + _LOWEST + 1}") for k in _DECIMAL.tolist()])
_EASY = tuple(int(np.frexp(float(f"1e{k}"))[1]) + _BIAS - 1 for k in (_LOWEST + 2, _HIGHEST - 2))

# By decimal exponent: the power of ten that makes eight digits of a number; how many digits stand before the point;
# the characters that they are; the first word but for the sign; and the point.
_EXPONENTS = range(_LOWEST, _HIGHEST + 2)
_FACTORS = np.array([float(f"1e{SIGNIFICANT_DIGITS - 1 - k}") for k in _EXPONENTS])
#: Where the factor is a power of ten that a double holds exactly.
_EXACT_FACTOR = np.array([0 <= SIGNIFICANT_DIGITS - 1 - k <= 22 for k in _EXPONENTS])
_HALVING = 2.0**27 + 1
_SCIENTIFIC = np.array([k < -4 or k >= SIGNIFICANT_DIGITS for k in _EXPONENTS])
_WHOLE_DIGITS = np.array([k + 1 if 0 <= k < SIGNIFICANT_DIGITS else 0 for k in _EXPONENTS])
_WHOLE = _KEEP[_WHOLE_DIGITS]
_FIRST_WORDS = _words([b"\t\0" + (b"0." + b"0" * (-1 - k) if -4 <= k < 0 else b"") for k in _EXPONENTS])
_POINTS = _words([b"." if 0 <= k < SIGNIFICANT_DIGITS else b"" for k in _EXPONENTS])
_EXPONENT_TEXTS = _words([b"e%+03d" % k for k in _EXPONENTS])
_MINUS = np.uint64(ord("-") << 8)
_FIRST_DIGIT, _POINT_BEHIND = np.uint64(16), np.uint64(ord(".") << 24)

#: In a word of characters below 128: what must be added so that a byte's highest bit says that there is a character.
_ANY, _HIGHEST_BITS = np.uint64(0x7F7F7F7F7F7F7F7F), np.uint64(0x8080808080808080)

#: Prints the value of a row that must not be laid out here.
PrintOne = Callable[[int], str]


@dataclass(frozen=True, eq=False)
class Numbers:
    """A column to print, shape (row,), and who prints the values that are hard to print; NaN is NA."""

    values: Reals
    print_one: PrintOne


def doubles(values: Reals) -> Numbers:
    """Doubles that are printed as they are."""
    values = np.ascontiguousarray(values, np.float64)
    return Numbers(values, lambda row: f"{values[row]:.{SIGNIFICANT_DIGITS}g}")


def probabilities(minus_log10: Reals) -> Numbers:
    """P from −log10 P: below the range of doubles it is still mantissa and exponent, as in 1.2e-400."""
    minus_log10 = np.asarray(minus_log10, np.float64)
    values = np.power(10.0, -minus_log10)
    tiny = (minus_log10 > -_LOWEST) & np.isfinite(minus_log10)

    # A value that nobody lays out, so that `print_one` is asked, also where the power is zero.
    values = np.where(tiny, _SMALLEST, values) if tiny.any() else values
    return Numbers(values, lambda row: text_of_probability(float(minus_log10[row])))


def text_of_probability(minus_log10: float) -> str:
    """P as text from one −log10 P."""
    if -_LOWEST < minus_log10 < np.inf:
        return _tiny_probability(minus_log10)
    return f"{np.power(10.0, -minus_log10):.{SIGNIFICANT_DIGITS}g}" if minus_log10 == minus_log10 else "NA"


def text_of_doubles(values: Reals) -> pa.StringArray:
    """The column as text, shape (row,): '%.8g' of each value, NA for NaN."""
    return text_of_numbers([doubles(values)])


def text_of_probabilities(minus_log10: Reals) -> pa.StringArray:
    """P as text from −log10 P, shape (row,)."""
    return text_of_numbers([probabilities(minus_log10)])


def text_of_numbers(columns: Sequence[Numbers]) -> pa.StringArray:
    """The cells of each row with tabs between them, shape (row,)."""
    rows = len(columns[0].values)
    room = np.empty((min(rows, _SLICE), CELL_WORDS * len(columns)), np.uint64)
    pieces, lengths = [], [np.zeros(0, np.int64)]
    for start, stop in pairwise([*range(0, rows, _SLICE), rows]):
        words = room[: stop - start]
        for number, column in enumerate(columns):
            cells = words[:, CELL_WORDS * number : CELL_WORDS * (number + 1)]
            _put_cells(column, slice(start, stop), cells)
        words[:, 0] &= ~_KEEP[1]  # no tab before the first
        pieces.append(words.astype("<u8", copy=False).tobytes().translate(None, b"\0"))
        lengths.append(np.einsum("rw->r", np.bitwise_count((words + _ANY) & _HIGHEST_BITS), dtype=np.int64))
    return _string_array(b"".join(pieces), np.concatenate(lengths))


def _string_array(body: bytes, lengths: Integers) -> pa.StringArray:
    """Arrow strings from their bytes, one after the other, and the length of each."""
    offsets = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    return pa.StringArray.from_buffers(len(lengths), pa.py_buffer(offsets), pa.py_buffer(body))


def _tiny_probability(minus_log10: float) -> str:
    """10**-minus_log10 as text without forming the number, which may lie below the smallest double."""
    exponent = int(np.floor(-minus_log10))
    mantissa = f"{10.0 ** (-minus_log10 - exponent):.{SIGNIFICANT_DIGITS - 1}f}"
    if mantissa.startswith("10"):
        mantissa, exponent = "1", exponent + 1
    return f"{mantissa.rstrip('0').rstrip('.')}e{exponent:+03d}"


def _put_cells(column: Numbers, rows: slice, cells: Words) -> None:
    """Fill the cells of a few rows of a column, shape (row, word)."""
    values = column.values[rows]
    binary = (values.view(np.int64) >> 52) & 0x7FF
    size = np.abs(values)
    odd = (binary < _EASY[0]) | (binary > _EASY[1])
    some_odd = bool(odd.any())
    if some_odd:
        binary, size = np.where(odd, _BIAS, binary), np.where(odd, 1.0, size)
    digits, exponent, doubtful = _decimal(size, binary)
    _lay_out(values, digits, exponent, cells)
    hard = doubtful.nonzero()[0]
    if some_odd:
        missing, zero = np.isnan(values), values.view(np.int64) == 0
        cells[missing], cells[zero] = _MISSING, _ZERO
        hard = ((odd | doubtful) & ~missing & ~zero).nonzero()[0]
    for row in hard.tolist():
        cells[row] = _as_cell(column.print_one(rows.start + row))


def _as_cell(text: str) -> Words:
    return _words([b"\t" + text[:7].encode(), text[7:15].encode(), text[15:23].encode()])


_MISSING, _ZERO = _as_cell("NA"), _as_cell("0")


def _decimal(size: Reals, binary: Integers) -> tuple[npt.NDArray[np.uint32], Integers, Flags]:
    """Eight-digit integer, decimal exponent (as an index) of each positive number, and where rounding is in doubt."""
    exponent = _DECIMAL[binary] + (size >= _NEXT_POWER[binary])
    scaled = size * _FACTORS[exponent]
    rounded = np.rint(scaled)
    doubtful = np.abs(scaled - rounded) > 0.5 - _TIE_BAND
    near = doubtful.nonzero()[0]
    if len(near):
        near = near[_EXACT_FACTOR[exponent[near]]]
        rounded[near] = _rounded_exactly(size[near], _FACTORS[exponent[near]], scaled[near])
        doubtful[near] = False
    digits = rounded.astype(np.uint32)
    carried = digits >= 10**SIGNIFICANT_DIGITS
    if carried.any():
        digits[carried] = 10 ** (SIGNIFICANT_DIGITS - 1)
        exponent += carried
    return digits, exponent, doubtful


def _rounded_exactly(size: Reals, factor: Reals, scaled: Reals) -> Reals:
    """The product of doubles, rounded half to even as if it were exact; `scaled` is it with the rounding of doubles.

    The error of a product of doubles is itself a double, and made of halves of both numbers (Dekker 1971).
    """
    (a, b), (c, d) = _halves(size), _halves(factor)
    error = ((a * c - scaled) + a * d + b * c) + b * d
    whole = np.floor(scaled)
    beyond = (scaled - whole - 0.5) + error
    return np.asarray(whole + ((beyond > 0) | ((beyond == 0) & (whole % 2 == 1))))


def _halves(values: Reals) -> tuple[Reals, Reals]:
    """Two numbers of 26 bits whose sum is each value (Veltkamp)."""
    scaled = _HALVING * values
    high = scaled - (scaled - values)
    return high, values - high


def _lay_out(values: Reals, digits: npt.NDArray[np.uint32], exponent: Integers, cells: Words) -> None:
    """Fill cells; trailing zeros behind the point are left out."""
    high = digits // np.uint32(10_000)
    low = digits - high * np.uint32(10_000)
    kept = SIGNIFICANT_DIGITS - _FOUR_ZEROS[low]
    short = (low == 0).nonzero()[0]
    if len(short):
        kept[short] = 4 - _FOUR_ZEROS[high[short]]
    characters = (_FOUR_DIGITS[high] | _LOW_DIGITS[low]) & _KEEP[np.maximum(kept, _WHOLE_DIGITS[exponent])]
    before = characters & _WHOLE[exponent]
    behind = characters ^ before
    cells[:, 0] = _FIRST_WORDS[exponent] | (values < 0) * _MINUS
    cells[:, 1] = before
    cells[:, 2] = behind | _POINTS[exponent] * (behind != 0)
    scientific = _SCIENTIFIC[exponent].nonzero()[0]
    if len(scientific):
        _lay_out_scientific(characters[scientific], exponent[scientific], scientific, cells)


def _lay_out_scientific(characters: Words, exponent: Integers, rows: Integers, cells: Words) -> None:
    """Fill the cells of some rows anew, of which the first word has the sign already."""
    first = characters & _KEEP[1]
    behind = characters ^ first
    cells[rows, 0] |= (first << _FIRST_DIGIT) | (behind != 0) * _POINT_BEHIND
    cells[rows, 1] = behind
    cells[rows, 2] = _EXPONENT_TEXTS[exponent]
