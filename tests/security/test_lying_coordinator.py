"""A coordinator that lies about totals: each attack works on nodes that certify nothing; those that do refuse it.

"Works" means that the step, under the floors alone, releases what says something of one person or one node.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fedstats.analyses.genotype_counts import ArmParameters, count_arms, count_genotypes, count_variants
from fedstats.analyses.linear_design import linear_design
from fedstats.analyses.linear_gwas import linear_gwas
from fedstats.analyses.linear_sums import ScanParameters, scan
from fedstats.analyses.linear_totals import _scan_parameters
from fedstats.analyses.logistic_gwas import logistic_gwas
from fedstats.analyses.logistic_null import fit_null
from fedstats.analyses.logistic_steps import NullAsk, RoundZeroAsk, null_sums, round_zero, round_zero_by_sex
from fedstats.analyses.moments import Scaling, column_moments, describe, scaling
from fedstats.analyses.standardise import column_cross_products
from fedstats.errors import DisclosureRefused, Failed, ProtocolRefused
from fedstats.ledger import verify
from fedstats.local import LocalSite, LocalSums
from fedstats.privacy.certify import claimed
from fedstats.rows import Rows
from fedstats.step import STEPS, Nothing
from fedstats.study import Block, Chunk, Filters, Model, Study, Term, Trait
from fedstats.wire.messages import CertifyOrder, FinishOrder
from tests.node_agent.driver import COUNTING, TEST_FLOORS, Driver, LocalLine, driven_locally
from tests.node_agent.sites import Federation, _write_genotypes, make_federation
from tests.security.steered_driver import Steered, begun

POLICY = """\
analyses = ["freq", "gwas/linear", "gwas/logistic"]
privacy = ["masked", "plain"]
reason = "a test"
min_people = 50
allow_drop = true
numbers_per_person = 1.0
"""
LINEAR = Model("q0", "autosome", (Trait("q1", "quantitative"),), (Term("age", "age"),))
LOGISTIC = Model("b0", "autosome", (Trait("sick", "binary", "01"),), (Term("age", "age"),))
VARIANTS = np.arange(12)
#: A variant that one person of one node carries, who is in every model.
RARE, CARRIER, HOME = 0, 7, "FI"


def made_up(folder: Path, people: int = 60) -> Federation:
    """Three sites with a quantitative and a binary trait, and a variant with a single carrier."""
    federation = make_federation(folder, policy=POLICY, people=people)
    for site in federation.sites:
        site.dosages[RARE] = 0
        site.dosages[RARE, CARRIER] = site.name == HOME
        _write_genotypes(site.folder / "genotypes", site.name, site.dosages)
        rows = [f"{site.name}{n}\t{site.name}{n}\t{value}\t{n % 2}\n" for n, value in enumerate(site.q1)]
        (site.folder / "phenotypes.tsv").write_text("FID\tIID\tq1\tsick\n" + "".join(rows))
    return federation


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Driver]:
    with driven_locally(made_up(tmp_path)) as found:
        yield found


def study_of(driver: Driver, model: Model, analysis: str = "gwas/linear") -> Study:
    return Study(analysis=analysis, models=(model,), nodes=driver.names, floors=TEST_FLOORS)


def linear(driver: Driver, privacy: str = "masked") -> Steered:
    return begun(driver, study_of(driver, LINEAR), privacy)


def logistic(driver: Driver) -> Steered:
    return begun(driver, study_of(driver, LOGISTIC, "gwas/logistic"))


def scanned(steered: Steered, change: Callable[[ScanParameters], ScanParameters]) -> tuple[ScanParameters, np.ndarray]:
    """Moments and counts as an honest coordinator asks them; then the parameters of a scan, with one change."""
    design = linear_design(steered, steered.plan.study, LINEAR)
    totals = count_variants(steered, LINEAR, [Block(VARIANTS)])
    variants = VARIANTS[1:]
    return change(_scan_parameters(design, totals.of(variants))), variants


def entries(driver: Driver, name: str) -> list[str]:
    return [entry.kind for entry in verify(driver.federation.site(name).folder / "state" / "ledger.sqlite")]


def refused(steered: Steered, ask: Callable[[], Any], code: str) -> ProtocolRefused:
    """The refusal of an ask at the node: it is in a ledger, and nothing was computed for it."""
    before = {name: entries(steered.driver, name).count("chunk") for name in steered.driver.names}
    with pytest.raises(ProtocolRefused) as caught:
        ask()
    assert caught.value.code == code
    after = {name: entries(steered.driver, name) for name in steered.driver.names}
    assert {name: found.count("chunk") for name, found in after.items()} == before
    assert any(found[-1] == "refused" for found in after.values())
    return caught.value


def rows_of(plan: Callable[..., Any], federation: Any, study: Study) -> list[Rows]:
    return [one for one in plan(federation, study, [Chunk(0, "autosome", VARIANTS)]) if isinstance(one, Rows)]


def local(steered: Steered) -> LocalSums:
    """The same people in one process."""
    sites = []
    for line in steered.driver.lines.values():
        assert isinstance(line, LocalLine)
        assert line.agent is not None
        cohorts = line.agent.node.cohorts
        sites.append(LocalSite(cohorts.of_plan(steered.plan), cohorts.allowed(steered.plan)))
    return LocalSums(sites)


# Honest runs


@pytest.mark.parametrize("privacy", ["masked", "plain"])
@pytest.mark.parametrize("missing", ["mean", "drop"])
def test_an_honest_linear_run_is_answered_and_is_that_of_one_process_to_the_bit(
    driver: Driver, privacy: str, missing: str
) -> None:
    study = replace(study_of(driver, LINEAR), missing=missing, filters=Filters(hwe=1e-9))
    steered = begun(driver, study, privacy)

    (found,), (expected,) = (rows_of(linear_gwas, one, study) for one in (steered, local(steered)))

    for name, column in expected.tables["q1"].items():
        assert np.array_equal(found.tables["q1"][name], column, equal_nan=column.dtype.kind == "f"), name
    assert entries(driver, HOME).count("certified") == 2


@pytest.mark.parametrize("convergence", ["full", "plink"])
def test_an_honest_logistic_run_is_answered_and_is_that_of_one_process_to_the_bit(
    tmp_path: Path, convergence: str
) -> None:
    # So many people that the rounds of a fit stay within the numbers that a policy allows for each of them.
    with driven_locally(made_up(tmp_path, people=400)) as driver:
        study = replace(study_of(driver, LOGISTIC, "gwas/logistic"), convergence=convergence)
        steered = begun(driver, study)

        (found,), (expected,) = (rows_of(logistic_gwas, one, study) for one in (steered, local(steered)))

    for name, column in expected.tables["sick"].items():
        assert np.array_equal(found.tables["sick"][name], column, equal_nan=column.dtype.kind == "f"), name


# Lies in totals


@pytest.mark.parametrize("privacy", ["masked", "plain"])
def test_a_lie_in_one_word_of_a_total_is_refused_by_every_node_and_nothing_rests_on_it(
    driver: Driver, privacy: str
) -> None:
    steered = linear(driver, privacy)

    def one_more(_node: str, words: np.ndarray) -> np.ndarray:
        words[0] += 1
        return words

    steered.claims = one_more
    refusal = refused_later(steered, lambda: steered.sum(column_moments, LINEAR, Nothing()))
    assert "do not add to it" in refusal.message
    at = Scaling(*(np.zeros(1), np.ones(1)) * 2)
    refused(steered, lambda: steered.sum(column_cross_products, LINEAR, at), "UNCERTIFIED")


def refused_later(steered: Steered, ask: Callable[[], Any]) -> ProtocolRefused:
    """The refusal of a claim: by then the words of the pass are out, and every ledger has the refusal."""
    with pytest.raises(ProtocolRefused) as caught:
        ask()
    assert caught.value.code == "NOT_THE_TOTAL"
    assert {entries(steered.driver, name)[-1] for name in steered.driver.names} == {"refused"}
    return caught.value


def test_one_node_that_is_shown_another_total_is_noticed_by_all(driver: Driver) -> None:
    steered = linear(driver)

    def other(node: str, words: np.ndarray) -> np.ndarray:
        words[0] += node == HOME
        return words

    steered.claims = other
    assert (
        "was shown another total"
        in refused_later(steered, lambda: steered.sum(column_moments, LINEAR, Nothing())).message
    )


@pytest.mark.parametrize("words", [1, -1])
def test_a_claim_of_another_length_is_refused(driver: Driver, words: int) -> None:
    """A word of zero more adds nothing to a combination; its length gives it away."""
    steered = linear(driver)
    steered.claims = lambda _, total: np.append(total, np.uint64(0)) if words > 0 else total[:-1]

    assert "another length" in refused_later(steered, lambda: steered.sum(column_moments, LINEAR, Nothing())).message


def test_a_node_answers_to_one_claim_a_pass(driver: Driver) -> None:
    steered = linear(driver)
    kept: list[bytes] = []
    steered.claims = lambda _, words: kept.append(claimed(words)) or words
    steered._receipt = lambda *_: None  # type: ignore[method-assign]  # the pass stays open
    steered.sum(column_moments, LINEAR, Nothing())
    order = steered.last
    assert order is not None

    first = steered.scalar(HOME, order, kept[0])
    again = steered.scalar(HOME, order, kept[0])
    with pytest.raises(ProtocolRefused) as caught:
        steered.scalar(HOME, order, bytes(8) + kept[0][8:])

    assert first == again
    assert caught.value.code == "CONFLICT"


def test_nothing_is_certified_before_the_words_are_out(driver: Driver) -> None:
    steered = linear(driver)
    work = steered._work(HOME, column_moments, LINEAR, [(None, Nothing())])
    order = steered._order(work)
    steered._open(HOME, order, work.blob)

    with pytest.raises(ProtocolRefused) as caught:
        driver.lines[HOME].call("Certify", CertifyOrder(order.run, order.pass_id, "ab" * 32))

    assert caught.value.code == "OUT_OF_ORDER"


def test_a_total_on_which_nothing_rests_is_not_certified(driver: Driver) -> None:
    """The counts of `freq` go into its table; no own words are kept for them."""
    steered = begun(driver, study_of(driver, COUNTING, "freq"))
    steered.driver.receipts = lambda *_: None  # type: ignore[method-assign]  # the pass stays open
    list(steered.each(count_genotypes, COUNTING, [(Block(VARIANTS), Nothing())]))
    order = steered.last
    assert order is not None

    with pytest.raises(ProtocolRefused, match="nothing rests on the total"):
        driver.lines[HOME].call("Certify", CertifyOrder(order.run, order.pass_id, "ab" * 32))

    assert not list((driver.federation.site(HOME).folder / "state" / "secrets").glob("own-*"))


def test_a_receipt_without_a_certificate_leaves_nothing_to_rest_on(driver: Driver) -> None:
    steered = linear(driver)
    steered.certifies = False
    described = describe(steered, LINEAR)

    refused(steered, lambda: steered.sum(column_cross_products, LINEAR, scaling(LINEAR, described)), "UNCERTIFIED")


# Two means for one variant


def test_two_means_for_one_variant_show_a_nodes_sum_over_its_missing_and_are_refused(driver: Driver) -> None:
    steered = linear(driver)
    at, variants = scanned(steered, lambda found: found)
    other = replace(at, dosage=at.dosage + at.called)  # a mean one larger

    first, second = (steered.uncertified(HOME, scan, LINEAR, asked, variants) for asked in (at, other))
    gained = second.real("trait_genotype") - first.real("trait_genotype")
    assert np.allclose(gained[:, 0], sums_over_missing(steered, at, variants), atol=1e-9)
    assert np.abs(gained).max() > 0

    steered.parameters = lambda node, asked: other if node == HOME else asked
    refused(steered, lambda: list(steered.each(scan, LINEAR, [(Block(variants), at)])), "NOT_THE_TOTAL")


def sums_over_missing(steered: Steered, at: ScanParameters, variants: np.ndarray) -> np.ndarray:
    """Sum of the standardised trait over people of one node without a call, which never leaves by itself."""
    site = steered.driver.federation.site(HOME)
    trait = (site.q1 - at.trait_means[0]) * at.trait_factors[0]
    return np.array([trait[site.dosages[variant] < 0].sum() for variant in variants])


# A scale that isolates an outlier


def test_cases_of_autosomes_counted_by_sex_are_refused(driver: Driver) -> None:
    """Few cases may be men; what is counted of them is for chromosome X, where there is a floor for that."""
    model = replace(LOGISTIC, id="q0")
    steered = begun(driver, study_of(driver, model))
    describe(steered, model)
    totals = count_variants(steered, model, [Block(VARIANTS)]).take(np.arange(1, len(VARIANTS)))
    block = Block(totals.variants)
    asked = ArmParameters(False, np.array([0]), totals.whole_minor_count, totals.carrier_nodes)

    refused(
        steered,
        lambda: list(steered.each(count_arms, model, [(block, replace(asked, by_sex=True))])),
        "NOT_THE_TOTAL",
    )
    ((_, found),) = steered.each(count_arms, model, [(block, asked)])
    assert not found.male_called.any()
    assert found.called.any()


def test_cases_of_autosomes_do_not_come_by_sex_with_score_tests_either(driver: Driver) -> None:
    steered = logistic(driver)
    design = linear_design(steered, steered.plan.study, LOGISTIC)
    totals = count_variants(steered, LOGISTIC, [Block(VARIANTS)]).of(VARIANTS[1:])
    counts = {name: getattr(totals, name) for name in ("called", "dosage", "carrier_nodes")}
    null = fit_null(steered, design, 0)
    at = RoundZeroAsk(**vars(design.scaling), **counts, minor_count=totals.whole_minor_count, trait=0, null=null.beta)

    block = Block(VARIANTS[1:])
    refused(steered, lambda: list(steered.each(round_zero_by_sex, LOGISTIC, [(block, at)])), "STEP_NOT_ALLOWED")
    ((_, found),) = steered.each(round_zero, LOGISTIC, [(block, at)])
    assert found.case_called.any()


def test_a_scale_that_rounds_everybody_but_one_to_zero_shows_a_genotype_and_is_refused(driver: Driver) -> None:
    steered = linear(driver)
    site = driver.federation.site(HOME)
    outlier = int(np.abs(site.q1).argmax())
    sizes = np.sort(np.abs(site.q1))[::-1]
    # Standardised columns have 34 fraction bits: the outlier is one unit, everybody else less than half of one.
    factor = 2.0**-34 / (sizes[0] + sizes[1])
    isolating = {"trait_means": np.zeros(1), "trait_factors": np.array([factor])}
    at, variants = scanned(steered, lambda found: replace(found, **isolating))

    released = steered.uncertified(HOME, scan, LINEAR, at, variants)
    called = site.dosages[variants, outlier] >= 0
    shown = released.trait_genotype[called, 0] * np.sign(site.q1[outlier])
    assert np.array_equal(shown, site.dosages[variants[called], outlier])

    refused(steered, lambda: list(steered.each(scan, LINEAR, [(Block(variants), at)])), "NOT_THE_TOTAL")


@pytest.mark.parametrize("name", ["covariate_means", "covariate_factors", "trait_means", "trait_factors"])
def test_means_and_scales_must_be_those_of_the_moments_to_the_bit(driver: Driver, name: str) -> None:
    steered = linear(driver)
    scale = scaling(LINEAR, describe(steered, LINEAR))
    off = replace(scale, **{name: np.nextafter(getattr(scale, name), np.inf)})

    refused(steered, lambda: steered.sum(column_cross_products, LINEAR, off), "NOT_THE_TOTAL")


# Counts that lie about the floor


def test_counts_that_make_a_rare_variant_common_show_its_carrier_and_are_refused(driver: Driver) -> None:
    steered = linear(driver)
    site = driver.federation.site(HOME)
    design = linear_design(steered, steered.plan.study, LINEAR)
    totals = count_variants(steered, LINEAR, [Block(VARIANTS)])
    truth = _scan_parameters(design, totals.of(np.array([RARE])))
    lie = replace(truth, minor_count=np.array([50]), carrier_nodes=np.array([3]))

    released = steered.uncertified(HOME, scan, LINEAR, lie, np.array([RARE]))
    trait = (site.q1[CARRIER] - lie.trait_means[0]) * lie.trait_factors[0]
    assert np.isclose(released.real("trait_genotype")[0, 0], trait, atol=1e-9)

    with pytest.raises(DisclosureRefused, match="fewer than 20 minor alleles"):
        list(steered.each(scan, LINEAR, [(Block(np.array([RARE])), truth)]))
    refused(steered, lambda: list(steered.each(scan, LINEAR, [(Block(np.array([RARE])), lie)])), "NOT_THE_TOTAL")


@pytest.mark.parametrize("name", ["called", "dosage", "minor_count", "carrier_nodes"])
def test_every_count_of_a_scan_must_be_the_certified_one(driver: Driver, name: str) -> None:
    steered = linear(driver)
    at, variants = scanned(steered, lambda found: replace(found, **{name: getattr(found, name) + 1}))

    refused(steered, lambda: list(steered.each(scan, LINEAR, [(Block(variants), at)])), "NOT_THE_TOTAL")


def test_a_variant_that_was_not_counted_is_not_scanned(driver: Driver) -> None:
    steered = linear(driver)
    design = linear_design(steered, steered.plan.study, LINEAR)
    totals = count_variants(steered, LINEAR, [Block(VARIANTS)])
    at, uncounted = _scan_parameters(design, totals.of(VARIANTS[1:3])), np.array([1, 20])

    refused(steered, lambda: list(steered.each(scan, LINEAR, [(Block(uncounted), at)])), "UNCERTIFIED")


# A steep null model


def test_a_steep_null_model_puts_all_weight_on_few_people_and_is_refused(driver: Driver) -> None:
    steered = logistic(driver)
    scale = scaling(LOGISTIC, describe(steered, LOGISTIC))
    begins = NullAsk(**vars(scale), trait=0, null=np.zeros(2))
    refused(steered, lambda: steered.sum(null_sums, LOGISTIC, begins), "UNCERTIFIED")
    steered.sum(column_cross_products, LOGISTIC, scale)
    steep = NullAsk(**vars(scale), trait=0, null=np.array([-12.0, 5.0]))

    even, few = (weights_of(steered, replace(steep, null=null)) for null in (np.zeros(2), steep.null))
    assert even.max() / even.sum() == pytest.approx(1 / len(even))
    assert few.max() / few.sum() > 5 / len(few)
    released = steered.uncertified(HOME, null_sums, LOGISTIC, steep, None)
    assert np.isclose(released.information[0], few.sum())

    refused(steered, lambda: steered.sum(null_sums, LOGISTIC, steep), "NOT_THE_TOTAL")


def weights_of(steered: Steered, at: NullAsk) -> np.ndarray:
    """The weight of each person of one node in the sums at some null coefficients."""
    lines = (steered.driver.federation.site(HOME).folder / "covariates.tsv").read_text().splitlines()[1:]
    age = np.array([float(line.split("\t")[2]) for line in lines])
    eta = at.null[0] + at.null[1] * (age - at.covariate_means[0]) * at.covariate_factors[0]
    return np.exp(-eta) / (1 + np.exp(-eta)) ** 2


def test_a_null_model_that_was_not_fitted_admits_no_variant(driver: Driver) -> None:
    """Neither the start nor a step on the way: only the maximum of the likelihood."""
    steered = logistic(driver)
    design = linear_design(steered, steered.plan.study, LOGISTIC)
    share = design.description.trait_means[0]
    totals = count_variants(steered, LOGISTIC, [Block(VARIANTS)]).of(VARIANTS[1:])
    counts = {name: getattr(totals, name) for name in ("called", "dosage", "carrier_nodes")}
    start = np.array([np.log(share / (1 - share)), 0.0])
    at = RoundZeroAsk(**vars(design.scaling), **counts, minor_count=totals.whole_minor_count, trait=0, null=start)

    def ask(null: np.ndarray) -> None:
        list(steered.each(round_zero, LOGISTIC, [(Block(VARIANTS[1:]), replace(at, null=null))]))

    refused(steered, lambda: ask(start), "UNCERTIFIED")
    null = fit_null(steered, design, 0)
    refused(steered, lambda: ask(start), "NOT_THE_TOTAL")
    refused(steered, lambda: ask(null.beta + 1e-3), "NOT_THE_TOTAL")
    ask(null.beta)


@pytest.mark.parametrize("trait", [-1, 1, 5])
def test_the_trait_of_a_null_model_is_one_of_the_model(driver: Driver, trait: int) -> None:
    steered = logistic(driver)
    scale = scaling(LOGISTIC, describe(steered, LOGISTIC))
    at = NullAsk(**vars(scale), trait=trait, null=np.zeros(2))

    refused(steered, lambda: steered.sum(null_sums, LOGISTIC, at), "NOT_THE_TOTAL")


# What a node keeps


def test_own_words_are_kept_for_their_owner_only_and_go_with_the_receipt(driver: Driver) -> None:
    steered = linear(driver)
    secrets = driver.federation.site(HOME).folder / "state" / "secrets"
    seen: list[int] = []
    steered.claims = lambda _, words: seen.extend(p.stat().st_mode & 0o777 for p in secrets.glob("own-*")) or words

    steered.sum(column_moments, LINEAR, Nothing())

    assert set(seen) == {0o600}
    assert not list(secrets.glob("own-*"))


def test_own_words_that_are_lost_are_said_and_nothing_is_made_up(driver: Driver) -> None:
    steered = linear(driver)
    secrets = driver.federation.site(HOME).folder / "state" / "secrets"

    def lose(_node: str, words: np.ndarray) -> np.ndarray:
        for path in secrets.glob("own-*"):
            path.write_bytes(path.read_bytes()[:-8])
        return words

    steered.claims = lose
    with pytest.raises(Failed, match="cannot be certified") as caught:
        steered.sum(column_moments, LINEAR, Nothing())

    assert caught.value.code == "OWN_WORDS_LOST"


def test_certified_totals_outlive_a_restart_and_end_with_the_run(tmp_path: Path) -> None:
    federation = made_up(tmp_path)
    blobs = federation.site(HOME).folder / "state" / "blobs"
    with driven_locally(federation) as driver:
        steered = linear(driver)
        at, variants = scanned(steered, lambda found: found)
    with driven_locally(federation) as again:
        again.run_keys, steered.driver = driver.run_keys, again
        ((_, found),) = steered.each(scan, LINEAR, [(Block(variants), at)])
        before = set(blobs.iterdir())
        again.lines[HOME].call("Finish", FinishOrder(steered.plan.run))
        line = again.lines[HOME]
        assert isinstance(line, LocalLine)
        assert line.agent is not None
        rows = line.agent.node.ledger.rows("SELECT count(*) FROM certified")

    assert len(found.trait_genotype) == len(variants)
    assert rows == [(0,)]
    assert set(blobs.iterdir()) < before


# The table of steps


@pytest.mark.parametrize("name", sorted(STEPS))
def test_every_step_with_parameters_says_what_they_rest_on(name: str) -> None:
    """Steps of noised totals apart: nothing that they are given comes from a total (decision E3)."""
    step = STEPS[name]
    given = step.parameters is not Nothing and not name.startswith("noised_")

    assert bool(step.rests_on) == given
    assert (step.follows is not None) == given
    assert set(step.rests_on) <= set(STEPS)
