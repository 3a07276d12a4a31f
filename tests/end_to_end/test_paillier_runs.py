"""Runs under paillier: the bytes of every other setting, whoever is killed or lost, and a key holder that lies."""

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import fedstats.analyses  # noqa: F401  # registers every analysis
from fedstats.analysis import ANALYSES
from fedstats.client import FederationClient, connect
from fedstats.coordinator.config import FederationSettings, read_federation
from fedstats.coordinator.crash import POINTS_OF_PAILLIER
from fedstats.coordinator.opening import key_holder_over_grpc
from fedstats.errors import ConfigError, MaskMismatch, NodeUnreachable, Refused
from fedstats.identity.signing import Signed
from fedstats.sandbox import processes
from fedstats.sandbox.folder import KEY_HOLDER, Sandbox
from fedstats.transport.base import Method, StreamMethod, Transport
from fedstats.transport.pinning import Peer
from tests.end_to_end.support import (
    COVARIATES,
    IMPATIENT,
    KILLED,
    Ledgers,
    all_up,
    gwas,
    gwas_command,
    mortal,
    sandbox_of,
    simulated,
    tables,
)

#: Nobody's sums depend on the length of the key; a short one is quick.
KEY_BITS = 512

SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {"privacy": "plain"},
    "masked": {"privacy": "masked"},
    "paillier": {"privacy": "paillier"},
    "paillier without masks": {"privacy": "paillier", "paillier_masks": False},
}
ENCRYPTED = ("paillier", "paillier without masks")

Ask = Callable[[FederationClient, dict[str, Any]], object]

