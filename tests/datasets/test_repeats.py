"""How many identifiers were there before, against a set of them."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedstats import scratch
from node_agent.datasets import repeats
from node_agent.datasets.repeats import repeated


@pytest.mark.parametrize(("stretch", "together"), [(1, 1), (3, 2), (100, 100)])
@given(texts=st.lists(st.text(alphabet="ars:0é", max_size=5), max_size=12), skipped=st.integers(0, 3))
def test_texts_that_were_there_before_are_counted(stretch: int, together: int, texts: list[str], skipped: int) -> None:
    column = pa.array(texts, pa.large_string())[skipped:]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scratch, "SLICE", stretch)
        patch.setattr(repeats, "_SORTED_TOGETHER", together)
        found = repeated(column)

    assert found == len(column) - len(set(texts[skipped:]))


def test_hashes_are_those_of_the_definition() -> None:
    # draft-eastlake-fnv, test vectors of FNV-1a with 64 bits.
    known = {"": 0xCBF29CE484222325, "a": 0xAF63DC4C8601EC8C, "foobar": 0x85944171F73967E8}

    assert repeats._hashes(pa.array(known, pa.large_string())).tolist() == list(known.values())
