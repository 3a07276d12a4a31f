"""Paillier: the same keys and ciphertexts as phe's, sums of products, fresh obfuscators, what is refused."""

import secrets
import subprocess
import sys
import time
from functools import cache

import numpy as np
import phe
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedstats.errors import Failed, MaskMismatch, ProtocolRefused
from fedstats.privacy import paillier
from fedstats.privacy.combination import combination_of, with_combination
from fedstats.privacy.masking import Masks
from fedstats.privacy.paillier_tasks import Decryption, Recipe, decryption, encryption
from fedstats.privacy.paillier_workers import InProcess, Workers
from fedstats.privacy.primitives.fixed_base import FixedBase, obfuscators
from fedstats.privacy.primitives.paillier import PrivateKey, encrypt, generate, read_public
from fedstats.privacy.primitives.stream import Stream
from tests.processes import process

#: Keys of this length hide nothing; they make tests quick.
SHORT = 512
#: A transcript, and the check words' sum of a block.
T, DUE = "ab" * 32, 12345
MASKED_WIDTHS = np.array([64] * 50 + [23] * 40 + [6] * 7 + [64], np.uint8)


@cache
def key() -> PrivateKey:
    return generate(SHORT, smallest=SHORT)


@cache
def encrypting() -> InProcess:
    return InProcess(encryption(key().public))


@cache
def decrypting() -> InProcess:
    return InProcess(decryption(key()))


def ours(plaintext: int) -> int:
    """A ciphertext as nodes make them, with an obfuscator from the tables."""
    size = SHORT // 8
    return int.from_bytes(b"".join(encrypting()([plaintext.to_bytes(size, "little")])), "big")


def as_phe() -> tuple[phe.PaillierPublicKey, phe.PaillierPrivateKey]:
    public = phe.PaillierPublicKey(key().public.n)
    return public, phe.PaillierPrivateKey(public, key().p, key().q)


def words(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**64, count, dtype=np.uint64)


def modulo(values: np.ndarray, widths: np.ndarray) -> list[int]:
    return [value % 2**width for value, width in zip(values.tolist(), widths.tolist(), strict=True)]


def sealed(values: np.ndarray, widths: np.ndarray) -> bytes:
    return paillier.encrypt_block(key().public, encrypting(), values, widths)


def opened(product: bytes, widths: np.ndarray) -> np.ndarray:
    return paillier.open_block(key().public, decrypting(), product, widths)


# Keys ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [512, 1024])
def test_a_key_has_two_primes_as_damgard_jurik_and_nielsen_need_them(bits: int) -> None:
    made = generate(bits, smallest=bits)

    assert made.public.bits == bits
    assert made.p.bit_length() == made.q.bit_length() == bits // 2
    assert (made.p % 4, made.q % 4) == (3, 3)
    assert np.gcd.reduce(np.array([made.p - 1, made.q - 1], object)) == 2
    assert all(pow(base, prime - 1, prime) == 1 for prime in (made.p, made.q) for base in (2, 3, 5, 7))


def test_a_key_of_the_default_length_opens_what_it_encrypts() -> None:
    made = generate()
    assert made.public.bits == 3072
    assert made.public.ciphertext_bytes == 768
    assert made.decrypt(encrypt(made.public, 123, pow(5, made.public.n, made.public.n_squared))) == 123


@pytest.mark.parametrize("bits", [0, 512, 2046, 3071])
def test_short_and_odd_lengths_are_an_error(bits: int) -> None:
    with pytest.raises(ValueError, match="it must be even and at least 2048"):
        generate(bits)


def test_primes_are_not_shown() -> None:
    assert str(key().p) not in repr(key())


def test_a_modulus_comes_back_from_its_text() -> None:
    assert read_public(key().public.text, smallest=SHORT) == key().public


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not in lower-case hexadecimal"),
        ("0xff", "not in lower-case hexadecimal"),
        ("AB", "not in lower-case hexadecimal"),
        ("f" * 511, "has 2044 bits; at least 2048"),
        ("f" * 511 + "e", "even"),
    ],
)
def test_a_modulus_that_is_none_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_public(text)


