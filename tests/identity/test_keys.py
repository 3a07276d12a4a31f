"""Keys on disk, and the leaf in a real mutual TLS handshake."""

import os
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fedstats.errors import UsageError
from fedstats.identity import keys


def test_identity_is_the_same_after_save_and_load(tmp_path: Path) -> None:
    identity = keys.generate_identity()

    keys.save_identity(identity, tmp_path / "identity.key")

    assert keys.load_identity(tmp_path / "identity.key").public_hex == identity.public_hex
    assert len(bytes.fromhex(identity.public_hex)) == 32


def test_key_file_is_private_even_under_an_open_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        keys.save_identity(keys.generate_identity(), tmp_path / "identity.key")
    finally:
        os.umask(before)

    assert (tmp_path / "identity.key").stat().st_mode & 0o777 == 0o600


def test_key_file_is_created_private_not_made_private_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modes = []
    fdopen = os.fdopen

    def watching(descriptor: int, mode: str) -> object:
        modes.append(os.fstat(descriptor).st_mode & 0o777)
        return fdopen(descriptor, mode)

    monkeypatch.setattr(os, "fdopen", watching)
    keys.save_identity(keys.generate_identity(), tmp_path / "identity.key")

    assert modes == [0o600]


def test_existing_key_is_never_overwritten(tmp_path: Path) -> None:
    first = keys.generate_identity()
    keys.save_identity(first, tmp_path / "identity.key")

    with pytest.raises(UsageError, match="exists already"):
        keys.save_identity(keys.generate_identity(), tmp_path / "identity.key")

    assert keys.load_identity(tmp_path / "identity.key").public_hex == first.public_hex


def test_key_is_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "identity.key").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(UsageError, match="exists already"):
        keys.save_identity(keys.generate_identity(), tmp_path / "identity.key")

    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o602])
def test_key_that_others_can_read_or_write_is_refused(tmp_path: Path, mode: int) -> None:
    keys.save_identity(keys.generate_identity(), tmp_path / "identity.key")
    (tmp_path / "identity.key").chmod(mode)

    with pytest.raises(UsageError, match="chmod 600"):
        keys.load_identity(tmp_path / "identity.key")


def test_leaf_key_is_no_identity(tmp_path: Path) -> None:
    keys.save_leaf(keys.generate_leaf("FI"), tmp_path / "leaf.key", tmp_path / "leaf.crt")

    with pytest.raises(UsageError, match="no Ed25519 key"):
        keys.load_identity(tmp_path / "leaf.key")


def test_file_that_is_no_key_is_refused(tmp_path: Path) -> None:
    keys.write_secret(tmp_path / "identity.key", b"not a key")

    with pytest.raises(UsageError, match="no private key in PEM form"):
        keys.load_identity(tmp_path / "identity.key")


def test_secrets_do_not_show_in_representations() -> None:
    assert "private" not in repr(keys.generate_identity())
    assert "private" not in repr(keys.generate_leaf("FI"))


def test_leaf_names_its_node_and_lasts_as_long_as_asked() -> None:
    now = datetime(2030, 1, 1, tzinfo=UTC)

    leaf = keys.generate_leaf("FI", now=now, valid_days=30)

    assert leaf.certificate.not_valid_after_utc == now + timedelta(days=30)
    assert leaf.certificate.not_valid_before_utc == now - keys.CLOCK_TOLERANCE


def test_leaf_with_the_key_of_another_is_refused(tmp_path: Path) -> None:
    keys.save_leaf(keys.generate_leaf("FI"), tmp_path / "fi.key", tmp_path / "fi.crt")
    keys.save_leaf(keys.generate_leaf("EE"), tmp_path / "ee.key", tmp_path / "ee.crt")

    assert keys.load_leaf(tmp_path / "fi.key", tmp_path / "fi.crt").certificate.subject.rfc4514_string() == "CN=FI"
    with pytest.raises(UsageError, match="not the key of the certificate"):
        keys.load_leaf(tmp_path / "ee.key", tmp_path / "fi.crt")


def _handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> bytes:
    """What the client receives over a connection of two sockets of this process."""
    left, right = socket.socketpair()
    left.settimeout(5)
    right.settimeout(5)

    def serve() -> None:
        try:
            with server.wrap_socket(left, server_side=True) as connection:
                connection.sendall(b"hello")
        except (ssl.SSLError, OSError):
            left.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(right, server_hostname=name) as connection:
            return connection.recv(5)
    finally:
        thread.join()


def _context(tmp_path: Path, leaf: keys.Leaf, peer: keys.Leaf, *, purpose: ssl.Purpose, stem: str) -> ssl.SSLContext:
    keys.save_leaf(leaf, tmp_path / f"{stem}.key", tmp_path / f"{stem}.crt")
    context = ssl.create_default_context(purpose, cadata=peer.certificate_pem.decode())
    context.load_cert_chain(tmp_path / f"{stem}.crt", tmp_path / f"{stem}.key")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def test_pinned_leaves_make_a_mutual_tls_connection(tmp_path: Path) -> None:
    node, coordinator = keys.generate_leaf("FI"), keys.generate_leaf("coordinator")
    server = _context(tmp_path, node, coordinator, purpose=ssl.Purpose.CLIENT_AUTH, stem="s")
    client = _context(tmp_path, coordinator, node, purpose=ssl.Purpose.SERVER_AUTH, stem="c")

    assert _handshake(server, client, "FI") == b"hello"


def test_leaf_of_another_name_or_party_is_not_accepted(tmp_path: Path) -> None:
    node, coordinator, stranger = (keys.generate_leaf(name) for name in ("FI", "coordinator", "FI"))
    server = _context(tmp_path, node, coordinator, purpose=ssl.Purpose.CLIENT_AUTH, stem="s")
    client = _context(tmp_path, coordinator, node, purpose=ssl.Purpose.SERVER_AUTH, stem="c")
    misled = _context(tmp_path, coordinator, stranger, purpose=ssl.Purpose.SERVER_AUTH, stem="m")

    with pytest.raises(ssl.SSLCertVerificationError):
        _handshake(server, client, "EE")
    with pytest.raises(ssl.SSLCertVerificationError):
        _handshake(server, misled, "FI")


def test_file_that_is_no_certificate_is_refused(tmp_path: Path) -> None:
    keys.save_leaf(keys.generate_leaf("FI"), tmp_path / "fi.key", tmp_path / "fi.crt")
    (tmp_path / "fi.crt").write_text("none")

    with pytest.raises(UsageError, match="no certificate in PEM form"):
        keys.load_leaf(tmp_path / "fi.key", tmp_path / "fi.crt")
