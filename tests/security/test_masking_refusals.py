"""What a node refuses in a masked pass: a coordinator, a peer or the line misbehaves, and gets no masked byte for it.

Each attack is carried as far as it goes: up to the refusal, everything else is as in a pass that succeeds.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fedstats.documents import decode, encode
from fedstats.errors import MaskMismatch, ProtocolRefused
from fedstats.identity.keys import generate_identity
from fedstats.identity.signing import Signed, sign
from fedstats.privacy import masking_node as node
from fedstats.privacy.messages import (
    COMPLETE,
    PASS_KEYS,
    READY,
    RUN_KEY,
    Member,
    PassContext,
    PassKeys,
    Ready,
    RunKey,
)
from fedstats.privacy.primitives.key_agreement import public_key
from tests.security.driver import (
    Federation,
    Hooks,
    Played,
    Signs,
    context_of,
    drawn,
    federation_of,
    forged_by,
    numbers,
    plain_total,
    play_pass,
)

ATTACKER_KEY = public_key(drawn("attacker")(32)).hex()


@pytest.fixture(scope="module")
def four() -> Federation:
    return federation_of(4)


def refusal(federation: Federation, hooks: Hooks) -> tuple[str, Played]:
    """Code of the refusal that a pass ends with, and what was said until then."""
    played = Played()
    with pytest.raises(ProtocolRefused) as caught:
        play_pass(federation, numbers(federation), hooks, played=played)
    return caught.value.code, played


def at(victim: str, change: Callable[[Signs], Signs]) -> Callable[[str, Signs], Signs]:
    """A hook that changes what one node is shown."""
    return lambda name, messages: change(messages) if name == victim else messages


def test_pass_without_any_of_these_attacks_succeeds(four: Federation) -> None:
    blocks = numbers(four)

    assert np.array_equal(play_pass(four, blocks).total, plain_total(blocks))


# Keys ---------------------------------------------------------------------------------------------------------------


def swap_mask_key(federation: Federation, signer: str) -> Callable[[Signs], Signs]:
    """The coordinator in the middle: its own mask key in SE's message, signed by one key or another."""

    def change(messages: Signs) -> Signs:
        index = 2
        keys = dataclasses.replace(decode(PassKeys, messages[index].body), mask_key=ATTACKER_KEY)
        if signer == "forged":
            messages[index] = forged_by(federation.desk, messages[index], encode(keys))
        else:
            messages[index] = sign(federation.desk, PASS_KEYS, keys)
        return messages

    return change


def test_key_swapped_on_the_line_is_refused_before_anything_is_masked(four: Federation) -> None:
    code, played = refusal(four, Hooks(pass_keys=at("FI", swap_mask_key(four, "forged"))))

    assert code == "BAD_SIGNATURE"
    assert played.uploads == {}


def test_key_swapped_and_signed_by_the_coordinator_is_refused(four: Federation) -> None:
    code, played = refusal(four, Hooks(pass_keys=at("FI", swap_mask_key(four, "own"))))

    assert code == "WRONG_ROSTER"
    assert played.uploads == {}


def test_swapped_channel_key_is_refused_before_a_share_is_sealed(four: Federation) -> None:
    def change(messages: Signs) -> Signs:
        key = dataclasses.replace(decode(RunKey, messages[1].body), channel_key=ATTACKER_KEY)
        return [messages[0], forged_by(four.desk, messages[1], encode(key)), *messages[2:]]

    code, played = refusal(four, Hooks(run_keys=at("FI", change)))

    assert code == "BAD_SIGNATURE"
    assert played.pass_keys == []


def test_key_of_a_pass_before_is_refused(four: Federation) -> None:
    earlier = play_pass(four, numbers(four), context=context_of(four, pass_id="pass-0"))

    code, played = refusal(four, Hooks(pass_keys=at("FI", lambda now: [*now[:3], earlier.pass_keys[3]])))

    assert code == "REPLAYED"
    assert played.uploads == {}


def test_own_key_shown_otherwise_is_refused_though_its_signature_is_good(four: Federation) -> None:
    other = play_pass(four, numbers(four), seed="another start of the same pass")

    code, _ = refusal(four, Hooks(pass_keys=at("EE", lambda now: [now[0], other.pass_keys[1], *now[2:]])))

    assert code == "SWAPPED_KEY"


