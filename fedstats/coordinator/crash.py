"""Named points at which a test may end the coordinator as a power cut would.

FEDSTATS_TEST_CRASH="coordinator:POINT" in the environment, and a roster marked `sandbox = true`, make the process end
with status 137 the first time it passes that point, or with "coordinator:POINT@3" the third time. Without a sandbox
roster the variable is ignored.

======================  ===================================================================================
point                   where the process ends
======================  ===================================================================================
before:S  (R M C U)     the step's orders are due; none was sent
after:S   (R M C U)     its answers are there; those of S, R and C, and the words of M, are on disk
before:K, after:K       the same of the claim of a total that steers; its scalars are on disk
mid:M                   the words of one node are on disk; those of the others may not be
before:D                under paillier: all uploads are there; the key holder was not asked
after:D                 what it opened is on disk
after:total             the total is on disk; no receipt was sent
after:receipt           the receipts are out
after:rows              the rows of a chunk are on disk
======================  ===================================================================================
"""

import itertools
import os
from collections.abc import Callable

VARIABLE = "FEDSTATS_TEST_CRASH"

CrashPoint = Callable[[str], None]

POINTS = (
    *(f"{when}:{step}" for step in "SRMCUK" for when in ("before", "after")),
    "mid:M",
    "after:total",
    "after:receipt",
    "after:rows",
)

#: Points that runs under paillier come to besides.
POINTS_OF_PAILLIER = ("before:D", "after:D")


def crash_points(*, sandbox: bool) -> CrashPoint:
    """The function to call at every named point: it ends the process at the one that the environment names."""
    chosen, _, number = (os.environ.get(VARIABLE, "") if sandbox else "").partition("@")
    last, times = int(number or 1), itertools.count(1)

    def at(point: str) -> None:
        if chosen == f"coordinator:{point}" and next(times) == last:
            os._exit(137)

    return at


def no_crash(point: str) -> None:
    """Go on."""
