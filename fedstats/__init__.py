"""fedstats: federated genome-wide association, from data that stay at home."""

__version__ = "0.1.0"
