"""Slipway's tests. A package, because a library installs one of the same name."""
