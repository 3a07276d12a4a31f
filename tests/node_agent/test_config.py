"""node.toml: every fault is named, all at once, before anything is served."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fedstats.config_reading import is_loopback
from fedstats.errors import ConfigError, Failed
from fedstats.identity.card import make_card, write_card
from fedstats.identity.keys import generate_identity, generate_leaf
from fedstats.identity.roster import sign_roster, write_roster
from fedstats.state_folder import check_state_folder, file_system_of
from node_agent.config import read_settings
from node_agent.node import check_all, keys_warnings, open_node
from node_agent.policy import Policy
from tests.node_agent.sites import REAL_POLICY, VALIDATION_POLICY, make_federation


def faults_of(config: Path, environment=None) -> str:
    with pytest.raises(ConfigError) as caught:
        read_settings(config, environment or {})
    return "\n".join(caught.value.faults)


def test_settings_are_read_relative_to_the_file(tmp_path: Path):
    site = make_federation(tmp_path).site("FI")

    settings = read_settings(site.config, {})

    assert (settings.name, settings.host, settings.port, settings.threads) == ("FI", "127.0.0.1", 0, 2)
    assert settings.state == site.folder / "state"
    (dataset,) = settings.datasets
    assert dataset.genotypes == site.folder / "genotypes.bed"
    assert settings.policy == Policy(
        analyses=("freq", "gwas/linear"), privacy=("masked", "plain"), reason="a test", min_people=50
    )


def test_threads_of_the_environment_stand_over_the_file(tmp_path: Path):
    site = make_federation(tmp_path).site("FI")

    assert read_settings(site.config, {"FEDSTATS_THREADS": "7"}).threads == 7


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('name = "FI"', 'nane = "FI"', "unknown key 'nane'; did you mean 'name'?"),
        ('name = "FI"', 'name = "NO"', "the roster has no node 'NO'; its nodes are EE, FI, SE"),
        ('name = "FI"', 'name = "F I"', "the name 'F I' must be"),
        ("127.0.0.1:0", "127.0.0.1", "is not an address and a port"),
        ("127.0.0.1:0", "127.0.0.1:99999", "is not an address and a port"),
        ("127.0.0.1:0", "0.0.0.0:7401", "a sandbox roster is good on loopback only, and 0.0.0.0 is not"),
        ('"roster.toml"', '"rooster.toml"', "there is no file 'rooster.toml'"),
        ("threads = 2", "threads = -1", "threads must be a whole number"),
        ("threads = 2", "threads = true", "threads must be a whole number"),
        ('"genotypes.bed"', '"genotypes.vcf"', "there is no file 'genotypes.vcf'"),
        ('"genotypes.bed"', '"genotypes.bim"', "'.bim' files cannot be read"),
        ('build = "GRCh37"', "", "the key 'build' is missing"),
        ('build = "GRCh37"', 'build = ""', "build must be a text"),
        ('"phenotypes.tsv"', '"pheno.tsv"', "there is no file 'pheno.tsv'"),
        ("public = true", "public = 1", "public must be true or false"),
        ("public = true", 'loadings_sha256 = "abc"', "loadings_sha256 must be 64"),
        ("[[dataset]]", "[dataset]", "data sets must be written as tables [[dataset]]"),
        ("[policy]", '[policy]\ncoordinators = ["eve"]', "the roster has no coordinator 'eve'"),
        ("[policy]", "[police]", "unknown key 'police'; did you mean 'policy'?"),
        ("min_people = 50", "min_people = 49", "min_people = 49 is below 50"),
    ],
)
def test_each_fault_is_named(tmp_path: Path, old: str, new: str, fault: str):
    site = make_federation(tmp_path).site("FI")
    text = site.config.read_text()
    assert old in text
    site.config.write_text(text.replace(old, new))

    assert fault in faults_of(site.config)


def test_all_faults_come_at_once(tmp_path: Path):
    site = make_federation(tmp_path).site("FI")
    text = site.config.read_text().replace("127.0.0.1:0", "nowhere").replace("min_people = 50", "min_people = 1")
    site.config.write_text(text.replace('"genotypes.bed"', '"none.bed"'))

    found = faults_of(site.config)

    assert "'nowhere'" in found
    assert "min_people = 1" in found
    assert "'none.bed'" in found


def test_a_file_that_is_not_toml_is_refused(tmp_path: Path):
    path = tmp_path / "node.toml"
    path.write_text("[node\n")

    assert "it is not TOML" in faults_of(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path):
    assert "it cannot be read" in faults_of(tmp_path / "node.toml")


def test_validation_needs_a_sandbox_roster(tmp_path: Path):
    site = make_federation(tmp_path, policy=VALIDATION_POLICY, sandbox=False).site("FI")

    assert "needs a roster marked sandbox = true" in faults_of(site.config)


def test_validation_needs_public_data(tmp_path: Path):
    site = make_federation(tmp_path, policy=VALIDATION_POLICY, public=False).site("FI")

    assert "needs public = true in data set 'demo'" in faults_of(site.config)


def test_validation_loads_with_sandbox_loopback_and_public_data(tmp_path: Path):
    site = make_federation(tmp_path, policy=VALIDATION_POLICY).site("FI")

    assert read_settings(site.config, {}).policy.validation


def test_a_real_node_may_listen_anywhere(tmp_path: Path):
    site = make_federation(tmp_path, sandbox=False).site("FI")
    site.config.write_text(site.config.read_text().replace("127.0.0.1:0", "0.0.0.0:7401"))

    assert read_settings(site.config, {}).port == 7401


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.8.9.1", True), ("::1", True), ("localhost", True), ("10.0.0.1", False), ("fi", False)],
)
def test_loopback_addresses(host: str, expected: bool):
    assert is_loopback(host) == expected


MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
server:/home /home nfs4 rw 0 0
/dev/sdb1 /home/fast xfs rw 0 0
//server/share /mnt/my\\040share cifs rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/fedstats", "ext4"),
        ("/home/ada/state", "nfs4"),
        ("/home/fast/state", "xfs"),
        ("/mnt/my share/state", "cifs"),
        ("/homely", "ext4"),
    ],
)
def test_file_system_is_that_of_the_nearest_mount(path: str, kind: str):
    assert file_system_of(Path(path), MOUNTS) == kind


def test_a_ledger_on_a_network_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("fedstats.state_folder.file_system_of", lambda path, mounts: "nfs4")

    with pytest.raises(ConfigError, match=r"nfs4 file system.*local disk"):
        check_state_folder(tmp_path, "node.toml")


def test_keys_of_somebody_else_are_refused(tmp_path: Path):
    federation = make_federation(tmp_path)
    own, other = (federation.site(name).folder / "state" / "identity.key" for name in ("FI", "SE"))
    own.unlink()
    other.rename(own)

    with pytest.raises(ConfigError, match="not the identity that the roster has for FI"):
        check_all(read_settings(federation.site("FI").config, {}))


def test_missing_keys_card_and_faulty_data_come_at_once(tmp_path: Path):
    site = make_federation(tmp_path).site("FI")
    (site.folder / "state" / "tls.key").unlink()
    (site.folder / "coordinator.card").unlink()
    (site.folder / "genotypes.bed").write_bytes(b"\x6c\x1b\x01 too short")

    with pytest.raises(ConfigError) as caught:
        check_all(read_settings(site.config, {}))

    found = "\n".join(caught.value.faults)
    assert "tls.key is not in the state folder" in found
    assert "no coordinator's card lies beside the roster" in found
    assert "data set 'demo'" in found


def test_a_card_with_the_coordinators_name_and_another_identity_is_refused(tmp_path: Path):
    site = make_federation(tmp_path).site("FI")
    eve = make_card(generate_identity(), generate_leaf("coordinator"), "coordinator", role="coordinator")
    write_card(eve, site.folder / "coordinator.card")

    with pytest.raises(ConfigError, match="not the card of the coordinator that the roster names"):
        check_all(read_settings(site.config, {}))


@pytest.mark.parametrize(
    ("days", "warning"),
    [
        (0, None),
        (340, "this node's certificate expires on"),
        (366, "this node's certificate is expired since"),
        (-1, "this node's certificate is not valid before"),
    ],
)
def test_certificates_that_end_are_said(tmp_path: Path, days: int, warning: str | None):
    site = make_federation(tmp_path).site("FI")
    keys, _ = check_all(read_settings(site.config, {}))

    found = keys_warnings(keys, datetime.now(UTC) + timedelta(days=days))

    assert [text.startswith(warning or "") for text in found] == ([True, False] if warning else [])


def test_two_agents_cannot_share_a_state_folder(tmp_path: Path):
    site = make_federation(tmp_path, policy=REAL_POLICY).site("FI")
    first = open_node(read_settings(site.config, {}))

    with pytest.raises(Failed, match="another agent runs with this state folder"):
        open_node(read_settings(site.config, {}))

    first.close()
    open_node(read_settings(site.config, {})).close()


def test_secrets_are_for_the_owner_and_left_out_of_backups(tmp_path: Path):
    site = make_federation(tmp_path).site("FI")
    node = open_node(read_settings(site.config, {}))

    folder = site.folder / "state" / "secrets"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55")
    assert (folder / ".nobackup").exists()
    assert (site.folder / "state" / "cohort.key").stat().st_mode & 0o777 == 0o600
    node.close()


def test_the_size_that_the_roster_promises_binds_where_it_is_larger(tmp_path: Path):
    federation = make_federation(tmp_path)
    site, content = federation.site("FI"), federation.roster.content
    nodes = tuple(replace(node, min_people=120) for node in content.nodes)
    everybody = [*(one.identity for one in federation.sites), federation.coordinator]

    assert read_settings(site.config, {}).policy.min_people == 50
    write_roster(sign_roster(replace(content, nodes=nodes), everybody), site.folder / "roster.toml")
    assert read_settings(site.config, {}).policy.min_people == 120
