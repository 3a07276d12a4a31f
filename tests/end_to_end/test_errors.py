"""Whatever goes wrong is one clear error with its exit code; nothing is half-written, nothing of a node leaks."""

import json
import re
import shutil
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fedstats.identity.card import make_card, write_card
from fedstats.identity.keys import Leaf, generate_leaf, load_identity, save_leaf
from fedstats.results.associations import Associations
from fedstats.sandbox import pooled
from fedstats.sandbox.folder import COORDINATOR, IDENTITY_FILE, LEAF_FILE, LEAF_KEY_FILE
from tests.end_to_end.error_sites import (
    OTHER_ALLELES,
    VALUE,
    Ended,
    Sites,
    coordinator_copy,
    edit,
    fedstats,
    fedstats_node,
    fedstats_process,
    full_disk,
    gwas,
)

#: Largest difference, in standard errors, from least squares in float64: fixed-point steps are far smaller.
IN_STANDARD_ERRORS = 1e-8
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def check(ended: Ended, code: int, *said: str, folder: Path) -> None:
    """One error that says these things, no traceback, no result file, no unfinished file."""
    assert ended.code == code, ended.errors
    for text in said:
        assert text in ended.errors
    assert ended.errors.count("fedstats:") == 1
    assert "Traceback" not in ended.errors
    assert ended.output == ""
    assert leftovers(folder) == []


def leftovers(folder: Path) -> list[str]:
    """Files of results, whole or not: none may be there after a failure."""
    found = [path.name for path in folder.glob("run.*") if path.is_file() and path.name != "run.log"]
    return sorted(found + [path.name for path in folder.rglob("*.part")])


# Before anything is asked of data


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--pheno", "height"], ["NO has no column 'height'", "Nearest names there: heigth"]),
        (["--covar", "agge,PC1-PC9"], ["EE, FI and NO", "'agge'", "age", "PC5"]),
        (["--covar", "age,still"], ["'still'", "does not vary", "--site-effects fixed"]),
        (["--covar", "age,sex,twice"], ["'age'", "'twice'"]),
        (["--pheno", "t3", "--model", "logistic"], ["'t3'", "0, 1, 2", "--model linear"]),
        (["--pheno", "t3"], ["'t3'", "--model linear"]),
    ],
    ids=["trait lacking", "covariate lacking", "constant", "collinear", "three values", "three values, auto"],
)
def test_a_question_that_does_not_fit_the_data_is_exit_2(
    sites: Sites, tmp_path: Path, flags: list[str], said: list[str]
) -> None:
    ended = gwas(sites, tmp_path, *flags)

    check(ended, 2, *said, folder=tmp_path)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--privacy", "plain"], ["EE", "policy rule privacy", "'plain' is not among masked"]),
        (["--missing", "drop"], ["FI", "policy rule allow_drop", "'--missing drop' is not allowed"]),
        (["--pheno", "b1"], ["NO", "policy rule analyses", "'gwas/logistic' is not among freq"]),
        (["--pheno", "q60"], ["q60", "NO", "at least 100 people"]),
        (["--nodes", "FI,EE"], ["2 nodes", "at least 3"]),
    ],
    ids=["plain", "drop", "analysis", "few people", "two nodes"],
)
def test_a_refusal_names_rule_and_limit_and_that_nothing_was_sent(
    sites: Sites, tmp_path: Path, flags: list[str], said: list[str]
) -> None:
    ended = gwas(sites, tmp_path, *flags)

    check(ended, 3, *said, folder=tmp_path)
    assert "othing was sent" in ended.errors


def test_a_folder_that_does_not_exist_is_said_before_anybody_is_asked(sites: Sites, tmp_path: Path) -> None:
    ended = fedstats(
        "gwas", "--federation", sites.federation, "--pheno", "q1", "--out", "nowhere/run", "--json", cwd=tmp_path
    )

    events = [json.loads(line) for line in ended.output.splitlines()]
    assert ended.code == 2
    assert [event["event"] for event in events] == ["error"]
    assert events[0]["code"] == "BAD_OUT"
    assert not (tmp_path / "nowhere").exists()


def test_resume_needs_the_state_of_a_run(sites: Sites, tmp_path: Path) -> None:
    ended = gwas(sites, tmp_path, "--resume")

    check(ended, 2, "nothing to resume in run.run", "Leave --resume out", folder=tmp_path)


