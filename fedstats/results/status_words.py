"""How many variants have each status, in words: on the screen, in the log."""

from collections.abc import Mapping


def in_words(status_counts: Mapping[str, int]) -> str:
    """Counts by status, such as "49,640 OK, 360 LOW_MAC", in the order given."""
    return ", ".join(f"{count:,} {status}" for status, count in status_counts.items())
