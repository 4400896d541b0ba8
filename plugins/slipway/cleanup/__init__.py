"""What is removed: what superseded releases left, and a whole model."""
