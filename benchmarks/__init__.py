"""Measurements against named peers and limits, as ratios within one run: `python -m benchmarks`."""
