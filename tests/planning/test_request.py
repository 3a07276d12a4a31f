import pytest

from fedstats.documents import decode, encode
from fedstats.errors import FaultyInput
from fedstats.planning.ranges import candidates, members
from fedstats.planning.request import Request, check_request
from fedstats.study import Filters


def test_a_plain_request_is_in_order() -> None:
    check_request(Request("gwas", ("qt1",), ("age", "PC1-PC4")))


def test_every_fault_of_a_request_is_reported_at_once() -> None:
    request = Request(
        "gwas",
        covar=("age", "age"),
        local_covar=("bmi",),
        test="chisq",  # type: ignore[arg-type]  # what a careless caller passes
        filters=Filters(maf=0.7, hwe=0.1, hwe_pooled=0.1),
        pass_variants=0,
    )

    with pytest.raises(FaultyInput) as caught:
        check_request(request)

    assert caught.value.exit_code == 2
    assert caught.value.faults == (
        "--test is 'chisq'; it can be one of wald, score, score-refit",
        "--covar names 'age' twice",
        "gwas needs at least one trait: --pheno NAME",
        "--local-covar gives every site a slope of its own, which needs --site-effects fixed",
        "--maf 0.7 is not between 0 and 0.5",
        "--hwe and --hwe-pooled exclude each other; --hwe is stratified by site",
        "--pass-variants 0 is not between 1 and 100000",
    )


def test_a_request_survives_its_canonical_bytes() -> None:
    request = Request("gwas", ("qt1", "bt1"), ("sex", "PC{1:4}"), filters=Filters(maf=0.01), nodes=("FI",))

    assert decode(Request, encode(request)) == request


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("PC1-PC4", ("PC1", "PC2", "PC3", "PC4")),
        ("PC{1:4}", ("PC1", "PC2", "PC3", "PC4")),
        ("PC9-PC11", ("PC9", "PC10", "PC11")),
        ("PC4-PC1", ()),
        ("PC1-QC4", ()),
        ("age", ()),
        ("1-3", ("1", "2", "3")),
        ("x{1:99999}", ()),
    ],
)
def test_ranges_stand_for_their_members(typed: str, expected: tuple[str, ...]) -> None:
    assert members(typed) == expected


def test_a_range_could_also_be_a_column_of_that_name() -> None:
    assert candidates("PC1-PC2") == ("PC1-PC2", "PC1", "PC2")
