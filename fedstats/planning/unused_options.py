"""Options that the traits of a run have no use for: refused where none has one, told where only some have."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fedstats.planning.faults import Fault, listing
from fedstats.planning.noise_rules import ranges_by_name
from fedstats.planning.request import Request
from fedstats.rows import Note
from fedstats.study import Study, Trait


@dataclass(frozen=True)
class _Option:
    """An option as it was typed, what it is about, the traits that it is for, and those that it passes by."""

    typed: str
    about: str
    hint: str
    used_by: Sequence[Trait]
    unused_by: Sequence[Trait]


def unused_options(request: Request, traits: Sequence[Trait]) -> tuple[list[Fault], list[Note]]:
    """Faults for options that change nothing, and notes for those that change something for some traits only.

    Whoever typed such an option expects another result than there would be.
    """
    passed_by = [option for option in _options(request, traits) if option.unused_by]
    faults = [_fault(option) for option in passed_by if not option.used_by]
    return faults, [_note(option) for option in passed_by if option.used_by]


def unused_ranges(request: Request, studies: Sequence[Study]) -> list[Note]:
    """Notes for declared ranges of columns that no study reads as numbers."""
    used = {name for study in studies for name in study.ranges}
    unused = [name for name, limits in request.setting.ranges.items() if not ranges_by_name({name: limits}, used)]
    message = "--range {} changes nothing: this run reads no trait or covariate of that name as a number"
    return [Note("NO_EFFECT", message.format(name), warning=True) for name in unused]


def _options(request: Request, traits: Sequence[Trait]) -> Iterator[_Option]:
    binary = [trait for trait in traits if trait.kind == "binary"]
    quantitative = [trait for trait in traits if trait.kind == "quantitative"]
    # Noised linear models are score tests, too.
    if request.test != "wald" and request.privacy != "dp":
        hint = "Leave it out: a linear model has one test, the t test."
        yield _Option(f"--test {request.test}", "is for logistic models", hint, binary, quantitative)
    if request.convergence != "full":
        hint = "Leave it out: a linear model takes no iterations."
        yield _Option(f"--convergence {request.convergence}", "is for logistic models", hint, binary, quantitative)
    if request.binary_coding != "auto":
        hint = "Leave it out, or look at the values of the trait: with others than 0, 1, 2 and -9 it is quantitative."
        yield _Option(f"--binary-coding {request.binary_coding}", "is for binary traits", hint, binary, quantitative)
    if request.missing_code == "none":
        hint = "Leave it out; --model linear reads the trait as a number, -9 included."
        coded = [trait for trait in binary if trait.missing_code == "-9"]
        yield _Option("--missing-code none", "is for quantitative traits", hint, quantitative, coded)


def _fault(option: _Option) -> Fault:
    return Fault(_sentence(option), "NO_EFFECT", option.hint)


def _note(option: _Option) -> Note:
    return Note("NO_EFFECT", _sentence(option), warning=True)


def _sentence(option: _Option) -> str:
    kind = option.unused_by[0].kind
    names = listing([trait.name for trait in option.unused_by])
    verb = "are" if len(option.unused_by) > 1 else "is"
    return f"{option.typed} {option.about} and changes nothing for {names}, which {verb} {kind}"