# With phe -----------------------------------------------------------------------------------------------------------


@given(st.integers(0, 2**510))
@settings(max_examples=30)
def test_each_opens_what_the_other_encrypted(plaintext: int) -> None:
    public, private = as_phe()

    assert private.raw_decrypt(ours(plaintext)) == plaintext
    assert key().decrypt(public.raw_encrypt(plaintext)) == plaintext


def test_sums_of_both_kinds_of_ciphertexts_open_in_both() -> None:
    public, private = as_phe()
    n, n_squared = key().public.n, key().public.n_squared

    product = ours(n - 5) * public.raw_encrypt(3) * ours(100) % n_squared

    assert private.raw_decrypt(product) == key().decrypt(product) == 98


def test_numbers_encrypted_with_the_library_of_phe_add_to_ours() -> None:
    public, private = as_phe()
    theirs = public.encrypt(41)

    total = theirs + phe.EncryptedNumber(public, ours(1))

    assert private.decrypt(total) == 42


def test_a_key_made_by_phe_is_one_of_ours() -> None:
    public, private = phe.generate_paillier_keypair(n_length=SHORT)
    same = PrivateKey(private.p, private.q)

    assert same.public.n == public.n
    assert same.decrypt(public.raw_encrypt(7)) == 7


@pytest.mark.parametrize("offset", [0, 1, 2, -1, -2])
def test_plaintexts_at_the_ends_of_the_range_come_back(offset: int) -> None:
    n = key().public.n
    plaintext = offset % n
    obfuscator = pow(3, n, key().public.n_squared)

    assert key().decrypt(encrypt(key().public, plaintext, obfuscator)) == plaintext
    assert key().decrypt(ours(plaintext)) == plaintext
    assert as_phe()[1].raw_decrypt(ours(plaintext)) == plaintext


def test_a_known_ciphertext_opens_to_a_known_plaintext() -> None:
    # By hand: p = 7, q = 11, n = 77, E(5; r = 2) = (1 + 5 * 77) * 2^77 mod 5929
    small = PrivateKey(7, 11)
    assert encrypt(small.public, 5, pow(2, 77, 5929)) == 386 * pow(2, 77) % 5929
    assert small.decrypt(386 * pow(2, 77) % 5929) == 5


@pytest.mark.parametrize("plaintext", [-1, 77])
def test_plaintexts_out_of_range_are_an_error(plaintext: int) -> None:
    with pytest.raises(ValueError, match="from 0 to n - 1"):
        encrypt(PrivateKey(7, 11).public, plaintext, 1)


# Obfuscators --------------------------------------------------------------------------------------------------------


@given(st.data())
@settings(max_examples=20)
def test_powers_from_tables_are_powers(data: st.DataObject) -> None:
    n = key().public.n
    tables = powers()
    exponent = data.draw(st.integers(0, 2 ** (12 * tables.columns) - 1))

    low, high = tables.power(tables.digits_of(exponent))

    assert low + high * n == pow(12345, exponent, n * n)


