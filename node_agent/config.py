"""node.toml: the settings of one agent, read once and frozen; all faults of the file are listed at once.

    [node]
    name = "FI"                           # as in roster.toml
    listen = "127.0.0.1:7401"             # loopback only where the roster is a sandbox's
    state = "state"                       # keys, ledger, secrets, spool: a local disk, for this agent alone
    roster = "roster.toml"                # cards of the coordinators lie beside it
    threads = 0                           # threads that compute; 0 = all cores; FEDSTATS_THREADS stands over it

    [[dataset]]
    id = "demo"
    genotypes = "genotypes.bed"           # .bim and .fam beside it
    build = "GRCh37"
    phenotypes = "phenotypes.tsv"         # optional, as is everything below
    covariates = "covariates.tsv"
    loadings_sha256 = "..."               # of the loadings that the PC columns were projected with
    public = false                        # true: anybody may have these data

    [policy]                              # see `policy`

Relative paths are relative to the file that names them. Below `state` lie

    identity.key, tls.key, tls.crt        the keys of this node
    ledger.sqlite, agent.lock, agent.log, cohort.key
    secrets/, spool/, blobs/
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fedstats.config_reading import Reading, is_loopback, load_toml
from fedstats.errors import ConfigError
from fedstats.identity.checks import is_hex, key_faults, name_faults, repeated
from fedstats.identity.roster import Roster, read_roster_into
from fedstats.privacy.extras import INSTALL_PAILLIER, has_paillier
from node_agent.policy import Policy, read_policy

THREADS_VARIABLE = "FEDSTATS_THREADS"

_NODE = ("name", "listen", "state", "roster", "threads")
_NODE_NEEDED = ("name", "listen", "state", "roster")
_DATASET = ("id", "genotypes", "build", "phenotypes", "covariates", "loadings_sha256", "public")
_DATASET_NEEDED = ("id", "genotypes", "build")


@dataclass(frozen=True)
class DatasetSettings:
    """A [[dataset]] table; paths are absolute."""

    id: str
    genotypes: Path
    build: str
    phenotypes: Path | None = None
    covariates: Path | None = None
    loadings_sha256: str = ""
    public: bool = False


@dataclass(frozen=True)
class Settings:
    """All that node.toml says; paths are absolute."""

    name: str
    host: str
    port: int
    state: Path
    roster_path: Path
    roster: Roster
    threads: int
    datasets: tuple[DatasetSettings, ...]
    policy: Policy

    @property
    def cards(self) -> Path:
        """The folder of peers' cards."""
        return self.roster_path.parent


def read_settings(path: Path, environment: Mapping[str, str] = os.environ) -> Settings:
    """Settings of an agent from its node.toml.

    Raises
    ------
    ConfigError
        Every fault of the file and of the roster that it names.
    """
    table = load_toml(path)
    reading = Reading(path.absolute().parent)
    reading.faults += key_faults(table, ("node", "dataset", "policy"), ("node", "dataset", "policy"), path.name)
    node = reading.table(table.get("node", {}), "[node]")
    policy, policy_faults = read_policy(reading.table(table.get("policy", {}), "[policy]"))
    host, port = reading.address(node, "listen", "[node]")
    roster_path = reading.file(node, "roster", "[node]")
    roster = read_roster_into(reading.faults, roster_path)
    datasets = _datasets(reading, table.get("dataset", []))
    threads = _threads(reading, node, environment)
    _node_faults(reading, node)
    reading.faults += policy_faults + _extra_faults(table)
    state = reading.path(node, "state", "[node]")
    if roster is not None:
        reading.faults += _sandbox_faults(roster, str(node.get("name", "")), host, policy, datasets)
    if reading.faults or roster is None or state is None or roster_path is None:
        raise ConfigError(path.name, reading.faults, code="BAD_CONFIG")
    # What the roster promises of this node's size binds as its policy does, whichever is more.
    promised = replace(policy, min_people=max(policy.min_people, roster.node(node["name"]).min_people))
    return Settings(node["name"], host, port, state, roster_path, roster, threads, datasets, promised)


