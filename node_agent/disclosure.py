"""The last look at a release before it is protected: a pure function of the release, its cohort, its model and floors.

After masking nobody can check anything, so this is where floors bind, whatever was planned or promised before.
"""

from dataclasses import dataclass

import numpy as np

from fedstats.additive import Additive, Field
from fedstats.cohort import Cohort
from fedstats.errors import DisclosureRefused
from fedstats.planning.column_floors import too_few, too_few_of_a_sex
from fedstats.study import Floors, Model

#: Who is too few, by rule.
_WHO = {"min_arm": "cases or controls", "min_level": "people of a level or value"}


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
    by_sex = any(name.startswith("male_") for name in release.schema()) and model.kind == "x"
    for reason in (
        *too_few(cohort.minorities, model, floors),
        *(too_few_of_a_sex(cohort, model, floors) if by_sex else ()),
    ):
        raise _below(int(reason.limit), reason.rule, f"{_WHO[reason.rule]} of {reason.subject!r}")


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


def _parameters(people: int, model: Model, floors: Floors) -> None:
    if len(model.terms) + len(model.local_terms) + 1 > floors.parameters_per_person * people:
        raise DisclosureRefused(
            f"policy rule parameters_per_person: model {model.id} has more columns per person than "
            f"{floors.parameters_per_person:g}; nothing was sent.",
            code="FLOOR_PARAMETERS_PER_PERSON",
        )


def _at_least(found: int, floor: int, rule: str, what: str) -> None:
    if found < floor:
        raise _below(floor, rule, what)


def _below(floor: int, rule: str, what: str) -> DisclosureRefused:
    return DisclosureRefused(
        f"policy rule {rule}: {what} are fewer than {floor}; nothing was sent.", code=f"FLOOR_{rule.upper()}"
    )
