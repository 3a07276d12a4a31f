"""A command's own process: one thread of linear algebra, no pandas behind Arrow, and data frames all the same."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def said(script: str, *arguments: str, **environment: str) -> Any:
    """What a fresh process prints as JSON."""
    ended = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env=environment,
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


def test_functions_of_arrow_work_without_descriptions_of_their_options_and_other_readers_get_theirs() -> None:
    script = (
        "import json, sys, warnings; warnings.simplefilter('error')\n"
        "from fedstats.lean_process import load_arrow_alone; load_arrow_alone()\n"
        "import pyarrow as pa, pyarrow.compute as pc\n"
        "from pyarrow.vendored.docscrape import NumpyDocString\n"
        "found = pc.index_in(pa.array([3, 1]), value_set=pa.array([1, 3])).to_pylist()\n"
        "read = NumpyDocString('Parameters\\n----------\\nx : int\\n    A number.')['Parameters']\n"
        "print(json.dumps([found, pc.cast(pa.array([1]), pa.float64()).to_pylist(), read[0].name]))"
    )

    assert said(script) == [[1, 0], [1.0], "x"]


def test_linear_algebra_has_one_thread_and_arrow_as_many_as_are_allowed() -> None:
    script = (
        "import json, os; from fedstats.lean_process import lean_process; lean_process()\n"
        "import pyarrow as pa\n"
        "print(json.dumps([os.environ['OPENBLAS_NUM_THREADS'], pa.cpu_count()]))"
    )

    assert said(script) == ["1", 1]
    assert said(script, FEDSTATS_THREADS="3") == ["1", 3]


def test_an_agent_loads_matrix_products_without_the_rest_of_scipy_and_all_of_it_when_asked() -> None:
    script = (
        "import json, sys; from fedstats.lean_process import load_compiler_alone; load_compiler_alone()\n"
        "import numba, numpy as np\n"
        "before = 'scipy.linalg' in sys.modules\n"
        "product = numba.njit(lambda a, b: np.dot(a, b))(np.eye(2), np.full((2, 2), 3.0))\n"
        "import scipy.linalg\n"
        "print(json.dumps([before, product.tolist(), scipy.linalg.det([[2.0]])]))"
    )

    assert said(script) == [False, [[3.0, 3.0], [3.0, 3.0]], 2.0]


def test_an_agent_loads_its_compiler_under_the_lock_of_threads_that_load_kernels() -> None:
    """Two at once end in 'generator already executing': an agent answers while it warms up."""
    script = (
        "import json\n"
        "from numba.core.compiler_lock import global_compiler_lock\n"
        "from numba.core.registry import cpu_target\n"
        "from fedstats.lean_process import load_compiler_alone\n"
        "held = []\n"
        "for context in (cpu_target.typing_context, cpu_target.target_context):\n"
        "    def refresh(real=context.refresh):\n"
        "        held.append(global_compiler_lock.is_locked()); real()\n"
        "    context.refresh = refresh\n"
        "load_compiler_alone()\n"
        "print(json.dumps([bool(held), all(held), global_compiler_lock.is_locked()]))"
    )

    assert said(script) == [True, True, False]


def test_an_agent_that_warms_up_does_not_wait_for_a_thread_that_waits_for_it() -> None:
    """A kernel is loaded at the same time: it makes the compiler's context under one lock and takes another for it."""
    script = (
        "import json, threading, time\n"
        "from numba.core import cpu\n"
        "from numba.core.registry import cpu_target\n"
        "from fedstats.lean_process import load_compiler_alone\n"
        "begun, real = threading.Event(), cpu.CPUContext.__init__\n"
        "def slowly(*given):\n"
        "    begun.set(); time.sleep(1); real(*given)\n"
        "cpu.CPUContext.__init__ = slowly\n"
        "warming = threading.Thread(target=load_compiler_alone, daemon=True)\n"
        "loading = threading.Thread(target=lambda: cpu_target.target_context, daemon=True)\n"
        "loading.start(); begun.wait(10); warming.start()\n"
        "loading.join(20); warming.join(20)\n"
        "print(json.dumps([loading.is_alive(), warming.is_alive()]), flush=True)\n"
        "import os; os._exit(0)"
    )

    assert said(script) == [False, False]


def test_structlog_is_loaded_without_rich() -> None:
    script = (
        "import json, sys; from fedstats.lean_process import load_logging_alone; load_logging_alone()\n"
        "print(json.dumps(['structlog' in sys.modules, 'rich' in sys.modules]))"
    )

    assert said(script) == [True, False]


def test_threads_share_two_arenas(tmp_path: Path) -> None:
    script = (
        "import ctypes, json, sys, threading\n"
        "from fedstats.lean_process import few_arenas\n"
        "if sys.argv[1] == 'few': few_arenas()\n"
        "library = ctypes.CDLL(None); library.fopen.restype = library.malloc.restype = ctypes.c_void_p\n"
        "barrier = threading.Barrier(12)\n"
        "def work():\n"
        "    library.malloc(100_000); barrier.wait()\n"
        "threads = [threading.Thread(target=work) for _ in range(12)]\n"
        "[one.start() for one in threads]; [one.join() for one in threads]\n"
        "file = ctypes.c_void_p(library.fopen(sys.argv[2].encode(), b'w'))\n"
        "library.malloc_info(0, file); library.fclose(file)\n"
        "print(json.dumps(open(sys.argv[2]).read().count('<heap nr')))"
    )

    assert said(script, "few", str(tmp_path / "few.xml")) <= 2
    assert said(script, "many", str(tmp_path / "many.xml")) > 2


def test_memory_is_given_back_once_more_than_may_stay_is_free() -> None:
    """Small blocks that lie between others: the allocator cannot give them back by itself."""
    script = (
        "import json; from fedstats.lean_process import give_back_memory\n"
        "def resident():\n"
        "    return int(open('/proc/self/statm').read().split()[1]) * 4096 >> 20\n"
        "held = [bytes(3000) for _ in range(40_000)]\n"
        "kept = held[::20]\n"
        "before = resident(); del held; freed = resident()\n"
        "give_back_memory(above=200 << 20); left = resident()\n"
        "give_back_memory(above=20 << 20); after = resident()\n"
        "print(json.dumps([before - freed, before - left, before - after]))"
    )

    at_once, not_yet, given_back = said(script)
    assert max(at_once, not_yet) < 40
    assert given_back > 60
