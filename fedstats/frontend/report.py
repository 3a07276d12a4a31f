"""What the report of a run says, from what the run has found."""

import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import fedstats
from fedstats.analyses.status_table import MEANINGS
from fedstats.analysis import NOISED_SUFFIX
from fedstats.documents import digest
from fedstats.frontend.backend import Backend, Provenance
from fedstats.frontend.job import Job
from fedstats.frontend.methods import methods
from fedstats.frontend.prepare import Prepared
from fedstats.frontend.provenance import Outcome, collusion, filter_rows, people_record
from fedstats.frontend.sinks import Result, Sinks
from fedstats.results.associations import Associations
from fedstats.results.report_content import Notice, ReportContent, Table, TraitReport
from fedstats.results.report_parts import Cell
from fedstats.results.summary import Summary
from fedstats.study import Model

_PRIVACY = {
    "masked": "The coordinator learnt sums over all sites and nothing of a single site; masks cancel in the sum only.",
    "plain": "Every site's sums were visible to the coordinator; each site's policy allows that, for the reason above.",
    "paillier": "Sites encrypted their sums; the coordinator learnt sums over all sites and nothing of a single site.",
    "dp": "Every site added noise to its sums; the coordinator learnt noised sums over all sites and nothing exact.",
    "local": "All data were in one process; nothing was protected.",
}
FALLEN = {
    "ABSENT": "not at every node",
    "ALLELES_DIFFER": "other alleles at some node",
    "NOT_SERVED": "of a kind with too few people at some node",
}


def report_content(
    backend: Backend, job: Job, outcome: Outcome, results: Mapping[str, Result], sinks: Sinks
) -> ReportContent:
    """Everything that OUT.report.html says."""
    told = backend.provenance()
    traits = [
        _trait(name, result, outcome, sinks) for name, result in results.items() if isinstance(result, Associations)
    ]
    asked = ", ".join(job.request.pheno)
    return ReportContent(
        title=f"Association of {asked}" if job.request.analysis == "gwas" else f"{job.request.analysis} of variants",
        command=job.command,
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        federation=backend.federation_name,
        version=fedstats.__version__,
        privacy=told.privacy,
        privacy_sentence=_privacy_sentence(told, len(backend.nodes)),
        sites=_sites(backend, told, outcome),
        people=_people(job, outcome),
        variants=_variants(backend, outcome),
        traits=tuple(traits),
        tables={name: result.status_counts for name, result in results.items() if not isinstance(result, Associations)},
        meanings={name: meaning.replace("`", "") for name, meaning in MEANINGS.items()},
        notices=_notices(backend, outcome),
        provenance=_provenance(backend, told, outcome),
        methods=_methods(outcome, len(backend.nodes)),
    )


def _privacy_sentence(told: Provenance, nodes: int) -> str:
    said = _PRIVACY.get(told.privacy, "")
    if told.privacy == "paillier":
        said = f"{said} {_key_holder_sentence(told)}"
    if not told.threshold:
        return said
    stands = collusion(told, nodes)
    return f"{said} {told.threshold} of {nodes} sites open a sum: {stands}."


def _key_holder_sentence(told: Provenance) -> str:
    holder = f"Key holder {told.key_holder} opened their product"
    if told.paillier_masks:
        return f"{holder}, which was masked besides: it learnt nothing."
    return f"{holder} and learnt the sums, too; it must not work together with the coordinator."


def _sites(backend: Backend, told: Provenance, outcome: Outcome) -> Table:
    """A row a site: people, version, bytes."""
    rows = [
        (
            node,
            told.people.get(node),
            told.versions.get(node),
            told.bytes_sent.get(node),
            told.bytes_received.get(node),
        )
        for node in backend.nodes
    ]
    columns = ("Site", "People, rounded down to 100", "fedstats", "Bytes to it", "Bytes from it")
    known = [index for index in range(len(columns)) if any(row[index] is not None for row in rows)]
    note = f"{outcome.seconds:.1f} seconds in all, {told.rounds:,} rounds with every site."
    return Table(
        tuple(columns[index] for index in known),
        tuple(tuple(row[index] for index in known) for row in rows),
        note=note if told.rounds else f"{outcome.seconds:.1f} seconds in all.",
    )


