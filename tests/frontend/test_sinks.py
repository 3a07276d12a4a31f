from pathlib import Path

import numpy as np
import pytest

from fedstats.analyses.statuses import code_of_test, missing_code, status
from fedstats.errors import Failed
from fedstats.frontend.sinks import AssociationMemory, Sinks, shared_rows

PANEL = {
    "CHROM": np.array(["1", "1", "2"]),
    "POS": np.array([10, 20, 30]),
    "ID": np.array(["rs1", "rs2", "rs3"]),
    "REF": np.array(["A", "A", "A"]),
    "ALT": np.array(["G", "G", "G"]),
}


def rows(*variants: int) -> dict[str, np.ndarray]:
    """Rows as an analysis makes them, codes and all."""
    count = len(variants)
    reals = {name: np.full(count, 0.5) for name in ("A1_FREQ", "BETA", "SE", "STAT", "LOG10P")}
    counts = {name: np.full(count, 7) for name in ("A1_CT", "OBS_CT", "MISSING_CT", "NODES")}
    codes = {
        "MISSING": np.full(count, missing_code("mean"), np.int8),
        "TEST": np.full(count, code_of_test("LINEAR"), np.int8),
        "STATUS": np.full(count, status("OK"), np.int8),
    }
    return {"variant": np.array(variants), **reals, **counts, **codes}


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_codes_become_their_names() -> None:
    sink = AssociationMemory("y", "quantitative", shared_rows(PANEL))

    sink.append(rows(0, 2))
    sink.finish()

    result = sink.result({})
    assert result["ID"].tolist() == ["rs1", "rs3"]
    assert [result[name].tolist() for name in ("STATUS", "TEST", "MISSING")] == [
        ["OK", "OK"],
        ["LINEAR", "LINEAR"],
        ["mean", "mean"],
    ]


def test_a_table_without_rows_is_still_a_result() -> None:
    sink = AssociationMemory("y", "quantitative", shared_rows(PANEL))

    sink.finish()

    assert len(sink.result({})) == 0


def test_files_hold_what_memory_holds(tmp_path: Path) -> None:
    in_memory = AssociationMemory("y", "quantitative", shared_rows(PANEL))
    on_disk = Sinks(tmp_path / "out", {"y": "quantitative"}, PANEL)
    for chunk in (rows(0, 1), rows(2)):
        in_memory.append(chunk)
        on_disk.append({"y": chunk})
    in_memory.finish()
    on_disk.finish()

    assert on_disk.open["y"].result({}).to_polars().equals(in_memory.result({}).to_polars())


def test_result_in_files_stays_what_it_was_when_a_later_run_takes_their_names(tmp_path: Path) -> None:
    results = []
    for variants in ((0, 1), (2,)):
        sinks = Sinks(tmp_path / "out", {"y": "quantitative"}, PANEL)
        sinks.append({"y": rows(*variants)})
        sinks.finish()
        results.append(sinks.open["y"].result({}))

    assert [len(result) for result in results] == [2, 1]
    assert [result["ID"].tolist() for result in results] == [["rs1", "rs2"], ["rs3"]]


def test_nothing_is_left_of_a_run_that_failed(tmp_path: Path) -> None:
    sinks = Sinks(tmp_path / "out", {"y": "quantitative", "z": "quantitative"}, PANEL)
    sinks.append({"y": rows(0)})

    sinks.abandon(keep_rows=False)

    assert files(tmp_path) == []


def test_finished_passes_of_a_run_that_lost_a_node_are_kept_under_a_partial_name(tmp_path: Path) -> None:
    sinks = Sinks(tmp_path / "out", {"y": "quantitative", "z": "quantitative"}, PANEL)
    sinks.append({"y": rows(0)})

    sinks.abandon(keep_rows=True)

    assert files(tmp_path) == ["out.y.partial.parquet", "out.y.partial.tsv.gz"]


def test_a_finished_run_removes_its_partial_files(tmp_path: Path) -> None:
    for suffix in ("tsv.gz", "parquet"):
        (tmp_path / f"out.y.partial.{suffix}").touch()
    sinks = Sinks(tmp_path / "out", {"y": "quantitative"}, PANEL)
    sinks.append({"y": rows(0)})

    sinks.finish()

    assert files(tmp_path) == ["out.y.parquet", "out.y.tsv.gz"]


def test_a_table_that_nobody_knows_is_an_error() -> None:
    with pytest.raises(Failed, match="made a table 'strange'"):
        Sinks(None, {}, PANEL).append({"strange": rows(0)})
