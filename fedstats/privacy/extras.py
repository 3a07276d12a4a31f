"""Settings that need more than the default install, and what to say where it is missing."""

from importlib.util import find_spec

from fedstats.errors import UsageError

INSTALL_PAILLIER = "pip install 'fedstats[paillier]'"


def has_paillier() -> bool:
    """Whether the extra `paillier` is installed."""
    return find_spec("gmpy2") is not None


def need_paillier() -> None:
    """See that the extra `paillier` is installed.

    Raises
    ------
    UsageError
        MISSING_EXTRA: the library gmpy2 is not there.
    """
    if not has_paillier():
        raise UsageError(
            "the privacy setting 'paillier' needs the library gmpy2, which is not installed here.",
            code="MISSING_EXTRA",
            hint=INSTALL_PAILLIER,
        )
