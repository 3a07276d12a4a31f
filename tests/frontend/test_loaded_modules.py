"""What asking for help loads: nothing that takes long."""

import json
import subprocess
import sys

import pytest

HEAVY = ("numpy", "scipy", "numba", "pyarrow", "polars", "pandas", "matplotlib", "grpc", "cryptography", "rich")


@pytest.mark.parametrize("words", [["--help"], ["gwas", "--help"], ["--version"]], ids=" ".join)
def test_help_loads_none_of_the_large_libraries(words: list[str]) -> None:
    script = (
        "import json, sys; from fedstats.cli import main\n"
        f"sys.argv = ['fedstats', *{words!r}]\n"
        "try: main.run()\n"
        f"finally: print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)

    assert json.loads(ended.stdout.splitlines()[-1]) == []


def test_import_of_the_package_loads_none_of_the_large_libraries() -> None:
    script = f"import json, sys, fedstats; print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)

    assert json.loads(ended.stdout) == []
