"""Who was in each cohort, as a bitmap, so that cohorts can be compared: the lock on people, and budgets, need that.

Each person of this node has a number of their own, whatever data set or version they are found in: a table of keyed
hashes of identifiers gives it. A cohort is the bitmap of its people's numbers. Nothing of this ever leaves.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from fedstats.arrays import Bools, Indices
from fedstats.ledger import Ledger
from node_agent.run_people import TAG_BYTES, Tags

TABLES = """
CREATE TABLE IF NOT EXISTS person_numbers (first INTEGER PRIMARY KEY, tags BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS cohort_people (cohort TEXT PRIMARY KEY, people INTEGER NOT NULL, bits BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS people_out (cohort TEXT NOT NULL, domain TEXT NOT NULL, PRIMARY KEY (cohort, domain));
"""

Bits = npt.NDArray[np.uint8]
"""A bitmap of people by their numbers, packed eight to a byte; people beyond its end are not in."""


@dataclass
class CohortPeople:
    """The tables of cohorts of one agent."""

    ledger: Ledger
    _numbers: dict[bytes, int] = field(default_factory=dict, repr=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    def numbers(self, tags: Tags) -> Indices:
        """The number of each person, shape (person,); whoever was never seen gets the next ones, durably.

        Called outside of transactions: numbers that were given must not be taken back. The ledger is taken first, as
        whoever asks from within a transaction has it already.
        """
        with self.ledger.transaction(), self._lock:
            self._read()
            listed = tags.tolist()
            strangers = [tag for tag in dict.fromkeys(listed) if tag not in self._numbers]
            if strangers:
                first = len(self._numbers)
                self.ledger.write("INSERT INTO person_numbers VALUES (?, ?)", first, b"".join(strangers))
                self._numbers.update((tag, first + at) for at, tag in enumerate(strangers))
            return np.array([self._numbers[tag] for tag in listed], np.int64)

    def _read(self) -> None:
        """All numbers that were given so far; only this process gives any."""
        if self._numbers:
            return
        for first, tags in self.ledger.rows("SELECT first, tags FROM person_numbers ORDER BY first"):
            pieces = (tags[at : at + TAG_BYTES] for at in range(0, len(tags), TAG_BYTES))
            self._numbers.update((tag, first + place) for place, tag in enumerate(pieces))

    def keep(self, cohort: str, bits: Bits) -> None:
        """Remember who is in a cohort."""
        values = (cohort, people_in(bits), bits.tobytes())
        self.ledger.write("INSERT OR IGNORE INTO cohort_people VALUES (?, ?, ?)", *values)

    def of(self, cohort: str) -> Bits | None:
        """Who is in a cohort; None where that was not kept."""
        found = self.ledger.rows("SELECT bits FROM cohort_people WHERE cohort = ?", cohort)
        return np.frombuffer(found[0][0], np.uint8) if found else None

    def let_out(self, cohort: str, domain: str) -> None:
        """Words about a cohort may leave from here on; that is never forgotten, whatever becomes of their pass."""
        self.ledger.write("INSERT OR IGNORE INTO people_out VALUES (?, ?)", cohort, domain)

    def answered(self, domain: str, least: int, most: int) -> Iterator[Bits]:
        """Cohorts of some sizes that were answered in a domain of the lock, or of which words may have left."""
        found = self.ledger.rows(
            "SELECT bits FROM cohort_people WHERE people BETWEEN ?2 AND ?3 AND cohort IN"
            " (SELECT cohort FROM locks WHERE domain = ?1 UNION SELECT cohort FROM people_out WHERE domain = ?1)",
            *(domain, least, most),
        )
        return (np.frombuffer(bits, np.uint8) for (bits,) in found)


def bitmap(numbers: Indices, people: Bools) -> Bits:
    """The bitmap of some of a data set's people, given everybody's number; shapes (person,)."""
    chosen = numbers[people]
    bits = np.zeros(int(chosen.max()) + 1 if len(chosen) else 0, np.bool_)
    bits[chosen] = True
    return np.packbits(bits, bitorder="little")


def people_in(bits: Bits) -> int:
    """Number of people of a bitmap."""
    return int(np.bitwise_count(bits).sum())


def difference(one: Bits, other: Bits) -> int:
    """Number of people who are in one of two cohorts and not in the other."""
    shared = min(len(one), len(other))
    rest = people_in(one[shared:]) + people_in(other[shared:])
    return people_in(one[:shared] ^ other[:shared]) + rest


def overlap(one: Bits, other: Bits) -> bool:
    """Whether two cohorts have anybody in common."""
    shared = min(len(one), len(other))
    return bool((one[:shared] & other[:shared]).any())
