"""Whether a trait is binary, and how it is coded: decided once for the federation from the values at all nodes."""

from collections.abc import Iterable
from functools import reduce
from typing import Literal

from fedstats.planning.faults import Fault
from fedstats.planning.request import Request
from fedstats.planning.survey import ValueClasses
from fedstats.study import Trait

_NUMBERS = {"zero": "0", "one": "1", "two": "2"}


def decide(name: str, classes: Iterable[ValueClasses], request: Request) -> Trait | Fault:
    """The trait as the whole federation reads it, or why that cannot be settled without the analyst.

    `classes` says which values occur at each node.
    """
    found = reduce(_either, classes, ValueClasses())
    held = {digit for field, digit in _NUMBERS.items() if getattr(found, field)}
    if not held and not found.other:
        return Fault(f"trait {name!r} has no value at any node", "TRAIT_EMPTY")
    if request.model == "linear" or found.other:
        return _quantitative(name, held, found, request)
    return _binary(name, held, found, request)


def _either(one: ValueClasses, other: ValueClasses) -> ValueClasses:
    return ValueClasses(*(getattr(one, f) or getattr(other, f) for f in ValueClasses.__dataclass_fields__))


def _quantitative(name: str, held: set[str], found: ValueClasses, request: Request) -> Trait | Fault:
    if request.model == "logistic":
        listed = ", ".join([*sorted(held), "others"])
        return Fault(
            f"trait {name!r} is not binary (values {listed}), and --model logistic was asked",
            "NOT_BINARY",
            "Use --model linear for a quantitative trait, or give a trait with two values (0/1 or 1/2).",
        )
    if found.minus_nine and request.missing_code == "auto":
        return Fault(
            f"trait {name!r} is quantitative and has the value -9 at some node",
            "MINUS_NINE",
            "Pass --missing-code -9 if -9 means missing, --missing-code none if it is a value like others.",
        )
    if not found.other and len(held) == 1:
        return _one_value(name, held)
    return Trait(name, "quantitative", "none", "-9" if request.missing_code == "-9" else "none")


def _binary(name: str, held: set[str], found: ValueClasses, request: Request) -> Trait | Fault:
    coding = request.binary_coding
    if coding == "12":
        held = held - {"0"}  # as in PLINK, 0 stands for missing beside 1 and 2
    if len(held) == 1:
        return _one_value(name, held)
    if held == {"0", "1"} and coding in ("auto", "01"):
        return Trait(name, "binary", "01", _missing_code(found))
    if held == {"1", "2"} and coding in ("auto", "12"):
        return Trait(name, "binary", "12", _missing_code(found))
    return _undecided(name, held, request)


def _missing_code(found: ValueClasses) -> Literal["none", "-9"]:
    return "-9" if found.minus_nine else "none"


def _undecided(name: str, held: set[str], request: Request) -> Fault:
    listed = ", ".join(sorted(held))
    if request.binary_coding != "auto":
        wanted = " and ".join(request.binary_coding)
        return Fault(
            f"trait {name!r} has the values {listed}, and --binary-coding {request.binary_coding} allows {wanted}",
            "BAD_CODING",
            "Leave --binary-coding to auto, or correct the trait.",
        )
    why = ", and --model logistic was asked" if request.model == "logistic" else ": binary or not is ambiguous"
    return Fault(
        f"trait {name!r} has the values {listed} over all nodes{why}",
        "NOT_BINARY" if request.model == "logistic" else "AMBIGUOUS_TRAIT",
        "Pass --binary-coding 12 if 1 is control, 2 is case and 0 is missing; "
        "pass --model linear if the trait is a number. Nodes that code differently must agree first.",
    )


def _one_value(name: str, held: set[str]) -> Fault:
    return Fault(
        f"trait {name!r} has one value everywhere ({', '.join(held)})",
        "TRAIT_CONSTANT",
        "An association needs a trait that varies; check the coding and the lists of people.",
    )


def reading(trait: Trait) -> str:
    """How a trait is read, for the log."""
    if trait.kind == "quantitative":
        missing = "NA and -9 are missing" if trait.missing_code == "-9" else "NA is missing"
        return f"trait {trait.name} is quantitative; {missing}"
    control, case = ("0", "1") if trait.coding == "01" else ("1", "2")
    beside = {"01": "NA", "12": "NA and 0"}[trait.coding]
    return f"trait {trait.name} is binary, {control} = control and {case} = case; {beside} and -9 are missing"
