"""What noised sums tell of one person: zero-concentrated differential privacy (zCDP), composed and converted.

A release with discrete Gaussian noise of parameter sigma, of which one person who joins or leaves changes the whole by
at most s in Euclidean length, is rho-zCDP with rho = s^2 / (2 sigma^2) [1]_. Rhos of releases add up, whatever each
was asked after seeing the others; the sum is converted once into an epsilon at some delta.

Noise comes in shares: each node adds its own, so that nobody knows all of it. `honest` shares are assumed to be
unknown to whoever attacks. Under masks a total opens only with the words of every node, so that shares are never
missing; what an attacker can take off are the shares of colluding nodes alone. A sum of discrete Gaussians is not
quite a discrete Gaussian; the difference is bounded by `tau` [2]_ and vanishes for shares of parameter 2 or more.

References
----------
.. [1] Canonne, Kamath and Steinke (2020), The discrete Gaussian for differential privacy, theorem 4, proposition 12.
.. [2] Kairouz, Liu and Steinke (2021), The distributed discrete Gaussian mechanism for federated learning with secure
   aggregation, theorem 1 and proposition 14.
"""

from math import exp, expm1, log, log1p, pi, sqrt

#: The most that a policy may allow a project to spend on a data set; beyond it a bound says next to nothing.
LARGEST_EPSILON = 10.0
#: The most that delta may be, whatever the number of people.
LARGEST_DELTA = 1e-6


def largest_delta(people: int) -> float:
    """The most that delta may be where a data set has so many people: a tenth of a chance for one of them."""
    return min(LARGEST_DELTA, 1 / (10 * max(people, 1)))


def honest_nodes(nodes: int) -> int:
    """How many nodes' shares are taken to be unknown to an attacker: all but a third of them, at least one less.

    Every node adds a share of 1 / honest of the variance, so that a total has at most twice, and from three nodes on
    at most 1.5 times the variance that privacy needs.
    """
    return max(1, nodes - max(1, nodes // 3))


def rho_of_gaussian(sensitivity: float, sigma: float) -> float:
    """Rho of one release with noise of one source."""
    return (sensitivity / sigma) ** 2 / 2


def rho_of_shares(relative: float, words: int, share: float, honest: int) -> float:
    """Rho of a release of several words whose noise is the sum of `honest` discrete Gaussians in each.

    Parameters
    ----------
    relative
        The most that one person changes the release, in units of the standard deviation of the honest noise:
        the root of the sum, over words, of (change / standard deviation)^2.
    words
        How many words the release has.
    share
        Smallest parameter of one node's noise among the words, in integer units.
    honest
        How many shares.
    """
    return (relative + tau(share, honest) * sqrt(words)) ** 2 / 2


def tau(share: float, honest: int) -> float:
    """How far a sum of `honest` discrete Gaussians of parameter `share` is from one, per word (0 for a single one)."""
    return 10 * sum(exp(-2 * (pi * share) ** 2 * k / (k + 1)) for k in range(1, honest))


def epsilon_of(rho: float, delta: float) -> float:
    """The epsilon that rho-zCDP gives at some delta; never too small.

    Notes
    -----
    The bound holds at every order alpha > 1; the best is looked for, and any other would only be larger.
    """
    if rho <= 0:
        return 0.0
    # The bound is convex in its middle; a search by thirds over log(alpha - 1) finds the bottom.
    low, high = log(1e-6), log(1e6 + 10 * sqrt(log(1 / delta) / rho))
    while high - low > 1e-9:
        left, right = low + (high - low) / 3, high - (high - low) / 3
        if _epsilon_at(left, rho, delta) < _epsilon_at(right, rho, delta):
            high = right
        else:
            low = left
    return max(0.0, _epsilon_at(low, rho, delta))


def _epsilon_at(log_excess: float, rho: float, delta: float) -> float:
    excess = exp(log_excess)  # alpha - 1
    alpha = 1 + excess
    return alpha * rho + (-log(delta) - log(alpha)) / excess - log1p(1 / excess)


def rho_of(epsilon: float, delta: float) -> float:
    """The largest rho whose epsilon at delta is at most `epsilon`; never too large."""
    if epsilon <= 0:
        return 0.0
    low, high = 0.0, epsilon
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        if epsilon_of(middle, delta) <= epsilon:
            low = middle
        else:
            high = middle
    return low


def delta_of_gaussian(mu: float, epsilon: float) -> float:
    """Delta at epsilon of one continuous Gaussian release of sensitivity / sigma = mu, exactly: for comparisons.

    References
    ----------
    .. [1] Balle and Wang (2018), Improving the Gaussian mechanism for differential privacy, theorem 8.
    """
    from scipy.special import log_ndtr

    if mu <= 0:
        return 0.0
    upper, lower = log_ndtr(mu / 2 - epsilon / mu), epsilon + log_ndtr(-mu / 2 - epsilon / mu)
    return float(exp(upper) * -expm1(lower - upper))