def _extra_faults(table: Mapping[str, Any]) -> list[str]:
    """A setting that is named, and that this installation cannot answer under."""
    policy = table.get("policy", {})
    named = policy.get("privacy", []) if isinstance(policy, dict) else []
    if not isinstance(named, list) or "paillier" not in named or has_paillier():
        return []
    return [f"[policy] privacy: 'paillier' needs the library gmpy2, which is not installed here: {INSTALL_PAILLIER}"]


def _node_faults(reading: Reading, node: Mapping[str, Any]) -> None:
    reading.faults += key_faults(node, _NODE, _NODE_NEEDED, "[node]")
    if "name" in node:
        reading.faults += name_faults(node["name"], "[node]")


def _threads(reading: Reading, node: Mapping[str, Any], environment: Mapping[str, str]) -> int:
    """Number of threads that compute: the environment's, else the file's, else one a core."""
    wanted: object = node.get("threads", 0)
    if environment.get(THREADS_VARIABLE):
        text = environment[THREADS_VARIABLE]
        wanted = int(text) if text.isdecimal() else text
    if type(wanted) is not int or wanted < 0:
        reading.faults.append(f"[node]: threads must be a whole number, 0 for all cores (or {THREADS_VARIABLE})")
        return 1
    return wanted or len(os.sched_getaffinity(0))


def _datasets(reading: Reading, tables: object) -> tuple[DatasetSettings, ...]:
    if not isinstance(tables, list) or not tables or not all(isinstance(one, dict) for one in tables):
        reading.faults.append("data sets must be written as tables [[dataset]], at least one")
        return ()
    found = [one for n, table in enumerate(tables, 1) if (one := _dataset(reading, table, f"dataset {n}")) is not None]
    reading.faults += [f"the data set id {one!r} occurs twice" for one in repeated(dataset.id for dataset in found)]
    return tuple(found)


def _dataset(reading: Reading, table: Mapping[str, Any], where: str) -> DatasetSettings | None:
    before = len(reading.faults)
    reading.faults += key_faults(table, _DATASET, _DATASET_NEEDED, where)
    if "id" in table:
        reading.faults += name_faults(table["id"], where)
    build = reading.text(table, "build", where)
    genotypes = reading.file(table, "genotypes", where)
    if genotypes is not None and genotypes.suffix != ".bed":
        reading.faults.append(f"{where}: genotypes: {genotypes.suffix!r} files cannot be read; PLINK 1 .bed files can")
    phenotypes = reading.file(table, "phenotypes", where)
    covariates = reading.file(table, "covariates", where)
    loadings, public = table.get("loadings_sha256", ""), table.get("public", False)
    if loadings != "" and not is_hex(loadings, 32):
        reading.faults.append(f"{where}: loadings_sha256 must be 64 lower-case hexadecimal digits")
    if not isinstance(public, bool):
        reading.faults.append(f"{where}: public must be true or false")
    if len(reading.faults) > before or genotypes is None:
        return None
    return DatasetSettings(table["id"], genotypes, build, phenotypes, covariates, loadings, public)


def _sandbox_faults(
    roster: Roster, name: str, host: str, policy: Policy, datasets: tuple[DatasetSettings, ...]
) -> list[str]:
    """What roster, address, policy and data together must not be."""
    faults = []
    names = [node.name for node in roster.content.nodes]
    if name and name not in names:
        faults.append(f"[node]: the roster has no node {name!r}; its nodes are {', '.join(names)}")
    sandbox = roster.content.sandbox
    if sandbox and host and not is_loopback(host):
        faults.append(f"[node]: listen: a sandbox roster is good on loopback only, and {host} is not")
    known = [one.name for one in roster.content.coordinators]
    strangers = [one for one in policy.coordinators if one not in known]
    faults += [f"[policy] coordinators: the roster has no coordinator {one!r}" for one in strangers]
    if policy.validation and not sandbox:
        faults.append("[policy] preset = 'validation' needs a roster marked sandbox = true")
    if policy.validation:
        private = [dataset.id for dataset in datasets if not dataset.public]
        faults += [f"[policy] preset = 'validation' needs public = true in data set {one!r}" for one in private]
    return faults
