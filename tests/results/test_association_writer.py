"""Result files: exact columns, the same bytes however rows are chunked, and nothing half-written."""

import errno
import gzip
import io
import tracemalloc
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from fedstats.errors import Failed
from fedstats.results import quantiles, table_writers, thinning
from fedstats.results.association_writer import AssociationWriter
from fedstats.results.associations import Associations
from fedstats.results.files import open_for_writing
from fedstats.results.shared_rows import SharedRows
from tests.results.rows import cut, random_rows

HEADER = "CHROM POS ID REF ALT A1 A1_FREQ A1_CT OBS_CT MISSING_CT MISSING BETA SE STAT LOG10P P TEST STATUS NODES"
BINARY = {"CASE_CT": 200, "CTRL_CT": 300, "CASE_FREQ": 0.25, "CTRL_FREQ": 0.125}


class FullDisk(io.BufferedWriter):
    """A file on a disk with room for a given number of bytes."""

    def __init__(self, path: Path, room: int) -> None:
        super().__init__(io.FileIO(path, "w"))
        self._room = room

    def write(self, body) -> int:
        self._room -= memoryview(body).nbytes
        if self._room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(body)


def written(folder: Path, panel, rows, *, chunk: int) -> tuple[bytes, bytes]:
    writer = AssociationWriter(folder / "out", "q1", "quantitative", SharedRows(panel))
    for start in range(0, len(rows["LOG10P"]), chunk):
        writer.append(cut(rows, start, start + chunk))
    writer.close()
    return writer.text_path.read_bytes(), writer.parquet_path.read_bytes()


def write_to_disk(folder: Path, panel, rows, *, open_file=open_for_writing) -> None:
    with AssociationWriter(folder / "out", "q1", "quantitative", SharedRows(panel), open_file=open_file) as writer:
        writer.append(rows)


def close_and_fail(writer: AssociationWriter, rows) -> None:
    writer.append(rows)
    assert writer.close() is writer.close()
    raise KeyError


def text_lines(path: Path) -> list[str]:
    return gzip.decompress(path.read_bytes()).decode().splitlines()


def test_text_has_exactly_the_documented_columns(tmp_path):
    panel, rows = random_rows(3)

    written(tmp_path, panel, rows, chunk=3)

    assert text_lines(tmp_path / "out.q1.tsv.gz")[0].split("\t") == HEADER.split()


def test_binary_trait_adds_counts_and_frequencies_by_arm(tmp_path):
    panel, rows = random_rows(3)

    with AssociationWriter(tmp_path / "out", "b1", "binary", SharedRows(panel)) as writer:
        writer.append({**rows, **BINARY})

    lines = text_lines(tmp_path / "out.b1.tsv.gz")
    assert lines[0].split("\t") == [*HEADER.split(), "CASE_CT", "CTRL_CT", "CASE_FREQ", "CTRL_FREQ"]
    assert lines[1].split("\t")[-4:] == ["200", "300", "0.25", "0.125"]


def test_a_row_is_printed_with_eight_digits_and_na(tmp_path):
    panel, rows = random_rows(1)
    rows |= {"A1_FREQ": np.array([1 / 3]), "A1_CT": np.array([-1]), "BETA": np.array([np.nan]), "MISSING": ""}
    rows |= {"SE": np.array([123456789.0]), "STAT": np.array([-0.00001234]), "LOG10P": np.array([2.0])}

    written(tmp_path, panel, rows, chunk=1)

    cells = dict(zip(HEADER.split(), text_lines(tmp_path / "out.q1.tsv.gz")[1].split("\t"), strict=True))
    shown = [cells[name] for name in ("A1_FREQ", "A1_CT", "MISSING", "BETA", "SE", "STAT", "LOG10P", "P")]
    # printf("%.8g") of each value; a negative count is a withheld one
    assert shown == ["0.33333333", "NA", "NA", "NA", "1.2345679e+08", "-1.234e-05", "2", "0.01"]


def test_bytes_do_not_depend_on_how_rows_are_chunked(tmp_path):
    panel, rows = random_rows(70_000)  # more than one batch

    whole = written(tmp_path, panel, rows, chunk=70_000)

    assert written(tmp_path, panel, rows, chunk=9_999) == whole


def test_parquet_holds_full_doubles_and_nulls(tmp_path):
    panel, rows = random_rows(100)
    rows["BETA"][7] = np.nan

    written(tmp_path, panel, rows, chunk=30)

    frame = pl.read_parquet(tmp_path / "out.q1.parquet")
    assert frame.columns == HEADER.split()
    assert np.flatnonzero(frame["BETA"].is_null().to_numpy()).tolist() == [7]
    assert np.array_equal(frame["BETA"].to_numpy(), rows["BETA"], equal_nan=True)


def test_text_reads_back_as_the_same_table(tmp_path):
    panel, rows = random_rows(1000)

    written(tmp_path, panel, rows, chunk=300)

    text = pl.read_csv(tmp_path / "out.q1.tsv.gz", separator="\t", null_values="NA")
    assert text["ID"].to_list() == list(panel["ID"])
    # eight significant digits: half a unit of the eighth
    np.testing.assert_allclose(text["BETA"].to_numpy(), rows["BETA"], rtol=5e-8)


