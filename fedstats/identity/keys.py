"""Keys of a party: the Ed25519 identity that signs everything, and the ECDSA leaf of its TLS connections.

A private key is written once, to a file that only its owner can read from the moment it exists.
"""

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from fedstats.errors import UsageError

#: Clocks of sites differ by minutes; a new leaf is valid a little into the past.
CLOCK_TOLERANCE = timedelta(minutes=10)


@dataclass(frozen=True)
class Identity:
    """The signing key of a node, a coordinator or a key holder."""

    private: Ed25519PrivateKey = field(repr=False)

    @cached_property
    def public_hex(self) -> str:
        """The public key, 32 bytes in hexadecimal: the name by which rosters know this party."""
        return self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


@dataclass(frozen=True)
class Leaf:
    """The TLS certificate of a party, self-signed, with its private key."""

    private: ec.EllipticCurvePrivateKey = field(repr=False)
    certificate: x509.Certificate

    @property
    def certificate_pem(self) -> bytes:
        """The certificate as PEM: public, part of the card."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def private_pem(self) -> bytes:
        """The private key as PEM PKCS #8, as gRPC wants it: secret."""
        return self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def generate_identity() -> Identity:
    """Draw a new identity."""
    return Identity(Ed25519PrivateKey.generate())


def save_identity(identity: Identity, path: Path) -> None:
    """Write an identity as PEM PKCS #8, mode 0600; a file that exists is never overwritten."""
    write_secret(path, identity.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def load_identity(path: Path) -> Identity:
    """Read an identity; refuse a file that others can read and a key of another kind."""
    private = _load_private(path)
    if not isinstance(private, Ed25519PrivateKey):
        raise UsageError(f"{path.name} holds no Ed25519 key; 'fedstats-node init' makes one.", code="BAD_KEY")
    return Identity(private)


def generate_leaf(name: str, *, now: datetime | None = None, valid_days: int = 365) -> Leaf:
    """Make a self-signed ECDSA P-256 leaf whose subject alternative name is the DNS name `name`.

    Parameters
    ----------
    name
        The party's name; peers dial an address but check this name.
    now
        Start of validity, less ten minutes for clocks that differ; the present when absent.
    valid_days
        Days until it expires.

    Notes
    -----
    Not Ed25519: gRPC's TLS refuses such leaves.
    """
    start = now or datetime.now(UTC)
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    both_sides = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - CLOCK_TOLERANCE)
        .not_valid_after(start + timedelta(days=valid_days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(both_sides, critical=False)
        .sign(private, hashes.SHA256())
    )
    return Leaf(private, certificate)


def save_leaf(leaf: Leaf, key_path: Path, certificate_path: Path) -> None:
    """Write the private key (0600, exclusively) and the certificate beside it (public, replaced when renewed)."""
    write_secret(key_path, leaf.private_pem)
    certificate_path.write_bytes(leaf.certificate_pem)


def load_leaf(key_path: Path, certificate_path: Path) -> Leaf:
    """Read a leaf; refuse a key that others can read or that does not belong to the certificate."""
    private = _load_private(key_path)
    try:
        certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
    except ValueError:
        raise UsageError(f"{certificate_path.name} holds no certificate in PEM form.", code="BAD_CERTIFICATE") from None
    if not isinstance(private, ec.EllipticCurvePrivateKey) or private.public_key() != certificate.public_key():
        raise UsageError(
            f"{key_path.name} is not the key of the certificate {certificate_path.name}; "
            "put back the pair that 'fedstats-node init' made.",
            code="BAD_KEY",
        )
    return Leaf(private, certificate)


def write_secret(path: Path, content: bytes) -> None:
    """Create `path` with mode 0600 and write it durably; the mode is set at creation, so nobody else ever reads it.

    Raises
    ------
    UsageError
        Something of that name exists already, be it a link.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    try:
        descriptor = os.open(path, flags, 0o600)
    except FileExistsError:
        raise UsageError(f"{path.name} exists already; keys are never overwritten.", code="KEY_EXISTS") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def read_secret(path: Path) -> bytes:
    """The content of a file that nobody but its owner can read.

    Raises
    ------
    UsageError
        KEY_READABLE: others can read it.
    """
    with path.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode & 0o777
        content = file.read()
    if os.name == "posix" and mode & 0o077:
        raise UsageError(
            f"{path.name} can be read by others (mode {mode:04o}); run chmod 600 on it, and replace the key "
            "if anybody else may have seen it.",
            code="KEY_READABLE",
        )
    return content


def _load_private(path: Path) -> object:
    """The private key in a PEM file that nobody but its owner can read."""
    content = read_secret(path)
    try:
        return load_pem_private_key(content, password=None)
    except (ValueError, TypeError):
        raise UsageError(f"{path.name} holds no private key in PEM form without a password.", code="BAD_KEY") from None
