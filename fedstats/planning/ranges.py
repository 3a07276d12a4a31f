"""Ranges of columns: `PC1-PC4` and `PC{1:4}` stand for PC1, PC2, PC3, PC4."""

import re

#: A longer range is taken for a slip of the finger.
LONGEST_RANGE = 1000

_DASHED = re.compile(r"(?P<stem>.*?)(?P<first>\d+)-(?P=stem)(?P<last>\d+)")
_BRACED = re.compile(r"(?P<stem>.*?)\{(?P<first>\d+):(?P<last>\d+)\}")


def members(typed: str) -> tuple[str, ...]:
    """The names that a range stands for; nothing where `typed` is no range.

    >>> members("PC{1:3}")
    ('PC1', 'PC2', 'PC3')
    """
    found = _DASHED.fullmatch(typed) or _BRACED.fullmatch(typed)
    if found is None:
        return ()
    first, last = int(found["first"]), int(found["last"])
    if not 0 <= last - first < LONGEST_RANGE:
        return ()
    return tuple(f"{found['stem']}{number}" for number in range(first, last + 1))


def candidates(typed: str) -> tuple[str, ...]:
    """Every column that `typed` could mean: itself, and the members of the range."""
    return (typed, *members(typed))
