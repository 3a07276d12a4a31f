"""keyholder.toml: the settings of one key holder, read once and frozen; all faults of the file are listed at once.

    [keyholder]
    name = "VAULT"                        # as in roster.toml
    listen = "127.0.0.1:7402"             # loopback only where the roster is a sandbox's
    state = "state"                       # keys, ledger, products: a local disk, for this key holder alone
    roster = "roster.toml"                # cards of the coordinators lie beside it
    processes = 0                         # processes that open ciphertexts; 0 = one a core

    [policy]                              # see `policy`

Relative paths are relative to the file that names them. Below `state` lie

    identity.key, tls.key, tls.crt        the keys that every party has
    paillier.key                          the two primes of the modulus in the roster
    ledger.sqlite, agent.lock, agent.log
    products/, words/                     of passes whose run is not finished
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedstats.config_reading import Reading, is_loopback, load_toml
from fedstats.errors import ConfigError
from fedstats.identity.checks import key_faults, name_faults
from fedstats.identity.roster import Roster, read_roster_into
from key_holder.policy import Policy, read_policy

_OWN = ("name", "listen", "state", "roster", "processes")
_OWN_NEEDED = ("name", "listen", "state", "roster")
_WHERE = "[keyholder]"


@dataclass(frozen=True)
class Settings:
    """All that keyholder.toml says; paths are absolute."""

    name: str
    host: str
    port: int
    state: Path
    roster_path: Path
    roster: Roster
    processes: int
    policy: Policy

    @property
    def paillier_key(self) -> Path:
        """The two primes."""
        return self.state / "paillier.key"

    @property
    def cards(self) -> Path:
        """The folder of coordinators' cards."""
        return self.roster_path.parent


def read_settings(path: Path) -> Settings:
    """Settings of a key holder from its keyholder.toml.

    Raises
    ------
    ConfigError
        Every fault of the file and of the roster that it names.
    """
    table = load_toml(path)
    reading = Reading(path.absolute().parent)
    reading.faults += key_faults(table, ("keyholder", "policy"), ("keyholder", "policy"), path.name)
    own = reading.table(table.get("keyholder", {}), _WHERE)
    policy, policy_faults = read_policy(reading.table(table.get("policy", {}), "[policy]"))
    host, port = reading.address(own, "listen", _WHERE)
    roster_path = reading.file(own, "roster", _WHERE)
    roster = read_roster_into(reading.faults, roster_path)
    processes = _processes(reading, own)
    reading.faults += key_faults(own, _OWN, _OWN_NEEDED, _WHERE)
    reading.faults += name_faults(own["name"], _WHERE) if "name" in own else []
    reading.faults += policy_faults
    state = reading.path(own, "state", _WHERE)
    if roster is not None:
        reading.faults += _roster_faults(roster, own, host, policy)
    if reading.faults or roster is None or state is None or roster_path is None:
        raise ConfigError(path.name, reading.faults, code="BAD_CONFIG")
    return Settings(own["name"], host, port, state, roster_path, roster, processes, policy)


def _processes(reading: Reading, own: Mapping[str, Any]) -> int:
    """Number of processes that open ciphertexts."""
    wanted = own.get("processes", 0)
    if type(wanted) is not int or wanted < 0:
        reading.faults.append(f"{_WHERE}: processes must be a whole number, 0 for one a core")
        return 1
    return wanted or len(os.sched_getaffinity(0))


def _roster_faults(roster: Roster, own: Mapping[str, Any], host: str, policy: Policy) -> list[str]:
    """What roster, name, address and policy together must not be."""
    faults = []
    content = roster.content
    if not content.key_holder_name:
        faults.append(f"{_WHERE}: the roster names no key holder with a modulus")
    elif "name" in own and own["name"] != content.key_holder_name:
        faults.append(f"{_WHERE}: the roster's key holder is {content.key_holder_name!r}, not {own['name']!r}")
    if content.sandbox and host and not is_loopback(host):
        faults.append(f"{_WHERE}: listen: a sandbox roster is good on loopback only, and {host} is not")
    known = [one.name for one in content.coordinators]
    strangers = [one for one in policy.coordinators if one not in known]
    return faults + [f"[policy] coordinators: the roster has no coordinator {one!r}" for one in strangers]