@cache
def powers() -> FixedBase:
    return FixedBase(12345, key().public.n, SHORT // 2)


@pytest.mark.parametrize(("exponent_bits", "least"), [(256, 256), (1024, 1024), (1536, 1536)])
def test_exponents_have_half_the_bits_of_the_modulus(exponent_bits: int, least: int) -> None:
    n = secrets.randbits(64) | 1
    assert 12 * FixedBase(3, n, exponent_bits).columns >= least


def test_exponents_are_uniform_over_their_digits() -> None:
    digits = np.array(powers().random_digits(6000))
    bits = (digits[:, :, None] >> np.arange(12)) & 1
    # 6,000 draws of a fair bit: standard deviation 0.0065, the largest of some 400 bits lies below 6 of them
    assert np.abs(bits.mean(axis=0) - 0.5).max() < 0.039
    # The largest of 4,096 values is missed by as many draws of a single digit with a chance below a millionth.
    assert digits.size > 14 * 4096
    assert digits.max() == 4095


def test_obfuscators_are_powers_of_n() -> None:
    n = key().public.n
    tables = obfuscators(n)
    low, high = tables.power(tables.random_digits(1)[0])
    # an n-th power encrypts 0
    assert key().decrypt(int(low + high * n)) == 0
    assert low + high * n != 1


def test_no_two_encryptions_of_a_word_are_alike() -> None:
    widths = np.full(1, 64, np.uint8)
    made = {sealed(np.zeros(1, np.uint64), widths) for _ in range(20)}
    assert len(made) == 20


def test_two_processes_draw_bases_of_their_own() -> None:
    n = key().public.n
    one, other = obfuscators(n), obfuscators(n)
    assert one.power(one.digits_of(1)) != other.power(other.digits_of(1))


# Blocks -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nodes", [1, 2, 3, 20])
def test_the_product_of_uploads_opens_to_the_sum_of_words(nodes: int) -> None:
    parts = [words(len(MASKED_WIDTHS), seed) for seed in range(nodes)]

    product = paillier.multiply(key().public, [sealed(part, MASKED_WIDTHS) for part in parts])

    total = np.sum(parts, axis=0, dtype=np.uint64)
    assert opened(product, MASKED_WIDTHS).tolist() == modulo(total, MASKED_WIDTHS)


def test_a_block_takes_the_bytes_that_its_widths_say() -> None:
    values = words(len(MASKED_WIDTHS), 1)
    assert len(sealed(values, MASKED_WIDTHS)) == paillier.block_bytes(key().public, MASKED_WIDTHS)
    # 511 bits hold 7 lanes of 72 bits, 16 of 31, 36 of 14: 8 plaintexts begin for 50 + ..., counted by hand
    assert paillier.block_bytes(key().public, np.full(8, 64, np.uint8)) == 2 * 2 * SHORT // 8


def test_an_empty_block_takes_nothing() -> None:
    none = np.zeros(0, np.uint8)
    assert sealed(words(0, 1), none) == b""
    assert opened(b"", none).shape == (0,)


def test_masks_inside_the_lanes_cancel_and_the_sign_comes_back() -> None:
    pair, own, first_word = bytes(range(32)), [b"a" * 32, b"b" * 32], 37
    masks = [Masks((Stream(pair, 1), Stream(own[0], 1))), Masks((Stream(pair, -1), Stream(own[1], 1)))]
    parts = [
        np.array([-4, 3, -(2**21), 1], np.int64).view(np.uint64),
        np.array([1, -4, -1, 0], np.int64).view(np.uint64),
    ]
    widths = np.array([64, 64, 23, 64], np.uint8)
    nodes = [paillier.Paillier(key().public, encrypting(), T, one) for one in masks]

    uploads = [node.protect(part, first_word, widths) for node, part in zip(nodes, parts, strict=True)]
    seen = opened(paillier.multiply(key().public, uploads), widths)
    off = Masks(tuple(Stream(seed, -1) for seed in own))
    totals = paillier.totals_of(seen, first_word, widths, off)

    assert totals[:-1].view(np.int64).tolist() == [-3, -1, -(2**21) - 1]
    assert paillier.checked_totals(totals, 1, T, first_word).view(np.int64).tolist() == [-3, -1, -(2**21) - 1, 1]
    assert seen.tolist() != modulo(totals, widths)


def test_one_upload_opens_to_noise_where_masks_are_inside() -> None:
    zeros = np.zeros(4000, np.uint64)
    widths = np.full(4000, 64, np.uint8)
    node = paillier.Paillier(key().public, encrypting(), T, Masks((Stream(bytes(32), 1),)))

    seen = opened(node.protect(zeros, 0, widths), widths)

    bits = np.unpackbits(seen.view(np.uint8))
    # 256,000 fair bits: the standard deviation of their mean is 0.001
    assert abs(bits.mean() - 0.5) < 0.005
    assert len(np.unique(seen)) == 4000


def test_without_masks_the_product_opens_to_the_total_itself() -> None:
    node = paillier.Paillier(key().public, encrypting(), T, None)
    widths = np.array([64, 23, 64], np.uint8)
    part = np.array([-7, 5, 9], np.int64).view(np.uint64)

    seen = opened(paillier.multiply(key().public, [node.protect(part, 0, widths)] * 3), widths)

    assert paillier.totals_of(seen, 0, widths, None)[:-1].view(np.int64).tolist() == [-21, 15]


@given(
    nodes=st.integers(1, 20),
    seed=st.integers(0, 2**32),
    place=st.integers(0, 30),
    change=st.one_of(st.sampled_from([1, -1, 2**63, 2**32]), st.integers(1, 2**64 - 1)),
)
def test_any_word_that_is_changed_is_found_out(nodes: int, seed: int, place: int, change: int) -> None:
    # Words as the code makes them: totals of 20 nodes stay below 2^62
    parts = np.random.default_rng(seed).integers(-(2**57), 2**57, (nodes, 31)).view(np.uint64)
    parts[:, -1] = np.random.default_rng(seed).integers(0, 2**64, nodes, dtype=np.uint64)
    due = sum(parts[:, -1].tolist()) % 2**64
    total = np.sum([with_combination(part, T, 7) for part in parts], axis=0, dtype=np.uint64)

    assert paillier.checked_totals(total, due, T, 7)[:-1].tolist() == np.sum(parts, axis=0)[:-1].tolist()

    total[place] = (int(total[place]) + change) % 2**64
    with pytest.raises(MaskMismatch, match="key holder"):
        paillier.checked_totals(total, due, T, 7)


def test_primes_and_factors_are_those_of_one_block_of_one_pass() -> None:
    one, *others = (combination_of(t, first, 3) for t, first in ((T, 7), (T, 8), ("cd" * 32, 7)))
    assert 2**58 < one.prime < 2**59 + 2**10
    assert all(one.prime != other.prime and one.factors != other.factors for other in others)
    assert combination_of(T, 7, 3) == one
    # By hand: 1 k1 - 2 k2 + 0 k3
    assert one.of(np.array([1, -2, 0]).view(np.uint64)) == (one.factors[0] - 2 * one.factors[1]) % one.prime


def test_a_combination_of_another_pass_or_place_does_not_fit() -> None:
    total = with_combination(np.append(words(10, 1) >> np.uint64(4), np.uint64(DUE)), T, 7)
    assert paillier.checked_totals(total, DUE, T, 7)[-1] == DUE
    for transcript, first_word in (("cd" * 32, 7), (T, 8)):
        with pytest.raises(MaskMismatch):
            paillier.checked_totals(total, DUE, transcript, first_word)


def test_widths_come_back_from_their_runs() -> None:
    assert paillier.runs_of(MASKED_WIDTHS) == ((64, 50), (23, 40), (6, 7), (64, 1))
    assert paillier.widths_of(paillier.runs_of(MASKED_WIDTHS)).tolist() == MASKED_WIDTHS.tolist()
    assert paillier.runs_of(np.zeros(0, np.uint8)) == ()
    assert paillier.widths_of(()).shape == (0,)


@pytest.mark.parametrize("run", [(0, 1), (65, 1), (64, 0), (64, -1)])
def test_runs_that_make_no_words_are_refused(run: tuple[int, int]) -> None:
    with pytest.raises(ProtocolRefused, match="empty or out of range"):
        paillier.widths_of(((64, 1), run))


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + data[:128], lambda data: b""])
def test_uploads_of_different_lengths_are_refused(change) -> None:  # type: ignore[no-untyped-def]  # a lambda of bytes
    upload = sealed(words(20, 1), np.full(20, 64, np.uint8))
    with pytest.raises(ProtocolRefused, match="different lengths"):
        paillier.multiply(key().public, [upload, change(upload)])


