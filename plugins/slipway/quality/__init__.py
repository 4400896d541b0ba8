"""Check whether a model is good enough: metrics, held-out rows, the golden set, the champion rule."""
