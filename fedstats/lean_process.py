"""What a command settles about its own process: threads, garbage, pandas, and how it ends.

For processes of our own only: a library must not do this to the program of whoever imports it. Only giving back memory
does no harm anywhere.
"""

import gc
import importlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from fedstats.compiled_texts import keep_compiled_dataclasses

#: How many threads may compute; one a core where it is not set.
THREADS_VARIABLE = "FEDSTATS_THREADS"

#: Name of a setting of the GNU C library's allocator, from its malloc.h.
_MOST_ARENAS = -8

#: Libraries read these when they are loaded.
_LIBRARY_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")

#: New objects between two looks for cycles. Loading libraries makes a million objects and no garbage; with Python's 700
#: a sixth of a short command goes into looking.
_OBJECTS_BETWEEN_COLLECTIONS = 500_000


def lean_process() -> None:
    """Pin linear algebra to one thread, hold Arrow to the threads allowed, and look for garbage seldom."""
    one_thread_below()
    few_arenas()
    threads = os.environ.get(THREADS_VARIABLE, "")
    if threads.isdecimal() and int(threads):
        os.environ["POLARS_MAX_THREADS"] = threads
        os.environ["OMP_NUM_THREADS"] = threads  # Arrow's pool; no other library here has one of OpenMP
    load_quickly()


def one_thread_below() -> None:
    """Pin libraries to one thread each, before they are loaded."""
    for name in _LIBRARY_THREADS:
        os.environ[name] = "1"


def few_arenas() -> None:
    """Let all threads share two arenas of the C library's allocator.

    Each keeps what its threads freed, and one a thread holds a fourth of what a process takes.
    """
    library = _c_library()
    if library is not None and hasattr(library, "mallopt"):
        library.mallopt(_MOST_ARENAS, 2)


def load_quickly() -> None:
    """Spend no time on garbage while libraries are loaded, on plugins that nobody uses, or on compiling classes."""
    keep_compiled_dataclasses()
    # Looking for pydantic's plugins reads the metadata of every package that is installed.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    # What goes wrong on a line is said by ourselves, once; gRPC would print lines of its own core before.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS, 20, 50)


def give_back_memory(*, above: int = 0) -> None:
    """Return to the system what was freed: allocators keep it, for a second use that may never come.

    Reading a table of a million variants takes three times what is kept of it. Up to `above` bytes may stay free: the
    system takes longer to give a page again than most pages are worked on.
    """
    if _free_bytes() <= above:
        return
    arrow = sys.modules.get("pyarrow")
    if arrow is not None:
        arrow.default_memory_pool().release_unused()
    trim = _trim()
    if trim is not None:
        trim(0)


def _free_bytes() -> int:
    """Bytes that the C library's allocator holds and nobody uses; more than any limit where it does not say."""
    import ctypes

    class Allocated(ctypes.Structure):
        """`struct mallinfo2` of the GNU C library."""

        _fields_ = tuple((f"size{number}", ctypes.c_size_t) for number in range(10))

    told = getattr(_c_library(), "mallinfo2", None)
    if told is None:
        return sys.maxsize
    told.restype = Allocated
    return int(told().size8)  # fordblks, the ninth of ten


def _trim() -> Callable[[int], int] | None:
    """The function of the GNU C library that does so; other libraries have none."""
    found: Callable[[int], int] | None = getattr(_c_library(), "malloc_trim", None)
    return found


@cache
def _c_library() -> Any:  # Any: a library of foreign functions, or None
    """The C library of this process."""
    import ctypes

    try:
        return ctypes.CDLL(None)
    except (OSError, TypeError):
        return None


def leave(code: int) -> NoReturn:
    """End the process; what it holds goes with it, unsearched for cycles, which would take a fifth of a second."""
    gc.freeze()
    sys.exit(code)


def load_arrow_alone() -> None:
    """Load Arrow without pandas, which it would load, where it is installed, to make its first array.

    That takes half a second and 50 MiB. Arrow looks once; whoever asks it for a data frame later still gets one.
    """
    with _without("pandas"):
        import pyarrow as pa

        pa.array([0])
    _load_functions_of_arrow()


def _load_functions_of_arrow() -> None:
    """Load Arrow's functions without the descriptions of their options, whose reading takes as long as loading Arrow.

    What reads them is replaced meanwhile; where Arrow uses another reader some day, it takes its time.
    """
    reader = "pyarrow.vendored.docscrape"
    if reader in sys.modules:
        return
    stand_in = ModuleType(reader)
    stand_in.NumpyDocString = lambda _: {"Parameters": ()}  # type: ignore[attr-defined]  # of the module it stands for
    sys.modules[reader] = stand_in
    try:
        importlib.import_module("pyarrow.compute")
    finally:
        del sys.modules[reader]


def load_logging_alone() -> None:
    """Load structlog without rich, with which it would colour tracebacks that are never printed."""
    with _without("rich"):
        importlib.import_module("structlog")


def load_compiler_alone() -> None:
    """Load numba without foreign functions and settings in a file; of scipy only where it finds matrix products."""
    with _without("cffi", "yaml"):
        load_matrix_products_alone()
        from numba.core.compiler_lock import global_compiler_lock
        from numba.core.registry import cpu_target

        # An agent answers while it warms up: another thread may load a kernel, which does the same under this lock.
        # The contexts come first: each is made under a lock of its own, by which whoever makes it takes this one.
        typing, target = cpu_target.typing_context, cpu_target.target_context
        with global_compiler_lock:
            typing.refresh()
            target.refresh()


def load_matrix_products_alone() -> None:
    """Load one module of scipy, from which numba takes addresses of BLAS, without the package that it lies in.

    With the package come test and build tools of numpy, which take a fifth of a second; whoever imports it later still
    gets it. Where scipy has no such module any more, numba finds its own way.
    """
    if "scipy.linalg" in sys.modules:
        return
    package = ModuleType("scipy.linalg")
    try:
        package.__path__ = [str(Path(path) / "linalg") for path in importlib.import_module("scipy").__path__]
        sys.modules[package.__name__] = package
        importlib.import_module("scipy.linalg.cython_blas")
    except ImportError:
        return
    finally:
        sys.modules.pop(package.__name__, None)


@contextmanager
def _without(*names: str) -> Iterator[None]:
    """Hide packages that are not loaded yet; whoever imports them later gets them."""
    hidden = _Hidden(names)
    sys.meta_path.insert(0, hidden)
    try:
        yield
    finally:
        sys.meta_path.remove(hidden)


@dataclass(frozen=True)
class _Hidden:
    """Says that there are no such packages."""

    names: tuple[str, ...]

    def find_spec(self, name: str, path: object = None, target: ModuleType | None = None) -> ModuleSpec | None:  # noqa: ARG002  # the import system's signature
        """Nothing but the refusal of some names."""
        if name in self.names:
            raise ModuleNotFoundError(name)
        return None
