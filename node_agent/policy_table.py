"""Every floor, budget and default of a policy in one table: what `node.toml` and the guide say of each key."""

from collections.abc import Iterator
from dataclasses import fields

from fedstats.privacy.zcdp import LARGEST_EPSILON
from node_agent.policy import ANALYSES, HARD_FLOORS, MOST_PER_PERSON, PRIVACY, UNLIMITED, VALIDATION, Policy

#: What each key limits, for `node.toml` and the guide; those that a new file spells out come first.
WHY = {
    "min_people": "people of a model, at this node",
    "min_arm": "cases, and controls, at this node; people with either value of a trait that has two",
    "min_level": "people here of a level, or with other than a column's most frequent value; men, others, apart on X",
    "min_nodes": "nodes of a run",
    "min_mac": "minor alleles of a variant, over all nodes",
    "min_missing": "missing calls for '--missing drop', over all nodes",
    "parameters_per_person": "design columns per person of a model, and of a project's models that share people",
    "numbers_per_person": "numbers of a variant that a project may ever be given, per person of the sum",
    "epsilon": "the most that a project may spend on a data set under dp",
    "max_queries": "runs of a project that may ever begin; 0 = no limit",
    "max_people_lists": "lists of people (--keep, --remove) that a project may ever name; 0 = no limit",
    "projects": "names that may be charged beside the federation's own",
    "allow_drop": "needs a reason, as every allow_",
    "allow_two_nodes": "two nodes have no protection from each other",
    "allow_site_effects": "site effects, eliminated here",
    "allow_unmasked_paillier": "--paillier-masks off: coordinator and key holder together could read this node's sums",
    "continue_without_me": "whether a run may go on if this node is lost; the difference shows its sums",
    "approval": "plans that this policy allows are accepted",
    "coordinators": "names in the roster; none named = all of them",
    "reason": "why plain or an allow_ is set; printed in results",
}
_OF_NAMES = {
    "analyses": "analyses that are allowed; nothing is unless it is named",
    "privacy": "privacy settings that are allowed; `plain` needs a reason, `dp` an `epsilon`",
    "preset": "`validation` sets every floor aside, for public data in a sandbox on loopback only",
}
_MOST = {**MOST_PER_PERSON, "epsilon": LARGEST_EPSILON}


def table() -> str:
    """The table of the guide, in Markdown; a test compares the guide with it."""
    lines = ["| key | default | no node may go | `validation` | limits |", "|---|---|---|---|---|"]
    return "\n".join([*lines, *_rows()]) + "\n"


def _rows() -> Iterator[str]:
    default = Policy()
    for entry in fields(Policy):
        key = entry.name
        beyond = f"below {HARD_FLOORS[key]}" if key in HARD_FLOORS else f"above {_MOST[key]:g}" if key in _MOST else ""
        relaxed = _word(VALIDATION[key]) if key in VALIDATION else ""
        why = {**_OF_NAMES, **WHY}[key]
        yield f"| `{key}` | {_word(getattr(default, key))} | {beyond} | {relaxed} | {why} |"


def _word(value: object) -> str:
    if value in (ANALYSES, PRIVACY):
        return "all"
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    if isinstance(value, bool):
        return str(value).lower()
    return "no limit" if value == UNLIMITED else f"{value:g}" if isinstance(value, float) else str(value) or "none"
