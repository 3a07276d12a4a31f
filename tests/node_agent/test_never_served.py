"""A node that would refuse every study says so when its configuration is checked; one that serves some says nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fedstats.errors import ConfigError
from node_agent.cli import app
from node_agent.config import read_settings
from node_agent.never_served import never_served
from node_agent.node import register
from tests.node_agent.sites import Site, make_federation


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return make_federation(tmp_path).site("FI")


def rewritten(site: Site, old: str, new: str) -> None:
    text = site.config.read_text()
    assert old in text
    site.config.write_text(text.replace(old, new))


def without_traits(site: Site) -> None:
    rewritten(site, 'phenotypes = "phenotypes.tsv"\ncovariates = "covariates.tsv"\n', "")
    rewritten(site, '["freq", "gwas/linear"]', '["gwas/linear"]')


FEW_PEOPLE = "data set demo: 60 people are fewer than min_people, 61, so nothing of it will be served"
FEW_NODES = "the roster has 3 nodes, [policy] min_nodes is 4, so every plan will be refused"
NO_TRAIT = "data set demo: no table has a column for a trait, and [policy] analyses allows nothing that does without"
CASES: dict[str, Callable[[Site], None]] = {
    FEW_PEOPLE: lambda site: rewritten(site, "min_people = 50", "min_people = 61"),
    FEW_NODES: lambda site: rewritten(site, "min_people = 50", "min_nodes = 4\nmin_people = 50"),
    NO_TRAIT: without_traits,
    "[policy] analyses allows nothing, so every plan will be refused": lambda site: rewritten(
        site, '["freq", "gwas/linear"]', "[]"
    ),
    "[policy] privacy allows nothing, so every plan will be refused": lambda site: rewritten(
        site, '["masked", "plain"]', "[]"
    ),
}


def warnings(site: Site) -> list[str]:
    settings = read_settings(site.config)
    return never_served(settings, register(settings))


def test_a_node_that_serves_some_studies_is_not_warned(site: Site):
    assert warnings(site) == []


@pytest.mark.parametrize("said", CASES)
def test_what_stands_in_the_way_of_every_study_is_said(site: Site, said: str):
    CASES[said](site)

    assert warnings(site) == [said]


def test_data_without_traits_serve_analyses_that_do_without(site: Site):
    without_traits(site)
    rewritten(site, '["gwas/linear"]', '["freq", "gwas/linear"]')

    assert warnings(site) == []


def test_the_command_shows_warnings_and_calls_the_file_good(site: Site):
    CASES[FEW_PEOPLE](site)

    done = CliRunner().invoke(app, ["check-config", str(site.config)])

    assert done.exit_code == 0, done.output
    assert f"warning: {FEW_PEOPLE}" in done.output
    assert "node.toml is good" in done.output


def test_genotypes_of_which_no_variant_has_a_place_are_a_fault(site: Site):
    bim = site.folder / "genotypes.bim"
    bim.write_text("".join(f"0\t{line.split(maxsplit=1)[1]}\n" for line in bim.read_text().splitlines()))

    with pytest.raises(ConfigError, match="no variant has a known chromosome and position"):
        register(read_settings(site.config))