def test_own_channel_key_shown_otherwise_is_refused(four: Federation) -> None:
    other = play_pass(four, numbers(four), seed="another start of the same run")

    code, _ = refusal(four, Hooks(run_keys=at("EE", lambda now: [now[0], other.run_keys[1], *now[2:]])))

    assert code == "SWAPPED_KEY"


def resigned(federation: Federation, index: int, **changes: object) -> Callable[[Signs], Signs]:
    """A node of the roster itself signs other keys: it misbehaves, or its identity was stolen."""

    def change(messages: Signs) -> Signs:
        party = list(federation.parties.values())[index]
        keys = dataclasses.replace(decode(PassKeys, messages[index].body), **changes)  # type: ignore[arg-type]  # by name
        messages[index] = sign(party.identity, PASS_KEYS, keys)
        return messages

    return change


def test_node_that_copies_the_key_of_another_is_refused(four: Federation) -> None:
    def copy(messages: Signs) -> Signs:
        return resigned(four, 3, mask_key=decode(PassKeys, messages[2].body).mask_key)(messages)

    assert refusal(four, Hooks(pass_keys=at("FI", copy)))[0] == "SWAPPED_KEY"


def test_node_that_speaks_for_another_is_refused(four: Federation) -> None:
    assert refusal(four, Hooks(pass_keys=at("FI", resigned(four, 3, node="SE"))))[0] == "SWAPPED_KEY"


def test_key_that_is_no_key_is_refused(four: Federation) -> None:
    assert refusal(four, Hooks(pass_keys=at("FI", resigned(four, 3, mask_key="00"))))[0] == "MALFORMED"


def test_channel_key_of_small_order_is_refused(four: Federation) -> None:
    """Such a key makes the agreed secret zero for everybody, so that the line could read the share."""

    def weaken(messages: Signs) -> Signs:
        key = dataclasses.replace(decode(RunKey, messages[3].body), channel_key="00" * 32)
        return [*messages[:3], sign(four.parties["NO"].identity, RUN_KEY, key)]

    code, played = refusal(four, Hooks(run_keys=at("FI", weaken)))

    assert code == "SWAPPED_KEY"
    assert played.pass_keys == []


def test_mask_key_of_small_order_is_refused(four: Federation) -> None:
    played = play_pass(four, numbers(four))
    ready = played.ready_secrets["FI"]
    weak = dataclasses.replace(ready.peers[3], mask_key="00" * 32)

    with pytest.raises(ProtocolRefused, match="small order"):
        node.masks_when_all_ready(dataclasses.replace(ready, peers=(*ready.peers[:3], weak)), played.readies)


def test_share_that_does_not_open_is_refused(four: Federation) -> None:
    def spoil(messages: Signs) -> Signs:
        keys = decode(PassKeys, messages[3].body)
        first = dataclasses.replace(keys.shares[0], sealed="00" * len(bytes.fromhex(keys.shares[0].sealed)))
        return resigned(four, 3, shares=(first, *keys.shares[1:]))(messages)

    assert refusal(four, Hooks(pass_keys=at("FI", spoil)))[0] == "BAD_SHARE"


def test_share_meant_for_another_node_is_refused(four: Federation) -> None:
    def exchange(messages: Signs) -> Signs:
        shares = decode(PassKeys, messages[3].body).shares
        first = dataclasses.replace(shares[0], sealed=shares[1].sealed)
        return resigned(four, 3, shares=(first, *shares[1:]))(messages)

    assert refusal(four, Hooks(pass_keys=at("FI", exchange)))[0] == "BAD_SHARE"


def test_missing_share_is_refused(four: Federation) -> None:
    def drop(messages: Signs) -> Signs:
        return resigned(four, 3, shares=decode(PassKeys, messages[3].body).shares[:2])(messages)

    assert refusal(four, Hooks(pass_keys=at("FI", drop)))[0] == "WRONG_ROSTER"


# Roster -------------------------------------------------------------------------------------------------------------


def test_hidden_node_is_refused(four: Federation) -> None:
    code, played = refusal(four, Hooks(pass_keys=at("FI", lambda messages: messages[:3])))

    assert code == "WRONG_ROSTER"
    assert played.uploads == {}


