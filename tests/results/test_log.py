"""OUT.log: header, lines as they come, and the end, whatever it was."""

from datetime import UTC, datetime, timedelta

import pytest

from fedstats.errors import NodeLost
from fedstats.results.log import RunLog


class Clock:
    """Moves on by 75 seconds at each look."""

    def __init__(self) -> None:
        self._now = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        now, self._now = self._now, self._now + timedelta(seconds=75)
        return now


def a_log(tmp_path, **settings) -> RunLog:
    return RunLog(tmp_path / "out", version="0.1.0", command="fedstats gwas --pheno qt1", clock=Clock(), **settings)


def test_the_log_says_what_was_asked_and_how_long_it_took(tmp_path):
    with a_log(tmp_path) as log:
        log.line("14,389 variants")

    lines = (tmp_path / "out.log").read_text().splitlines()
    assert lines[0].startswith("fedstats 0.1.0, Python ")
    assert lines[1:] == [
        "Command: fedstats gwas --pheno qt1",
        "Start:   2026-11-22 12:00:00 UTC",
        "",
        "14,389 variants",
        "",
        "End:     2026-11-22 12:01:15 UTC (1 min 15 s)",
    ]


def test_a_run_that_fails_ends_its_log_with_the_error(tmp_path):
    with pytest.raises(NodeLost), a_log(tmp_path):
        raise NodeLost("the node does not answer", node="FI", hint="run again with --resume")

    text = (tmp_path / "out.log").read_text()
    assert "ERROR (NodeLost, exit 4): FI: the node does not answer\n  run again with --resume\nEnd:" in text


def test_an_interrupted_run_says_so(tmp_path):
    with pytest.raises(KeyboardInterrupt), a_log(tmp_path):
        raise KeyboardInterrupt

    assert "INTERRUPTED by the user.\n" in (tmp_path / "out.log").read_text()


def test_lines_are_on_the_disk_and_on_the_terminal_at_once(tmp_path):
    shown: list[str] = []

    log = a_log(tmp_path, terminal=shown.append)
    log.table([("missing covariate", 1234), ("other", 5)])

    assert shown[-2:] == ["  1,234  missing covariate", "      5  other"]
    assert (tmp_path / "out.log").read_text().splitlines()[-2:] == shown[-2:]
    log.close()
