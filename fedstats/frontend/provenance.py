"""OUT.run.json: what produced a result, in full, as plain JSON."""

import json
import platform
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

import fedstats
from fedstats.analyses.people_accounting import PeopleCounts
from fedstats.cohort import VALUE_CLASSES
from fedstats.documents import digest, encode
from fedstats.frontend.backend import Backend, Provenance
from fedstats.frontend.job import Job
from fedstats.frontend.prepare import Preparation, Prepared
from fedstats.rows import Filtered, Note
from fedstats.scratch import Scratch
from fedstats.study import Model


class Taken:
    """What filters took, gathered chunk by chunk; apart for each group of traits whose people differ."""

    def __init__(self) -> None:
        self._variants: dict[tuple[str, tuple[str, ...]], Scratch[np.int64]] = {}
        self._counts: Counter[str] = Counter()

    def add(self, taken: Iterable[Filtered]) -> None:
        """Add what was taken of the next variants of the panel."""
        for one in taken:
            self._counts[one.name] += len(one.variants)
            self._variants.setdefault((one.name, one.traits), Scratch(np.int64)).append(one.variants)

    def counts(self) -> dict[str, int]:
        """How many variants each filter took; one that it took from several groups of traits counts for each."""
        return dict(self._counts)

    def gathered(self) -> list[Filtered]:
        """All that was taken; nothing can be added any more."""
        return [Filtered(name, traits, found.array()) for (name, traits), found in self._variants.items()]


@dataclass
class Outcome:
    """What a run has found besides its rows, gathered while it goes.

    `people` has, by analysis, the accounting model and its counts; `filtered`, by analysis, what filters took.
    """

    preparation: Preparation
    people: dict[str, tuple[Model, PeopleCounts]] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    filtered: dict[str, Taken] = field(default_factory=dict)
    seconds: float = 0.0


def people_record(model: Model, counts: PeopleCounts) -> dict[str, Any]:  # Any: JSON
    """People and the reasons for leaving them out, by trait."""
    record: dict[str, Any] = {"everyone": int(counts.everyone[0]), "covariate_missing": int(counts.incomplete[0])}
    record["traits"] = {
        trait.name: {
            **{name: int(getattr(counts, name)[index]) for name in VALUE_CLASSES},
            "trait_missing": int(counts.everyone[0] - counts.known[index]),
            "covariate_missing": int(counts.covariate_missing[index]),
            "complete": int(counts.complete[index]),
        }
        for index, trait in enumerate(model.traits)
    }
    return record


def filter_rows(outcome: Outcome) -> list[tuple[str, int]]:
    """What each filter took, in words, for log and report."""
    return [
        (f"filtered by --{name.replace('_', '-')} ({analysis})", count)
        for analysis, taken in outcome.filtered.items()
        for name, count in taken.counts().items()
    ]


def run_record(backend: Backend, job: Job, outcome: Outcome) -> dict[str, Any]:  # Any: JSON
    """Everything that OUT.run.json says."""
    told = backend.provenance()
    preparation = outcome.preparation
    return {
        "fedstats": fedstats.__version__,
        "python": platform.python_version(),
        "command": job.command,
        "federation": backend.federation_name,
        "banners": list(backend.banners),
        "request": json.loads(encode(preparation.request)),
        "studies": [_study_record(prepared) for prepared in preparation.studies],
        "panel": {"variants": len(backend.panel), "left_out": preparation.left_out},
        "listed_people": dict(job.listed),
        "people": {analysis: people_record(*found) for analysis, found in outcome.people.items()},
        "filtered": {analysis: taken.counts() for analysis, taken in outcome.filtered.items() if taken.counts()},
        "notes": [_note_record(note) for note in (*preparation.notes, *outcome.notes)],
        "nodes": list(told.nodes or backend.nodes),
        "catalogue": dict(told.people),
        "node_count": len(backend.nodes),
        "threshold": told.threshold,
        "collusion": collusion(told, len(backend.nodes)),
        **{name: value for name, value in asdict(told).items() if name not in ("nodes", "threshold", "people")},
        "seconds": round(outcome.seconds, 3),
    }


def _study_record(prepared: Prepared) -> dict[str, Any]:  # Any: JSON
    return {
        "study": json.loads(encode(prepared.study)),
        "study_sha256": digest(prepared.study),
        "variants": len(prepared.chosen.variants),
        "fallen_out": prepared.chosen.counts(),
        "swapped": dict(prepared.chosen.swapped),
    }


def _note_record(note: Note) -> dict[str, Any]:  # Any: JSON
    return {"code": note.code, "message": note.message, "warning": note.warning}


def collusion(told: Provenance, nodes: int) -> str:
    """What the run stands, in words; whoever has all sums but one has that one, too."""
    if told.privacy == "local":
        return "all data were in one process"
    if told.privacy == "plain":
        return "nothing is masked: the coordinator saw every node's sums"
    if told.privacy == "paillier" and not told.paillier_masks:
        who = f"the coordinator and key holder {told.key_holder}"
        return f"{who} must not work together: they would learn every node's sums"
    stood = max(0, min(told.threshold - 1, nodes - 2))
    if not stood:
        return "the coordinator alone learns no node's sums; a node together with the coordinator does"
    who = "any one node" if stood == 1 else f"any {stood} nodes"
    return f"{who} together with the coordinator learn{'s' * (stood == 1)} no other node's sums"