def _people(job: Job, outcome: Outcome) -> tuple[tuple[str, int], ...]:
    rows: list[tuple[str, int]] = [(f"named by --{flag}", count) for flag, count in job.listed.items()]
    for number, (model, counts) in enumerate(outcome.people.values()):
        record = people_record(model, counts)
        rows += [("people whom the run may use", record["everyone"])] * (not number)
        for trait, found in record["traits"].items():
            rows += [
                (f"{trait}: trait missing", found["trait_missing"]),
                (f"{trait}: a covariate missing", found["covariate_missing"]),
                (f"{trait}: analysed", found["complete"]),
            ]
    return tuple(rows)


def _variants(backend: Backend, outcome: Outcome) -> tuple[tuple[str, int], ...]:
    preparation = outcome.preparation
    rows = [("in the panel", len(backend.panel))]
    rows += [(f"left out by --{option}", count) for option, count in preparation.left_out.items()]
    chosen = preparation.studies[0].chosen
    rows += [(FALLEN[reason], count) for reason, count in chosen.counts().items()]
    rows.append(("at every node", len(chosen.variants)))
    rows += [
        (f"of these, REF and ALT are exchanged at {node}", count) for node, count in chosen.swapped.items() if count
    ]
    return (*rows, *filter_rows(outcome))


def _trait(name: str, result: Associations, outcome: Outcome, sinks: Sinks) -> TraitReport:
    prepared, model = _model_of(name, outcome.preparation.studies)
    covariates = ", ".join(term.name for term in model.terms) or "no covariates"
    kind = prepared.study.analysis.removeprefix("gwas/").removesuffix(NOISED_SUFFIX)
    files = tuple(path.name for path in sinks.open[name].paths)
    return TraitReport(name, f"{kind} model with {covariates}", result.summary, _noise_facts(result.summary), files)


def _noise_facts(summary: Summary) -> dict[str, Cell]:
    """How much noise there is, where there is any."""
    if not summary.noise_share:
        return {}
    return {"Noise in the standard error, median": f"{100 * summary.noise_share:.0f} %"}


def _model_of(trait: str, studies: tuple[Prepared, ...]) -> tuple[Prepared, Model]:
    """The first model of a trait, with its study."""
    return next(
        (prepared, model)
        for prepared in studies
        for model in prepared.study.scanned
        if trait in [each.name for each in model.traits]
    )


def _notices(backend: Backend, outcome: Outcome) -> tuple[Notice, ...]:
    banners = [Notice("Read this first", banner, grave=True) for banner in backend.banners]
    warned = [note for note in (*outcome.preparation.notes, *outcome.notes) if note.warning]
    return (*banners, *(Notice(note.code.replace("_", " ").capitalize(), note.message) for note in warned))


def _provenance(backend: Backend, told: Provenance, outcome: Outcome) -> dict[str, str]:
    values: dict[str, Any] = {"run": told.run, "roster": told.roster}  # Any: text or numbers
    values |= {f"plan of {analysis}": plan for analysis, plan in told.plans.items()}
    studies = outcome.preparation.studies
    values |= {f"study {prepared.study.analysis}": digest(prepared.study) for prepared in studies}
    values["variant panel"] = backend.panel.digest()
    if told.threshold:
        nodes = len(backend.nodes)
        values["threshold"] = f"{told.threshold} of {nodes} nodes open a pass"
        values["collusion"] = collusion(told, nodes)
    values |= {"python": platform.python_version()}
    return {name: str(value) for name, value in values.items() if value}


def _methods(outcome: Outcome, nodes: int) -> tuple[str, ...]:
    chosen_by = outcome.preparation.left_out
    return tuple(methods(prepared.study, nodes, chosen_by) for prepared in outcome.preparation.studies)
