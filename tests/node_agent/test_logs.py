"""Logs: fields that could hold data are cut down; tracebacks stay in the local file."""

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import structlog

from fedstats.logs import redact, set_up_logs
from fedstats.serving.incidents import internal


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[tuple[Path, io.StringIO]]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    people = io.StringIO()
    set_up_logs(tmp_path, "FI", people)
    yield tmp_path / "agent.log", people
    for handler in root.handlers:
        handler.close()
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def test_arrays_paths_and_long_texts_do_not_get_into_logs():
    event = {"event": "e", "values": np.arange(3), "path": Path("/data/secret/table.tsv"), "text": "x" * 1000, "n": 3}

    cut = redact(None, "info", event)

    assert cut["values"] == "<ndarray>"
    assert cut["path"] == "table.tsv"
    assert len(cut["text"]) == 403
    assert cut["n"] == 3


def test_an_incident_has_its_traceback_in_the_file_and_one_line_for_people(logs: tuple[Path, io.StringIO]):
    try:
        raise ValueError("the cause")
    except ValueError as caught:
        error = internal(caught)

    log_file, people = logs
    (line,) = [json.loads(text) for text in log_file.read_text().splitlines()]
    assert (line["event"], line["incident"], line["node"]) == ("incident", error.incident, "FI")
    assert "ValueError: the cause" in line["exception"]
    shown = people.getvalue()
    assert error.incident in shown
    assert "the cause" not in shown
