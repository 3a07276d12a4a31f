"""A command line that makes no sense is one clear message and exit 2, before anybody is asked."""

import inspect
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import fedstats as package
from fedstats.cli import gwas, main, tables
from fedstats.sandbox.folder import Sandbox
from fedstats.study import LARGEST_PASS
from tests.cli.command import Command


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "genotypes.bed").write_bytes(b"\x6c\x1b\x01\xff")
    (tmp_path / "people.txt").write_text("F1 P1\nP2\n")
    (tmp_path / "nobody.txt").write_text("")
    (tmp_path / "results").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["gwas", "--fedration", "f.toml"],
            ["no such option: --fedration", "--federation", "See fedstats gwas --help"],
        ),
        (["gwsa"], ["no such command 'gwsa'", "See fedstats --help"]),
        (["gwas", "--federation", "f.toml", "--out", "run"], ["missing option '--pheno'"]),
        (["freq", "--federation", "f.toml", "--out", "run", "--maf", "0.01"], ["no such option: --maf"]),
        (["simulate"], ["missing argument"]),
        (["simulate", "study", "--samples", "3"], ["--samples is 3", "must lie between"]),
        (["simulate", "study", "--sites", "1", "--confounded"], ["--confounded", "there is one site"]),
        (["simulate", "study", "--sites", "1", "--controls-only"], ["--controls-only", "there is one site"]),
        (["simulate", "study", "--missing-rate", "0", "--missing-by-trait"], ["--missing-by-trait", "none are"]),
        (
            ["simulate", "study", "--samples", "3", "--fst", "0.9"],
            ["the simulation has 2 faults", "--samples is 3", "--fst is 0.9"],
        ),
        (
            [
                *("sandbox", "create", "x", "--bfile", "a", "--pheno", "b", "--covar", "c"),
                *("--site-column", "s", "--key-bits", "2048"),
            ],
            ["--key-bits 2048 is for a key holder, and none is made", "Add --key-holder"],
        ),
        (["sandbox", "up", "nowhere"], ["nowhere holds no sandbox", "fedstats sandbox create nowhere"]),
        (
            ["sandbox", "create", "x", "--policy", "lax", "--bfile", "a", "--pheno", "b", "--covar", "c"],
            ["site-column"],
        ),
    ],
)
def test_a_command_line_that_cannot_be_read_is_exit_2(
    fedstats: Command, folder: Path, words: list[str], said: list[str]
) -> None:
    ended = fedstats(*words)

    assert ended.code == 2
    assert ended.output == ""
    assert all(text in ended.errors for text in said), ended.errors
    assert ended.errors.startswith("fedstats: ")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--wait", "soon"], ["--wait 'soon' is no duration", "Write 90s, 15m or 2h"]),
        (["--extract", "none.txt"], ["--extract none.txt: No such file"]),
        (["--exclude", "genotypes.bed"], ["--exclude genotypes.bed: it is no text"]),
        (["--keep", "people.txt"], ["--keep people.txt: some lines have no FID and IID"]),
        (["--keep", "nobody.txt"], ["--keep nobody.txt: the list names nobody", "leave --keep out"]),
        (["--extract", "nobody.txt"], ["--extract nobody.txt: the list names no variant"]),
        (["--maf", "little"], ["invalid value for '--maf'"]),
        (["--maf", "0.7"], ["--maf 0.7 is not between 0 and 0.5"]),
        (["--model", "logit"], ["--model is 'logit'; it can be one of auto, linear, logistic"]),
        (["--privacy", "pailier"], ["--privacy is 'pailier'; it can be one of masked, plain, paillier"]),
        (["--paillier-masks", "off"], ["--paillier-masks off means nothing to --privacy masked"]),
        (["--paillier-masks", "no"], ["--paillier-masks is 'no'; it can be one of on, off"]),
        (["--privacy", "paillier"], ["the roster names no key holder", "there is no [key_holder]"]),
        (["--covar", "age,age"], ["--covar names 'age' twice"]),
        (["--local-covar", "age"], ["--site-effects fixed"]),
        (["--model", "linear", "--test", "score"], ["--test score is of no use with --model linear"]),
        (["--model", "linear", "--convergence", "plink"], ["--convergence plink is of no use with --model linear"]),
        (["--test", "score", "--convergence", "plink"], ["--convergence plink is of no use with --test score"]),
        (["--hwe", "1e-6", "--hwe-pooled", "1e-6"], ["--hwe and --hwe-pooled exclude each other"]),
        (["--people-as", "earlier"], ["--people-as earlier", "earlier.run.json"]),
        (["--nodes", "FI,XX"], ["the roster has no node 'XX'", "EE, FI, NO"]),
        (["--out", "results"], ["--out results is a folder", "results/run"]),
        (["--out", "nowhere/run"], ["there is no folder nowhere"]),
        (["--resume"], ["nothing to resume in run.run"]),
    ],
)
def test_a_request_that_makes_no_sense_is_exit_2_and_nobody_is_asked(
    fedstats: Command, folder: Path, sandbox: Sandbox, flags: list[str], said: list[str]
) -> None:
    # No agent runs: whoever asked one would end with exit 4.
    words = ["gwas", "--federation", sandbox.federation_file, "--pheno", "q1", "--out", "run"]
    ended = fedstats(*words, *flags)

    assert ended.code == 2, ended.errors
    assert ended.output == ""
    assert all(text in ended.errors for text in said), ended.errors
    assert [path.name for path in folder.iterdir() if path.name.startswith("run.") and path.is_file()] == []


