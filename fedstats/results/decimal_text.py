"""Doubles as text with eight significant digits, several columns at a time.

Every cell equals Python's ``'%.8g' % value``; NaN is ``NA``.  Values are scaled to integers of eight digits, whose
characters are then laid out by the decimal exponent.  The few values whose rounding the scaling could get wrong are
rounded from the exact product, or, near the ends of the range of doubles, formatted by Python itself.

A cell is two words of eight characters with the tab before it; characters that are NUL are left out in the end: tab,
sign, '0.000' or the digits before the point, and the point; then the digits behind it.  In scientific notation, and
from 100,000 on, a number runs on from the first word into the second.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
Bytes = npt.NDArray[np.uint8]

SIGNIFICANT_DIGITS = 8
CELL_WORDS = 2
_CELL_BYTES = 8 * CELL_WORDS
#: Scaled values lie below 1e8 and carry two roundings of 1.2e-16 each: an error of 2.4e-8, far inside this band.
_TIE_BAND = 1e-6
#: Decimal exponents of the values that are laid out here; others go to Python.
_LOWEST, _HIGHEST = -280, 280
_SLICE = 8192  # cells laid out at a time: the working arrays stay in the processor's cache
_BIAS, _MANTISSA_BITS = 1023, np.uint64(52)  # of a double
_SMALLEST = float(np.nextafter(0.0, 1.0))
_HALVING = 2.0**27 + 1


def _words(texts: Sequence[bytes]) -> Words:
    """Texts of up to eight characters as words, first character in the lowest byte."""
    return np.frombuffer(b"".join(text.ljust(8, b"\0") for text in texts), "<u8").astype(np.uint64)


def _four_digits() -> Bytes:
    """The characters of 0000 to 9999, shape (number, character)."""
    numbers = np.arange(10_000)[:, None] // np.array([1000, 100, 10, 1])
    return np.asarray(numbers % 10 + ord("0"), np.uint8)


_FOUR_DIGITS = _four_digits().view("<u4").ravel()
#: Zeros at the end of four digits.
_FOUR_ZEROS = np.cumprod(_four_digits()[:, ::-1] == ord("0"), axis=1).sum(axis=1)
#: Words of eight digits below this end with a zero.
_FIRST_WITHOUT_ZERO = np.uint64(ord("1") << 56)
#: Entry k keeps the first k of eight characters.
_KEEP = _words([b"\xff" * k for k in range(9)])
#: Digits before the point for which there is room in the first word, after tab and sign and before the point.
_ROOM = 5

# By decimal exponent: the power of ten that makes eight digits of a number; whether a double holds that power exactly;
# how many digits stand before the point; which of eight characters those are, where the first word has room for them.
_EXPONENTS = range(_LOWEST, _HIGHEST + 2)
_FACTORS = np.array([float(f"1e{SIGNIFICANT_DIGITS - 1 - k}") for k in _EXPONENTS])
_EXACT_FACTOR = np.array([0 <= SIGNIFICANT_DIGITS - 1 - k <= 22 for k in _EXPONENTS])
_SCIENTIFIC = np.array([k < -4 or k >= SIGNIFICANT_DIGITS for k in _EXPONENTS])
_WHOLE_DIGITS = np.array([k + 1 if 0 <= k < SIGNIFICANT_DIGITS else 0 for k in _EXPONENTS])
_WHOLE = np.where(_WHOLE_DIGITS <= _ROOM, _KEEP[_WHOLE_DIGITS], 0)
_EXPONENT_TEXTS = _words([b"e%+03d" % k for k in _EXPONENTS])


def _first_word(exponent: int) -> bytes:
    """The first word of a cell without its sign and digits."""
    if -4 <= exponent < 0:
        return b"\t\0" + b"0." + b"0" * (-1 - exponent)
    return b"\t\0" + (b"\0" * (exponent + 1) + b"." if 0 <= exponent < _ROOM else b"")


# By key: sign and binary exponent of a double, and `_NEXT` more where it is not below the power of ten that lies among
# the numbers of this binary exponent: the decimal exponent as an index of the tables above; that power of ten, from
# which on it is one more; and what is looked up by key. 78913 / 2^18 is log10(2).
_NEXT, _NEGATIVE = 4096, 2048
_KEYS = np.arange(2 * _NEXT)
_LOWER = np.clip((_KEYS % _NEGATIVE - _BIAS) * 78913 >> 18, _LOWEST, _HIGHEST) - _LOWEST
_DECIMAL = _LOWER + _KEYS // _NEXT
_NEXT_POWER = np.array([float(f"1e{k}") for k in _EXPONENTS])[_LOWER + 1]
_FACTOR_OF_KEY, _WHOLE_OF_KEY = _FACTORS[_DECIMAL], _WHOLE[_DECIMAL]
_FIRST_WORDS = _words([_first_word(k) for k in _EXPONENTS])[_DECIMAL]
_FIRST_WORDS[_KEYS % _NEXT >= _NEGATIVE] |= np.uint64(ord("-") << 8)

#: Values outside go to Python; NaN does not lie inside either.
_EASY = (10.0 ** (_LOWEST + 2), 10.0 ** (_HIGHEST - 2))
#: Values inside are in plain notation and the first word has room, however they are rounded.
_USUAL = (1.0000001e-4, 0.9999999e5)
#: Stands for the tab before a row's first cell, by which rows are found.
_ROW = 1
#: Stands for a cell that is longer than two words.
_LONG = b"\2"

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


def probabilities(minus_log10: Reals, values: Reals | None = None) -> Numbers:
    """P from −log10 P: below the range of doubles it is still mantissa and exponent, as in 1.2e-400.

    `values` are the powers of ten where the caller has them.
    """
    minus_log10 = np.asarray(minus_log10, np.float64)
    values = np.power(10.0, -minus_log10) if values is None else values
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
    return pc.binary_replace_slice(rows_of_numbers(columns), 0, 1, "")


def rows_of_numbers(columns: Sequence[Numbers]) -> pa.StringArray:
    """The cells of each row with a tab before each, shape (row,)."""
    rows = len(columns[0].values)
    step = max(1, _SLICE // len(columns))
    room = bytearray(_CELL_BYTES * len(columns) * min(step, rows))
    pieces: list[bytearray] = []
    offsets, length = [np.zeros(0, np.int64)], 0
    for start, stop in pairwise([*range(0, rows, step), rows]):
        piece, begins = _rows_of_slice(columns, slice(start, stop), room)
        pieces.append(piece)
        offsets.append(begins + length)
        length += len(piece)
    ends = np.concatenate([*offsets, [length]]).astype(np.int32)
    return pa.StringArray.from_buffers(rows, pa.py_buffer(ends), pa.py_buffer(b"".join(pieces)))


def _rows_of_slice(columns: Sequence[Numbers], rows: slice, room: bytearray) -> tuple[bytearray, Integers]:
    """The characters of a few rows, and where each row begins; `room` is for the cells of so many rows or more."""
    count = (rows.stop - rows.start) * len(columns)
    cells = np.frombuffer(room, "<u8", CELL_WORDS * count).reshape(count, CELL_WORDS)
    long = _put_cells(columns, rows, cells)
    cells[:: len(columns), 0] ^= ord("\t") ^ _ROW
    used = _CELL_BYTES * count
    piece = (room if used == len(room) else room[:used]).translate(None, b"\0")
    if long:
        first, *others = piece.split(_LONG)
        piece = first + b"".join(text + behind for text, behind in zip(long, others, strict=True))
    text = np.frombuffer(piece, np.uint8)
    begins = np.flatnonzero(text == _ROW)
    text[begins] = ord("\t")
    return piece, begins


def _tiny_probability(minus_log10: float) -> str:
    """10**-minus_log10 as text without forming the number, which may lie below the smallest double."""
    exponent = int(np.floor(-minus_log10))
    mantissa = f"{10.0 ** (-minus_log10 - exponent):.{SIGNIFICANT_DIGITS - 1}f}"
    if mantissa.startswith("10"):
        mantissa, exponent = "1", exponent + 1
    return f"{mantissa.rstrip('0').rstrip('.')}e{exponent:+03d}"


def _put_cells(columns: Sequence[Numbers], rows: slice, cells: Words) -> list[bytes]:
    """Fill the cells of a few rows, shape (row and column, word); the texts of those that are too long for that."""
    values = np.stack([column.values[rows] for column in columns], axis=1).ravel()
    size = np.abs(values)
    key = (values.view(np.uint64) >> _MANTISSA_BITS).view(np.int64)
    odd = np.flatnonzero(~((size >= _EASY[0]) & (size <= _EASY[1])))
    size[odd], key[odd] = 1.0, _BIAS
    digits, doubtful = _decimal(size, key)
    _lay_out(digits, size, key, cells)
    hard = [doubtful]
    if len(odd):
        missing, zero = np.isnan(values[odd]), values[odd].view(np.int64) == 0
        cells[odd[missing]], cells[odd[zero]] = _MISSING, _ZERO
        hard.append(odd[~missing & ~zero])
    return _print(columns, rows, np.sort(np.concatenate(hard)), cells)


def _print(columns: Sequence[Numbers], rows: slice, hard: Integers, cells: Words) -> list[bytes]:
    """Fill some cells with what their columns print; the texts of those that are too long for that."""
    long = []
    for cell in hard.tolist():
        row, number = divmod(cell, len(columns))
        text = b"\t" + columns[number].print_one(rows.start + row).encode()
        if len(text) > _CELL_BYTES:
            long.append(text[1:])
            text = b"\t" + _LONG
        cells[cell] = _as_cell(text)
    return long


def _as_cell(text: bytes) -> Words:
    return _words([text[:8], text[8:]])


_MISSING, _ZERO = _as_cell(b"\tNA"), _as_cell(b"\t0")


def _decimal(size: Reals, key: Integers) -> tuple[npt.NDArray[np.uint32], Integers]:
    """Eight-digit integer of each positive number, and of which ones the rounding is in doubt; completes their keys."""
    key += np.multiply(size >= _NEXT_POWER.take(key), _NEXT, dtype=np.int64)
    scaled = size * _FACTOR_OF_KEY.take(key)
    rounded = np.rint(scaled)
    doubtful = np.flatnonzero(np.abs(scaled - rounded) > 0.5 - _TIE_BAND)
    if len(doubtful):
        exact = _EXACT_FACTOR[_DECIMAL[key[doubtful]]]
        near, doubtful = doubtful[exact], doubtful[~exact]
        rounded[near] = _rounded_exactly(size[near], _FACTOR_OF_KEY[key[near]], scaled[near])
    carried = np.flatnonzero(rounded >= 10**SIGNIFICANT_DIGITS)
    rounded[carried] = 10 ** (SIGNIFICANT_DIGITS - 1)
    key[carried] += _NEXT  # what was rounded up to a power of ten was below the one that its key knows
    return rounded.astype(np.uint32), doubtful


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


def _lay_out(digits: npt.NDArray[np.uint32], size: Reals, key: Integers, cells: Words) -> None:
    """Fill cells; trailing zeros behind the point are left out, and the point where nothing is behind it."""
    characters = _characters(digits, key)
    before = characters & _WHOLE_OF_KEY.take(key)
    behind = characters ^ before
    first = _FIRST_WORDS.take(key)
    whole = np.flatnonzero(behind == 0)
    first[whole] &= _KEEP[2]
    cells[:, 0] = first | (before << _bits(2))
    cells[:, 1] = behind
    unusual = np.flatnonzero((size < _USUAL[0]) | (size > _USUAL[1]))
    if len(unusual):
        exponent = _DECIMAL[key[unusual]]
        for chosen, lay_out in (
            (_SCIENTIFIC[exponent], _lay_out_scientific),
            (_WHOLE_DIGITS[exponent] > _ROOM, _lay_out_wide),
        ):
            rows = unusual[chosen]
            if len(rows):
                lay_out(characters[rows], exponent[chosen], rows, cells)


def _characters(digits: npt.NDArray[np.uint32], key: Integers) -> Words:
    """The digits of each number as characters, without zeros at its end."""
    halves = np.empty((len(digits), 2), np.int64)
    halves[:, 0] = high = digits // np.uint32(10_000)
    halves[:, 1] = low = digits - high * np.uint32(10_000)
    characters: Words = _FOUR_DIGITS.take(halves).view("<u8").ravel()
    short = np.flatnonzero(characters < _FIRST_WITHOUT_ZERO)
    zeros = _FOUR_ZEROS[low[short]]
    zeros = zeros + np.where(zeros == 4, _FOUR_ZEROS[high[short]], 0)
    characters[short] &= _KEEP[np.maximum(SIGNIFICANT_DIGITS - zeros, _WHOLE_DIGITS[_DECIMAL[key[short]]])]
    return characters


def _lay_out_scientific(characters: Words, exponent: Integers, rows: Integers, cells: Words) -> None:
    """Fill the cells of some rows, of which the first word has tab and sign."""
    first = characters & _KEEP[1]
    behind = characters ^ first
    cells[rows, 0] |= (first << _bits(2)) | (behind != 0) * (_POINT << _bits(3)) | (behind << _bits(3))
    cells[rows, 1] = (behind >> _bits(5)) | (_EXPONENT_TEXTS[exponent] << _bits(3))


def _lay_out_wide(characters: Words, exponent: Integers, rows: Integers, cells: Words) -> None:
    """Fill the cells of some rows, of which the first word has tab and sign, and room for six digits."""
    whole = _WHOLE_DIGITS[exponent]
    before = characters & _KEEP[whole]
    behind = characters ^ before
    cells[rows, 0] |= before << _bits(2)
    point = (behind != 0) * (_POINT << (8 * (whole - 6)).astype(np.uint64))
    cells[rows, 1] = (before >> _bits(6)) | point | ((behind >> _bits(6)) << _bits(1))


_POINT = np.uint64(ord("."))


def _bits(characters: int) -> np.uint64:
    """How far so many characters are shifted in a word."""
    return np.uint64(8 * characters)
