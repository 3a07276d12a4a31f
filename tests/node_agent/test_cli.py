"""fedstats-node: keys that stay, cards, everything that serve would check, and the audit."""

import json
import re
import shutil
import sqlite3
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fedstats import logs, scratch
from fedstats.errors import UsageError
from fedstats.identity.card import read_card
from fedstats.ledger import open_ledger
from node_agent import serving
from node_agent.cli import app
from node_agent.policy import Policy, read_policy
from node_agent.records import TABLES
from tests.node_agent.sites import make_federation

ROOT = Path(__file__).resolve().parents[2]


def fedstats_node(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "node_agent", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_init_makes_keys_for_the_owner_and_a_node_toml(tmp_path: Path):
    folder = tmp_path / "node"

    done = fedstats_node("init", folder, "--name", "FI")

    assert done.returncode == 0, done.stderr
    modes = {name: (folder / "state" / name).stat().st_mode & 0o777 for name in ("identity.key", "tls.key")}
    assert modes == {"identity.key": 0o600, "tls.key": 0o600}
    assert (folder / "state").stat().st_mode & 0o777 == 0o700
    assert tomllib.loads((folder / "node.toml").read_text())["node"]["name"] == "FI"


def test_the_skeleton_shows_every_key_of_the_policy_with_its_default(tmp_path: Path):
    fedstats_node("init", tmp_path / "node", "--name", "FI")
    text = (tmp_path / "node" / "node.toml").read_text().split("[policy]")[1]
    shown = "\n".join(line.removeprefix("# ") for line in text.splitlines() if line.startswith("# "))

    policy, faults = read_policy(tomllib.loads(shown))

    assert not faults
    assert policy == Policy()
    assert set(tomllib.loads(shown)) == set(Policy().described()) - {"preset"}


def test_init_never_overwrites_keys(tmp_path: Path):
    fedstats_node("init", tmp_path / "node", "--name", "FI")
    before = (tmp_path / "node" / "state" / "identity.key").read_bytes()

    done = fedstats_node("init", tmp_path / "node", "--name", "FI")

    assert done.returncode == 2
    assert "keys are never overwritten" in done.stderr
    assert (tmp_path / "node" / "state" / "identity.key").read_bytes() == before


def test_a_card_is_written_and_peers_keep_it(tmp_path: Path):
    fedstats_node("init", tmp_path / "FI")

    done = fedstats_node("card", tmp_path / "FI")
    kept = fedstats_node("trust", tmp_path / "FI" / "FI.card", "--folder", tmp_path)

    assert (done.returncode, kept.returncode) == (0, 0), done.stderr + kept.stderr
    assert read_card(tmp_path / "FI.card").identity in kept.stdout


def test_renew_makes_a_new_leaf_under_the_same_identity(tmp_path: Path):
    fedstats_node("init", tmp_path / "FI")
    fedstats_node("card", tmp_path / "FI")
    before = read_card(tmp_path / "FI" / "FI.card")

    done = fedstats_node("card", tmp_path / "FI", "--renew")

    after = read_card(tmp_path / "FI" / "FI.card")
    assert done.returncode == 0, done.stderr
    assert (after.identity, after.name) == (before.identity, "FI")
    assert after.certificate != before.certificate


def test_a_changed_card_is_not_trusted(tmp_path: Path):
    fedstats_node("init", tmp_path / "FI")
    fedstats_node("card", tmp_path / "FI")
    card = tmp_path / "FI" / "FI.card"
    card.write_text(card.read_text().replace('"role":"node"', '"role":"coordinator"'))

    done = fedstats_node("trust", card, "--folder", tmp_path)

    assert done.returncode == 2
    assert "the signature does not fit" in done.stderr
    assert not (tmp_path / "FI.card").exists()


def test_check_config_says_what_is_there(tmp_path: Path):
    site = make_federation(tmp_path).site("FI")

    done = fedstats_node("check-config", site.config)

    assert done.returncode == 0, done.stderr
    assert "data set demo: 60 people, 40 variants" in done.stdout


def test_an_agent_keeps_long_arrays_with_its_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    site = make_federation(tmp_path).site("FI")
    monkeypatch.setattr(scratch._Place, "folder", None)
    monkeypatch.setattr(logs, "set_up_logs", lambda *_: None)
    monkeypatch.setattr(serving, "serve", lambda node: node.close())

    done = CliRunner().invoke(app, ["serve", "--config", str(site.config)])

    assert done.exit_code == 0, done.output
    assert scratch._Place.folder == site.folder / "state"


def test_check_config_lists_all_faults_and_ends_with_2(tmp_path: Path):
    site = make_federation(tmp_path).site("FI")
    site.config.write_text(site.config.read_text().replace("min_people = 50", "min_people = 1\nmin_poeple = 2"))

    done = fedstats_node("check-config", site.config)

    assert done.returncode == 2
    assert "did you mean 'min_people'" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["serve", "--confg", "x"], "serve: no such option: --confg; did you mean --config?"),
        (["sevre"], "no such command 'sevre'. Did you mean 'serve'?"),
        (["card", "nowhere"], "card: invalid value for 'DIR': path 'nowhere' does not exist"),
        (["trust", "nowhere.card"], "trust: invalid value for 'CARD': file 'nowhere.card' does not exist"),
        (["init", "pyproject.toml"], "init: invalid value for 'DIR': dir"),
        (["audit", "tests"], "audit: invalid value for 'FILE': file 'tests' is a directory"),
        (["card", "tests"], "identity.key is not in state/\n  'fedstats-node init' makes it."),
        (["sign", "pyproject.toml"], "there is no identity.key in state/"),
    ],
)
def test_a_command_line_that_cannot_be_read_is_one_message(arguments: list[str], said: str):
    done = fedstats_node(*arguments)

    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"fedstats-node: {said}"), done.stderr


