"""Certified totals: an honest total passes at every node, and a lie in it passes nowhere."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from fedstats.documents import decode, encode
from fedstats.errors import ProtocolRefused
from fedstats.identity.keys import generate_identity
from fedstats.identity.signing import Signed, sign
from fedstats.privacy import certify
from fedstats.privacy.certify import PRIME, SCALARS, Scalars
from fedstats.privacy.messages import ReadySecret
from fedstats.privacy.primitives.stream import Ring
from tests.naive import certify as naive
from tests.security.driver import Federation, context_of, drawn, federation_of, plain_total, play_pass

#: Largest own word: the sum over twenty nodes stays within 63 bits, as declared bounds see to.
LARGEST = 2**58
PASS = ("run-1", "pass-1")


def own_words(federation: Federation, count: int = 300, seed: int = 3) -> dict[str, Ring]:
    """Words of both signs for each node, as steps release them."""
    rng = np.random.default_rng(seed)
    return {name: rng.integers(-LARGEST, LARGEST, count).view(np.uint64) for name in federation.parties}


@dataclass
class Opened:
    """A masked pass that was opened: what its nodes keep, and its total."""

    federation: Federation
    own: dict[str, Ring]
    total: Ring
    ready: dict[str, ReadySecret]
    masked: bool

    def answers(self, claims: dict[str, bytes]) -> list[Signed]:
        """Each node's signed scalars for the claim that it was shown."""
        return [
            sign(party.identity, SCALARS, self.scalars(name, claims[name]))
            for name, party in self.federation.parties.items()
        ]

    def scalars(self, name: str, claim: bytes) -> Scalars:
        ready = self.ready[name]
        return certify.make_scalars(
            PASS, name, ready.transcript, certify.claim_digest(claim), self.own[name], ready if self.masked else None
        )

    def check(self, name: str, claim: bytes, answers: list[Signed]) -> None:
        """What a node does with everybody's answers."""
        certify.check_total(PASS, self.federation.members, self.ready[name].transcript, claim, answers)

    def check_everywhere(self, claim: bytes) -> None:
        answers = self.answers(dict.fromkeys(self.federation.parties, claim))
        for name in self.federation.parties:
            self.check(name, claim, answers)


def opened(n_nodes: int = 3, *, masked: bool = True, count: int = 300) -> Opened:
    federation = federation_of(n_nodes)
    own = own_words(federation, count)
    blocks = {name: [words] for name, words in own.items()}
    played = play_pass(federation, blocks, context=context_of(federation))
    assert np.array_equal(played.total, plain_total(blocks))
    return Opened(federation, own, played.total, played.ready_secrets, masked)


def lied(total: Ring, word: int, by: int) -> bytes:
    """The total with one word changed, modulo 2^64."""
    words = total.copy()
    words[word] = np.uint64((int(words[word]) + by) % 2**64)
    return certify.claimed(words)


# Arithmetic


@pytest.mark.parametrize("count", [0, 1, 2, 1_000, 2**14, 2**14 + 1])
def test_combination_is_that_of_whole_numbers(count: int) -> None:
    rng = np.random.default_rng(count)
    words = rng.integers(-(2**63), 2**63, count)
    seed = drawn("challenge")(32)

    assert certify.combination(words.view(np.uint64), seed) == naive.combination(words.tolist(), seed)


@pytest.mark.parametrize("value", [0, 1, -1, 2**63 - 1, -(2**63), 2**61 - 1])
def test_combination_of_extreme_words_is_exact(value: int) -> None:
    words = np.full(2**14 + 3, value, np.int64)
    seed = drawn("challenge")(32)

    assert certify.combination(words.view(np.uint64), seed) == naive.combination(words.tolist(), seed)


@pytest.mark.parametrize("below", [1, 2, 2**16, 2**16 + 1, 2**32 + 1, 2**48 + 1, 2**63])
def test_combination_of_counts_is_that_of_whole_numbers(below: int) -> None:
    """Upper limbs that all words lack are left out: as many limbs as the largest word takes are enough."""
    words = np.random.default_rng(below % 97).integers(0, below, 1_000)
    words[500] = below - 1
    seed = drawn("challenge")(32)

    assert certify.combination(words.view(np.uint64), seed) == naive.combination(words.tolist(), seed)


