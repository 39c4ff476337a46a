"""Figures anyone can make again: ``python -m benchmarks`` and ``python -m benchmarks.faults``."""
