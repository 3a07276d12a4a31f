"""Every analysis and local step; importing this package fills both closed tables.

A node imports it to know what it may be asked, a coordinator to know what it may ask.
Nothing here imports the compiler of the kernels: a step does so when it runs, because the coordinator runs none
and would wait half a second for it.
"""

from fedstats.analyses import (
    allele_frequency,
    allele_frequency_noised,
    hardy_weinberg,
    linear_gwas,
    linear_gwas_noised,
    logistic_gwas,
    logistic_gwas_noised,
    missingness,
    people_accounting,
)

__all__ = [
    "allele_frequency",
    "allele_frequency_noised",
    "hardy_weinberg",
    "linear_gwas",
    "linear_gwas_noised",
    "logistic_gwas",
    "logistic_gwas_noised",
    "missingness",
    "people_accounting",
]
