"""Whole runs under `dp` against real agents in this process: what opens, what is charged, what is refused."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import stats

from fedstats.client import FederationClient
from fedstats.coordinator.config import read_federation
from fedstats.errors import FaultyInput, FedstatsError, ProtocolRefused, Refused, UsageError
from fedstats.ledger import verify
from fedstats.privacy.zcdp import epsilon_of, rho_of
from fedstats.sandbox.create import create
from fedstats.sandbox.folder import Sandbox
from fedstats.simulate.recipe import Recipe
from fedstats.simulate.simulation import simulate
from fedstats.study import Model
from fedstats.transport.in_process import InProcessTransport
from fedstats.wire.messages import Plan
from node_agent.agent import Agent
from node_agent.config import read_settings
from node_agent.node import Node, open_node
from node_agent.noise_ledger import Allowance
from node_agent.noising import check_noise
from node_agent.permitted import permitted_step
from node_agent.warm import load_steps

DELTA = 1e-6
EPSILON = 4.0
RANGES = {"q1": (-5.0, 5.0), "age": (0.0, 100.0)}
#: What the test's tables call their people and variants.
PEOPLE, VARIANTS = 1500, 100
#: Each test has budgets of its own.
PROJECTS = (
    "one two three four five six seven mixed binary frequencies thrifty "
    + " ".join(f"p{number}" for number in range(8))
).split()


@dataclass(frozen=True)
class Played:
    """A coordinator with its agents by name."""

    client: FederationClient
    agents: dict[str, Agent]
    extract: tuple[str, ...]

    def gwas(self, **asked: Any) -> Any:
        """A noised run of q1."""
        given = {
            "covariates": ["age"], "privacy": "dp", "epsilon": EPSILON, "ranges": RANGES, "extract": self.extract,
        }  # fmt: skip
        return self.client.gwas("q1", **{**given, **asked})

    def spent(self, project: str = "") -> list[float]:
        """Epsilon that each node says was spent."""
        name = project or self.client.name
        return [
            epsilon_of(agent.node.noise.spent(Allowance(name, "sandbox", 10.0, PEOPLE // 3)), DELTA)
            for agent in self.agents.values()
        ]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    load_steps()
    folder = tmp_path_factory.mktemp("noised")
    files = simulate(folder / "pooled", Recipe(sites=3, samples=PEOPLE, variants=VARIANTS, seed=5))
    made = create(
        folder / "sandbox",
        bfile=files.prefix,
        pheno=files.phenotypes,
        covar=files.prefix.with_name("pooled.covar.tsv"),
        site_column="site",
    ).sandbox
    for config in (made.folder / name / "node.toml" for name in made.nodes):
        projects = ", ".join(f'"{name}"' for name in PROJECTS)
        config.write_text(config.read_text().replace("epsilon = 10.0", f"epsilon = 10.0\nprojects = [{projects}]"))
    return made


@contextmanager
def playing(sandbox: Sandbox) -> Iterator[Played]:
    with ExitStack() as stack:
        agents = {}
        for name in sandbox.nodes:
            node = open_node(read_settings(sandbox.folder / name / "node.toml"))
            stack.callback(node.close)
            agents[name] = Agent(node)
        settings = read_federation(sandbox.federation_file)
        panel = (sandbox.folder / next(iter(sandbox.nodes)) / "genotypes.bim").read_text().splitlines()
        client = FederationClient(settings, lambda _: InProcessTransport(agents))
        yield Played(client, agents, tuple(line.split()[1] for line in panel))


@pytest.fixture
def played(sandbox: Sandbox) -> Iterator[Played]:
    with playing(sandbox) as made:
        yield made


def last_plan(node: Node) -> Plan:
    """The noised plan that was proposed last at a node."""
    digests = [row[0] for row in node.ledger.rows("SELECT digest FROM plans ORDER BY rowid DESC")]
    return next(found for found in map(node.records.plan, digests) if found is not None and found.privacy == "dp")


def test_a_run_says_its_noise_and_spends_no_more_than_it_was_given(played: Played, tmp_path: Path) -> None:
    result = played.gwas(project="one", out=tmp_path / "run")

    assert (result["NOISE_SD"][result["STATUS"] == "OK"] > 0).all()
    assert set(result["STATUS"]) <= {"OK", "HIDDEN_BY_NOISE"}
    assert (result["MISSING_CT"] == -1).all()
    # All of the budget is used, and a little is lost to rounding only.
    assert all(0.99 * EPSILON < spent <= EPSILON for spent in played.spent("one"))
    table = pl.read_csv(tmp_path / "run.q1.tsv.gz", separator="\t", null_values="NA")
    assert table.columns[-1] == "NOISE_SD"


def test_nothing_exact_is_asked_beside_noised_sums(played: Played) -> None:
    played.gwas(project="two")

    steps = {
        passed.order.step
        for agent in played.agents.values()
        for run in [row[0] for row in agent.node.ledger.rows("SELECT run FROM runs ORDER BY rowid DESC LIMIT 1")]
        for passed in [agent.node.records.passed(one) for one in agent.node.records.passes_of_run(run)]
        if passed is not None
    }
    assert steps == {"noised_gwas/products@1", "noised_gwas/scan@1"}


def test_the_same_question_again_has_the_same_answer_and_costs_nothing(played: Played) -> None:
    first = played.gwas(project="three", epsilon=9.0)
    before = played.spent("three")

    again = played.gwas(project="three", epsilon=9.0)
    assert np.array_equal(first["STAT"], again["STAT"])
    assert played.spent("three") == before


def test_another_question_is_refused_once_the_budget_is_spent(played: Played) -> None:
    played.gwas(project="four", epsilon=9.0)
    before = played.spent("four")

    with pytest.raises(FedstatsError, match="has spent") as caught:
        played.gwas(project="four", epsilon=9.0, covariates=[])
    assert caught.value.code == "POLICY_EPSILON"
    assert caught.value.exit_code == 3
    assert played.spent("four") == before
    # The question that was paid for is still answered, and another project has a budget of its own.
    assert np.isfinite(played.gwas(project="four", epsilon=9.0)["STAT"]).all()
    assert np.isfinite(played.gwas(project="five", epsilon=1.0, covariates=[])["STAT"]).all()


def test_more_than_the_policy_allows_is_refused_before_anything_is_computed(sandbox: Sandbox) -> None:
    config = sandbox.folder / next(iter(sandbox.nodes)) / "node.toml"
    kept = config.read_text()
    config.write_text(kept.replace("epsilon = 10.0", "epsilon = 2.0"))
    try:
        with playing(sandbox) as played, pytest.raises(FedstatsError, match="the limit is 2") as caught:
            played.gwas(project="six")
        assert caught.value.code == "POLICY_EPSILON"
    finally:
        config.write_text(kept)


def test_what_was_spent_is_kept_by_the_ledger_and_its_chain(sandbox: Sandbox) -> None:
    with playing(sandbox) as played:
        played.gwas(project="seven")
        before = played.spent("seven")
    with playing(sandbox) as played:
        assert played.spent("seven") == before

    entries = verify(sandbox.folder / next(iter(sandbox.nodes)) / "state" / "ledger.sqlite")
    charged = [entry.body for entry in entries if entry.kind == "noise" and '"project":"seven"' in entry.body]
    # Autosomes and chromosome X have a pass for covariates and one for variants each.
    assert len(charged) == 4


def test_noise_of_real_nodes_is_as_large_as_the_results_say(played: Played) -> None:
    # The same sum under budgets a hair apart: each has noise of its own. With so much epsilon the noise of the
    # genotype's variance, by which effects are divided, is a few percent, and theirs is nearly normal.
    found = [played.gwas(project=f"p{number}", epsilon=8.0 + number * 1e-4) for number in range(8)]

    seen = np.all([result["STATUS"] == "OK" for result in found], axis=0)
    effect = np.array([result["BETA"][seen] for result in found])
    noise = np.array([result["NOISE_SD"][seen] for result in found])
    spread = ((effect - effect.mean(axis=0)) / noise).ravel() * np.sqrt(8 / 7)
    assert seen.sum() > VARIANTS / 3
    # Seven free values of each of at least 33 variants: a standard error of 0.05.
    assert abs(spread.std() - 1) < 0.25
    assert stats.kstest(spread / spread.std(), "norm").pvalue > 1e-3


def test_binary_traits_and_frequencies_are_there_with_noise(played: Played) -> None:
    result = played.client.gwas(
        "b1", covariates=["age"], privacy="dp", epsilon=8.0, ranges=RANGES, extract=played.extract, project="binary"
    )
    assert set(result["TEST"]) == {"LOGISTIC_SCORE"}
    assert (result["CASE_CT"] > 0).all()

    table = played.client.freq(privacy="dp", epsilon=8.0, extract=played.extract, project="frequencies")
    assert ((table["ALT_FREQS"] >= 0) & (table["NOISE_SD"] > 0)).all()


def test_a_run_that_another_step_was_smuggled_into_is_refused(played: Played) -> None:
    node = next(iter(played.agents.values())).node
    played.gwas(project="mixed")
    noised = last_plan(node)
    for step in ("genotypes/counts@2", "columns/moments@1", "linear_gwas/scan@1", "people/accounting@1"):
        with pytest.raises(ProtocolRefused) as caught:
            permitted_step(step, noised.study, Model("a0", "autosome"))
        assert caught.value.code == "STEP_NOT_ALLOWED"


def test_plans_that_mix_noised_and_exact_are_refused(played: Played) -> None:
    node = next(iter(played.agents.values())).node
    played.gwas(project="mixed")
    plan = last_plan(node)

    check_noise(node.policy, plan)
    exact = replace(plan.study, analysis="gwas/linear")
    for wrong in (replace(plan, privacy="masked"), replace(plan, study=exact), replace(plan, noise=())):
        with pytest.raises(ProtocolRefused, match="does not go with"):
            check_noise(node.policy, wrong)
    with pytest.raises(Refused, match="limit is 0"):
        check_noise(replace(node.policy, epsilon=0.0), plan)


def test_a_plan_cannot_spend_more_by_saying_less_noise(played: Played) -> None:
    node = next(iter(played.agents.values())).node
    of = Allowance("thrifty", "sandbox", 10.0, 500)
    limit = rho_of(1.0, DELTA)

    node.noise.charge(of, "plan", limit, "first", 0.7 * limit)
    node.noise.charge(of, "plan", limit, "first", 0.7 * limit)  # the same sum again
    assert node.noise.spent(of) == pytest.approx(0.7 * limit)
    with pytest.raises(FedstatsError, match="more than its plan said") as caught:
        node.noise.charge(of, "plan", limit, "second", 0.7 * limit)
    assert caught.value.code == "POLICY_EPSILON"
    with pytest.raises(FedstatsError, match="has spent"):
        node.noise.charge(replace(of, epsilon=1.0), "other", 10 * limit, "third", 0.7 * limit)


@pytest.mark.parametrize(
    ("asked", "fault"),
    [
        ({"epsilon": 0.0}, "--epsilon 0 is not above 0"),
        ({"epsilon": 11.0}, "--epsilon 11 is not above 0 and at most 10"),
        ({"delta": 1e-3}, "--delta 0.001 is not above 0"),
        ({"ranges": {**RANGES, "age": (5.0, 5.0)}}, "--range age must be two numbers"),
        ({"missing": "drop"}, "--missing drop cannot be had under --privacy dp"),
        ({"maf": 0.01}, "--maf, --geno and --hwe cannot be had"),
        ({"site_effects": "fixed"}, "--site-effects and --local-covar cannot be had"),
        ({"pass_variants": 100}, "--pass-variants under 5000 cannot be had"),
        ({"privacy": "masked"}, "--epsilon means nothing to --privacy masked"),
    ],
)
def test_faults_of_a_request_are_named(played: Played, asked: dict[str, Any], fault: str) -> None:
    with pytest.raises(FaultyInput, match=fault):
        played.gwas(**asked)


def test_columns_without_a_range_and_variants_that_nobody_chose_are_refused(played: Played) -> None:
    with pytest.raises(UsageError, match="nobody gave that of 'age'") as caught:
        played.gwas(ranges={"q1": (-5.0, 5.0)})
    assert caught.value.code == "NO_RANGE"
    with pytest.raises(UsageError, match="needs --extract") as caught:
        played.gwas(extract=None)
    assert caught.value.code == "NO_EXTRACT"