def test_doubled_node_is_refused(four: Federation) -> None:
    assert refusal(four, Hooks(pass_keys=at("FI", lambda messages: [*messages, messages[3]])))[0] == "WRONG_ROSTER"
    assert refusal(four, Hooks(pass_keys=at("FI", lambda messages: [*messages[:3], messages[2]])))[0] == "WRONG_ROSTER"


def test_run_roster_with_a_stranger_is_refused(four: Federation) -> None:
    stranger = Member("XX", generate_identity().public_hex)

    def smuggle(_: str, context: PassContext) -> PassContext:
        return dataclasses.replace(context, roster=(*context.roster, stranger), threshold=4)

    code, played = refusal(four, Hooks(context=smuggle))

    assert code == "WRONG_ROSTER"
    assert played.run_keys == []  # refused before this node shows a key for such a run


def test_run_roster_with_another_identity_under_a_known_name_is_refused(four: Federation) -> None:
    def swap(_: str, context: PassContext) -> PassContext:
        swapped = Member("NO", generate_identity().public_hex)
        return dataclasses.replace(context, roster=(*context.roster[:3], swapped))

    code, played = refusal(four, Hooks(context=swap))

    assert code == "WRONG_ROSTER"
    assert played.run_keys == []  # refused before this node shows a key for such a run


def test_run_roster_with_a_node_twice_is_refused(four: Federation) -> None:
    def double(_: str, context: PassContext) -> PassContext:
        return dataclasses.replace(context, roster=(*context.roster[:3], context.roster[0]))

    code, played = refusal(four, Hooks(context=double))

    assert code == "WRONG_ROSTER"
    assert played.run_keys == []  # refused before this node shows a key for such a run


def test_run_roster_without_the_node_itself_is_refused(four: Federation) -> None:
    def leave_out(_: str, context: PassContext) -> PassContext:
        return dataclasses.replace(context, roster=context.roster[1:], threshold=3)

    code, played = refusal(four, Hooks(context=leave_out))

    assert code == "WRONG_ROSTER"
    assert played.run_keys == []  # refused before this node shows a key for such a run


def test_partitioned_roster_is_refused_before_a_share_is_sealed() -> None:
    """Two groups that overlap in SE: their totals would differ by the nodes that are in one of them only."""
    federation = federation_of(5)

    def partition(name: str, context: PassContext) -> PassContext:
        roster = context.roster[:3] if name in ("FI", "EE") else context.roster[2:]
        return dataclasses.replace(context, roster=roster, threshold=3)

    group = federation.members[:3]
    show = Hooks(
        context=partition,
        run_keys=lambda _, messages: [one for one in messages if one.signer in {member.identity for member in group}],
    )
    code, played = refusal(federation, show)

    assert code == "WRONG_ROSTER"
    assert played.pass_keys == []


def test_node_that_was_shown_another_plan_is_noticed(four: Federation) -> None:
    def other_plan(name: str, context: PassContext) -> PassContext:
        return dataclasses.replace(context, plan_digest="00" * 32) if name == "SE" else context

    code, played = refusal(four, Hooks(context=other_plan))

    assert code == "TRANSCRIPT_MISMATCH"
    assert played.pass_keys == []


def test_two_nodes_are_too_few_unless_allowed() -> None:
    federation = federation_of(2)

    code, played = refusal(federation, Hooks())

    assert code == "TOO_FEW_NODES"
    assert played.run_keys == []


def test_smaller_threshold_than_the_rosters_is_refused(four: Federation) -> None:
    def lower(_: str, context: PassContext) -> PassContext:
        return dataclasses.replace(context, threshold=1)

    code, played = refusal(four, Hooks(context=lower))

    assert code == "WRONG_THRESHOLD"
    assert played.pass_keys == []


# Transcript ---------------------------------------------------------------------------------------------------------

INPUTS = [
    "step",
    "schema_digest",
    "codec",
    "privacy",
    "parameters_digest",
    "totals_digest",
    "layout_digest",
]


def otherwise_at(victim: str, name: str) -> Callable[[str, PassContext], PassContext]:
    def change(node_name: str, context: PassContext) -> PassContext:
        changes: dict[str, Any] = {name: "other"}
        return dataclasses.replace(context, **changes) if node_name == victim else context

    return change


