"""One release of the iris model, from upload to predictions."""
