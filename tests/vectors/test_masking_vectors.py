"""The masking protocol, byte for byte, against vectors that other code computed (make_masking_vectors.py)."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fedstats.privacy.masking import pair_stream, self_stream
from fedstats.privacy.messages import Member, PassContext, PassKeys, SealedShare
from fedstats.privacy.primitives.key_agreement import agree
from fedstats.privacy.primitives.stream import Stream, add_stream
from fedstats.privacy.transcript import check_total, check_word, transcript_hash
from tests.vectors.make_masking_vectors import vectors

FILE = Path(__file__).with_name("masking.json")
VECTORS: dict[str, Any] = json.loads(FILE.read_text())
NODES: list[dict[str, Any]] = VECTORS["nodes"]
CONTEXT = PassContext(roster=tuple(Member(one["name"], one["identity"]) for one in NODES), **VECTORS["context"])


def keys_of(one: dict[str, Any]) -> PassKeys:
    said = {key: one[key] for key in ("mask_key", "seed_commitment", "nonce_commitment", "ledger_head")}
    shares = tuple(SealedShare(*share) for share in one["shares"])
    return PassKeys(run=CONTEXT.run, pass_id=CONTEXT.pass_id, node=one["name"], shares=shares, **said)


def streams_of(one: dict[str, Any]) -> list[Stream]:
    private = bytes.fromhex(one["mask_private"])
    pairs = [
        pair_stream(one["name"], peer["name"], agree(private, bytes.fromhex(peer["mask_key"])), VECTORS["transcript"])
        for peer in NODES
        if peer is not one
    ]
    return [*pairs, self_stream(one["name"], bytes.fromhex(one["seed"]), VECTORS["transcript"], 1)]


def test_committed_file_is_what_its_script_writes() -> None:
    assert vectors() == FILE.read_text()


def test_transcript_hash_is_the_vectors() -> None:
    channels = {one["name"]: one["channel_key"] for one in NODES}

    assert transcript_hash(CONTEXT, channels, [keys_of(one) for one in NODES]) == VECTORS["transcript"]


@pytest.mark.parametrize("one", NODES, ids=lambda one: str(one["name"]))
def test_streams_are_the_vectors(one: dict[str, Any]) -> None:
    for stream, expected in zip(streams_of(one), VECTORS["streams"][one["name"]], strict=True):
        words = np.zeros(5, dtype=np.uint64)
        add_stream(words, stream.key, 1, 0)

        assert (stream.key.hex(), stream.sign) == (expected["key"], expected["sign"])
        assert words.tolist() == expected["words"]


def test_check_words_are_the_vectors() -> None:
    for block, expected in zip((0, 1, 70000), VECTORS["check_words"], strict=True):
        assert [check_word(VECTORS["transcript"], block, index) for index in range(3)] == expected
        assert check_total(VECTORS["transcript"], block, 3) == sum(expected) % 2**64
