"""Benchmarks: ratios of medians, side by side in one run. `make bench` prints them; no test depends on them."""
