"""Masks cancel over all nodes of a run, and only there."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from fedstats.errors import MaskMismatch, ProtocolRefused
from fedstats.identity.roster import threshold
from fedstats.identity.signing import Signed
from fedstats.privacy import masking_coordinator as coordinator
from fedstats.privacy import masking_node as node
from fedstats.privacy.pass_state import PassState
from fedstats.privacy.plain import Plain
from fedstats.privacy.primitives.stream import Ring
from tests.security.driver import (
    Federation,
    Hooks,
    Played,
    context_of,
    federation_of,
    numbers,
    plain_total,
    play_pass,
)

#: Chance that a chi-square test below rejects true uniformity. Its draws are fixed, so it cannot flicker.
FALSE_ALARM = 1e-6


@pytest.fixture(scope="module")
def four() -> Federation:
    return federation_of(4)


def uniformity_p(words: Ring) -> float:
    """P value of the bytes of `words` being uniform."""
    return float(stats.chisquare(np.bincount(words.view(np.uint8), minlength=256)).pvalue)


@pytest.mark.parametrize("n_nodes", [3, 4, 5, 15, 20])
def test_total_is_the_exact_sum(n_nodes: int) -> None:
    federation = federation_of(n_nodes)
    blocks = numbers(federation)

    played = play_pass(federation, blocks)

    assert np.array_equal(played.total, plain_total(blocks))
    assert set(played.states.values()) == {PassState.OPENED}


def test_two_nodes_sum_where_both_allow_it() -> None:
    federation = federation_of(2, allow_two=True)
    blocks = numbers(federation)

    assert np.array_equal(play_pass(federation, blocks).total, plain_total(blocks))


def test_masked_and_plain_give_the_same_bits(four: Federation) -> None:
    blocks = numbers(four)
    words = [np.concatenate(parts) for parts in blocks.values()]
    sent = [Plain().protect(one, 0, np.full(len(one), 64, np.uint8)) for one in words]
    plain = coordinator.sum_uploads([np.frombuffer(data, "<u8") for data in sent])

    assert np.array_equal(play_pass(four, blocks).total, plain)


def test_all_parties_come_to_the_coordinators_transcript(four: Federation) -> None:
    played = play_pass(four, numbers(four))
    context = context_of(four)

    transcript = coordinator.transcript_of(context, played.run_keys, played.pass_keys)
    nonces = coordinator.nonces_when_all_ready(context, transcript, played.pass_keys, played.readies)
    coordinator.check_enough_complete(context, transcript, played.completes)

    assert {secret.transcript for secret in played.ready_secrets.values()} == {transcript}
    assert list(nonces) == [member.name for member in four.members]


@pytest.mark.parametrize("lost", ["FI", "EE", "SE", "NO"])
def test_any_three_of_four_open_a_pass_whose_fourth_is_lost_after_its_upload(four: Federation, lost: str) -> None:
    blocks = numbers(four)

    played = play_pass(four, blocks, Hooks(lost_after_upload=[lost]))

    assert len(played.seed_shares) == 3
    assert np.array_equal(played.total, plain_total(blocks))


def test_seven_nodes_survive_the_loss_of_two() -> None:
    federation = federation_of(7)
    blocks = numbers(federation)

    played = play_pass(federation, blocks, Hooks(lost_after_upload=["EE", "IS"]))

    assert np.array_equal(played.total, plain_total(blocks))


def test_two_of_three_wait_for_the_third() -> None:
    federation = federation_of(3)

    with pytest.raises(ProtocolRefused, match="2 of 3 nodes signed") as caught:
        play_pass(federation, numbers(federation), Hooks(lost_after_upload=["SE"]))

    assert caught.value.code == "TOO_FEW_SIGNATURES"


def test_lost_node_opens_the_pass_when_it_is_back() -> None:
    federation = federation_of(3)
    blocks, played = numbers(federation), Played()
    with pytest.raises(ProtocolRefused):
        play_pass(federation, blocks, Hooks(lost_after_upload=["SE"]), played=played)

    context, ready = context_of(federation), played.ready_secrets
    completes = [*played.completes, node.sign_complete(federation.parties["SE"], ready["SE"])]
    shares = [node.release_seed_shares(party, ready[name], completes) for name, party in federation.parties.items()]

    total = coordinator.sum_uploads(list(played.uploads.values()))
    opened = coordinator.self_masks(context, played.transcript, played.pass_keys, shares).apply(total, 0)
    assert np.array_equal(opened[:1000], plain_total(blocks)[:1000])


def test_sum_without_one_node_is_noise_even_with_all_seeds(four: Federation) -> None:
    zeros = {name: [np.zeros(50_000, dtype=np.uint64)] for name in four.parties}
    played = play_pass(four, zeros)

    part = coordinator.sum_uploads([played.uploads[name] for name in ("FI", "EE", "SE")])
    self_masks = coordinator.self_masks(context_of(four), played.transcript, played.pass_keys, played.seed_shares)

    assert uniformity_p(self_masks.apply(part, 0)) > FALSE_ALARM
    assert np.count_nonzero(self_masks.apply(part, 0)) == 50_001  # a zero word of noise: chance 3e-15


def test_two_uploads_do_not_add_up_without_seeds(four: Federation) -> None:
    zeros = {name: [np.zeros(50_000, dtype=np.uint64)] for name in four.parties}
    played = play_pass(four, zeros)

    assert uniformity_p(coordinator.sum_uploads(list(played.uploads.values()))) > FALSE_ALARM


@pytest.mark.parametrize("value", [0, 1, 2**64 - 1])
def test_masked_bytes_are_uniform_whatever_the_data(four: Federation, value: int) -> None:
    constant = {name: [np.full(60_000, value, dtype=np.uint64)] for name in four.parties}

    played = play_pass(four, constant, seed=str(value))

    assert uniformity_p(np.full(60_001, value, dtype=np.uint64)) == 0  # the test tells data from noise
    assert all(uniformity_p(words) > FALSE_ALARM for words in played.uploads.values())


def test_uploads_of_the_same_data_in_two_passes_are_independent(four: Federation) -> None:
    data = {name: [np.arange(60_000, dtype=np.uint64)] for name in four.parties}

    first = play_pass(four, data, context=context_of(four, pass_id="pass-1"))
    second = play_pass(four, data, context=context_of(four, pass_id="pass-2"))

    for name in four.parties:
        assert uniformity_p(first.uploads[name] - second.uploads[name]) > FALSE_ALARM
        assert uniformity_p(first.uploads[name] ^ second.uploads[name]) > FALSE_ALARM


def test_masking_other_data_under_one_transcript_would_open_the_difference(four: Federation) -> None:
    """Why the pass state refuses a second upload: this is what it would give away."""
    masks = play_pass(four, numbers(four)).masks["FI"]
    first, second = np.arange(100, dtype=np.uint64), np.arange(100, dtype=np.uint64) * np.uint64(3)

    assert np.array_equal(masks.apply(second, 0) - masks.apply(first, 0), second - first)


def test_parts_of_a_layout_are_masked_as_the_whole(four: Federation) -> None:
    masks = play_pass(four, numbers(four)).masks["EE"]
    words = np.arange(1000, dtype=np.uint64)

    pieces = [masks.apply(words[start:stop], start) for start, stop in [(0, 1), (1, 500), (500, 501), (501, 1000)]]

    assert np.array_equal(np.concatenate(pieces), masks.apply(words, 0))


def lying_about_the_first_seed(federation: Federation, played: Played, name: str) -> Signed:
    """Seed shares of a node that gives a wrong one for the first node's seed; the others are right."""
    ready = played.ready_secrets[name]
    wrong = dataclasses.replace(ready.peers[0], held_share=f"{int(ready.peers[0].held_share, 16) ^ 1:0132x}")
    lying = dataclasses.replace(ready, peers=(wrong, *ready.peers[1:]))
    return node.release_seed_shares(federation.parties[name], lying, played.completes)


