"""The survey: what AWS serves now, kept for the release board, so that no page has to wait for AWS."""
