"""A model's own container image: its source is fenced, built once, scanned and recorded."""