@pytest.mark.parametrize(
    ("lowest", "highest", "width"),
    [
        *((0, 127, 1), (-128, 5, 1), (0, 128, 2), (-129, 0, 2), (0, 2**15 - 1, 2), (0, 2**15, 4), (-(2**31), 0, 4)),
        *((0, 2**31, 8), (-(2**63), 2**63 - 1, 8)),
    ],
)
def test_claimed_words_take_as_few_bytes_as_hold_them_all_and_come_back(lowest: int, highest: int, width: int) -> None:
    words = np.array([lowest, 0, highest, 1], np.int64).view(np.uint64)

    claim = certify.claimed(words)

    assert (len(claim), certify.number_of_words(claim)) == (1 + 4 * width, 4)
    np.testing.assert_array_equal(certify.words_of(claim), words)


def test_no_words_are_claimed_as_none() -> None:
    assert certify.words_of(certify.claimed(np.zeros(0, np.uint64))).tolist() == []


@pytest.mark.parametrize("claim", [b"", b"\x00", b"\x03\x00\x00\x00", b"\x04\x00\x00\x00", b"\x10" + bytes(16)])
def test_bytes_that_are_no_words_are_refused_as_a_claim(claim: bytes) -> None:
    for read in (certify.words_of, certify.number_of_words):
        with pytest.raises(ProtocolRefused, match="its bytes are no words") as caught:
            read(claim)
        assert caught.value.code == "NOT_THE_TOTAL"


def test_challenge_depends_on_transcript_and_total() -> None:
    first = certify.challenge("00" * 32, "11" * 32)

    assert first != certify.challenge("01" * 32, "11" * 32)
    assert first != certify.challenge("00" * 32, "10" * 32)
    assert len(first) == 32


# Honest totals


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("n_nodes", [3, 5, 20])
def test_honest_total_is_certified_by_every_node(n_nodes: int, masked: bool) -> None:
    found = opened(n_nodes, masked=masked)

    found.check_everywhere(certify.claimed(found.total))


def test_masks_of_all_nodes_cancel_and_none_is_zero() -> None:
    found = opened(5)
    seed = drawn("challenge")(32)

    masks = [certify.masks_of(ready, seed) for ready in found.ready.values()]

    assert sum(masks) == 0
    assert all(mask % PRIME for mask in masks)


def test_scalar_of_a_node_is_not_the_combination_of_its_words() -> None:
    """Under `masked` nobody can test a guess of a node's words on its scalar."""
    found = opened()
    claim = certify.claimed(found.total)

    for name, ready in found.ready.items():
        seed = certify.challenge(ready.transcript, certify.claim_digest(claim))
        assert int(found.scalars(name, claim).scalar, 16) != certify.combination(found.own[name], seed)


def test_scalars_for_two_claims_share_no_mask() -> None:
    """Otherwise the difference of two answers would be a combination of a node's own words."""
    found = opened()
    first, second = certify.claimed(found.total), lied(found.total, 0, 1)
    (name, ready), *_ = found.ready.items()

    masks = [
        certify.masks_of(ready, certify.challenge(ready.transcript, certify.claim_digest(claim)))
        for claim in (first, second)
    ]

    assert masks[0] != masks[1]
    assert found.scalars(name, first).scalar != found.scalars(name, second).scalar


# Lies


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("by", [1, -1, 2**20, 2**32, 2**61 - 1, -(2**61 - 1), 2**62, 2**63])
def test_a_lie_in_one_word_is_refused_at_every_node(by: int, masked: bool) -> None:
    found = opened(masked=masked)
    claim = lied(found.total, 17, by)
    answers = found.answers(dict.fromkeys(found.federation.parties, claim))

    for name in found.federation.parties:
        with pytest.raises(ProtocolRefused, match="own words do not add to it") as caught:
            found.check(name, claim, answers)
        assert caught.value.code == "NOT_THE_TOTAL"


