"""What can go wrong before any load is sent; what goes wrong under load is counted, not raised."""

from __future__ import annotations


class LoadError(Exception):
    """The load cannot be run; the message says why and what to do."""


class LoadRefused(LoadError):
    """The plan asks for more than it may."""
