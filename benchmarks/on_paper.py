"""On paper: what a million people, twenty million variants and fifteen nodes cost, from what was measured.

    python -m benchmarks.on_paper

Costs are sums of terms that are fitted to the points of the growth benchmark with no term below zero:

    agents' CPU   = k people variants + a + b nodes + c nodes variants
    client's CPU  = a + b nodes + c variants + d nodes variants
    bytes a node  = a + b nodes + c variants
    agent's MiB   = a + b (people a node) + c (variants under way) + d variants
    client's MiB  = a + b (variants under way) + c variants

Under way at a time are the chunks in flight at nodes, and at the client one more, whose rows are written.
k, what a genotype costs, is measured by itself: it is the time of the kernel task over its genotypes.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from benchmarks.records import Record, kept, newest
from fedstats.coordinator.runner import CHUNKS_IN_FLIGHT
from fedstats.study import LARGEST_PASS

#: What is said of figures from `--quick`.
QUICK = (
    "**A check of the arithmetic, not an estimate**: from small data (`--quick`), all of it below one pass of "
    f"{LARGEST_PASS:,} variants, where start-up hides the slopes of time, and memory that a pass bounds looks as if it "
    "grew.\n\n"
)
#: Tasks that are the same scan as the points of growth, and larger.
LARGER = ("linear", "linear-large")
#: The same with so many variants that passes under way are few of them, for memory.
LARGEST = ("million", "millions")

Term = tuple[str, Callable[[dict[str, float]], float]]

FIXED: Term = ("fixed", lambda _: 1.0)
NODES: Term = ("nodes", lambda at: at["nodes"])
VARIANTS: Term = ("variants", lambda at: at["variants"])
NODES_VARIANTS: Term = ("nodes x variants", lambda at: at["nodes"] * at["variants"])
GENOTYPES: Term = ("people x variants", lambda at: at["people"] * at["variants"])
UNDER_WAY: Term = ("variants under way", lambda at: min(at["variants"], CHUNKS_IN_FLIGHT * LARGEST_PASS))
AT_THE_CLIENT: Term = ("variants under way", lambda at: min(at["variants"], (CHUNKS_IN_FLIGHT + 1.0) * LARGEST_PASS))
PEOPLE_HERE: Term = ("people at a node", lambda at: at["people"] / at["nodes"])

#: A link of the coordinator that is common, in bytes a second: 1 Gbit/s.
LINK = 125e6
#: What an agent and a coordinator may hold, MiB.
AGENT_LIMIT, CLIENT_LIMIT = 300, 500


@dataclass(frozen=True)
class Law:
    """A cost as a sum of terms, fitted to points."""

    terms: tuple[Term, ...]
    weights: tuple[float, ...]
    worst: float

    def at(self, where: dict[str, float]) -> float:
        """The cost there."""
        return sum(weight * term(where) for weight, (_, term) in zip(self.weights, self.terms, strict=True))

    def heaviest(self, where: dict[str, float]) -> str:
        """Name of the term that costs most there, of those that grow."""
        weighed = {name: weight * term(where) for weight, (name, term) in zip(self.weights, self.terms, strict=True)}
        return max((name for name in weighed if name != FIXED[0]), key=lambda name: weighed[name])

    def __str__(self) -> str:
        parts = (f"{weight:.3g} x {name}" for weight, (name, _) in zip(self.weights, self.terms, strict=True))
        return f"{' + '.join(parts)}   (furthest point {self.worst:.0%} off)"


@dataclass(frozen=True)
class Laws:
    """All costs."""

    agents_cpu: Law
    client_cpu: Law
    to_node: Law
    from_node: Law
    agent_memory: Law
    client_memory: Law


@dataclass(frozen=True)
class Estimate:
    """Hours, bytes and memory of one run."""

    node_hours: float
    client_hours: float
    link_hours: float
    to_node: float
    from_node: float
    agent_memory: float
    client_memory: float
    agent_holds: str
    client_holds: str


def law(terms: Sequence[Term], points: Sequence[dict[str, float]], costs: Sequence[float]) -> Law:
    """Fit weights of at least zero; each point counts by its relative error."""
    matrix = np.array([[term(at) for _, term in terms] for at in points])
    wanted = np.maximum(np.asarray(costs, np.float64), 1e-9)
    scale = np.abs(matrix).max(axis=0)
    weights, _ = nnls(matrix / scale / wanted[:, None], np.ones(len(wanted)))
    weights = weights / scale
    worst = float(np.abs(matrix @ weights / wanted - 1).max())
    return Law(tuple(terms), tuple(map(float, weights)), worst)


def laws(records: Sequence[Record]) -> Laws:
    """Fit all laws to the points that have ten covariates and one trait, and to the linear tasks beside them.

    Raises
    ------
    ValueError
        The growth of people, variants or nodes was not measured.
    """
    axes = ("people", "variants", "nodes")
    some = [record for record in records if record.kind == "growth" and record.name in axes]
    missing = [axis for axis in axes if sum(record.name == axis for record in some) < 2]
    if missing:
        raise ValueError(f"growth in {', '.join(missing)} was not measured; run: python -m benchmarks --task growth")
    ours = [r for r in records if r.program == "fedstats" and r.at["missing"]]
    some += [record for record in ours if record.name in LARGER]
    for_memory = [*some, *(record for record in ours if record.name in LARGEST)]
    at = [record.at for record in some]

    def fit(terms: Sequence[Term], cost: Callable[[Record], float], points: Sequence[Record] = some) -> Law:
        return law(terms, [record.at for record in points], [cost(record) for record in points])

    return Laws(
        _with_kernel(genotype_seconds(records), at, [record.median.agents_cpu for record in some]),
        fit([FIXED, NODES, VARIANTS, NODES_VARIANTS], lambda r: r.median.client_cpu),
        fit([FIXED, NODES, VARIANTS], lambda r: r.median.bytes_to_nodes / r.at["nodes"]),
        fit([FIXED, NODES, VARIANTS], lambda r: r.median.bytes_from_nodes / r.at["nodes"]),
        fit([FIXED, PEOPLE_HERE, UNDER_WAY, VARIANTS], lambda r: r.median.agent_anonymous, for_memory),
        fit([FIXED, AT_THE_CLIENT, VARIANTS], lambda r: r.median.client_anonymous, for_memory),
    )


def of_one_machine(records: Sequence[Record]) -> list[Record]:
    """What was measured on the machine of the newest growth: seconds of another one would not add up with its."""
    growth = [record for record in records if record.kind == "growth"]
    return [record for record in records if not growth or record.machine["cpu"] == growth[-1].machine["cpu"]]


def genotype_seconds(records: Sequence[Record]) -> float:
    """CPU seconds of the nodes' steps for one genotype, with missing calls.

    Raises
    ------
    ValueError
        The kernel was not measured.
    """
    found = [r for r in records if r.name == "kernel" and r.program.startswith("fedstats") and r.at["missing"]]
    if not found:
        raise ValueError("the kernel was not measured; run: python -m benchmarks --task kernel")
    return found[-1].median.cpu / (found[-1].at["people"] * found[-1].at["variants"])


def _with_kernel(each: float, points: Sequence[dict[str, float]], costs: Sequence[float]) -> Law:
    """What genotypes cost is known; the rest of the agents' CPU is fitted to what is left."""
    known = [each * at["people"] * at["variants"] for at in points]
    rest = law([FIXED, NODES, NODES_VARIANTS], points, [cost - less for cost, less in zip(costs, known, strict=True)])
    found = Law((GENOTYPES, *rest.terms), (each, *rest.weights), 0.0)
    worst = max(abs(found.at(at) / cost - 1) for at, cost in zip(points, costs, strict=True))
    return Law(found.terms, found.weights, worst)