# Nodes that cannot be reached


def test_an_unreachable_node_is_exit_4(sites: Sites, tmp_path: Path) -> None:
    federation = coordinator_copy(sites.sandbox, tmp_path)
    edit(federation, (sites.sandbox.nodes["EE"], "127.0.0.1:9"))

    ended = gwas(sites, tmp_path, federation=federation)

    check(ended, 4, "EE: nobody answers at 127.0.0.1:9", "Is the agent of EE running?", folder=tmp_path)
    assert "ERROR (UNAVAILABLE, exit 4): EE: nobody answers" in (tmp_path / "run.log").read_text()


@pytest.mark.parametrize("whose", ["yours", "a node's"])
def test_an_expired_certificate_is_exit_4(sites: Sites, tmp_path: Path, whose: str) -> None:
    federation = coordinator_copy(sites.sandbox, tmp_path)
    if whose == "yours":
        _give_own_leaf(tmp_path, _expired(COORDINATOR), with_card=True)
    else:
        _give_card(sites, tmp_path, "EE", _expired("EE"))

    ended = gwas(sites, tmp_path, federation=federation)

    check(ended, 4, "your own certificate" if whose == "yours" else "EE", "expired", "2020-01-31", folder=tmp_path)


@pytest.mark.parametrize("case", ["yours is not on your card", "nodes have another card of yours", "a node's"])
def test_a_foreign_certificate_is_exit_4(sites: Sites, tmp_path: Path, case: str) -> None:
    federation = coordinator_copy(sites.sandbox, tmp_path)
    if case == "a node's":
        _give_card(sites, tmp_path, "EE", generate_leaf("EE"))
        said = ["EE: whoever answers at", "does not show the certificate of EE.card"]
    else:
        known_only_here = case.startswith("nodes have")
        _give_own_leaf(tmp_path, generate_leaf(COORDINATOR), with_card=known_only_here)
        said = ["trusted your card"] if known_only_here else ["your own certificate is not the one on your card"]

    ended = gwas(sites, tmp_path, federation=federation)

    check(ended, 4, *said, folder=tmp_path)


def _expired(name: str) -> Leaf:
    return generate_leaf(name, now=LONG_AGO, valid_days=30)


def _give_own_leaf(folder: Path, leaf: Leaf, *, with_card: bool) -> None:
    for name in (LEAF_KEY_FILE, LEAF_FILE):
        (folder / name).unlink()
    save_leaf(leaf, folder / LEAF_KEY_FILE, folder / LEAF_FILE)
    if with_card:
        card = make_card(load_identity(folder / IDENTITY_FILE), leaf, COORDINATOR, role="coordinator")
        write_card(card, folder / f"{COORDINATOR}.card")


def _give_card(sites: Sites, folder: Path, node: str, leaf: Leaf) -> None:
    identity = load_identity(sites.sandbox.node_folder(node) / "state" / "identity.key")
    write_card(make_card(identity, leaf, node), folder / f"{node}.card")


# Alleles that differ between sites


