"""Doubles as text with eight significant digits, a whole column at a time.

Every cell equals Python's ``'%.8g' % value``; NaN is ``NA``.  A column is scaled to integers of eight digits,
whose characters are then laid out by the decimal exponent.  The few values whose rounding the scaling could get
wrong (close to a tie, or near the ends of the range of doubles) are formatted by Python itself.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]

SIGNIFICANT_DIGITS = 8
#: Scaled values lie below 1e8 and carry two roundings of 1.2e-16 each: an error of 2.4e-8, far inside this band.
_TIE_BAND = 1e-6
#: Powers of ten come from a table between these exponents; values outside go to Python.
_LOWEST, _HIGHEST = -280, 280
_SLICE = 8192  # values formatted at a time: the working arrays stay in the processor's cache

#: A cell is four words of eight characters; NUL characters are left out when the cells are joined.
#: 0: sign and '0.000'; 1: digits before the point; 2: the point in the first place, then digits; 3: exponent.
_WORDS = 4
_SCIENTIFIC = 0  # index of the exponents' tables that stands for 'e' notation; 1..12 stand for 10**-4 .. 10**7


def _words(texts: list[bytes]) -> npt.NDArray[np.uint64]:
    """Texts of up to eight characters as words, first character in the lowest byte."""
    return np.frombuffer(b"".join(text.ljust(8, b"\0") for text in texts), "<u8").astype(np.uint64)


_POWERS = np.array([float(f"1e{k}") for k in range(-_HIGHEST, -_LOWEST + 16)])
_FOUR_DIGITS = np.frombuffer(b"".join(b"%04d" % k for k in range(10_000)), "<u4").astype(np.uint64)
_FOUR_ZEROS = np.array([4 if k == 0 else 4 - len(f"{k:04d}".rstrip("0")) for k in range(10_000)], np.int8)
#: Entry k keeps the first k of eight characters.
_KEEP = _words([b"\xff" * k for k in range(9)])
#: By notation (0 scientific, then the exponents -4..7): characters before the digits, digits before the point.
_PREFIX_TEXTS = [b"", *(b"\0" + b"0." + b"0" * k for k in (3, 2, 1, 0)), *[b""] * SIGNIFICANT_DIGITS]
_PREFIXES = _words(_PREFIX_TEXTS)
_PREFIX_LENGTHS = np.array([len(text.strip(b"\0")) for text in _PREFIX_TEXTS])
_WHOLE_DIGITS = np.array([1, 0, 0, 0, 0, *range(1, SIGNIFICANT_DIGITS + 1)])
_EXPONENT_TEXTS = [b"e%+03d" % exponent for exponent in range(_LOWEST, _HIGHEST + 2)]
_EXPONENTS = _words(_EXPONENT_TEXTS)
_EXPONENT_LENGTHS = np.array([len(text) for text in _EXPONENT_TEXTS])
_MINUS, _POINT = np.uint64(ord("-")), np.uint64(ord("."))


def text_of_doubles(values: Reals) -> pa.StringArray:
    """The column as text, shape (row,): '%.8g' of each value, NA for NaN."""
    values = np.ascontiguousarray(values, np.float64)
    pieces = [_format_slice(values[start : start + _SLICE]) for start in range(0, len(values), _SLICE)]
    lengths = np.concatenate([lengths for _, lengths in pieces]) if pieces else np.zeros(0, np.int64)
    return string_array(b"".join(body for body, _ in pieces), lengths)


def text_of_probabilities(minus_log10: Reals) -> pa.StringArray:
    """P as text from −log10 P: below the range of doubles it is still mantissa and exponent, as in 1.2e-400."""
    minus_log10 = np.asarray(minus_log10, np.float64)
    texts = text_of_doubles(np.power(10.0, -minus_log10))
    tiny = np.flatnonzero((minus_log10 > -_LOWEST) & np.isfinite(minus_log10))
    if not len(tiny):
        return texts
    patched = texts.to_pylist()
    for row in tiny:
        patched[row] = _tiny_probability(float(minus_log10[row]))
    return pa.array(patched, pa.string())


def _tiny_probability(minus_log10: float) -> str:
    """10**-minus_log10 as text without forming the number, which may lie below the smallest double."""
    exponent = int(np.floor(-minus_log10))
    mantissa = f"{10.0 ** (-minus_log10 - exponent):.{SIGNIFICANT_DIGITS - 1}f}"
    if mantissa.startswith("10"):
        mantissa, exponent = "1", exponent + 1
    return f"{mantissa.rstrip('0').rstrip('.')}e{exponent:+03d}"


def string_array(body: bytes, lengths: Integers) -> pa.StringArray:
    """Arrow strings from their bytes, one after the other, and the length of each."""
    offsets = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    return pa.StringArray.from_buffers(len(lengths), pa.py_buffer(offsets), pa.py_buffer(body))


def _format_slice(values: Reals) -> tuple[bytes, Integers]:
    """The cells of a short column, concatenated, and the length of each."""
    size = np.abs(values)
    easy = (size > 10.0 ** (_LOWEST + 1)) & (size < 10.0 ** (_HIGHEST - 1))
    digits, exponent, doubtful = _decimal(size if easy.all() else np.where(easy, size, 1.0))
    cells, lengths = _lay_out(values < 0, digits, exponent)
    _patch(cells, lengths, values, np.flatnonzero(~easy | doubtful))
    return cells.astype("<u8", copy=False).tobytes().translate(None, b"\0"), lengths


def _decimal(size: Reals) -> tuple[Integers, Integers, Flags]:
    """Eight-digit integer and decimal exponent of each positive number, and where the rounding is in doubt."""
    exponent = np.floor(np.log10(size)).astype(np.int64)
    scaled = size * _POWERS[SIGNIFICANT_DIGITS - 1 - exponent + _HIGHEST]
    # log10 may land on the wrong side of a power of ten; Python settles these few, and the ties.
    doubtful = (scaled < 1e7) | (scaled >= 1e8) | (np.abs(scaled - np.floor(scaled) - 0.5) < _TIE_BAND)
    digits = np.rint(scaled).astype(np.int64)
    carried = digits >= 10**SIGNIFICANT_DIGITS
    return np.where(carried, 10 ** (SIGNIFICANT_DIGITS - 1), digits), exponent + carried, doubtful


def _lay_out(negative: Flags, digits: Integers, exponent: Integers) -> tuple[Words, Integers]:
    """Cells of shape (row, word) and the characters used in each."""
    notation = np.where((exponent >= -4) & (exponent < SIGNIFICANT_DIGITS), exponent + 5, _SCIENTIFIC)
    scientific = notation == _SCIENTIFIC
    high, low = np.divmod(digits.astype(np.uint32), np.uint32(10_000))
    significant = SIGNIFICANT_DIGITS - np.where(low > 0, _FOUR_ZEROS[low], 4 + _FOUR_ZEROS[high])
    whole = _WHOLE_DIGITS[notation]
    point = (significant > whole) & (whole > 0)
    kept = np.maximum(significant, whole)
    characters = (_FOUR_DIGITS[high] | (_FOUR_DIGITS[low] << np.uint64(32))) & _KEEP[kept]
    before = characters & _KEEP[whole]
    cells = np.empty((len(digits), _WORDS), np.uint64)
    cells[:, 0] = _PREFIXES[notation] | negative * _MINUS
    cells[:, 1] = before
    cells[:, 2] = (characters ^ before) | point * _POINT
    cells[:, 3] = _EXPONENTS[exponent - _LOWEST] * scientific
    lengths = negative + kept + point + _PREFIX_LENGTHS[notation] + _EXPONENT_LENGTHS[exponent - _LOWEST] * scientific
    return cells, lengths


def _patch(cells: Words, lengths: Integers, values: Reals, rows: Integers) -> None:
    """Overwrite the cells of these rows with what Python prints; missing values and zeros are many, so at once."""
    if not len(rows):
        return
    left = np.ones(len(rows), np.bool_)
    for chosen, text in ((np.isnan(values[rows]), b"NA"), (values[rows] == 0, b"0")):
        cells[rows[chosen]], lengths[rows[chosen]] = _words([text, b"", b"", b""]), len(text)
        left &= ~chosen
    left |= (values[rows] == 0) & np.signbit(values[rows])
    for row in rows[left]:
        text = b"%.8g" % float(values[row])
        cells[row], lengths[row] = _words([text[:8], text[8:16], b"", b""]), len(text)
