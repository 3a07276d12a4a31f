"""fedstats: federated genome-wide association, from data that stay at home.

import fedstats

with fedstats.connect("federation.toml") as federation:
result = federation.gwas("qt1", covariates=["age", "sex", "PC1-PC2"])
result.top(20)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fedstats.errors import Failed, FedstatsError, NodeLost, NodeUnreachable, Refused, UsageError

if TYPE_CHECKING:
    from fedstats.client import connect
    from fedstats.frontend.local_backend import LocalFederation
    from fedstats.results.associations import Associations

__version__ = "0.1.0"

__all__ = [
    "Associations",
    "Failed",
    "FedstatsError",
    "LocalFederation",
    "NodeLost",
    "NodeUnreachable",
    "Refused",
    "UsageError",
    "__version__",
    "connect",
]

#: Names that need numpy, polars or gRPC are imported when they are first used, so that `import fedstats` is quick.
_LATE = {
    "connect": "fedstats.client",
    "LocalFederation": "fedstats.frontend.local_backend",
    "Associations": "fedstats.results.associations",
}


def __getattr__(name: str) -> Any:  # Any: whatever the name stands for
    if name not in _LATE:
        raise AttributeError(f"module 'fedstats' has no attribute {name!r}")
    return getattr(import_module(_LATE[name]), name)
