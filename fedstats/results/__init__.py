"""What a run leaves behind: result tables, their summary, plots, the report and the log.

This package gets columns, writes files and draws; it knows nothing of federation, privacy or networks.
Modules are imported by name (``from fedstats.results.associations import Associations``), so that a command
that writes nothing pays for none of them.
"""
