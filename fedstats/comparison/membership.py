"""Membership inference: was this person in the study? Answered from allele frequencies by a likelihood ratio.

The strongest simple attack on published or uploaded frequencies: for each person the log of how much likelier their
genotypes are under the frequencies seen than under those of the population. Linkage between variants is ignored by the
attacker, which costs some power.

References
----------
Homer et al. (2008), Resolving individuals contributing trace amounts of DNA to highly complex mixtures, PLoS Genetics.
Sankararaman et al. (2009), Genomic privacy and limits of individual detection in a pool, Nature Genetics 41:965-967.
"""

import numpy as np

from fedstats.arrays import Reals

#: Frequencies are kept this far from 0 and 1, where a single allele would decide everything.
EDGE = 1e-3


def log_likelihood_ratio(dosage: Reals, seen: Reals, reference: Reals) -> Reals:
    """How much likelier each person's genotypes are under the frequencies seen, as a logarithm, shape (person,).

    Parameters
    ----------
    dosage
        Alternative alleles of each person, shape (person, variant).
    seen, reference
        Frequencies that the attacker saw of the study, and knows of the population, shape (variant,).
    """
    p, q = (np.clip(np.nan_to_num(one, nan=0.5), EDGE, 1 - EDGE) for one in (seen, reference))
    carried, absent = np.log(p / q), np.log((1 - p) / (1 - q))
    return np.asarray(dosage @ carried + (2.0 - dosage) @ absent)


def auc(members: Reals, others: Reals) -> float:
    """Chance that a member's score lies above that of somebody else, ties counted half (Mann and Whitney).

    0.5 is a coin; 1 tells everybody apart.
    """
    scores = np.concatenate([members, others])
    order = np.argsort(scores, kind="stable")
    _, inverse, counts = np.unique(scores[order], return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = np.empty(len(scores))
    ranks[order] = (last - (counts - 1) / 2)[inverse]
    above = ranks[: len(members)].sum() - len(members) * (len(members) + 1) / 2
    return float(above / (len(members) * len(others)))


def attack(members: Reals, others: Reals, seen: Reals, reference: Reals) -> float:
    """AUC of the attack on people of the study against others, whose dosages have the shape (person, variant)."""
    scores = (log_likelihood_ratio(people, seen, reference) for people in (members, others))
    return auc(*scores)