def test_filtered_variants_have_no_row(tmp_path):
    panel, rows = random_rows(10)
    kept = np.array([1, 4, 5, 9])

    with AssociationWriter(tmp_path / "out", "q1", "quantitative", SharedRows(panel)) as writer:
        chosen = {name: values[kept] if isinstance(values, np.ndarray) else values for name, values in rows.items()}
        writer.append(cut(chosen, 0, 2), kept[:2])
        writer.append(cut(chosen, 2, 4), kept[2:])

    assert pl.read_parquet(tmp_path / "out.q1.parquet")["ID"].to_list() == ["rs1", "rs4", "rs5", "rs9"]


@pytest.mark.parametrize("variants", [np.array([0, 1]), np.array([5, 4]), np.array([9, 10])])
def test_rows_out_of_the_order_of_the_panel_are_refused(tmp_path, variants):
    panel, rows = random_rows(10)

    writer = AssociationWriter(tmp_path / "o", "q1", "quantitative", SharedRows(panel))
    writer.append(cut(rows, 0, 2))

    with pytest.raises(Failed, match="panel"):
        writer.append(cut(rows, 0, 2), variants)
    writer.abort()


def test_a_missing_column_is_named(tmp_path):
    panel, rows = random_rows(2)
    del rows["SE"]

    with pytest.raises(Failed, match=r"lacks the columns \['SE'\]"):
        write_to_disk(tmp_path, panel, rows)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("room", [0, 1_000, 100_000, 2_000_000])
def test_a_full_disk_is_one_error_and_leaves_nothing(tmp_path, room):
    panel, rows = random_rows(70_000)

    with pytest.raises(Failed, match=r"out\.q1\.(tsv\.gz|parquet): the disk is full .* after [\d,]+ bytes") as caught:
        write_to_disk(tmp_path, panel, rows, open_file=lambda path: FullDisk(path, room))

    assert caught.value.code == "DISK_FULL"
    assert list(tmp_path.iterdir()) == []


def test_an_abort_keeps_the_files_of_an_earlier_run(tmp_path):
    panel, rows = random_rows(50)
    before = written(tmp_path, panel, rows, chunk=50)

    writer = AssociationWriter(tmp_path / "out", "q1", "quantitative", SharedRows(panel))
    writer.append(cut(rows, 0, 10))
    writer.abort()

    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.q1.parquet", "out.q1.tsv.gz"]
    assert (writer.text_path.read_bytes(), writer.parquet_path.read_bytes()) == before


def test_an_error_after_closing_keeps_the_files(tmp_path):
    panel, rows = random_rows(50)

    shared = SharedRows(panel)
    with pytest.raises(KeyError), AssociationWriter(tmp_path / "out", "q1", "quantitative", shared) as writer:
        close_and_fail(writer, rows)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.q1.parquet", "out.q1.tsv.gz"]


def test_a_file_that_cannot_get_its_name_takes_its_companion_along(tmp_path):
    panel, rows = random_rows(50)
    (tmp_path / "out.q1.parquet").mkdir()  # a folder stands where the second file belongs

    with pytest.raises(Failed, match=r"out\.q1\.parquet: could not be written"):
        write_to_disk(tmp_path, panel, rows)

    assert [path.name for path in tmp_path.iterdir()] == ["out.q1.parquet"]


def test_nothing_has_its_name_before_close(tmp_path):
    panel, rows = random_rows(50)

    writer = AssociationWriter(tmp_path / "out", "q1", "quantitative", SharedRows(panel))
    writer.append(rows)
    names = [path.name for path in tmp_path.iterdir()]
    writer.abort()

    assert sorted(names) == [".out.q1.parquet.part", ".out.q1.tsv.gz.part"]


def test_a_folder_that_is_not_there_is_named(tmp_path):
    panel, _ = random_rows(1)

    with pytest.raises(Failed, match=r"could not be written in .*nowhere"):
        AssociationWriter(tmp_path / "nowhere" / "out", "q1", "quantitative", SharedRows(panel))


def test_what_the_writer_holds_does_not_grow_with_the_number_of_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(table_writers, "ROWS_PER_BATCH", 10_000)
    monkeypatch.setattr(quantiles, "EXACT_VALUES", 20_000)
    monkeypatch.setattr(thinning, "_MERGE_POINTS", 20_000)
    monkeypatch.setattr(thinning, "CELL_POINTS", 5_000)
    panel, _ = random_rows(400_000)
    _, rows = random_rows(10_000)
    held = []

    tracemalloc.start()
    with AssociationWriter(tmp_path / "out", "q1", "quantitative", SharedRows(panel)) as writer:
        for _ in range(40):
            writer.append(rows)
            held.append(tracemalloc.get_traced_memory()[0] + pa.total_allocated_bytes())
    tracemalloc.stop()

    # The least of each half, when the thread that deflates has nothing in hand; the first chunks allocate the
    # histogram.  Fifteen chunks lie between: one column of doubles kept would be 1.2 MB.
    assert min(held[20:]) - min(held[5:20]) < 800_000


def test_what_is_read_is_what_was_kept_in_memory(tmp_path):
    panel, rows = random_rows(500)
    written(tmp_path, panel, rows, chunk=500)

    read = Associations.read(tmp_path / "out.q1.parquet")
    kept = Associations.from_rows("q1", "quantitative", panel, [cut(rows, 0, 200), cut(rows, 200, 500)])

    assert read.to_arrow().equals(kept.to_arrow())
    assert (read.trait, read.kind) == ("q1", "quantitative")