@pytest.mark.parametrize("filling", [b"\x00", b"\xff"])
def test_numbers_out_of_range_are_refused(filling: bytes) -> None:
    size = key().public.ciphertext_bytes
    with pytest.raises(ProtocolRefused) as multiplied:
        paillier.multiply(key().public, [filling * size])
    with pytest.raises(ProtocolRefused) as decrypted:
        opened(filling * size, np.full(1, 64, np.uint8))
    assert (multiplied.value.code, decrypted.value.code) == ("BAD_CIPHERTEXT", "BAD_CIPHERTEXT")


def test_multiples_of_a_prime_are_refused() -> None:
    with pytest.raises(ProtocolRefused, match="not one under this modulus"):
        key().decrypt(key().p)


def test_a_product_of_another_length_is_refused() -> None:
    with pytest.raises(ProtocolRefused, match="came where 128 are due"):
        opened(b"\x01" * 127, np.full(1, 64, np.uint8))


# Workers ------------------------------------------------------------------------------------------------------------


def test_workers_keep_the_order_of_many_blocks() -> None:
    widths = np.full(2000, 64, np.uint8)
    values = words(2000, 3)
    workers, openers = Workers(encryption(key().public), 2), Workers(decryption(key()), 2)
    try:
        upload = paillier.encrypt_block(key().public, workers, values, widths)
        found = paillier.open_block(key().public, openers, upload, widths)
    finally:
        workers.close()
        openers.close()

    assert np.array_equal(found, values)


