"""Make a sandbox: pooled data split into sites, each with data, keys, policy and a card, under one roster."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import polars as pl

from fedstats.errors import UsageError
from fedstats.identity.card import make_card, write_card
from fedstats.identity.keys import Identity, generate_identity, generate_leaf, save_identity, save_leaf
from fedstats.identity.roster import Roster, RosterContent, RosterCoordinator, RosterNode, sign_roster, write_roster
from fedstats.sandbox.floors import broken_floors
from fedstats.sandbox.folder import (
    COORDINATOR,
    FEDERATION_FILE,
    IDENTITY_FILE,
    KEY_HOLDER,
    LEAF_FILE,
    LEAF_KEY_FILE,
    Sandbox,
    open_sandbox,
)
from fedstats.sandbox.key_holder import NODE_POLICY, MadeKeyHolder, make_key_holder
from fedstats.sandbox.ports import free_ports
from fedstats.simulate.plink_files import beside
from fedstats.simulate.split import SiteFolder, split_by_site
from fedstats.study import Floors

Policy = Literal["default", "validation"]

_DEFAULT_POLICY = """\
analyses = ["freq", "hardy", "missing", "gwas/linear", "gwas/logistic"]
privacy = {privacy}
epsilon = 10.0
allow_drop = true
allow_site_effects = true
reason = "a sandbox on one machine"
"""

_VALIDATION_POLICY = """\
preset = "validation"
"""


@dataclass(frozen=True)
class Created:
    """A new sandbox, and what the person who made it should know."""

    sandbox: Sandbox
    sites: tuple[SiteFolder, ...]
    left_out: int
    broken: tuple[str, ...]


def create(
    folder: Path,
    *,
    bfile: Path,
    pheno: Path,
    covar: Path,
    site_column: str,
    build: str = "GRCh37",
    policy: Policy = "default",
    swap: tuple[str, ...] = (),
    continue_without_me: tuple[str, ...] = (),
    key_bits: int = 0,
) -> Created:
    """Split pooled data into one folder a site and write everything that agents and a coordinator need.

    With `key_bits` there is a key holder, too, whose modulus has so many bits.

    Raises
    ------
    UsageError
        The folder is not empty, or the data name no sites.
    """
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(
            f"{folder} is not empty", code="FOLDER_IN_USE", hint="Choose another folder, or remove this one first."
        )
    folder.mkdir(parents=True, exist_ok=True)
    with _emptied_on_failure(folder):
        split = split_by_site(bfile, pheno, covar, site_column, folder, swap=swap)
        _check_lingering(continue_without_me, [site.name for site in split.sites])
        shutil.copyfile(beside(bfile, "bim"), folder / "panel.bim")
        loadings = _loadings(covar)
        *ports, holder_port = free_ports(len(split.sites) + 1)
        holder = make_key_holder(folder, holder_port, key_bits) if key_bits else None
        for site, port in zip(split.sites, ports, strict=True):
            rules = _rules(policy, lingering=site.name in continue_without_me, key_holder=holder is not None)
            text = _node_toml(site.name, port, build, loadings, rules, public=policy == "validation")
            (site.folder / "node.toml").write_text(text, encoding="utf-8")
        _make_identities(folder, split.sites, 1 if policy == "validation" else Floors().min_people, holder)
        _write_federation(folder, split.sites, ports, build, holder_port if holder is not None else 0)
        sandbox = open_sandbox(folder)
        return Created(sandbox, split.sites, split.left_out, tuple(broken_floors(split.sites)))


def _check_lingering(wanted: tuple[str, ...], names: list[str]) -> None:
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise UsageError(
            f"--continue-without-me: no site is called {unknown[0]!r}; there are {', '.join(names)}",
            code="UNKNOWN_SITE",
        )


@contextmanager
def _emptied_on_failure(folder: Path) -> Iterator[None]:
    """Leave no half of a sandbox behind."""
    try:
        yield
    except BaseException:
        for path in folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        raise


def _loadings(covariates: Path) -> str:
    """One hash for the PC columns of the pooled table: they were computed together, whoever holds the rows."""
    columns = pl.read_csv(covariates, separator="\t", infer_schema=False)
    joint = [name for name in columns.columns if name.startswith("PC") and name[2:].isdigit()]
    if not joint:
        return ""
    return hashlib.sha256(columns.select(sorted(joint)).write_csv().encode()).hexdigest()


def _rules(policy: Policy, *, lingering: bool, key_holder: bool) -> str:
    """The lines of a node's [policy]."""
    if policy == "validation":
        rules = _VALIDATION_POLICY
    else:
        settings = ["masked", "plain", "dp", *(["paillier"] * key_holder)]
        rules = _DEFAULT_POLICY.format(privacy=json.dumps(settings)) + NODE_POLICY * key_holder
    return f"{rules}{'continue_without_me = true' if lingering else ''}"


