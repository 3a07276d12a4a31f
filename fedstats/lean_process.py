"""What a command settles about its own process: threads, garbage, pandas, and how it ends.

For processes of our own only: a library must not do this to the program of whoever imports it.
"""

import gc
import os
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import NoReturn

#: How many threads may compute; one a core where it is not set.
THREADS_VARIABLE = "FEDSTATS_THREADS"

#: Libraries read these when they are loaded.
_LIBRARY_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")

#: New objects between two looks for cycles. Loading libraries makes a million objects and no garbage; with Python's 700
#: a sixth of a short command goes into looking.
_OBJECTS_BETWEEN_COLLECTIONS = 100_000


def lean_process() -> None:
    """Pin linear algebra to one thread, hold Arrow to the threads allowed, and look for garbage seldom."""
    for name in _LIBRARY_THREADS:
        os.environ[name] = "1"
    threads = os.environ.get(THREADS_VARIABLE, "")
    if threads.isdecimal() and int(threads):
        os.environ["POLARS_MAX_THREADS"] = threads
        os.environ["OMP_NUM_THREADS"] = threads  # Arrow's pool; no other library here has one of OpenMP
    # Looking for pydantic's plugins reads the metadata of every package that is installed.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS, 20, 50)


def leave(code: int) -> NoReturn:
    """End the process; what it holds goes with it, unsearched for cycles, which would take a fifth of a second."""
    gc.freeze()
    sys.exit(code)


def load_arrow_alone() -> None:
    """Load Arrow without pandas, which it would load, where it is installed, to make its first array.

    That takes half a second and 50 MiB. Arrow looks once; whoever asks it for a data frame later still gets one.
    """
    if "pandas" in sys.modules:
        return
    blocked = _NoPandas()
    sys.meta_path.insert(0, blocked)
    try:
        import pyarrow as pa

        pa.array([0])
    finally:
        sys.meta_path.remove(blocked)


class _NoPandas:
    """Says that there is no pandas."""

    def find_spec(self, name: str, path: object = None, target: ModuleType | None = None) -> ModuleSpec | None:  # noqa: ARG002  # the import system's signature
        """Nothing but the refusal of one name."""
        if name == "pandas":
            raise ModuleNotFoundError(name)
        return None
