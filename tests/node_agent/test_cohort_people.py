"""Bitmaps of cohorts: people keep their number over versions of the data, and differences are counted right."""

from pathlib import Path

import numpy as np
import pytest

from fedstats.ledger import open_ledger
from node_agent.cohort_people import TABLES, CohortPeople, bitmap, difference, overlap, people_in
from node_agent.records import TABLES as RECORD_TABLES
from node_agent.run_people import person_tags
from tests.node_agent.test_run_people import KEY, dataset


@pytest.fixture
def members(tmp_path: Path) -> CohortPeople:
    return CohortPeople(open_ledger(tmp_path / "ledger.sqlite", RECORD_TABLES + TABLES))


def tags(*names: str):
    return person_tags(KEY, dataset(list(names)))


def test_people_keep_their_number_in_another_version_and_after_a_restart(members: CohortPeople):
    first = members.numbers(tags("a", "b", "c"))
    again = CohortPeople(members.ledger)

    assert again.numbers(tags("d", "c", "a")).tolist() == [3, 2, 0]
    assert CohortPeople(members.ledger).numbers(tags("e", "d")).tolist() == [4, 3]
    assert first.tolist() == [0, 1, 2]


def test_differences_of_bitmaps_of_any_length_are_those_of_sets():
    rng = np.random.default_rng(1)
    for size in (1, 7, 8, 9, 64, 200):
        one, other = set(rng.integers(0, size, size).tolist()), set(rng.integers(0, 2 * size, size).tolist())
        bits = [bitmap(np.array(sorted(people)), np.ones(len(people), np.bool_)) for people in (one, other)]

        assert difference(*bits) == len(one ^ other)
        assert overlap(*bits) == bool(one & other)
        assert people_in(bits[0]) == len(one)


def test_only_people_who_are_in_are_in_the_bitmap():
    bits = bitmap(np.array([5, 0, 9]), np.array([True, False, True]))

    assert np.flatnonzero(np.unpackbits(bits, bitorder="little")).tolist() == [5, 9]


def test_nobody_is_an_empty_bitmap():
    nobody = bitmap(np.array([3, 4]), np.zeros(2, np.bool_))

    assert (people_in(nobody), difference(nobody, bitmap(np.array([3]), np.ones(1, np.bool_)))) == (0, 1)


def test_answered_cohorts_are_found_by_domain_and_size(members: CohortPeople):
    for name, people in (("two", 2), ("five", 5)):
        members.keep(name, bitmap(np.arange(people), np.ones(people, np.bool_)))
    members.ledger.write("INSERT INTO locks VALUES ('two', 'genotypes', 'r', 'run'), ('five', 'columns', 'r', 'run')")

    assert [people_in(bits) for bits in members.answered("genotypes", 1, 9)] == [2]
    assert list(members.answered("genotypes", 3, 9)) == []


def test_the_ledger_names_nobody(members: CohortPeople, tmp_path: Path):
    members.numbers(tags("Zebedee", "Jacob"))
    members.ledger.close()

    assert b"Zebedee" not in (tmp_path / "ledger.sqlite").read_bytes()
