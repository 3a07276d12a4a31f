"""X25519 key agreement [1]_, and keys derived from what was agreed by HKDF-SHA256 [2]_.

References
----------
.. [1] Langley, Hamburg and Turner (2016), RFC 7748, Elliptic Curves for Security.
.. [2] Krawczyk and Eronen (2010), RFC 5869, HMAC-based Extract-and-Expand Key Derivation Function (HKDF).
"""

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32


def public_key(private: bytes) -> bytes:
    """Public X25519 key of 32 private bytes; any 32 random bytes are a private key."""
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def agree(private: bytes, public: bytes) -> bytes:
    """The 32 bytes that this private key and the other side's public key share.

    Raises
    ------
    ValueError
        The public key is not 32 bytes or is of small order, so that the result would not be secret.
    """
    return X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(public))


def derive(secret: bytes, *, salt: bytes, info: bytes, n_bytes: int = KEY_BYTES) -> bytes:
    """HKDF-SHA256 of a secret: independent keys for different `salt` or `info`."""
    return HKDF(algorithm=SHA256(), length=n_bytes, salt=salt, info=info).derive(secret)
