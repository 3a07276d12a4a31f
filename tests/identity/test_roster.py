"""A roster holds when every party in it signed exactly this content."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from fedstats.errors import ConfigError, UsageError
from fedstats.identity.keys import Identity, generate_identity
from fedstats.identity.roster import (
    Roster,
    RosterContent,
    RosterCoordinator,
    RosterNode,
    RosterSignature,
    add_signature,
    read_draft_roster,
    read_roster,
    roster_digest,
    sign_roster,
    threshold,
    write_roster,
)

PARTIES = {name: generate_identity() for name in ("FI", "EE", "SE", "desk", "holder")}


def content(nodes: tuple[str, ...] = ("FI", "EE", "SE"), *, sandbox: bool = False) -> RosterContent:
    return RosterContent(
        federation="nordic",
        nodes=tuple(RosterNode(name, PARTIES[name].public_hex, 100) for name in nodes),
        coordinators=(RosterCoordinator("desk", PARTIES["desk"].public_hex),),
        key_holder=PARTIES["holder"].public_hex,
        sandbox=sandbox,
    )


def everybody() -> list[Identity]:
    return list(PARTIES.values())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_roster(sign_roster(content(), everybody()), tmp_path / "roster.toml")
    return tmp_path / "roster.toml"


def faults_after(path: Path, old: str, new: str) -> str:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        read_roster(path)
    return "\n".join(caught.value.faults)


def test_roster_is_the_same_after_write_and_read(path: Path) -> None:
    assert read_roster(path) == sign_roster(content(), everybody())


def test_comments_and_spaces_do_not_matter(path: Path) -> None:
    path.write_text("# ours\n\n" + path.read_text().replace(" = ", "   =   "))

    assert read_roster(path).content == content()


def test_roster_of_fifteen_nodes_reads(tmp_path: Path) -> None:
    keys = [generate_identity() for _ in range(15)]
    nodes = tuple(RosterNode(f"N{number}", key.public_hex, 50) for number, key in enumerate(keys))
    wide = RosterContent("wide", nodes, (RosterCoordinator("desk", PARTIES["desk"].public_hex),))

    write_roster(sign_roster(wide, [*keys, PARTIES["desk"]]), tmp_path / "roster.toml")

    assert read_roster(tmp_path / "roster.toml").content == wide


def test_missing_signatures_name_the_parties(tmp_path: Path) -> None:
    write_roster(sign_roster(content(), [PARTIES["FI"], PARTIES["desk"]]), tmp_path / "roster.toml")

    with pytest.raises(ConfigError) as caught:
        read_roster(tmp_path / "roster.toml")

    assert caught.value.faults == (
        "node EE has not signed it",
        "node SE has not signed it",
        "the key holder has not signed it",
    )


def test_draft_goes_round_until_everybody_signed(tmp_path: Path) -> None:
    path = tmp_path / "roster.toml"
    write_roster(sign_roster(content(), []), path)

    for party in reversed(everybody()):
        write_roster(add_signature(read_draft_roster(path), party), path)

    assert read_roster(path) == sign_roster(content(), everybody())


@pytest.mark.parametrize(
    ("old", "new"),
    [("min_people = 100", "min_people = 1"), ("sandbox = false", "sandbox = true"), ('name = "FI"', 'name = "FR"')],
)
def test_any_change_after_signing_breaks_every_signature(path: Path, old: str, new: str) -> None:
    assert faults_after(path, old, new).count("does not fit the content") == len(PARTIES)


def test_swapped_identity_is_found(path: Path) -> None:
    listed = faults_after(path, PARTIES["FI"].public_hex, generate_identity().public_hex)

    assert "signs without being a party" in listed


def test_unknown_key_names_the_nearest(path: Path) -> None:
    assert "unknown key 'min_poeple'; did you mean 'min_people'?" in faults_after(path, "min_people", "min_poeple")


def test_all_faults_are_listed_at_once(path: Path) -> None:
    text = path.read_text().replace("min_people = 100", "min_people = 0", 1).replace('"EE"', '"E E"', 1)
    path.write_text(text)

    listed = faults_after(path, "sandbox = false", 'sandbox = "no"')

    assert all(fault in listed for fault in ("min_people must be", "'E E'", "true or false"))


def test_doubled_node_is_found(path: Path) -> None:
    listed = faults_after(path, 'name = "EE"', 'name = "fi"')

    assert "the name 'fi' occurs twice" in listed


def test_doubled_identity_is_found(path: Path) -> None:
    listed = faults_after(path, PARTIES["EE"].public_hex, PARTIES["FI"].public_hex)

    assert "occurs twice" in listed


def test_signature_of_an_outsider_is_found(path: Path) -> None:
    outsider = generate_identity().public_hex
    path.write_text(path.read_text() + f'\n[[signature]]\nidentity = "{outsider}"\nsignature = "{"00" * 64}"\n')

    with pytest.raises(ConfigError, match="signs without being a party"):
        read_roster(path)


def test_roster_without_a_coordinator_is_found(path: Path) -> None:
    first, rest = path.read_text().split("[[coordinator]]")
    path.write_text("coordinator = []\n" + first + "[[signature]]" + rest.split("[[signature]]", 1)[1])

    with pytest.raises(ConfigError, match="no coordinator, so nobody could ask"):
        read_roster(path)


def test_signature_that_is_no_signature_is_found(path: Path) -> None:
    assert "a signature is 128 lower-case hexadecimal digits" in faults_after(path, 'signature = "', 'signature = "x')


def test_two_nodes_parse_and_one_does_not(tmp_path: Path) -> None:
    others = [PARTIES["desk"], PARTIES["holder"]]
    write_roster(sign_roster(content(("FI", "EE")), [PARTIES["FI"], PARTIES["EE"], *others]), tmp_path / "2")
    write_roster(sign_roster(content(("FI",)), [PARTIES["FI"], *others]), tmp_path / "1")

    assert len(read_roster(tmp_path / "2").content.nodes) == 2
    with pytest.raises(ConfigError, match="it has 1 node; a federation has 3 to 20"):
        read_roster(tmp_path / "1")


@pytest.mark.parametrize("text", ["", "federation = 3\nnode = 1\ncoordinator = []\n", "= broken", "node = [1]\n"])
def test_malformed_files_are_configuration_errors(tmp_path: Path, text: str) -> None:
    (tmp_path / "roster.toml").write_text(text)

    with pytest.raises(ConfigError):
        read_roster(tmp_path / "roster.toml")


def test_digest_depends_on_content_not_on_signatures() -> None:
    whole, part = sign_roster(content(), everybody()), sign_roster(content(), everybody()[:1])

    assert roster_digest(whole) == roster_digest(part)
    assert roster_digest(whole) != roster_digest(sign_roster(content(sandbox=True), everybody()))


def test_outsider_cannot_sign() -> None:
    with pytest.raises(UsageError, match="no party with the identity"):
        sign_roster(content(), [generate_identity()])


def test_node_is_found_by_its_name() -> None:
    assert sign_roster(content(), []).node("EE").identity == PARTIES["EE"].public_hex


def test_unknown_node_names_the_known() -> None:
    with pytest.raises(UsageError, match="FI, EE, SE"):
        sign_roster(content(), []).node("NO")


def test_only_listed_coordinators_may_ask() -> None:
    roster = sign_roster(content(), everybody())

    assert roster.permits_coordinator(PARTIES["desk"].public_hex)
    assert not roster.permits_coordinator(PARTIES["FI"].public_hex)


@pytest.mark.parametrize(("n_nodes", "expected"), [(2, 2), (3, 3), (4, 3), (5, 4), (6, 5), (7, 5), (15, 11), (20, 14)])
def test_threshold_is_two_thirds_and_one(n_nodes: int, expected: int) -> None:
    assert threshold(n_nodes) == expected  # floor(2 N / 3) + 1, privacy.md 4.2


# The key holder

MODULUS = f"{2**2047 + 1:x}"  # odd, of 2,048 bits; no product of primes, which a roster cannot know


def with_holder(*, modulus: str = MODULUS, sandbox: bool = False) -> RosterContent:
    return replace(content(sandbox=sandbox), key_holder_name="vault", paillier_modulus=modulus)


def test_roster_with_a_named_key_holder_is_the_same_after_write_and_read(tmp_path: Path) -> None:
    roster = sign_roster(with_holder(), everybody())

    write_roster(roster, tmp_path / "roster.toml")

    assert read_roster(tmp_path / "roster.toml") == roster


def test_signatures_made_before_key_holders_had_moduli_still_fit(tmp_path: Path) -> None:
    # The bytes that parties signed then, written down without this version's functions.
    before = {
        "federation": "nordic",
        "nodes": [{"name": n, "identity": PARTIES[n].public_hex, "min_people": 100} for n in ("FI", "EE", "SE")],
        "coordinators": [{"name": "desk", "identity": PARTIES["desk"].public_hex}],
        "key_holder": PARTIES["holder"].public_hex,
        "sandbox": False,
    }
    body = json.dumps(before, sort_keys=True, separators=(",", ":")).encode()
    framed = b"".join(len(part).to_bytes(8, "big") + part for part in (b"fedstats/v1", b"roster@1", body))
    signatures = tuple(RosterSignature(one.public_hex, one.private.sign(framed).hex()) for one in everybody())
    write_roster(Roster(content(), signatures), tmp_path / "roster.toml")

    roster = read_roster(tmp_path / "roster.toml")

    assert roster.content == content()
    assert roster_digest(roster) == hashlib.sha256(body).hexdigest()


def test_another_modulus_breaks_every_signature(tmp_path: Path) -> None:
    write_roster(sign_roster(with_holder(), everybody()), tmp_path / "roster.toml")

    listed = faults_after(tmp_path / "roster.toml", MODULUS, f"{2**2047 + 3:x}")

    assert listed.count("does not fit the content") == len(PARTIES)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('key_holder_name = "vault"\n', "", "key_holder, key_holder_name, paillier_modulus stand together"),
        (f'paillier_modulus = "{MODULUS}"\n', "", "key_holder, key_holder_name, paillier_modulus stand together"),
        (MODULUS, "12g", "paillier_modulus must be a number in lower-case hexadecimal"),
        (MODULUS, f"{2**2047 + 2:x}", "paillier_modulus is even"),
        (MODULUS, f"{2**2047 - 1:x}", "paillier_modulus has 2047 bits; at least 2048 are needed"),
        ('"vault"', '"FI"', "the name 'fi' occurs twice"),
        ('"vault"', '"the vault"', "the name 'the vault' must be"),
    ],
)
def test_each_fault_of_a_key_holder_is_named(tmp_path: Path, old: str, new: str, fault: str) -> None:
    write_roster(sign_roster(with_holder(), everybody()), tmp_path / "roster.toml")

    assert fault in faults_after(tmp_path / "roster.toml", old, new)


def test_a_short_modulus_is_good_in_a_sandbox_only(tmp_path: Path) -> None:
    short = f"{2**511 + 1:x}"
    write_roster(sign_roster(with_holder(modulus=short, sandbox=True), everybody()), tmp_path / "sandbox.toml")
    write_roster(sign_roster(with_holder(modulus=short), everybody()), tmp_path / "roster.toml")

    assert read_roster(tmp_path / "sandbox.toml").content.paillier_modulus == short
    with pytest.raises(ConfigError, match="at least 2048 are needed"):
        read_roster(tmp_path / "roster.toml")


def test_missing_signature_of_a_key_holder_says_its_name(tmp_path: Path) -> None:
    write_roster(sign_roster(with_holder(), everybody()[:-1]), tmp_path / "roster.toml")

    with pytest.raises(ConfigError, match="key holder vault has not signed it"):
        read_roster(tmp_path / "roster.toml")
