"""The last look at a release before it is protected: a pure function of the release, its cohort, its model and floors.

After masking nobody can check anything, so this is where floors bind, whatever was planned or promised before.
"""

from dataclasses import dataclass

import numpy as np

from fedstats.additive import Additive, Field
from fedstats.arrays import Reals
from fedstats.cohort import Cohort
from fedstats.errors import DisclosureRefused
from fedstats.study import Floors, Model


@dataclass(frozen=True)
class Ask:
    """What a release answers.

    Attributes
    ----------
    nodes
        How many nodes its sum is over.
    parameters
        What the step was given; counts over all nodes are among it where the step rests on them.
    noised
        Whether noise is added before it leaves: then no count admits a variant, for none is exact.
    """

    nodes: int
    parameters: object
    noised: bool = False


def review(release: Additive, cohort: Cohort, model: Model, floors: Floors, ask: Ask | None = None) -> None:
    """Refuse a release that rests on too few people, carriers or nodes, or that has a row for each person.

    Everything that is not a plain count of genotypes needs enough minor alleles, at enough nodes: that follows from
    the schema, so that a new step which forgets to ask for them sends nothing.

    Raises
    ------
    DisclosureRefused
        Naming the rule and its limit, never how far the data are from it.
    """
    _at_least(cohort.size, floors.min_people, "min_people", f"people of model {model.id}")
    if any("person" in declared.dims for declared in release.schema().values()):
        raise DisclosureRefused("a release has a dimension of people; nothing was sent.", code="FLOOR_PERSON")
    if ask is not None:
        _at_least(ask.nodes, floors.min_nodes, "min_nodes", "nodes of the sum")
        if not ask.noised and any(_tells_of_few(declared) for declared in release.schema().values()):
            _carriers(ask.parameters, floors)
    if model.accounting:
        return
    if model.traits:
        _parameters(cohort.size, model, floors)
    for index, trait in enumerate(model.traits):
        if trait.kind == "binary":
            arm = _smaller_arm(cohort, cohort.traits[:, index])
            _at_least(arm, floors.min_arm, "min_arm", f"cases or controls of {trait.name!r}")
    for index, term in enumerate(model.terms):
        if term.indicator:
            level = _smaller_arm(cohort, cohort.covariates[:, index])
            # A level that nobody here has tells nothing of anybody.
            if level:
                _at_least(level, floors.min_level, "min_level", f"people of the level {term.name!r}")


def _tells_of_few(declared: Field) -> bool:
    """Whether a field tells more of a variant than how many people of the model have which genotype."""
    return "variant" in declared.dims and (declared.representation != "count" or len(declared.dims) > 1)


def _carriers(parameters: object, floors: Floors) -> None:
    """Refuse variants that too few people carry, by the counts over all nodes that the step was given."""
    for name, floor, rule, what in (
        ("minor_count", floors.min_mac, "min_mac", "minor alleles of a variant"),
        ("carrier_nodes", floors.min_carrier_nodes, "min_carrier_nodes", "nodes with a carrier of a variant"),
    ):
        counts = np.asarray(getattr(parameters, name, -1))
        _at_least(int(counts.min(initial=floor)), floor, rule, what)


def _smaller_arm(cohort: Cohort, values: Reals) -> int:
    ones = int(np.count_nonzero(values[cohort.people]))
    return min(ones, cohort.size - ones)


def _parameters(people: int, model: Model, floors: Floors) -> None:
    if len(model.terms) + len(model.local_terms) + 1 > floors.parameters_per_person * people:
        raise DisclosureRefused(
            f"policy rule parameters_per_person: model {model.id} has more columns per person than "
            f"{floors.parameters_per_person:g}; nothing was sent.",
            code="FLOOR_PARAMETERS_PER_PERSON",
        )


def _at_least(found: int, floor: int, rule: str, what: str) -> None:
    if found < floor:
        raise DisclosureRefused(
            f"policy rule {rule}: {what} are fewer than {floor}; nothing was sent.", code=f"FLOOR_{rule.upper()}"
        )
