"""Secret sharing, key agreement and keystreams, each checked against published vectors."""
