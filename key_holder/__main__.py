"""`python -m key_holder`: the same commands as `fedstats-keyholder`."""

from key_holder.cli import run

run()
