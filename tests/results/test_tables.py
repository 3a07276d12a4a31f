"""Tables as PLINK2 has them."""

import gzip

import numpy as np
import pytest

from fedstats.errors import Failed
from fedstats.results.tables import SUFFIXES, TableWriter, plain_schema
from tests.results.rows import REFERENCE, needs_data, plink_table


def lines(path) -> list[list[str]]:
    return [line.split("\t") for line in gzip.decompress(path.read_bytes()).decode().splitlines()]


@needs_data
@pytest.mark.parametrize(
    ("suffix", "reference", "ours"),
    [
        ("afreq.tsv.gz", "all.afreq.gz", ["STATUS"]),
        ("hardy.tsv.gz", "all.hardy.gz", ["MIDP", "P_STRAT", "STATUS"]),
        ("hardy.x.tsv.gz", "all.hardy.x.gz", ["MIDP", "P_STRAT", "STATUS"]),
        ("vmiss.tsv.gz", "all.vmiss.gz", ["STATUS"]),
    ],
)
def test_columns_are_plink2s_and_then_ours(suffix, reference, ours):
    with gzip.open(REFERENCE / reference, "rt") as file:
        plinks = file.readline().split()

    assert plain_schema(suffix) == plinks + ours


@needs_data
def test_what_plink2_prints_is_printed_alike(tmp_path):
    reference = plink_table("all.afreq.gz")
    columns = {name: reference[name].astype(object) for name in ("ID", "REF", "ALT")}

    with TableWriter(tmp_path / "out", "afreq.tsv.gz") as writer:
        alleles = reference["OBS_CT"].astype(int)
        frequency = {"ALT_FREQS": reference["ALT_FREQS"].astype(float), "OBS_CT": alleles, "STATUS": "OK"}
        writer.append({"#CHROM": reference["CHROM"].astype(object), **columns, **frequency})

    rows = lines(tmp_path / "out.afreq.tsv.gz")[1:]
    assert [row[4] for row in rows] == list(reference["ALT_FREQS"])
    assert [row[1] for row in rows] == list(reference["ID"])


def test_a_withheld_row_is_na_with_its_status(tmp_path):
    row = {"#CHROM": "1", "ID": np.array(["rs1"]), "REF": "A", "ALT": "C"}

    with TableWriter(tmp_path / "out", "afreq.tsv.gz") as writer:
        writer.append({**row, "ALT_FREQS": np.array([np.nan]), "OBS_CT": np.array([-1]), "STATUS": "LOW_MAC"})

    assert lines(tmp_path / "out.afreq.tsv.gz")[1] == ["1", "rs1", "A", "C", "NA", "NA", "LOW_MAC"]


def test_a_p_value_given_as_log10_prints_below_the_smallest_double(tmp_path):
    names = SUFFIXES["hardy.tsv.gz"]
    row = {**dict.fromkeys(names, 1), "#CHROM": "1", "ID": np.array(["rs1"]), "A1": "A", "AX": "C", "STATUS": "OK"}

    with TableWriter(tmp_path / "out", "hardy.tsv.gz", probabilities=frozenset({"P"})) as writer:
        writer.append({**row, "P": np.array([500.0]), "MIDP": 0.5, "P_STRAT": 0.25})

    assert lines(tmp_path / "out.hardy.tsv.gz")[1][-4:] == ["1e-500", "0.5", "0.25", "OK"]


def test_an_error_leaves_no_table(tmp_path):
    with pytest.raises(Failed, match="unknown columns"), TableWriter(tmp_path / "out", "variants.tsv.gz") as writer:
        writer.append({"CHROM": np.array(["1"]), "WHY": "x"})

    assert list(tmp_path.iterdir()) == []


def test_a_table_without_rows_has_its_header(tmp_path):
    TableWriter(tmp_path / "out", "variants.tsv.gz").close()

    assert lines(tmp_path / "out.variants.tsv.gz") == [
        ["CHROM", "POS", "ID", "REF", "ALT", "REASON", "NODES", "RESULTS"]
    ]
