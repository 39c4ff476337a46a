"""Measure the published figures, for example with ``python -m benchmarks``."""
