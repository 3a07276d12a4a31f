"""What to simulate: sizes, structure, and the troubles that real data lack or hide."""

from collections.abc import Iterator
from dataclasses import dataclass

from fedstats.errors import FaultyInput, UsageError

#: Names of sites, in order; further ones are called S21, S22, ...
COUNTRIES = (
    *("FI", "EE", "NO", "SE", "DK", "LV", "LT", "PL", "DE", "NL"),
    *("BE", "FR", "ES", "PT", "IT", "AT", "CH", "CZ", "HU", "GR"),
)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A simulation; equal recipes give equal files.

    Attributes
    ----------
    sites, samples, variants, seed
        How many sites, people and variants; where the random numbers start.
    traits
        Number of quantitative traits q1, q2, ...; the binary traits b1 (balanced) and b2 (2 % cases) are always there.
    missing_rate, trait_missing_rate
        Share of genotype calls, and of values of each trait, that are missing.
    fst
        Differentiation between sites (Balding and Nichols).
    confounded
        Plant shares of cases of b1, and means of quantitative traits, that differ between sites.
    missing_by_trait
        Plant genotypes that are missing three times as often in people with a high q1.
    outlier
        Plant one person whose q1 lies 80 standard deviations out.
    controls_only
        Plant a last site without cases.
    """

    sites: int = 3
    samples: int = 6000
    variants: int = 50_000
    seed: int = 1
    traits: int = 2
    missing_rate: float = 0.005
    trait_missing_rate: float = 0.0
    fst: float = 0.01
    confounded: bool = False
    missing_by_trait: bool = False
    outlier: bool = False
    controls_only: bool = False

    @property
    def site_names(self) -> tuple[str, ...]:
        """Names of the sites."""
        return tuple(COUNTRIES[i] if i < len(COUNTRIES) else f"S{i + 1}" for i in range(self.sites))

    def check(self) -> None:
        """Refuse numbers that make no sense, and options that would change nothing.

        Raises
        ------
        UsageError
            Code BAD_RECIPE, naming every such option.
        """
        faults = [*self._out_of_range(), *self._without_effect()]
        if len(faults) == 1:
            raise UsageError(faults[0], code="BAD_RECIPE")
        if faults:
            raise FaultyInput("the simulation", faults, code="BAD_RECIPE")

    def _out_of_range(self) -> Iterator[str]:
        limits = {
            "sites": (self.sites, 1, 1000),
            "samples": (self.samples, 20 * max(self.sites, 1), 5_000_000),
            "variants": (self.variants, 100, 50_000_000),
            "traits": (self.traits, 1, 100),
            "missing-rate": (self.missing_rate, 0, 0.3),
            "trait-missing-rate": (self.trait_missing_rate, 0, 0.5),
            "fst": (self.fst, 0, 0.2),
        }
        for name, (value, least, most) in limits.items():
            if not least <= value <= most:
                yield f"--{name} is {value}; it must lie between {least} and {most}"

    def _without_effect(self) -> Iterator[str]:
        for name, planted in (("confounded", self.confounded), ("controls-only", self.controls_only)):
            if planted and self.sites == 1:
                yield f"--{name} plants a difference between sites, and there is one site"
        if self.missing_by_trait and self.missing_rate == 0:
            yield "--missing-by-trait says whose calls are missing, and with --missing-rate 0 none are"
