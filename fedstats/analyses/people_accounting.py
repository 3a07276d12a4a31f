"""People and the reasons for leaving them out: counts per trait over the federation, before anything is computed.

Additive release: how many people there are, which classes of values each trait has, who lacks a covariate, who is in.
The node runs it on the accounting model of a study, where everyone is in (see `fedstats.dataset.accounting_cohort`).
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from fedstats.additive import Additive, Count
from fedstats.arrays import Counts
from fedstats.cohort import VALUE_CLASSES, VALUE_KNOWN, Cohort
from fedstats.errors import UsageError
from fedstats.federation import Federation
from fedstats.step import Nothing, local_step
from fedstats.study import Model, Trait


@dataclass(frozen=True)
class PeopleCounts(Additive):
    """How many people have what.

    Attributes
    ----------
    everyone
        People whom the run may use.
    missing, minus_nine, zero, one, two, other
        Of them, those with that class of value, per trait.
    known
        Those whose value is not missing as the trait is coded, per trait.
    covariate_missing
        Of the known, those without some covariate, per trait.
    incomplete
        People without some covariate, whatever their traits.
    """

    everyone: Annotated[Counts, Count("one")]
    incomplete: Annotated[Counts, Count("one")]
    missing: Annotated[Counts, Count("trait")]
    minus_nine: Annotated[Counts, Count("trait")]
    zero: Annotated[Counts, Count("trait")]
    one: Annotated[Counts, Count("trait")]
    two: Annotated[Counts, Count("trait")]
    other: Annotated[Counts, Count("trait")]
    known: Annotated[Counts, Count("trait")]
    covariate_missing: Annotated[Counts, Count("trait")]

    @property
    def complete(self) -> Counts:
        """People with a value and every covariate, per trait."""
        return self.known - self.covariate_missing


@local_step("people/accounting@1")
def people_accounting(cohort: Cohort, _nothing: Nothing) -> PeopleCounts:
    """Count people by class of value and by what they lack."""
    lacking = cohort.people & (cohort.covariates == 1).any(axis=1)
    known = cohort.people[:, None] & (cohort.traits >= VALUE_KNOWN)
    classes = np.where(cohort.people[:, None], np.mod(cohort.traits, VALUE_KNOWN), np.nan)
    return PeopleCounts(
        everyone=np.array([cohort.size], np.int64),
        incomplete=np.array([lacking.sum()], np.int64),
        known=known.sum(axis=0, dtype=np.int64),
        covariate_missing=(known & lacking[:, None]).sum(axis=0, dtype=np.int64),
        **{name: (classes == code).sum(axis=0, dtype=np.int64) for name, code in VALUE_CLASSES.items()},
    )


def only_everyone(people: int) -> PeopleCounts:
    """The counts of people who need neither trait nor covariate, once it is known how many they are."""
    none = np.zeros(0, np.int64)
    at_hand = dict.fromkeys(PeopleCounts.schema(), none)
    return PeopleCounts(**{**at_hand, "everyone": np.array([people]), "incomplete": np.zeros(1, np.int64)})


def count_people(federation: Federation, model: Model) -> PeopleCounts:
    """The counts over the federation, after a check that they fit the codings that were decided.

    Raises
    ------
    UsageError
        There is nobody, or a trait has values that its coding does not know, or one value among the people of this run.
    """
    counts = federation.sum(people_accounting, model, Nothing())
    if not counts.everyone[0]:
        raise UsageError(
            "nobody at any node is among the people of this run",
            code="NO_PEOPLE",
            hint="Check the lists of --keep and --remove.",
        )
    for index, trait in enumerate(model.traits):
        _confirm(trait, {name: int(getattr(counts, name)[index]) for name in VALUE_CLASSES})
    return counts


def _confirm(trait: Trait, held: dict[str, int]) -> None:
    if trait.kind != "binary":
        return
    control, case = ("zero", "one") if trait.coding == "01" else ("one", "two")
    allowed = {"missing", "minus_nine", control, case} | ({"zero"} if trait.coding == "12" else set())
    if any(count and name not in allowed for name, count in held.items()):
        raise UsageError(
            f"trait {trait.name!r} was found to be binary ({trait.coding}), but has other values",
            code="CODING_CHANGED",
            hint="A node's data changed while the run was planned; run again.",
        )
    if not held[control] or not held[case]:
        raise UsageError(
            f"trait {trait.name!r} has one value only among the people of this run",
            code="TRAIT_CONSTANT",
            hint="Check the lists of --keep and --remove.",
        )
