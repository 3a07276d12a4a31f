"""What a run may touch, as plain data that every party signs or hashes alike."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Literal

import numpy as np

from fedstats.arrays import Indices
from fedstats.documents import document

VariantKind = Literal["autosome", "x", "y", "mt"]
KINDS: tuple[VariantKind, ...] = ("autosome", "x", "y", "mt")

#: At most this many variants in a pass; what a run takes of memory, at a node and at the coordinator, follows from it.
LARGEST_PASS = 100_000


@document
@dataclass(frozen=True)
class Trait:
    """A trait and how its values are read, decided once for the federation."""

    name: str
    kind: Literal["quantitative", "binary"]
    coding: Literal["none", "01", "12"] = "none"
    missing_code: Literal["none", "-9"] = "none"


@document
@dataclass(frozen=True)
class Term:
    """One column of the design, intercept apart: a covariate, or the indicator of one level of a categorical one."""

    name: str
    column: str
    level: str = ""
    indicator: bool = False


@document
@dataclass(frozen=True)
class Model:
    """One set of people with one design, over variants of one kind.

    Traits of a model are measured on the same people, so that one scan serves them all.
    `terms` are the covariates in the order of the design matrix, after the intercept.
    `local_terms` have effects of their own at every site; with `site_effects` the intercept has, too.
    `people` says who is in: "complete" needs every trait and term, "everyone" needs nothing.
    On x people need a known sex where the model has traits; on y they are males.
    An `accounting` model has everyone in, and its columns say who lacks what (`dataset.accounting_cohort`);
    it is there to count people and is never scanned.
    `common` are traits that people must have beside the model's own, and `sex_known` asks for a known sex on every
    kind: without either, these people would be too close to those of another model (`planning.distance`).
    """

    id: str
    kind: VariantKind
    traits: tuple[Trait, ...] = ()
    terms: tuple[Term, ...] = ()
    local_terms: tuple[Term, ...] = ()
    site_effects: bool = False
    accounting: bool = False
    common: tuple[Trait, ...] = ()
    sex_known: bool = False

    @property
    def sizes(self) -> dict[str, int]:
        """Lengths of the dimensions that follow from the model."""
        return {
            "trait": len(self.traits),
            "covariate": len(self.terms),
            "coefficient": len(self.terms) + 1,
            "coefficient_pair": (len(self.terms) + 1) * (len(self.terms) + 2) // 2,
            "site_effect": int(self.site_effects),
            "site_term": (1 + len(self.local_terms)) if self.site_effects else 0,
            "sex": 2,
            "one": 1,
        }


def _people_and_columns(model: Model) -> tuple[str, Model]:
    """What decides a model's cohort, genotypes apart: who may be in, and the model without its kind."""
    by_term = any(term.column == "sex" and not term.level for term in model.terms)
    known = by_term or model.sex_known or (model.kind == "x" and bool(model.traits))
    people = "males" if model.kind == "y" else "of known sex" if known else "all"
    return people, replace(model, id="", kind="autosome", sex_known=False)


@document
@dataclass(frozen=True)
class Floors:
    """Floors in force for a run: at each point the strictest of its nodes' policies."""

    min_people: int = 100
    min_arm: int = 20
    min_level: int = 10
    min_nodes: int = 3
    min_mac: int = 20
    min_carrier_nodes: int = 2
    min_missing: int = 10
    min_missing_nodes: int = 2
    parameters_per_person: float = 0.05
    validation: bool = False


@document
@dataclass(frozen=True)
class Filters:
    """Variant filters on the federated counts of the analysed people; None filters nothing."""

    maf: float | None = None
    geno: float | None = None
    hwe: float | None = None
    hwe_pooled: float | None = None


@document
@dataclass(frozen=True)
class Study:
    """The statistical part of a plan: what is computed, of whom, under which floors.

    `beside` are models of the other studies of the same request: nothing of them is computed here, but their people
    are compared with those of this study's models. `ranges` are the lowest and highest value of traits and covariates
    by name, as the analyst declared them for an analysis of noised totals; values outside count as the nearest inside.
    """

    analysis: str
    models: tuple[Model, ...]
    nodes: tuple[str, ...]
    missing: Literal["mean", "drop", "drop-strict"] = "mean"
    test: Literal["wald", "score", "score-refit"] = "wald"
    convergence: Literal["full", "plink"] = "full"
    floors: Floors = field(default_factory=Floors)
    filters: Filters = field(default_factory=Filters)
    beside: tuple[Model, ...] = ()
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)

    def model(self, kind: VariantKind) -> tuple[Model, ...]:
        """The models that apply to variants of a kind."""
        return tuple(model for model in self.scanned if model.kind == kind)

    @property
    def scanned(self) -> tuple[Model, ...]:
        """The models that are scanned, all but the one that counts people."""
        return tuple(model for model in self.models if not model.accounting)

    def twin(self, model: Model) -> Model:
        """The first model with the same people and columns, itself if there is no other: their sums are the same.

        So are those of the autosomes and of chromosome X, where sex is a covariate of both.
        """
        return next(other for other in self.models if _people_and_columns(other) == _people_and_columns(model))

    @property
    def accounting(self) -> Model | None:
        """The model that counts people and the reasons for leaving out, if the study has one."""
        return next((model for model in self.models if model.accounting), None)


@dataclass(frozen=True, eq=False)
class Block:
    """Some variants of the panel, by increasing index, shape (variant,): what one ask covers."""

    variants: Indices

    def __len__(self) -> int:
        return len(self.variants)


@dataclass(frozen=True, eq=False)
class Chunk:
    """Variants of one kind that are scanned together: the unit of a pass, of checkpoints and of retries.

    Attributes
    ----------
    number
        Position of the chunk in the run, from 0.
    kind
        The kind of all its variants.
    variants
        Increasing indices into the panel, shape (variant,); at most `LARGEST_PASS`.
    """

    number: int
    kind: VariantKind
    variants: Indices

    def blocks(self, chosen: Indices | None = None, size: int = 4096) -> Iterator[Block]:
        """The chunk's variants, or `chosen` panel indices among them, in blocks of at most `size`."""
        variants = self.variants if chosen is None else chosen
        for first in range(0, len(variants), size):
            yield Block(variants[first : first + size])


def chunks(kinds: np.ndarray, selected: Indices, size: int = LARGEST_PASS) -> tuple[Chunk, ...]:
    """Chunks of the selected variants in panel order: runs of one kind, at most `size` long.

    Parameters
    ----------
    kinds
        Kind of every panel variant as an index into `KINDS`, shape (panel variant,).
    selected
        Increasing panel indices.
    size
        Largest number of variants in a chunk (`--pass-variants`).
    """
    found: list[Chunk] = []
    if not len(selected):
        return ()
    of_selected = kinds[selected]
    starts = np.concatenate([[0], np.flatnonzero(np.diff(of_selected)) + 1, [len(selected)]])
    for first, last in pairwise(starts):
        for at in range(int(first), int(last), size):
            piece = selected[at : min(at + size, int(last))]
            found.append(Chunk(len(found), KINDS[int(of_selected[first])], piece))
    return tuple(found)
