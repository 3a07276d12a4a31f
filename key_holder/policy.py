"""The policy of a key holder: for whom it opens sums, of how many nodes. What is not allowed here is refused."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from fedstats.config_reading import value_like
from fedstats.errors import Refused
from fedstats.identity.checks import key_faults
from fedstats.wire.key_holder_messages import DecryptOrder

#: The fewest nodes that any configuration may set: a sum over two opens each of them to the other.
FEWEST_NODES = 3
#: Bytes of a product are held in memory while they come.
MOST_BYTES = 1 << 30

NOTHING_OPENED = "Nothing was opened."


@dataclass(frozen=True)
class Policy:
    """Keys of [policy] with their defaults.

    Attributes
    ----------
    coordinators
        Names of coordinators of the roster that may ask; nobody unless said.
    min_nodes
        Fewest nodes in a product.
    max_bytes
        Most bytes of the product of one pass.
    allow_unmasked
        Whether products of words without masks are opened: then this key holder sees their totals.
    reason
        Why `allow_unmasked` is set.
    """

    coordinators: tuple[str, ...] = ()
    min_nodes: int = FEWEST_NODES
    max_bytes: int = 1 << 28
    allow_unmasked: bool = False
    reason: str = ""

    def described(self) -> dict[str, str]:
        """The policy as words for the catalogue."""
        return {entry.name: _word(getattr(self, entry.name)) for entry in fields(self)}


def _word(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def read_policy(table: Mapping[str, Any]) -> tuple[Policy, list[str]]:
    """The policy of a [policy] table, and every fault of the table; with faults, the policy is the default one."""
    known = {entry.name: entry.default for entry in fields(Policy)}
    faults = key_faults(table, tuple(known), ("coordinators",), "[policy]")
    values = {}
    for name in known.keys() & table.keys():
        values[name], wanted = value_like(known[name], table[name])
        faults += [f"[policy] {name} must be {wanted}"] * bool(wanted)
    if faults:
        return Policy(), faults
    policy = Policy(**values)
    faults = _rule_faults(policy)
    return (Policy() if faults else policy), faults


def _rule_faults(policy: Policy) -> list[str]:
    faults = []
    if not policy.coordinators:
        faults.append("[policy] coordinators names nobody, so nobody could ask")
    if policy.min_nodes < FEWEST_NODES:
        faults.append(
            f"[policy] min_nodes = {policy.min_nodes} is below {FEWEST_NODES}, which no configuration may undercut"
        )
    if not 1 <= policy.max_bytes <= MOST_BYTES:
        faults.append(f"[policy] max_bytes must lie from 1 to {MOST_BYTES}")
    if policy.allow_unmasked and not policy.reason.strip():
        faults.append("[policy] allow_unmasked needs a reason")
    return faults


def authorise(policy: Policy, order: DecryptOrder) -> None:
    """Refuse an order that the policy does not allow, before any of its bytes are taken in.

    Raises
    ------
    Refused
        Naming rule and limit.
    """
    if len(order.nodes) < policy.min_nodes:
        raise refused("min_nodes", f"a product of {len(order.nodes)} nodes is of fewer than {policy.min_nodes}")
    if not order.masked and not policy.allow_unmasked:
        raise refused("allow_unmasked", "words without masks are not allowed, for this key holder would see totals")
    if order.length > policy.max_bytes:
        raise refused("max_bytes", f"a product of {order.length} bytes is larger than {policy.max_bytes}")


def refused(rule: str, why: str) -> Refused:
    """A refusal that names the rule and says that nothing was opened."""
    return Refused(f"policy rule {rule}: {why}. {NOTHING_OPENED}", code=f"POLICY_{rule.upper()}")
