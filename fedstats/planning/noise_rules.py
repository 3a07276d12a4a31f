"""What a request for noised sums (`--privacy dp`) must say, and what it cannot ask; pure, before any node is asked."""

from collections.abc import Collection, Mapping
from math import isfinite
from typing import TYPE_CHECKING

from fedstats.planning.ranges import members

if TYPE_CHECKING:
    from fedstats.planning.request import Request

#: Noise grows with the root of the number of variants; beyond this it leaves nothing.
MOST_NOISED_VARIANTS = 5000
#: The most that a run may ask to spend, and the largest delta; nodes may allow less.
LARGEST_EPSILON, LARGEST_DELTA = 10.0, 1e-6

#: Analyses that there are with noise.
_NOISED = ("gwas", "freq")

Range = tuple[float, float]


def noise_faults(request: "Request") -> list[str]:
    """Everything that is wrong with a request about noise."""
    setting = request.setting
    if request.privacy != "dp":
        given = {"--epsilon": setting.epsilon, "--delta": setting.delta, "--range": setting.ranges}
        return [f"{flag} means nothing to --privacy {request.privacy}" for flag, value in given.items() if value]
    faults = []
    if not 0 < setting.epsilon <= LARGEST_EPSILON:
        faults.append(f"--epsilon {setting.epsilon:g} is not above 0 and at most {LARGEST_EPSILON:g}")
    if not 0 < setting.delta <= LARGEST_DELTA:
        faults.append(f"--delta {setting.delta:g} is not above 0 and at most {LARGEST_DELTA:g}")
    if request.analysis not in _NOISED:
        faults.append(f"{request.analysis} is not there under --privacy dp, which has {' and '.join(_NOISED)}")
    faults += [f"--range {name} must be two numbers, LOW:HIGH" for name in _unordered(setting.ranges)]
    return faults + _not_with_noise(request)


def _unordered(ranges: Mapping[str, Range]) -> list[str]:
    return [name for name, (low, high) in ranges.items() if not (isfinite(low) and isfinite(high) and low < high)]


def _not_with_noise(request: "Request") -> list[str]:
    """Options that rest on exact sums."""
    filters = request.filters
    asked = {
        "--missing drop": request.missing != "mean",
        "--site-effects and --local-covar": request.site_effects != "none" or bool(request.local_covar),
        "--test score-refit": request.test == "score-refit",
        "--convergence plink": request.convergence == "plink",
        "--maf, --geno and --hwe": any(
            value is not None for value in (filters.maf, filters.geno, filters.hwe, filters.hwe_pooled)
        ),
        f"--pass-variants under {MOST_NOISED_VARIANTS}": request.pass_variants < MOST_NOISED_VARIANTS,
    }
    return [
        f"{option} cannot be had under --privacy dp, whose sums carry noise"
        for option, is_asked in asked.items()
        if is_asked
    ]


def ranges_by_name(ranges: Mapping[str, Range], names: Collection[str]) -> dict[str, Range]:
    """Ranges of columns by name: what was declared for `PC1-PC4` holds for each of them, an exact name wins."""
    found: dict[str, Range] = {}
    for typed, limits in ranges.items():
        for name in members(typed) if typed not in names else ():
            found[name] = limits
    found.update({typed: limits for typed, limits in ranges.items() if typed in names})
    return {name: found[name] for name in sorted(found) if name in names}
