"""Benchmarks against plink2: `make bench`, or `python -m benchmarks --help`."""
