"""A node with its keys, its ledger and its data: what stays in memory while the agent runs."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from fedstats.crash import CrashPoint, crash_points
from fedstats.errors import ConfigError, FaultyInput, FedstatsError, UsageError
from fedstats.identity.card import Card
from fedstats.identity.keys import Identity, Leaf, write_secret
from fedstats.identity.party_keys import node_keys
from fedstats.identity.permitted import certificate_warnings, coordinator_cards, own_keys
from fedstats.identity.roster import Roster, roster_digest
from fedstats.identity.signing import Signed, sign
from fedstats.lean_process import give_back_memory
from fedstats.ledger import Ledger, open_ledger
from fedstats.privacy.masking_node import Channels, Party
from fedstats.privacy.messages import ReadySecret
from fedstats.serving.work import Workers
from fedstats.state_folder import check_state_folder, lock_folder
from node_agent.blob_folder import BlobFolder, open_blobs
from node_agent.budget_records import TABLES as BUDGET_TABLES
from node_agent.budget_records import BudgetRecords
from node_agent.certified_totals import TABLES as CERTIFIED_TABLES
from node_agent.certified_totals import CertifiedTotals
from node_agent.cohort_people import TABLES as COHORT_TABLES
from node_agent.cohort_people import CohortPeople
from node_agent.cohorts import Cohorts
from node_agent.config import DatasetSettings, Settings
from node_agent.datasets.load import DatasetFiles, RegisteredDataset, register_dataset
from node_agent.encryption import Encryption
from node_agent.last_used import LastUsed
from node_agent.noise_ledger import TABLES as NOISE_TABLES
from node_agent.noise_ledger import NoiseLedger
from node_agent.peer_ledgers import TABLES as PEER_TABLES
from node_agent.peer_ledgers import PeerLedgers
from node_agent.policy import Policy
from node_agent.records import TABLES, Records
from node_agent.run_people import TABLES as PEOPLE_TABLES
from node_agent.run_people import RunPeople
from node_agent.run_records import TABLES as RUN_TABLES
from node_agent.run_records import RunRecords
from node_agent.secret_files import SecretFiles, open_secret_files
from node_agent.spool import Spool, open_spool

ALL_TABLES = (
    TABLES + RUN_TABLES + PEOPLE_TABLES + PEER_TABLES + COHORT_TABLES + BUDGET_TABLES + CERTIFIED_TABLES + NOISE_TABLES
)


#: Passes whose asks are kept read, those whose agreement on masks is kept at hand, and runs whose channels are: the
#: ones in flight.
_ASKS_KEPT, _AGREED_KEPT, _CHANNELS_KEPT = 4, 16, 4


@dataclass(frozen=True)
class Keys:
    """The keys of a node, and the cards of the coordinators that may ask, by identity."""

    identity: Identity = field(repr=False)
    leaf: Leaf = field(repr=False)
    coordinators: Mapping[str, Card]


@dataclass(frozen=True)
class Node:
    """All that a handler needs; made once, by `open_node`."""

    settings: Settings
    keys: Keys
    party: Party
    ledger: Ledger
    records: Records
    runs: RunRecords
    peers: PeerLedgers
    secrets: SecretFiles
    spool: Spool
    blobs: BlobFolder
    certified: CertifiedTotals
    asks_read: LastUsed[tuple[str, ...], Any]
    channels: LastUsed[str, Channels]
    agreed: LastUsed[str, ReadySecret]
    cohorts: Cohorts
    budgets: BudgetRecords
    noise: NoiseLedger
    workers: Workers
    encryption: Encryption
    crash: CrashPoint
    lock_file: int

    @property
    def name(self) -> str:
        """The name in the roster."""
        return self.settings.name

    @property
    def policy(self) -> Policy:
        """What this institution allows."""
        return self.settings.policy

    @property
    def roster(self) -> Roster:
        """The federation roster beside node.toml."""
        return self.settings.roster

    @property
    def roster_digest(self) -> str:
        """Digest of the federation roster."""
        return roster_digest(self.roster)

    def signed(self, document: object) -> Signed:
        """An answer of this node; its kind is the name of its class."""
        return sign(self.keys.identity, type(document).__name__, document)

    def close(self) -> None:
        """End the threads, then the ledger, then let another agent have the folder."""
        self.workers.stop()
        self.encryption.close()
        self.ledger.close()
        os.close(self.lock_file)


def read_keys(settings: Settings) -> Keys:
    """Keys and cards, checked against the roster.

    Raises
    ------
    ConfigError
        With every fault: keys that are not the roster's, no card of a coordinator that may ask.
    """
    mine = settings.roster.node(settings.name).identity
    files = node_keys(settings.state)
    own, faults = own_keys(files, mine, settings.name, "fedstats-node init")
    coordinators, card_faults = coordinator_cards(
        settings.roster, settings.policy.coordinators, settings.cards, "fedstats-node trust"
    )
    faults += card_faults
    if faults or own is None:
        raise ConfigError("the state folder", faults, code="BAD_KEYS")
    return Keys(*own, coordinators)


def keys_warnings(keys: Keys, now: datetime) -> list[str]:
    """Certificates of this node and its coordinators that are not valid now, or not for long."""
    return certificate_warnings(keys.leaf, keys.coordinators.values(), now, renew="fedstats-node card --renew")


def register(settings: Settings) -> dict[str, RegisteredDataset]:
    """Check every data set; the faults of all of them are raised together."""
    registered: dict[str, RegisteredDataset] = {}
    faults: list[str] = []
    for one in settings.datasets:
        try:
            registered[one.id] = register_dataset(_files(one))
        except FaultyInput as error:
            faults += [f"data set {one.id!r}: {fault}" for fault in error.faults]
    if faults:
        raise ConfigError("the data of this node", faults, code="BAD_DATA")
    return registered


def _files(one: DatasetSettings) -> DatasetFiles:
    return DatasetFiles(one.genotypes, one.phenotypes, one.covariates)


def check_all(settings: Settings) -> tuple[Keys, dict[str, RegisteredDataset]]:
    """Everything that `serve` would check before it answers; the faults of all parts are raised together."""
    faults: list[str] = []
    keys, registered = None, None
    try:
        check_state_folder(settings.state, "node.toml")
    except FaultyInput as error:
        faults += error.faults
    try:
        keys = read_keys(settings)
    except FaultyInput as error:
        faults += error.faults
    try:
        registered = register(settings)
    except FaultyInput as error:
        faults += error.faults
    if faults or keys is None or registered is None:
        raise ConfigError("this node", faults, code="BAD_CONFIG")
    return keys, registered


def open_node(settings: Settings) -> Node:
    """A node ready to answer.

    Raises
    ------
    ConfigError
        Keys, cards, data or state folder have faults; all are listed.
    Failed
        Another agent has the state folder, or the ledger cannot be opened.
    """
    keys, registered = check_all(settings)
    lock_file = lock_folder(settings.state)
    try:
        ledger = open_ledger(settings.state / "ledger.sqlite", ALL_TABLES)
    except FedstatsError:
        os.close(lock_file)
        raise
    give_back_memory()
    return assembled(settings, keys, registered, ledger, lock_file)


def assembled(
    settings: Settings, keys: Keys, registered: Mapping[str, RegisteredDataset], ledger: Ledger, lock_file: int
) -> Node:
    """A node of parts that were checked and opened."""
    records, runs = Records(ledger), RunRecords(ledger)
    blobs = open_blobs(settings.state / "blobs", records, runs)
    return Node(
        settings=settings,
        keys=keys,
        party=Party(settings.name, keys.identity, settings.roster, settings.policy.allow_two_nodes),
        ledger=ledger,
        records=records,
        runs=runs,
        peers=PeerLedgers(ledger, settings.name),
        secrets=open_secret_files(settings.state / "secrets"),
        spool=open_spool(settings.state / "spool", records),
        blobs=blobs,
        certified=CertifiedTotals(ledger, blobs),
        asks_read=LastUsed(_ASKS_KEPT),
        channels=LastUsed(_CHANNELS_KEPT),
        agreed=LastUsed(_AGREED_KEPT),
        cohorts=Cohorts(registered, blobs, _cohort_key(settings.state), RunPeople(ledger), CohortPeople(ledger)),
        budgets=BudgetRecords(ledger),
        noise=NoiseLedger(ledger),
        workers=Workers(settings.threads),
        encryption=Encryption(settings.roster.content.paillier_modulus, settings.threads),
        crash=crash_points(sandbox=settings.roster.content.sandbox),
        lock_file=lock_file,
    )


def accept_peer_ledger(settings: Settings, peer: str) -> None:
    """Forget what is remembered of the ledger of a peer that was put back from a backup; entered in the ledger.

    Raises
    ------
    Failed
        The agent runs; it must be stopped for this.
    """
    if peer == settings.name:
        raise UsageError(f"{peer} is this node itself; the custodians of its peers run this", code="UNKNOWN_NODE")
    settings.roster.node(peer)
    lock_file = lock_folder(settings.state)
    try:
        ledger = open_ledger(settings.state / "ledger.sqlite", ALL_TABLES)
        with ledger.transaction():
            PeerLedgers(ledger, settings.name).forget(peer)
        ledger.close()
    finally:
        os.close(lock_file)


def _cohort_key(state: Path) -> bytes:
    """The secret under which the ledger names cohorts; it stays as long as the ledger does."""
    path = state / "cohort.key"
    if not path.exists():
        write_secret(path, os.urandom(32))
    return path.read_bytes()
