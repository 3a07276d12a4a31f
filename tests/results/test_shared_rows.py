"""What traits have in common is written out once, and nobody can tell from the files."""

import gzip
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fedstats.results import lines
from fedstats.results.association_lines import association_lines
from fedstats.results.association_writer import AssociationWriter, RowAssembler
from fedstats.results.associations import TraitKind
from fedstats.results.columns import PANEL_COLUMNS, Kind
from fedstats.results.decimal_text import text_of_probabilities
from fedstats.results.shared_rows import SHARED_COLUMNS, SharedBatch, SharedRows, with_plain_levels
from tests.results.rows import cut, random_rows

VARIANTS = 70_000  # more than one batch
ARMS = {"CASE_CT": np.arange(500) - 1, "CTRL_CT": np.arange(500) * 10**6, "CASE_FREQ": 0.25, "CTRL_FREQ": np.nan}


def traits(variants: int) -> tuple[dict, dict[str, dict]]:
    """A panel, and rows of two traits that share the very arrays that do not depend on the trait."""
    panel, first = random_rows(variants, seed=1)
    _, second = random_rows(variants, seed=2)
    shared = {name: first[name] for name in SHARED_COLUMNS if name not in PANEL_COLUMNS and name in first}
    return panel, {"q1": first, "q2": {**second, **shared}}


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def write(folder: Path, panel: dict, rows: dict[str, dict], *, chunk: int, apart: bool) -> dict[str, bytes]:
    """Write traits chunk by chunk, with shared rows in common or each for itself."""
    folder.mkdir()
    common = SharedRows(panel)
    writers = {
        name: AssociationWriter(folder / "out", name, "quantitative", SharedRows(panel) if apart else common)
        for name in rows
    }
    for start in range(0, VARIANTS, chunk):
        place = np.arange(start, min(start + chunk, VARIANTS))
        pieces = {name: cut(values, start, start + chunk) for name, values in rows.items()}
        for name, piece in pieces.items():
            own = {name: values for name, values in piece.items() if name not in SHARED_COLUMNS}
            writers[name].append({**pieces["q1"], **own}, place)
    for writer in writers.values():
        writer.close()
    return files(folder)


def test_files_are_those_of_traits_that_share_nothing(tmp_path):
    panel, rows = traits(VARIANTS)

    together = write(tmp_path / "together", panel, rows, chunk=30_000, apart=False)
    apart = write(tmp_path / "apart", panel, rows, chunk=65_000, apart=True)

    assert together == apart
    assert together["out.q1.parquet"] != together["out.q2.parquet"]


def test_a_trait_with_counts_of_its_own_keeps_them(tmp_path):
    panel, rows = random_rows(100)
    shared = SharedRows(panel)
    for name, people in (("q1", 500), ("q2", 400)):
        with AssociationWriter(tmp_path / "out", name, "quantitative", shared) as writer:
            writer.append({**rows, "OBS_CT": np.full(100, people)})

    found = [pl.read_parquet(tmp_path / f"out.{name}.parquet")["OBS_CT"].unique().to_list() for name in ("q1", "q2")]
    assert found == [[500], [400]]


@pytest.mark.parametrize("kind", ["quantitative", "binary"])
def test_lines_of_a_trait_are_those_of_its_whole_table(kind: TraitKind):
    panel, rows = random_rows(500)
    rows["BETA"][3], rows["LOG10P"][3] = np.nan, np.nan
    rows["LOG10P"][4:6] = 400.0, 305.0
    rows["STATUS"] = np.where(np.arange(500) == 3, "LOW_MAC", "OK")
    arms = ARMS if kind == "binary" else {}
    assembler = RowAssembler(kind, SharedRows(panel))
    chunk = assembler.chunk({**rows, **arms})
    plain = RowAssembler(kind, SharedRows(panel)).rows({**rows, **arms})
    p = text_of_probabilities(plain["LOG10P"].to_numpy())
    plain = plain.set_column(plain.schema.get_field_index("P"), "P", p)

    body = association_lines(SharedBatch(with_plain_levels(chunk.shared)), with_plain_levels(chunk.own))

    assert bytes(body) == bytes(lines.lines(plain))
    assert "\t1e-400\t" in bytes(body).decode()


def test_readers_see_text_and_the_name_of_the_trait_and_no_codes(tmp_path):
    panel, rows = random_rows(10)
    with AssociationWriter(tmp_path / "out", "q1", "quantitative", SharedRows(panel)) as writer:
        writer.append(rows)

    schema = pq.read_schema(tmp_path / "out.q1.parquet")
    texts = [name for name, kind in {**SHARED_COLUMNS, "TEST": Kind.LEVELS, "STATUS": Kind.LEVELS}.items()
             if kind in (Kind.LEVELS, Kind.TEXT)]  # fmt: skip
    assert {schema.field(name).type for name in texts} == {pa.string()}
    assert schema.metadata[b"fedstats.trait"] == b"q1"


def test_row_groups_say_where_to_look_for_a_region_and_for_small_p(tmp_path):
    panel, rows = random_rows(VARIANTS)
    with AssociationWriter(tmp_path / "out", "q1", "quantitative", SharedRows(panel)) as writer:
        writer.append(rows)

    group = pq.ParquetFile(tmp_path / "out.q1.parquet").metadata.row_group(1)
    limits = {group.column(i).path_in_schema: group.column(i).statistics for i in range(group.num_columns)}
    assert (limits["POS"].min, limits["POS"].max) == (panel["POS"][65_536], panel["POS"][-1])
    assert limits["LOG10P"].max == rows["LOG10P"][65_536:].max()


def test_levels_that_do_not_occur_are_not_written(tmp_path):
    panel, rows = random_rows(4)
    panel["CHROM"] = pa.DictionaryArray.from_arrays(np.array([2, 2, 1, 1]), ["X", "1", "22", ""])
    with AssociationWriter(tmp_path / "out", "q1", "quantitative", SharedRows(panel)) as writer:
        writer.append(rows)

    text = gzip.decompress((tmp_path / "out.q1.tsv.gz").read_bytes()).decode().splitlines()
    assert [line.split("\t")[0] for line in text[1:]] == ["22", "22", "1", "1"]
    assert writer.close().points.chromosomes == ("22", "1")
