import numpy as np

from fedstats.frontend.backend import Event
from fedstats.frontend.progress import Progress
from fedstats.study import Chunk


def test_seconds_left_follow_from_the_variants_done() -> None:
    told: list[Event] = []
    seconds = iter([0.0, 0.0, 10.0, 40.0])
    pieces = [Chunk(0, "autosome", np.arange(100)), Chunk(1, "autosome", np.arange(100, 400))]

    progress = Progress("gwas/linear", pieces, told.append, clock=lambda: next(seconds))
    progress.advance()
    progress.advance()

    assert [(e.data["done"], e.data["total"], e.data["seconds_left"]) for e in told] == [
        (0, 400, None),
        (100, 400, 30.0),
        (400, 400, 0.0),
    ]
