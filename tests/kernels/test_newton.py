"""Newton steps for many problems at once, against numpy's solvers one problem at a time."""

import numpy as np
import pytest

from fedstats.kernels.newton import border, bordered_steps, damped, newton_steps, pair_indices, unpack


@pytest.fixture
def problems() -> tuple[np.ndarray, np.ndarray]:
    """Scores and positive definite information matrices of 30 problems with 5 coefficients on unlike scales."""
    rng = np.random.default_rng(5)
    columns = rng.normal(size=(30, 60, 5)) * np.array([1.0, 1e3, 1e-3, 10.0, 1.0])
    return rng.normal(size=(30, 5)), np.einsum("jia,jib->jab", columns, columns)


def test_steps_are_those_of_a_dense_solver(problems):
    score, information = problems

    found = newton_steps(score, information)

    # Condition numbers here reach 1e12 unscaled, so numpy's own answer is good to 1e-9 only after scaling.
    expected = np.stack([np.linalg.solve(h, s) for h, s in zip(information, score, strict=True)])
    np.testing.assert_allclose(found.step, expected, rtol=1e-9)


def test_decrement_is_score_times_step(problems):
    score, information = problems

    found = newton_steps(score, information)

    np.testing.assert_allclose(found.decrement, (score * found.step).sum(axis=1), rtol=1e-10)


def test_variance_is_the_last_element_of_the_inverse(problems):
    score, information = problems

    found = newton_steps(score, information)

    np.testing.assert_allclose(found.variance, np.linalg.inv(information)[:, -1, -1], rtol=1e-9)


def test_a_singular_problem_is_flagged_and_leaves_its_neighbours_alone(problems):
    score, information = problems
    broken = information.copy()
    broken[3, :, 4], broken[3, 4, :] = broken[3, :, 2], broken[3, 2, :]
    broken[3, 4, 4] = broken[3, 2, 2]

    found, whole = newton_steps(score, broken), newton_steps(score, information)

    assert not found.solved[3]
    assert np.isnan(found.variance[3])
    np.testing.assert_array_equal(np.delete(found.step, 3, axis=0), np.delete(whole.step, 3, axis=0))


def test_a_column_without_information_is_flagged(problems):
    score, information = problems
    broken = information.copy()
    broken[0, 4], broken[0, :, 4] = 0.0, 0.0

    assert newton_steps(score, broken).solved.tolist() == [False] + [True] * 29


def test_packing_and_unpacking_is_the_identity(problems):
    information = problems[1]
    rows, columns = pair_indices(5)

    np.testing.assert_array_equal(unpack(information[:, rows, columns], 5), information)


def test_a_bordered_matrix_is_the_whole_matrix(problems):
    information = problems[1]

    whole = border(information[:, :4, :4], information[:, :4, 4], information[:, 4, 4])

    np.testing.assert_array_equal(whole, information)


@pytest.fixture
def bordered() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Problems with one inner matrix: a genotype of each beside the same columns on unlike scales."""
    rng = np.random.default_rng(6)
    columns, genotypes = rng.normal(size=(60, 4)) * np.array([1.0, 1e3, 1e-3, 10.0]), rng.binomial(2, 0.3, (30, 60))
    return columns.T @ columns, genotypes @ columns, (genotypes**2).sum(axis=1) * 1.0, rng.normal(size=(30, 5))


def test_steps_of_bordered_matrices_are_those_of_whole_ones(bordered):
    inner, cross, corner, score = bordered

    found, whole = bordered_steps(inner, cross, corner, score), newton_steps(score, border(inner, cross, corner))

    assert found.solved.all()
    for name in ("step", "decrement", "variance"):
        np.testing.assert_allclose(getattr(found, name), getattr(whole, name), rtol=1e-11, err_msg=name)


@pytest.mark.parametrize("fault", ["same as a column", "nobody", "inner"])
def test_bordered_matrices_without_a_solution_are_flagged_alone(bordered, fault):
    inner, cross, corner, score = (values.copy() for values in bordered)
    if fault == "inner":
        inner[1], inner[:, 1] = inner[0], inner[:, 0]
        inner[1, 1] = inner[0, 1] = inner[1, 0] = inner[0, 0]
        cross[:] = 0.0  # each last row by itself is sound
    else:
        cross[3], corner[3] = (inner[2], inner[2, 2]) if fault == "same as a column" else (0.0, 0.0)

    found, whole = bordered_steps(inner, cross, corner, score), newton_steps(score, border(inner, cross, corner))

    assert found.solved.tolist() == whole.solved.tolist()
    assert found.solved.sum() == (0 if fault == "inner" else 29)
    assert np.isnan(found.variance[3])
    assert not found.step[3].any()
    assert found.decrement[3] == np.inf


def test_steps_are_shortened_as_a_whole():
    step = np.array([[9.0, 0.0, 0.5, 8.0], [9.0, 3.0, 4.0, 1.0], [9.0, 0.1, 0.1, 1.0]])

    # The effect may move by 2, the covariates by 1, and the third step is within both.
    np.testing.assert_allclose(damped(step), step * np.array([[1 / 4], [1 / 5], [1.0]]), rtol=1e-15)
