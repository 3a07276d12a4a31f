"""People of earlier runs are found again in other versions of the data, and named nowhere."""

import hashlib
import hmac
from pathlib import Path

import numpy as np
import pytest

from fedstats.dataset import Dataset
from fedstats.documents import digest
from fedstats.errors import ProtocolRefused, UsageError
from fedstats.ledger import open_ledger
from node_agent.cohorts import _NoGenotypes, people_name, sorted_people
from node_agent.records import TABLES as RECORD_TABLES
from node_agent.run_people import TABLES, RunPeople, person_tags
from tests.node_agent.driver import Driver, driven_locally
from tests.node_agent.sites import make_federation

KEY = b"k" * 32


def dataset(names: list[str]) -> Dataset:
    ids = np.array(names)
    return Dataset(ids, ids, np.zeros(len(names), np.int8), {}, _NoGenotypes())


@pytest.fixture
def people(tmp_path: Path) -> RunPeople:
    ledger = open_ledger(tmp_path / "ledger.sqlite", RECORD_TABLES + TABLES)
    ledger.write("INSERT INTO runs (run, plan) VALUES ('r1', 'p1'), ('r2', 'p2')")
    return RunPeople(ledger)


def test_people_are_found_again_in_another_order_and_beside_new_ones(people: RunPeople):
    people.keep("r1", person_tags(KEY, dataset(["a", "b", "c"])))

    among = people.among(["r1"], person_tags(KEY, dataset(["d", "c", "a", "e"])))

    assert among.tolist() == [False, True, True, False]


def test_a_run_is_known_by_its_plan_and_several_runs_are_united(people: RunPeople):
    people.keep("r1", person_tags(KEY, dataset(["a"])))
    people.keep("r2", person_tags(KEY, dataset(["c"])))

    among = people.among(["p1", "r2"], person_tags(KEY, dataset(["a", "b", "c"])))

    assert among.tolist() == [True, False, True]


def test_a_run_that_did_not_begin_is_refused(people: RunPeople):
    with pytest.raises(UsageError, match=r"the run r9\.\.\. did not begin at this node"):
        people.among(["r9"], person_tags(KEY, dataset(["a"])))


def test_the_same_people_are_kept_once_and_without_their_names(people: RunPeople, tmp_path: Path):
    tags = person_tags(KEY, dataset(["Zebedee", "Jacob"]))
    people.keep("r1", tags)
    people.keep("r2", tags[::-1])
    people.ledger.close()

    assert person_tags(b"l" * 32, dataset(["Jacob"]))[0] not in tags
    ((kept,),) = open_ledger(tmp_path / "ledger.sqlite").rows("SELECT count(*) FROM people")
    assert kept == 1
    assert b"Zebedee" not in (tmp_path / "ledger.sqlite").read_bytes()


def test_the_people_of_an_earlier_run_with_another_roster_are_refused(tmp_path: Path):
    with driven_locally(make_federation(tmp_path, ("EE", "FI", "NO", "SE"))) as driver:
        first = driver.plan("run-1", "masked")
        driver.begin(first)
        driver.whole_pass(first, *driver.order(first, [np.arange(12)]))
        three = Driver(driver.federation, dict(list(driver.lines.items())[:3]), driver.panel)
        second = three.plan("run-2", "masked", request=_as(first))

        with pytest.raises(ProtocolRefused, match="answered before in a run with other nodes"):
            three.begin(second)


def _as(plan):
    return type(plan.request)("freq", people_as=digest(plan))


def test_a_cohort_is_named_by_the_sorted_identifiers_of_its_people_whatever_their_order():
    rng = np.random.default_rng(1)
    names = [f"{number:x}{chr(97 + number % 26)}" for number in rng.permutation(500)]
    people = rng.random(500) < 0.4
    chosen = sorted(f"{name}\t{name}" for name, used in zip(names, people, strict=True) if used)
    expected = hmac.new(KEY, "\n".join(chosen).encode(), hashlib.sha256).hexdigest()
    other = rng.permutation(500)

    assert people_name(KEY, sorted_people(dataset(names)), people) == expected
    assert people_name(KEY, sorted_people(dataset([names[i] for i in other])), people[other]) == expected


def test_tags_are_kept_in_order_with_every_byte(people: RunPeople):
    """Bytes of zero within a tag and at its end are bytes like any other."""
    tags = np.frombuffer(b"".join([b"b" + bytes(15), bytes(16), b"\0a" * 8, b"\xff" * 16]), np.dtype((np.void, 16)))

    people.keep("r1", tags)

    ((body,),) = people.ledger.rows("SELECT tags FROM people")
    assert body == b"".join(sorted(tags.tolist()))
