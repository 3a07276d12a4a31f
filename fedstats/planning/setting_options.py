"""What a privacy setting is given besides its name; part of the request, so of the plan that every node signs."""

from dataclasses import dataclass, field

from fedstats.documents import document


@document
@dataclass(frozen=True)
class SettingOptions:
    """Options of the settings; those of other settings than the run's are at their defaults.

    Attributes
    ----------
    paillier_masks
        Whether masks sit inside the ciphertexts; without them privacy rests on coordinator and key holder alone.
    epsilon, delta
        What a run under `dp` may spend.
    ranges
        Lowest and highest value of traits and covariates under `dp`, by name; values outside are clipped.
    """

    paillier_masks: bool = True
    epsilon: float = 0.0
    delta: float = 0.0
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)


@document
@dataclass(frozen=True)
class StepNoise:
    """Under `dp`, how much noise the totals of one step on one model carry, on top of what they are.

    `multiplier` is the standard deviation of the noise that honest nodes add to an element of coarseness 1, in units of
    the most that one person changes it.
    """

    model: str
    step: str
    multiplier: float
