"""A coordinator that does not keep to the protocol, at real nodes: setting, roster, keys, drop-outs, replay.

Each attack first works where its protection is off: words in clear, or a mask that two parties take from one secret.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from fedstats.documents import decode, digest, encode
from fedstats.identity.signing import Signed, sign
from fedstats.privacy import masking_node
from fedstats.privacy.masking import Masks, pair_stream, self_stream
from fedstats.privacy.masking_coordinator import self_masks, sum_uploads, transcript_of
from fedstats.privacy.messages import PASS_KEYS, PassKeys, ReadySecret
from fedstats.privacy.primitives.key_agreement import agree, public_key
from fedstats.wire.messages import (
    AbandonOrder,
    BeginOrder,
    CommitOrder,
    ComputeOrder,
    FetchOrder,
    PassOrder,
    Plan,
    ReadyOrder,
    RunKeysOrder,
    UnmaskOrder,
)
from fedstats.wire.passes import pass_context
from node_agent.pass_orders import this_pass
from node_agent.pass_secrets import agreed
from tests.attacks.attacker import BLOCK, FOUR, ON, attacked, plan_of, refused, without
from tests.node_agent.driver import COUNTING, Driver, texts
from tests.security.driver import federation_of, numbers, play_pass

MASKED_ONLY = ON.replace('"masked", "plain"', '"masked"')


@pytest.fixture
def four(tmp_path: Path) -> Iterator[Driver]:
    with attacked(tmp_path, ON, FOUR) as driver:
        yield driver


def ready_pass(driver: Driver, run: str = "run-1") -> tuple[Plan, PassOrder, dict[str, Signed], dict[str, Signed]]:
    """A masked pass in which every node has signed what all agree on, and no word was computed."""
    plan = plan_of(driver, run, (COUNTING,))
    driver.begin(plan)
    order, blob = driver.order(plan, [BLOCK])
    keys = driver.open(order, blob)
    return plan, order, keys, driver.ready(order, keys)


def own_alleles(driver: Driver, name: str) -> np.ndarray:
    """What a node has to hide: its alternative alleles, shape (variant,)."""
    return np.maximum(driver.federation.site(name).dosages[BLOCK], 0).sum(axis=1)


def alleles(words: np.ndarray) -> np.ndarray:
    """Alternative alleles that words say, if they are read as they are, shape (variant,)."""
    _, heterozygous, homozygous = words[: 3 * len(BLOCK)].reshape(3, -1).astype(np.int64)
    return heterozygous + 2 * homozygous


# Downgrade


def test_a_plain_plan_shows_a_nodes_own_sums_where_its_policy_allows_it(tmp_path: Path):
    with attacked(tmp_path, ON) as driver:
        plan = replace(plan_of(driver, "run-1", (COUNTING,)), privacy="plain")
        driver.begin(plan)
        order, blob = driver.order(plan, [BLOCK])
        driver.open(order, blob)
        driver.compute(order, {})

        words = np.frombuffer(driver.fetch(order)["FI"], "<u8")

        np.testing.assert_array_equal(alleles(words), own_alleles(driver, "FI"))


@pytest.mark.parametrize("setting", ["plain", "dp", "paillier", "none"])
def test_a_plan_of_another_setting_is_refused_where_the_policy_does_not_name_it(tmp_path: Path, setting: str):
    with attacked(tmp_path, MASKED_ONLY) as driver:
        plan = replace(plan_of(driver, "run-1", (COUNTING,)), privacy=setting)
        driver.put_blobs(plan)

        with refused(driver, "FI", "POLICY_PRIVACY"):
            driver.lines["FI"].call("Propose", plan)


def test_ciphertexts_without_masks_are_refused_where_the_policy_does_not_name_them(tmp_path: Path):
    with attacked(tmp_path, ON.replace('"plain"', '"paillier"')) as driver:
        plan = plan_of(driver, "run-1", (COUNTING,))
        unmasked = replace(plan.request, setting=replace(plan.request.setting, paillier_masks=False))
        off = replace(plan, privacy="paillier", request=unmasked)
        driver.put_blobs(off)

        with refused(driver, "FI", "POLICY_ALLOW_UNMASKED_PAILLIER"):
            driver.lines["FI"].call("Propose", off)


@pytest.mark.parametrize("protocol", [0, 2])
def test_another_version_of_the_protocol_is_refused(four: Driver, protocol: int):
    plan = replace(plan_of(four, "run-1", (COUNTING,)), protocol=protocol)
    four.put_blobs(plan)

    with refused(four, "FI", "OTHER_PROTOCOL"):
        four.lines["FI"].call("Propose", plan)


def test_a_masked_run_does_not_begin_under_the_digest_of_a_plain_one(four: Driver):
    masked = plan_of(four, "run-1", (COUNTING,))
    four.propose(masked)
    four.propose(replace(masked, privacy="plain", run="run-2"))

    with refused(four, "FI", "NO_PLAN"):
        four.lines["FI"].call("Begin", BeginOrder("run-1", digest(replace(masked, privacy="plain"))))


def test_words_of_a_masked_pass_are_not_computed_as_if_it_were_plain(four: Driver):
    plan = plan_of(four, "run-1", (COUNTING,))
    four.begin(plan)
    order, blob = four.order(plan, [BLOCK])
    four.open(order, blob)

    with refused(four, "FI", "OUT_OF_ORDER"):
        four.lines["FI"].start(ComputeOrder(order.run, order.pass_id, {}))
    with refused(four, "FI", "OUT_OF_ORDER"):
        four.lines["FI"].stream("Fetch", FetchOrder(order.run, order.pass_id, 0))


# Rosters and broadcasts


def test_nodes_that_are_shown_two_rosters_refuse_each_others_keys(four: Driver):
    left, right = without(four, "NO"), without(four, "FI")
    shown, other = plan_of(left, "run-1", (COUNTING,)), plan_of(right, "run-1", (COUNTING,))
    left.put_blobs(shown)
    right.put_blobs(other)
    keys = {}
    for name, plan in (("FI", shown), ("EE", other), ("SE", other)):
        four.lines[name].call("Propose", plan)
        keys[name] = four.lines[name].call("Begin", BeginOrder(plan.run, digest(plan)))

    with refused(four, "FI", "WRONG_ROSTER"):
        four.lines["FI"].call("Begin", RunKeysOrder(shown.run, texts(keys)))


def broadcast(driver: Driver, plan: Plan) -> tuple[PassOrder, dict[str, Signed]]:
    """Open a pass in which FI alone is asked for other variants."""
    order, blob = driver.order(plan, [BLOCK])
    other, elsewhere = driver.order(plan, [BLOCK[1:]])
    keys = {}
    for name, line in driver.lines.items():
        line.put(order.run, "asks", elsewhere if name == "FI" else blob)
        keys[name] = line.call("Open", other if name == "FI" else order)
    return order, keys


def test_one_node_that_is_asked_something_else_answers_where_nodes_agree_on_nothing(tmp_path: Path):
    with attacked(tmp_path, ON) as driver:
        plan = replace(plan_of(driver, "run-1", (COUNTING,)), privacy="plain")
        driver.begin(plan)
        order, _ = broadcast(driver, plan)
        driver.compute(order, {})

        words = driver.fetch(order)

        assert len(words["FI"]) < len(words["EE"]) == len(words["SE"])


def test_one_node_that_is_asked_something_else_is_noticed_before_anything_is_computed(four: Driver):
    plan = plan_of(four, "run-1", (COUNTING,))
    four.begin(plan)
    order, keys = broadcast(four, plan)
    readies = four.ready(order, keys)

    for name in ("EE", "FI"):
        with refused(four, name, "TRANSCRIPT_MISMATCH"):
            four.lines[name].start(ComputeOrder(order.run, order.pass_id, texts(readies)))


# Keys


@pytest.mark.parametrize(("signer", "code"), [("coordinator", "WRONG_ROSTER"), ("forged", "BAD_SIGNATURE")])
def test_a_swapped_mask_key_is_refused(four: Driver, signer: str, code: str):
    plan = plan_of(four, "run-1", (COUNTING,))
    four.begin(plan)
    order, blob = four.order(plan, [BLOCK])
    keys = four.open(order, blob)
    swapped = replace(decode(PassKeys, keys["SE"].body), mask_key=public_key(bytes(range(32))).hex())
    by_attacker = sign(four.federation.coordinator, PASS_KEYS, swapped)
    keys["SE"] = by_attacker if signer == "coordinator" else replace(keys["SE"], body=encode(swapped))

    with refused(four, "FI", code):
        four.lines["FI"].call("Ready", ReadyOrder(order.run, order.pass_id, texts(keys)))


def test_swapped_mask_keys_would_open_one_upload_where_nobody_checks_them():
    federation = federation_of(3)
    ready = play_pass(federation, numbers(federation)).ready_secrets["FI"]
    attacker = bytes(range(32))
    peers = tuple(
        peer if peer.node == "FI" else replace(peer, mask_key=public_key(attacker).hex()) for peer in ready.peers
    )
    upload = masking_node._derive_masks(replace(ready, peers=peers)).apply(np.arange(9, dtype=np.uint64), 0)

    # The coordinator knows the other end of each pair, and gets the seed of FI when the pass is opened.
    own_key = public_key(bytes.fromhex(ready.mask_private))
    pairs = [
        pair_stream(peer.node, "FI", agree(attacker, own_key), ready.transcript) for peer in peers if peer.node != "FI"
    ]
    own = self_stream("FI", bytes.fromhex(ready.seed), ready.transcript, -1)
    assert Masks((*pairs, own)).apply(upload, 0).tolist() == list(range(9))


# Drop-outs that are not


def uploaded(driver: Driver) -> tuple[Plan, PassOrder, dict[str, Signed], dict[str, bytes], dict[str, Signed]]:
    """A pass whose words are all out, and signed to be complete."""
    plan, order, keys, readies = ready_pass(driver)
    driver.compute(order, readies)
    return plan, order, keys, driver.fetch(order), driver.commit(order)


def test_a_claimed_drop_out_after_upload_shows_a_node_where_words_are_plain(tmp_path: Path):
    with attacked(tmp_path, ON, FOUR) as driver:
        plan = replace(plan_of(driver, "run-1", (COUNTING,)), privacy="plain")
        driver.begin(plan)
        order, blob = driver.order(plan, [BLOCK])
        driver.open(order, blob)
        driver.compute(order, {})
        words = {name: np.frombuffer(data, "<u8") for name, data in driver.fetch(order).items()}

        all_of_them = sum_uploads(list(words.values()))
        claimed = sum_uploads([words[name] for name in ("EE", "NO", "SE")])

        np.testing.assert_array_equal(alleles(all_of_them - claimed), own_alleles(driver, "FI"))


def test_a_claimed_drop_out_after_upload_opens_nothing_but_the_sum_of_all(four: Driver):
    plan, order, keys, words, completes = uploaded(four)
    survivors = ("EE", "NO", "SE")
    ask = UnmaskOrder(order.run, order.pass_id, texts({name: completes[name] for name in survivors}))
    shares = [four.lines[name].call("Unmask", ask) for name in survivors]
    context = pass_context(plan, order)
    transcript = transcript_of(context, list(four.run_keys.values()), list(keys.values()))
    masks = self_masks(context, transcript, list(keys.values()), shares)

    def opened(names: Iterable[str]) -> np.ndarray:
        return masks.apply(sum_uploads([np.frombuffer(words[name], "<u8") for name in names]), 0)

    expected = sum(own_alleles(four, name) for name in FOUR)
    np.testing.assert_array_equal(alleles(opened(FOUR)), expected)
    for names in (one for size in (1, 2, 3) for one in combinations(FOUR, size)):
        # Of 181 random words none is below 2^40 by chance: probability 1e-5 for all subsets together.
        assert opened(names).min() > 2**40, names


def test_an_opened_pass_can_neither_be_given_up_nor_tried_again_on_fewer_nodes(four: Driver):
    plan, order, _, _, completes = uploaded(four)
    four.unmask(order, completes)

    with refused(four, "FI", "REPLAYED"):
        four.lines["FI"].call("Abandon", AbandonOrder(order.run, order.pass_id, "SE is lost"))
    again, blob = four.order(plan, [BLOCK], attempt=1)
    four.lines["FI"].put(again.run, "asks", blob)
    with refused(four, "FI", "OUT_OF_ORDER"):
        four.lines["FI"].call("Open", again)


def test_a_second_set_of_survivors_gets_no_shares(four: Driver):
    _, order, _, _, completes = uploaded(four)
    first, second = ({name: completes[name] for name in names} for names in (("EE", "FI", "NO"), ("EE", "FI", "SE")))
    four.unmask(order, first)

    with refused(four, "FI", "CONFLICT"):
        four.lines["FI"].call("Unmask", UnmaskOrder(order.run, order.pass_id, texts(second)))


def test_a_second_set_of_survivors_gets_the_same_shares_also_where_nobody_refuses_it():
    federation = federation_of(4)
    played = play_pass(federation, numbers(federation))
    sets = list(combinations(played.completes, 3))

    def shares(node: str) -> list[Signed]:
        return [
            masking_node.release_seed_shares(federation.parties[node], played.ready_secrets[node], one) for one in sets
        ]

    # There are no shares of what pairs of nodes agreed on, so that no set of survivors can be told apart from another.
    for node in played.ready_secrets:
        first, *others = shares(node)
        assert all(other == first for other in others)


def test_a_set_of_survivors_that_is_too_small_gets_no_shares(four: Driver):
    _, order, _, _, completes = uploaded(four)
    ask = UnmaskOrder(order.run, order.pass_id, texts({name: completes[name] for name in ("EE", "NO")}))

    with refused(four, "FI", "TOO_FEW_SIGNATURES"):
        four.lines["FI"].call("Unmask", ask)


# Replay


def test_keys_of_an_earlier_pass_are_refused_in_the_next(four: Driver):
    plan, _, earlier, _ = ready_pass(four)
    order, blob = four.order(plan, [BLOCK], call=1)
    keys = four.open(order, blob)

    with refused(four, "FI", "REPLAYED"):
        four.lines["FI"].call("Ready", ReadyOrder(order.run, order.pass_id, texts({**keys, "SE": earlier["SE"]})))


def test_an_order_of_a_pass_is_refused_in_another_run(four: Driver):
    _, order, _, _ = ready_pass(four)
    second = plan_of(four, "run-2", (COUNTING,))
    four.begin(second)

    with refused(four, "FI", "CONFLICT"):
        four.lines["FI"].call("Open", replace(order, run="run-2"))
    with refused(four, "FI", "UNKNOWN_PASS"):
        four.lines["FI"].call("Commit", CommitOrder("run-2", order.pass_id))


def own_words(driver: Driver, run: str, variants: np.ndarray) -> np.ndarray:
    """FI's own words of a count of variants, from a plain run."""
    plan = replace(plan_of(driver, run, (COUNTING,)), privacy="plain")
    driver.begin(plan)
    order, blob = driver.order(plan, [variants])
    driver.open(order, blob)
    driver.compute(order, {})
    return np.frombuffer(driver.fetch(order)["FI"], "<u8")


