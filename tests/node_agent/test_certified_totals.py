"""What is certified of some variants is found whatever passes it came in, and nothing that is not certified."""

from dataclasses import dataclass, fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedstats.analyses.genotype_counts import COUNTS, GenotypeCounts
from fedstats.arrays import Indices
from fedstats.errors import ProtocolRefused
from fedstats.study import Model
from node_agent.certified_totals import OfModel, _Read

MODEL = Model("q1", "autosome", (), ())
#: All variants are counted of the same people.
PEOPLE = 77


@dataclass(frozen=True)
class Passes:
    """Passes that certified counts of some variants each; stands in for the table."""

    variants: tuple[Indices, ...]

    def find(self, *_: object) -> list[_Read]:
        """All of them."""
        return [_Read((), (counts_of(one),), one) for one in self.variants]


def counts_of(variants: Indices) -> GenotypeCounts:
    """Counts that tell which variant and which field they are of."""
    names = [entry.name for entry in fields(GenotypeCounts) if entry.name != "people"]
    return GenotypeCounts(**{name: 10 * variants + at for at, name in enumerate(names)}, people=np.array([PEOPLE]))


def over(passes: tuple[Indices, ...], variants: Indices) -> GenotypeCounts:
    found: GenotypeCounts = OfModel(Passes(passes), "run", MODEL, MODEL).over(COUNTS, variants)  # type: ignore[arg-type]  # stands in
    return found


@st.composite
def certified(draw: st.DrawFn) -> tuple[tuple[Indices, ...], Indices]:
    """Passes of rising variants, one after another or crossing, and some of all their variants."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    known = np.flatnonzero(rng.random(60) < 0.6)
    crossing = draw(st.booleans())
    pass_of = rng.integers(0, draw(st.integers(1, 3)), len(known))
    parts = (known[(pass_of if crossing else np.sort(pass_of)) == number] for number in range(3))
    passes = tuple(part for part in parts if len(part))
    first, last = np.sort(rng.integers(0, len(known) + 1, 2))
    run_of_variants = known[first:last]
    return passes, run_of_variants if draw(st.booleans()) else known[rng.random(len(known)) < 0.5]


@settings(max_examples=80)
@given(certified())
def test_certified_totals_are_those_of_each_variant(drawn: tuple[tuple[Indices, ...], Indices]) -> None:
    passes, variants = drawn
    if not len(variants):
        return

    found, expected = over(passes, variants), counts_of(variants)

    for entry in fields(GenotypeCounts):
        assert np.array_equal(getattr(found, entry.name), getattr(expected, entry.name))


@pytest.mark.parametrize("passes", [[[2, 3, 5]], [[2], [3, 5]], [[5], [2, 3]]])
@pytest.mark.parametrize("variants", [[4], [2, 3, 4], [3, 5, 6], [1, 2], [2, 5, 7], [9]])
def test_a_variant_that_is_not_certified_is_refused(passes: list[list[int]], variants: list[int]) -> None:
    with pytest.raises(ProtocolRefused) as refused:
        over(tuple(map(np.array, passes)), np.array(variants))

    assert refused.value.code == "UNCERTIFIED"