def test_every_command_has_its_first_sentence_whole_on_the_help_page():
    shown = fedstats_node("--help").stdout

    commands = shown.split("Commands:")[1].strip().splitlines()
    assert len(commands) >= 8
    assert [line for line in commands if not line.endswith(".") or line.endswith("...") or len(line) > 80] == []


def test_the_state_folder_is_the_one_that_node_toml_names_whatever_is_named(tmp_path: Path):
    fedstats_node("init", tmp_path / "FI")
    (tmp_path / "FI" / "state").rename(tmp_path / "disk")
    config = tmp_path / "FI" / "node.toml"
    config.write_text(config.read_text().replace('state = "state"', 'state = "../disk"'))

    done = fedstats_node("card", config)

    assert done.returncode == 0, done.stderr
    assert read_card(tmp_path / "FI" / "FI.card").identity in done.stdout


@pytest.mark.parametrize("arguments", [["serve"], ["audit"], ["nonsense"]])
def test_wrong_usage_ends_with_2(arguments: list[str]):
    assert fedstats_node(*arguments).returncode == 2


def test_audit_of_a_whole_chain_prints_its_head(tmp_path: Path):
    ledger = open_ledger(tmp_path / "ledger.sqlite")
    head = [ledger.append("noted", {"number": n}) for n in range(3)][-1]
    ledger.close()

    done = fedstats_node("audit", tmp_path / "ledger.sqlite")

    assert done.returncode == 0, done.stderr
    assert f"the chain of 3 entries is whole; head {head}" in done.stdout


#: Entries as a run makes them, and one of another run.
WRITTEN = (
    ("surveyed", {"run": "aa11", "dataset": "demo"}),
    ("answered", {"key": "propose|p1", "answer": "0f"}),
    ("opened", {"run": "ab22", "pass": "0a"}),
    ("chunk", {"pass": "0a", "number": 0}),
    ("answered", {"key": "ready|0a", "answer": "1e"}),
    ("opened", {"run": "cd33", "pass": "0b"}),
    ("chunk", {"pass": "0b", "number": 1}),
)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.sqlite"
    ledger = open_ledger(path, TABLES)
    for kind, body in WRITTEN:
        ledger.append(kind, body)
    ledger.write("INSERT INTO plans VALUES ('p1', 'ab22', '')")
    ledger.close()
    return path


def audited(ledger: Path, *flags: str) -> str:
    done = CliRunner().invoke(app, ["audit", str(ledger), *flags])
    assert done.exit_code == 0, done.output
    return done.output


def test_audit_shows_entries_a_line_each_and_what_the_chain_is(written: Path):
    *lines, last = audited(written, "--entries").splitlines()

    assert [line.split()[0] for line in lines] == list("1234567")
    assert re.fullmatch(r" +3  \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d  opened +pass=0a run=ab22", lines[2])
    assert last.startswith("the chain of 7 entries is whole; head ")


@pytest.mark.parametrize(
    ("flags", "numbers"),
    [
        (["--kind", "chunk"], [4, 7]),
        (["--run", "ab22"], [2, 3, 4, 5]),
        (["--run", "ab"], [2, 3, 4, 5]),
        (["--run", "a"], [1, 2, 3, 4, 5]),
        (["--run", "cd", "--kind", "chunk"], [7]),
        ([], [1, 2, 3, 4, 5, 6, 7]),
    ],
)
def test_audit_shows_entries_of_a_run_with_its_plan_and_passes_or_of_a_kind(
    written: Path, flags: list[str], numbers: list[int]
):
    shown = [json.loads(line) for line in audited(written, "--json", *flags).splitlines()]

    assert [entry["entry"] for entry in shown] == numbers
    assert [(entry["kind"], entry["body"]) for entry in shown] == [WRITTEN[number - 1] for number in numbers]
    assert {(len(entry["hash"]), entry["at"][10]) for entry in shown} == {(64, "T")}


def test_audit_counts_the_entries_of_a_run(written: Path):
    lines = audited(written, "--run", "ab22").splitlines()

    assert [line.split()[:2] for line in lines[1:-1]] == [["answered", "2"], ["chunk", "1"], ["opened", "1"]]
    assert lines[-1].startswith("the chain of 7 entries")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--kind", "refused"], "no entry is of the kind 'refused'; there are answered, chunk, opened, surveyed"),
        (["--run", "b"], "no entry is about a run that begins like 'b'"),
    ],
)
def test_audit_of_entries_that_there_are_none_of_says_so(written: Path, flags: list[str], said: str):
    done = CliRunner().invoke(app, ["audit", str(written), *flags])

    assert isinstance(done.exception, UsageError)
    assert str(done.exception) == said


def test_audit_of_a_broken_chain_ends_with_5(tmp_path: Path):
    ledger = open_ledger(tmp_path / "ledger.sqlite")
    for number in range(3):
        ledger.append("noted", {"number": number})
    ledger.close()
    with sqlite3.connect(tmp_path / "ledger.sqlite") as connection:
        connection.execute("UPDATE entries SET body = '{}' WHERE seq = 2")
    connection.close()

    done = fedstats_node("audit", tmp_path / "ledger.sqlite")

    assert done.returncode == 5
    assert "entry 2 was changed" in done.stderr


def test_audit_reads_a_copy_without_its_log(tmp_path: Path):
    ledger = open_ledger(tmp_path / "ledger.sqlite")
    ledger.append("noted", {})
    ledger.close()
    shutil.copy(tmp_path / "ledger.sqlite", tmp_path / "copy.sqlite")
    (tmp_path / "copy.sqlite").chmod(0o400)

    assert fedstats_node("audit", tmp_path / "copy.sqlite").returncode == 0
