"""Three and four real agents on real genotypes give plink2's pooled answer."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import fedstats
from fedstats.results.associations import Associations
from fedstats.sandbox import processes
from fedstats.sandbox.folder import Sandbox
from tests.end_to_end.reference import compare, plink2
from tests.real_data import needs_real_data

pytestmark = needs_real_data()

#: plink2 prints six digits: rounding alone is up to 5e-6 relative (held in tests/analyses); four times that is allowed.
PRINTED = 2e-5
ADJUSTED = ["age", "sex", "PC1-PC4"]


@pytest.fixture(scope="module")
def adjusted(three_sites: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Associations]:
    """One masked run of two quantitative and two binary traits, as PLINK leaves people out."""
    with fedstats.connect(three_sites.federation_file) as federation:
        traits = ["qt1", "qt2", "bt1", "bt2"]
        out = tmp_path_factory.mktemp("adjusted") / "run"
        return federation.gwas(traits, covariates=ADJUSTED, missing="drop", out=out)


@pytest.mark.parametrize("trait", ["qt1", "qt2"])
def test_linear_equals_plink2_to_the_printed_digits(adjusted: dict[str, Associations], trait: str) -> None:
    found = compare(adjusted[trait], f"adj.{trait}.glm.linear")

    assert found.variants == 14389
    assert found.same_people
    assert found.beta < PRINTED
    assert found.standard_error < PRINTED


def test_logistic_equals_plink2(adjusted: dict[str, Associations]) -> None:
    found = compare(adjusted["bt1"], "adj.bt1.glm.logistic")

    assert found.variants == 14389
    assert found.same_people
    assert found.beta_in_se < 1e-4


def test_separation_is_found_where_plink2_finds_it(adjusted: dict[str, Associations]) -> None:
    result = adjusted["bt2"]
    separated = {i for i, status in zip(result["ID"], result["STATUS"], strict=True) if status == "SEPARATION"}
    expected = {i for i, row in plink2("adj.bt2.glm.logistic").items() if row["ERRCODE"].startswith("SEPARATION")}

    assert len(expected) == 120
    assert separated == expected


def test_nothing_but_covariates_is_needed(three_sites: Sandbox) -> None:
    with fedstats.connect(three_sites.federation_file) as federation:
        found = federation.gwas(["qt1", "qt2"], missing="drop")

    for trait in ("qt1", "qt2"):
        compared = compare(found[trait], f"nocov.{trait}.glm.linear")
        assert compared.same_people
        assert max(compared.beta, compared.standard_error) < PRINTED


def test_fixed_site_effects_equal_site_indicators(three_sites: Sandbox) -> None:
    with fedstats.connect(three_sites.federation_file) as federation:
        result = federation.gwas("qt1", covariates=["age", "sex"], site_effects="fixed", missing="drop")

    found = compare(result, "sitefx.qt1.glm.linear")
    assert found.variants == 14389
    assert found.same_people
    assert max(found.beta, found.standard_error) < PRINTED


def test_plain_and_masked_give_the_same_bytes(three_sites: Sandbox, tmp_path: Path) -> None:
    with fedstats.connect(three_sites.federation_file) as federation:
        for privacy in ("masked", "plain"):
            out = tmp_path / privacy
            federation.gwas(["qt1", "bt1"], covariates=ADJUSTED, chr="20-22,X", privacy=privacy, out=out)

    for trait in ("qt1", "bt1"):
        for ending in ("tsv.gz", "parquet"):
            masked, plain = (tmp_path / f"{privacy}.{trait}.{ending}" for privacy in ("masked", "plain"))
            assert masked.read_bytes() == plain.read_bytes()


def test_four_ancestries_give_the_pooled_answer(split_hapmap3: Callable[..., Sandbox]) -> None:
    sandbox = split_hapmap3("site_pop")
    processes.start(sandbox)
    try:
        with fedstats.connect(sandbox.federation_file) as federation:
            result = federation.gwas("qt1", covariates=ADJUSTED, missing="drop")
    finally:
        processes.stop(sandbox)

    found = compare(result, "adj.qt1.glm.linear")
    assert found.same_people
    assert max(found.beta, found.standard_error) < PRINTED
    assert set(result["NODES"]) == {4}


def test_frequencies_and_missingness_count_what_plink2_counts(three_sites: Sandbox) -> None:
    with fedstats.connect(three_sites.federation_file) as federation:
        freq, missing = federation.freq().to_polars(), federation.missing().to_polars()

    for table, name, count in ((freq, "all.afreq", "OBS_CT"), (missing, "all.vmiss", "MISSING_CT")):
        expected = [int(row[count]) for row in plink2(name).values()]
        assert table[count].to_list() == expected


def test_every_status_is_counted_in_the_log(adjusted: dict[str, Associations]) -> None:
    counted = Counter(adjusted["bt2"]["STATUS"].tolist())

    assert counted["SEPARATION"] == 120
    assert adjusted["bt2"].summary.status_counts == dict(counted)
    assert np.isnan(adjusted["bt2"]["BETA"][adjusted["bt2"]["STATUS"] == "SEPARATION"]).all()
