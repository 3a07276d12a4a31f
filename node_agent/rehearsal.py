"""A rehearsal: an analysis asked of this node's data alone, in this process, to see for which sums it asks.

Few variants are enough to see that. Nothing of it is sent, and its totals are thrown away.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from fedstats.analyses.people_accounting import count_people
from fedstats.analysis import ANALYSES, NOISED
from fedstats.arrays import Indices
from fedstats.dataset import Dataset
from fedstats.errors import FedstatsError
from fedstats.local import LocalSite, LocalSums
from fedstats.step import Step
from fedstats.study import Block, Model, Study, chunks

#: Variants of each kind that are asked about.
VARIANTS_OF_A_KIND = 48

Sums = Mapping[tuple[str, str], int]
"""How often a step was asked on a model, by both names."""


@dataclass(frozen=True)
class Rehearsed:
    """What an analysis asked for.

    Attributes
    ----------
    times
        How often a step was asked on a model: in all, or about one variant.
    sizes
        Lengths of the dimensions of its release.
    ended
        Why the rehearsal ended early, "" where it came to its end.
    """

    times: Sums
    sizes: Mapping[tuple[str, str], Mapping[str, int]]
    ended: str = ""


@dataclass
class _Noting(LocalSums):
    """Sums in this process, noted as they are asked."""

    times: Counter[tuple[str, str]] = field(default_factory=Counter)
    sizes: dict[tuple[str, str], dict[str, int]] = field(default_factory=dict)

    def _total(self, step: Step[Any, Any], model: Model, parameters: Any, block: Block | None) -> Any:
        name = (step.name, model.id)
        self.times[name] += 1
        self.sizes[name] = step.sizes(model, parameters, block) | {"variant": 1}
        return super()._total(step, model, parameters, block)


def rehearse(dataset: Dataset, study: Study, variants: Indices, kinds: np.ndarray, allowed: np.ndarray) -> Rehearsed:
    """Ask a study of one data set, about a few variants of each kind.

    Parameters
    ----------
    dataset, study
        Who is asked, and what.
    variants
        Panel indices of the run.
    kinds
        Kind of every panel variant, as in `study.chunks`.
    allowed
        Who may be used, shape (person,).
    """
    alone = replace(study.floors, min_carrier_nodes=1, min_missing_nodes=1, min_mac=1, min_missing=1)
    few = np.sort(np.concatenate([variants[kinds[variants] == kind][:VARIANTS_OF_A_KIND] for kind in range(4)]))
    noting, asked = _Noting([LocalSite(dataset, allowed)]), replace(study, floors=alone)
    ended = ""
    try:
        with np.errstate(all="ignore"):
            if study.accounting is not None and study.analysis not in NOISED:
                count_people(noting, study.accounting)
            for _ in ANALYSES[study.analysis](noting, replace(asked, models=study.scanned), chunks(kinds, few)):
                pass
    except FedstatsError as error:
        ended = error.message
    return Rehearsed(dict(noting.times), noting.sizes, ended)