def test_all_faults_of_a_request_are_told_at_once(fedstats: Command, folder: Path, sandbox: Sandbox) -> None:
    words = ["gwas", "--federation", sandbox.federation_file, "--pheno", "q1,q1", "--out", "run", "--model", "x"]
    ended = fedstats(*words, "--geno", "2")

    assert "the request has 3 faults" in ended.errors


def test_unknown_keys_of_federation_toml_name_the_nearest(fedstats: Command, folder: Path, sandbox: Sandbox) -> None:
    for path in sandbox.folder.iterdir():
        if path.is_file():
            (folder / path.name).write_bytes(path.read_bytes())
    text = (folder / "federation.toml").read_text()
    (folder / "federation.toml").write_text(
        text.replace("[variants]\npanel", "[variants]\npanell").replace("roster", "rooster", 1)
    )

    ended = fedstats("nodes", "--federation", "federation.toml")

    assert ended.code == 2
    assert "'panell'" in ended.errors
    assert "'rooster'" in ended.errors
    assert "panel" in ended.errors


def test_json_is_spoken_also_where_the_line_cannot_be_read(fedstats: Command) -> None:
    ended = fedstats("gwas", "--json", "--nonsense")

    event = json.loads(ended.output)
    assert (event["event"], event["code"], event["exit_code"]) == ("error", "USAGE", 2)
    assert ended.errors == ""


def test_a_bug_is_one_message_that_says_how_to_see_more(fedstats: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(main, "app", broken)

    ended = fedstats("nodes")

    assert ended.code == 5
    assert ended.errors.splitlines()[0] == "fedstats: internal error: ZeroDivisionError: division by zero"
    assert "FEDSTATS_TRACEBACK=1" in ended.errors


def test_ctrl_c_outside_of_a_run_is_one_message_and_exit_5(fedstats: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fedstats.simulate.simulation.simulate", interrupted)

    ended = fedstats("simulate", "study")

    assert (ended.code, ended.errors.count("interrupted")) == (5, 1)


def test_version(fedstats: Command) -> None:
    assert fedstats("--version").output == f"fedstats {package.__version__}\n"


@pytest.mark.parametrize("words", [[], ["sandbox"]])
def test_nothing_but_a_name_shows_the_help_and_is_exit_2(fedstats: Command, words: list[str]) -> None:
    ended = fedstats(*words)

    assert ended.code == 2
    assert "Commands:" in ended.errors
    assert "Traceback" not in ended.errors


def test_help_of_gwas_has_groups_and_every_flag_of_the_contract(fedstats: Command) -> None:
    shown = fedstats("gwas", "--help").output

    headings = [line for line in shown.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert headings == ["What to run:", "Model:", "Variants:", "People and nodes:", "How to run:", "Options:"]
    flags = (
        "federation pheno covar categorical local-covar out model test missing site-effects trait-people "
        "binary-coding missing-code nodes convergence maf geno hwe hwe-pooled chr extract exclude keep remove "
        "privacy wait resume json"
    )
    assert [flag for flag in flags.split() if f"--{flag} " not in shown] == []


@pytest.mark.parametrize("words", [["--help"], ["gwas", "--help"], ["sandbox", "create", "--help"], ["--version"]])
def test_help_is_there_at_once_because_nothing_heavy_is_loaded(words: list[str]) -> None:
    program = (
        f"import sys; sys.argv[1:] = {words}\nfrom fedstats.cli import main; main.exit_code(); print(*sys.modules)"
    )

    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    # Without these a page takes a fifth of a second, most of it Python and typer; with them, one to two seconds.
    heavy = {"numpy", "numba", "pyarrow", "polars", "grpc", "scipy", "matplotlib", "cryptography", "rich.progress"}
    assert heavy & set(found.stdout.split()) == set()


@pytest.mark.parametrize("command", [tables.freq, tables.hardy, tables.missing, gwas.gwas])
def test_the_size_of_a_pass_is_the_largest_one_unless_said(command: Callable[..., None]) -> None:
    # Written out, for the module that says it takes longer to load than a page of help may take.
    assert inspect.signature(command).parameters["pass_variants"].default == LARGEST_PASS
