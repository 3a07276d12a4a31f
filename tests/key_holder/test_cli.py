"""fedstats-keyholder: keys that stay, a card with the modulus, everything that serve would check, and the audit."""

import sqlite3
import subprocess
import sys
import tomllib
from pathlib import Path

import phe
import pytest
from typer.testing import CliRunner

from fedstats import logs, scratch
from fedstats.errors import ConfigError, UsageError
from fedstats.identity.card import make_card, read_card
from fedstats.identity.drafting import draft_roster
from fedstats.identity.keys import generate_identity, generate_leaf
from fedstats.identity.roster import write_roster
from fedstats.ledger import open_ledger
from fedstats.privacy.paillier_keys import load_key
from key_holder import serving
from key_holder.cli import app
from key_holder.config import read_settings
from key_holder.holder import check_all
from key_holder.keys_folder import init
from key_holder.policy import Policy, read_policy
from key_holder.records import TABLES
from tests.key_holder.vault import Vault, make_vault

ROOT = Path(__file__).resolve().parents[2]


def fedstats_keyholder(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "key_holder", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as `init` makes it, with a key of full size."""
    folder = tmp_path_factory.mktemp("made") / "VAULT"
    done = fedstats_keyholder("init", folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return make_vault(tmp_path / "VAULT")


def faults_of(config: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        check_all(read_settings(config))
    return "\n".join(caught.value.faults)


def test_init_makes_keys_for_the_owner_alone(made: Path):
    names = ("identity.key", "tls.key", "paillier.key")

    assert {(made / "state" / name).stat().st_mode & 0o777 for name in names} == {0o600}
    assert (made / "state").stat().st_mode & 0o777 == 0o700
    assert tomllib.loads((made / "keyholder.toml").read_text())["keyholder"]["name"] == "VAULT"


def test_a_modulus_has_3072_bits_unless_said_and_phe_decrypts_with_its_primes(made: Path):
    key = load_key(made / "state" / "paillier.key")

    public = phe.PaillierPublicKey(key.public.n)
    private = phe.PaillierPrivateKey(public, key.p, key.q)

    assert key.public.bits == 3072
    assert private.raw_decrypt(public.raw_encrypt(123456789)) == 123456789


def test_init_never_overwrites_keys(made: Path):
    before = (made / "state" / "paillier.key").read_bytes()

    done = fedstats_keyholder("init", made)

    assert done.returncode == 2
    assert "keys are never overwritten" in done.stderr
    assert (made / "state" / "paillier.key").read_bytes() == before


@pytest.mark.parametrize("bits", [1024, 2049])
def test_a_modulus_that_is_short_or_odd_is_refused(tmp_path: Path, bits: int):
    done = fedstats_keyholder("init", tmp_path / "VAULT", "--bits", bits)

    assert done.returncode == 2
    assert "an even number of bits, at least 2048" in done.stderr
    assert not (tmp_path / "VAULT" / "state").exists()


def test_the_card_has_the_modulus_and_renewing_keeps_it(made: Path):
    first = fedstats_keyholder("card", made)
    before = read_card(made / "VAULT.card")

    done = fedstats_keyholder("card", made / "keyholder.toml", "--renew")

    after = read_card(made / "VAULT.card")
    assert (first.returncode, done.returncode) == (0, 0), first.stderr + done.stderr
    assert "modulus of 3072 bits" in first.stdout
    assert (after.role, after.identity) == ("keyholder", before.identity)
    assert after.paillier_modulus == before.paillier_modulus == load_key(made / "state" / "paillier.key").public.text
    assert after.certificate != before.certificate


def test_a_key_that_others_can_read_is_refused(made: Path):
    path = made / "state" / "paillier.key"
    path.chmod(0o640)

    done = fedstats_keyholder("card", made)

    path.chmod(0o600)
    assert done.returncode == 2
    assert "paillier.key can be read by others" in done.stderr


def test_a_file_that_is_no_key_is_refused(tmp_path: Path):
    path = tmp_path / "paillier.key"
    path.write_text('{"p": "11"}')
    path.chmod(0o600)

    with pytest.raises(UsageError, match="holds no Paillier key"):
        load_key(path)


def test_the_key_holder_keeps_cards_and_signs_the_roster(made: Path, tmp_path: Path):
    fedstats_keyholder("card", made)
    leaves = {name: generate_leaf(name) for name in ("FI", "EE", "NO", "ANALYST")}
    cards = [
        make_card(generate_identity(), leaf, name, role="coordinator" if name == "ANALYST" else "node")
        for name, leaf in leaves.items()
    ]
    write_roster(draft_roster("demo", [*cards, read_card(made / "VAULT.card")], {}), tmp_path / "roster.toml")

    done = fedstats_keyholder("sign", tmp_path / "roster.toml", "--folder", made)

    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if "VAULT" in line)
    assert line.startswith("key holder")
    assert line.endswith("modulus of 3072 bits  signed")


def test_the_skeleton_shows_every_key_of_the_policy_with_its_default(made: Path):
    text = (made / "keyholder.toml").read_text().split("[policy]")[1]
    shown = "\n".join(line.removeprefix("# ") for line in text.splitlines() if "=" in line)

    table = tomllib.loads(shown)

    assert set(table) == set(Policy().described())
    assert read_policy(table | {"coordinators": ["desk"]}) == (Policy(coordinators=("desk",)), [])


def test_a_skeleton_that_is_not_filled_in_allows_nobody(made: Path, vault: Vault):
    text = (made / "keyholder.toml").read_text().replace("127.0.0.1:7402", "127.0.0.1:0")
    vault.config.write_text(text)

    assert faults_of(vault.config) == "[policy] coordinators names nobody, so nobody could ask"


def test_a_key_holder_keeps_long_arrays_with_its_state(vault: Vault, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(scratch._Place, "folder", None)
    monkeypatch.setattr(logs, "set_up_logs", lambda *_, **__: None)
    monkeypatch.setattr(serving, "serve", lambda holder: holder.close())

    done = CliRunner().invoke(app, ["serve", "--config", str(vault.config)])

    assert done.exit_code == 0, done.output
    assert scratch._Place.folder == vault.config.parent / "state"


def test_check_config_says_what_is_good_and_warns_of_what_it_lets_through(tmp_path: Path):
    vault = make_vault(tmp_path / "V", policy='coordinators = ["desk"]\nallow_unmasked = true\nreason = "a pilot"\n')

    done = fedstats_keyholder("check-config", vault.config)

    assert done.returncode == 0, done.stderr
    assert "will see totals of runs without masks" in done.stdout
    assert "keyholder.toml is good: key holder VAULT of test" in done.stdout


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('name = "VAULT"', 'nane = "VAULT"', "unknown key 'nane'; did you mean 'name'?"),
        ('name = "VAULT"', 'name = "SAFE"', "the roster's key holder is 'VAULT', not 'SAFE'"),
        ("127.0.0.1:0", "127.0.0.1", "is not an address and a port"),
        ("127.0.0.1:0", "0.0.0.0:7402", "a sandbox roster is good on loopback only"),
        ('"roster.toml"', '"other.toml"', "there is no file 'other.toml'"),
        ("processes = 1", "processes = -1", "processes must be a whole number"),
        ("processes = 1", "processes = true", "processes must be a whole number"),
        ("[policy]", "[police]", "unknown key 'police'; did you mean 'policy'?"),
        ('["desk"]', '["eve"]', "the roster has no coordinator 'eve'"),
        ('["desk"]', '"desk"', "coordinators must be a list of names"),
        ('coordinators = ["desk"]', "", "the key 'coordinators' is missing"),
        ('["desk"]', '["desk"]\nmin_nodes = 2', "min_nodes = 2 is below 3, which no configuration may undercut"),
        ('["desk"]', '["desk"]\nmax_bytes = 0', "max_bytes must lie from 1 to 1073741824"),
        ('["desk"]', '["desk"]\nmax_bytes = 1073741825', "max_bytes must lie from 1 to 1073741824"),
        ('["desk"]', '["desk"]\nallow_unmasked = true', "allow_unmasked needs a reason"),
        ('["desk"]', '["desk"]\nallow_unmasked = "yes"', "allow_unmasked must be true or false"),
    ],
)
def test_each_fault_is_named(vault: Vault, old: str, new: str, fault: str):
    text = vault.config.read_text()
    assert old in text
    vault.config.write_text(text.replace(old, new))

    assert fault in faults_of(vault.config)


def test_keys_of_somebody_else_are_refused(vault: Vault, tmp_path: Path):
    init(tmp_path / "other", "VAULT", bits=512, smallest_bits=512)
    for name in ("identity.key", "paillier.key"):
        (tmp_path / "other" / "state" / name).replace(vault.folder / "state" / name)

    faults = faults_of(vault.config)

    assert "identity.key is not the identity that the roster has for VAULT" in faults
    assert "paillier.key is not the key of the modulus in the roster" in faults


def test_missing_keys_and_cards_are_said_with_the_commands_that_make_them(vault: Vault):
    (vault.folder / "state" / "paillier.key").unlink()
    (vault.folder / "state" / "identity.key").unlink()
    (vault.folder / "desk.card").unlink()

    faults = faults_of(vault.config)

    assert "paillier.key is not in the state folder; run 'fedstats-keyholder init'" in faults
    assert "identity.key is not in the state folder; run 'fedstats-keyholder init'" in faults
    assert "use 'fedstats-keyholder trust'" in faults


def test_a_roster_without_a_key_holder_is_a_fault(vault: Vault, tmp_path: Path):
    from dataclasses import replace

    from fedstats.identity.roster import sign_roster
    from tests.identity.test_roster import PARTIES, content, everybody

    plain = replace(content(), key_holder="")
    write_roster(sign_roster(plain, [one for one in everybody() if one is not PARTIES["holder"]]), tmp_path / "r.toml")
    vault.config.write_text(vault.config.read_text().replace('"roster.toml"', f'"{tmp_path / "r.toml"}"'))

    assert "the roster names no key holder with a modulus" in faults_of(vault.config)


# The audit


def recorded(path: Path) -> None:
    """A ledger with one ordered pass, as the key holder writes it."""
    ledger = open_ledger(path, TABLES)
    with ledger.transaction():
        ledger.write("INSERT INTO openings VALUES ('p1', 'run', 'r1', x'00', 'opened', 'w1')")
        ledger.write("INSERT INTO runs VALUES ('run', 'plan', '[\"EE\",\"FI\",\"SE\"]', 1, 'desk')")
        order = {"run": "run", "plan": "plan", "nodes": "EE,FI,SE", "masked": "yes", "pass": "p1", "request": "r1"}
        ledger.append("ordered", order)
        ledger.append("opened", {"pass": "p1", "words": "w1"})
    ledger.close()


def test_audit_counts_the_entries_of_a_whole_chain(tmp_path: Path):
    recorded(tmp_path / "ledger.sqlite")

    done = fedstats_keyholder("audit", tmp_path / "ledger.sqlite")

    assert done.returncode == 0, done.stderr
    assert "the chain of 2 entries is whole; head " in done.stdout


def test_audit_shows_the_entries_of_a_run(tmp_path: Path):
    recorded(tmp_path / "ledger.sqlite")

    shown = fedstats_keyholder("audit", tmp_path / "ledger.sqlite", "--run", "ru", "--kind", "opened", "--entries")
    none = fedstats_keyholder("audit", tmp_path / "ledger.sqlite", "--run", "other", "--json")

    assert (shown.returncode, none.returncode) == (0, 2), shown.stderr
    first, last = shown.stdout.splitlines()
    assert first.split()[0] == "2"
    assert "opened" in first
    assert "pass=p1" in first
    assert last.startswith("the chain of 2 entries is whole")
    assert "no entry is about a run that begins like 'other'" in none.stderr


@pytest.mark.parametrize(
    ("tampering", "message"),
    [
        ("UPDATE entries SET body = '{}' WHERE seq = 1", "entry 1 was changed"),
        ("DELETE FROM entries WHERE seq = 1", "entry 1 is missing"),
        ("UPDATE openings SET request = 'r2'", "a remembered pass of ledger.sqlite was changed: p1"),
        ("UPDATE openings SET words = 'w2'", "a remembered pass of ledger.sqlite was changed: p1"),
        ("DELETE FROM openings", "a pass of ledger.sqlite was removed: p1"),
        ('UPDATE runs SET nodes = \'["EE","FI"]\'', "a remembered run of ledger.sqlite was changed: run"),
        ("UPDATE runs SET masked = 0", "a remembered run of ledger.sqlite was changed: run"),
        ("DELETE FROM runs", "a remembered run of ledger.sqlite was changed: run"),
        ("UPDATE openings SET pass_id = 'p2'", "a remembered pass of ledger.sqlite was changed: p2"),
    ],
)
def test_audit_finds_what_was_changed(tmp_path: Path, tampering: str, message: str):
    recorded(tmp_path / "ledger.sqlite")
    with sqlite3.connect(tmp_path / "ledger.sqlite") as connection:
        connection.execute(tampering)
    connection.close()

    done = fedstats_keyholder("audit", tmp_path / "ledger.sqlite")

    assert done.returncode == 5
    assert message in done.stderr