def test_a_worker_that_ended_is_an_error_and_then_replaced() -> None:
    workers = Workers(encryption(key().public), 1)
    plaintext = (7).to_bytes(SHORT // 8, "little")
    try:
        (first,) = workers([plaintext])
        workers.processes()[0].kill()
        workers.processes()[0].wait()
        (second,) = workers([plaintext])
    finally:
        workers.close()

    assert key().decrypt(int.from_bytes(second, "big")) == 7
    assert first != second


def test_what_a_worker_refuses_is_refused_here_and_the_worker_goes_on() -> None:
    workers = Workers(decryption(key()), 1)
    size = key().public.ciphertext_bytes
    try:
        with pytest.raises(ProtocolRefused, match="not one under this modulus"):
            list(workers([bytes(size)]))
        (after,) = workers([ours(5).to_bytes(size, "big")])
        assert len(workers.processes()) == 1
    finally:
        workers.close()

    assert int.from_bytes(after, "little") == 5


def test_a_worker_that_breaks_at_a_batch_is_an_error() -> None:
    workers = Workers(Recipe("decrypt", ("0",)), 1)  # one number where two are needed
    try:
        with pytest.raises(Failed, match="ended"):
            list(workers([b"1"]))
    finally:
        workers.close()


def test_closed_workers_have_ended() -> None:
    workers = Workers(encryption(key().public), 2)
    list(workers([bytes(SHORT // 8)] * 4))
    started = workers.processes()

    workers.close()

    assert started
    assert all(process.poll() is not None for process in started)


def test_workers_end_when_the_process_that_asks_is_killed() -> None:
    code = (
        "import time; from fedstats.privacy.paillier_tasks import Recipe\n"
        "from fedstats.privacy.paillier_workers import Workers\n"
        f"workers = Workers(Recipe('encrypt', ({key().public.text!r},)), 1)\n"
        f"list(workers([bytes({SHORT // 8})]))\n"
        "print(workers.processes()[0].pid, flush=True); time.sleep(600)\n"
    )
    asking = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    with asking:
        assert asking.stdout is not None
        worker = process(int(asking.stdout.readline()))
        assert worker.alive
        asking.kill()
    deadline = time.monotonic() + 20
    while worker.alive and time.monotonic() < deadline:
        time.sleep(0.02)

    assert not worker.alive


def test_decryption_of_a_batch_is_decryption_of_each() -> None:
    size = key().public.ciphertext_bytes
    batch = b"".join(ours(number).to_bytes(size, "big") for number in (1, 2, 3))
    plaintexts = Decryption(key().p, key().q)(batch)
    assert [int.from_bytes(plaintexts[at : at + 64], "little") for at in (0, 64, 128)] == [1, 2, 3]
