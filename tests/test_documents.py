"""Documents are equal bytes where they are equal, and come back as what they were."""

import json
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from fedstats.documents import decode, digest, document, encode
from fedstats.errors import ProtocolRefused


@document
@dataclass(frozen=True)
class Inner:
    """A document within another."""

    name: str
    limit: float | None = None


@document
@dataclass(frozen=True)
class Outer:
    """One of each that a document may hold."""

    text: str
    count: int
    share: float
    done: bool
    names: tuple[str, ...] = ()
    inner: tuple[Inner, ...] = ()
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)
    by_name: dict[str, Inner] = field(default_factory=dict)


reals = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**15), 10**15)
inners = st.builds(Inner, name=st.text(), limit=reals | st.none())
outers = st.builds(
    Outer,
    text=st.text(),
    count=st.integers(),
    share=reals,
    done=st.booleans(),
    names=st.lists(st.text()).map(tuple),
    inner=st.lists(inners, max_size=3).map(tuple),
    ranges=st.dictionaries(st.text(), st.tuples(reals, reals), max_size=3),
    by_name=st.dictionaries(st.text(), inners, max_size=3),
)


@given(outers)
def test_the_bytes_are_those_of_pydantic_in_canonical_order(subject):
    plain = TypeAdapter(Outer).dump_python(subject, mode="json")

    assert encode(subject) == json.dumps(plain, sort_keys=True, separators=(",", ":")).encode("ascii")


@given(outers)
def test_a_document_comes_back_and_is_the_same_bytes_again(subject):
    back = decode(Outer, encode(subject))

    assert back == subject
    assert encode(back) == encode(subject)
    assert digest(back) == digest(subject)


WHOLE = Outer("é", 1, 2.0, done=True, inner=(Inner("a", 3.0),), ranges={"b": (0.0, 1.0), "a": (1.0, 2.0)})


def test_whole_numbers_among_reals_are_reals_and_no_others_are():
    told = replace(WHOLE, share=2, inner=(Inner("a", 3),), ranges={"a": (1, 2), "b": (0, 1)})

    assert encode(told) == encode(WHOLE)
    assert b'"count":1,"done":true,' in encode(WHOLE)
    assert b'"share":2.0' in encode(WHOLE)


def test_keys_are_in_order_and_text_is_ascii():
    assert encode(WHOLE) == (
        b'{"by_name":{},"count":1,"done":true,"inner":[{"limit":3.0,"name":"a"}],"names":[],'
        b'"ranges":{"a":[1.0,2.0],"b":[0.0,1.0]},"share":2.0,"text":"\\u00e9"}'
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_has_no_bytes(value):
    with pytest.raises(ValueError, match="JSON compliant"):
        encode(replace(WHOLE, share=value))


@pytest.mark.parametrize(
    "body", [b"{", b'{"name":"a","more":1}', b'{"name":1}', b'{"limit":1.0}', b'{"name":"a","limit":true}']
)
def test_a_document_that_is_not_as_it_should_be_is_refused(body):
    with pytest.raises(ProtocolRefused, match="Inner message is not well formed"):
        decode(Inner, body)
