import numpy as np
import pytest

from fedstats.kernels.linalg import cholesky, correlation_matrix, examine, solve_lower


def covariances(rng: np.random.Generator, size: int, variants: int) -> np.ndarray:
    """Positive definite matrices, the variant last."""
    columns = rng.normal(size=(variants, 50, size)) @ rng.normal(size=(size, size))
    return np.moveaxis(columns.transpose(0, 2, 1) @ columns, 0, -1)


@pytest.mark.parametrize("size", [1, 2, 7])
def test_factors_are_those_of_lapack(size: int) -> None:
    matrices = covariances(np.random.default_rng(1), size, 5)

    found = cholesky(matrices)

    expected = np.linalg.cholesky(np.moveaxis(matrices, -1, 0))
    np.testing.assert_allclose(np.moveaxis(found, -1, 0), expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())


def test_one_bad_matrix_leaves_the_others_alone() -> None:
    matrices = covariances(np.random.default_rng(2), 3, 3)
    matrices[2, :, 1] = matrices[:, 2, 1] = matrices[0, :, 1]
    matrices[2, 2, 1] = matrices[0, 0, 1]

    found = cholesky(matrices)

    assert np.isnan(found[2, 2, 1])
    assert np.isfinite(found[:, :, [0, 2]]).all()


def test_forward_substitution_solves_for_each_variant() -> None:
    rng = np.random.default_rng(3)
    lower = cholesky(covariances(rng, 4, 6))
    right = rng.normal(size=(4, 2, 6))

    solved = solve_lower(lower, right)

    np.testing.assert_allclose(np.einsum("ijv,jtv->itv", lower, solved), right, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.95, 0.98, 0.985, 0.9995])
def test_inflation_is_the_diagonal_of_the_inverse(share: float) -> None:
    rng = np.random.default_rng(4)
    columns = rng.normal(size=(4000, 4))
    columns[:, 3] = np.sqrt(share) * columns[:, :3].sum(axis=1) / np.sqrt(3) + np.sqrt(1 - share) * columns[:, 3]
    correlations = np.corrcoef(columns.T)

    found = examine(correlations[:3, :3, None], correlations[:3, 3:])

    assert found.vif_too_high[0] == (np.diagonal(np.linalg.inv(correlations)).max() > 50)
    assert not found.corr_too_high[0]


@pytest.mark.parametrize(("correlation", "expected"), [(0.9989, False), (0.9991, True), (-0.9991, True)])
def test_correlations_over_the_limit_are_found_on_either_side(correlation: float, expected: bool) -> None:
    pair = np.array([[1.0, 0.1], [0.1, 1.0]])[:, :, None]

    with_genotype = examine(pair, np.array([[0.05], [correlation]]))
    between = examine(np.array([[1.0, correlation], [correlation, 1.0]])[:, :, None], np.array([[0.0], [0.0]]))

    assert with_genotype.corr_too_high[0] == expected
    assert between.corr_too_high[0] == expected


def test_constant_column_has_no_correlation() -> None:
    correlations, scale = correlation_matrix(np.array([[4.0, 0.0], [0.0, 0.0]]))

    assert correlations[0, 0] == 1
    assert scale[0] == 2
    assert np.isnan(correlations[1]).all()
