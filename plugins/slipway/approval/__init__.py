"""The approval of a release by people."""
