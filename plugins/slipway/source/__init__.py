"""Uploads: noticed, claimed, and pinned to one object version."""
