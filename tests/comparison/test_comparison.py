"""fedstats bench privacy: figures of real runs, and a page that stands by itself."""

import json
import math
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fedstats.cli.main import app
from fedstats.comparison.choices import CHOICES, chosen
from fedstats.comparison.outcomes import COLUMNS, Comparison, Outcome, text_table, write_json
from fedstats.comparison.page import page

#: The pooled analysis in double precision against fixed point: see docs/guides/numerics.md.
BETA_TOLERANCE, LOG10P_TOLERANCE = 1e-9, 1e-6


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bench") / "privacy"
    words = ["bench", "privacy", "--settings", "plain,masked", "--nodes", "3", "--out", str(out)]
    said = CliRunner().invoke(app, [*words, "--people", "900", "--variants", "600"], catch_exceptions=False)
    assert said.exit_code == 0, said.output
    return out


def test_plain_and_masked_open_the_pooled_answer(measured: Path) -> None:
    plain, masked = _outcomes(measured)

    assert (plain["setting"], masked["setting"]) == ("plain", "masked")
    assert plain["beta_difference"] == masked["beta_difference"] < BETA_TOLERANCE
    assert plain["log10p_difference"] == masked["log10p_difference"] < LOG10P_TOLERANCE
    assert plain["auc_output"] == masked["auc_output"]


def test_only_the_plain_upload_tells_members(measured: Path) -> None:
    plain, masked = _outcomes(measured)

    assert plain["auc_upload"] > 0.7  # 300 people a node and common variants: far from a coin
    assert 0.4 < masked["auc_upload"] < 0.6  # ten uploads of one study: a standard error of about 0.02


def test_every_process_and_byte_is_counted(measured: Path) -> None:
    for outcome in _outcomes(measured):
        parts = 3 * outcome["cpu_per_node"] + outcome["cpu_coordinator"] + outcome["cpu_key_holder"]
        assert outcome["cpu"] == pytest.approx(parts, rel=1e-12)  # the same sum
        assert outcome["cpu_per_node"] > 0
        # A count takes eight bytes at least; counting and scan have more than five words a variant.
        assert outcome["bytes_up"] > 40
        assert outcome["rounds"] >= 4


def test_the_page_needs_nothing_from_outside(measured: Path) -> None:
    text = Path(f"{measured}.html").read_text()

    assert not re.search(r'(src|href)="(?!#|data:)', text)
    assert text.count("<svg") == 2
    assert "masked" in text


def test_lines_against_nodes_are_drawn_when_there_are_several() -> None:
    outcomes = [_outcome("plain", nodes) for nodes in (3, 8)] + [_outcome("dp, epsilon 1", nodes) for nodes in (3, 8)]

    drawn = page(_comparison(outcomes))

    assert drawn.count("<svg") == 4
    assert drawn.count("<polyline") == 4


def test_a_figure_that_does_not_exist_is_null_in_json_and_nan_in_the_table(tmp_path: Path) -> None:
    outcome = _outcome("dp, epsilon 1", 3, beta_difference=math.nan)

    write_json(_comparison([outcome]), tmp_path / "x.json")

    assert json.loads((tmp_path / "x.json").read_text())["outcomes"][0]["beta_difference"] is None
    assert "nan" in text_table([outcome])


def test_the_table_has_a_line_for_each_outcome_under_aligned_heads() -> None:
    lines = text_table([_outcome("plain", 3), _outcome("masked", 15)]).splitlines()

    assert len(lines) == 3
    assert all(head in lines[0] for head, _, _ in COLUMNS)


def test_settings_are_chosen_by_how_their_names_begin() -> None:
    assert [one.name for one in chosen(["dp", "plain"])] == [
        one.name for one in CHOICES if one.name.startswith(("dp", "plain"))
    ]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--settings", "rot13"], "no setting begins so"),
        (["--nodes", "2"], "from 3 to 15"),
        (["--nodes", "x"], "3,8,15"),
    ],
)
def test_wrong_words_are_refused_before_anything_runs(words: list[str], sentence: str) -> None:
    from fedstats.errors import UsageError

    with pytest.raises(UsageError, match=sentence):
        CliRunner().invoke(app, ["bench", "privacy", *words], catch_exceptions=False)


def _outcomes(out: Path) -> list[dict[str, float]]:
    found: list[dict[str, float]] = json.loads(Path(f"{out}.json").read_text())["outcomes"]
    return found


def _outcome(setting: str, nodes: int, *, beta_difference: float = 1e-12) -> Outcome:
    return Outcome(setting, nodes, "nobody", 2.0, 0.5, 1.0, 0.0, 99.0, 9.0, 5, beta_difference, 1e-9, 0.5, 0.9, 0.6)


def _comparison(outcomes: list[Outcome]) -> Comparison:
    machine = {"fedstats": "0", "date": "2026-01-01"}
    return Comparison(100, 10, 1, 1, 0.5, machine, tuple(outcomes))
