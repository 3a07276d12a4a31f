"""A coordinator's keys and cards, and a roster drafted, signed, joined and shown; what must not be is refused."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from fedstats.cli.main import app
from fedstats.errors import UsageError
from fedstats.identity.card import Card, make_card, read_card, write_card
from fedstats.identity.drafting import draft_roster, fingerprint, merge_rosters
from fedstats.identity.keys import generate_identity, generate_leaf
from fedstats.identity.roster import read_roster, write_roster
from node_agent.cli import app as node_app
from tests.cli.command import Command

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "setting-up.md"
NODES = ("FI", "EE", "NO")


def custodian(*words: object) -> tuple[int, str]:
    """A `fedstats-node` command: exit code and output, or the error's."""
    try:
        ended = CliRunner().invoke(node_app, [str(word) for word in words], catch_exceptions=False)
    except UsageError as error:
        return error.exit_code, str(error)
    return ended.exit_code, ended.output


@pytest.fixture
def box(fedstats: Command, tmp_path: Path) -> Path:
    """The coordinator's folder with keys, cards of all, and a roster that nobody has signed; nodes' folders in it."""
    box = tmp_path / "box"
    assert fedstats("init", box, "--name", "ANALYST").code == 0
    for name in NODES:
        custodian("init", box / name)
        custodian("card", box / name)
    cards = [box / name / f"{name}.card" for name in NODES]
    ended = fedstats(
        "roster", "draft", "--federation", "demo", "--out", box / "roster.toml", *cards, box / "ANALYST.card"
    )
    assert ended.code == 0, ended.errors
    return box


def other_card(name: str, role: str = "node") -> Card:
    return make_card(generate_identity(), generate_leaf(name), name, role=role)


def test_init_makes_keys_for_the_owner_alone(box: Path) -> None:
    modes = {name: (box / name).stat().st_mode & 0o777 for name in ("coordinator.key", "coordinator.tls.key")}

    assert modes == {"coordinator.key": 0o600, "coordinator.tls.key": 0o600}
    assert box.stat().st_mode & 0o777 == 0o700
    assert read_card(box / "ANALYST.card").role == "coordinator"


def test_init_never_overwrites_keys(box: Path, fedstats: Command) -> None:
    before = (box / "coordinator.key").read_bytes()

    ended = fedstats("init", box, "--name", "OTHER")

    assert ended.code == 2
    assert "keys are never overwritten" in ended.errors
    assert (box / "coordinator.key").read_bytes() == before


def test_renewed_leaf_has_the_same_identity(box: Path, fedstats: Command) -> None:
    before = read_card(box / "ANALYST.card")

    ended = fedstats("card", box / "federation.toml", "--renew")

    after = read_card(box / "ANALYST.card")
    assert ended.code == 0, ended.errors
    assert after.identity == before.identity
    assert after.certificate != before.certificate


def test_draft_keeps_the_cards_and_says_who_is_to_sign(box: Path, fedstats: Command) -> None:
    shown = fedstats("roster", "show", box / "roster.toml").output

    assert [name for name in NODES if not (box / f"{name}.card").is_file()] == []
    assert shown.splitlines()[-1] == "still to sign: FI, EE, NO, ANALYST"
    assert read_card(box / "EE.card").identity in shown


def test_a_roster_is_good_when_all_have_signed_one_after_the_other(box: Path, fedstats: Command) -> None:
    roster = box / "roster.toml"

    fedstats("roster", "sign", roster)
    for name in NODES:
        assert custodian("sign", roster, "--folder", box / name / "node.toml")[0] == 0

    assert fedstats("roster", "show", roster).output.splitlines()[-1] == "signed by all"
    assert [node.name for node in read_roster(roster).content.nodes] == list(NODES)


def test_copies_that_were_signed_apart_are_joined(box: Path, fedstats: Command) -> None:
    for name in NODES:
        shutil.copy(box / "roster.toml", box / name)
        assert custodian("sign", box / name / "roster.toml")[0] == 0
    fedstats("roster", "sign", box / "roster.toml")

    copies = [box / "roster.toml", *(box / name / "roster.toml" for name in NODES)]
    ended = fedstats("roster", "merge", *copies, "--out", box / "roster.toml")

    assert ended.code == 0, ended.errors
    assert len(read_roster(box / "roster.toml").signatures) == 4


def test_rosters_of_other_content_are_not_joined(box: Path, fedstats: Command) -> None:
    cards = [box / f"{name}.card" for name in (*NODES, "ANALYST")]
    words = ("roster", "draft", "--federation", "demo", "--min-people", "EE=250", "--out", box / "other.toml")
    assert fedstats(*words, *cards).code == 0

    with pytest.raises(UsageError, match="differ in more than signatures"):
        merge_rosters([box / "roster.toml", box / "other.toml"])


def test_the_fingerprint_changes_with_the_content_and_not_with_signatures(box: Path, fedstats: Command) -> None:
    cards = [read_card(box / f"{name}.card") for name in (*NODES, "ANALYST")]
    fedstats("roster", "sign", box / "roster.toml")
    signed = merge_rosters([box / "roster.toml"])

    assert len(signed.signatures) == 1
    assert fingerprint(draft_roster("demo", cards, {})) == fingerprint(signed)
    assert fingerprint(draft_roster("demo", cards, {"EE": 101})) != fingerprint(signed)


def holders_card(name: str, bits: int = 3072) -> Card:
    modulus = f"{2 ** (bits - 1) + 1:x}"
    return make_card(generate_identity(), generate_leaf(name), name, role="keyholder", paillier_modulus=modulus)