@pytest.mark.parametrize("name", INPUTS)
def test_another_input_at_one_node_is_refused_before_anything_is_masked(four: Federation, name: str) -> None:
    code, played = refusal(four, Hooks(context=otherwise_at("SE", name)))

    assert code == "TRANSCRIPT_MISMATCH"
    assert len(played.readies) == 4
    assert played.uploads == {}


@pytest.mark.parametrize("name", INPUTS)
def test_another_input_at_one_node_gives_garbage_when_every_check_is_skipped(four: Federation, name: str) -> None:
    everybody = list(four.parties)
    hooks = Hooks(context=otherwise_at("NO", name), careless=everybody, lost_after_upload=["NO"])

    with pytest.raises(MaskMismatch) as caught:
        play_pass(four, numbers(four), hooks)

    assert caught.value.code == "MASK_MISMATCH"


def test_other_keys_shown_to_one_node_are_noticed_before_anything_is_masked(four: Federation) -> None:
    """NO has started twice, so both of its messages are truly signed; FI is shown the one, the others the other."""
    other = play_pass(four, numbers(four), seed="another start of the same pass")

    def show(messages: Signs) -> Signs:
        keys, old = decode(PassKeys, messages[3].body), decode(PassKeys, other.pass_keys[3].body)
        mixed = dataclasses.replace(keys, mask_key=old.mask_key)
        return [*messages[:3], sign(four.parties["NO"].identity, PASS_KEYS, mixed)]

    code, played = refusal(four, Hooks(pass_keys=at("FI", show)))

    assert code == "TRANSCRIPT_MISMATCH"
    assert played.uploads == {}


def test_other_ledger_head_shown_to_one_node_is_noticed(four: Federation) -> None:
    code, _ = refusal(four, Hooks(pass_keys=at("FI", resigned(four, 3, ledger_head="older"))))

    assert code == "TRANSCRIPT_MISMATCH"


def test_missing_signature_of_the_transcript_holds_back_the_masked_words(four: Federation) -> None:
    code, played = refusal(four, Hooks(readies=lambda _, messages: messages[:3]))

    assert code == "WRONG_ROSTER"
    assert played.uploads == {}


def test_signature_of_the_transcript_by_a_stranger_is_refused(four: Federation) -> None:
    def change(_: str, messages: Signs) -> Signs:
        return [*messages[:3], forged_by(four.desk, messages[3], messages[3].body)]

    assert refusal(four, Hooks(readies=change))[0] == "BAD_SIGNATURE"


def test_signature_of_another_pass_does_not_stand_for_this_one(four: Federation) -> None:
    earlier = play_pass(four, numbers(four), context=context_of(four, pass_id="pass-0"))

    assert refusal(four, Hooks(readies=lambda _, now: [*now[:3], earlier.readies[3]]))[0] == "REPLAYED"


def test_nonce_other_than_committed_is_refused(four: Federation) -> None:
    def change(_: str, messages: Signs) -> Signs:
        ready = dataclasses.replace(decode(Ready, messages[3].body), nonce="00" * 32)
        return [*messages[:3], sign(four.parties["NO"].identity, READY, ready)]

    assert refusal(four, Hooks(readies=change))[0] == "WRONG_NONCE"


def test_keys_of_one_pass_do_not_answer_for_another(four: Federation) -> None:
    played = play_pass(four, numbers(four))
    party, context = four.parties["FI"], context_of(four, pass_id="pass-2")
    channels = node.open_channels(party, context.of_run, played.run_secrets["FI"], played.run_keys)

    with pytest.raises(ProtocolRefused, match="not the one that the keys were made for") as caught:
        node.make_ready(party, context, channels, played.pass_secrets["FI"], played.pass_keys)

    assert caught.value.code == "REPLAYED"


def test_secret_of_another_run_does_not_answer_for_this_one(four: Federation) -> None:
    played = play_pass(four, numbers(four))
    party, context = four.parties["FI"], context_of(four, run="run-2")

    with pytest.raises(ProtocolRefused, match="belongs to another run") as caught:
        node.open_channels(party, context.of_run, played.run_secrets["FI"], played.run_keys)

    assert caught.value.code == "TRANSCRIPT_MISMATCH"


