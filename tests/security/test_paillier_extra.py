"""Without the extra, asking for paillier says how to install it; with it, nothing else is loaded than gmpy2."""

import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest

from fedstats.coordinator.config import FederationSettings
from fedstats.coordinator.key_holder import check_wanted
from fedstats.errors import ConfigError, UsageError
from fedstats.privacy import extras
from node_agent.config import read_settings


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


def test_a_node_that_allows_paillier_without_the_extra_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    config = tmp_path / "node.toml"
    config.write_text('[node]\n[[dataset]]\n[policy]\nprivacy = ["masked", "paillier"]\n')
    with pytest.raises(ConfigError) as found:
        read_settings(config)
    assert sum("pip install 'fedstats[paillier]'" in fault for fault in found.value.faults) == 1


def test_a_run_without_the_extra_is_refused_before_anybody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="needs the library gmpy2"):
        check_wanted(cast("FederationSettings", None))
