"""Noise on its way into the words of a pass under `dp`: drawn from a key, charged before anything is masked.

The noise of a sum is drawn from a secret of this node and from all that makes the sum what it is: the data, who is in,
the question, the roster, how much noise, and the words themselves. So the same sum has the same noise whenever and
however often it is asked, and any other sum has noise that knows nothing of it.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from fedstats.additive import Limits
from fedstats.analysis import NOISED
from fedstats.arrays import Ring
from fedstats.crash import CrashPoint
from fedstats.documents import digest
from fedstats.errors import ProtocolRefused
from fedstats.identity.signing import framed
from fedstats.planning.noise_rules import MOST_NOISED_VARIANTS
from fedstats.privacy.primitives.discrete_gaussian import discrete_gaussian
from fedstats.privacy.zcdp import epsilon_of, rho_of
from fedstats.step import Step
from fedstats.study import Model
from fedstats.wire.messages import PassOrder, Plan
from fedstats.wire.noise import multiplier_of, share_of_noise
from node_agent.locks import run_roster
from node_agent.node import Node
from node_agent.noise_ledger import Allowance, NoiseLedger
from node_agent.policy import Policy, refused

_LABEL = b"fedstats/v1/noise@1"


def no_crash(point: str) -> None:
    """Go on."""


def is_noised(plan: Plan) -> bool:
    """Whether the totals of a plan carry noise."""
    return plan.privacy == "dp"


def check_noise(policy: Policy, plan: Plan) -> None:
    """Refuse exact sums under a noised setting and noised analyses under an exact one; before any data are read.

    Raises
    ------
    Refused
        Policy rule epsilon: the plan asks for more than is allowed at all.
    ProtocolRefused
        Code NOT_NOISED.
    """
    if is_noised(plan) != (plan.study.analysis in NOISED) or is_noised(plan) != bool(plan.noise):
        raise ProtocolRefused(
            f"{plan.study.analysis!r} does not go with --privacy {plan.privacy}; nothing was sent.", code="NOT_NOISED"
        )
    if is_noised(plan) and not 0 < plan.request.setting.epsilon <= policy.epsilon:
        raise refused(
            "epsilon", f"the plan asks for epsilon {plan.request.setting.epsilon:g}, the limit is {policy.epsilon:g}"
        )


def check_budget(node: Node, plan: Plan) -> None:
    """Refuse a noised plan that this node's budget does not cover; nothing is spent by that."""
    if is_noised(plan):
        _check_plan(node, plan)
        node.noise.admit(allowance(node, plan), plan_name(plan), planned_rho(plan))


def begin_spending(node: Node, plan: Plan) -> None:
    """Remember that a noised plan begins, if there is budget for it; within the transaction of its beginning."""
    if is_noised(plan):
        node.noise.begin(allowance(node, plan), plan_name(plan), planned_rho(plan))


def _check_plan(node: Node, plan: Plan) -> None:
    setting, most = plan.request.setting, allowance(node, plan).delta
    if not 0 < setting.delta <= most:
        raise refused("epsilon", f"delta {setting.delta:g} is above {most:.3g}, the limit for this data set")
    if len(node.cohorts.variants(plan)) > MOST_NOISED_VARIANTS:
        raise refused("epsilon", f"a noised run has at most {MOST_NOISED_VARIANTS} variants")


def planned_rho(plan: Plan) -> float:
    """What a plan may spend."""
    return rho_of(plan.request.setting.epsilon, plan.request.setting.delta)


def plan_name(plan: Plan) -> str:
    """What makes two plans one, whenever they are run: all that they say but for when, by what, and how patient."""
    request = replace(plan.request, wait_seconds=0.0)
    same = replace(plan, run="", created="", versions={}, amends="", lost=(), surveys={}, request=request)
    return digest(same)


def allowance(node: Node, plan: Plan) -> Allowance:
    """What this node lets the project of a plan spend."""
    people = node.cohorts.dataset(plan.dataset).people
    return Allowance(plan.project, plan.dataset, node.policy.epsilon, people)


def noise_spent(node: Node) -> dict[str, str]:
    """What was spent of epsilon by project and data set, in words for the catalogue; nothing where noise is off.

    Every charge follows from plans, not from data, so that it may be told to the digit.
    """
    if not node.policy.epsilon:
        return {}
    own = [(node.roster.content.federation, one.id) for one in node.settings.datasets]
    found = {}
    for project, dataset in dict.fromkeys([*own, *node.noise.accounts()]):
        if dataset in node.cohorts.registered:
            of = Allowance(project, dataset, node.policy.epsilon, node.cohorts.dataset(dataset).people)
            spent = epsilon_of(node.noise.spent(of), of.delta)
            found[f"{project}|{dataset}|epsilon"] = f"{spent:.3g} of {of.epsilon:g}"
    return found


@dataclass(frozen=True)
class Noising:
    """Noise for the asks of one pass.

    Attributes
    ----------
    question
        All that makes a sum what it is, but for the number of the ask and the words.
    """

    ledger: NoiseLedger
    allowed: Allowance
    plan: Plan
    step: Step[Any, Any]
    model: Model
    question: bytes
    key: bytes = field(repr=False)
    crash: CrashPoint = no_crash

    def __call__(self, number: int, words: Ring, sizes: Mapping[str, int]) -> Ring:
        """Words, shape (word,), of ask `number` with this node's share of the noise; charged first.

        Raises
        ------
        Refused
            Code POLICY_EPSILON.
        """
        multiplier = multiplier_of(self.plan.noise, self.model.id, self.step.name)
        share = share_of_noise(self.step, sizes, multiplier, len(self.plan.study.nodes))
        content = framed(self.question, str(number).encode(), share.sigma.tobytes(), words.tobytes())
        name = hmac.digest(self.key, framed(b"charge", content), "sha256").hex()
        self.crash("before:noise")
        self.ledger.charge(self.allowed, plan_name(self.plan), planned_rho(self.plan), name, share.rho)
        self.crash("after:noise")
        drawn = discrete_gaussian(share.sigma, hmac.digest(self.key, framed(b"draw", content), "sha256"))
        noised: Ring = words + drawn.view(words.dtype)
        return noised


def noising(node: Node, plan: Plan, order: PassOrder, step: Step[Any, Any], model: Model) -> Noising:
    """The noise of a pass."""
    registered = node.cohorts.dataset(plan.dataset)
    question = framed(
        *(
            part.encode()
            for part in (plan.dataset, registered.fingerprint, run_roster(plan), plan.panel, digest(model))
        ),
        *(part.encode() for part in (plan.request.people, plan.request.people_as, order.step, order.asks)),
        step.release.schema_digest().encode(),
        repr(Limits()).encode(),
    )
    key = hmac.digest(node.cohorts.key, _LABEL, "sha256")
    return Noising(node.noise, allowance(node, plan), plan, step, model, question, key, node.crash)
