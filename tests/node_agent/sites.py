"""A small federation on disk for tests of the agent: data, keys, cards, roster and node.toml of a few sites."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fedstats.genotypes import pack
from fedstats.identity.card import make_card, write_card
from fedstats.identity.keys import Identity, Leaf, generate_identity, generate_leaf, save_identity, save_leaf
from fedstats.identity.roster import Roster, RosterContent, RosterCoordinator, RosterNode, sign_roster, write_roster

VARIANTS = 40

REAL_POLICY = """\
analyses = ["freq", "gwas/linear"]
privacy = ["masked", "plain"]
reason = "a test"
min_people = 50
"""
VALIDATION_POLICY = 'preset = "validation"\n'


@dataclass(frozen=True)
class Site:
    """One node: where it lies, and what its files hold."""

    name: str
    folder: Path
    identity: Identity
    dosages: np.ndarray  # (variant, person), -1 missing
    q1: np.ndarray

    @property
    def config(self) -> Path:
        return self.folder / "node.toml"

    @property
    def leaf_pem(self) -> bytes:
        return (self.folder / "state" / "tls.crt").read_bytes()


@dataclass(frozen=True)
class Federation:
    """All sites, and the coordinator that may ask them."""

    sites: tuple[Site, ...]
    coordinator: Identity
    leaf: Leaf
    roster: Roster

    def site(self, name: str) -> Site:
        return next(site for site in self.sites if site.name == name)


def make_federation(
    folder: Path,
    names: tuple[str, ...] = ("EE", "FI", "SE"),
    *,
    people: int = 60,
    policy: str = REAL_POLICY,
    sandbox: bool = True,
    public: bool = True,
) -> Federation:
    """Sites with genotypes, one trait, one covariate, and keys; agents listen on free ports of loopback."""
    coordinator, leaf = generate_identity(), generate_leaf("coordinator")
    card = make_card(coordinator, leaf, "coordinator", role="coordinator")
    sites = tuple(_make_site(folder / name, name, people, seed) for seed, name in enumerate(names))
    content = RosterContent(
        "test",
        tuple(RosterNode(site.name, site.identity.public_hex, 1) for site in sites),
        (RosterCoordinator("coordinator", coordinator.public_hex),),
        sandbox=sandbox,
    )
    roster = sign_roster(content, [*(site.identity for site in sites), coordinator])
    for site in sites:
        write_roster(roster, site.folder / "roster.toml")
        write_card(card, site.folder / "coordinator.card")
        site.config.write_text(node_toml(site.name, policy, public=public))
    return Federation(sites, coordinator, leaf, roster)


def node_toml(name: str, policy: str, *, public: bool = True) -> str:
    return f"""\
[node]
name = "{name}"
listen = "127.0.0.1:0"
state = "state"
roster = "roster.toml"
threads = 2

[[dataset]]
id = "demo"
genotypes = "genotypes.bed"
build = "GRCh37"
phenotypes = "phenotypes.tsv"
covariates = "covariates.tsv"
public = {str(public).lower()}

[policy]
{policy}"""


def _make_site(folder: Path, name: str, people: int, seed: int) -> Site:
    rng = np.random.default_rng(seed)
    state = folder / "state"
    state.mkdir(parents=True, mode=0o700)
    identity, leaf = generate_identity(), generate_leaf(name)
    save_identity(identity, state / "identity.key")
    save_leaf(leaf, state / "tls.key", state / "tls.crt")
    dosages = rng.binomial(2, 0.3, (VARIANTS, people)).astype(np.int8)
    dosages[rng.random(dosages.shape) < 0.02] = -1
    q1 = rng.normal(size=people).round(3)
    _write_genotypes(folder / "genotypes", name, dosages)
    ids = [f"{name}{number}" for number in range(people)]
    age = rng.integers(20, 80, people)
    _write_table(folder / "phenotypes.tsv", ids, "q1", q1)
    _write_table(folder / "covariates.tsv", ids, "age", age)
    return Site(name, folder, identity, dosages, q1)


def _write_genotypes(prefix: Path, name: str, dosages: np.ndarray) -> None:
    variants, people = dosages.shape
    prefix.with_suffix(".bed").write_bytes(b"\x6c\x1b\x01" + pack(dosages).packed.tobytes())
    lines = [f"{1 if n < 30 else 23}\trs{n}\t0\t{1000 + n}\tA\tG\n" for n in range(variants)]
    prefix.with_suffix(".bim").write_text("".join(lines))
    fam = [f"{name}{n} {name}{n} 0 0 {1 + n % 2} -9\n" for n in range(people)]
    prefix.with_suffix(".fam").write_text("".join(fam))


def _write_table(path: Path, ids: list[str], name: str, values: np.ndarray) -> None:
    rows = [f"{one}\t{one}\t{value}\n" for one, value in zip(ids, values, strict=True)]
    path.write_text(f"FID\tIID\t{name}\n" + "".join(rows))
