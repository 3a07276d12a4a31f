"""Write masking.json: transcript hash, streams and check words of a small pass, computed apart from fedstats.

Shares no code with `fedstats.privacy`: framing, HKDF (RFC 5869) and counter mode (NIST SP 800-38A) are written out here
from their definitions, on hashlib, hmac and the block cipher. Run it from anywhere; it always writes the same bytes.

    python tests/vectors/make_masking_vectors.py
"""

import hashlib
import hmac
import json
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

NAMES = ("FI", "EE", "SE")  # in the roster's order, which is not that of the alphabet
CONTEXT = {
    "run": "run-1",
    "pass_id": "pass-1",
    "plan_digest": "11" * 32,
    "threshold": 3,
    "step": "gwas/linear/scan@1",
    "schema_digest": "22" * 32,
    "codec": "fixed/34,words/1",
    "privacy": "masked",
    "parameters_digest": "33" * 32,
    "totals_digest": "44" * 32,
    "layout_digest": "55" * 32,
}


def draw(label: str, n_bytes: int = 32) -> bytes:
    return hashlib.shake_256(label.encode()).digest(n_bytes)


def framed(*fields: bytes) -> bytes:
    return b"".join(len(field).to_bytes(8, "big") + field for field in fields)


def hkdf(secret: bytes, salt: bytes, info: bytes) -> bytes:
    """RFC 5869, sections 2.2 and 2.3, for one block of output."""
    extracted = hmac.new(salt, secret, hashlib.sha256).digest()
    return hmac.new(extracted, info + b"\x01", hashlib.sha256).digest()


def stream_word(key: bytes, word: int) -> int:
    """SP 800-38A, section 6.5: block number word // 2, then its first or second half, little-endian."""
    cipher = Cipher(algorithms.AES256(key), modes.ECB()).encryptor()  # one block at a time, no mode
    block = cipher.update((word // 2).to_bytes(16, "big"))
    return int.from_bytes(block[8 * (word % 2) :][:8], "little")


def public(private: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def node(name: str) -> dict[str, object]:
    private = {key: draw(f"{name} {key}") for key in ("channel", "mask", "seed", "nonce")}
    return {
        "name": name,
        "identity": draw(f"{name} identity").hex(),
        "channel_key": public(private["channel"]).hex(),
        "mask_private": private["mask"].hex(),
        "mask_key": public(private["mask"]).hex(),
        "seed": private["seed"].hex(),
        "seed_commitment": hashlib.sha256(private["seed"]).hexdigest(),
        "nonce_commitment": hashlib.sha256(private["nonce"]).hexdigest(),
        "ledger_head": draw(f"{name} ledger").hex(),
        "shares": [[to, draw(f"{name} share {to}", 94).hex()] for to in NAMES if to != name],
    }


def transcript(nodes: list[dict[str, object]]) -> str:
    order: tuple[str, ...] = ("plan_digest", "run", "pass_id", "step", "schema_digest", "codec", "privacy")
    order += ("parameters_digest", "totals_digest", "layout_digest", "threshold")
    fields = [b"fedstats/v1/masked-pass@1", *(str(CONTEXT[key]).encode() for key in order), str(len(nodes)).encode()]
    for one in nodes:
        keys = ("name", "identity", "channel_key", "mask_key", "seed_commitment", "nonce_commitment", "ledger_head")
        for key in keys:
            fields.append(str(one[key]).encode())
        shares = one["shares"]
        assert isinstance(shares, list)
        fields.append(framed(*(text.encode() for share in shares for text in share)))
    return hashlib.sha256(framed(*fields)).hexdigest()


def streams_of(one: dict[str, object], nodes: list[dict[str, object]], salt: bytes) -> list[dict[str, object]]:
    """A node's streams: with each peer in the roster's order, then its own."""
    found: list[dict[str, object]] = []
    private = X25519PrivateKey.from_private_bytes(bytes.fromhex(str(one["mask_private"])))
    mine = str(one["name"])
    for peer in nodes:
        name = str(peer["name"])
        if name == mine:
            continue
        agreed = private.exchange(X25519PublicKey.from_public_bytes(bytes.fromhex(str(peer["mask_key"]))))
        first, second = sorted((mine, name))
        key = hkdf(agreed, salt, framed(b"fedstats/v1/pair-mask@1", first.encode(), second.encode()))
        found.append({"with": name, "key": key.hex(), "sign": 1 if mine == first else -1})
    own = hkdf(bytes.fromhex(str(one["seed"])), salt, framed(b"fedstats/v1/self-mask@1", mine.encode()))
    found.append({"with": mine, "key": own.hex(), "sign": 1})
    for stream in found:
        stream["words"] = [stream_word(bytes.fromhex(str(stream["key"])), word) for word in range(5)]
    return found


def check_word(digest: str, block: int, index: int) -> int:
    place = (block.to_bytes(8, "big"), index.to_bytes(8, "big"))
    fields = framed(b"fedstats/v1/check-word@1", bytes.fromhex(digest), *place)
    return int.from_bytes(hashlib.sha256(fields).digest()[:8], "little")


def vectors() -> str:
    nodes = [node(name) for name in NAMES]
    digest = transcript(nodes)
    content = {
        "context": CONTEXT,
        "nodes": nodes,
        "transcript": digest,
        "streams": {str(one["name"]): streams_of(one, nodes, bytes.fromhex(digest)) for one in nodes},
        "check_words": [[check_word(digest, block, index) for index in range(3)] for block in (0, 1, 70000)],
    }
    return json.dumps(content, indent=1) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("masking.json").write_text(vectors())
