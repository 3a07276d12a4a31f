"""Local steps, and the closed table of their names.

A local step runs at the node: a pure function from a cohort and parameters to a release.
No code travels; a node runs the steps it was installed with, looked up by name and version.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any, Generic, TypeVar, get_args, get_origin, get_type_hints

import numpy as np

from fedstats.additive import Additive
from fedstats.certified import Follows
from fedstats.cohort import Cohort
from fedstats.errors import ProtocolRefused
from fedstats.study import KINDS, Block, Floors, Model, Study, VariantKind

S = TypeVar("S", bound=Additive)
Q = TypeVar("Q")


@dataclass(frozen=True, init=False)
class Along:
    """Declares the dimensions of a parameter array; lengths become known from it."""

    dims: tuple[str, ...]

    def __init__(self, *dims: str) -> None:
        object.__setattr__(self, "dims", dims)


@dataclass(frozen=True)
class Nothing:
    """Parameters of a step that needs none."""


Admissible = Callable[[Any, Floors], None]
Asked = Callable[[Study], bool]


def _anything(parameters: Any, floors: Floors) -> None:
    """Admit parameters whose values cannot single out people."""


def _always(study: Study) -> bool:  # noqa: ARG001  # whatever the study
    """Say that a study asks for a step, if its analysis may."""
    return True


@dataclass(frozen=True)
class Step(Generic[Q, S]):
    """A registered local step; calling it runs it on one cohort.

    Attributes
    ----------
    name
        Method, what it releases, and version: "linear_gwas/scan@1". A changed meaning is a new version.
    function, parameters, release
        What runs at the node, and the classes of what it is given and gives.
    admissible
        Raises Refused where parameters could isolate people; runs before any data are read.
    genotypes
        Whether the step reads a block of genotypes.
    rests_on, follows
        Names of steps whose totals decide the parameters, and what refuses parameters that do not follow from them.
    asked
        Whether a study whose analysis may ask for the step does so.
    kinds
        Kinds of variants of the models that it may be asked of.
    """

    name: str
    function: Callable[[Cohort, Q], S]
    parameters: type[Q]
    release: type[S]
    admissible: Admissible
    genotypes: bool
    rests_on: tuple[str, ...] = ()
    follows: Follows | None = None
    asked: Asked = _always
    kinds: tuple[VariantKind, ...] = KINDS

    def __call__(self, cohort: Cohort, parameters: Q) -> S:
        return self.function(cohort, parameters)

    def sizes(self, model: Model, parameters: Q, block: Block | None) -> dict[str, int]:
        """Lengths of every dimension of one release, known to all parties before data are read."""
        found = dict(model.sizes)
        if block is not None:
            found["variant"] = len(block)
        for name, dims in parameter_dims(type(parameters)).items():
            for dim, length in zip(dims, np.shape(getattr(parameters, name)), strict=True):
                if found.setdefault(dim, length) != length:
                    raise ProtocolRefused(
                        f"{self.name}: parameter {name!r} has {length} along {dim!r} where {found[dim]} are expected",
                        code="BAD_PARAMETERS",
                    )
        return found


STEPS: dict[str, Step[Any, Any]] = {}


def local_step(
    name: str,
    *,
    admissible: Admissible = _anything,
    rests_on: tuple[str, ...] = (),
    follows: Follows | None = None,
    asked: Asked = _always,
    kinds: tuple[VariantKind, ...] = KINDS,
) -> Callable[[Callable[[Cohort, Q], S]], Step[Q, S]]:
    """Register a function of (cohort, parameters) as a step that nodes know by `name`.

    A step whose parameters rest on totals says on which, and how they follow: see `certified`.
    """

    def register(function: Callable[[Cohort, Q], S]) -> Step[Q, S]:
        if name in STEPS:
            raise ValueError(f"two local steps are called {name!r}")
        if bool(rests_on) != (follows is not None):
            raise ValueError(f"{name!r} must say both on which totals it rests and how its parameters follow")
        hints = get_type_hints(function)
        classes = [hint for key, hint in hints.items() if key != "return"]
        dims = {dim for declared in hints["return"].schema().values() for dim in declared.dims}
        genotypes = "variant" in dims
        step = Step(name, function, classes[1], hints["return"], admissible, genotypes, rests_on, follows, asked, kinds)
        STEPS[name] = step
        return step

    return register


#: What annotations of parameter classes say; asked for every block, so read once a class.
_HINTS: dict[type[Any], Mapping[str, Any]] = {}
_DIMS: dict[type[Any], Mapping[str, tuple[str, ...]]] = {}


def _type_hints(kind: type[Any]) -> Mapping[str, Any]:
    """Types of the fields of a parameter class."""
    if kind not in _HINTS:
        _HINTS[kind] = get_type_hints(kind)
    return _HINTS[kind]


def parameter_dims(kind: type[Any]) -> Mapping[str, tuple[str, ...]]:
    """Declared dimensions of the array fields of a parameter class."""
    if kind not in _DIMS:
        _DIMS[kind] = _read_dims(kind)
    return _DIMS[kind]


def _read_dims(kind: type[Any]) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for name, hint in get_type_hints(kind, include_extras=True).items():
        declared = [a for a in get_args(hint)[1:] if isinstance(a, Along)] if get_origin(hint) is Annotated else []
        if declared:
            found[name] = declared[0].dims
    return found


def to_arrays(parameters: Any) -> dict[str, np.ndarray]:
    """Parameters as named arrays, for the wire; scalars become arrays without dimensions."""
    return {entry.name: np.asarray(getattr(parameters, entry.name)) for entry in fields(parameters)}


def from_arrays(kind: type[Q], arrays: Mapping[str, np.ndarray]) -> Q:
    """Parameters of class `kind` from named arrays; every name, type and dimension is checked."""
    declared = {entry.name: entry for entry in fields(kind)}  # type: ignore[arg-type]  # parameter classes are dataclasses
    if set(arrays) != set(declared):
        raise ProtocolRefused(
            f"{kind.__name__} has fields {sorted(declared)}, not {sorted(arrays)}", code="BAD_PARAMETERS"
        )
    hints, dims = _type_hints(kind), parameter_dims(kind)
    values = {name: _from_array(kind, name, hints[name], len(dims.get(name, ())), arrays[name]) for name in declared}
    return kind(**values)


_SCALARS: dict[Any, Any] = {float: np.float64, int: np.int64, bool: np.bool_}


def _from_array(kind: type[Any], name: str, hint: Any, dimensions: int, array: np.ndarray) -> Any:
    scalar = _SCALARS.get(hint)
    wanted = np.dtype(scalar) if scalar is not None else get_args(get_args(hint)[1])[0]
    if array.dtype != wanted or array.ndim != dimensions:
        raise ProtocolRefused(f"{kind.__name__}.{name} has the wrong type or shape", code="BAD_PARAMETERS")
    if array.dtype == np.float64 and not np.isfinite(array).all():
        raise ProtocolRefused(f"{kind.__name__}.{name} has values that are not finite", code="BAD_PARAMETERS")
    return array.item() if scalar is not None else array
