"""Waiting without a worker slot: how often to ask, what a wait ends in."""
