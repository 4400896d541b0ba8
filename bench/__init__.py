"""Measure Slipway against what it replaces, side by side in one run: `make bench`."""
