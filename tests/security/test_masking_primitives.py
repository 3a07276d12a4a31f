"""Secret sharing, key agreement and keystreams against published vectors, and what they refuse."""

import ast
import itertools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fedstats
from fedstats.privacy.primitives.key_agreement import agree, derive, public_key
from fedstats.privacy.primitives.shamir import PRIME, Share, combine, split
from fedstats.privacy.primitives.stream import Stream, add_stream, add_streams
from tests.security.driver import drawn

# X25519 and HKDF ----------------------------------------------------------------------------------------------------

# RFC 7748, section 6.1
ALICE_PRIVATE = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
ALICE_PUBLIC = bytes.fromhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
BOB_PRIVATE = bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
BOB_PUBLIC = bytes.fromhex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")
SHARED = bytes.fromhex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742")


def test_agreement_is_that_of_rfc_7748() -> None:
    assert (public_key(ALICE_PRIVATE), public_key(BOB_PRIVATE)) == (ALICE_PUBLIC, BOB_PUBLIC)
    assert agree(ALICE_PRIVATE, BOB_PUBLIC) == agree(BOB_PRIVATE, ALICE_PUBLIC) == SHARED


@pytest.mark.parametrize("weak", [0, 1, 2**255 - 19, 2**255 - 20])
def test_keys_of_small_order_are_refused(weak: int) -> None:
    # RFC 7748, section 6.1: 0, 1 and -1 generate subgroups whose order divides the cofactor, so that K is all zero.
    with pytest.raises(ValueError, match=r"(?i)key"):
        agree(ALICE_PRIVATE, weak.to_bytes(32, "little"))


def test_derived_key_is_that_of_rfc_5869() -> None:
    # RFC 5869, appendix A.1
    found = derive(b"\x0b" * 22, salt=bytes(range(13)), info=bytes(range(0xF0, 0xFA)), n_bytes=42)

    assert found.hex() == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"


# Keystreams ---------------------------------------------------------------------------------------------------------

# NIST SP 800-38A, F.5.5 CTR-AES256.Encrypt: initial counter f0f1...ff, four blocks
NIST_KEY = bytes.fromhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")
NIST_COUNTER = int("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff", 16)
NIST_PLAIN = bytes.fromhex(
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
)
NIST_CIPHER = bytes.fromhex(
    "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5"
    "2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6"
)
NIST_STREAM = np.frombuffer(NIST_PLAIN, dtype="<u8") ^ np.frombuffer(NIST_CIPHER, dtype="<u8")


@pytest.mark.parametrize(("start", "stop"), list(itertools.combinations(range(9), 2)))
def test_stream_is_that_of_sp_800_38a_from_any_word(start: int, stop: int) -> None:
    words = np.zeros(stop - start, dtype=np.uint64)

    add_stream(words, NIST_KEY, 1, 2 * NIST_COUNTER + start)

    assert np.array_equal(words, NIST_STREAM[start:stop])


@pytest.mark.parametrize("first_word", [0, 1, 2, 7])
@pytest.mark.parametrize("n_words", [0, 1, 2**17 - 1, 2**17, 2**17 + 1, 2**18 + 3])
def test_long_stream_is_the_same_in_parts_as_word_by_word_addressing_says(first_word: int, n_words: int) -> None:
    key = drawn("key")(32)
    whole = np.zeros(2**18 + 16, dtype=np.uint64)
    add_stream(whole[:2], key, 1, 0)
    for start in range(2, whole.size, 4098):  # even steps smaller than a piece: never two pieces in one call
        add_stream(whole[start : start + 4098], key, 1, start)

    words = np.zeros(n_words, dtype=np.uint64)
    add_stream(words, key, 1, first_word)

    assert np.array_equal(words, whole[first_word : first_word + n_words])


def test_subtracting_takes_off_what_adding_put_on() -> None:
    words = np.arange(1001, dtype=np.uint64)

    add_streams(words, [Stream(NIST_KEY, 1), Stream(NIST_KEY, -1)], 3)

    assert np.array_equal(words, np.arange(1001, dtype=np.uint64))


def test_threads_on_parts_of_one_layout_do_not_disturb_each_other() -> None:
    streams = [Stream(drawn(f"thread {number}")(32), 1) for number in range(3)]
    alone = np.zeros(2**20, dtype=np.uint64)
    add_streams(alone, streams, 0)
    together = np.zeros(2**20, dtype=np.uint64)
    starts = range(0, together.size, 99_999)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda start: add_streams(together[start : start + 99_999], streams, start), starts))

    assert np.array_equal(together, alone)


