"""The keys with which an agent answers, and the cards of those it answers, checked against the roster."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from pathlib import Path

from fedstats.errors import FaultyInput, UsageError
from fedstats.identity.card import Card, read_card
from fedstats.identity.keys import Identity, Leaf, load_identity, load_leaf
from fedstats.identity.party_keys import KeyFiles
from fedstats.identity.roster import Roster

#: From when on the custodian is told that a certificate ends.
RENEW_BEFORE = timedelta(days=30)


def own_keys(files: KeyFiles, expected: str, name: str, init: str) -> tuple[tuple[Identity, Leaf] | None, list[str]]:
    """Identity and TLS leaf of an agent, and what is wrong with them; None where something is missing.

    Parameters
    ----------
    files
        Where they lie.
    expected, name
        The identity that the roster has for the agent of this name.
    init
        The command that makes keys.
    """
    try:
        identity = load_identity(files.identity)
        leaf = load_leaf(files.tls_key, files.tls_certificate)
    except OSError as error:
        return None, [f"keys: {Path(str(error.filename)).name} is not in the state folder; run '{init}'"]
    except UsageError as error:
        return None, [f"keys: {error.message}"]
    if identity.public_hex != expected:
        return None, [f"keys: identity.key is not the identity that the roster has for {name}"]
    return (identity, leaf), []


def coordinator_cards(
    roster: Roster, wanted: Collection[str], folder: Path, trust: str
) -> tuple[dict[str, Card], list[str]]:
    """Cards of permitted coordinators by identity, and what is wrong with them.

    Parameters
    ----------
    roster
        The federation roster.
    wanted
        Names of coordinators of the roster that may ask; all where empty.
    folder
        Where cards are kept.
    trust
        The command that keeps cards.
    """
    found: dict[str, Card] = {}
    faults = []
    for one in roster.content.coordinators:
        path = folder / f"{one.name}.card"
        if (wanted and one.name not in wanted) or not path.is_file():
            continue
        try:
            card = read_card(path)
        except FaultyInput as error:
            faults += [f"{path.name}: {fault}" for fault in error.faults]
            continue
        if card.identity != one.identity or card.role != "coordinator":
            faults.append(f"{path.name}: it is not the card of the coordinator that the roster names")
        found[one.identity] = card
    if not found and not faults:
        faults.append(f"no coordinator's card lies beside the roster: nobody could connect; use '{trust}'")
    return found, faults


def certificate_warnings(
    leaf: Leaf, coordinators: Iterable[Card], now: datetime, *, agent: str = "node", renew: str
) -> list[str]:
    """Certificates of an agent and its coordinators that are not valid now, or not for long.

    `agent` is what the agent is called, `renew` the command that renews its certificate.
    """
    leaves = {f"this {agent}'s": leaf.certificate}
    leaves |= {f"coordinator {card.name}'s": card.leaf for card in coordinators}
    found = []
    for whose, one in leaves.items():
        last = f"{one.not_valid_after_utc:%Y-%m-%d}"
        if now > one.not_valid_after_utc:
            found.append(f"{whose} certificate is expired since {last}: no connection can be made")
        elif now < one.not_valid_before_utc:
            found.append(f"{whose} certificate is not valid before {one.not_valid_before_utc:%Y-%m-%d %H:%M} UTC")
        elif now > one.not_valid_after_utc - RENEW_BEFORE:
            found.append(f"{whose} certificate expires on {last}; renew it with '{renew}'")
    return found