def test_one_node_with_wrong_shares_does_not_keep_a_pass_shut(four: Federation) -> None:
    blocks = numbers(four, sizes=(10,))
    played = play_pass(four, blocks)
    shares = [played.seed_shares[0], lying_about_the_first_seed(four, played, "EE"), *played.seed_shares[2:]]

    masks = coordinator.self_masks(context_of(four), played.transcript, played.pass_keys, shares)

    opened = masks.apply(coordinator.sum_uploads(list(played.uploads.values())), 0)
    assert np.array_equal(opened[:10], plain_total(blocks))


def test_wrong_share_among_just_enough_opens_nothing(four: Federation) -> None:
    played = play_pass(four, numbers(four))
    shares = [played.seed_shares[0], lying_about_the_first_seed(four, played, "EE"), played.seed_shares[2]]

    with pytest.raises(MaskMismatch, match="do not give the self mask that FI committed to") as caught:
        coordinator.self_masks(context_of(four), played.transcript, played.pass_keys, shares)

    assert caught.value.code == "INCONSISTENT_SHARES"


def test_share_far_outside_a_seed_opens_nothing(four: Federation) -> None:
    played = play_pass(four, numbers(four))
    ready = played.ready_secrets["EE"]
    wrong = dataclasses.replace(ready.peers[0], held_share=f"{int(ready.peers[0].held_share, 16) ^ 2**500:0132x}")
    lying = dataclasses.replace(ready, peers=(wrong, *ready.peers[1:]))
    shares = [played.seed_shares[0], node.release_seed_shares(four.parties["EE"], lying, played.completes)]

    with pytest.raises(MaskMismatch):
        coordinator.self_masks(context_of(four), played.transcript, played.pass_keys, [*shares, played.seed_shares[2]])


