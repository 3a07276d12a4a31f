"""What can be wrong with the content of roster.toml, as sentences, all at once."""

from typing import Any

from fedstats.identity.checks import identity_faults, is_hex, key_faults, modulus_faults, name_faults, repeated

MOST_NODES = 20

#: The shortest modulus of a key holder: about 112 bits of security; a sandbox may do with less, to be quick.
SMALLEST_MODULUS_BITS = 2048
SMALLEST_SANDBOX_MODULUS_BITS = 256

_KEY_HOLDER = ("key_holder", "key_holder_name", "paillier_modulus")
_TOP = ("federation", "sandbox", *_KEY_HOLDER, "node", "coordinator", "signature")
_NODE = ("name", "identity", "min_people")
_COORDINATOR = ("name", "identity")
_SIGNATURE = ("identity", "signature")


def roster_faults(table: dict[str, Any]) -> list[str]:
    """Every fault of the content of a roster file as a table; signatures are checked by whoever builds the roster."""
    faults = key_faults(table, _TOP, ("federation", "node", "coordinator"), "the file")
    faults += name_faults(table.get("federation", "absent"), "federation")
    if not isinstance(table.get("sandbox", False), bool):
        faults.append("sandbox must be true or false")
    faults += _key_holder_faults(table)
    nodes, malformed_nodes = _tables(table, "node", _NODE)
    coordinators, malformed_coordinators = _tables(table, "coordinator", _COORDINATOR)
    signatures, malformed_signatures = _tables(table, "signature", _SIGNATURE)
    faults += malformed_nodes + malformed_coordinators + malformed_signatures
    for number, node in enumerate(nodes, 1):
        faults += _node_faults(node, f"node {number}")
    for number, one in enumerate(coordinators, 1):
        faults += name_faults(one["name"], f"coordinator {number}")
        faults += identity_faults(one["identity"], f"coordinator {number}")
    for number, one in enumerate(signatures, 1):
        faults += _signature_faults(one, f"signature {number}")
    # Members are compared only when each is well formed; otherwise a fault would be listed twice.
    return faults or _membership_faults(nodes, coordinators, signatures, table)


def _key_holder_faults(table: dict[str, Any]) -> list[str]:
    """Faults of identity, name and modulus; an identity may stand alone, as it did before there were moduli."""
    faults = identity_faults(table["key_holder"], "key_holder") if "key_holder" in table else []
    if set(table) & set(_KEY_HOLDER) not in (set(), {"key_holder"}, set(_KEY_HOLDER)):
        faults.append(f"{', '.join(_KEY_HOLDER)} stand together")
    if "key_holder_name" in table:
        faults += name_faults(table["key_holder_name"], "key_holder_name")
    if "paillier_modulus" in table:
        smallest = SMALLEST_SANDBOX_MODULUS_BITS if table.get("sandbox") is True else SMALLEST_MODULUS_BITS
        faults += modulus_faults(table["paillier_modulus"], "the key holder", smallest_bits=smallest)
    return faults


def _tables(table: dict[str, Any], name: str, keys: tuple[str, ...]) -> tuple[list[dict[str, Any]], list[str]]:
    """The well-formed tables [[name]], and the faults of the others."""
    found = table.get(name, [])
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        return [], [f"{name} must be written as tables [[{name}]]"]
    faults: list[str] = []
    whole = []
    for number, one in enumerate(found, 1):
        own = key_faults(one, keys, keys, f"{name} {number}")
        faults += own
        whole += [] if own else [one]
    return whole, faults


def _node_faults(node: dict[str, Any], where: str) -> list[str]:
    faults = name_faults(node["name"], where) + identity_faults(node["identity"], where)
    least = node["min_people"]
    if not isinstance(least, int) or isinstance(least, bool) or least < 1:
        faults.append(f"{where}: min_people must be a whole number of at least 1")
    return faults


def _signature_faults(one: dict[str, Any], where: str) -> list[str]:
    faults = identity_faults(one["identity"], where)
    if not is_hex(one["signature"], 64):
        faults.append(f"{where}: a signature is 128 lower-case hexadecimal digits")
    return faults


def _membership_faults(
    nodes: list[dict[str, Any]],
    coordinators: list[dict[str, Any]],
    signatures: list[dict[str, Any]],
    table: dict[str, Any],
) -> list[str]:
    faults = []
    key_holder, holder_name = table.get("key_holder"), table.get("key_holder_name")
    if not 2 <= len(nodes) <= MOST_NODES:
        faults.append(f"it has {len(nodes)} node{'s' * (len(nodes) != 1)}; a federation has 3 to {MOST_NODES}")
    if not coordinators:
        faults.append("it has no coordinator, so nobody could ask")
    identities = [one["identity"] for one in (*nodes, *coordinators)] + [key_holder] * bool(key_holder)
    signers = [one["identity"] for one in signatures]
    names = [one["name"] for one in (*nodes, *coordinators)] + [holder_name] * bool(holder_name)
    # Names are compared without case: they become file names, also where 'fi' and 'FI' are one file.
    faults += [f"the name {name!r} occurs twice" for name in repeated(name.lower() for name in names)]
    faults += [f"the identity {one[:16]}... occurs twice" for one in repeated(one for one in identities if one)]
    faults += [f"the identity {one[:16]}... signs twice" for one in repeated(signers)]
    faults += [f"{one[:16]}... signs without being a party" for one in signers if one not in identities]
    return faults
