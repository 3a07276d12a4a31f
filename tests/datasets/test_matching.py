"""Variants are matched by position and alleles, swapped ones turned, never by identifier alone."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedstats import scratch
from fedstats.planning.panel import ABSENT, ALLELES_DIFFER, PRESENT, SWAPPED, Panel
from fedstats.planning.panel_files import read_panel, read_variants
from node_agent.datasets import matching
from node_agent.datasets.joins import joined
from node_agent.datasets.matching import Availability, match
from node_agent.datasets.plink import bind, register

from .filesets import BIM, DOSAGES, write_fileset


def matched(folder: Path, file: str, panel: str) -> Availability:
    (folder / "file.bim").write_text(file)
    (folder / "panel.bim").write_text(panel)
    variants, _ = read_variants(folder / "file.bim", "bim")
    assert variants is not None
    return match(variants, read_panel(folder / "panel.bim"))


@pytest.mark.parametrize(
    ("file", "status"),
    [
        ("1 rs1 0 100 A G\n", PRESENT),
        ("chr1 other 0 100 a g\n", PRESENT),
        ("1 rs1 0 100 G A\n", SWAPPED),
        ("1 rs1 0 101 A G\n", ABSENT),
        ("2 rs1 0 100 A G\n", ABSENT),
        ("1 rs1 0 100 A C\n", ALLELES_DIFFER),
        ("1 rs1 0 100 T C\n", ALLELES_DIFFER),  # the other strand
        ("1 rs1 0 100 0 G\n", PRESENT),  # ALT was never seen
        ("1 rs1 0 100 0 A\n", SWAPPED),  # REF was never seen, and stands as A1
        ("1 rs1 0 100 A 0\n", PRESENT),
        ("1 rs1 0 100 0 C\n", ALLELES_DIFFER),
        ("1 rs1 0 100 0 0\n", ALLELES_DIFFER),
        ("1 rs1 0 0 A G\n", ABSENT),
        ("0 rs1 0 100 A G\n", ABSENT),
    ],
)
def test_status_of_a_variant(tmp_path: Path, file: str, status: int) -> None:
    found = matched(tmp_path, file, "1 rs1 0 100 A G\n")

    assert found.status.tolist() == [status]
    assert found.rows.tolist() == [0 if status in (PRESENT, SWAPPED) else -1]


def test_several_variants_at_one_position_match_by_alleles(tmp_path: Path) -> None:
    found = matched(tmp_path, "1 x 0 9 A G\n1 x 0 9 C G\n1 x 0 9 G T\n", "1 x 0 9 T G\n1 x 0 9 A G\n1 x 0 9 C G\n")

    assert found.rows.tolist() == [2, 0, 1]
    assert found.status.tolist() == [SWAPPED, PRESENT, PRESENT]
    assert found.ambiguous == 0


def test_identifier_settles_between_equal_rows(tmp_path: Path) -> None:
    found = matched(tmp_path, "1 a 0 9 A G\n1 b 0 9 G A\n", "1 b 0 9 A G\n1 a 0 9 A G\n")

    assert found.rows.tolist() == [1, 0]
    assert found.status.tolist() == [SWAPPED, PRESENT]
    assert found.ambiguous == 0


def test_first_of_equal_rows_is_used_and_counted(tmp_path: Path) -> None:
    found = matched(tmp_path, "1 a 0 9 A G\n1 b 0 9 A G\n", "1 c 0 9 A G\n")

    assert found.rows.tolist() == [0]
    assert found.ambiguous == 1


def test_swapped_variants_are_turned(tmp_path: Path) -> None:
    turned = "1\trs1\t0\t100\tG\tA\n1\trs2\t0\t200\tC\tT\n2\trs3\t0\t50\tA\tG\n"
    path = write_fileset(tmp_path)
    panel = tmp_path / "panel.bim"
    panel.write_text(turned)

    genotypes = bind(register(path), read_panel(panel))

    swapped = np.where(DOSAGES < 0, -1, 2 - DOSAGES)
    expected = np.stack([swapped[0], DOSAGES[1], swapped[2]])
    assert np.array_equal(genotypes.block(np.arange(3)).dosages(), expected)
    assert genotypes.availability.counts() == {"absent": 0, "present": 1, "swapped": 2, "alleles_differ": 0}


def test_order_of_the_panel_is_the_order_of_blocks(tmp_path: Path) -> None:
    path = write_fileset(tmp_path)
    panel = tmp_path / "panel.bim"
    panel.write_text("".join(reversed(BIM.splitlines(keepends=True))))

    block = bind(register(path), read_panel(panel)).block(np.arange(3))

    assert np.array_equal(block.dosages(), DOSAGES[::-1])


def test_bitmaps_have_a_bit_per_variant_from_the_lowest(tmp_path: Path) -> None:
    found = matched(tmp_path, "1 a 0 2 A G\n1 a 0 9 A G\n", "".join(f"1 a 0 {at} A G\n" for at in range(1, 11)))

    assert found.bitmap(PRESENT) == bytes([0b00000010, 0b00000001])
    assert found.present_at(np.arange(len(found.status))).nonzero()[0].tolist() == [1, 8]


def naive_status(file: list[tuple[int, str, str]], wanted: tuple[int, str, str]) -> int:
    position, alt, ref = wanted
    here = [(a1, a2) for at, a1, a2 in file if at == position]
    if (alt, ref) in here or (ref, alt) in here:
        first = next(pair for pair in here if pair in ((alt, ref), (ref, alt)))
        return PRESENT if first == (alt, ref) else SWAPPED
    return ALLELES_DIFFER if here else ABSENT


VARIANT = st.tuples(st.integers(1, 4), st.sampled_from("ACG"), st.sampled_from("ACG")).filter(lambda v: v[1] != v[2])


@settings(max_examples=60)
@given(st.lists(VARIANT, min_size=1, max_size=8), st.lists(VARIANT, min_size=1, max_size=8))
def test_matching_is_the_naive_one(
    tmp_path_factory: pytest.TempPathFactory, file: list[tuple[int, str, str]], panel: list[tuple[int, str, str]]
) -> None:
    text, other = ("".join(f"7 . 0 {at} {a1} {a2}\n" for at, a1, a2 in some) for some in (file, panel))

    found = matched(tmp_path_factory.mktemp("match"), text, other)

    assert found.status.tolist() == [naive_status(file, wanted) for wanted in panel]


@st.composite
def variants(draw: st.DrawFn) -> Panel:
    """Variants of few places and alleles, unseen and equal ones among them; often several at one place."""
    position = draw(st.lists(st.integers(0, 12), min_size=1, max_size=12))
    alleles = ("A", "C", "g", "0")
    pair = st.tuples(st.integers(0, 3), st.integers(0, 3))
    pairs = draw(st.lists(pair, min_size=len(position), max_size=len(position)))
    return Panel(
        chromosome=np.ones(len(position), np.uint8),
        position=np.array(position, np.int64),
        ids=pa.array([f"v{i}" for i in range(len(position))], pa.large_string()),
        ref=np.array([pair[0] for pair in pairs], np.int32),
        alt=np.array([pair[1] for pair in pairs], np.int32),
        alleles=alleles,
    )


@pytest.mark.parametrize("stretch", [1, 3, 100])
@given(file=variants(), panel=variants())
@settings(max_examples=300)
def test_panels_are_matched_stretch_by_stretch_as_by_joins_of_all(stretch: int, file: Panel, panel: Panel) -> None:
    file_codes, panel_codes = matching._common_codes(file, panel)
    wanted, offered = matching.Side(panel, panel_codes), matching.Side(file, file_codes)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scratch, "SLICE", stretch)
        found = match(file, panel)
    expected = joined(*(side.candidates(np.arange(len(side))) for side in (wanted, offered)))

    assert found.status.tolist() == expected.status.tolist()
    assert found.rows.tolist() == expected.rows.tolist()
    assert found.ambiguous == expected.ambiguous
