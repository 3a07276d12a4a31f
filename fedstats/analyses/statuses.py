"""Names behind the small integer codes of result columns, so that millions of rows cost a byte each.

Column STATUS indexes `STATUSES`, TEST `TESTS`, MISSING `MISSING`.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.int8]

STATUSES: Final[tuple[str, ...]] = (
    "OK",
    "LOW_MAC",
    "SUPPRESSED_CELL",
    "SAMPLE_CT<=PREDICTOR_CT",
    "CONST_OMITTED_ALLELE",
    "CONST_ALLELE",
    "CORR_TOO_HIGH",
    "VIF_INFINITE",
    "VIF_TOO_HIGH",
    "RANK_DEFICIENT",
    "INVALID_RESULT",
    "SEPARATION",
    "LOGISTIC_CONVERGE_FAIL",
    "FIRTH_CONVERGE_FAIL",
    "UNSTABLE_SCALE",
    "HIDDEN_BY_NOISE",
)
TESTS: Final[tuple[str, ...]] = ("LINEAR", "LOGISTIC_WALD", "LOGISTIC_SCORE", "LOGISTIC_FIRTH", "LINEAR_SCORE")
MISSING: Final[tuple[str, ...]] = ("mean", "drop")


def status(name: str) -> int:
    """Code of a status."""
    return STATUSES.index(name)


def code_of_test(name: str) -> int:
    """Code of a test."""
    return TESTS.index(name)


def missing_code(name: str) -> int:
    """Code of a way to treat missing genotypes; `drop-strict` is `drop` where it has a value."""
    return MISSING.index("drop" if name == "drop-strict" else name)
