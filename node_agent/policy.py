"""The policy of one institution: what it allows, under which floors. What is not allowed here is refused.

Hard floors that no configuration of a real node can undercut stand in `HARD_FLOORS`; the preset "validation" sets
them aside and loads only where no person could be harmed (see `config`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import fedstats.analyses  # noqa: F401  # registers every analysis
from fedstats.analysis import ANALYSES as REGISTERED
from fedstats.analysis import NOISED, NOISED_SUFFIX
from fedstats.config_reading import value_like
from fedstats.errors import Refused
from fedstats.identity.checks import key_faults
from fedstats.privacy.zcdp import LARGEST_EPSILON
from fedstats.study import Floors, Study
from fedstats.wire.messages import Plan

#: Every analysis that this version knows; one that is allowed is allowed with noise, too, where `dp` is.
ANALYSES = tuple(name for name in REGISTERED if name not in NOISED)
PRIVACY = ("masked", "plain", "paillier", "dp")

#: The least that a real node may set each floor to (decision E4).
HARD_FLOORS = {"min_people": 50, "min_arm": 10, "min_level": 5, "min_nodes": 3, "min_mac": 5, "min_missing": 5}
TWO_NODES = 2
#: The most that a real node may allow, a person. A third of a column for each person of a sum gives much away already
#: (tests/attacks/test_inversion.py), and so does one number of a variant for each person of one in three nodes.
MOST_PER_PERSON = {"parameters_per_person": 0.1, "numbers_per_person": 1.0}
#: A limit a person where there is none; a document holds no infinity.
UNLIMITED = 1e9

#: What may be allowed beside the analyses; each needs a reason.
_ALLOWANCES = ("allow_drop", "allow_two_nodes", "allow_site_effects", "allow_unmasked_paillier")

NOTHING_SENT = "Nothing was sent."


@dataclass(frozen=True)
class Policy:
    """Keys of [policy] with their defaults.

    Attributes
    ----------
    preset
        "" or "validation".
    analyses, privacy
        Names that are allowed; no analysis unless said, and of the privacy settings "masked".
    min_people, min_arm, min_level
        Fewest people of a model, of cases and of controls, of a level of a category.
    min_nodes
        Fewest nodes in a run; 2 with `allow_two_nodes` unless said.
    min_mac, min_missing
        Fewest minor alleles, over all nodes, for a variant to be analysed; fewest missing calls for `drop`.
    parameters_per_person
        Most design columns, intercept included, per person of a model; and most columns, traits included, that a
        project may ever have multiplied into genotypes, per person of all models that share people.
    numbers_per_person
        Most numbers that a project may ever be given of a variant, per person of the sum.
    epsilon
        Most that a project may ever spend on a data set under `dp`, which needs it to be above 0.
    max_queries
        Most runs that may ever begin in a project, 0 for no limit.
    max_people_lists
        Most lists of people (`--keep`, `--remove`) that a project may ever name, 0 for no limit.
    projects
        Names of projects that may be charged, beside the federation's own.
    allow_drop, allow_two_nodes, allow_site_effects
        `--missing drop`; runs of two nodes; site effects eliminated here.
    allow_unmasked_paillier
        `--paillier-masks off`: coordinator and key holder together could read this node's sums.
    continue_without_me
        Whether a run may go on without this node if it is lost, although the difference shows its sums.
    approval
        "auto": a plan that the policy allows is accepted.
    coordinators
        Names of coordinators of the roster that may ask; all where empty.
    reason
        Why `plain` or an `allow_` is set; printed in results.
    """

    preset: str = ""
    analyses: tuple[str, ...] = ()
    privacy: tuple[str, ...] = ("masked",)
    min_people: int = 100
    min_arm: int = 20
    min_level: int = 10
    min_nodes: int = 3
    min_mac: int = 20
    min_missing: int = 10
    parameters_per_person: float = 0.05
    numbers_per_person: float = 0.5
    epsilon: float = 0.0
    max_queries: int = 1000
    max_people_lists: int = 50
    projects: tuple[str, ...] = ()
    allow_drop: bool = False
    allow_two_nodes: bool = False
    allow_site_effects: bool = False
    allow_unmasked_paillier: bool = False
    continue_without_me: bool = False
    approval: str = "auto"
    coordinators: tuple[str, ...] = ()
    reason: str = ""

    @property
    def validation(self) -> bool:
        """Whether this is the preset for public data on loopback."""
        return self.preset == "validation"

    def floors(self) -> Floors:
        """The floors that this policy sets for a run."""
        of_carriers = 1 if self.validation else 2
        return Floors(
            min_people=self.min_people,
            min_arm=self.min_arm,
            min_level=self.min_level,
            min_nodes=self.min_nodes,
            min_mac=self.min_mac,
            min_carrier_nodes=of_carriers,
            min_missing=self.min_missing,
            min_missing_nodes=of_carriers,
            parameters_per_person=self.parameters_per_person,
            validation=self.validation,
        )

    def described(self) -> dict[str, str]:
        """The policy as words for the catalogue."""
        return {entry.name: _word(getattr(self, entry.name)) for entry in fields(self)}


def _word(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(value)
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


#: What the preset "validation" sets; keys of the file stand over it.
VALIDATION: Mapping[str, Any] = {
    "analyses": ANALYSES,
    "privacy": PRIVACY,
    **dict.fromkeys(("min_people", "min_arm", "min_level", "min_mac", "min_missing"), 1),
    **dict.fromkeys(MOST_PER_PERSON, UNLIMITED),
    "epsilon": LARGEST_EPSILON,
    "max_queries": 0,
    "max_people_lists": 0,
    "allow_drop": True,
    "allow_site_effects": True,
    "allow_unmasked_paillier": True,
    "reason": "validation on public data",
}


@dataclass
class _Reading:
    """A [policy] table while it is read: what was found wrong so far."""

    table: Mapping[str, Any]
    faults: list[str] = field(default_factory=list)


def read_policy(table: Mapping[str, Any]) -> tuple[Policy, list[str]]:
    """The policy of a [policy] table, and every fault of the table; with faults, the policy is the default one."""
    known = {entry.name: entry for entry in fields(Policy)}
    reading = _Reading(table, key_faults(table, tuple(known), (), "[policy]"))
    preset = table.get("preset", "")
    if preset not in ("", "validation"):
        reading.faults.append(f"[policy] preset: {preset!r} is not known; there is 'validation', or no preset")
    values = dict(VALIDATION) if preset == "validation" else {}
    for name in known.keys() & table.keys():
        found = _value(reading, name, getattr(Policy, name, ()))
        if found is not None:
            values[name] = found
    if values.get("allow_two_nodes") and "min_nodes" not in table:
        values["min_nodes"] = TWO_NODES
    policy = Policy(**values)
    faults = reading.faults + _rule_faults(policy) if not reading.faults else reading.faults
    return (Policy() if faults else policy), faults


def _value(reading: _Reading, name: str, default: object) -> Any:
    """A value of the type of its default, or None and a fault."""
    value, wanted = value_like(default, reading.table[name])
    if wanted:
        reading.faults.append(f"[policy] {name} must be {wanted}")
    return value


def _rule_faults(policy: Policy) -> list[str]:
    faults = [f"[policy] analyses: {name!r} is not one of {', '.join(ANALYSES)}" for name in _strange(policy)]
    odd = [one for one in policy.privacy if one not in PRIVACY]
    faults += [f"[policy] privacy: {one!r} is not one of {', '.join(PRIVACY)}" for one in odd]
    if policy.approval != "auto":
        faults.append(f"[policy] approval: {policy.approval!r} is not known; this version has 'auto'")
    if not 0 <= policy.epsilon <= LARGEST_EPSILON:
        faults.append(f"[policy] epsilon must lie between 0 and {LARGEST_EPSILON:g}, beyond which it protects nobody")
    if "dp" in policy.privacy and not policy.epsilon:
        faults.append('[policy] privacy: "dp" needs epsilon, the most that a project may spend on a data set')
    faults += [
        f"[policy] {name} must not be negative; 0 sets no limit"
        for name in ("max_queries", "max_people_lists")
        if getattr(policy, name) < 0
    ]
    faults += _floor_faults(policy)
    faults += [f"[policy] {name} needs a reason, which every result prints" for name in _in_need_of_reason(policy)]
    return faults


def _strange(policy: Policy) -> list[str]:
    return [name for name in policy.analyses if name not in ANALYSES]


def _floor_faults(policy: Policy) -> list[str]:
    hard: dict[str, int] = dict.fromkeys(HARD_FLOORS, 1) if policy.validation else dict(HARD_FLOORS)
    hard["min_nodes"] = TWO_NODES if policy.allow_two_nodes else HARD_FLOORS["min_nodes"]
    faults = [
        f"[policy] {name} = {getattr(policy, name)} is below {least}, which no configuration may undercut"
        for name, least in hard.items()
        if getattr(policy, name) < least
    ]
    for name, limit in MOST_PER_PERSON.items():
        most = UNLIMITED if policy.validation else limit
        if not 0 < getattr(policy, name) <= most:
            faults.append(f"[policy] {name} must lie above 0 and at most at {most:g}")
    return faults


def _in_need_of_reason(policy: Policy) -> list[str]:
    if policy.reason.strip():
        return []
    wanting = [f'privacy = "{one}"' for one in policy.privacy if one == "plain"]
    return wanting + [name for name in _ALLOWANCES if getattr(policy, name)]


def authorise(policy: Policy, plan: Plan, coordinator: str, runs_begun: int) -> None:
    """Refuse a plan that the policy does not allow; runs before any data are read.

    `coordinator` is the name, in the roster, of who signed the plan; `runs_begun` counts other runs of its project.

    Raises
    ------
    Refused
        Naming rule and limit.
    """
    study = plan.study
    if policy.coordinators and coordinator not in policy.coordinators:
        raise refused("coordinators", f"coordinator {coordinator!r} may not ask here")
    if not allows(policy, study.analysis):
        raise refused("analyses", f"{study.analysis!r} is not among {_listed(policy.analyses)}")
    authorise_privacy(policy, plan)
    if len(study.nodes) < policy.min_nodes:
        raise refused("min_nodes", f"a run of {len(study.nodes)} nodes is smaller than {policy.min_nodes}")
    if study.missing != "mean" and not policy.allow_drop:
        raise refused("allow_drop", f"'--missing {study.missing}' is not allowed")
    if any(model.site_effects for model in study.models) and not policy.allow_site_effects:
        raise refused("allow_site_effects", "site effects are not allowed")
    if plan.project != plan.federation and plan.project not in policy.projects and not policy.validation:
        raise refused("projects", f"{plan.project!r} is neither the federation's own project nor one that is named")
    if policy.max_queries and runs_begun >= policy.max_queries:
        raise refused("max_queries", f"{policy.max_queries} runs of the project have begun, which is the limit")
    _authorise_floors(policy, study)


def allows(policy: Policy, analysis: str) -> bool:
    """Whether an analysis is allowed, by its name or by that of the one that it does with noise."""
    return analysis.removesuffix(NOISED_SUFFIX) in policy.analyses


def authorise_privacy(policy: Policy, plan: Plan) -> None:
    """Refuse a plan whose setting the policy does not allow.

    Raises
    ------
    Refused
        Naming rule and limit.
    """
    if plan.privacy not in policy.privacy:
        raise refused("privacy", f"{plan.privacy!r} is not among {_listed(policy.privacy)}")
    if plan.privacy == "paillier" and not plan.masked and not policy.allow_unmasked_paillier:
        raise refused("allow_unmasked_paillier", "'--paillier-masks off' is not allowed")


def _authorise_floors(policy: Policy, study: Study) -> None:
    """The floors of a plan are the strictest of its nodes', so none may be weaker than this node's own."""
    own = policy.floors()
    for entry in fields(Floors):
        mine, theirs = getattr(own, entry.name), getattr(study.floors, entry.name)
        if entry.name == "parameters_per_person":
            weaker = theirs > mine
        else:
            weaker = entry.name != "validation" and theirs < mine
        if weaker:
            raise refused(entry.name, f"the plan says {theirs:g} where this node's limit is {mine:g}")
    if study.floors.validation and not own.validation:
        raise refused("preset", "the plan is for validation on public data, which this node's are not said to be")


def refused(rule: str, why: str) -> Refused:
    """A refusal that names the rule and says that nothing was sent."""
    return Refused(f"policy rule {rule}: {why}. {NOTHING_SENT}", code=f"POLICY_{rule.upper()}")


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names) if names else "the allowed (none)"
