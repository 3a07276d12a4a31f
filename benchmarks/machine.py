"""The machine and the versions that a figure belongs to; no path, no name of a host."""

import os
import platform
import subprocess
from pathlib import Path

import numba
import numpy

import fedstats


def machine() -> dict[str, object]:
    """CPU model, cores, memory, system and versions of what computes."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "load": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "numpy": numpy.__version__,
        "numba": numba.__version__,
        "fedstats": f"{fedstats.__version__} ({commit_of(Path(__file__).parent.parent)})",
    }


def sentence(found: dict[str, object]) -> str:
    """The same in a line."""
    return (
        f"{found['cores']} cores of {found['cpu']}, {found['memory_gib']} GiB, {found['system']}; Python "
        f"{found['python']}, numpy {found['numpy']}, numba {found['numba']}, fedstats {found['fedstats']}; "
        f"load average {found['load']} at the start"
    )


def _cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown CPU")
    known = {"avx512f": "AVX-512", "amx_int8": "AMX"}  # what kernels have loops of their own for
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    return ", ".join([model, *(name for flag, name in known.items() if flag in flags)])


def commit_of(checkout: Path) -> str:
    """Short commit of a checkout, with a plus where files other than results of benchmarks differ from it."""
    # A run writes results before the next one begins.
    changed = ("status", "--porcelain", "--untracked-files=no", "--", ".", ":!benchmarks/results")
    found = [
        subprocess.run(["git", *words], cwd=checkout, capture_output=True, text=True, check=False).stdout.strip()
        for words in (("rev-parse", "--short", "HEAD"), changed)
    ]
    return f"{found[0] or 'no checkout'}{'+' if found[1] else ''}"
