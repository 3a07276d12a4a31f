"""Without the extra, asking for paillier says how to install it; with it, nothing else is loaded than gmpy2."""

import subprocess
import sys

import pytest

from fedstats.errors import UsageError
from fedstats.privacy import extras


def test_a_missing_library_is_named_with_the_way_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"needs the library gmpy2.*\n.*pip install 'fedstats\[paillier\]'"):
        extras.need_paillier()


def test_an_installed_library_is_enough() -> None:
    extras.need_paillier()


def test_no_module_of_ours_loads_phe() -> None:
    code = (
        "import sys, fedstats.privacy.paillier, fedstats.privacy.paillier_workers, fedstats.client, node_agent.agent\n"
        "assert 'phe' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_nothing_but_paillier_loads_gmpy2() -> None:
    code = "import sys, fedstats.client, node_agent.agent, fedstats.cli.gwas; assert 'gmpy2' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
