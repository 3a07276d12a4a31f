"""Which people each run used, kept so that a later run can be asked of the same ones (`--people-as`).

A person is a keyed hash of the identifiers, so that a copy of the ledger names nobody, and so that the same people are
found again in another version of the data. Runs on the same people share one entry. Nothing of this ever leaves.
"""

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedstats.arrays import Bools
from fedstats.dataset import Dataset
from fedstats.errors import UsageError
from fedstats.ledger import Ledger

TABLES = """
CREATE TABLE IF NOT EXISTS run_people (
  run TEXT NOT NULL, part TEXT NOT NULL, people TEXT NOT NULL, PRIMARY KEY (run, part));
CREATE TABLE IF NOT EXISTS people (sha256 TEXT PRIMARY KEY, tags BLOB NOT NULL);
"""

#: Parts of a run: the people of its models, and those whom its accounting of columns counts.
ANALYSED, COUNTED = "analysed", "counted"

#: Half of a SHA-256: two of a billion people have the same one with a chance of 1e-21.
TAG_BYTES = 16

Tags = npt.NDArray[np.void]
"""Keyed hashes of people, shape (person,)."""


def person_tags(key: bytes, dataset: Dataset) -> Tags:
    """The tag of every person of a data set, in file order."""
    pairs = zip(dataset.family_ids.tolist(), dataset.individual_ids.tolist(), strict=True)
    texts = (f"{family}\t{individual}".encode() for family, individual in pairs)
    return _as_tags(b"".join(hmac.digest(key, text, "sha256")[:TAG_BYTES] for text in texts))


@dataclass(frozen=True)
class RunPeople:
    """The tables of people of one agent."""

    ledger: Ledger

    def keep(self, run: str, tags: Tags, part: str = ANALYSED) -> None:
        """Remember who was in a part of a run; called within a transaction of the ledger."""
        body = np.sort(tags.view(f"S{TAG_BYTES}")).tobytes()
        sha256 = hashlib.sha256(body).hexdigest()
        self.ledger.write("INSERT OR IGNORE INTO people VALUES (?, ?)", sha256, body)
        self.ledger.write("INSERT OR IGNORE INTO run_people VALUES (?, ?, ?)", run, part, sha256)

    def among(self, runs: Iterable[str], tags: Tags, part: str = ANALYSED) -> Bools:
        """Who of these people was in that part of one of some earlier runs, shape (person,).

        Parameters
        ----------
        runs
            Ids of runs, or digests of their plans.
        tags
            Of the people that are asked about.
        part
            `ANALYSED` or `COUNTED`.

        Raises
        ------
        UsageError
            Code UNKNOWN_RUN: a run did not begin here.
        """
        earlier = {tag for run in runs for tag in self._of(run, part).tolist()}
        return np.array([tag in earlier for tag in tags.tolist()], np.bool_)

    def _of(self, run: str, part: str) -> Tags:
        found = self.ledger.rows(
            "SELECT tags FROM people WHERE sha256 IN"
            " (SELECT people FROM run_people JOIN runs USING (run) WHERE part = ?2 AND run = ?1 UNION"
            " SELECT people FROM run_people JOIN runs USING (run) WHERE part = ?2 AND plan = ?1)",
            *(run, part),
        )
        if not found:
            raise UsageError(
                f"the run {run[:16]}... did not begin at this node, so nobody here knows its people",
                code="UNKNOWN_RUN",
                hint="--people-as takes the OUT of an earlier run with all of these nodes.",
            )
        return _as_tags(b"".join(tags for (tags,) in found))


def _as_tags(body: bytes) -> Tags:
    return np.frombuffer(body, np.dtype((np.void, TAG_BYTES)))