def estimate(found: Laws, where: dict[str, float], cores: int) -> Estimate:
    """Costs of a run; a node's hours are those of its cores, the client's those of one core."""
    to_node, from_node = found.to_node.at(where), found.from_node.at(where)
    return Estimate(
        node_hours=found.agents_cpu.at(where) / where["nodes"] / cores / 3600,
        client_hours=found.client_cpu.at(where) / 3600,
        link_hours=where["nodes"] * (to_node + from_node) / LINK / 3600,
        to_node=to_node,
        from_node=from_node,
        agent_memory=found.agent_memory.at(where),
        client_memory=found.client_memory.at(where),
        agent_holds=found.agent_memory.heaviest(where),
        client_holds=found.client_memory.heaviest(where),
    )


def breaks_first(cost: Estimate) -> str:
    """The assumption with the least room, in a sentence."""
    strains = {
        f"that an agent holds no more than {AGENT_LIMIT} MiB: {cost.agent_memory:,.0f} by the fit, "
        f"most of it for {cost.agent_holds}": cost.agent_memory / AGENT_LIMIT,
        f"that the client holds no more than {CLIENT_LIMIT} MiB: {cost.client_memory:,.0f} by the fit, "
        f"most of it for {cost.client_holds}": cost.client_memory / CLIENT_LIMIT,
        f"that nodes are what takes the time: one core of the client takes {cost.client_hours:.2f} h, a node "
        f"{cost.node_hours:.2f} h": cost.client_hours / cost.node_hours,
        f"that the link carries everybody: 1 Gbit/s takes {cost.link_hours:.2f} h, a node {cost.node_hours:.2f} h": (
            cost.link_hours / cost.node_hours
        ),
    }
    return max(strains, key=lambda words: strains[words])


