"""The variant panel: reading, names of chromosomes, digest, selection."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedstats import scratch
from fedstats.errors import DataError, ProtocolRefused, UsageError
from fedstats.planning import panel_files
from fedstats.planning.long_panels import joined_panels
from fedstats.planning.panel import CHROMOSOMES, chromosome_code
from fedstats.planning.panel_files import read_panel, read_variants
from fedstats.planning.selection import parse_chromosomes, select
from fedstats.study import KINDS
from fedstats.wire import blobs
from fedstats.wire.blobs import panel_from_bytes, panel_to_bytes, variants_from_bytes, variants_to_bytes

BIM = (
    "1\trs1\t0\t100\tA\tG\n22\trs2\t0\t5\tT\tC\n23\trs3\t0\t7\tC\tA\n"
    "25\trs4\t0\t9\tAT\tA\n24\t.\t0\t3\tA\tC\n26\trs6\t0\t2\tG\tA\n"
)


def write(folder: Path, text: str, name: str = "panel.bim") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def test_bim_gives_alt_from_column_5_and_ref_from_column_6(tmp_path: Path) -> None:
    panel = read_panel(write(tmp_path, BIM))

    assert panel.frame().rows()[0] == ("1", 100, "rs1", "G", "A")
    assert panel.frame()["CHROM"].to_list() == ["1", "22", "X", "XY", "Y", "MT"]
    assert [KINDS[kind] for kind in panel.kinds] == ["autosome", "autosome", "x", "autosome", "y", "mt"]


def test_header_table_gives_the_same_panel_and_digest(tmp_path: Path) -> None:
    bim = read_panel(write(tmp_path, BIM))
    table = "##a comment\n#CHROM POS ID REF ALT\nchr1 100 rs1 G A\nchr22 5 rs2 C T\nchrX 7 rs3 A C\nPAR1 9 rs4 A AT\n"
    table += "Y 3 . C A\nchrM 2 rs6 A G\n"

    found = read_panel(write(tmp_path, table, "panel.tsv"))

    assert found.frame().equals(bim.frame())
    assert found.digest() == bim.digest()


@pytest.mark.parametrize("part", [1, 40, 1 << 20])
@pytest.mark.parametrize("name", ["panel.bim", "panel.tsv"])
def test_large_file_that_is_read_by_parts_gives_the_same_panel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, part: int
) -> None:
    lines = [f"{1 + i % 23} rs{i} 0 {i * 7} {'ACGT'[i % 4]} {'CGTA'[i % 3]}\n" for i in range(500)]
    if name == "panel.tsv":
        lines = ["##a comment\n", "#CHROM ID CM POS ALT REF\n", *lines]
    path = write(tmp_path, "".join(lines), name)
    whole = read_panel(path)

    monkeypatch.setattr(panel_files, "_PART_BYTES", part)
    if part < path.stat().st_size:
        monkeypatch.delattr(panel_files, "read_delimited")  # the whole is not read again
    found = read_panel(path)

    assert found.frame().equals(whole.frame())
    assert (found.digest(), found.left_out, len(found)) == (whole.digest(), 1, 499)


@pytest.mark.parametrize(
    "text",
    [
        BIM * 5 + "1 rs9 0 17 A\n" + BIM,
        BIM * 5 + "1 rs9 0 here A C\n" + BIM + "1 rs9 0 there A C\n",
        BIM * 5 + "1 rs9 17 A C\n" * 3,
        "1 rs9 17 A C\n" * 3 + BIM * 5,
        "\n" * 300 + BIM,
        "##only\n##comments\n" * 20,
        "#CHROM POS ID REF\n" + "1 2 3 4\n" * 50,
        "##a\n#CHROM POS ID REF ALT\n",
        BIM * 5 + "1\trs9\t0\t17\t\tC\n",
    ],
)
def test_what_is_wrong_with_a_large_file_is_said_as_of_a_small_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    path = write(tmp_path, text)

    def outcome() -> object:
        variants, faults = read_variants(path, "panel")
        return faults if variants is None else (faults, variants.digest())

    whole = outcome()
    monkeypatch.setattr(panel_files, "_PART_BYTES", 20)

    assert outcome() == whole


def test_digest_is_sha256_of_the_documented_lines(tmp_path: Path) -> None:
    panel = read_panel(write(tmp_path, "1 rs1 0 100 A G\nX rs2 0 5 T C\n"))
    lines = [b"1\t100\trs1\tG\tA\n", b"X\t5\trs2\tC\tT\n"]

    assert panel.digest() == hashlib.sha256(b"".join(lines)).hexdigest()
    assert list(panel.lines(block=1)) == lines


def test_panel_comes_back_from_its_bytes(tmp_path: Path) -> None:
    panel = read_panel(write(tmp_path, BIM))

    found = panel_from_bytes(b"".join(panel_to_bytes(panel)))

    assert found.frame().equals(panel.frame())
    assert found.digest() == panel.digest()


def test_panel_comes_back_from_bytes_of_many_blocks_and_of_long_lines(tmp_path: Path) -> None:
    alleles = ["A", "C", "G", "T", "AT", "ACGT"]
    rows = [f"{1 + n // 150_000} v{n:07d} 0 {n + 1} {alleles[n % 5]} {alleles[n // 150_000]}" for n in range(300_000)]
    many = read_panel(write(tmp_path, "\n".join(rows)))
    inserted = read_panel(write(tmp_path, f"1 rs1 0 100 A G\n1 rs2 0 101 {'ACGT' * (1 << 21)} A\n", "long.bim"))

    for panel in (many, inserted):
        body = b"".join(panel_to_bytes(panel))
        assert len(body) > 1 << 22
        found = panel_from_bytes(body)

        assert found.digest() == panel.digest()
        assert sorted(found.alleles) == sorted(panel.alleles)


@pytest.mark.parametrize(
    "body",
    [
        b"1\t100\trs1\tG\tA\n\n",
        b"1\t100\trs1\tG\n",
        b"1\tfar\trs1\tG\tA\n",
        b"1\t100\trs1\t\tA\n",
        b"GL000\t100\trs1\tG\tA\n",
        b"1\t100\t\xff\tG\tA\n",
        b"",
    ],
    ids=["blank line", "four cells", "no number", "no allele", "no chromosome", "not UTF-8", "nothing"],
)
def test_bytes_that_are_no_panel_are_refused(body: bytes) -> None:
    with pytest.raises(ProtocolRefused):
        panel_from_bytes(body)


def test_digest_changes_with_an_allele(tmp_path: Path) -> None:
    one = read_panel(write(tmp_path, BIM)).digest()

    assert read_panel(write(tmp_path, BIM.replace("A\tG\n22", "A\tT\n22"))).digest() != one


def test_variants_without_place_are_left_out_and_counted(tmp_path: Path) -> None:
    panel = read_panel(write(tmp_path, "0 a 0 100 A G\n1 b 0 0 A G\n1 c 0 5 A G\nGL000 d 0 5 A G\n"))

    assert panel.frame()["ID"].to_list() == ["c"]
    assert panel.left_out == 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("1 rs1 0 100 A\n1 rs2 0 101 A G\n", "line 2: 6 cells where 5 are expected"),
        ("1 rs1 0 abc A G\n\n1 rs2 0 5000000000 A G\n", "lines 1, 3: the position is not a base pair"),
        ("1 rs1 100\n", "has 3 columns where 6 or 5 are expected"),
        ("CHROM POS ID REF\n1 1 a A\n", "lacks one of CHROM POS ID REF ALT"),
        ("1\trs1\t0\t100\t\tG\n", "ALT is empty"),
        ("0 rs1 0 100 A G\n", "no variant has a known chromosome"),
        ("\x1f\x8bxxxx", "gzip|UTF-8"),
    ],
)
def test_faulty_panel_is_refused_with_the_fault(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "panel.bim"
    path.write_bytes(text.encode("latin-1"))

    with pytest.raises(DataError, match=words):
        read_panel(path)


def test_missing_panel_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        read_panel(tmp_path / "nothing.bim")


@pytest.mark.parametrize(
    ("name", "code"),
    [("1", 1), ("chr22", 22), ("CHRX", 23), ("x", 23), ("24", 24), ("XY", 25), ("chrM", 26), ("MT", 26), ("27", 0)],
)
def test_chromosome_names_have_their_code(name: str, code: int) -> None:
    assert chromosome_code(name) == code


@pytest.mark.parametrize("code", range(1, 27))
def test_printed_chromosome_names_read_back(code: int) -> None:
    assert chromosome_code(CHROMOSOMES[code]) == code


def test_ranges_and_names_of_chromosomes_add_up() -> None:
    assert parse_chromosomes("1-3,chrX, 25") == [1, 2, 3, 23, 25]


@pytest.mark.parametrize("text", ["1-22,Q", "chr99", "5-2", "1-", ","])
def test_unknown_chromosomes_are_named(text: str) -> None:
    with pytest.raises(UsageError, match="--chr"):
        parse_chromosomes(text)


def test_selection_counts_what_each_option_leaves_out(tmp_path: Path) -> None:
    panel = read_panel(write(tmp_path, BIM))

    found = select(panel, "1-22,X,XY,Y,3", extract=["rs1", "rs2", "rs3", "nobody"], exclude={"rs2", "no", "one"})

    assert found.variants.tolist() == [0, 2]
    assert found.left_out == {"chr": 1, "extract": 2, "exclude": 1}
    assert len(found.warnings) == 3
    assert "the panel has no variant on 2, 3, 4" in found.warnings[0]
    assert found.warnings[1:] == (
        "--extract: 1 identifiers are not in the panel",
        "--exclude: 2 identifiers are not in the panel",
    )


def test_selection_of_everything_is_everything(tmp_path: Path) -> None:
    assert select(read_panel(write(tmp_path, BIM))).variants.tolist() == list(range(6))


def test_empty_selection_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no variant is left"):
        select(read_panel(write(tmp_path, BIM)), extract=["nobody"])


def test_panel_keeps_numbers_in_arrays(tmp_path: Path) -> None:
    panel = read_panel(write(tmp_path, BIM))

    dtypes = {panel.chromosome.dtype, panel.position.dtype, panel.ref.dtype, panel.alt.dtype}
    assert dtypes == {np.dtype("u1"), np.dtype("i8"), np.dtype("i4")}


@given(st.lists(st.integers(0, 9), max_size=12), st.booleans(), st.integers(1, 7))
def test_the_longest_line_is_found_however_the_text_is_cut(lengths: list[int], ends: bool, block: int) -> None:
    body = b"\n".join(b"x" * length for length in lengths) + b"\n" * ends

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(blobs, "_BLOCK_BYTES", block)
        found = blobs._longest_line(body)

    # With its end, which the last line may lack.
    assert found == max(len(line) for line in body.split(b"\n")) + 1


@pytest.mark.parametrize("stretch", [1, 2, 100])
@pytest.mark.parametrize("listed", [[0, 2, 2, 5], [0, 1, 3, 2], [-1, 0, 1, 2], [0, 1, 2, 6]])
def test_a_list_of_variants_increases_within_the_panel(
    monkeypatch: pytest.MonkeyPatch, stretch: int, listed: list[int]
) -> None:
    monkeypatch.setattr(scratch, "SLICE", stretch)
    body = variants_to_bytes(np.array(listed))

    with pytest.raises(ProtocolRefused, match="does not increase within the panel"):
        variants_from_bytes(body, panel_size=6)
    assert variants_from_bytes(variants_to_bytes(np.array([0, 2, 4, 5])), panel_size=6).tolist() == [0, 2, 4, 5]
    assert variants_from_bytes(variants_to_bytes(np.zeros(0, np.int64)), panel_size=6).tolist() == []


@pytest.mark.parametrize("held_bytes", [0, 1 << 22])
def test_parts_of_longer_columns_are_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held_bytes: int) -> None:
    monkeypatch.setattr(scratch, "HELD_BYTES", held_bytes)
    whole = read_panel(write(tmp_path, BIM))
    # A part that Arrow cuts from a column keeps all characters of the column.
    parts = [
        replace(whole.take(np.arange(first, last)), ids=whole.ids[first:last])
        for first, last in ((0, 2), (2, 2), (2, 6))
    ]

    found = joined_panels(parts)

    assert found.frame().equals(whole.frame())
    assert found.digest() == whole.digest()
