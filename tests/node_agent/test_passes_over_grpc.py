"""Whole passes among three agents of this process, through real gRPC with mutual TLS."""

from pathlib import Path

import numpy as np
import pytest

from tests.node_agent.driver import driven
from tests.node_agent.sites import make_federation

BLOCKS = [np.arange(0, 10), np.arange(10, 25)]


def naive_counts(federation, block):
    """Called, heterozygous and homozygous people per variant over all sites, read off the dosages."""
    pooled = np.concatenate([site.dosages for site in federation.sites], axis=1)[block]
    return (pooled >= 0).sum(axis=1), (pooled == 1).sum(axis=1), (pooled == 2).sum(axis=1)


@pytest.mark.parametrize("privacy", ["plain", "masked"])
def test_total_of_a_pass_is_the_pooled_count(tmp_path: Path, privacy: str):
    federation = make_federation(tmp_path)
    with driven(federation) as driver:
        plan = driver.plan(privacy=privacy)
        driver.begin(plan)
        order, blob = driver.order(plan, BLOCKS)

        total = driver.whole_pass(plan, order, blob)

        first = 10 * 6 + 1
        for number, (block, words) in enumerate(zip(BLOCKS, (total[:first], total[first:]), strict=True)):
            counts = driver.counts(plan, order, words, block, number)
            called, het, hom = naive_counts(federation, block)
            np.testing.assert_array_equal(counts.called, called)
            np.testing.assert_array_equal(counts.heterozygous, het)
            np.testing.assert_array_equal(counts.homozygous_alternative, hom)