def derivation(records: Sequence[Record], *, people: float = 1e6, variants: float = 20e6, nodes: float = 15) -> str:
    """The estimate with everything that it follows from, as Markdown; `records` are all that are kept.

    What the machine of the newest growth measured stands, also where another one has measured the same since.
    """
    records = newest(of_one_machine(records))
    found, where = laws(records), {"people": people, "variants": variants, "nodes": nodes}
    cores = int(records[0].machine["cores"])
    cost = estimate(found, where, cores)
    wall = max(cost.node_hours, cost.client_hours, cost.link_hours)
    total = cost.node_hours + cost.client_hours + cost.link_hours
    measured = [record.at for record in records if record.kind == "growth" or record.name in (*LARGER, *LARGEST)]
    largest = {axis: max(at[axis] for at in measured) for axis in ("people", "variants", "nodes")}
    beyond = ", ".join(f"{where[axis] / largest[axis]:,.0f} times in {axis}" for axis in largest)
    names = {"agents' CPU s": "agents_cpu", "client's CPU s": "client_cpu", "bytes to a node": "to_node"}
    names |= {"bytes from a node": "from_node", "agent's MiB": "agent_memory", "client's MiB": "client_memory"}
    fitted = "".join(f"{name:<18} = {getattr(found, field)}\n" for name, field in names.items())
    quick = QUICK if any(record.quick for record in records) else ""
    return (
        f"{quick}Linear, one trait, 10 covariates, masked: {people:,.0f} people x {variants:,.0f} variants over "
        f"{nodes:.0f} nodes of {cores} cores like the measured ones.\n\n```text\n{fitted}```\n\n"
        "| | |\n|---|---|\n"
        f"| CPU of one node | {cost.node_hours * cores:,.2f} core hours: {cost.node_hours:,.2f} h on {cores} cores |\n"
        f"| CPU of all nodes | {cost.node_hours * cores * nodes:,.0f} core hours |\n"
        f"| CPU of the client | {cost.client_hours:,.2f} core hours |\n"
        f"| bytes to and from a node | {cost.to_node / 1e9:,.2f} + {cost.from_node / 1e9:,.2f} GB |\n"
        f"| the client's link, all nodes, 1 Gbit/s | {cost.link_hours:,.2f} h |\n"
        f"| hours if all of this overlaps, if none does | {wall:,.2f} to {total:,.2f} |\n"
        "| anonymous memory of an agent, of the client "
        f"| {cost.agent_memory:,.0f} MiB, {cost.client_memory:,.0f} MiB |\n"
        f"| packed genotypes at a node (mapped, not held) | {people / nodes / 4 * variants / 1e9:,.0f} GB |\n\n"
        f"Beyond what was measured: {beyond}.\n\n"
        f"The assumption that breaks first, by these figures: {breaks_first(cost)}.\n"
    )


def main() -> None:
    """Print the derivation from the latest results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("people", 1e6), ("variants", 20e6), ("nodes", 15)):
        parser.add_argument(f"--{name}", type=float, default=value)
    arguments = parser.parse_args()
    records = kept()
    if not records:
        raise SystemExit("nothing was measured; run: python -m benchmarks --task growth")
    print(derivation(records, people=arguments.people, variants=arguments.variants, nodes=arguments.nodes))


if __name__ == "__main__":
    main()
