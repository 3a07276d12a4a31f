"""A command's own process: one thread of linear algebra, no pandas behind Arrow, and data frames all the same."""

import json
import subprocess
import sys


def said(script: str, **environment: str) -> object:
    """What a fresh process prints as JSON."""
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60, env=environment
    )
    return json.loads(ended.stdout)


def test_arrow_makes_arrays_without_pandas_and_data_frames_when_asked() -> None:
    script = (
        "import json, sys; from fedstats.lean_process import load_arrow_alone; load_arrow_alone()\n"
        "import pyarrow as pa\n"
        "column = pa.array(['a', 'b']); before = 'pandas' in sys.modules\n"
        "frame = pa.table({'x': column}).to_pandas()\n"
        "print(json.dumps([before, list(frame['x'])]))"
    )

    assert said(script) == [False, ["a", "b"]]


def test_linear_algebra_has_one_thread_and_arrow_as_many_as_are_allowed() -> None:
    script = (
        "import json, os; from fedstats.lean_process import lean_process; lean_process()\n"
        "import pyarrow as pa\n"
        "print(json.dumps([os.environ['OPENBLAS_NUM_THREADS'], pa.cpu_count()]))"
    )

    assert said(script) == ["1", 1]
    assert said(script, FEDSTATS_THREADS="3") == ["1", 3]
