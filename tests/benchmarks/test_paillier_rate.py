"""The benchmark of Paillier measures what it says, at a key length that tests can afford, and judges by its demands."""

from dataclasses import replace

from benchmarks.kernels.paillier_rate import measure, shortfalls
from fedstats.privacy.primitives.paillier import generate


def test_rates_of_a_short_key_are_those_of_its_lanes() -> None:
    rates = measure(generate(512, smallest=512), repeats=1)
    # 511 bits hold 7 lanes of 72 bits; a ciphertext of 512-bit modulus takes 128 bytes
    assert rates.bytes_a_statistic == 128 / 7
    assert rates.times_phe == rates.statistics_a_second / rates.phe_values_a_second


def test_each_demand_is_judged_by_itself() -> None:
    met = replace(
        measure(generate(512, smallest=512), repeats=1),
        statistics_a_second=20_000,
        bytes_a_statistic=20.0,
        times_phe=200.0,
    )
    assert shortfalls(met) == []
    assert shortfalls(replace(met, statistics_a_second=19_999)) == ["19,999 statistics a second are fewer than 20,000"]
    assert shortfalls(replace(met, bytes_a_statistic=20.1)) == ["20.1 bytes a statistic are more than 20"]
    assert shortfalls(replace(met, times_phe=199.0)) == ["199 times the speed of phe are fewer than 200"]