def test_a_draft_with_a_key_holders_card_shows_its_name_and_the_size_of_its_key(box: Path, fedstats: Command) -> None:
    write_card(holders_card("VAULT"), box / "VAULT.card")
    cards = [box / f"{name}.card" for name in (*NODES, "ANALYST", "VAULT")]

    shown = fedstats("roster", "draft", "--federation", "demo", "--out", box / "with.toml", *cards).output

    assert "key holder   VAULT" in shown
    assert "modulus of 3072 bits" in shown
    assert "still to sign: FI, EE, NO, ANALYST, VAULT" in shown


def test_two_key_holders_are_one_too_many(box: Path) -> None:
    cards = [read_card(box / f"{name}.card") for name in (*NODES, "ANALYST")]

    with pytest.raises(UsageError, match="one key holder, and these are cards of A and B"):
        draft_roster("demo", [*cards, holders_card("A"), holders_card("B")], {})


def test_a_roster_with_another_modulus_than_the_card_kept_here_is_not_signed(box: Path, fedstats: Command) -> None:
    cards = [read_card(box / f"{name}.card") for name in (*NODES, "ANALYST")]
    holder = holders_card("VAULT")
    write_card(holder, box / "VAULT.card")
    write_roster(draft_roster("demo", [*cards, holder], {}), box / "good.toml")
    text = (box / "good.toml").read_text()
    (box / "other.toml").write_text(text.replace(holder.paillier_modulus, f"{2**3071 + 3:x}"))

    assert fedstats("roster", "sign", box / "good.toml").code == 0
    ended = fedstats("roster", "sign", box / "other.toml")

    assert ended.code == 2
    assert "key holder VAULT is not who VAULT.card says" in ended.errors


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--min-people", "XX=200"], "--min-people names 'XX'"),
        (["--min-people", "EE"], "--min-people 'EE' is not as in FI=200,EE=150"),
        (["--federation", "a b"], "the name 'a b' must be"),
        (["--out", "nowhere/roster.toml"], "there is no folder nowhere"),
        (["nobody.card"], "file 'nobody.card' does not exist"),
    ],
)
def test_a_draft_that_makes_no_sense_is_exit_2(box: Path, fedstats: Command, words: list[str], said: str) -> None:
    cards = [box / f"{name}.card" for name in (*NODES, "ANALYST")]

    ended = fedstats("roster", "draft", "--federation", "demo", "--out", box / "new.toml", *cards, *words)

    assert ended.code == 2
    assert said in ended.errors
    assert not (box / "new.toml").exists()


def test_a_roster_is_not_overwritten_by_a_draft(box: Path, fedstats: Command) -> None:
    before = (box / "roster.toml").read_bytes()

    ended = fedstats(
        "roster", "draft", "--federation", "demo", "--out", box / "roster.toml", box / "FI.card", box / "ANALYST.card"
    )

    assert ended.code == 2
    assert "exists already" in ended.errors
    assert (box / "roster.toml").read_bytes() == before


def test_who_is_not_in_a_roster_cannot_sign_it(box: Path) -> None:
    custodian("init", box / "SE")

    code, said = custodian("sign", box / "roster.toml", "--folder", box / "SE")

    assert code == 2
    assert "the roster has no party with the identity" in said


def test_a_node_does_not_sign_a_roster_with_another_coordinator_than_it_trusts(box: Path) -> None:
    write_card(other_card("ANALYST", "coordinator"), box / "FI" / "ANALYST.card")

    code, said = custodian("sign", box / "roster.toml", "--folder", box / "FI")

    assert code == 2
    assert "coordinator ANALYST is not who ANALYST.card says" in said


def test_a_card_of_another_identity_does_not_take_the_place_of_one_that_is_kept(box: Path, fedstats: Command) -> None:
    before = (box / "EE.card").read_bytes()
    write_card(other_card("EE"), box / "FI" / "EE.card")

    ended = fedstats("trust", box / "FI" / "EE.card", "--folder", box)

    assert ended.code == 2
    assert "EE is known by another identity" in ended.errors
    assert (box / "EE.card").read_bytes() == before


def test_keys_that_are_not_there_are_said_with_the_command_that_makes_them(box: Path, fedstats: Command) -> None:
    (box / "coordinator.key").unlink()

    assert "--key FILE" in fedstats("roster", "sign", box / "roster.toml").errors
    assert "'fedstats init DIR --name NAME' makes it" in fedstats("card", box).errors


def test_signing_again_changes_nothing(box: Path, fedstats: Command) -> None:
    fedstats("roster", "sign", box / "roster.toml")
    before = (box / "roster.toml").read_bytes()

    fedstats("roster", "sign", box / "roster.toml", "--key", box / "coordinator.key")

    assert (box / "roster.toml").read_bytes() == before
    write_roster(merge_rosters([box / "roster.toml"] * 2), box / "twice.toml")
    assert (box / "twice.toml").read_bytes() == before


def flags_of(application: typer.Typer, words: list[str]) -> set[str]:
    command = typer.main.get_command(application)
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    return {flag for parameter in command.params for flag in parameter.opts}


def test_every_command_of_the_guide_exists() -> None:
    shown = re.findall(r"^\$ (fedstats(?:-node)?) (.*)$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)

    assert len(shown) > 15
    for program, rest in shown:
        words = shlex.split(rest)
        known = flags_of(app if program == "fedstats" else node_app, words)
        assert {word for word in words if word.startswith("--")} <= known, rest