def _node_toml(name: str, port: int, build: str, loadings: str, rules: str, *, public: bool) -> str:
    marked = "public = true\n" if public else ""
    joint = f'loadings_sha256 = "{loadings}"\n' if loadings else ""
    return (
        f'[node]\nname = "{name}"\nlisten = "127.0.0.1:{port}"\nstate = "state"\nroster = "roster.toml"\n\n'
        f'[[dataset]]\nid = "sandbox"\ngenotypes = "genotypes.bed"\nbuild = "{build}"\n'
        f'phenotypes = "phenotypes.tsv"\ncovariates = "covariates.tsv"\n{joint}{marked}\n'
        f"[policy]\n{rules}\n"
    )


def _make_identities(
    folder: Path, sites: tuple[SiteFolder, ...], min_people: int, holder: MadeKeyHolder | None
) -> None:
    """Keys and cards of everybody, and the roster that everybody signed, where each of them needs it."""
    owner = generate_identity()
    leaf = generate_leaf(COORDINATOR)
    save_identity(owner, folder / IDENTITY_FILE)
    save_leaf(leaf, folder / LEAF_KEY_FILE, folder / LEAF_FILE)
    card = make_card(owner, leaf, COORDINATOR, role="coordinator")
    write_card(card, folder / f"{COORDINATOR}.card")
    identities = {site.name: _node_identity(folder, site) for site in sites}
    nodes = tuple(RosterNode(site.name, identities[site.name].public_hex, min_people) for site in sites)
    content = RosterContent("sandbox", nodes, (RosterCoordinator(COORDINATOR, owner.public_hex),), sandbox=True)
    signers, folders = [*identities.values(), owner], [site.folder for site in sites]
    if holder is not None:
        content = replace(
            content,
            key_holder=holder.identity.public_hex,
            key_holder_name=KEY_HOLDER,
            paillier_modulus=holder.modulus,
        )
        signers, folders = [*signers, holder.identity], [*folders, holder.folder]
    roster: Roster = sign_roster(content, signers)
    write_roster(roster, folder / "roster.toml")
    for own in folders:
        write_roster(roster, own / "roster.toml")
        write_card(card, own / f"{COORDINATOR}.card")


def _node_identity(folder: Path, site: SiteFolder) -> Identity:
    state = site.folder / "state"
    state.mkdir(mode=0o700, exist_ok=True)
    identity, leaf = generate_identity(), generate_leaf(site.name)
    save_identity(identity, state / "identity.key")
    save_leaf(leaf, state / "tls.key", state / "tls.crt")
    write_card(make_card(identity, leaf, site.name), folder / f"{site.name}.card")
    return identity


def _write_federation(
    folder: Path, sites: tuple[SiteFolder, ...], ports: list[int], build: str, holder_port: int
) -> None:
    lines = [
        '[federation]\nname = "sandbox"\nroster = "roster.toml"\n',
        f'[variants]\npanel = "panel.bim"\nbuild = "{build}"\n',
        *(
            f'[[node]]\nname = "{site.name}"\naddress = "127.0.0.1:{port}"\n'
            for site, port in zip(sites, ports, strict=True)
        ),
        *([f'[key_holder]\naddress = "127.0.0.1:{holder_port}"\n'] if holder_port else []),
        f'[coordinator]\nidentity = "{IDENTITY_FILE}"\n',
    ]
    (folder / FEDERATION_FILE).write_text("\n".join(lines), encoding="utf-8")
