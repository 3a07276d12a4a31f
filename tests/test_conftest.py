"""What tests/conftest.py sets holds where tests run."""

from hypothesis import HealthCheck, settings


def test_no_clock_decides_whether_an_example_passes():
    assert settings().deadline is None
    assert HealthCheck.too_slow in settings(max_examples=1).suppress_health_check
