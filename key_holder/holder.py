"""A key holder with its keys, its ledger and its policy: what stays in memory while it runs."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from fedstats.crash import CrashPoint, crash_points
from fedstats.errors import ConfigError, FaultyInput, FedstatsError, UsageError
from fedstats.identity.card import Card
from fedstats.identity.keys import Identity, Leaf
from fedstats.identity.party_keys import node_keys
from fedstats.identity.permitted import certificate_warnings, coordinator_cards, own_keys
from fedstats.identity.roster import roster_digest
from fedstats.identity.signing import Signed, sign
from fedstats.ledger import Ledger, open_ledger
from fedstats.privacy.paillier_keys import load_key
from fedstats.privacy.paillier_tasks import decryption
from fedstats.privacy.paillier_workers import Workers as Decryption
from fedstats.privacy.primitives.paillier import PrivateKey, PublicKey
from fedstats.serving.work import PASSES_AT_ONCE, Workers
from fedstats.state_folder import check_state_folder, lock_folder
from key_holder.config import Settings
from key_holder.files import Files, open_files
from key_holder.keys_folder import CUSTODIAN
from key_holder.own_ledger import TABLES as OWN_TABLES
from key_holder.own_ledger import OwnLedger
from key_holder.policy import Policy
from key_holder.records import TABLES, Records

TRUST = "fedstats-keyholder trust"
RENEW = "fedstats-keyholder card --renew"
ALL_TABLES = TABLES + OWN_TABLES


@dataclass(frozen=True)
class Keys:
    """The keys of a key holder, and the cards of the coordinators that may ask, by identity."""

    identity: Identity = field(repr=False)
    leaf: Leaf = field(repr=False)
    paillier: PrivateKey = field(repr=False)
    coordinators: Mapping[str, Card]


@dataclass(frozen=True)
class Holder:
    """All that a handler needs; made once, by `open_holder`."""

    settings: Settings
    keys: Keys
    ledger: Ledger
    records: Records
    products: Files
    words: Files
    work: Workers
    decrypt: Decryption
    crash: CrashPoint
    lock_file: int

    @property
    def name(self) -> str:
        """The name in the roster."""
        return self.settings.name

    @property
    def policy(self) -> Policy:
        """What this key holder allows."""
        return self.settings.policy

    @property
    def own_ledger(self) -> OwnLedger:
        """Whether its ledger is the newest that it showed."""
        return OwnLedger(self.ledger)

    @property
    def public(self) -> PublicKey:
        """The modulus that the roster names."""
        return self.keys.paillier.public

    @property
    def roster_digest(self) -> str:
        """Digest of the federation roster."""
        return roster_digest(self.settings.roster)

    def signed(self, document: object) -> Signed:
        """An answer of this key holder; its kind is the name of its class."""
        return sign(self.keys.identity, type(document).__name__, document)

    def close(self) -> None:
        """End threads and processes, then the ledger, then let another key holder have the folder."""
        self.work.stop()
        self.decrypt.close()
        self.ledger.close()
        os.close(self.lock_file)


def read_keys(settings: Settings) -> Keys:
    """Keys and cards, checked against the roster.

    Raises
    ------
    ConfigError
        With every fault: keys that are not the roster's, no card of a coordinator that may ask.
    """
    content = settings.roster.content
    own, faults = own_keys(node_keys(settings.state), content.key_holder, settings.name, CUSTODIAN.init)
    paillier, paillier_faults = _paillier(settings)
    cards, card_faults = coordinator_cards(settings.roster, settings.policy.coordinators, settings.cards, TRUST)
    faults += paillier_faults + card_faults
    if faults or own is None or paillier is None:
        raise ConfigError("the state folder", faults, code="BAD_KEYS")
    return Keys(*own, paillier, cards)


def _paillier(settings: Settings) -> tuple[PrivateKey | None, list[str]]:
    """The Paillier key, and what is wrong with it."""
    path = settings.paillier_key
    try:
        key = load_key(path)
    except OSError:
        return None, [f"keys: {path.name} is not in the state folder; run '{CUSTODIAN.init}'"]
    except UsageError as error:
        return None, [f"keys: {error.message}"]
    if key.public.text != settings.roster.content.paillier_modulus:
        return None, [f"keys: {path.name} is not the key of the modulus in the roster"]
    return key, []


def keys_warnings(keys: Keys, now: datetime) -> list[str]:
    """Certificates of this key holder and its coordinators that are not valid now, or not for long."""
    return certificate_warnings(keys.leaf, keys.coordinators.values(), now, agent="key holder", renew=RENEW)


def check_all(settings: Settings) -> Keys:
    """Everything that `serve` would check before it answers; the faults of all parts are raised together."""
    faults: list[str] = []
    keys = None
    try:
        check_state_folder(settings.state, CUSTODIAN.config)
    except FaultyInput as error:
        faults += error.faults
    try:
        keys = read_keys(settings)
    except FaultyInput as error:
        faults += error.faults
    if faults or keys is None:
        raise ConfigError("this key holder", faults, code="BAD_CONFIG")
    return keys


def open_holder(settings: Settings) -> Holder:
    """A key holder ready to answer.

    Raises
    ------
    ConfigError
        Keys, cards or state folder have faults; all are listed.
    Failed
        Another key holder has the state folder, or the ledger cannot be opened.
    """
    keys = check_all(settings)
    lock_file = lock_folder(settings.state)
    try:
        ledger = open_ledger(settings.state / "ledger.sqlite", ALL_TABLES)
    except FedstatsError:
        os.close(lock_file)
        raise
    return Holder(
        settings=settings,
        keys=keys,
        ledger=ledger,
        records=Records(ledger),
        products=open_files(settings.state / "products"),
        words=open_files(settings.state / "words"),
        work=Workers(PASSES_AT_ONCE),
        decrypt=Decryption(decryption(keys.paillier), settings.processes),
        crash=crash_points(sandbox=settings.roster.content.sandbox),
        lock_file=lock_file,
    )


def accept_own_ledger(settings: Settings) -> int:
    """Go on with a ledger that was put back from a backup, which is entered in it; the generation that begins.

    Raises
    ------
    Failed
        The key holder runs; it must be stopped for this.
    """
    lock_file = lock_folder(settings.state)
    try:
        ledger = open_ledger(settings.state / "ledger.sqlite", ALL_TABLES)
        generation = OwnLedger(ledger).accept()
        ledger.close()
    finally:
        os.close(lock_file)
    return generation