def masked_pass_of_fi(driver: Driver, variants: np.ndarray) -> tuple[np.ndarray, ReadySecret]:
    """FI's masked words of a pass, and what it keeps to make its masks."""
    plan = plan_of(driver, "run-1", (COUNTING,))
    driver.begin(plan)
    order, blob = driver.order(plan, [variants])
    driver.compute(order, driver.ready(order, driver.open(order, blob)))
    node = driver.lines["FI"].agent.node  # type: ignore[attr-defined]  # lines without a network have one
    return np.frombuffer(driver.fetch(order)["FI"], "<u8"), agreed(node, this_pass(node, order.run, order.pass_id))


def test_an_old_pass_that_is_asked_again_shows_the_difference_of_two_uploads_where_nothing_refuses_it(four: Driver):
    first, second = BLOCK[:15], BLOCK[15:]
    upload, ready = masked_pass_of_fi(four, first)
    others = own_words(four, "run-2", second)

    # What a node would send that took the old pass for one of the other variants: the same masks on other words.
    again = masking_node._derive_masks(ready).apply(others, 0)

    _, heterozygous, homozygous = (upload - again)[: 3 * 15].reshape(3, -1).astype(np.int64)
    own = np.maximum(four.federation.site("FI").dosages, 0).sum(axis=1)
    np.testing.assert_array_equal(heterozygous + 2 * homozygous, own[first] - own[second])


def test_keys_of_an_earlier_pass_make_another_mask_also_where_nobody_refuses_them(four: Driver):
    """The transcript of a pass salts its masks, so keys that come again are refused twice over."""
    upload, ready = masked_pass_of_fi(four, BLOCK)
    next_pass = replace(ready, transcript=bytes(range(32)).hex())

    again = masking_node._derive_masks(next_pass).apply(own_words(four, "run-2", BLOCK), 0)

    # The same words under both: with one mask the difference would be 0 everywhere. Of 90 random words none is as near
    # to 0 by chance: probability 1e-5.
    assert np.minimum(upload - again, again - upload)[: 3 * len(BLOCK)].min() > 2**40


def test_a_pass_that_is_over_gives_nothing_again(four: Driver):
    plan = plan_of(four, "run-1", (COUNTING,))
    four.begin(plan)
    order, blob = four.order(plan, [BLOCK])
    four.whole_pass(plan, order, blob)

    with refused(four, "FI", "OUT_OF_ORDER"):
        four.lines["FI"].stream("Fetch", FetchOrder(order.run, order.pass_id, 0))
