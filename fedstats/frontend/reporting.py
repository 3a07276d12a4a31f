"""What a run tells: OUT.log as it goes, events for onlookers, OUT.variants.tsv.gz, OUT.run.json, the report."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import fedstats
from fedstats.analyses.people_accounting import PeopleCounts
from fedstats.frontend.backend import Backend, Event, Events
from fedstats.frontend.job import Job
from fedstats.frontend.prepare import Preparation
from fedstats.frontend.provenance import Outcome, collusion, filter_rows, people_record
from fedstats.frontend.report import FALLEN, report_content
from fedstats.frontend.sinks import Result, Sinks
from fedstats.frontend.variants import fallen_columns
from fedstats.results.associations import Associations
from fedstats.results.files import write_atomically
from fedstats.results.log import RunLog
from fedstats.results.report import write_report
from fedstats.results.status_words import in_words
from fedstats.results.tables import TableWriter
from fedstats.rows import Note
from fedstats.study import Model


class Reporter:
    """Tells what a run does; writes nothing where the job has no OUT. A context: the log ends as the run does."""

    def __init__(self, backend: Backend, job: Job, events: Events) -> None:
        self.backend, self.job, self.events = backend, job, events
        out = job.place.out
        self._written: list[Path] = []
        self._log = None if out is None else RunLog(out, version=fedstats.__version__, command=job.command)

    def __enter__(self) -> Self:
        for banner in self.backend.banners:
            self._line(banner)
        told = self.backend.provenance()
        held = {node: told.people.get(node) for node in self.backend.nodes}
        sites = [f"{node} ({people:,} people or more)" if people else node for node, people in held.items()]
        self._line(f"Federation {self.backend.federation_name}: {', '.join(sites)}")
        self._line(f"Privacy: {told.privacy}; {collusion(told, len(held))}")
        if told.run:
            self._line(f"Run: {told.run}")
        self._line("")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._log is not None:
            self._log.__exit__(kind, error, at)

    def planned(self, preparation: Preparation) -> None:
        """Say what will be done; of a plan that nodes refuse, or that is only proposed, there will be no results."""
        for banner in () if self.job.plan_only else self.backend.banners:
            self._warn("READ_FIRST", banner)
        for note in preparation.notes:
            self.note(note)
        for flag, count in self.job.listed.items():
            self._line(f"--{flag} names {count:,} people")
        for option, count in preparation.left_out.items():
            self._line(f"--{option} leaves out {count:,} variants")
        for prepared in preparation.studies:
            self._line(f"{prepared.study.analysis}: {len(prepared.chosen.variants):,} variants at every node")
            self._rows([(FALLEN[reason], count) for reason, count in prepared.chosen.counts().items()])
            turned = [
                (f"with REF and ALT exchanged at {node}, turned", count)
                for node, count in prepared.chosen.swapped.items()
                if count
            ]
            self._rows(turned)
        self.events(
            Event(
                "plan",
                {
                    "run": self.backend.provenance().run,
                    "federation": self.backend.federation_name,
                    "nodes": list(self.backend.nodes),
                    "analyses": [prepared.study.analysis for prepared in preparation.studies],
                    "total": sum(len(prepared.chosen.variants) for prepared in preparation.studies),
                },
            )
        )

    def proposed(self, preparation: Preparation) -> None:
        """Write each plan as its nodes have it, for their custodians to look at: OUT.ANALYSIS.plan.json."""
        out = self.job.place.out
        if out is None:
            return
        for prepared in preparation.studies:
            name = prepared.study.analysis.replace("/", ".")
            path = out.with_name(f"{out.name}.{name}.plan.json")
            write_atomically(path, self.backend.plan(prepared.study) + b"\n")
            self._line(f"Proposed, and not begun: {path.name}")
            self.events(Event("result", {"trait": name, "path": [str(path)]}))

    def note(self, note: Note) -> None:
        """Put a note into the log; onlookers hear of warnings."""
        self._line(f"WARNING {note.code}: {note.message}" if note.warning else note.message)
        if note.warning:
            self._warn(note.code, note.message)

    def people(self, model: Model, counts: PeopleCounts) -> None:
        """Say who is in and why others are not."""
        record = people_record(model, counts)
        if not record["traits"]:
            self._rows([("people", record["everyone"])])
        for trait, found in record["traits"].items():
            self._line(f"{trait}:")
            reasons = {
                "lack the trait": "trait_missing",
                "have the trait and lack a covariate": "covariate_missing",
                "are analysed": "complete",
            }
            known = [("people", record["everyone"]), *((said, found[name]) for said, name in reasons.items())]
            self._rows(known)

    def fallen_out(self, outcome: Outcome) -> None:
        """Write OUT.variants.tsv.gz: chosen variants that are in no result, or not in that of some traits, and why."""
        out, studies = self.job.place.out, outcome.preparation.studies
        if out is None or not studies:
            return
        filtered = [one for taken in outcome.filtered.values() for one in taken.gathered()]
        fallen = fallen_columns(self.backend.panel, studies[0].chosen, filtered, len(self.backend.nodes))
        with TableWriter(out, "variants.tsv.gz") as writer:
            for columns in fallen:
                writer.append(columns)
        self._written.append(writer.path)

    def withdraw(self) -> None:
        """Take back what was written: the tables that it belongs to are not there."""
        for path in self._written:
            path.unlink(missing_ok=True)

    def finished(self, results: Mapping[str, Result], sinks: Sinks, outcome: Outcome, record: dict[str, Any]) -> None:
        """Write OUT.run.json and the last lines of the log, and tell of every result."""
        self._rows(filter_rows(outcome))
        self._line("")
        record["results"] = {}
        for name, result in results.items():
            record["results"][name] = _told(result)
            self._line(f"{name}: {_in_words(result)}")
            for table in sinks.open[name].paths:
                self._line(f"  {table.name}")
        self._costs(record)
        out = self.job.place.out
        if out is not None:
            body = json.dumps(record, indent=2, sort_keys=True).encode()
            path = out.with_name(f"{out.name}.run.json")
            write_atomically(path, body + b"\n")
            self._written.append(path)
            write_report(out, report_content(self.backend, self.job, outcome, results, sinks))
        for name, told in record["results"].items():
            paths = [str(path) for path in sinks.open[name].paths]
            self.events(Event("result", {"trait": name, "path": paths, **told}))

    def _costs(self, record: Mapping[str, Any]) -> None:
        """Say what a run has moved."""
        sent, received = record["bytes_sent"], record["bytes_received"]
        if sent:
            self._line(f"Bytes in {record['rounds']:,} rounds:")
            self._rows([(f"to {node}, {received.get(node, 0):,} from it", sent[node]) for node in sorted(sent)])

    def _warn(self, code: str, message: str) -> None:
        self.events(Event("warning", {"code": code, "message": message}))

    def _line(self, text: str) -> None:
        if self._log is not None:
            self._log.line(text)

    def _rows(self, rows: Sequence[tuple[str, int | str]]) -> None:
        if self._log is not None and rows:
            self._log.table(list(rows))


def _told(result: Result) -> dict[str, Any]:  # Any: JSON
    """A result in a few words."""
    if not isinstance(result, Associations):
        return {"rows": len(result), "status": result.status_counts}
    summary = result.summary
    return {"rows": summary.rows, "status": dict(summary.status_counts), "lambda_gc": _finite(summary.lambda_gc)}


def _in_words(result: Result) -> str:
    """A result in the log."""
    if not isinstance(result, Associations):
        return f"{len(result):,} variants ({in_words(result.status_counts)})"
    summary = result.summary
    return f"{summary.rows:,} variants ({in_words(summary.status_counts)}), lambda GC {summary.lambda_gc:.4f}"


def _finite(value: float) -> float | None:
    return float(f"{value:.6g}") if value == value else None  # JSON has no NaN