def test_shares_of_another_pass_do_not_open_this_one(four: Federation) -> None:
    played = play_pass(four, numbers(four))
    earlier = play_pass(four, numbers(four), context=context_of(four, pass_id="pass-0"))
    shares = [*played.seed_shares[:3], earlier.seed_shares[3]]

    with pytest.raises(ProtocolRefused) as caught:
        coordinator.self_masks(context_of(four), played.transcript, played.pass_keys, shares)

    assert caught.value.code == "TRANSCRIPT_MISMATCH"


def test_incomplete_shares_are_refused(four: Federation) -> None:
    played = play_pass(four, numbers(four))
    ready = played.ready_secrets["EE"]
    part = dataclasses.replace(ready, peers=ready.peers[1:])
    short = node.release_seed_shares(four.parties["EE"], part, played.completes)

    shares = [played.seed_shares[0], short, *played.seed_shares[2:]]
    with pytest.raises(ProtocolRefused) as caught:
        coordinator.self_masks(context_of(four), played.transcript, played.pass_keys, shares)

    assert caught.value.code == "MALFORMED"


def test_fewer_than_t_shares_do_not_open(four: Federation) -> None:
    played = play_pass(four, numbers(four))
    few = played.seed_shares[: threshold(4) - 1]

    with pytest.raises(ProtocolRefused) as caught:
        coordinator.self_masks(context_of(four), played.transcript, played.pass_keys, few)

    assert caught.value.code == "TOO_FEW_SHARES"


def test_changed_chunk_is_a_mask_mismatch_when_it_hits_a_check_word(four: Federation) -> None:
    def change(name: str, words: Ring) -> Ring:
        words[1000] += name == "SE"
        return words

    with pytest.raises(MaskMismatch, match="block 0 did not cancel"):
        play_pass(four, numbers(four), Hooks(upload=change))


def test_chunks_that_were_swapped_are_a_mask_mismatch(four: Federation) -> None:
    with pytest.raises(MaskMismatch, match="did not cancel"):
        play_pass(four, numbers(four), Hooks(upload=lambda name, words: np.roll(words, 1) if name == "SE" else words))
