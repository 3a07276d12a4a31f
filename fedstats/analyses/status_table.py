"""What each value of column STATUS means, in one table: what the report and the guide of result tables say of it."""

from collections.abc import Iterator, Mapping
from typing import Final

from fedstats.analyses.logistic_steps import LARGEST_GENOTYPE_EFFECT
from fedstats.kernels.linalg import MOST_CORRELATION, MOST_INFLATION

#: By status, those of `statuses.STATUSES` that an analysis gives.
MEANINGS: Final[Mapping[str, str]] = {
    "OK": "every number is there",
    "LOW_MAC": "fewer minor alleles, or carriers at fewer nodes, than the policies ask; every number is withheld",
    "SUPPRESSED_CELL": "`--missing drop-strict`: so few calls are missing that leaving them out would show whose",
    "SAMPLE_CT<=PREDICTOR_CT": "no more people than columns of the model",
    "CONST_OMITTED_ALLELE": "everybody has the same genotype",
    "CORR_TOO_HIGH": f"a covariate and the genotype, or two covariates, have a correlation above {MOST_CORRELATION:g}",
    "VIF_INFINITE": "genotype and covariates determine one another",
    "VIF_TOO_HIGH": f"a column's variance inflation factor is above {MOST_INFLATION:g}",
    "RANK_DEFICIENT": "the covariates determine the genotype, so that its effect cannot be told from theirs",
    "INVALID_RESULT": "the variance of the effect is zero or no number",
    "SEPARATION": "the genotype tells cases from controls, or nearly so: its effect grows without end, or beyond "
    f"{LARGEST_GENOTYPE_EFFECT:g}",
    "LOGISTIC_CONVERGE_FAIL": "the fit did not settle in the rounds that nodes answer",
    "UNSTABLE_SCALE": "the fit led to coefficients that nodes refuse, since they would put the weight on few people",
    "HIDDEN_BY_NOISE": "`--privacy dp`: there is more noise than signal in the counts that the estimate needs",
}
#: What can be done about it, where something can.
_ADVICE: Final[Mapping[str, str]] = {
    "LOW_MAC": "more people, or nodes; `fedstats nodes` shows `min_mac`",
    "SUPPRESSED_CELL": "`--missing mean`, or `drop`, which takes the mean for such variants",
    "SAMPLE_CT<=PREDICTOR_CT": "fewer covariates",
    "CORR_TOO_HIGH": "leave one of two covariates out that say the same",
    "VIF_INFINITE": "leave one of the covariates out that say the same",
    "VIF_TOO_HIGH": "fewer covariates, or others",
    "RANK_DEFICIENT": "fewer covariates, or others",
    "SEPARATION": "`--test score`, which needs no estimate",
    "LOGISTIC_CONVERGE_FAIL": "`--test score`, which needs no estimate",
    "UNSTABLE_SCALE": "`--test score`, which needs no estimate",
    "HIDDEN_BY_NOISE": "a larger `--epsilon`, fewer variants or more people",
}


def table() -> str:
    """The table of the guide, in Markdown; a test compares the guide with it."""
    lines = ["| STATUS | what it means | what helps |", "|---|---|---|"]
    return "\n".join([*lines, *_rows()]) + "\n"


def _rows() -> Iterator[str]:
    for name, meaning in MEANINGS.items():
        yield f"| `{name}` | {meaning} | {_ADVICE.get(name, '')} |"
