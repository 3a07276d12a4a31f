"""Named points at which a test may end an agent as a power cut would; the one place where they are documented.

FEDSTATS_TEST_CRASH="point" in the environment of an agent, and a roster marked `sandbox = true`, make the process end
with status 137 the first time it passes that point, or with "point@3" the third time. Without a sandbox roster the
variable is ignored.

=================  ======================================================================================
point              where the process ends
=================  ======================================================================================
before:S  (R M C U)   an order of that step has arrived and was verified; nothing about it is on disk
after:S   (R M C U)   its answer is on disk; it was not sent
before:K  after:K     the same of the order to certify a total that steers what is asked later
before:receipt        a receipt has arrived, perhaps with such a certificate; nothing about it is on disk
after:receipt         its answer is on disk; it was not sent, and what it ends was not deleted
before:noise       under dp, sums are computed; what they cost is not on disk
after:noise        what they cost is on disk; they were not noised, masked or written
mid:M              the first block of a pass is on disk; the next is not
before:ordered     (key holder) a product has arrived and was verified; nothing about it is on disk
after:ordered      (key holder) product and order are on disk; the answer was not sent, nothing was opened
mid:opened         (key holder) some of a product is opened; nothing of that is on disk
before:opened      (key holder) opened words are on disk; the ledger does not say so, nothing was sent
after:opened       (key holder) the ledger says that the pass is opened; nothing was sent
=================  ======================================================================================

Steps are S (Open), R (Ready), M (Compute), C (behind the words of M, or Commit), U (Unmask) and K (Certify). Points of
M stand around the acceptance of the work; mid:M stands within it.
"""

import itertools
import os
from collections.abc import Callable

VARIABLE = "FEDSTATS_TEST_CRASH"

CrashPoint = Callable[[str], None]


def crash_points(*, sandbox: bool) -> CrashPoint:
    """The function to call at every named point: it ends the process at the one that the environment names."""
    chosen, _, number = (os.environ.get(VARIABLE, "") if sandbox else "").partition("@")
    last, times = int(number or 1), itertools.count(1)

    def at(point: str) -> None:
        if point == chosen and next(times) == last:
            os._exit(137)

    return at