@pytest.mark.parametrize(
    "words",
    [np.zeros(4, dtype=np.int64), np.zeros((2, 2), dtype=np.uint64), np.zeros(8, dtype=np.uint64)[::2]],
    ids=["signed", "two dimensions", "strided"],
)
def test_arrays_that_are_no_words_are_refused(words: Any) -> None:
    with pytest.raises(ValueError, match="contiguous array of uint64"):
        add_stream(words, NIST_KEY, 1, 0)


def test_position_before_the_layout_is_refused() -> None:
    with pytest.raises(ValueError, match="no position"):
        add_stream(np.zeros(1, dtype=np.uint64), NIST_KEY, 1, -1)


def test_stream_does_not_show_its_key() -> None:
    assert "key" not in repr(Stream(NIST_KEY, 1))


# Secret sharing -----------------------------------------------------------------------------------------------------

# By hand: f(x) = 42 + 7 x + 3 x^2 has f(1), ..., f(4) = 52, 68, 90, 118.
SECRET = (42).to_bytes(32, "big")
SHARES = (Share(1, 52), Share(2, 68), Share(3, 90), Share(4, 118))


def test_shares_are_those_computed_by_hand() -> None:
    coefficients = iter([(7).to_bytes(80, "big"), (3).to_bytes(80, "big")])

    assert split(SECRET, 3, 4, lambda _: next(coefficients)) == SHARES


@pytest.mark.parametrize("shares", list(itertools.permutations(SHARES, 3)))
def test_any_three_of_four_give_the_secret(shares: tuple[Share, ...]) -> None:
    assert combine(shares, 3) == SECRET


@pytest.mark.parametrize(("threshold", "n_shares"), [(1, 1), (2, 2), (3, 3), (11, 15), (14, 20)])
def test_random_secrets_come_back_from_the_last_shares(threshold: int, n_shares: int) -> None:
    secret = drawn(f"secret {n_shares}")(32)

    assert combine(split(secret, threshold, n_shares)[-threshold:], threshold) == secret


def test_two_shares_fit_every_secret() -> None:
    """Perfect secrecy below the threshold: for any secret there is a third share that makes it the right one."""
    for other in (0, 41, 2**256 - 1):
        # By Lagrange at 0 from x = 1, 2, 3: secret = 3 f(1) - 3 f(2) + f(3)
        third = Share(3, (other - 3 * 52 + 3 * 68) % PRIME)
        assert combine((*SHARES[:2], third), 3) == other.to_bytes(32, "big")


def test_extra_share_that_does_not_fit_is_noticed() -> None:
    with pytest.raises(ValueError, match="one polynomial"):
        combine((*SHARES[:3], Share(4, 119)), 3)


def test_shares_that_give_no_secret_of_32_bytes_are_noticed() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        combine((Share(1, 0), Share(2, 0), Share(3, 2**300)), 3)


def test_too_few_doubled_and_senseless_shares_are_refused() -> None:
    with pytest.raises(ValueError, match="fewer than the 3"):
        combine(SHARES[:2], 3)
    with pytest.raises(ValueError, match="given twice"):
        combine((SHARES[0], SHARES[0], SHARES[1]), 3)
    with pytest.raises(ValueError, match="no threshold"):
        split(SECRET, 5, 4)
    with pytest.raises(ValueError, match="32 bytes, not 31"):
        split(SECRET[1:], 2, 4)


# The source ---------------------------------------------------------------------------------------------------------


def test_no_general_random_generator_is_near_a_secret() -> None:
    root = Path(fedstats.__file__).parent
    found = []
    for path in [*(root / "privacy").rglob("*.py"), *(root / "identity").rglob("*.py")]:
        for part in ast.walk(ast.parse(path.read_text())):
            if isinstance(part, ast.Import):
                found += [alias.name for alias in part.names if alias.name.split(".")[0] == "random"]
            if isinstance(part, ast.ImportFrom) and "random" in (part.module or "").split("."):
                found.append(path.name)
            if isinstance(part, ast.Attribute) and part.attr == "random":
                found.append(path.name)

    assert found == []
