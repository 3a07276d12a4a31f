"""`python -m node_agent`: the same commands as `fedstats-node`."""

from node_agent.cli import run

run()