def test_random_lies_are_refused() -> None:
    """Soundness as a property: whatever is changed in a total, in one word or in many, by little or by much."""
    found = opened(count=40)
    rng = np.random.default_rng(9)
    for _ in range(200):
        words = found.total.copy()
        chosen = rng.choice(len(words), rng.integers(1, 6), replace=False)
        words[chosen] += rng.integers(1, 2 ** int(rng.integers(1, 64)), len(chosen), np.uint64, endpoint=True)
        claim = certify.claimed(words)

        with pytest.raises(ProtocolRefused) as caught:
            found.check_everywhere(claim)

        assert caught.value.code == "NOT_THE_TOTAL"


def test_two_words_that_change_places_are_refused() -> None:
    found = opened()
    words = found.total.copy()
    words[[3, 4]] = words[[4, 3]]

    with pytest.raises(ProtocolRefused, match="do not add"):
        found.check_everywhere(certify.claimed(words))


def test_one_node_that_is_shown_another_total_is_noticed_by_all() -> None:
    found = opened()
    honest, lie = certify.claimed(found.total), lied(found.total, 5, 1_000)
    victim, *others = found.federation.parties
    answers = found.answers({victim: lie} | dict.fromkeys(others, honest))

    for name in others:
        with pytest.raises(ProtocolRefused, match=f"{victim} was shown another total"):
            found.check(name, honest, answers)
    with pytest.raises(ProtocolRefused, match="was shown another total"):
        found.check(victim, lie, answers)


# Scalars


def test_a_scalar_that_is_off_by_one_spoils_the_certificate() -> None:
    found = opened()
    claim = certify.claimed(found.total)
    answers = found.answers(dict.fromkeys(found.federation.parties, claim))
    (name, party), *_ = found.federation.parties.items()
    said = decode(Scalars, answers[0].body)
    value = (int(said.scalar, 16) + 1) % PRIME
    answers[0] = sign(party.identity, SCALARS, replace(said, scalar=f"{value:032x}"))

    with pytest.raises(ProtocolRefused, match="do not add"):
        found.check(name, claim, answers)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"pass_id": "pass-2"}, "REPLAYED"),
        ({"run": "run-2"}, "REPLAYED"),
        ({"node": "SE"}, "SWAPPED_KEY"),
        ({"total": "ab" * 32}, "NOT_THE_TOTAL"),
        ({"scalar": "not a number"}, "NOT_THE_TOTAL"),
        ({"scalar": "-1"}, "NOT_THE_TOTAL"),
    ],
)
def test_scalars_of_something_else_are_refused(change: dict[str, str], code: str) -> None:
    found = opened()
    claim = certify.claimed(found.total)
    answers = found.answers(dict.fromkeys(found.federation.parties, claim))
    party = next(iter(found.federation.parties.values()))
    answers[0] = sign(party.identity, SCALARS, replace(decode(Scalars, answers[0].body), **change))

    with pytest.raises(ProtocolRefused) as caught:
        found.check("EE", claim, answers)

    assert caught.value.code == code


def test_scalars_of_all_nodes_are_needed_each_signed_by_its_node() -> None:
    found = opened()
    claim = certify.claimed(found.total)
    answers = found.answers(dict.fromkeys(found.federation.parties, claim))
    forged = sign(generate_identity(), SCALARS, decode(Scalars, answers[0].body))
    changed = replace(answers[0], body=answers[0].body.replace(b"pass-1", b"pass-3"))

    for shown, code in (
        (answers[1:], "WRONG_ROSTER"),
        ([*answers, answers[0]], "WRONG_ROSTER"),
        ([forged, *answers[1:]], "WRONG_ROSTER"),
        ([changed, *answers[1:]], "BAD_SIGNATURE"),
    ):
        with pytest.raises(ProtocolRefused) as caught:
            found.check("EE", claim, shown)
        assert caught.value.code == code


def test_a_digest_that_is_none_is_refused() -> None:
    with pytest.raises(ProtocolRefused, match="not hexadecimal"):
        certify.make_scalars(PASS, "FI", "00" * 32, "total", np.zeros(1, np.uint64), None)


def test_scalars_are_a_document() -> None:
    said = Scalars("run-1", "pass-1", "FI", "ab" * 32, "0" * 32)

    assert decode(Scalars, encode(said)) == said
