"""A signature fits one kind, one body and one signer."""

import dataclasses
from dataclasses import dataclass

import pytest

from fedstats.documents import document
from fedstats.errors import ProtocolRefused
from fedstats.identity.keys import generate_identity
from fedstats.identity.signing import Signed, framed, is_signed_by, open_signed, sign


@document
@dataclass(frozen=True)
class Note:
    text: str


ME = generate_identity()
SIGNED = sign(ME, "note@1", Note("hello"))


def code_of(signed: Signed, kind: str = "note@1", signer: str = ME.public_hex) -> str:
    with pytest.raises(ProtocolRefused) as caught:
        open_signed(signed, kind, Note, signer)
    return caught.value.code


def test_signed_document_opens_as_it_was() -> None:
    assert open_signed(SIGNED, "note@1", Note, ME.public_hex) == Note("hello")


def test_signing_twice_gives_the_same_bytes() -> None:
    assert sign(ME, "note@1", Note("hello")) == SIGNED


def test_changed_body_is_refused() -> None:
    assert code_of(dataclasses.replace(SIGNED, body=SIGNED.body.replace(b"hello", b"hullo"))) == "BAD_SIGNATURE"


def test_changed_signature_is_refused() -> None:
    assert code_of(dataclasses.replace(SIGNED, signature=bytes(64))) == "BAD_SIGNATURE"
    assert code_of(dataclasses.replace(SIGNED, signature=b"")) == "BAD_SIGNATURE"


def test_message_of_another_kind_is_refused() -> None:
    assert code_of(SIGNED, kind="card@1") == "WRONG_KIND"


def test_signature_does_not_fit_when_the_message_is_relabelled() -> None:
    assert code_of(dataclasses.replace(SIGNED, kind="card@1"), kind="card@1") == "BAD_SIGNATURE"


def test_message_of_another_signer_is_refused() -> None:
    assert code_of(SIGNED, signer=generate_identity().public_hex) == "WRONG_SIGNER"


def test_claiming_to_be_the_expected_signer_does_not_help() -> None:
    victim = generate_identity().public_hex

    assert code_of(dataclasses.replace(SIGNED, signer=victim), signer=victim) == "BAD_SIGNATURE"


def test_signed_bytes_that_are_no_such_document_are_refused() -> None:
    assert code_of(sign(ME, "note@1", ME.public_hex)) == "MALFORMED"


def test_identity_that_is_no_key_never_verifies() -> None:
    assert not is_signed_by("zz", "note@1", SIGNED.body, SIGNED.signature)
    assert not is_signed_by("zz" * 32, "note@1", SIGNED.body, SIGNED.signature)


def test_framing_tells_fields_apart() -> None:
    assert framed(b"ab", b"c") != framed(b"a", b"bc")
    assert framed(b"ab") == b"\0\0\0\0\0\0\0\x02ab"
