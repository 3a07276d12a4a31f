"""PLINK filesets: every fault is found and listed; blocks are what a naive reader finds."""

import gzip
import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedstats.errors import Failed, ProtocolRefused
from fedstats.genotypes import pack
from fedstats.planning.panel_files import read_panel
from node_agent.datasets.faults import DatasetFaults
from node_agent.datasets.plink import bind, register

from .filesets import BIM, DATA, DOSAGES, FAM, bed_bytes, naive_dosages, write_fileset

GOOD = bed_bytes(DOSAGES)


def faults(path: Path) -> DatasetFaults:
    with pytest.raises(DatasetFaults) as caught:
        register(path)
    return caught.value


def test_blocks_are_the_dosages_of_the_file(tmp_path: Path) -> None:
    path = write_fileset(tmp_path)

    genotypes = bind(register(path), read_panel(path.with_suffix(".bim")))

    assert np.array_equal(genotypes.block(np.array([2, 0])).dosages(), DOSAGES[[2, 0]])
    assert genotypes.fileset.people.sex.tolist() == [1, 2, 0, 1, 2]
    assert genotypes.fileset.warnings == ()


@settings(max_examples=40)
@given(st.integers(1, 13), st.integers(1, 7), st.integers(0, 2**32))
def test_any_fileset_reads_as_naively(
    tmp_path_factory: pytest.TempPathFactory, people: int, variants: int, seed: int
) -> None:
    dosages = np.random.default_rng(seed).integers(-1, 3, (variants, people)).astype(np.int8)
    bim = "".join(f"1\tv{j}\t0\t{j + 1}\tA\tG\n" for j in range(variants))
    fam = "".join(f"F{i} P{i} 0 0 0 -9\n" for i in range(people))
    path = write_fileset(tmp_path_factory.mktemp("any"), bed=bed_bytes(dosages), bim=bim, fam=fam)

    block = bind(register(path), read_panel(path.with_suffix(".bim"))).block(np.arange(variants))

    assert np.array_equal(block.dosages(), naive_dosages(path.read_bytes(), people))
    assert np.array_equal(block.dosages(), pack(dosages).dosages())


@pytest.mark.parametrize(
    ("changed", "code", "words"),
    [
        ({"bed": b""}, "bed: EMPTY", "the file is empty"),
        ({"bed": b"\x00\x01\x01" + GOOD[3:]}, "bed: BAD_MAGIC", "begins with 0001"),
        ({"bed": b"\x6c\x1b\x00" + GOOD[3:]}, "bed: NOT_VARIANT_MAJOR", "sample-major"),
        ({"bed": GOOD[:-1]}, "bed: TRUNCATED", "8 bytes where 3 variants of 5 people take 9"),
        ({"bed": GOOD + b"\0"}, "bed: TOO_LONG", "10 bytes where 3 variants of 5 people take 9"),
        ({"bim": ""}, "bim: EMPTY", "the file is empty"),
        ({"bim": BIM.replace("\tT\n", "\n")}, "bim: RAGGED", "line 2: 5 cells where 6"),
        ({"bim": BIM.replace("50", "5x")}, "bim: BAD_POSITION", "line 3: the position"),
        ({"bim": BIM.replace("\t", ",")}, "bim: COLUMNS", "1 columns where 6 or 5"),
        ({"bim": BIM.replace("\tA\tG", "\t\tG")}, "bim: EMPTY_CELL", "line 1: ALT is empty"),
        ({"fam": " \n"}, "fam: EMPTY", "the file is empty"),
        ({"fam": FAM.replace("F3 P3 0 0 0 -9", "F3 P3 0 0 0")}, "fam: RAGGED", "line 3: 5 cells where 6"),
        ({"fam": FAM.replace("0 0 ", "")}, "fam: COLUMNS", "4 columns where 6 or 5"),
        ({"fam": FAM.replace("F4 P4", "F1 P1")}, "fam: DUPLICATE_PEOPLE", "line 4: family and individual"),
        ({"fam": FAM.replace("F4 P4", "F4 0")}, "fam: NO_IDENTIFIER", "line 4"),
        ({"fam": FAM.replace("P4", "P4\udce9")}, "fam: NOT_TEXT", "not UTF-8"),
    ],
)
def test_each_fault_is_named_with_its_line(tmp_path: Path, changed: dict[str, object], code: str, words: str) -> None:
    path = write_fileset(tmp_path)
    for role, content in changed.items():
        body = content if isinstance(content, bytes) else str(content).encode("utf-8", "surrogateescape")
        path.with_suffix(f".{role}").write_bytes(body)

    error = faults(path)

    assert code + " (1)" in error.public_faults
    assert words in str(error)


def test_all_faults_of_all_files_are_listed_at_once(tmp_path: Path) -> None:
    path = write_fileset(tmp_path, bed=b"\x00\x00\x01", bim=BIM.replace("100", "x").replace("200", "y"), fam=FAM + FAM)

    error = faults(path)

    assert error.public_faults == ("bim: BAD_POSITION (2)", "fam: DUPLICATE_PEOPLE (5)", "bed: BAD_MAGIC (1)")
    assert "has 3 faults" in str(error)


def test_public_faults_hold_no_name_line_or_value(tmp_path: Path) -> None:
    path = write_fileset(tmp_path, fam=FAM.replace("F4 P4", "F1 P1"))

    text = " ".join(faults(path).public_faults)

    assert all(word not in text for word in ("P1", "F1", str(tmp_path), "line", "data"))


@pytest.mark.parametrize("role", ["bed", "bim", "fam"])
def test_missing_file_is_a_fault(tmp_path: Path, role: str) -> None:
    path = write_fileset(tmp_path)
    path.with_suffix(f".{role}").unlink()

    assert f"{role}: UNREADABLE (1)" in faults(path).public_faults