def test_channels_of_another_run_do_not_serve_a_pass_of_this_one(four: Federation) -> None:
    played = play_pass(four, numbers(four))
    party, other = four.parties["FI"], context_of(four, run="run-2")
    own = context_of(four).of_run
    channels = node.open_channels(party, own, played.run_secrets["FI"], played.run_keys)

    for use in (
        lambda: node.begin_pass(party, other, channels, "head"),
        lambda: node.make_ready(party, other, channels, played.pass_secrets["FI"], played.pass_keys),
    ):
        with pytest.raises(ProtocolRefused, match="belongs to another run") as caught:
            use()
        assert caught.value.code == "TRANSCRIPT_MISMATCH"


# Opening ------------------------------------------------------------------------------------------------------------


def test_seeds_stay_while_fewer_than_t_nodes_say_complete(four: Federation) -> None:
    code, played = refusal(four, Hooks(completes=lambda _, messages: messages[:2]))

    assert code == "TOO_FEW_SIGNATURES"
    assert played.seed_shares == []


def test_one_node_cannot_say_complete_for_two(four: Federation) -> None:
    assert refusal(four, Hooks(completes=lambda _, m: [m[0], m[0], m[1]]))[0] == "WRONG_ROSTER"


def test_coordinator_cannot_say_complete(four: Federation) -> None:
    def forge(_: str, messages: Signs) -> Signs:
        return [*messages[:2], forged_by(four.desk, messages[2], messages[2].body)]

    def own(_: str, messages: Signs) -> Signs:
        return [*messages[:2], Signed(COMPLETE, four.desk.public_hex, messages[2].body, bytes(64))]

    assert refusal(four, Hooks(completes=forge))[0] == "BAD_SIGNATURE"
    assert refusal(four, Hooks(completes=own))[0] == "WRONG_ROSTER"


def test_signature_of_ready_does_not_stand_for_complete(four: Federation) -> None:
    played = Played()
    hooks = Hooks(completes=lambda _, messages: list(played.readies))
    with pytest.raises(ProtocolRefused) as caught:
        play_pass(four, numbers(four), hooks, played=played)

    assert caught.value.code == "WRONG_KIND"
    assert played.seed_shares == []


def test_complete_of_another_transcript_is_refused(four: Federation) -> None:
    other = play_pass(four, numbers(four), seed="another start of the same pass")

    code, played = refusal(four, Hooks(completes=lambda _, now: [*now[:3], other.completes[3]]))

    assert code == "TRANSCRIPT_MISMATCH"
    assert played.seed_shares == []


def test_complete_of_another_pass_is_refused(four: Federation) -> None:
    earlier = play_pass(four, numbers(four), context=context_of(four, pass_id="pass-0"))

    assert refusal(four, Hooks(completes=lambda _, now: [*now[:3], earlier.completes[3]]))[0] == "REPLAYED"


def test_node_gives_away_seed_shares_and_nothing_of_pairs(four: Federation) -> None:
    played = play_pass(four, numbers(four))

    said = b"".join(one.body for one in [*played.run_keys, *played.pass_keys, *played.readies, *played.completes])
    said += b"".join(one.body for one in played.seed_shares)

    for name in four.parties:
        assert played.pass_secrets[name].mask_private.encode() not in said
        assert played.run_secrets[name].channel_private.encode() not in said
        assert played.pass_secrets[name].seed.encode() not in said


def test_secrets_do_not_show_in_representations(four: Federation) -> None:
    played = play_pass(four, numbers(four))
    shown = repr([played.run_secrets, played.pass_secrets, played.ready_secrets, played.masks])

    for name in four.parties:
        for secret in ("mask_private", "seed", "nonce", "own_share"):
            assert getattr(played.pass_secrets[name], secret) not in shown
        assert all(stream.key.hex() not in shown for stream in played.masks[name].streams)
        assert repr(played.masks[name].streams[0].key) not in shown


def test_message_of_another_kind_is_refused(four: Federation) -> None:
    def relabel(_: str, messages: Signs) -> Signs:
        return [dataclasses.replace(messages[0], kind=RUN_KEY), *messages[1:]]

    assert refusal(four, Hooks(pass_keys=relabel))[0] == "WRONG_KIND"
