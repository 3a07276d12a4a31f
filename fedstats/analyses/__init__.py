"""Every analysis and local step; importing this package fills both closed tables.

A node imports it to know what it may be asked, a coordinator to know what it may ask.
Nothing here imports the compiler of the kernels: a step does so when it runs.
"""

from fedstats.analyses import linear_gwas, moments, standardise, variant_filters

__all__ = ["linear_gwas", "moments", "standardise", "variant_filters"]