#: Every registered analysis that every setting offers, in forms that use all of its steps.
ASKS: dict[str, tuple[Ask, ...]] = {
    "freq": (lambda client, how: client.freq(**how),),
    "hardy": (lambda client, how: client.hardy(**how),),
    "missing": (lambda client, how: client.missing(**how),),
    "gwas/linear": (
        lambda client, how: client.gwas(["q1", "q2"], covariates=COVARIATES, **how),
        lambda client, how: client.gwas("q1", covariates=COVARIATES, missing="drop", site_effects="fixed", **how),
    ),
    "gwas/logistic": (
        lambda client, how: client.gwas("b1", covariates=COVARIATES, **how),
        lambda client, how: client.gwas("b1", covariates=COVARIATES, missing="drop", test="score-refit", **how),
    ),
}
FORMS = [(name, number) for name, forms in ASKS.items() for number in range(len(forms))]


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Four agents and a key holder; public data, so that the same people may be asked in every way."""
    folder = tmp_path_factory.mktemp("four")
    files = simulated(folder / "study", 4, samples=800, variants=500)
    sandbox = sandbox_of(files, folder / "sandbox", policy="validation", key_bits=KEY_BITS)
    try:
        processes.start(sandbox)
        yield sandbox
    finally:
        processes.stop(sandbox)


@pytest.fixture
def up(four: Sandbox) -> Sandbox:
    """The same, all of them running."""
    all_up(four)
    return four


def test_every_analysis_that_all_settings_offer_is_asked() -> None:
    assert set(ASKS) == {name for name in ANALYSES if "noised" not in name}


@pytest.mark.parametrize(("analysis", "form"), FORMS)
def test_every_setting_gives_the_same_bytes(up: Sandbox, tmp_path: Path, analysis: str, form: int) -> None:
    with connect(up.federation_file) as client:
        for name, setting in SETTINGS.items():
            ASKS[analysis][form](client, {"out": tmp_path / name, **setting})

    found = {name: tables(tmp_path / name) for name in SETTINGS}
    assert found["plain"]
    assert all(those == found["plain"] for those in found.values())


# What a run says of itself -------------------------------------------------------------------------------------------


def record_of(out: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(out.with_name(f"{out.name}.run.json").read_text())
    return record


def test_run_and_report_name_the_key_holder_and_who_must_not_work_together(up: Sandbox, tmp_path: Path) -> None:
    with connect(up.federation_file) as client:
        for name in ENCRYPTED:
            client.freq(out=tmp_path / name, **SETTINGS[name])
    masked, unmasked = (record_of(tmp_path / name) for name in ENCRYPTED)
    reports = [(tmp_path / f"{name}.report.html").read_text() for name in ENCRYPTED]

    assert (masked["privacy"], masked["key_holder"], masked["paillier_masks"]) == ("paillier", KEY_HOLDER, True)
    assert masked["threshold"] == 3
    assert "any 2 nodes together with the coordinator learn no other node's sums" in masked["collusion"]
    assert (unmasked["paillier_masks"], unmasked["threshold"]) == (False, 0)
    assert f"the coordinator and key holder {KEY_HOLDER} must not work together" in unmasked["collusion"]
    assert any(banner.startswith("PAILLIER WITHOUT MASKS") for banner in unmasked["banners"])
    assert not any(banner.startswith("PAILLIER WITHOUT MASKS") for banner in masked["banners"])
    assert "it learnt nothing" in reports[0]
    assert "must not work together with the coordinator" in reports[1]
    assert masked["bytes_sent"][KEY_HOLDER] > 0 < masked["bytes_received"][KEY_HOLDER]


def test_the_key_holder_saw_only_products_of_all_nodes(up: Sandbox, tmp_path: Path) -> None:
    with connect(up.federation_file) as client:
        client.freq(out=tmp_path / "run", privacy="paillier")

    ordered = Ledgers(up).entries(KEY_HOLDER, "ordered")
    assert ordered
    assert {entry["nodes"] for entry in ordered} == {",".join(sorted(up.nodes))}


# Deaths and losses ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Listened:
    """A line to the key holder on which somebody is told of every product, and may change what comes back."""

    line: Transport
    told: Callable[[Signed], None] = lambda order: None
    changed: Callable[[bytes], bytes] = lambda data: data

    def call(self, node: str, method: Method, order: Signed) -> Signed:
        return self.line.call(node, method, order)

    def put(self, node: str, order: Signed, data: bytes, then: Signed | None = None) -> Signed:
        self.told(order)
        return self.line.put(node, order, data, then)

    def fetch(self, node: str, method: StreamMethod, order: Signed, offset: int) -> Iterator[bytes]:
        for piece in self.line.fetch(node, method, order, offset):
            yield self.changed(piece)

    def close(self) -> None:
        self.line.close()


def listening(sandbox: Sandbox, **how: Any) -> FederationClient:
    """A client whose talk with the key holder is listened to."""

    def line(settings: FederationSettings, peer: Peer) -> Transport:
        return Listened(key_holder_over_grpc(settings, peer), **how)

    return FederationClient(read_federation(sandbox.federation_file), open_key_holder=line)


@dataclass
class Countdown:
    """Kills an agent when the key holder is asked for the so-manieth pass: then all words of that pass are out.

    Passes are counted, not calls, for one that stays unanswered is repeated; and one at a time, for they come from
    several threads.
    """

    sandbox: Sandbox
    victim: str
    at: int
    passes: set[bytes] = field(default_factory=set)
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, order: Signed) -> None:
        with self._one_at_a_time:
            is_new = order.body not in self.passes
            self.passes.add(order.body)
            if is_new and len(self.passes) == self.at:
                processes.kill(self.sandbox, self.victim)


@pytest.mark.parametrize("setting", ENCRYPTED)
def test_a_node_lost_after_its_last_upload_changes_no_byte(up: Sandbox, tmp_path: Path, setting: str) -> None:
    how = {"covariates": COVARIATES, "wait": IMPATIENT, "pass_variants": 200}
    nobody = Countdown(up, "EE", at=0)
    listening(up, told=nobody).gwas("q1", out=tmp_path / "whole", **SETTINGS[setting], **how)

    last = Countdown(up, "EE", at=len(nobody.passes))
    listening(up, told=last).gwas("q1", out=tmp_path / "lost", **SETTINGS[setting], **how)

    assert processes.process_of(up, "EE") is None
    assert tables(tmp_path / "lost") == tables(tmp_path / "whole")


@pytest.mark.parametrize("points", [("before:ordered", "mid:opened@2"), ("after:ordered", "after:opened@2")])
def test_a_key_holder_killed_and_started_again_changes_no_byte(
    up: Sandbox, tmp_path: Path, points: tuple[str, ...]
) -> None:
    gwas(up, tmp_path / "whole", privacy="masked")
    with mortal(up, KEY_HOLDER, *points):
        gwas(up, tmp_path / "killed", privacy="paillier")

    assert tables(tmp_path / "killed") == tables(tmp_path / "whole")


def test_a_coordinator_killed_around_the_key_holder_and_resumed_ends_with_the_same_bytes(
    up: Sandbox, tmp_path: Path
) -> None:
    flags = ("--privacy", "paillier")
    gwas(up, tmp_path / "whole", privacy="masked")
    first, second = POINTS_OF_PAILLIER
    killed = gwas_command(up, tmp_path / "run", *flags, crash=f"coordinator:{first}")
    again = gwas_command(up, tmp_path / "run", *flags, "--resume", crash=f"coordinator:{second}@2")
    gwas(up, tmp_path / "run", privacy="paillier", resume=True)

    assert (killed.returncode, again.returncode) == (KILLED, KILLED), killed.stderr + again.stderr
    assert tables(tmp_path / "run") == tables(tmp_path / "whole")


@pytest.mark.parametrize("setting", ENCRYPTED)
def test_a_key_holder_that_stays_away_ends_the_run_with_4_and_it_goes_on_when_it_is_back(
    up: Sandbox, tmp_path: Path, setting: str
) -> None:
    gwas(up, tmp_path / "whole", **SETTINGS[setting])
    death = Countdown(up, KEY_HOLDER, at=2)
    with pytest.raises(NodeUnreachable, match=r"the key holder stays away(.|\n)*--resume") as lost:
        listening(up, told=death).gwas(
            "q1", covariates=COVARIATES, pass_variants=4110, wait=IMPATIENT, out=tmp_path / "run", **SETTINGS[setting]
        )
    assert lost.value.exit_code == 4
    assert tables(tmp_path / "run") == {}

    all_up(up)
    gwas(up, tmp_path / "run", resume=True, **SETTINGS[setting])

    assert tables(tmp_path / "run") == tables(tmp_path / "whole")


def test_a_key_holder_that_is_down_is_told_before_anything_is_computed(up: Sandbox, tmp_path: Path) -> None:
    ledgers = Ledgers(up)
    ledgers.mark()
    processes.kill(up, KEY_HOLDER)

    ended = gwas_command(up, tmp_path / "run", "--privacy", "paillier", wait=IMPATIENT)

    assert ended.returncode == 4
    assert f"{KEY_HOLDER}: nobody answers" in ended.stderr
    assert all(ledgers.entries(node, "opened") == [] for node in up.nodes)


def test_a_key_holder_whose_ledger_was_put_back_is_noticed_and_its_newest_folder_mends_it(
    up: Sandbox, tmp_path: Path
) -> None:
    state = up.node_folder(KEY_HOLDER) / "state"
    processes.kill(up, KEY_HOLDER)
    shutil.copytree(state, tmp_path / "backup")
    all_up(up)
    gwas(up, tmp_path / "first", privacy="paillier")
    processes.kill(up, KEY_HOLDER)
    state.rename(tmp_path / "newest")
    shutil.copytree(tmp_path / "backup", state)
    all_up(up)

    ended = gwas_command(up, tmp_path / "second", "--privacy", "paillier")
    processes.kill(up, KEY_HOLDER)
    shutil.rmtree(state)
    (tmp_path / "newest").rename(state)
    all_up(up)
    gwas(up, tmp_path / "third", privacy="paillier")

    assert ended.returncode == 3
    assert "the ledger of this key holder is older than one that it has shown" in ended.stderr
    assert "fedstats-keyholder accept-ledger" in ended.stderr
    assert tables(tmp_path / "second") == {}
    assert tables(tmp_path / "third") == tables(tmp_path / "first")


# A key holder that lies ----------------------------------------------------------------------------------------------


def _moved(data: bytes, word: int, by: int) -> bytes:
    value = int.from_bytes(data[8 * word : 8 * word + 8], "little")
    return ((value + by) % 2**64).to_bytes(8, "little")


#: A word that is no check word, by one; every word; two words, so that their sum stays as it was.
LIES: dict[str, Callable[[bytes], bytes]] = {
    "one word by one": lambda data: bytes([data[0] ^ 1]) + data[1:],
    "all words": lambda data: bytes(255 - byte for byte in data),
    "two words against each other": lambda data: _moved(data, 0, 1) + _moved(data, 1, -1) + data[16:],
}


@pytest.mark.parametrize("lie", list(LIES))
@pytest.mark.parametrize("setting", ENCRYPTED)
def test_a_key_holder_that_gives_other_words_is_found_out_and_nothing_is_written(
    up: Sandbox, tmp_path: Path, setting: str, lie: str
) -> None:
    with pytest.raises(MaskMismatch, match="what the key holder opened does not fit") as found:
        listening(up, changed=LIES[lie]).freq(out=tmp_path / "run", **SETTINGS[setting])

    assert found.value.code == "MASK_MISMATCH"
    assert tables(tmp_path / "run") == {}
    assert not (tmp_path / "run.report.html").exists()


# What is refused -----------------------------------------------------------------------------------------------------


def test_masks_are_switched_off_only_where_every_policy_says_so(up: Sandbox, tmp_path: Path) -> None:
    config = up.node_folder("EE") / "node.toml"
    kept = config.read_text()
    try:
        config.write_text(kept.replace("[policy]", "[policy]\nallow_unmasked_paillier = false"))
        processes.kill(up, "EE")
        all_up(up)
        with connect(up.federation_file) as client:
            with pytest.raises(Refused, match="allow_unmasked_paillier") as refused:
                client.freq(out=tmp_path / "run", **SETTINGS["paillier without masks"])
            client.freq(out=tmp_path / "masked", privacy="paillier")
    finally:
        config.write_text(kept)
        processes.kill(up, "EE")

    assert (refused.value.node, refused.value.code) == ("EE", "POLICY_ALLOW_UNMASKED_PAILLIER")


def test_a_federation_file_without_the_key_holder_says_what_is_missing(up: Sandbox, tmp_path: Path) -> None:
    text = up.federation_file.read_text()
    head, _, rest = text.partition("[key_holder]")
    copy = up.folder / "without.toml"
    copy.write_text(head + "[coordinator]" + rest.partition("[coordinator]")[2])
    try:
        with connect(copy) as client, pytest.raises(ConfigError, match=r"no \[key_holder\]"):
            client.freq(out=tmp_path / "run", privacy="paillier")
    finally:
        copy.unlink()


def test_a_roster_without_a_key_holder_says_what_is_missing(tmp_path: Path) -> None:
    files = simulated(tmp_path / "study", 3, samples=300, variants=100)
    sandbox = sandbox_of(files, tmp_path / "sandbox")
    with connect(sandbox.federation_file) as client, pytest.raises(ConfigError) as refused:
        client.freq(out=tmp_path / "run", privacy="paillier")

    assert "the roster names no key holder" in str(refused.value)