def test_compressed_file_is_a_fault(tmp_path: Path) -> None:
    path = write_fileset(tmp_path)
    path.with_suffix(".bim").write_bytes(gzip.compress(BIM.encode()))

    assert "bim: COMPRESSED (1)" in faults(path).public_faults


def test_other_suffix_is_a_fault(tmp_path: Path) -> None:
    assert faults(tmp_path / "data.pgen").public_faults == ("bed: NOT_BED (1)",)


def test_duplicate_identifiers_unplaced_variants_and_dirty_padding_only_warn(tmp_path: Path) -> None:
    dirty = bytearray(GOOD)
    dirty[4] |= 0b01000000
    path = write_fileset(tmp_path, bed=bytes(dirty), bim=BIM.replace("rs2", "rs1").replace("2\trs3", "0\trs3"))

    assert register(path).warnings == (
        "bim: 1 variants have an identifier that was there before",
        "bim: 1 variants have no known chromosome or position and match nothing",
        "bed: the unused bits at the end of 1 variants are not zero",
    )


def test_variants_none_of_which_has_a_place_are_a_fault(tmp_path: Path) -> None:
    unplaced = BIM.replace("1\trs1", "0\trs1").replace("1\trs2", "chrUn\trs2").replace("\t50\t", "\t0\t")

    assert faults(write_fileset(tmp_path, bim=unplaced)).public_faults == ("bim: NO_PLACED_VARIANT (3)",)


@pytest.mark.parametrize("style", ["windows", "spaces", "blank lines", "byte order mark", "five columns"])
def test_habits_of_other_programs_are_read_alike(tmp_path: Path, style: str) -> None:
    bim, fam = {
        "windows": (BIM.replace("\n", "\r\n"), FAM.replace("\n", "\r\n")),
        "spaces": ("  " + BIM.replace("\t", "   ").replace("\n", " \n"), FAM.replace(" ", " \t ")),
        "blank lines": (BIM + "\n  \n", "\n" + FAM),
        "byte order mark": ("\ufeff" + BIM, "\ufeff" + FAM),
        "five columns": (BIM.replace("\t0\t", "\t"), FAM.replace(" -9", "")),
    }[style]
    path = write_fileset(tmp_path / "other", bim=bim, fam=fam)

    fileset = register(path)

    assert fileset.people.individual_ids.tolist() == ["P1", "P2", "P3", "P4", "P5"]
    assert fileset.variants.frame().equals(read_panel(write_fileset(tmp_path).with_suffix(".bim")).frame())


@pytest.mark.parametrize("role", ["bed", "bim", "fam"])
def test_file_that_changes_after_registration_stops_the_run(tmp_path: Path, role: str) -> None:
    path = write_fileset(tmp_path)
    genotypes = bind(register(path), read_panel(path.with_suffix(".bim")))
    os.utime(path.with_suffix(f".{role}"), ns=(1, 1))

    with pytest.raises(Failed, match=f"the .{role} file .* changed") as caught:
        genotypes.block(np.array([0]))

    assert caught.value.code == "FILE_CHANGED"


def test_replaced_file_stops_the_run(tmp_path: Path) -> None:
    path = write_fileset(tmp_path)
    genotypes = bind(register(path), read_panel(path.with_suffix(".bim")))
    before = path.stat()
    other = tmp_path / "other"
    other.write_bytes(GOOD)
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)

    with pytest.raises(Failed, match="changed"):
        genotypes.block(np.array([0]))


def test_removed_file_stops_the_run(tmp_path: Path) -> None:
    path = write_fileset(tmp_path)
    genotypes = bind(register(path), read_panel(path.with_suffix(".bim")))
    path.unlink()

    with pytest.raises(Failed, match="changed"):
        genotypes.block(np.array([0]))


def test_variant_that_is_not_there_is_refused(tmp_path: Path) -> None:
    path = write_fileset(tmp_path)
    panel = tmp_path / "panel.bim"
    panel.write_text(BIM + "3 rs9 0 1 A G\n".replace(" ", "\t"))

    genotypes = bind(register(path), read_panel(panel))

    with pytest.raises(ProtocolRefused, match="1 of the variants"):
        genotypes.block(np.array([0, 3]))


@pytest.mark.skipif(not DATA.exists(), reason="the folder with real genotypes is not beside this checkout")
def test_real_fileset_has_plinks_frequencies() -> None:
    fileset = register(DATA / "hm3.bed")
    assert fileset.packed.shape == (14_389, 240)
    assert len(fileset.people) == 957
    panel = read_panel(DATA / "hm3.bim")

    dosage = bind(fileset, panel).block(np.arange(len(panel))).dosages().astype(np.int64)

    # plink2 --freq: autosomes and XY count all people, X counts a male's allele once, MT everybody once.
    weight = np.full(dosage.shape, 2)
    weight[(panel.kinds == 1)[:, None] & (fileset.people.sex == 1)] = 1
    weight[panel.kinds == 3] = 1
    called = dosage >= 0
    alleles = (weight * called).sum(axis=1)
    frequency = (weight * np.where(called, dosage, 0)).sum(axis=1) / 2 / alleles
    with gzip.open(DATA / "ref" / "all.afreq.gz") as file:
        plink = pl.read_csv(file.read(), separator="\t", infer_schema_length=None)
    assert panel.frame()["ID"].to_list() == plink["ID"].to_list()
    assert alleles.tolist() == plink["OBS_CT"].to_list()
    np.testing.assert_allclose(frequency, plink["ALT_FREQS"], rtol=6e-6)  # six printed digits
