"""Remove what is no longer needed: what superseded releases left (collect_garbage), or a whole model (teardown)."""