@pytest.fixture(scope="module")
def finished(sites: Sites, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run of q1 on age and sex."""
    folder = tmp_path_factory.mktemp("finished")
    ended = gwas(sites, folder, "--covar", "age,sex")
    assert ended.code == 0, ended.errors
    return folder


def test_exchanged_alleles_are_turned_and_give_the_pooled_answer(sites: Sites, finished: Path) -> None:
    result = Associations.read(finished / "run.q1.parquet")
    phenotypes, covariates = (Path(f"{sites.pooled}.{which}.tsv") for which in ("pheno", "covar"))
    # The planted value of the first person of each site is in the pooled table, too.
    planted = finished / "pheno.tsv"
    planted.write_text(_with_planted_values(phenotypes, covariates))
    data = pooled.read_pooled(sites.pooled, planted, covariates, "q1", ["age", "sex"])
    ids = [line.split()[1] for line in sites.pooled.with_suffix(".bim").read_text().splitlines()]
    at = np.array([ids.index(name) for name in result["ID"]])

    estimated = result["STATUS"] == "OK"
    difference = np.abs(result["BETA"] - pooled.linear_betas(data)[at]) / result["SE"]
    assert estimated.sum() > 200
    assert difference[estimated].max() < IN_STANDARD_ERRORS
    assert "with REF and ALT exchanged at FI, turned" in (finished / "run.log").read_text()


def _with_planted_values(phenotypes: Path, covariates: Path) -> str:
    sites = [line.split("\t")[-1] for line in covariates.read_text().splitlines()]
    lines = [line.split("\t") for line in phenotypes.read_text().splitlines()]
    for site in ("FI", "EE", "NO"):
        lines[sites.index(site)][lines[0].index("q1")] = VALUE
    return "".join("\t".join(line) + "\n" for line in lines)


def test_other_alleles_are_dropped_and_counted(sites: Sites, finished: Path) -> None:
    panel = [line.split()[1] for line in sites.pooled.with_suffix(".bim").read_text().splitlines()]
    dropped = [panel[at] for at in OTHER_ALLELES]
    listed = pl.read_csv(finished / "run.variants.tsv.gz", separator="\t")
    record = json.loads((finished / "run.run.json").read_text())

    assert listed["ID"].to_list() == dropped
    assert set(listed["REASON"]) == {"ALLELES_DIFFER"}
    assert set(dropped).isdisjoint(Associations.read(finished / "run.q1.parquet")["ID"])
    assert record["studies"][0]["fallen_out"] == {"ALLELES_DIFFER": len(dropped)}
    assert re.search(rf"^ +{len(dropped)}  other alleles at some node$", (finished / "run.log").read_text(), re.M)
    assert "other alleles at some node" in (finished / "run.report.html").read_text()


def test_log_and_record_say_who_answered_and_what_collusion_the_run_stands(finished: Path) -> None:
    log, record = (finished / "run.log").read_text(), json.loads((finished / "run.run.json").read_text())

    # 720 people in the shares of the simulation; the catalogue rounds down to 100.
    assert record["catalogue"] == {"EE": 200, "FI": 300, "NO": 100}
    assert "FI (300 people or more)" in log
    assert record["threshold"] == 3
    assert record["collusion"] == "any one node together with the coordinator learns no other node's sums"
    assert record["collusion"] in log
    assert min(record["bytes_sent"].values()) > 0
    assert f"Run: {record['run']}" in log


# Files that are broken, disks that are full


def test_a_truncated_fileset_is_refused_with_every_fault_listed(sites: Sites, tmp_path: Path) -> None:
    folder = _node_copy(sites, tmp_path)
    bed, covariates = folder / "genotypes.bed", folder / "covariates.tsv"
    bed.write_bytes(bed.read_bytes()[:-100])
    covariates.write_text(covariates.read_text() + covariates.read_text().splitlines()[-1] + "\n")

    for words in (["check-config", "node.toml"], ["serve", "--config", "node.toml"]):
        ended = fedstats_node(*words, cwd=folder)

        assert ended.code == 2, ended.errors
        assert "2 faults" in ended.errors
        assert "bed: " in ended.errors
        assert "covariates: " in ended.errors
        assert "Traceback" not in ended.errors


def _node_copy(sites: Sites, tmp_path: Path) -> Path:
    """The folder of NO with its data and keys, without what its agent keeps."""
    folder = tmp_path / "NO"
    ignored = shutil.ignore_patterns("state", "agent.*")
    shutil.copytree(sites.sandbox.node_folder("NO"), folder, ignore=ignored)
    (folder / "state").mkdir(mode=0o700)
    for name in ("identity.key", "tls.key", "tls.crt"):
        shutil.copy(sites.sandbox.node_folder("NO") / "state" / name, folder / "state" / name)
    return folder


@pytest.mark.parametrize("names", [".run.q1.*.part", ".whole.2.part", ".run.report.html.part"])
def test_a_full_disk_at_the_coordinator_leaves_nothing_and_can_be_resumed(
    sites: Sites, finished: Path, tmp_path: Path, names: str
) -> None:
    flag = tmp_path / "full"
    flag.touch()
    words = ("gwas", "--federation", sites.federation, "--pheno", "q1", "--covar", "age,sex", "--out", "run")

    ended = fedstats(*words, cwd=tmp_path, environment=full_disk(flag, names))

    check(ended, 5, "the disk is full", "--resume", folder=tmp_path)
    flag.unlink()
    assert fedstats(*words, "--resume", cwd=tmp_path).code == 0
    assert _table(tmp_path) == _table(finished)


def test_a_full_disk_at_a_node_is_its_error_and_can_be_resumed(sites: Sites, finished: Path, tmp_path: Path) -> None:
    flag = sites.sandbox.folder.parent / "node-disk-is-full"
    flag.touch()
    try:
        ended = gwas(sites, tmp_path, "--covar", "age,sex")
    finally:
        flag.unlink()

    check(ended, 5, "spool cannot be written (No space left on device)", "Make room", folder=tmp_path)
    assert gwas(sites, tmp_path, "--covar", "age,sex", "--resume").code == 0
    assert _table(tmp_path) == _table(finished)


def _table(folder: Path) -> bytes:
    return (folder / "run.q1.tsv.gz").read_bytes()


# Ctrl-C


def test_ctrl_c_leaves_nothing_half_written_and_resume_ends_with_the_same_bytes(
    sites: Sites, finished: Path, tmp_path: Path
) -> None:
    words = ("gwas", "--federation", sites.federation, "--pheno", "q1", "--covar", "age,sex", "--out", "run")
    words = (*words, "--pass-variants", "60", "--json")
    process = fedstats_process(*words, cwd=tmp_path)
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(json.loads(line))
        if seen[-1].get("done"):
            process.send_signal(signal.SIGINT)
            break
    rest, errors = process.communicate(timeout=60)

    events = seen + [json.loads(line) for line in rest.splitlines()]
    assert (process.returncode, errors) == (5, "")
    assert [event["code"] for event in events if event["event"] == "error"] == ["INTERRUPTED"]
    assert "--resume" in events[-1]["hint"]
    assert leftovers(tmp_path) == []
    resumed = fedstats(*words, "--resume", cwd=tmp_path)
    assert resumed.code == 0, resumed.output
    assert _table(tmp_path) == _table(finished)


def test_json_lines_have_time_and_run_and_what_belongs_to_them(sites: Sites, tmp_path: Path) -> None:
    words = ("gwas", "--federation", sites.federation, "--pheno", "q1", "--out", "run", "--json")

    events = [json.loads(line) for line in fedstats(*words, cwd=tmp_path).output.splitlines()]

    assert {"plan", "pass", "result"} <= {event["event"] for event in events}
    assert all({"event", "time", "run"} <= set(event) for event in events)
    plan = next(event for event in events if event["event"] == "plan")
    assert {event["run"] for event in events[events.index(plan) :]} == {plan["run"]}
    last = [event for event in events if event["event"] == "pass" and "total" in event][-1]
    assert last["done"] == last["total"] == plan["total"]
    assert last["seconds_left"] == 0
    assert events[-1]["trait"] == "q1"
    assert events[-1]["path"] == ["run.q1.tsv.gz", "run.q1.parquet"]


def test_nodes_are_shown_with_people_policy_budget_and_certificate(sites: Sites, tmp_path: Path) -> None:
    shown = fedstats("nodes", "--federation", sites.federation, "--policy", cwd=tmp_path)
    lines = fedstats("nodes", "--federation", sites.federation, "--json", cwd=tmp_path).output.splitlines()

    assert shown.code == 0
    for text in ("3 nodes, 3 ready", "300+", "queries left", "min_people", "heigth", "certificate until"):
        assert text in shown.output
    nodes = {event["node"]: event for event in map(json.loads, lines)}
    assert sorted(nodes) == ["EE", "FI", "NO"]
    assert nodes["EE"]["policy"]["privacy"] == "masked"
    assert datetime.fromisoformat(nodes["EE"]["certificate_expires"]) - datetime.now(UTC) > timedelta(days=300)


def test_a_node_that_is_away_is_shown_as_such_with_exit_4(sites: Sites, tmp_path: Path) -> None:
    federation = coordinator_copy(sites.sandbox, tmp_path)
    edit(federation, (sites.sandbox.nodes["EE"], "127.0.0.1:9"))

    ended = fedstats("nodes", "--federation", federation, cwd=tmp_path)

    assert ended.code == 4
    assert "3 nodes, 2 ready" in ended.output
    assert "away: nobody answers" in ended.output
    assert "EE: nobody answers at 127.0.0.1:9: connection refused" in ended.errors
