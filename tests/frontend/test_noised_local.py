"""Noised analyses of data sets in one process: what power studies use."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from fedstats.errors import UsageError
from fedstats.frontend.local_backend import LocalFederation
from tests.frontend.hapmap3 import needs_data, part, pooled

RANGES = {"qt2": (-4.0, 4.0), "PC1-PC2": (-0.2, 0.2)}


@cache
def sites() -> tuple[dict[str, Any], list[str]]:
    whole, panel = pooled()
    where = whole.columns["site3"].text
    return {name: part(whole, np.flatnonzero(where == name)) for name in "ABC"}, panel.ids.to_pylist()[:200]


def noised(seed: int | None, **options: Any) -> Any:
    data, ids = sites()
    federation = LocalFederation(data, pooled()[1], noise_seed=seed)
    given = {"covariates": ["PC1-PC2"], "privacy": "dp", "epsilon": 8.0, "ranges": RANGES, "extract": ids}
    return federation.gwas("qt2", **{**given, **options})


@needs_data
def test_a_seed_gives_the_same_noise_and_another_seed_other_noise() -> None:
    first, again, other = noised(1), noised(1), noised(2)

    assert np.array_equal(first["STAT"], again["STAT"])
    assert not np.array_equal(first["STAT"], other["STAT"])
    assert (first["NOISE_SD"][first["STATUS"] == "OK"] > 0).all()
    assert 0 < first.summary.noise_share < 1
    assert not np.array_equal(noised(None)["STAT"], noised(None)["STAT"])


@needs_data
def test_files_say_the_noise_wherever_somebody_may_look(tmp_path: Path) -> None:
    result = noised(1, out=tmp_path / "run")

    assert pl.read_parquet(tmp_path / "run.qt2.parquet").columns[-1] == "NOISE_SD"
    report, log = (tmp_path / "run.report.html").read_text(), (tmp_path / "run.log").read_text()
    for text in (report, log):
        assert "epsilon 8 at delta 1e-06" in text
    assert f"noise: {100 * result.summary.noise_share:.0f} % of SE" in report
    assert "discrete Gaussian noise" in report


@needs_data
def test_both_kinds_of_traits_in_one_noised_run_are_refused() -> None:
    data, ids = sites()
    federation = LocalFederation(data, pooled()[1])

    with pytest.raises(UsageError, match="spend its budget twice") as caught:
        federation.gwas(["qt2", "bt1"], privacy="dp", epsilon=8.0, ranges=RANGES, extract=ids)
    assert caught.value.code == "MIXED_TRAITS"
