"""The arrays that a local step may see: one set of people, their design, their traits, perhaps genotypes."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from fedstats.arrays import Bools, Indices, Reals
from fedstats.genotypes import PackedBlock

#: Codes of the classes of trait values in the cohort of an accounting model; `VALUE_KNOWN` is added where the trait,
#: read as it is coded, has a value.
VALUE_CLASSES = {"missing": 0, "minus_nine": 1, "zero": 2, "one": 3, "two": 4, "other": 5}
VALUE_KNOWN = 8


@dataclass(frozen=True)
class Minority:
    """Of a column: how many people have another value than the most frequent one, and how many values there are."""

    people: int
    values: int


@dataclass(frozen=True)
class Minorities:
    """The minorities of the columns of a cohort; `local` are those of the local terms, the site's intercept apart."""

    traits: tuple[Minority, ...]
    covariates: tuple[Minority, ...]
    local: tuple[Minority, ...]


@dataclass(frozen=True)
class Cohort:
    """People of one node in one model; rows are all people of the file, in file order.

    People who are not in have `people` False and zero in every other row, so that leaving somebody out
    never moves a packed genotype. Nothing in here is missing (NaN) for people who are in.

    Attributes
    ----------
    people
        Who is in, shape (person,).
    covariates
        Raw values of the model's terms, shape (person, covariate).
    traits
        Raw values of the model's traits, binary ones as 0 and 1, shape (person, trait).
    site
        Columns with effects of the site's own, shape (person, site_term): a column of ones first where the model
        has site effects, then the local terms; no column otherwise.
    male
        Known to be male, shape (person,).
    genotypes
        The block at hand; None in steps that touch no genotype.
    """

    people: Bools
    covariates: Reals
    traits: Reals
    site: Reals
    male: Bools
    genotypes: PackedBlock | None = None

    @property
    def size(self) -> int:
        """Number of people who are in."""
        return int(self.people.sum())

    @property
    def rows(self) -> Indices:
        """File positions of the people who are in."""
        return self.people.nonzero()[0]

    @cached_property
    def minorities(self) -> Minorities:
        """How few people tell the values of each column apart; counted once, for floors are looked at every block."""
        of = [_minorities(values[self.people]) for values in (self.traits, self.covariates, self.site[:, 1:])]
        return Minorities(*of)

    def block(self) -> PackedBlock:
        """The genotype block; an error where the step was registered without genotypes."""
        if self.genotypes is None:
            raise ValueError("this step reads genotypes, and the cohort holds none")
        return self.genotypes

    def restrict(self, people: Bools) -> "Cohort":
        """The same cohort with only these people in: for laws and tests, and for males on Y."""
        kept = self.people & people
        zero = ~kept
        return replace(
            self,
            people=kept,
            covariates=_cleared(self.covariates, zero),
            traits=_cleared(self.traits, zero),
            site=_cleared(self.site, zero),
            male=self.male & kept,
        )


def minority(values: Reals) -> Minority:
    """The minority of one column, shape (person,)."""
    _, counts = np.unique(values, return_counts=True)
    return Minority(int(counts.sum() - counts.max(initial=0)), len(counts))


def _minorities(values: Reals) -> tuple[Minority, ...]:
    return tuple(minority(column) for column in values.T)


def _cleared(values: Reals, rows: Bools) -> Reals:
    cleared = values.copy()
    cleared[rows] = 0.0
    return cleared
