"""Who is who: keys, signed messages, cards and the roster that every party signed.

Three keys a node: a TLS leaf, an identity that signs everything, and X25519 keys per run and pass (see `privacy`).
"""
