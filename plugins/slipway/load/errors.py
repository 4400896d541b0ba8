"""Errors before any load is sent; errors of requests are counted, not raised."""

from __future__ import annotations


class LoadError(Exception):
    """The load cannot be run; the message says why and what to do."""


class LoadRefused(LoadError):
    """The plan is above its caps, or cannot be sent."""
