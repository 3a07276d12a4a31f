"""Logistic regression written for the eye: loops and dense arrays in float64, no code shared with fedstats."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class NaiveSums:
    """Gradient, negative Hessian and log-likelihood of one variant; the genotype is the last column."""

    score: np.ndarray
    information: np.ndarray
    log_likelihood: float


def expit(eta: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-eta)), by the branch that cannot overflow."""
    small = np.exp(-np.abs(eta))
    return np.where(eta >= 0, 1 / (1 + small), small / (1 + small))


def sums(columns: np.ndarray, outcome: np.ndarray, beta: np.ndarray) -> NaiveSums:
    """Score and information at beta; columns (person, coefficient)."""
    eta = columns @ beta
    mu = expit(eta)
    return NaiveSums(
        columns.T @ (outcome - mu),
        (columns * (mu * (1 - mu))[:, None]).T @ columns,
        float((outcome * eta - np.logaddexp(0.0, eta)).sum()),
    )


def fit(columns: np.ndarray, outcome: np.ndarray, rounds: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients and covariance at the maximum, by Newton with halving on the log-likelihood."""
    beta = np.zeros(columns.shape[1])
    at = sums(columns, outcome, beta)
    for _ in range(rounds):
        step = np.linalg.solve(at.information, at.score)
        new = sums(columns, outcome, beta + step)
        while new.log_likelihood < at.log_likelihood - 1e-9:
            step = step / 2
            new = sums(columns, outcome, beta + step)
        beta, at = beta + step, new
        if np.abs(step).max() < 1e-13:
            break
    return beta, np.linalg.inv(at.information)


def glm_fit(columns: np.ndarray, outcome: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients and standard errors as R's stats::glm.fit has them: weighted regressions of working responses.

    After its source in R 4.2: mustart = (y + 0.5) / 2, epsilon = 1e-8 on the relative change of the deviance, and
    standard errors from the weights of the last regression, which are those of the coefficients before it.
    """
    mu = (outcome + 0.5) / 2
    eta, deviance = np.log(mu / (1 - mu)), np.inf
    for _ in range(25):
        weight = mu * (1 - mu)
        working = eta + (outcome - mu) / weight
        root = np.sqrt(weight)
        beta = np.linalg.lstsq(columns * root[:, None], working * root, rcond=None)[0]
        errors = np.sqrt(np.linalg.inv((columns * weight[:, None]).T @ columns).diagonal())
        eta = columns @ beta
        mu, before = expit(eta), deviance
        deviance = -2 * (outcome * eta - np.logaddexp(0.0, eta)).sum()
        if abs(deviance - before) / (abs(deviance) + 0.1) < 1e-8:
            break
    return beta, errors


def score_test(covariates: np.ndarray, genotype: np.ndarray, outcome: np.ndarray) -> tuple[float, float]:
    """U / V and 1 / sqrt(V) of the efficient score at the fit without the genotype; covariates with the intercept."""
    beta, covariance = fit(covariates, outcome)
    mu = expit(covariates @ beta)
    w = mu * (1 - mu)
    cross = covariates.T @ (w * genotype)
    variance = (w * genotype**2).sum() - cross @ covariance @ cross
    return float((genotype * (outcome - mu)).sum() / variance), float(variance**-0.5)
